"""The one vehicle that the demo shows from its first day to its last entry: a life that reads as a story.

Everything is placed by hand, counted back from today, so that the timeline tells the same story whenever the demo runs.
It refuses to know the rest of the fleet.
"""

from __future__ import annotations

from carnet.formats.fleet.cast import (
    ASSISTANCE,
    CENTRES,
    DEALERS,
    GARAGES,
    MAKER,
    MODELS,
    REGISTRY,
    make_french_plate,
    make_vin,
)
from carnet.formats.fleet.draws import Draws
from carnet.formats.fleet.life import Life, iso
from carnet.formats.fleet.papers import YEAR, describe, insure, write_sale
from carnet.formats.fleet.stories import replace_odometer
from carnet.formats.fleet.workshop import (
    BREAKDOWNS,
    MAJOR_DEFECTS,
    MINOR_DEFECTS,
    correct,
    write_accident,
    write_breakdown,
    write_inspection,
    write_repair,
    write_service,
)
from carnet.types import Subject

STORY = "hero"


def live_hero(seed: int, today: int) -> Life:
    """Nine years of a family car: bought new, serviced, inspected, broken down, hit, sold, its odometer replaced."""
    model, born = MODELS[0], today - 9 * YEAR + 40
    vin = Subject("vin", make_vin(model, int(iso(born)[:4]), 0))
    life = Life(0, Draws(seed, "hero"), model, vin, make_french_plate(0), born, today, [43_000] * 16, STORY)
    _write_first_owner(life)
    _write_second_owner(life)
    return life


def _write_first_owner(life: Life) -> None:
    born, dealer, garage = life.born, DEALERS[0], GARAGES[0]
    life.say(born, dealer, "passport.opened/1", occasion="first_registration")
    life.say(born, REGISTRY, "vehicle.identity/1", **describe(life, life.plate, born))
    life.say(
        born, REGISTRY, "vehicle.title/1", type="first_registration", country="FR", currency="EUR",
        price_cents=life.model.price_euros * 100,
    )  # fmt: skip
    life.say(
        born, dealer, "vehicle.odometer/1", minute=10 * 60 + 30, reads=True, odometer_state="read", method="dash",
        purpose="sale", establishment=dealer.name,
    )  # fmt: skip
    life.say(
        born, MAKER, "vehicle.contract/1", type="warranty", state="opened", cover="parts and labour",
        start_date=iso(born), end_date=iso(born + 2 * YEAR),
    )  # fmt: skip
    insure(life, born)
    write_service(life, born + 455, dealer)
    write_service(life, born + 915, dealer)
    write_breakdown(life, born + 1_190, garage, BREAKDOWNS[1])
    write_service(life, born + 1_370, garage)
    # Two digits swapped (78 thousand typed as 87); the garage finds it on the invoice and replaces its own entry.
    wrong = write_service(life, born + 1_830, garage)
    right = wrong.fields["odometer_km"]
    wrong.fields["odometer_km"] = right + 9_000
    correct(life, wrong, born + 1_832, odometer_km=right)
    write_inspection(life, born + 4 * YEAR - 21, CENTRES[0], defects=[MINOR_DEFECTS[0], MINOR_DEFECTS[2]])
    write_accident(life, born + 2_020, garage, heavy=True)


def _write_second_owner(life: Life) -> None:
    born, garage, centre = life.born, GARAGES[1], CENTRES[1]
    # Six years after the first registration the inspection fails; the centre signs with its own key.
    failed = born + 6 * YEAR - 28
    defect, job = MAJOR_DEFECTS[0]
    write_inspection(life, failed, centre, result="S", defects=[defect, MINOR_DEFECTS[1]], valid_days=60)
    write_repair(life, failed + 9, garage, job, "inspection")
    write_inspection(life, failed + 14, centre, nature="CV", valid_days=2 * YEAR - 14)
    write_sale(life, failed + 40)
    write_service(life, born + 2_420, garage)
    replace_odometer(life, born + 2_610)
    write_service(life, born + 2_880, garage)
    write_inspection(life, born + 8 * YEAR - 35, centre, defects=[MINOR_DEFECTS[4]])
    life.say(
        born + 3_100, ASSISTANCE, "vehicle.assistance/1", minute=7 * 60 + 50, reads=True, symptom="does not start",
        cause="battery flat after a cold night", outcome="repaired_on_site", place="Haute-Vienne", fault_codes=[],
    )  # fmt: skip
