"""What a card and the pages of a vehicle say, from entries alone."""

from __future__ import annotations

from carnet.services.vehicles import Cause, Level, Status, list_rubrics
from carnet.types import Basis
from tests.services.lives import GARAGE, REGISTRY, Life


def test_vehicle__of_nothing_says_nothing() -> None:
    seen = Life().see()
    assert (seen.status, seen.notices, seen.name, seen.plate) == (Status.QUIET, (), None, None)
    assert (seen.last_certified, seen.last_reading, seen.next_inspection) == (None, None, None)
    assert seen.vin == "WVWZZZ1KZ7P123456"


def test_vehicle__next_inspection_is_the_newest_standing_one() -> None:
    life = Life()
    life.inspect("2022-01-10", until="2024-01-10")
    wrong = life.inspect("2025-01-10", until="2099-01-10")
    life.inspect("2025-01-10", until="2027-01-10", supersedes=wrong)
    due = life.see().next_inspection
    assert due is not None
    assert (due.day, due.days, due.entry.seq) == ("2027-01-10", 46, 2)
    assert [notice.cause for notice in life.see().notices] == [Cause.INSPECTION_SOON]


def test_vehicle__an_inspection_that_failed_is_urgent_until_the_next() -> None:
    life = Life()
    life.inspect("2026-11-01", "S", "2027-01-01")
    assert (life.see().status, life.see().notices[0].cause) == (Status.URGENT, Cause.INSPECTION_FAILED)
    life.inspect("2026-11-20", "A", "2028-11-01", nature="CV")
    assert (life.see().status, life.see().notices) == (Status.QUIET, ())


def test_vehicle__an_inspection_that_ran_out_is_urgent() -> None:
    life = Life()
    life.inspect("2024-01-10", until="2026-01-10")
    assert [(one.level, one.cause) for one in life.see().notices] == [(Level.ALERT, Cause.INSPECTION_OVERDUE)]


def test_vehicle__theft_recall_and_contest_are_noticed_and_end() -> None:
    life = Life()
    life.say("vehicle.title", "2026-01-01", REGISTRY, type="stolen")
    recall = life.say("vehicle.recall", "2026-02-01", state="open", campaign="R1")
    reading = life.read("2026-03-01", 10)
    life.say("passport.contested", "2026-03-02", contests=reading, reason="wrong_value")
    assert [one.cause for one in life.see().notices] == [Cause.MEASURE, Cause.RECALL_OPEN, Cause.CONTESTED]
    assert (life.see().open_recall_count, life.see().status) == (1, Status.URGENT)
    life.say("vehicle.title", "2026-04-01", REGISTRY, type="found")
    life.say("vehicle.recall", "2026-04-01", state="fixed", campaign="R1", supersedes=recall)
    life.read("2026-03-01", 11, supersedes=reading)
    assert (life.see().status, life.see().notices) == (Status.QUIET, ())
    assert life.see().has_recalls


def test_vehicle__a_closed_passport_is_that_before_all_else() -> None:
    life = Life()
    life.inspect("2026-11-01", "S", "2027-01-01")
    life.say("passport.closed", "2026-11-20", reason="destroyed")
    assert life.see().status is Status.CLOSED


def test_vehicle__plate_of_today_and_of_none() -> None:
    life = Life()

    def wear(number: str, first: str, until: str | None, **more: int) -> int:
        subject = {"scheme": "plate", "country": "FR", "value": number}
        alias = {"from": first, "subject": subject, "until": until}
        return life.say("vehicle.identity", first, REGISTRY, make="TORVA", model="Lir", alias=alias, **more)

    old = wear("AA-001-AA", "2018-01-01", None)
    wear("AA-001-AA", "2018-01-01", "2020-06-01", supersedes=old)
    wear("BB-002-BB", "2020-06-01", None)
    seen = life.see()
    assert (seen.plate, seen.plate_country, seen.name) == ("BB-002-BB", "FR", "Torva Lir")


def test_vehicle__name_says_the_make_once() -> None:
    life = Life()
    life.say("vehicle.identity", "2018-01-01", make="PEUGEOT", model="Peugeot 406 Break")
    assert life.see().name == "Peugeot 406 Break"


def test_identity__each_value_from_the_newest_that_gives_it() -> None:
    life = Life()
    life.say("vehicle.identity", "2018-01-01", REGISTRY, make="TORVA", colour="white", power_w=66_000)
    life.say("vehicle.identity", "2020-01-01", GARAGE, colour="red", make=None)
    rubrics = [(code, datum.name, datum.value, datum.entry.seq) for code, datum in list_rubrics(life.entries)]
    assert rubrics == [("D.1", "make", "TORVA", 0), ("P.2", "power_w", 66_000, 0), ("R", "colour", "red", 1)]


def test_vehicle__who_wrote_reads_its_own() -> None:
    life = Life()
    life.read("2020-01-01", 1)
    life.read("2021-01-01", 2, by=REGISTRY)
    life.read("2022-01-01", 3)
    assert [author.name for author in life.see().authors] == ["The garage", "The registry"]


def test_vehicle__what_is_declared_moves_no_certified_counter() -> None:
    life = Life()
    life.read("2024-01-01", 100)
    life.say("vehicle.declared", "2025-01-01", basis=Basis.HOLDER, type="reading", odometer_km=900)
    seen = life.see()
    assert seen.last_certified is not None
    assert seen.last_reading is not None
    assert (seen.last_certified.value, seen.last_reading.value) == (100, 900)
