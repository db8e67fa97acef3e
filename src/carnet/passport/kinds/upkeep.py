"""What keeps a vehicle in order between two services: check-ups, reminders, recalls, and parts with their serials
(rules.md §2, §3)."""

from __future__ import annotations

from carnet.passport.kinds.common import COUNTRY, ESTABLISHMENT, KM, MI, NOTE, ODOMETER_MAX, ONE_UNIT, REFERENCE, choice
from carnet.passport.kinds.language import AtMostOne, Day, Flag, InOrder, Integer, Items, Record, Text
from carnet.passport.kinds.schema import declare
from carnet.passport.kinds.workshop import FAULT_CODES, NEXT_DUE

CHECKUP = declare(
    "vehicle.checkup/1",
    "check-up",
    ESTABLISHMENT,
    FAULT_CODES,
    Items(
        name="findings",
        label="what was looked at, and how it was found",
        max_items=200,
        fields=(
            Text(name="part", label="part of the vehicle", max_length=120, optional=False),
            choice("state", "state", "good watch soon now not_checked", optional=False),
            Text(name="text", label="the finding, as written", max_length=400),
        ),
    ),
    NEXT_DUE,
    NOTE,
    KM,
    MI,
    choice("term", "term", "short_term long_term seasonal", optional=False),
    rules=(ONE_UNIT,),
)

REMINDER = declare(
    "vehicle.reminder/1",
    "reminder",
    Record(
        name="due",
        label="when it is due, whichever comes first",
        fields=(
            Day(name="date", label="by this day"),
            Day(name="earliest", label="not before this day"),
            Integer(name="odometer_km", label="at this odometer, kilometres", minimum=0, maximum=ODOMETER_MAX),
            Integer(name="odometer_mi", label="at this odometer, miles", minimum=0, maximum=ODOMETER_MAX),
        ),
        rules=(AtMostOne(("odometer_km", "odometer_mi")), InOrder("earliest", "date")),
    ),
    # A forecast is a computed reminder, and must not read as the maker's schedule.
    choice("origin", "where it comes from", "schedule vehicle forecast law", optional=False),
    REFERENCE,
    choice("state", "state", "open done withdrawn", optional=False),
    Text(name="text", label="what is due, as written", max_length=400, optional=False),
    choice("topic", "topic", "service oil brakes tyres timing battery filters fluids inspection recall other"),
)

RECALL = declare(
    "vehicle.recall/1",
    "recall",
    Text(name="authority_number", label="number that the authority gave", max_length=64),
    Text(name="campaign", label="campaign, as the manufacturer numbers it", max_length=64, optional=False),
    Text(name="component", label="component", max_length=200),
    Text(name="consequence", label="what may happen, as written", max_length=1000),
    COUNTRY,
    Text(name="fixer", label="who fixed it, as written", max_length=120),
    KM,
    MI,
    Flag(name="over_the_air", label="fixed by a change of software at a distance"),
    Day(name="published", label="day of publication"),
    Text(name="remedy", label="the remedy, as written", max_length=1000),
    choice("state", "state", "open fixed not_concerned no_remedy_yet", optional=False),
    Text(name="summary", label="the defect, as written", max_length=1000),
    rules=(ONE_UNIT,),
)

PART = declare(
    "vehicle.part/1",
    "part delivered",
    Text(name="batch", label="batch", max_length=64),
    Text(name="label", label="what the part is", max_length=200, optional=False),
    Text(name="maker", label="maker of the part", max_length=120),
    NOTE,
    choice("origin", "new or not", "new reconditioned used"),
    Text(name="reference", label="maker's reference", max_length=64),
    Text(name="serial", label="serial number", max_length=64),
    Day(name="warranty_until", label="warranted until"),
)

KINDS = (CHECKUP, REMINDER, RECALL, PART)
