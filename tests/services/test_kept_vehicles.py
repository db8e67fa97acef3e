"""A vehicle that is kept is the one that would be opened now: whatever is appended, corrected or erased."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.reader import open_reader
from carnet.services.access import View
from carnet.services.erasing import erase, plan_erasure
from carnet.services.vehicles import KeptVehicles, open_vehicle
from carnet.types import Basis
from tests.node.home import TestNode, make_node, new_passport, vin_subject

TODAY = date(2026, 11, 25)


def open_node(path: Path) -> tuple[TestNode, View]:
    node = make_node(path)
    writer = node.open()
    writer.append(node.operator.id, Basis.REPORTED, [new_passport(0, 10)])
    with node.read() as reader:
        passport = reader.get(str(vin_subject(0)))
    return node, View(passport, None, "acc_holder", 0)


def test_kept__is_the_same_until_something_is_written(tmp_path: Path) -> None:
    node, view = open_node(tmp_path / "home")
    kept = KeptVehicles()
    with node.read() as reader:
        first = kept.open(reader, view, TODAY)
        assert kept.open(reader, view, TODAY) is first
        assert first == open_vehicle(reader, view, TODAY)
        assert kept.open(reader, view, date(2026, 11, 26)) is not first
        node.writers[0].append(node.operator.id, Basis.REPORTED, [new_passport(1, 10)])
        node.writers[0].take_census()
        reader.refresh()
        assert kept.open(reader, view, TODAY) == open_vehicle(reader, view, TODAY)
    node.close()


def test_kept__an_erased_entry_is_not_shown_again(tmp_path: Path) -> None:
    node, view = open_node(tmp_path / "home")
    home, kept = Home(node.path), KeptVehicles()
    with node.read() as reader:
        assert kept.open(reader, view, TODAY).last_reading is not None
    node.close()
    with open_reader(home.path) as reader:
        plan = plan_erasure(reader, view.passport.hex(), [1])
    erase(home, plan, "holder_request", None, "a test")
    with open_reader(home.path) as reader:
        seen = kept.open(reader, view, TODAY)
        assert seen.entries[1].is_erased
        assert seen == open_vehicle(reader, view, TODAY)


def test_kept__refused_unknown_passport_for_a_view_that_is_not_whole(tmp_path: Path) -> None:
    node, view = open_node(tmp_path / "home")
    kept = KeptVehicles()
    with node.read() as reader:
        kept.open(reader, view, TODAY)
        with pytest.raises(Refused) as refused:
            kept.open(reader, View(view.passport, node.operator.id, None, 0), TODAY)
    assert refused.value.reason is Reason.UNKNOWN_PASSPORT
    node.close()
