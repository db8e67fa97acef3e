"""The demo's fleet: enough of it, always the same, allowed by the rules, and true to itself."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from functools import lru_cache
from hashlib import sha256

import pytest

from carnet.encoding import encode
from carnet.errors import Reason, Refused
from carnet.formats.fleet import HERO, ORGANISATIONS, STORIES, FleetEntry, FleetVehicle, make_fleet
from carnet.formats.fleet.cast import MAX_VEHICLES, MODELS, make_british_plate, make_french_plate, make_vin
from carnet.formats.fleet.draws import Draws
from carnet.ledger.rules.default import default_writer_lines
from carnet.passport.kinds import get_schema
from carnet.passport.occurred import check_not_future, check_occurred
from carnet.passport.plate import check_plate
from carnet.passport.vin import check_vin
from carnet.types import Basis, Mark, MemberKind

NOW = 1_795_543_071_000  # 2026-11-24T18:57:51Z
ODD_READINGS = {HERO, "rollback", "typing_error", "odometer_replaced", "miles_import", "corrected_error", "contested"}


@lru_cache(maxsize=4)
def fleet(seed: int = 1, vehicles: int = 240) -> tuple[FleetVehicle, ...]:
    return tuple(make_fleet(seed, vehicles, now_ms=NOW))


def with_story(story: str) -> list[FleetVehicle]:
    return [vehicle for vehicle in fleet() if vehicle.story == story]


def digest(vehicles: tuple[FleetVehicle, ...]) -> str:
    state = sha256()
    for vehicle in vehicles:
        state.update(encode([vehicle.subject.to_json(), vehicle.plate.to_json(), vehicle.story]))
        for entry in vehicle.entries:
            state.update(encode([entry.author.name, int(entry.basis), int(entry.mark), entry.target, entry.fields]))
    return state.hexdigest()


def readings(vehicle: FleetVehicle) -> list[int]:
    return [
        entry.fields["odometer_km"]
        for entry in vehicle.entries
        if entry.fields.get("odometer_km") is not None and entry.mark is Mark.NONE
    ]


def moment(entry: FleetEntry) -> str:
    return str(entry.fields["occurred"]["at"])


# ---- how much, and always the same


def test_make_fleet__enough_of_everything() -> None:
    kinds = Counter(entry.kind for vehicle in fleet() for entry in vehicle.entries)
    assert len(fleet()) == 240
    assert kinds.total() >= 3_000
    wanted = {
        "passport.opened/1": 240,
        "vehicle.identity/1": 240,
        "vehicle.title/1": 500,
        "vehicle.odometer/1": 240,
        "vehicle.inspection/1": 400,
        "vehicle.service/1": 600,
        "vehicle.repair/1": 300,
        "vehicle.assistance/1": 60,
        "vehicle.accident/1": 40,
        "vehicle.contract/1": 500,
        "passport.transferred/1": 100,
        "vehicle.odometer_replacement/1": 5,
        "passport.corrected/1": 1,
        "passport.contested/1": 1,
        "passport.closed/1": 1,
    }
    assert set(kinds) == set(wanted)
    assert {kind: count for kind, count in wanted.items() if kinds[kind] < count} == {}


def test_make_fleet__every_story_is_told_even_in_a_small_fleet() -> None:
    small = {vehicle.story for vehicle in fleet(1, 10)}
    assert small == {HERO, *STORIES}
    counts = Counter(vehicle.story for vehicle in fleet())
    assert counts[HERO] == 1
    assert all(counts[story] >= 3 for story in STORIES)
    assert counts[None] > 180


def test_make_fleet__every_kind_of_member_that_matters_writes() -> None:
    authors = {entry.author for vehicle in fleet() for entry in vehicle.entries}
    assert authors == set(ORGANISATIONS)
    assert {author.kind for author in authors} == set(MemberKind) - {
        MemberKind.DISTRIBUTOR,
        MemberKind.PARTS_SUPPLIER,
        MemberKind.STORAGE_PROVIDER,
        MemberKind.PUBLIC_AUTHORITY,
        MemberKind.NODE,
    }
    assert len({author.name for author in authors}) == len(authors)


def test_make_fleet__same_seed_same_fleet_in_another_process() -> None:
    code = "from tests.formats.test_fleet import *; print(digest(tuple(make_fleet(1, 40, now_ms=NOW))))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert answers == {digest(fleet()[:40])}


def test_make_fleet__another_seed_is_another_fleet() -> None:
    assert digest(fleet(2, 20)) != digest(fleet(1, 20))


@pytest.mark.parametrize("vehicles", [-1, MAX_VEHICLES + 1])
def test_make_fleet__refused_impossible_number(vehicles: int) -> None:
    with pytest.raises(ValueError, match="a fleet has"):
        next(make_fleet(1, vehicles, now_ms=NOW))


# ---- allowed, in order, and in the past


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_make_fleet__entries_pass_their_schema_unchanged(seed: int) -> None:
    for vehicle in fleet(seed, 60):
        for entry in vehicle.entries:
            assert get_schema(entry.kind).validate_by_document(entry.fields) == entry.fields
            assert entry.mark in get_schema(entry.kind).marks
            assert entry.fields["subject"] == vehicle.subject.to_json()


def test_make_fleet__writer_table_allows_every_entry() -> None:
    bases = {(str(line.member), line.kind): line.bases for line in default_writer_lines()}
    refused = {
        (entry.author.kind.value, entry.kind, int(entry.basis))
        for vehicle in fleet()
        for entry in vehicle.entries
        if int(entry.basis) not in bases.get((entry.author.kind.value, entry.kind), ())
    }
    assert refused == set()


def test_make_fleet__one_centre_signs_with_its_own_key_and_all_others_are_hosted() -> None:
    own = {entry.author for vehicle in fleet() for entry in vehicle.entries if entry.basis is Basis.OWN_KEY}
    assert [author.kind for author in own] == [MemberKind.INSPECTION_CENTRE]
    assert {entry.basis for vehicle in fleet() for entry in vehicle.entries} == {Basis.OWN_KEY, Basis.HOSTED}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_make_fleet__opened_first_in_time_order_and_not_in_the_future(seed: int) -> None:
    for vehicle in fleet(seed, 60):
        kinds = [entry.kind for entry in vehicle.entries]
        assert kinds[0] == "passport.opened/1"
        assert kinds.count("passport.opened/1") == 1
        # A corrected value is said later than the event that it is about.
        moments = [moment(entry) for entry in vehicle.entries if entry.target is None]
        assert moments == sorted(moments)
        for entry in vehicle.entries:
            check_not_future(check_occurred(entry.fields["occurred"]), NOW - 86_400_000)


def test_make_fleet__marks_name_an_earlier_entry_of_their_own_author() -> None:
    seen = Counter()
    for vehicle in fleet():
        for place, entry in enumerate(vehicle.entries):
            seen[entry.mark] += 1
            if entry.mark in (Mark.NONE, Mark.TRANSFER):
                assert entry.target is None
                continue
            assert entry.target is not None
            assert 0 < entry.target < place
            target = vehicle.entries[entry.target]
            if entry.mark is Mark.SUPERSEDES:
                assert (target.author, target.basis) == (entry.author, entry.basis)
                assert entry.kind in (target.kind, "passport.corrected/1")
    assert seen[Mark.SUPERSEDES] >= 10
    assert seen[Mark.CONTESTS] >= 3
    assert seen[Mark.TRANSFER] >= 100


def test_make_fleet__aliases_of_one_vehicle_never_overlap() -> None:
    for vehicle in fleet():
        superseded = {entry.target for entry in vehicle.entries}
        spans = sorted(
            (entry.fields["alias"]["from"], entry.fields["alias"]["until"] or "9999-12-31", str(place))
            for place, entry in enumerate(vehicle.entries)
            if entry.kind == "vehicle.identity/1" and place not in superseded
        )
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))
        last = vehicle.entries[int(spans[-1][2])].fields["alias"]
        assert (last["subject"], last["until"]) == (vehicle.plate.to_json(), None)


# ---- odometers


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_make_fleet__odometers_never_fall_in_ordinary_lives(seed: int) -> None:
    checked = 0
    for vehicle in fleet(seed, 240 if seed == 1 else 60):
        if vehicle.story in ODD_READINGS:
            continue
        shown = readings(vehicle)
        assert shown == sorted(shown)
        assert shown[-1] < 800_000
        checked += len(shown)
    assert checked > 400


def test_make_fleet__rollback_is_large_and_just_before_a_sale() -> None:
    for vehicle in with_story("rollback"):
        shown = readings(vehicle)
        falls = [place for place in range(1, len(shown)) if shown[place] < shown[place - 1]]
        assert len(falls) == 1
        before, after = shown[falls[0] - 1], shown[falls[0]]
        assert before - after > 28_000
        assert after > before * 0.35
        assert any(entry.kind == "passport.transferred/1" for entry in vehicle.entries)


@pytest.mark.parametrize("story", ["typing_error", "contested"])
def test_make_fleet__one_reading_out_of_line_and_without_it_all_is_in_order(story: str) -> None:
    for vehicle in with_story(story):
        shown = readings(vehicle)
        assert shown != sorted(shown)
        without = [shown[:place] + shown[place + 1 :] for place in range(len(shown))]
        assert any(rest == sorted(rest) for rest in without)


@pytest.mark.parametrize("story", ["corrected_error", HERO])
def test_make_fleet__correction_says_the_same_event_again_with_the_right_value(story: str) -> None:
    for vehicle in with_story(story):
        (correction,) = [entry for entry in vehicle.entries if entry.mark is Mark.SUPERSEDES]
        assert correction.target is not None
        wrong = vehicle.entries[correction.target]
        changed = {name for name, value in correction.fields.items() if wrong.fields[name] != value}
        assert changed == {"odometer_km"}


def test_make_fleet__replaced_odometer_declares_both_readings() -> None:
    for vehicle in [*with_story("odometer_replaced"), *with_story(HERO)]:
        (place,) = [n for n, entry in enumerate(vehicle.entries) if entry.kind == "vehicle.odometer_replacement/1"]
        fields = vehicle.entries[place].fields
        before = readings(vehicle._replace(entries=vehicle.entries[:place]))
        after = readings(vehicle._replace(entries=vehicle.entries[place:]))
        assert fields["old_odometer_km"] >= before[-1]
        assert fields["new_odometer_km"] == 0
        assert after == sorted(after)
        assert after[0] < before[-1]


def test_make_fleet__import_counts_miles_and_then_kilometres() -> None:
    for vehicle in with_story("miles_import"):
        units = [
            "mi" if entry.fields.get("odometer_mi") is not None else "km"
            for entry in vehicle.entries
            if entry.fields.get("odometer_mi") is not None or entry.fields.get("odometer_km") is not None
        ]
        assert units[0] == "mi"
        assert units == sorted(units, reverse=True)
        assert set(units) == {"mi", "km"}
        types = [entry.fields["type"] for entry in vehicle.entries if entry.kind == "vehicle.title/1"]
        assert types[:2] == ["imported", "re_registered"]


# ---- the other stories


def test_make_fleet__scrapped_ends_with_its_closing() -> None:
    for vehicle in fleet():
        kinds = [entry.kind for entry in vehicle.entries]
        assert (kinds[-1] == "passport.closed/1") is (vehicle.story == "scrapped")
        assert kinds.count("passport.closed/1") == (vehicle.story == "scrapped")


def test_make_fleet__withdrawn_entry_is_withdrawn_by_its_author() -> None:
    for vehicle in with_story("withdrawn"):
        (entry,) = [entry for entry in vehicle.entries if entry.kind == "passport.corrected/1"]
        assert entry.target is not None
        assert vehicle.entries[entry.target].kind == "vehicle.repair/1"


def test_make_fleet__inspections_begin_after_four_years_and_failures_are_visited_again() -> None:
    failed = visited = 0
    for vehicle in fleet():
        inspections = [entry for entry in vehicle.entries if entry.kind == "vehicle.inspection/1"]
        born = next(
            entry.fields["first_registration"] for entry in vehicle.entries if entry.kind == "vehicle.identity/1"
        )
        if inspections and vehicle.story != "miles_import":
            assert int(moment(inspections[0])[:4]) >= int(born[:4]) + 3
        failed += sum(entry.fields["result"] in ("S", "R") for entry in inspections)
        visited += sum(entry.fields["nature"] == "CV" for entry in inspections)
        for entry in inspections:
            worst = {defect["severity"] for defect in entry.fields["defects"]} - {"minor"}
            assert bool(worst) is (entry.fields["result"] in ("S", "R"))
    assert failed >= 20
    assert failed - visited <= 5


def test_make_fleet__hero_reads_as_a_story() -> None:
    (hero,) = with_story(HERO)
    assert hero is fleet()[0]
    assert 25 <= len(hero.entries) <= 30
    kinds = Counter(entry.kind for entry in hero.entries)
    assert {kind: kinds[kind] for kind in ("vehicle.inspection/1", "vehicle.accident/1", "vehicle.assistance/1")} == {
        "vehicle.inspection/1": 4,
        "vehicle.accident/1": 2,
        "vehicle.assistance/1": 2,
    }
    assert kinds["passport.transferred/1"] == kinds["vehicle.odometer_replacement/1"] == 1
    sale = next(entry for entry in hero.entries if entry.fields.get("type") == "sale_declared")
    assert sale.fields["currency"] == "EUR"
    assert 300_000 < sale.fields["price_cents"] < 2_000_000
    assert [entry.fields["result"] for entry in hero.entries if "result" in entry.fields] == ["A", "S", "A", "A"]


# ---- names that belong to nobody


def test_make_vin__possible_unique_and_visibly_invented() -> None:
    vins = {make_vin(MODELS[0], 2020, number) for number in range(3_000)}
    assert len(vins) == 3_000
    for vin in vins:
        assert not check_vin(vin).is_legacy
        assert vin[3:6] == "ZZZ"
        assert vin.endswith("000")
    assert {vehicle.subject.value[3:6] for vehicle in fleet()} == {"ZZZ"}
    assert len({vehicle.subject for vehicle in fleet()}) == 240


def test_make_french_plate__possible_unique_and_never_issued() -> None:
    plates = {make_french_plate(number).value for number in range(20_000)}
    assert len(plates) == 20_000
    for plate in plates:
        assert check_plate("FR", plate) == plate
        assert "-000-" in plate


def test_make_british_plate__possible_and_unique() -> None:
    plates = {make_british_plate(number).value for number in range(2_000)}
    assert len(plates) == 2_000
    for plate in plates:
        assert check_plate("GB", plate) == plate


def test_make_vin__a_letter_that_is_never_in_a_vin_would_be_refused() -> None:
    with pytest.raises(Refused) as refused:
        check_vin(make_vin(MODELS[0]._replace(wmi="VFO"), 2020, 1))
    assert refused.value.reason is Reason.INVALID_VIN


def test_draws__are_those_of_the_seed_and_label() -> None:
    assert [Draws(1, "a").below(1000) for _ in range(2)] == [Draws(1, "a").below(1000)] * 2
    assert Draws(1, "a").take_bytes() != Draws(1, "b").take_bytes() != Draws(2, "b").take_bytes()
    draws = Draws(7, "spread")
    counts = Counter(draws.between(1, 6) for _ in range(6_000))
    assert set(counts) == set(range(1, 7))
    assert all(850 < count < 1_150 for count in counts.values())
    assert sorted(draws.sample(range(5), 9)) == list(range(5))
