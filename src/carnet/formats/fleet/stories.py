"""The special events that a visitor of the demo looks for, each written into an otherwise ordinary life.

Every story has a name, which the vehicle carries, and one function. It refuses to know how a verdict is reached: that a
rollback looks like one is for others to find.
"""

from __future__ import annotations

from collections.abc import Callable

from carnet.formats.fleet.cast import (
    BRITISH_CENTRE,
    BRITISH_DEALER,
    BRITISH_MODEL,
    DEALERS,
    GARAGES,
    REGISTRY,
    make_british_plate,
    make_french_plate,
)
from carnet.formats.fleet.life import Event, Life
from carnet.formats.fleet.lives import conceive, pick_workshop, write_ordinary_years
from carnet.formats.fleet.papers import (
    YEAR,
    change_plate,
    close_life,
    describe,
    insure,
    write_birth,
    write_rental,
    write_sale,
)
from carnet.formats.fleet.workshop import WEAR_JOBS, correct, pick_centre, write_inspection, write_repair, write_service
from carnet.types import Mark


def _bear(life: Life) -> Event:
    return write_birth(life, DEALERS[life.number % len(DEALERS)])


def write_ordinary(life: Life) -> None:
    """No story at all."""
    _bear(life)
    if life.number % 20 == 7:
        write_rental(life)
    write_ordinary_years(life, life.born, life.today)


def write_rollback(life: Life) -> None:
    """The odometer is wound back shortly before a sale: 30,000 km or more, at most 60 % of the true distance."""
    # Enough distance that half of it is worth the crime.
    life.metres_per_day = [max(rate, 38_000) for rate in life.metres_per_day]
    sold = life.today - life.draws.between(400, 700)
    true_km = life.true_km(sold)
    back = max(30_000, min(true_km * 60 // 100, life.draws.between(38_000, 95_000)))
    _bear(life)
    write_ordinary_years(life, life.born, sold - 25, sales=False)
    life.shown_offset_km.append((sold - 20, back))
    write_inspection(life, sold - 12, pick_centre(life))
    write_sale(life, sold)
    write_ordinary_years(life, sold + 5, life.today, sales=False)


def mistype(km: int) -> int:
    """A reading with its first digit typed wrongly, far enough off that the neighbours show it."""
    digits = str(km)
    first = int(digits[0])
    return int(f"{first - 4 if first > 4 else first + 4}{digits[1:]}")


def _find_middle(life: Life, kind: str) -> Event:
    """The event of this kind in the middle of the life: with neighbours on both sides that tell it from the truth."""
    found = sorted((event for event in life.events if event.kind == kind), key=lambda event: event.day)
    return found[len(found) // 2]


def write_typing_error(life: Life) -> None:
    """One digit of an inspection's reading is wrong, and nobody has corrected it."""
    _bear(life)
    write_ordinary_years(life, life.born, life.today)
    entry = _find_middle(life, "vehicle.inspection/1")
    entry.fields["odometer_km"] = mistype(entry.fields["odometer_km"])


def write_corrected_error(life: Life) -> None:
    """One digit of a service's reading is wrong; the garage itself replaces its entry two days later."""
    _bear(life)
    write_ordinary_years(life, life.born, life.today)
    entry = _find_middle(life, "vehicle.service/1")
    right = entry.fields["odometer_km"]
    entry.fields["odometer_km"] = mistype(right)
    correct(life, entry, entry.day + 2, odometer_km=right)


def write_withdrawn(life: Life) -> None:
    """A repair of another vehicle is written here by mistake; the garage withdraws it the next day."""
    day = life.born + 5 * YEAR
    _bear(life)
    write_ordinary_years(life, life.born, life.today)
    entry = write_repair(life, day, GARAGES[1], WEAR_JOBS[3], "wear")
    life.say(
        day + 1, GARAGES[1], "passport.corrected/1", minute=8 * 60 + 40, mark=Mark.SUPERSEDES, target=entry,
        reason="wrong_vehicle", note="invoice of another vehicle, filed here by mistake",
    )  # fmt: skip


def write_contested(life: Life) -> None:
    """A buyer's dealer contests a reading that its own does not follow; the inspection centre has not answered."""
    day = life.today - life.draws.between(120, 300)
    _bear(life)
    write_ordinary_years(life, life.born, day - 15, sales=False)
    high = life.shown_km(day - 10, 0) + 100_000
    entry = write_inspection(life, day - 10, pick_centre(life), odometer_km=high)
    write_sale(life, day, DEALERS[0])
    life.say(
        day + 2, DEALERS[0], "passport.contested/1", minute=15 * 60, mark=Mark.CONTESTS, target=entry,
        reason="wrong_value", note="the odometer showed 100,000 km less ten days later; first digits mistyped?",
    )  # fmt: skip


def write_replaced(life: Life) -> None:
    """The instrument cluster fails and is replaced: declared with both readings, so nothing is hidden."""
    day = life.born + 5 * YEAR + life.draws.between(0, 300)
    _bear(life)
    replace_odometer(life, day)
    write_ordinary_years(life, life.born, life.today)


def replace_odometer(life: Life, day: int) -> None:
    """The declared replacement; from that day on the odometer counts from 0."""
    workshop = DEALERS[life.number % len(DEALERS)]
    old = life.shown_km(day, 16 * 60)
    life.shown_offset_km.append((day, old))
    life.say(
        day, workshop, "vehicle.odometer_replacement/1", minute=16 * 60, reason="defect", old_odometer_km=old,
        new_odometer_km=0, workshop=workshop.name, note="instrument cluster failed",
        invoice_sha256=life.draws.take_bytes().hex(),
    )  # fmt: skip


def write_plate_change(life: Life) -> None:
    """The plates are lost and a new number is given: the first alias ends where the second begins."""
    identity = _bear(life)
    change_plate(life, identity, life.born + 3 * YEAR + life.draws.below(400), make_french_plate(2 * life.number + 1))
    write_ordinary_years(life, life.born, life.today)


def write_scrapped(life: Life) -> None:
    """Worn out and dismantled; the passport is closed and its history stays."""
    day = life.today - life.draws.between(60, 400)
    _bear(life)
    write_ordinary_years(life, life.born, day - 40)
    close_life(life, day)


def write_import(life: Life) -> None:
    """First registered in Britain, odometer in miles; imported to France, where the cluster is changed."""
    arrival = life.born + 4 * YEAR + life.draws.between(60, 300)
    life.miles_until = arrival + 6
    plate, british = life.plate, make_british_plate(life.number)
    life.say(life.born, BRITISH_DEALER, "passport.opened/1", occasion="first_registration")
    identity = life.say(life.born, BRITISH_DEALER, "vehicle.identity/1", **describe(life, british, life.born))
    life.say(
        life.born, BRITISH_DEALER, "vehicle.odometer/1", minute=11 * 60, reads=True, odometer_state="read",
        method="dash", purpose="sale",
    )  # fmt: skip
    for year in (1, 2, 3, 4):
        write_service(life, life.born + year * YEAR - 20, BRITISH_DEALER)
    for year in (3, 4):
        write_inspection(
            life, life.born + year * YEAR - 5, BRITISH_CENTRE, nature="GB:MOT", result="PASSED", valid_days=YEAR
        )
    life.say(arrival, REGISTRY, "vehicle.title/1", type="imported", country="GB")
    closed = describe(life, british, life.born, arrival + 4)
    life.say(arrival + 4, REGISTRY, "vehicle.title/1", type="re_registered", country="FR")
    # Only its author may supersede an entry: the dealer says when the British plate ended, the registry what follows.
    life.say(arrival + 4, BRITISH_DEALER, "vehicle.identity/1", mark=Mark.SUPERSEDES, target=identity, **closed)
    life.say(arrival + 4, REGISTRY, "vehicle.identity/1", **describe(life, plate, arrival + 4))
    workshop = pick_workshop(life, arrival)
    miles, km = life.shown_miles(arrival + 6, 510), life.shown_km(arrival + 6, 510)
    life.say(
        arrival + 6, workshop, "vehicle.odometer_replacement/1", minute=510, reason="unit_change",
        old_odometer_mi=miles, new_odometer_km=km, workshop=workshop.name,
    )  # fmt: skip
    insure(life, arrival + 7)
    write_ordinary_years(life, arrival + 30, life.today)


STORIES: dict[str, Callable[[Life], None]] = {
    "rollback": write_rollback,
    "typing_error": write_typing_error,
    "odometer_replaced": write_replaced,
    "miles_import": write_import,
    "corrected_error": write_corrected_error,
    "contested": write_contested,
    "scrapped": write_scrapped,
    "plate_change": write_plate_change,
    "withdrawn": write_withdrawn,
}
"""Each story's name, as vehicles carry it, and what writes it."""


def live(seed: int, number: int, today: int, story: str | None) -> Life:
    """The whole life of one vehicle of the fleet."""
    life = conceive(seed, number, today, story, BRITISH_MODEL if story == "miles_import" else None)
    (write_ordinary if story is None else STORIES[story])(life)
    return life
