"""The ordinary life of a vehicle: services on their interval, inspections when the law asks, wear, bad luck, sales.

Each chapter is drawn from figures that look like a French fleet's, without being anyone's. It refuses to know the
special stories.
"""

from __future__ import annotations

from carnet.formats.fleet.cast import (
    DEALERS,
    GARAGES,
    MAKER,
    MODELS,
    TELEMATICS,
    Model,
    Organisation,
    make_french_plate,
    make_vin,
)
from carnet.formats.fleet.draws import Draws
from carnet.formats.fleet.life import Life, iso
from carnet.formats.fleet.papers import YEAR, write_sale
from carnet.formats.fleet.workshop import (
    BREAKDOWNS,
    fitting_jobs,
    pick_centre,
    write_accident,
    write_breakdown,
    write_periodic,
    write_repair,
    write_service,
)
from carnet.types import Subject

# (per mille of the fleet, kilometres a year in the first years): town, family, commuting, professional.
USE_CLASSES = ((250, 7_000), (430, 13_000), (230, 21_000), (90, 34_000))


def conceive(seed: int, number: int, today: int, story: str | None, model: Model | None = None) -> Life:
    """A vehicle with its model, first registration and distance a day; nothing has been said about it yet."""
    draws = Draws(seed, f"vehicle {number}")
    model = model or draws.choose(MODELS)
    # A story needs years to happen in; the rest of the fleet is from half a year to fourteen years old.
    age_days = draws.between(7 * YEAR, 11 * YEAR) if story else draws.between(180, 14 * YEAR)
    born = today - age_days
    km_a_year = _draw_use(draws)
    rates = [km_a_year * 1000 // 365 * draws.between(82, 118) * (100 - 3 * min(age, 12)) // 10_000 for age in range(16)]
    vin = Subject("vin", make_vin(model, int(iso(born)[:4]), number))
    return Life(number, draws, model, vin, make_french_plate(2 * number), born, today, rates, story)


def _draw_use(draws: Draws) -> int:
    place = draws.below(1000)
    for per_mille, km_a_year in USE_CLASSES:
        if place < per_mille:
            return km_a_year * draws.between(85, 115) // 100
        place -= per_mille
    return USE_CLASSES[0][1]


def pick_workshop(life: Life, day: int) -> Organisation:
    """The maker's dealer while the warranty lasts, then mostly one garage."""
    if day < life.born + 2 * YEAR:
        return DEALERS[life.number % len(DEALERS)]
    return GARAGES[life.number % len(GARAGES)] if life.draws.chance(850) else life.draws.choose((*GARAGES, *DEALERS))


def write_services(life: Life, since: int, until: int) -> None:
    """Services at each interval in distance or after two years, whichever comes first, now and then late."""
    day = since
    while True:
        due = min(life.day_of_km(life.true_km(day) + life.model.interval_km), day + 2 * YEAR)
        day = due + life.draws.between(-10, 45)
        if day >= until:
            return
        write_service(life, day, pick_workshop(life, day))


def write_inspections(life: Life, since: int, until: int) -> None:
    """Periodic inspections: four years after first registration, then every two. Source: French road code, R323-22."""
    done = [event.day for event in life.events if event.kind == "vehicle.inspection/1"]
    due = max(done) + 2 * YEAR if done and life.miles_until is None else life.born + 4 * YEAR
    day = max(since, due - life.draws.between(2, 60))
    while day < until - 45:
        last = write_periodic(life, day, pick_centre(life), pick_workshop(life, day))
        day = last + 2 * YEAR - life.draws.between(1, 40)


def write_wear_and_luck(life: Life, since: int, until: int) -> None:
    """Repairs, breakdowns and accidents, more of the first two as the vehicle ages."""
    for start in range(since, until - 60, YEAR):
        age = (start - life.born) // YEAR
        draws, span = life.draws, min(YEAR, until - 45 - start)
        if draws.chance(min(650, 90 + 75 * age)):
            day = start + draws.below(span)
            write_repair(life, day, pick_workshop(life, day), draws.choose(fitting_jobs(life)), "wear")
        if draws.chance(30 + 14 * age):
            day = start + draws.below(span)
            breakdowns = BREAKDOWNS[:4:3] if life.model.energy == "EL" else BREAKDOWNS
            write_breakdown(life, day, pick_workshop(life, day), draws.choose(breakdowns))
        if draws.chance(45):
            write_accident(life, start + draws.below(span), pick_workshop(life, start), heavy=draws.chance(250))


def write_readings(life: Life, since: int, until: int) -> None:
    """Readings that come by themselves: from the maker each year where the car is connected, from a tracker each
    quarter."""
    if life.model.make == "VALMONT" and iso(life.born) >= "2017-01-01":
        for day in range(max(since, life.born + YEAR), until, YEAR):
            _read(life, day, MAKER, "manufacturer")
    if life.number % 12 == 5:
        for day in range(max(since, until - 2 * YEAR), until, 91):
            _read(life, day, TELEMATICS, "obd")


def _read(life: Life, day: int, author: Organisation, method: str) -> None:
    life.say(
        day, author, "vehicle.odometer/1", minute=2 * 60, reads=True, odometer_state="read", method=method,
        purpose="periodic", comparison="run",
    )  # fmt: skip


def write_sales(life: Life, since: int, until: int) -> None:
    """Every three to six years a new holder."""
    day = since + life.draws.between(3 * YEAR, 6 * YEAR)
    while day < until - 30:
        write_sale(life, day)
        day += life.draws.between(3 * YEAR, 6 * YEAR)


def write_ordinary_years(life: Life, since: int, until: int, *, sales: bool = True) -> None:
    """All chapters of an ordinary life between two days."""
    write_services(life, since, until)
    write_inspections(life, since, until)
    write_wear_and_luck(life, since, until)
    write_readings(life, since, until)
    if sales:
        write_sales(life, since, until)
