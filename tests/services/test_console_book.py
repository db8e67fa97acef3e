"""A member's book: its own entries alone, in the order of their sealing, found again page by page, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.authored import find_first_submission, list_newer
from carnet.services.appending import NewEntry
from carnet.services.console.book import count_days, list_own, parse_day
from carnet.services.principals import VISITOR, Principal, Role, Standing
from carnet.types import Basis
from tests.node.home import TestNode, make_node, more, new_passport, occurred, reading, vin_subject
from tests.services.town import HOLDER, make_town

DAY_MS = 86_400_000
COUNT = 1 + 1 + 300


def staff_of(member: bytes) -> Principal:
    return Principal(Standing.STAFF, account="acc_" + "0" * 32, member=member, role=Role.CLERK)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TestNode]:
    """The operator opens three passports with five readings each; a garage writes 1, 1 and a day later 300 in two."""
    node = make_node(tmp_path)
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(n, *range(5)) for n in range(3)])
        garage = writer.enrol_member("A garage", "garage").id
        for count in (1, 1, 300):
            with node.read() as reader:
                chains = [reader.find_chain(vin_subject(n)) for n in (0, 1)]
            if count > 1:
                node.clock.now += DAY_MS
            halves = [count] if count == 1 else [count // 2, count // 2]
            groups = [
                more(chain, *(reading(vin_subject(n), km) for km in range(half)))
                for n, (chain, half) in enumerate(zip(chains, halves, strict=False))
            ]
            writer.append(garage, Basis.HOSTED, groups)
    yield node
    node.check()


def find_garage(node: TestNode) -> Principal:
    with node.read() as reader:
        return staff_of(next(one.id for one in reader.state.members.all if one.name == "A garage"))


def test_list_own__gives_each_own_entry_once_page_by_page(node: TestNode) -> None:
    garage, seen, after = find_garage(node), list[str](), None
    with node.read() as reader:
        while True:
            page = list_own(reader, garage, limit=97, starting_after=after)
            seen += [one.id for one in page.entries]
            assert {one.kind for one in page.entries} == {"vehicle.odometer/1"}
            if not page.has_more:
                break
            after = page.entries[-1].cursor
        own = {
            f"ent_{entry.sid.hex()}"
            for n in (0, 1)
            for entry in reader.read_entries(reader.get_chain(reader.get(str(vin_subject(n)))).chain16)
            if entry.member == garage.member
        }
        sealed = [one.sealed_at for one in list_own(reader, garage, limit=200).entries]
    assert len(seen) == COUNT
    assert set(seen) == own
    assert sealed == sorted(sealed, reverse=True)


def test_list_own__leaves_out_what_a_holder_said_through_the_member(tmp_path: Path) -> None:
    """Staff of whoever signs for holders would else read there whose vehicle it is."""
    town = make_town(tmp_path)
    try:
        passport = town.open()
        town.held.holders[passport] = "acc_holder"
        note = NewEntry(kind="vehicle.declared/1", occurred=occurred(), fields={"type": "note", "note": "x"})
        town.append(HOLDER, note, passport=passport)
        with town.read() as reader:
            (signer,) = {one.member for one in reader.read_entries(passport) if one.kind == note.kind}
            assert list_own(reader, staff_of(signer)).entries == []
    finally:
        town.close()


def test_list_own__of_a_period_and_of_kinds(node: TestNode) -> None:
    operator = staff_of(node.operator.id)
    with node.read() as reader:
        opened = list_own(reader, operator, kinds=["passport.opened/1"])
        begun = reader.get_record(reader.state.size - 1)["at"]
        assert isinstance(begun, int)
        early = list_own(reader, find_garage(node), until=begun - DAY_MS // 2)
        late = list_own(reader, find_garage(node), since=begun - DAY_MS // 2, limit=1)
    assert [one.seq for one in opened.entries] == [0, 0, 0]
    assert len(early.entries) == 2
    assert late.has_more


def test_list_own__refused_for_nobody_and_for_what_is_no_cursor(node: TestNode) -> None:
    garage = find_garage(node)
    with node.read() as reader:
        with pytest.raises(Refused) as refused:
            list_own(reader, VISITOR)
        assert refused.value.reason is Reason.UNKNOWN_MEMBER
        for wrong in ("x", "pas_" + "0" * 32 + ".1", "pas_" + "0" * 32):
            with pytest.raises(Refused) as refused:
                list_own(reader, garage, starting_after=wrong)
            assert refused.value.reason is Reason.VALUE_OUT_OF_RANGE
        with pytest.raises(Refused) as refused:
            list_own(reader, garage, kinds=["vehicle.nothing/1"])
        assert refused.value.reason is Reason.UNKNOWN_KIND


def test_count_days__says_what_was_sealed_on_which_day(node: TestNode) -> None:
    today = datetime.fromtimestamp(node.clock() / 1000, UTC).date()
    with node.read() as reader:
        days = count_days(reader, find_garage(node), today - timedelta(days=6), today)
        others = count_days(reader, staff_of(node.operator.id), today - timedelta(days=6), today)
        assert [day.total for day in days][-2:] == [2, 300]
        assert sum(day.total for day in days) == COUNT
        assert sum(day.kinds.get("passport.opened/1", 0) for day in others) == 3
        for first, last in ((today, today - timedelta(days=1)), (today - timedelta(days=400), today)):
            with pytest.raises(Refused):
                count_days(reader, find_garage(node), first, last)


def test_list_newer__goes_on_where_it_was(node: TestNode) -> None:
    with node.read() as reader:
        lines, last = list_newer(reader, {"passport.opened/1"}, 0)
        assert len(lines) == 3
        assert list_newer(reader, {"passport.opened/1"}, last) == ([], last)
        assert list_newer(reader, {"passport.opened/1"}, lines[0].place.submission)[0] == []
        assert find_first_submission(reader.connection, reader.state.size) == last + 1


@pytest.mark.parametrize("text", ["", "2026-02-30", "26-1-1", "2026-01-01T00:00"])
def test_parse_day__refused_invalid_time(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_day(text, "since")
    assert refused.value.reason is Reason.INVALID_TIME
    assert parse_day("2026-01-31", "since") == date(2026, 1, 31)
