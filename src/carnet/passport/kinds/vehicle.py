"""The vehicle itself: what it is, what its odometer shows, and when that odometer was changed (domain.md §2)."""

from __future__ import annotations

from carnet.passport.kinds.common import (
    COUNTRY,
    ESTABLISHMENT,
    KM,
    MI,
    NOTE,
    ODOMETER_MAX,
    ODOMETER_STATES,
    choice,
)
from carnet.passport.kinds.language import (
    AtMostOne,
    Choice,
    Code,
    Day,
    InOrder,
    Integer,
    OneWhen,
    Record,
    SubjectField,
    Text,
    VinField,
)
from carnet.passport.kinds.schema import declare


def _mass(rubric: str, label: str) -> Integer:
    return Integer(name=f"mass_{rubric}_kg", label=f"{label} ({rubric.upper()}), kg", minimum=0, maximum=200_000)


# Letters in brackets are the rubrics of the harmonised registration document, Directive 1999/37/EC, as HistoVec shows
# them.
IDENTITY = declare(
    "vehicle.identity/1",
    "identity",
    # A plate holds from one day until another, that day not included (format.md, aliases).
    Record(
        name="alias",
        label="another subject of this passport, and its interval",
        fields=(
            Day(name="from", label="first day", optional=False),
            SubjectField(name="subject", label="the other subject", optional=False),
            Day(name="until", label="first day on which it no longer holds"),
        ),
        rules=(InOrder("from", "until"),),
    ),
    Text(name="category", label="EU category (J)", max_length=16),
    Integer(name="co2_g_per_km", label="CO2 (V.7), grams per kilometre", minimum=0, maximum=2_000),
    Text(name="cnit", label="national type code (CNIT, D.2.1)", max_length=32),
    Text(name="colour", label="colour", max_length=64),
    COUNTRY,
    Integer(name="displacement_mm3", label="displacement (P.1), cubic millimetres", minimum=0, maximum=100_000_000),
    Text(name="energy", label="energy (P.3), as the document codes it", max_length=32),
    Text(name="euro_class", label="environmental class (V.9)", max_length=64),
    Day(name="first_registration", label="first registration (B)"),
    Text(name="make", label="make (D.1)", max_length=64),
    _mass("f1", "technically permissible mass"),
    _mass("f2", "permissible mass in service"),
    _mass("f3", "permissible mass of the combination"),
    _mass("g", "mass in service"),
    _mass("g1", "unladen mass"),
    Text(name="model", label="commercial name (D.3)", max_length=120),
    Integer(name="power_w", label="maximum net power (P.2), watts", minimum=0, maximum=10_000_000),
    Integer(name="seats", label="seats (S.1)", minimum=0, maximum=300),
    Text(name="type_approval", label="type-approval number (K)", max_length=64),
    Text(name="type_variant_version", label="type, variant, version (D.2)", max_length=64),
    VinField(name="vin", label="VIN (E), where the subject is another one"),
)

ODOMETER = declare(
    "vehicle.odometer/1",
    "odometer reading",
    choice("comparison", "whether the previous reading was compared", "run not_run"),
    ESTABLISHMENT,
    choice("method", "how it was read", "dash obd manufacturer declared"),
    KM,
    MI,
    Choice(name="odometer_state", label="whether the odometer was read", choices=ODOMETER_STATES, optional=False),
    choice(
        "purpose",
        "on what occasion",
        "service repair inspection sale contract_start contract_end accident assistance registration periodic other",
    ),
    rules=(OneWhen("odometer_state", "read", ("odometer_km", "odometer_mi")),),
)

ODOMETER_REPLACEMENT = declare(
    "vehicle.odometer_replacement/1",
    "odometer replaced",
    Code(name="invoice_sha256", label="digest of the invoice", form="sha256"),
    Integer(name="new_odometer_km", label="new odometer, kilometres", minimum=0, maximum=ODOMETER_MAX),
    Integer(name="new_odometer_mi", label="new odometer, miles", minimum=0, maximum=ODOMETER_MAX),
    NOTE,
    Integer(name="old_odometer_km", label="old odometer, kilometres", minimum=0, maximum=ODOMETER_MAX),
    Integer(name="old_odometer_mi", label="old odometer, miles", minimum=0, maximum=ODOMETER_MAX),
    choice("reason", "why", "defect accident unit_change conversion recall other", optional=False),
    Text(name="workshop", label="workshop, as written", max_length=120),
    # A unit may change with the odometer, so old and new are each read in their own.
    rules=(
        AtMostOne(("new_odometer_km", "new_odometer_mi")),
        AtMostOne(("old_odometer_km", "old_odometer_mi")),
    ),
)

# A register's verdict over readings that it does not show. The codes are the RDW's (domain.md §3); another register
# writes its own under its country.
ODOMETER_JUDGEMENT = declare(
    "vehicle.odometer_judgement/1",
    "odometer judged",
    choice("code", "the register's code", "00 01 02 03 04 05 06 07 NG", national=True),
    COUNTRY,
    choice("judgement", "judgement", "logical illogical no_judgement not_registered", optional=False),
    Integer(name="last_reading_year", label="year of the last reading judged", minimum=1886, maximum=2999),
    NOTE,
    Text(name="text", label="the judgement, as written", max_length=400),
)

KINDS = (IDENTITY, ODOMETER, ODOMETER_REPLACEMENT, ODOMETER_JUDGEMENT)
