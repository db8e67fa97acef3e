"""Timelines: newest first, filtered, page by page; the metadata view; and who is told what of a correction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from carnet.errors import Reason, Refused
from carnet.services.appending import NewEntry
from carnet.services.principals import Principal
from carnet.services.timelines import EntryMeta, Opened, Wanted, find_entry, format_time, hide_values
from tests.node.home import occurred
from tests.services.town import HOLDER, VIN, Town, make_town, reading, sid_of


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = make_town(tmp_path)
    yield town
    town.close()


@pytest.fixture
def passport(town: Town) -> bytes:
    """An opening, then five readings on five days by garage and centre in turn."""
    passport = town.open()
    for number, day in enumerate(("2019-01-01", "2021-03-04", "2020-02-03", "2022-12-31", "2023-05-04")):
        town.append(town.staff(("garage", "centre")[number % 2]), reading(number, day), subject=VIN)
    town.held.holders[passport] = "acc_holder"
    return passport


def opened(town: Town, who: Principal, passport: bytes) -> Opened:
    return Opened(town.read(), town.view(who, passport))


def days(town: Town, who: Principal, passport: bytes, **wanted: Any) -> list[str | None]:
    return [entry.occurred.at for entry in opened(town, who, passport).list(Wanted(**wanted)).entries]


def test_list__newest_first(town: Town, passport: bytes) -> None:
    assert days(town, HOLDER, passport)[1:] == ["2023-05-04", "2022-12-31", "2021-03-04", "2020-02-03", "2019-01-01"]
    assert days(town, town.staff("centre"), passport) == ["2022-12-31", "2021-03-04"]


def test_list__filters(town: Town, passport: bytes) -> None:
    kinds = frozenset({"vehicle.odometer/1"})
    garage = town.members["garage"].id
    assert days(town, HOLDER, passport, kinds=kinds, author=garage) == ["2023-05-04", "2020-02-03", "2019-01-01"]
    assert days(town, HOLDER, passport, since="2020", until="2022-11") == ["2021-03-04", "2020-02-03"]
    assert days(town, HOLDER, passport, kinds=kinds, since="2022-12-31") == ["2023-05-04", "2022-12-31"]
    assert days(town, HOLDER, passport, state="superseded") == []


def test_list__pages_give_each_entry_once(town: Town, passport: bytes) -> None:
    timeline = opened(town, HOLDER, passport)
    whole = [entry.id for entry in timeline.list(Wanted()).entries]
    found: list[str] = []
    more = True
    while more:
        page = timeline.list(Wanted(limit=2, starting_after=found[-1] if found else None))
        found += [entry.id for entry in page.entries]
        more = page.has_more
    assert found == whole
    assert len(whole) == 6


@pytest.mark.parametrize(
    "wanted", [{"limit": 0}, {"limit": 201}, {"since": "May"}, {"until": "2020-1"}, {"starting_after": "ent_00"}]
)
def test_list__refused_value_out_of_range(town: Town, passport: bytes, wanted: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        opened(town, HOLDER, passport).list(Wanted(**wanted))
    assert caught.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_list__a_cursor_from_what_is_hidden_is_none(town: Town, passport: bytes) -> None:
    newest = opened(town, HOLDER, passport).list(Wanted(author=town.members["garage"].id)).entries[0].id
    with pytest.raises(Refused) as caught:
        opened(town, town.staff("centre"), passport).list(Wanted(starting_after=newest))
    assert caught.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_describe__a_contest_is_told_to_the_author_without_who_contested(town: Town, passport: bytes) -> None:
    newest = opened(town, town.staff("garage"), passport).entries[-1]
    contest = NewEntry(
        kind="passport.contested/1", occurred=occurred(), fields={"reason": "wrong_value"}, contests=newest.sid
    )
    answer = town.append(HOLDER, contest, passport=passport)
    for who, contested_by in ((HOLDER, [answer.entry]), (town.staff("garage"), [])):
        timeline = opened(town, who, passport)
        link = find_entry(timeline, newest.sid)
        assert link is not None
        shown = timeline.describe(link)
        assert (shown.state, shown.contested_by) == ("contested", contested_by)
    assert find_entry(opened(town, town.staff("garage"), passport), sid_of(answer)) is None


def test_hide_values__leaves_no_value(town: Town, passport: bytes) -> None:
    entry = opened(town, HOLDER, passport).list(Wanted()).entries[1]
    meta = msgspec.to_builtins(hide_values(entry))
    assert type(hide_values(entry)) is EntryMeta
    assert set(meta) == set(msgspec.to_builtins(entry)) - {"fields", "subject"}
    assert VIN.value not in str(meta)
    assert meta["author"]["name"] == "The garage"


def test_describe_passport__counts_what_the_caller_sees(town: Town, passport: bytes) -> None:
    whole = opened(town, HOLDER, passport).describe_passport(None)
    own = opened(town, town.staff("centre"), passport).describe_passport(None)
    assert (whole.entry_count, whole.sees) == (6, "whole")
    assert (own.entry_count, own.sees) == (2, "own_entries")
    assert own.subject == whole.subject == VIN.to_json()


def test_format_time__of_a_moment_that_no_calendar_writes() -> None:
    assert format_time(1_795_646_691_810) == "2026-11-25T22:44:51.810Z"
    assert format_time(2**53 - 1) == "9999-12-31T23:59:59.999Z"
