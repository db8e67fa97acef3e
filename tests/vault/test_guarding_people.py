"""The policies on people's rows, one by one: each shows its own and keeps back another's, and it is the policy which
does. Design: security 14; ADR 20."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from carnet.node.home import Home
from carnet.services.guarding import set_up_guard
from carnet.types import Basis
from carnet.vault.asker import NOBODY, NODE, Asker, Office, asking_for
from carnet.vault.guarding import CHANGES, NAME, POLICIES
from carnet.vault.people.store import PeopleStore, open_people_store
from carnet.vault.people.tables import people
from carnet.vault.postgres import connect
from carnet.vault.store import PostgresError
from tests.node.home import make_node, new_passport
from tests.postgres import Cluster

ACCOUNT, MEMBER, OTHER = b"a" * 16, b"m" * 16, b"o" * 16
HOLDER, STAFF = Asker(Office.HOLDER, account=ACCOUNT), Asker(Office.MEMBER, b"s" * 16, MEMBER)
ACCOUNT_NAME, MEMBER_NAME, OTHER_NAME = f"acc_{ACCOUNT.hex()}", f"mem_{MEMBER.hex()}", f"acc_{OTHER.hex()}"
CHOSEN: dict[str, dict[str, Any]] = {
    "account": {"standing": "holder", "is_demo": 0},
    "client": {"kind": "key"},
    "contest": {"state": "open"},
    "webhook_message": {"state": "waiting"},
    "approval": {"state": "open"},
    "upkeep_job": {"act": "check", "state": "waiting"},
}
"""What the checks of a table ask for."""

WHOSE: list[tuple[str, Asker, dict[str, Any], dict[str, Any]]] = [
    ("account", HOLDER, {"id": ACCOUNT}, {"id": OTHER}),
    ("account", STAFF, {"id": ACCOUNT, "member": MEMBER}, {"id": OTHER, "member": OTHER}),
    ("passkey", HOLDER, {"account": ACCOUNT}, {"account": OTHER}),
    ("recovery_code", HOLDER, {"account": ACCOUNT}, {"account": OTHER}),
    ("session", HOLDER, {"account": ACCOUNT}, {"account": OTHER}),
    ("invitation", STAFF, {"member": MEMBER}, {"member": OTHER}),
    ("client", STAFF, {"id": ACCOUNT, "member": MEMBER}, {"id": OTHER, "member": OTHER}),
    ("api_key", STAFF, {"client": ACCOUNT}, {"client": OTHER}),
    ("oauth_key", STAFF, {"client": ACCOUNT}, {"client": OTHER}),
    ("access_token", STAFF, {"client": ACCOUNT}, {"client": OTHER}),
    ("holding", HOLDER, {"account": ACCOUNT}, {"account": OTHER}),
    ("claim_code", STAFF, {"member": MEMBER}, {"member": OTHER}),
    ("contest", HOLDER, {"claimant": ACCOUNT}, {"claimant": OTHER}),
    ("contest", HOLDER, {"holder": ACCOUNT}, {"holder": OTHER}),
    ("event", HOLDER, {"who": ACCOUNT_NAME}, {"who": OTHER_NAME}),
    ("event", HOLDER, {"about": ACCOUNT_NAME}, {"about": OTHER_NAME}),
    ("event", STAFF, {"member": MEMBER_NAME}, {"member": f"mem_{OTHER.hex()}"}),
    ("saved_mapping", STAFF, {"member": MEMBER}, {"member": OTHER}),
    ("webhook", STAFF, {"id": ACCOUNT, "member": MEMBER}, {"id": OTHER, "member": OTHER}),
    ("webhook_message", STAFF, {"webhook": ACCOUNT}, {"webhook": OTHER}),
    ("app_view", HOLDER, {"account": ACCOUNT}, {"account": OTHER}),
    ("approval", HOLDER, {"asked_by": ACCOUNT_NAME}, {"asked_by": OTHER_NAME}),
    ("member_quota", STAFF, {"member": MEMBER}, {"member": OTHER}),
    ("api_calls", STAFF, {"member": MEMBER}, {"member": OTHER}),
]
"""For a table, who asks, a row of theirs and another's."""

NODES_OWN = ["ceremony", "seen_once", "throttle", "idempotency", "webhook_cursor"]
"""Tables of which nobody else is shown anything."""


@pytest.fixture(scope="module")
def url(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database under its policies, with one passport in which STAFF's member wrote nothing."""
    url = postgres.make_url()
    node = make_node(tmp_path_factory.mktemp("node"), store_url=url)
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(1, 10)])
    guard = set_up_guard(Home(node.path))
    assert guard is not None
    assert guard.is_on
    return url


@pytest.fixture
def store(url: str) -> Iterator[PeopleStore]:
    with open_people_store(url, is_guarded=True) as store:
        yield store
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(f"TRUNCATE {', '.join(people.tables)}".encode())


def insert(store: PeopleStore, table: str, *, is_node: bool = True, **given: Any) -> None:
    """A row with these values; the others are made up, each text and each number of bytes its own."""
    chosen = CHOSEN.get(table, {}) | given
    row = {}
    for column in people.tables[table].columns:
        made = {"BLOB": repr(sorted(given.items())).encode(), "TEXT": "x", "INTEGER": 1}[str(column.type)]
        row[column.name] = chosen.get(column.name, None if column.nullable else made)
    marks = ", ".join("?" * len(row))
    with store.write() if is_node else store.change() as connection:
        connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def insert_owners(store: PeopleStore, table: str) -> None:
    """The rows that a row of this table belongs to, one of whoever asks and another's."""
    owners = {
        "session": "account",
        "api_key": "client",
        "oauth_key": "client",
        "access_token": "client",
        "webhook_message": "webhook",
    }
    owner = owners.get(table)
    if owner is not None:
        _, _, mine, theirs = next(one for one in WHOSE if one[0] == owner)
        insert(store, owner, **mine)
        insert(store, owner, **theirs)


def count(store: PeopleStore, table: str, asker: Asker) -> int:
    with asking_for(asker), store.read() as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def set_policy(url: str, table: str, seen: str) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"ALTER POLICY {NAME} ON {table} USING ({seen})".encode())


def test_policies__every_table_of_people_is_decided_and_tried_here() -> None:
    assert set(POLICIES) == {*people.tables, "passport_key"}
    tried = {table for table, *_ in WHOSE} | {*NODES_OWN, "upkeep_job", "attachment"}
    assert tried == set(POLICIES) - {"passport_key", "appearance"}


@pytest.mark.parametrize("table, asker, mine, theirs", WHOSE, ids=[f"{one[0]}-{[*one[2]][-1]}" for one in WHOSE])
def test_row__is_seen_by_whom_it_is_about_and_by_no_other(
    store: PeopleStore, url: str, table: str, asker: Asker, mine: dict[str, Any], theirs: dict[str, Any]
) -> None:
    insert_owners(store, table)
    insert(store, table, **mine)
    insert(store, table, **theirs)
    assert (count(store, table, NODE), count(store, table, asker), count(store, table, NOBODY)) == (2, 1, 0)
    with asking_for(asker), store.read() as connection:
        column = [*mine][-1]
        seen = connection.execute(f"SELECT {column} FROM {table}").fetchone()[0]
        assert (bytes(seen) if isinstance(mine[column], bytes) else seen) == mine[column]
    set_policy(url, table, "true")
    try:
        # Without the policy another's row is there: nothing else keeps it back.
        assert count(store, table, asker) == 2
    finally:
        set_policy(url, table, POLICIES[table])


@pytest.mark.parametrize("table", [*NODES_OWN, "upkeep_job"])
def test_row__of_the_node_is_shown_to_nobody(store: PeopleStore, url: str, table: str) -> None:
    insert(store, table)
    assert [count(store, table, asker) for asker in (NODE, HOLDER, STAFF, NOBODY)] == [1, 0, 0, 0]
    set_policy(url, table, "true")
    try:
        assert count(store, table, HOLDER) == 1
    finally:
        set_policy(url, table, POLICIES[table])


def test_file__is_seen_with_its_passport(store: PeopleStore, url: str) -> None:
    with closing(connect(url, is_read_only=True)) as owner:
        (chain,) = owner.execute("SELECT chain16 FROM chain WHERE type = 1").fetchone()
        (member,) = owner.execute(
            "SELECT member FROM author_key JOIN submission ON author_key = author_key.id"
        ).fetchone()
    insert(store, "attachment", chain=bytes(chain))
    insert(store, "holding", chain=bytes(chain), account=ACCOUNT, epoch=0)
    writer = Asker(Office.MEMBER, member=bytes(member))
    seen = [count(store, "attachment", asker) for asker in (NODE, HOLDER, writer, STAFF, NOBODY)]
    assert seen == [1, 1, 1, 0, 0]
    set_policy(url, "attachment", "true")
    try:
        assert count(store, "attachment", STAFF) == 1
    finally:
        set_policy(url, "attachment", POLICIES["attachment"])


def test_operator__sees_what_the_service_is_run_with_and_no_more(store: PeopleStore) -> None:
    """Of a person's own no passkey, no code, no token, no vehicle; of a member's none of its mappings."""
    for table in people.tables:
        insert(store, table)
    operator = Asker(Office.OPERATOR, account=b"p" * 16)
    kept = {table for table in people.tables if not count(store, table, operator)}
    hers = {"api_calls", "app_view", "attachment", "holding", "passkey", "recovery_code", "saved_mapping"}
    # Made up here without the rows that they belong to.
    through = {"access_token", "api_key", "oauth_key", "session", "webhook_message"}
    assert kept - through == hers | set(NODES_OWN)


def run_as(store: PeopleStore, asker: Asker, statement: str, values: tuple[Any, ...] = ()) -> int:
    """Change rows for somebody, who may read all of them; how many there were."""
    with asking_for(asker), store.change() as connection:
        return int(connection.execute(statement, values).rowcount)


@pytest.mark.parametrize("table", sorted(set(people.tables) - set(CHANGES)))
def test_row__of_these_tables_is_changed_by_the_node_alone(store: PeopleStore, url: str, table: str) -> None:
    insert(store, table)
    set_policy(url, table, "true")
    column = next(iter(people.tables[table].columns)).name
    try:
        for asker in (HOLDER, STAFF, Asker(Office.OPERATOR, account=ACCOUNT), NOBODY):
            assert run_as(store, asker, f"UPDATE {table} SET {column} = {column}") == 0
            assert run_as(store, asker, f"DELETE FROM {table}") == 0
        assert run_as(store, NODE, f"DELETE FROM {table}") == 1
    finally:
        set_policy(url, table, POLICIES[table])


CHANGED = [one for one in WHOSE if one[0] in CHANGES and one[0] != "event"]
LOOK = ("appearance", STAFF, {"member": MEMBER}, {"member": OTHER})


@pytest.mark.parametrize("table, asker, mine, theirs", [*CHANGED, LOOK], ids=[one[0] for one in [*CHANGED, LOOK]])
def test_row__is_changed_by_whose_it_is_and_by_no_other(
    store: PeopleStore, url: str, table: str, asker: Asker, mine: dict[str, Any], theirs: dict[str, Any]
) -> None:
    """Also where all of them are seen; and nobody makes one of another's, or hands theirs over."""
    insert_owners(store, table)
    insert(store, table, **mine)
    insert(store, table, **theirs)
    column = [*mine][-1]
    set_policy(url, table, "true")
    try:
        assert count(store, table, asker) == 2
        assert run_as(store, asker, f"UPDATE {table} SET {column} = {column}") == 1
        with pytest.raises(PostgresError, match="row-level security"):
            run_as(store, asker, f"UPDATE {table} SET {column} = ?", (theirs[column],))
        assert run_as(store, asker, f"DELETE FROM {table}") == 1
        with pytest.raises(PostgresError, match="row-level security"), asking_for(asker):
            insert(store, table, is_node=False, **{**theirs, **_other_key(table)})
    finally:
        set_policy(url, table, POLICIES[table])
    assert count(store, table, NODE) == 1


def _other_key(table: str) -> dict[str, Any]:
    """Values by which one more row of the same owner is no duplicate."""
    keys = [column.name for column in people.tables[table].primary_key.columns]
    return {
        key: b"k" * 16 for key in keys if key in ("id", "digest") and str(people.tables[table].c[key].type) == "BLOB"
    }


def test_trail__is_added_to_and_never_changed(store: PeopleStore) -> None:
    insert(store, "event", who=ACCOUNT_NAME)
    with asking_for(HOLDER):
        insert(store, "event", is_node=False, id=b"e" * 16, who=ACCOUNT_NAME)
        with pytest.raises(PostgresError, match="row-level security"):
            insert(store, "event", is_node=False, id=b"f" * 16, who=OTHER_NAME)
    assert run_as(store, HOLDER, "UPDATE event SET why = 'y'") == 0
    assert run_as(store, HOLDER, "DELETE FROM event") == 0
    assert count(store, "event", HOLDER) == 2


def test_store__asks_as_the_node_no_longer_than_it_was_told(store: PeopleStore) -> None:
    insert(store, "holding", account=OTHER)
    with asking_for(HOLDER):
        with store.look_up() as connection:
            assert connection.execute("SELECT count(*) FROM holding").fetchone()[0] == 1
        with store.read() as again:
            assert again is connection
            assert again.execute("SELECT count(*) FROM holding").fetchone()[0] == 0
        with pytest.raises(ZeroDivisionError), store.write() as connection:
            raise ZeroDivisionError
        with store.read() as connection:
            assert connection.execute("SELECT count(*) FROM holding").fetchone()[0] == 0
