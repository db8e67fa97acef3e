"""The periodic inspection: one row of a test centre's file is one entry, its reading inside (domain.md §2).

The start is `occurred`, at the precision that the file has. Nothing is judged here: an end before its start, or a
reading below the last, is sealed as the centre wrote it.
"""

from __future__ import annotations

from carnet.passport.kinds.common import KM, MI, ODOMETER_STATES, choice
from carnet.passport.kinds.language import Choice, Clock, Day, Items, OneWhen, Text
from carnet.passport.kinds.schema import declare

INSPECTION = declare(
    "vehicle.inspection/1",
    "inspection",
    Text(name="centre", label="centre and approval number, as written", max_length=120),
    Items(
        name="defects",
        label="defects found",
        max_items=200,
        fields=(
            Text(name="code", label="code in the country's list", max_length=32),
            Text(name="location", label="where on the vehicle", max_length=200),
            # Some registers give a code alone (RDW), or a defect of the centre's own (DVSA): no gravity is invented.
            choice("severity", "how grave", "dangerous major minor advisory"),
            Text(name="text", label="the defect, as written", max_length=500, optional=False),
        ),
    ),
    Clock(name="end_time", label="end of the inspection"),
    # France: periodic, complementary, and the re-visit of each. Other countries by their own codes.
    choice("nature", "nature", "VTP VTC CV CVC", national=True),
    KM,
    MI,
    Choice(name="odometer_state", label="whether the odometer was read", choices=ODOMETER_STATES, optional=False),
    Text(name="report_number", label="number of the report", max_length=64),
    # France since 2018-05-20 (A, AP favourable; S, SP major; R, RP critical; X refused) and the DVSA's own two words.
    choice("result", "result", "A AP S SP R RP X PASSED FAILED", national=True),
    Day(name="valid_until", label="valid until"),
    rules=(OneWhen("odometer_state", "read", ("odometer_km", "odometer_mi")),),
)

KINDS = (INSPECTION,)
