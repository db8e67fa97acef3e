"""Accidents and the procedure that follows damage: reports, roadworthiness, the expert's word (HistoVec, domain.md
§2)."""

from __future__ import annotations

from carnet.passport.kinds.common import CENTS_MAX, CURRENCY, KM, MI, NOTE, ONE_UNIT, REFERENCE, choice
from carnet.passport.kinds.language import Day, Flag, InOrder, Integer, Items, Text, Together
from carnet.passport.kinds.schema import declare

ACCIDENT = declare(
    "vehicle.accident/1",
    "accident",
    CURRENCY,
    Items(
        name="damage",
        label="what was damaged",
        max_items=50,
        fields=(
            Text(name="part", label="part of the vehicle", max_length=120, optional=False),
            choice("severity", "how badly", "light medium heavy"),
        ),
    ),
    # An age band and never an age: optional, and disclosed apart (rules.md §2).
    choice(
        "driver_age_band",
        "age of the driver",
        "under_21 from_21_to_24 from_25_to_34 from_35_to_49 from_50_to_64 over_64",
    ),
    Flag(name="economically_irreparable", label="economically irreparable"),
    Integer(name="estimate_cents", label="estimate of the repair, in cents", minimum=0, maximum=CENTS_MAX),
    Text(name="expert", label="damage expert, as written", max_length=120),
    Text(name="expert_approval", label="the expert's approval number", max_length=32),
    Day(name="first_report", label="first expert report"),
    NOTE,
    KM,
    MI,
    Text(name="place", label="place, coarsely", max_length=64),
    choice("procedure", "controlled-repair procedure", "none opened first_report second_report closed"),
    REFERENCE,
    Day(name="roadworthy_again", label="roadworthy again since"),
    Day(name="second_report", label="second expert report"),
    choice("severity", "how grave", "light medium heavy total_loss"),
    rules=(ONE_UNIT, Together(("currency", "estimate_cents")), InOrder("first_report", "second_report")),
)

KINDS = (ACCIDENT,)
