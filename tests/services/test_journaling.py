"""The holder's journal: who looked is sealed, in a chain that only the node can tie to the passport."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.services.journaling import (
    Access,
    find_access,
    is_sealed_soon,
    open_journal,
    prepare_look,
    record_access,
)
from carnet.types import Subject
from tests.services.town import HOLDER, VIN, Town, make_town, reading


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = make_town(tmp_path)
    yield town
    town.close()


def look(town: Town, passport: bytes, member: str) -> Access | None:
    view = town.view(town.staff(member), passport)
    return find_access(town.staff(member), view, ["vehicle.odometer/1"], 1, purpose="own entries")


def test_record_access__opens_the_journal_and_says_who_looked_and_at_what(town: Town) -> None:
    passport = town.open()
    town.append(town.staff("garage"), reading(1), subject=VIN)
    assert look(town, passport, "garage") is None, "nobody holds it yet"
    town.held.holders[passport] = "acc_holder"
    assert find_access(HOLDER, town.view(HOLDER, passport), [], 0, purpose="own vehicle") is None
    for _ in range(2):
        access = look(town, passport, "garage")
        assert access is not None
        assert record_access(town.writer, town.read(), access, town.node.clock())
    reader = town.read()
    journal = reader.find_journal(passport, 0)
    assert journal is not None
    opening, first, second = reader.read_entries(journal.chain16)
    assert (opening.kind, first.kind, second.kind) == ("journal.opened/1", "journal.accessed/1", "journal.accessed/1")
    assert first.fields is not None
    assert first.fields["assignee_member"] == town.members["garage"].id.hex()
    assert first.fields["scope"] == [{"field": None, "kind": "vehicle.odometer/1"}]
    assert VIN.value not in str(first.fields)
    assert reader.count_passports() == 1


def test_record_access__two_first_looks_at_once_share_one_journal(town: Town) -> None:
    """The second reader still sees no journal when the first one has opened it."""
    passport = town.open()
    town.append(town.staff("garage"), reading(1), subject=VIN)
    town.held.holders[passport] = "acc_holder"
    early, access = town.read(), look(town, passport, "garage")
    assert access is not None
    record_access(town.writer, town.read(), access, town.node.clock())
    assert early.find_journal(passport, 0) is None
    assert record_access(town.writer, early, access, town.node.clock())
    journal = town.read().find_journal(passport, 0)
    assert journal is not None
    assert len(list(town.read().read_entries(journal.chain16))) == 3


def test_prepare_look__is_sealed_once_however_many_were_first(town: Town) -> None:
    """Of two that saw no journal one is sealed; of the other nothing is, until it has looked again."""
    passport = town.open()
    town.append(town.staff("garage"), reading(1), subject=VIN)
    town.held.holders[passport] = "acc_holder"
    access, reader, now = look(town, passport, "garage"), town.read(), town.node.clock()
    assert access is not None
    first, second = (prepare_look(town.writer, reader, access, now) for _ in range(2))
    assert first is not None
    assert second is not None
    assert asyncio.run(is_sealed_soon(town.writer, first))
    assert not asyncio.run(is_sealed_soon(town.writer, second))
    assert record_access(town.writer, reader, access, now)
    journal = town.read().find_journal(passport, 0)
    assert journal is not None
    kinds = [link.kind for link in town.read().read_entries(journal.chain16)]
    assert kinds == ["journal.opened/1", "journal.accessed/1", "journal.accessed/1"]


def test_open_journal__once_for_each_epoch_under_names_that_have_nothing_in_common(town: Town) -> None:
    passport = town.open()
    first = open_journal(town.writer, town.read(), passport, town.node.clock())
    assert open_journal(town.writer, town.read(), passport, town.node.clock()) == first
    reader = town.read()
    names = {reader.get_journal_subject(passport, epoch).value for epoch in range(3)}
    assert len(names) == 3
    assert reader.find_subject(Subject("journal", min(names))) in (None, first)


def test_record_access__of_an_erased_journal_is_not_kept(town: Town) -> None:
    passport = town.open()
    town.append(town.staff("garage"), reading(1), subject=VIN)
    town.held.holders[passport] = "acc_holder"
    journal = open_journal(town.writer, town.read(), passport, town.node.clock())
    assert journal is not None
    town.erase(journal)
    access = look(town, passport, "garage")
    assert access is not None
    assert not record_access(town.writer, town.read(), access, town.node.clock())
