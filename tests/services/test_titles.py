"""Measures on a vehicle's title: in force until an entry lifts them."""

from __future__ import annotations

from carnet.services.titles import list_measures
from tests.services.lives import REGISTRY, Life


def test_measures__in_force_first_and_lifted_by_their_own_end() -> None:
    life = Life()
    for day, name in (
        ("01", "lien_registered"),
        ("02", "suspended"),
        ("03", "lien_lifted"),
        ("04", "stolen"),
        ("05", "returned_to_traffic"),
    ):
        life.say("vehicle.title", f"2026-01-{day}", REGISTRY, type=name)
    found = [(one.type, one.is_in_force, one.is_grave) for one in list_measures(life.entries)]
    assert found == [("stolen", True, True), ("suspended", False, True), ("lien_registered", False, False)]


def test_measures__one_that_is_said_twice_is_one() -> None:
    life = Life()
    for day in ("01", "02"):
        life.say("vehicle.title", f"2026-01-{day}", REGISTRY, type="title_lost")
    (measure,) = list_measures(life.entries)
    assert measure.began.seq == 0


def test_measures__one_that_came_back_is_in_force() -> None:
    life = Life()
    for day, name in (("01", "stolen"), ("02", "found"), ("03", "stolen")):
        life.say("vehicle.title", f"2026-01-{day}", REGISTRY, type=name)
    assert [one.is_in_force for one in list_measures(life.entries)] == [True, False]
