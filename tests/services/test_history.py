"""A history by pages and groups: nothing is lost between two pages."""

from __future__ import annotations

from carnet.passport.kinds import all_kinds
from carnet.services.history import GROUPS, PAGE_SIZE, make_page
from tests.services.lives import Life


def test_history__pages_together_are_the_whole_newest_first() -> None:
    life = Life()
    for number in range(PAGE_SIZE * 2 + 7):
        life.read(f"{2000 + number // 12}-{number % 12 + 1:02d}-01", number)
    seen, after = [], 0
    while after is not None:
        page = make_page(life.entries, after=after)
        seen += [entry.seq for _, entries in page.years for entry in entries]
        after = page.older
    assert seen == sorted(range(len(life.entries)), reverse=True)


def test_history__groups_choose_and_count() -> None:
    life = Life()
    life.read("2020-01-01", 1)
    life.inspect("2021-01-01")
    life.say("passport.contested", "2021-02-01", contests=0, reason="other")
    page = make_page(life.entries, ["inspections", "passport"])
    assert (page.total, page.older) == (2, None)
    assert [year for year, _ in page.years] == ["2021"]


def test_history__every_kind_of_a_history_has_a_group() -> None:
    beginnings = tuple(name for names in GROUPS.values() for name in names)
    without = {kind for kind in all_kinds() if not kind.startswith((*beginnings, "journal."))}
    assert without == {"vehicle.trip/1"}
