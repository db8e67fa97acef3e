"""What workshops and breakdown services do: service, repair, assistance (domain.md §2, rules.md §2)."""

from __future__ import annotations

from carnet.passport.kinds.common import ACTIVITIES, ESTABLISHMENT, KM, MI, ODOMETER_MAX, ONE_UNIT, PARTS, choice
from carnet.passport.kinds.language import AtMostOne, Code, Day, Flag, Integer, Items, Record, Text
from carnet.passport.kinds.schema import declare

INVOICE = Code(name="invoice_sha256", label="digest of the invoice", form="sha256")
INVOICE_TEXT = Text(name="invoice_text", label="the invoice's own words", max_length=2000)
LABOUR = Integer(name="labour_minutes", label="labour, minutes", minimum=0, maximum=100_000)
# EU roadworthiness package: a garage records the mileage of repairs that last longer than one hour.
OVER_ONE_HOUR = Flag(name="over_one_hour", label="longer than one hour")
NEXT_DUE = Record(
    name="next_due",
    label="next service due",
    fields=(
        Day(name="date", label="by this day"),
        Integer(name="odometer_km", label="at this odometer, kilometres", minimum=0, maximum=ODOMETER_MAX),
        Integer(name="odometer_mi", label="at this odometer, miles", minimum=0, maximum=ODOMETER_MAX),
    ),
    rules=(AtMostOne(("odometer_km", "odometer_mi")),),
)
FAULT_CODES = Items(
    name="fault_codes",
    label="fault codes read",
    max_items=50,
    fields=(Text(name="code", label="code, such as P0420", max_length=16, optional=False),),
)

SERVICE = declare(
    "vehicle.service/1",
    "service",
    ACTIVITIES,
    ESTABLISHMENT,
    INVOICE,
    INVOICE_TEXT,
    LABOUR,
    NEXT_DUE,
    KM,
    MI,
    OVER_ONE_HOUR,
    PARTS,
    rules=(ONE_UNIT,),
)

REPAIR = declare(
    "vehicle.repair/1",
    "repair",
    ACTIVITIES,
    choice("cause", "what made it necessary", "wear breakdown accident recall warranty inspection other"),
    ESTABLISHMENT,
    INVOICE,
    INVOICE_TEXT,
    LABOUR,
    KM,
    MI,
    OVER_ONE_HOUR,
    PARTS,
    rules=(ONE_UNIT,),
)

ASSISTANCE = declare(
    "vehicle.assistance/1",
    "breakdown assistance",
    Text(name="cause", label="cause found", max_length=400),
    FAULT_CODES,
    KM,
    MI,
    choice("outcome", "outcome", "repaired_on_site towed not_repaired not_found cancelled other"),
    # Coarse on purpose: a town or a département, never an address, since it tells where a person was.
    Text(name="place", label="place, coarsely", max_length=64),
    Text(name="symptom", label="symptom", max_length=400),
    Text(name="towed_to", label="towed to", max_length=120),
    rules=(ONE_UNIT,),
)

KINDS = (SERVICE, REPAIR, ASSISTANCE)
