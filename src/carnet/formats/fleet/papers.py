"""What is written about a vehicle on paper: its birth, contracts, sales, change of plate, and end.

It refuses to know workshops and test centres.
"""

from __future__ import annotations

from typing import Any

from carnet.formats.fleet.cast import (
    COLOURS,
    DEALERS,
    DISMANTLER,
    INSURER,
    LENDER,
    MAKER,
    PLATFORM,
    REGISTRY,
    RENTAL,
    Organisation,
)
from carnet.formats.fleet.life import Event, Life, iso
from carnet.types import Mark, Subject

YEAR = 365


def describe(life: Life, plate: Subject, since: int, until: int | None = None) -> dict[str, Any]:
    """The fields of an identity entry: the vehicle as its registration document shows it, and a plate's interval."""
    model = life.model
    return {
        "alias": {
            "from": iso(since),
            "subject": plate.to_json(),
            "until": None if until is None else iso(until),
        },
        "category": "M1",
        "co2_g_per_km": model.co2_g_per_km,
        "cnit": f"M1{model.make[:3]}ZZ{life.number % 1000:03d}000" if plate.country == "FR" else None,
        "colour": COLOURS[life.number % len(COLOURS)],
        "country": plate.country,
        "displacement_mm3": model.displacement_cm3 * 1000 or None,
        "energy": model.energy,
        "euro_class": None if model.energy == "EL" else ("EURO 6" if iso(life.born) >= "2015-09-01" else "EURO 5"),
        "first_registration": iso(life.born),
        "make": model.make,
        "mass_f1_kg": model.mass_kg + 520,
        "mass_f2_kg": model.mass_kg + 520,
        "mass_g_kg": model.mass_kg + 75,
        "mass_g1_kg": model.mass_kg,
        "model": model.name,
        "power_w": model.power_kw * 1000,
        "seats": 5,
        "type_approval": f"e0*2007/46*0000*{life.number % 100:02d}",
        "type_variant_version": f"{model.make[:2]}0Z{model.power_kw:03d}",
    }


def write_birth(life: Life, dealer: Organisation) -> Event:
    """The opening, the identity with its plate, the title, the first reading, warranty and insurance; the identity is
    given."""
    draws, day = life.draws, life.born
    made_here = life.model.make == MAKER.name.split()[0].upper()
    opener = MAKER if made_here and draws.chance(200) else dealer if draws.chance(250) else REGISTRY
    life.say(day, opener, "passport.opened/1", occasion="first_registration")
    identity = life.say(day, REGISTRY, "vehicle.identity/1", **describe(life, life.plate, day))
    life.say(day, REGISTRY, "vehicle.title/1", type="first_registration", country="FR")
    life.say(
        day, dealer, "vehicle.odometer/1", minute=10 * 60 + 30, reads=True,
        odometer_state="read", method="dash", purpose="sale", establishment=dealer.name,
    )  # fmt: skip
    life.say(
        day, MAKER if made_here else dealer, "vehicle.contract/1", type="warranty", state="opened",
        cover="parts and labour", start_date=iso(day), end_date=iso(day + 2 * YEAR),
    )  # fmt: skip
    insure(life, day)
    if draws.chance(250):
        life.say(
            day, dealer, "vehicle.contract/1", type="maintenance_plan", state="opened", start_date=iso(day),
            end_date=iso(day + 4 * YEAR), price_cents=draws.between(24, 45) * 3_600, currency="EUR",
        )  # fmt: skip
    if draws.chance(200):
        finance(life, day)
    return identity


def insure(life: Life, day: int) -> None:
    """A new insurance contract."""
    life.say(
        day, INSURER, "vehicle.contract/1", type="insurance", state="opened", start_date=iso(day),
        cover=life.draws.choose(("third party", "third party, theft and fire", "comprehensive")),
        reference=f"VF-000{life.number:04d}-{day % 1000:03d}",
    )  # fmt: skip


def finance(life: Life, day: int) -> None:
    """Bought on credit: the lender's contract, the lien, and the lien lifted when it is paid."""
    paid = day + 4 * YEAR
    life.say(day, LENDER, "vehicle.contract/1", type="finance", state="opened", start_date=iso(day), end_date=iso(paid))
    life.say(day + 1, REGISTRY, "vehicle.title/1", type="lien_registered", source_code="INSCRIPTION_GAGE")
    if paid <= life.today:
        life.say(paid, REGISTRY, "vehicle.title/1", type="lien_lifted")


def write_rental(life: Life) -> None:
    """A first year with a rental company: contract and readings at both ends."""
    end = life.born + YEAR
    life.say(
        life.born + 1, RENTAL, "vehicle.contract/1", type="rental", state="opened",
        start_date=iso(life.born + 1), end_date=iso(end),
    )  # fmt: skip
    for day, purpose in ((life.born + 1, "contract_start"), (end, "contract_end")):
        life.say(
            day, RENTAL, "vehicle.odometer/1", minute=9 * 60, reads=True, odometer_state="read", method="dash",
            purpose=purpose, comparison="run",
        )  # fmt: skip
    life.say(end, RENTAL, "vehicle.contract/1", minute=9 * 60 + 1, type="rental", state="closed")


def compute_price_cents(life: Life, day: int) -> int:
    """A plausible price: a fifth lost each year, and something for the distance that the odometer shows."""
    price = life.model.price_euros
    for _ in range((day - life.born) // YEAR):
        price = price * 82 // 100
    price -= min(price // 3, life.shown_km(day, 0) * price // 900_000)
    return max(900, price * life.draws.between(94, 106) // 100 // 50 * 50) * 100


def write_sale(life: Life, day: int, dealer: Organisation | None = None) -> Event:
    """A sale: declared with its price, the change of holder, the transfer of the passport, the reading, insurance.

    The first event is given. Everything is said within three days, the transfer last but one.
    """
    draws = life.draws
    seller = dealer or (PLATFORM if draws.chance(600) else draws.choose(DEALERS))
    reads = life.reading(day, 11 * 60)
    declared = life.say(
        day, seller, "vehicle.title/1", minute=11 * 60, type="sale_declared", source_code="DECLARATION_CESSION",
        price_cents=compute_price_cents(life, day), currency="EUR", country="FR", **reads,
    )  # fmt: skip
    if seller is not PLATFORM:
        life.say(
            day, seller, "vehicle.odometer/1", minute=11 * 60 + 10, reads=True, odometer_state="read", method="dash",
            purpose="sale", comparison="run", establishment=seller.name,
        )  # fmt: skip
    life.say(day, INSURER, "vehicle.contract/1", minute=12 * 60, type="insurance", state="closed", end_date=iso(day))
    life.say(
        day + 1, REGISTRY, "vehicle.title/1", type="change_of_holder", source_code="CHANG_TIT_NORMAL", country="FR"
    )
    life.say(day + 1, REGISTRY, "passport.transferred/1", mark=Mark.TRANSFER, reason="sale")
    insure(life, day + 1)
    return declared


def change_plate(life: Life, identity: Event, day: int, plate: Subject) -> None:
    """A new plate: the old identity is superseded by one whose interval ends, and a new one declares the new plate."""
    life.say(day, REGISTRY, "vehicle.title/1", type="plate_changed", country="FR", note="plate lost, new number given")
    closed = describe(life, life.plate, life.born, day)
    life.say(day, REGISTRY, "vehicle.identity/1", mark=Mark.SUPERSEDES, target=identity, **closed)
    life.say(day, REGISTRY, "vehicle.identity/1", **describe(life, plate, day))
    life.plate = plate


def close_life(life: Life, day: int) -> None:
    """Scrapped: the dismantler's reading, the title destroyed, the passport closed as the last entry."""
    certificate = f"VHU-000{life.number:04d}"
    life.say(
        day, DISMANTLER, "vehicle.odometer/1", minute=14 * 60, reads=True, odometer_state="read", method="dash",
        purpose="other", establishment=DISMANTLER.name,
    )  # fmt: skip
    life.say(day, INSURER, "vehicle.contract/1", minute=14 * 60 + 1, type="insurance", state="closed")
    life.say(day + 2, REGISTRY, "vehicle.title/1", type="destroyed", reference=certificate)
    life.say(day + 3, DISMANTLER, "passport.closed/1", reason="destroyed", certificate=certificate)
