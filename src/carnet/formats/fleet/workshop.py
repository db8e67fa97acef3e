"""What workshops, test centres, breakdown services and experts write about a vehicle, and the words they use.

It refuses to know when something is due: `lives` and `stories` say so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from carnet.formats.fleet.cast import ASSISTANCE, CENTRES, EXPERT, INSURER, Organisation
from carnet.formats.fleet.life import Event, Life, compute_occurred, iso
from carnet.types import Mark

YEAR = 365


class Job(NamedTuple):
    """A repair as an invoice tells it: activity code, words, parts, minutes of labour."""

    code: str
    text: str
    parts: tuple[str, ...]
    minutes: int


WEAR_JOBS = (
    Job("BRK-F", "Front brake discs and pads replaced", ("front brake disc", "front brake pads"), 95),
    Job("BRK-R", "Rear brake pads replaced", ("rear brake pads",), 55),
    Job("TYR-2", "Two front tyres fitted and balanced", ("tyre 205/55 R16",), 45),
    Job("TYR-4", "Four tyres fitted, wheels aligned", ("tyre 205/55 R16",), 100),
    Job("SUS-F", "Front anti-roll bar links replaced", ("anti-roll bar link",), 70),
    Job("EXH-1", "Rear silencer replaced", ("rear silencer", "exhaust clamp"), 60),
    Job("WIP-1", "Windscreen wiper motor replaced", ("wiper motor",), 65),
    Job("AIR-1", "Air conditioning condenser replaced, circuit refilled", ("condenser",), 130),
)


class Breakdown(NamedTuple):
    """A breakdown: what the driver noticed, what was found, the fault codes, and the repair that followed."""

    symptom: str
    cause: str
    fault_codes: tuple[str, ...]
    job: Job


BREAKDOWNS = (
    Breakdown("does not start", "battery flat", ("B1325",), Job("BAT-1", "Battery replaced", ("battery 70 Ah",), 30)),
    Breakdown(
        "battery warning light, engine stops",
        "alternator worn",
        ("P0562",),
        Job("ALT-1", "Alternator and auxiliary belt replaced", ("alternator", "auxiliary belt"), 110),
    ),
    Breakdown(
        "engine overheats",
        "coolant pump leaks",
        ("P0217",),
        Job("WPU-1", "Coolant pump replaced", ("coolant pump",), 160),
    ),
    Breakdown("puncture, no spare wheel", "nail in the tyre", (), Job("TYR-1", "One tyre replaced", ("tyre",), 25)),
    Breakdown(
        "loss of power, engine light",
        "injector faulty",
        ("P0202",),
        Job("INJ-1", "Injector replaced", ("injector",), 140),
    ),
)


class Defect(NamedTuple):
    """A defect as an inspection words it, and the job that mends it."""

    code: str
    severity: str
    text: str
    location: str | None


MINOR_DEFECTS = (
    Defect("1.1.14.a.1", "minor", "Brake disc slightly worn", "front left"),
    Defect("4.1.2.a.1", "minor", "Headlamp aim outside the limits", "front"),
    Defect("5.2.3.e.1", "minor", "Tyre worn unevenly", "rear"),
    Defect("6.1.2.a.1", "minor", "Exhaust slightly leaking", "rear"),
    Defect("4.5.2.a.1", "minor", "Fog lamp aim outside the limits", "front right"),
    Defect("3.4.1.b.1", "minor", "Wiper blade worn", "front"),
)
MAJOR_DEFECTS = (
    (Defect("1.2.2.a.2", "major", "Braking forces of one axle differ by more than 20 %", "front axle"), WEAR_JOBS[0]),
    (Defect("5.2.3.d.2", "major", "Tyre tread below the legal depth", "front left"), WEAR_JOBS[2]),
    (Defect("2.1.3.a.2", "major", "Excessive play in a link of the suspension", "front right"), WEAR_JOBS[4]),
)
DANGEROUS_DEFECT = (
    Defect("1.1.13.a.3", "dangerous", "Brake pad worn to its carrier", "front left"),
    WEAR_JOBS[0],
)
PLACES = ("Moselle", "Haute-Vienne", "Jura", "Morbihan", "Corrèze", "Meuse", "Vosges")


def write_service(life: Life, day: int, workshop: Organisation, **changes: Any) -> Event:
    """A service on its interval; `changes` replace fields, as a typing error does."""
    minute = life.draws.between(8 * 60 + 15, 17 * 60)
    reading = life.reading(day, minute)
    unit, value = next(iter(reading.items()))
    interval = life.model.interval_km if unit == "odometer_km" else life.model.interval_km * 5 // 8
    electric = life.model.energy == "EL"
    activities = [{"code": "SRV-A", "text": "Battery health read, brake fluid checked, cabin filter replaced"}]
    parts = [{"label": "cabin filter", "quantity": 1, "reference": "CF-000-17"}]
    if not electric:
        activities = [{"code": "SRV-B", "text": "Engine oil and oil filter replaced, levels and tyres checked"}]
        parts = [
            {"label": "oil filter", "quantity": 1, "reference": "OF-000-42"},
            {"label": "engine oil, litre", "quantity": 5},
        ]
        if value // interval % 3 == 2:
            activities.append({"code": "SRV-F", "text": "Air, cabin and fuel filters replaced"})
            parts += [{"label": "air filter", "quantity": 1}, {"label": "fuel filter", "quantity": 1}]
    labour = 50 + 25 * len(activities)
    fields: dict[str, Any] = {
        "activities": activities,
        "parts": parts,
        "labour_minutes": labour,
        "over_one_hour": labour > 60,
        "establishment": workshop.name,
        "invoice_sha256": life.draws.take_bytes().hex(),
        "next_due": {"date": iso(day + YEAR), unit: value + interval},
    }
    return life.say(day, workshop, "vehicle.service/1", minute=minute, **(fields | reading | changes))


def write_repair(life: Life, day: int, workshop: Organisation, job: Job, cause: str) -> Event:
    """A repair with its parts, and a serial number where the part has one."""
    serial = f"SN000{life.draws.between(1000, 9999)}"
    parts = [
        {
            "label": part,
            "quantity": 4 if job.code == "TYR-4" else 2 if part.startswith("tyre ") else 1,
            "reference": f"{job.code}-000",
            "serial": serial if part.split()[0] in ("battery", "alternator", "injector", "condenser") else None,
        }
        for part in job.parts
    ]
    return life.say(
        day, workshop, "vehicle.repair/1", minute=life.draws.between(9 * 60, 17 * 60 + 30), reads=True, cause=cause,
        activities=[{"code": job.code, "text": job.text}], parts=parts, labour_minutes=job.minutes,
        over_one_hour=job.minutes > 60, establishment=workshop.name, invoice_sha256=life.draws.take_bytes().hex(),
    )  # fmt: skip


def write_breakdown(life: Life, day: int, workshop: Organisation, breakdown: Breakdown) -> None:
    """A call-out, and the repair that followed within the week."""
    life.say(
        day, ASSISTANCE, "vehicle.assistance/1", minute=life.draws.between(6 * 60, 21 * 60), reads=True,
        symptom=breakdown.symptom, cause=breakdown.cause, outcome="towed", place=life.draws.choose(PLACES),
        towed_to=workshop.name, fault_codes=[{"code": code} for code in breakdown.fault_codes],
    )  # fmt: skip
    write_repair(life, day + life.draws.between(1, 6), workshop, breakdown.job, "breakdown")


def write_accident(life: Life, day: int, workshop: Organisation, *, heavy: bool) -> None:
    """An accident: the insurer's record, for a heavy one the expert's procedure, and the body repair."""
    draws = life.draws
    part = draws.choose(("front bumper", "rear bumper", "left doors", "right wing", "tailgate"))
    estimate = (draws.between(45, 95) if heavy else draws.between(6, 24)) * 10_000
    reference = f"SIN-000{life.number:04d}-{day % 1000:03d}"
    damage = [{"part": part, "severity": "heavy" if heavy else "medium"}]
    if heavy:
        damage.append({"part": "structure behind it", "severity": "medium"})
    life.say(
        day, INSURER, "vehicle.accident/1", minute=draws.between(7 * 60, 20 * 60), reads=True, damage=damage,
        severity="heavy" if heavy else "light", estimate_cents=estimate, currency="EUR",
        place=draws.choose(PLACES), reference=reference, procedure="opened" if heavy else "none",
    )  # fmt: skip
    body = Job("BDY-1", f"Body repair and paint: {part}", (part,), 540 if heavy else 240)
    write_repair(life, day + (24 if heavy else 12), workshop, body, "accident")
    if heavy:
        life.say(
            day + 30, EXPERT, "vehicle.accident/1", minute=10 * 60, reads=True, severity="heavy", procedure="closed",
            expert=EXPERT.name, expert_approval="EXP-000-BC", first_report=iso(day + 9), second_report=iso(day + 30),
            roadworthy_again=iso(day + 30), economically_irreparable=False, reference=reference,
        )  # fmt: skip


def write_inspection(
    life: Life, day: int, centre: Organisation, *, nature: str = "VTP", result: str = "A",
    defects: list[Defect] | None = None, valid_days: int = 2 * YEAR, **changes: Any,
) -> Event:  # fmt: skip
    """One inspection with its reading; `changes` replace fields, as a typing error does."""
    minute = life.draws.between(8 * 60, 17 * 60)
    end = minute + (12 if nature == "CV" else life.draws.between(28, 45))
    fields: dict[str, Any] = {
        "centre": centre.name,
        "nature": nature,
        "result": result,
        "defects": [defect._asdict() for defect in defects or ()],
        "end_time": f"{end // 60:02d}:{end % 60:02d}",
        "odometer_state": "read",
        "report_number": f"000{life.draws.between(10_000, 99_999)}",
        "valid_until": iso(day + valid_days),
    }
    reading = life.reading(day, minute)
    return life.say(day, centre, "vehicle.inspection/1", minute=minute, **(fields | reading | changes))


def _fitting_defects(life: Life) -> list[Defect]:
    """The minor defects that this vehicle can have: an electric one has no exhaust."""
    return [each for each in MINOR_DEFECTS if life.model.energy != "EL" or "Exhaust" not in each.text]


def fitting_jobs(life: Life) -> list[Job]:
    """The repairs of worn parts that this vehicle has."""
    return [job for job in WEAR_JOBS if life.model.energy != "EL" or job.code != "EXH-1"]


def write_periodic(life: Life, day: int, centre: Organisation, workshop: Organisation) -> int:
    """A periodic inspection as chance has it, with repair and re-visit where it failed; the last day is given."""
    draws = life.draws
    age = (day - life.born) // YEAR
    minor = draws.sample(_fitting_defects(life), draws.below(3 if age < 8 else 4))
    fails = draws.chance(60 + 16 * age)
    if not fails:
        write_inspection(life, day, centre, defects=minor)
        return day
    dangerous = draws.chance(90)
    defect, job = DANGEROUS_DEFECT if dangerous else draws.choose(MAJOR_DEFECTS)
    result, valid_days = ("R", 0) if dangerous else ("S", 60)
    write_inspection(life, day, centre, result=result, defects=[defect, *minor], valid_days=valid_days)
    repaired = day + draws.between(2, 20)
    again = repaired + draws.between(1, 20)
    if again > life.today:
        return day
    write_repair(life, repaired, workshop, job, "inspection")
    write_inspection(life, again, centre, nature="CV", defects=minor, valid_days=2 * YEAR - (again - day))
    return again


def correct(life: Life, wrong: Event, day: int, **right: Any) -> Event:
    """The author replaces its own entry: the same event, said again on another day with the right values (mark 1)."""
    fields = wrong.fields | right | {"occurred": compute_occurred(wrong.day, wrong.minute)}
    return life.say(day, wrong.author, wrong.kind, minute=9 * 60 + 20, mark=Mark.SUPERSEDES, target=wrong, **fields)


def pick_centre(life: Life) -> Organisation:
    """The test centre that a vehicle goes to: mostly the same."""
    return CENTRES[life.number % len(CENTRES)] if life.draws.chance(750) else life.draws.choose(CENTRES)
