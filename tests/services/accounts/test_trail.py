"""Searching the audit trail and taking it away: who may see what stays as it is for the list."""

from __future__ import annotations

import csv
import io
import json

from carnet.errors import Reason
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.trail import Search, export, make_search, search, walk
from carnet.services.principals import Role
from carnet.services.spreadsheets import BOM
from carnet.vault.people.catalogue import DAY_MS
from tests.services.accounts.ground import GARAGE, INSURER, OPERATOR, Ground
from tests.services.accounts.test_signing_in import refuse


def fill(ground: Ground) -> None:
    """Three days, with an act each."""
    with ground.office.people.write() as connection:
        for action, about, member in (
            (Action.MEMBER_ENROLLED, "mem_" + "1" * 32, GARAGE),
            (Action.MEMBER_RETIRED, "mem_" + "1" * 32, GARAGE),
            (Action.APPROVAL_ASKED, "apr_" + "2" * 32, INSURER),
        ):
            record(connection, ground.office, action, "operator", about=about, member=member, why="a ground")
            ground.clock.now += DAY_MS


def test_search__by_each_of_its_parts(ground: Ground) -> None:
    fill(ground)
    begin = ground.clock.now - 3 * DAY_MS

    def find(**wanted: object) -> list[Action]:
        return [one.action for one in search(ground.office, OPERATOR, Search(**wanted))]  # type: ignore[arg-type]

    assert find() == [Action.APPROVAL_ASKED, Action.MEMBER_RETIRED, Action.MEMBER_ENROLLED]
    assert find(action="member") == [Action.MEMBER_RETIRED, Action.MEMBER_ENROLLED]
    assert find(action="member.retired") == [Action.MEMBER_RETIRED]
    assert find(who="visitor") == []
    assert find(about="apr_" + "2" * 32) == [Action.APPROVAL_ASKED]
    assert find(member=f"mem_{GARAGE.hex()}") == [Action.MEMBER_RETIRED, Action.MEMBER_ENROLLED]
    assert find(since=begin + DAY_MS // 2, until=begin + 3 * DAY_MS // 2) == [Action.MEMBER_RETIRED]
    (older,) = search(ground.office, OPERATOR, Search(action="member"), limit=1)
    assert [one.action for one in search(ground.office, OPERATOR, Search(action="member"), before=older.id)] == [
        Action.MEMBER_ENROLLED
    ]


def test_search__shows_a_member_its_own_matters_only(ground: Ground) -> None:
    fill(ground)
    auditor = ground.join_staff(Role.AUDITOR).principal
    assert {one.member for one in walk(ground.office, auditor, Search())} == {f"mem_{GARAGE.hex()}"}
    assert list(walk(ground.office, auditor, Search(member=f"mem_{INSURER.hex()}"))) == []


def test_make_search__reads_what_a_person_writes(ground: Ground) -> None:
    made = make_search(action=" member ", since="2026-11-24", until="2026-11-24")
    assert (made.action, (made.until or 0) - (made.since or 0)) == ("member", DAY_MS)
    assert make_search() == Search()
    refuse(Reason.INVALID_TIME, make_search, since="yesterday")
    refuse(Reason.NOT_IN_LIST, make_search, action="mem")


def test_export__holds_all_of_it_and_is_noted(ground: Ground) -> None:
    fill(ground)
    with ground.office.people.write() as connection:
        for _ in range(250):
            record(connection, ground.office, Action.DENIED, "visitor", why="-1")
    data = b"".join(export(ground.office, OPERATOR, Search(), "csv")).decode()
    rows = list(csv.DictReader(io.StringIO(data.removeprefix(BOM))))
    assert len(rows) == 254
    assert rows[0]["action"] == Action.AUDIT_EXPORTED.value
    # What would be a formula in a spreadsheet is a text.
    assert rows[1]["why"] == "'-1"
    lines = b"".join(export(ground.office, OPERATOR, Search(action="member"), "json")).splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["member.retired", "member.enrolled"]
    refuse(Reason.NOT_IN_LIST, export, ground.office, OPERATOR, Search(), "xlsx")
