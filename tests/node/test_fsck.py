"""`fsck` against a store in which one value after another is changed through SQL: it names the table, every time."""

from __future__ import annotations

import multiprocessing
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer

from carnet.node.fsck import check_home
from carnet.node.fsck.findings import Progress
from carnet.node.home import Home
from carnet.node.jobs import Group
from carnet.types import Basis, Mark
from carnet.vault.names import forget_names, note_names
from carnet.vault.store import Connection, open_store
from carnet.vault.tables import metadata
from tests.node.conftest import ON_FILE
from tests.node.home import (
    TestNode,
    forget_constraints,
    make_item,
    make_node,
    more,
    new_passport,
    opening,
    reading,
    vin_subject,
)

NOT_COVERED = {
    (
        "entry",
        "source",
    ): "a keyed digest of a file's row, which is not kept: a changed one lets a row be imported again",
    ("writer", "term"): "a number that every writer raises; nothing is proved by it",
    ("writer", "holder"): "who wrote last, for people",
}
"""Columns whose change nothing notices, each with the reason. docs/trust.md says the same to people."""

SAID_BY_ANOTHER = {
    # A primary key that is changed leaves a row missing where it was: the table that points there may be named.
    ("log_record", "idx"): {"log_record"},
    ("author_key", "id"): {"submission", "author_key"},
    ("submission", "id"): {"entry", "submission"},
    ("chain", "id"): {"chain", "entry", "passport_key"},
    ("schema", "id"): {"entry", "schema"},
    ("erasure", "id"): {"erased_entry", "erased_link", "tombstone"},
}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TestNode:
    """A store in which every column holds a value: censuses, corrections, a closing, growth after a census, a move,
    erasures. Whoever changes it puts back what was there: on a server there is only one of it."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").make_url()
    node = make_node(tmp_path_factory.mktemp("full"), store_url=url)
    with node.open() as writer:
        authority = writer.enrol_member("Registry", "registration_authority")
        subject = vin_subject(9)
        items = [
            opening(subject),
            make_item("vehicle.odometer/1", subject, odometer_state="not_stated"),
            make_item("passport.closed/1", subject, reason="destroyed"),
        ]
        receipts = writer.append(authority.id, Basis.HOSTED, [Group(items)]).receipts
        sourced = Group([opening(vin_subject(1)), reading(vin_subject(1), 7, source=b"s" * 16)])
        writer.append(node.operator.id, Basis.REPORTED, [sourced, new_passport(2, 10, 20), new_passport(3)])
        # So many that the tree of the census has a page and buckets.
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(number) for number in range(100, 140)])
        writer.take_census()
        undo = make_item("passport.corrected/1", subject, Mark.SUPERSEDES, receipts[1].sid, reason="other")
        writer.append(authority.id, Basis.HOSTED, [more(writer.find_chain(subject), undo)])
        target = writer.node_id[::-1] + bytes(16)
        ref = writer.find_chain(vin_subject(2))
        moved = make_item("passport.moved/1", vin_subject(2), Mark.MOVE, target, new_home=target[:16].hex())
        outcome = writer.append(node.operator.id, Basis.HOSTED, [more(ref, moved)])
        assert outcome.refusals == []
        writer.append(
            node.operator.id, Basis.REPORTED, [more(writer.find_chain(vin_subject(3)), reading(vin_subject(3), 1))]
        )
        erased = [
            Group(
                [
                    opening(vin_subject(n)),
                    reading(vin_subject(n), 7, source=bytes((n,)) * 16),
                    reading(vin_subject(n), 8),
                ]
            )
            for n in (4, 5)
        ]
        both = writer.append(node.operator.id, Basis.REPORTED, erased).receipts
        writer.erase(both[0].chain16, [1, 2], "holder_request")
        writer.erase(both[3].chain16, None, "retention_over")
        writer.append(
            node.operator.id, Basis.REPORTED, [more(writer.find_chain(vin_subject(100)), reading(vin_subject(100), 1))]
        )
        writer.revoke_key(authority.id, authority.keys[0].digest)
    node.check()
    if url is not None:
        with open_store(url) as store:
            for table in metadata.tables:
                query = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = ?::regclass"
                for (name,) in store.connection.execute(query, (f'"{table}"',)).fetchall():
                    store.connection.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{name}"')
    return node


@contextmanager
def changing(home: Path) -> Iterator[Connection]:
    """The store of a home, in a session that checks nothing."""
    with open_store(Home(home).address) as store:
        forget_constraints(store.connection)
        if store.connection.is_file:
            store.connection.execute("PRAGMA ignore_check_constraints = ON")
        yield store.connection


def columns() -> list[tuple[str, str]]:
    return [(table.name, column.name) for table in metadata.sorted_tables for column in table.columns]


def change(value: Any, column: Column[Any]) -> Any:
    """Another value of the same type and size."""
    if value is None:
        return 1000 if isinstance(column.type, Integer) else b"\x01" * 16
    if isinstance(value, int):
        return value + 1000
    if isinstance(value, bytes):
        middle = len(value) // 2
        return value[:middle] + bytes((value[middle] ^ 1,)) + value[middle + 1 :]
    return value + "x"


def rows_to_change(connection: Connection, table: str, column: str) -> list[tuple[str, tuple[Any, ...]]]:
    """(condition, its values) of one row for each distinct case: first, last, and the first and last that hold a
    value."""
    keys = [c.name for c in metadata.tables[table].primary_key.columns]
    named = ", ".join(f'"{key}"' for key in keys)
    found = []
    for where in ("1 = 1", f'"{column}" IS NOT NULL'):
        for order in ("ASC", "DESC"):
            by = ", ".join(f'"{key}" {order}' for key in keys)
            row = connection.execute(f"SELECT {named} FROM {table} WHERE {where} ORDER BY {by} LIMIT 1").fetchone()
            if row is not None and row not in found:
                found.append(row)
    condition = " AND ".join(f'"{key}" = ?' for key in keys)
    return [(condition, tuple(row)) for row in found]


@pytest.mark.parametrize("table,column", columns(), ids=lambda name: name)
def test_check_home__names_the_table_of_every_changed_value(
    full: TestNode, tmp_path: Path, table: str, column: str
) -> None:
    home = tmp_path / "home"
    shutil.copytree(full.path, home)
    with changing(home) as connection:
        cases = rows_to_change(connection, table, column)
        assert cases, "the full store holds no row of this table"
        for condition, key in cases:
            old = connection.execute(f'SELECT "{column}" FROM {table} WHERE {condition}', key).fetchone()[0]
            new = change(old, metadata.tables[table].columns[column])
            connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE {condition}', (new, *key))
            named = {finding.table for finding in check_home(home)}
            changed_key = tuple(
                new if c.name == column else k
                for c, k in zip(metadata.tables[table].primary_key.columns, key, strict=True)
            )
            connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE {condition}', (old, *changed_key))
            if (table, column) in NOT_COVERED:
                # A value where an erasure left none is noticed all the same.
                assert named == set() or old is None, f"{table}.{column} is covered after all: take it off the list"
            else:
                wanted = SAID_BY_ANOTHER.get((table, column), {table})
                assert named & wanted, f"{table}.{column} of {key}: {old!r} became {new!r}, and only {named} was named"
    assert check_home(home) == []


@pytest.mark.parametrize(
    "change,table",
    [
        ("UPDATE submission SET created_ms = created_ms + 0.5 WHERE id = 1", "submission"),
        ("UPDATE chain SET head_seq = head_seq + 0.5 WHERE id = 3", "chain"),
        ("UPDATE chain SET head_seq = 'none' WHERE id = 3", "chain"),
        ("UPDATE member_leaf SET member = member + 0.5 WHERE member = 0", "member_leaf"),
        ("UPDATE submission SET seal = seal + 0.5 WHERE id = 1", "submission"),
    ],
)
def test_check_home__names_the_table_where_a_number_is_none(tmp_path: Path, change: str, table: str) -> None:
    """A file's columns take any value, whatever they were made for: no such one ends the check itself."""
    node = make_node(tmp_path)
    with node.open() as writer:
        sealed = writer.append(node.operator.id, Basis.REPORTED, [new_passport(number, 1) for number in (1, 2, 3)])
        # The part that is gone may have been the one that was sealed last.
        writer.erase(sealed.receipts[0].chain16, None, "retention_over")
    node.check()
    with changing(node.path) as connection:
        assert connection.execute(change).rowcount == 1
        assert table in {finding.table for finding in check_home(node.path, worker_count=0)}


@pytest.mark.parametrize("table", [table.name for table in metadata.sorted_tables], ids=lambda name: name)
def test_check_home__notices_a_missing_row(full: TestNode, tmp_path: Path, table: str) -> None:
    home = tmp_path / "home"
    shutil.copytree(full.path, home)
    with changing(home) as connection:
        condition, key = rows_to_change(connection, table, metadata.tables[table].primary_key.columns[0].name)[-1]
        row = connection.execute(f"SELECT * FROM {table} WHERE {condition}", key).fetchone()
        connection.execute(f"DELETE FROM {table} WHERE {condition}", key)
        found = check_home(home)
        connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)
        if table != "checkpoint":
            # An older checkpoint is as good: nothing signed is contradicted.
            assert found != []
    assert check_home(home) == []


@ON_FILE
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM chain_name WHERE is_blind = 0 AND chain = 2",
        "DELETE FROM chain_name WHERE is_blind = 1 AND chain = 2",
        "UPDATE chain_name SET name = x'0011223344556677' WHERE is_blind = 1 AND chain = 2",
        "UPDATE chain_name SET chain = 1 WHERE is_blind = 0 AND chain = 2",
        "INSERT INTO new_chain_name SELECT * FROM chain_name WHERE is_blind = 1 AND chain = 2",
        "INSERT INTO new_chain_name VALUES (0, x'0011223344556677', 2)",
        "INSERT INTO chain_name VALUES (1, x'0011223344556677', 99)",
    ],
)
def test_check_home__names_the_index_of_a_file(node: TestNode, change: str) -> None:
    """A chain that is not found by its id or its subject, or a name of none."""
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(number, 1) for number in (1, 2, 3)])
        writer.take_census()
    assert check_home(node.path) == []
    with changing(node.path) as connection:
        assert connection.execute(change).rowcount == 1
    assert "chain_name" in {finding.table for finding in check_home(node.path)}


@ON_FILE
@pytest.mark.parametrize("column", ["chain16", "blind"])
def test_check_home__names_chains_that_share_a_name(node: TestNode, column: str) -> None:
    """No unique index of a file forbids it."""
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(number, 1) for number in (1, 2)])
    with changing(node.path) as connection:
        forget_names(connection, 2)
        connection.execute(f"UPDATE chain SET {column} = (SELECT {column} FROM chain WHERE id = 1) WHERE id = 2")
        note_names(connection, connection.execute("SELECT id, chain16, blind FROM chain WHERE id = 2").fetchall())
    found = check_home(node.path)
    assert "that of chain 1 too" in [one.what for one in found if (one.table, one.column) == ("chain", column)]


def test_check_home__tells_where_a_block_holds_more_than_the_ledger_makes(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(1, 1)])
    with changing(node.path) as connection:
        # Moved into the first block, the seal would not be looked at, nor anything after it.
        ((index, leaf),) = connection.execute("SELECT idx, leaf FROM log_record WHERE type = 'seal'").fetchall()
        ((_, first),) = connection.execute("SELECT idx, leaf FROM log_record WHERE idx = 2").fetchall()
        height, own = (re.search(rb'"height":[0-9]+', one) for one in (first, leaf))
        assert height is not None
        assert own is not None
        connection.execute(
            "UPDATE log_record SET leaf = ? WHERE idx = ?", (leaf.replace(own.group(), height.group()), index)
        )
        assert any("the ledger would log" in finding.what for finding in check_home(node.path, worker_count=0))


def test_check_home__entries_swapped_between_chains(full: TestNode, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(full.path, home)
    with changing(home) as connection:
        rows = connection.execute(
            "SELECT chain, content, secret FROM entry WHERE seq = 1 ORDER BY chain LIMIT 2"
        ).fetchall()
        found = set()
        for order in (reversed(rows), rows):
            for (chain, _, _), (_, content, secret) in zip(rows, order, strict=True):
                connection.execute(
                    "UPDATE entry SET content = ?, secret = ? WHERE seq = 1 AND chain = ?", (content, secret, chain)
                )
            found |= {finding.table for finding in check_home(home)}
    assert "entry" in found
    assert check_home(home) == []


def test_check_home__tells_how_far_it_is(full: TestNode) -> None:
    told: list[Progress] = []
    assert check_home(full.path, progress=told.append) == []
    assert told[-1].table == "entry"
    assert told[-1].done == told[-1].total > 0


def test_not_covered__is_told_to_people() -> None:
    page = (Path(__file__).parents[2] / "docs" / "trust.md").read_text(encoding="utf-8")
    rows = {
        tuple(cell.strip(" `") for cell in line.split("|")[1:3]) for line in page.splitlines() if line.startswith("| `")
    }
    assert rows == set(NOT_COVERED)


def fill(node: TestNode, count: int) -> None:
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(number, 1, 2) for number in range(count)])
        writer.take_census()


@pytest.mark.parametrize("worker_count", [1, 3])
def test_check_home__several_processes_find_the_same(node: TestNode, worker_count: int) -> None:
    fill(node, 60)
    told: list[Progress] = []
    assert check_home(node.path, progress=told.append, worker_count=worker_count) == []
    assert told[-1].done == told[-1].total == 180
    copied = (
        "seq, kind, basis, class, mark, target, sid, submission, sub_index, seal, position, location, source, secret,"
        " content"
    )
    with changing(node.path) as connection:
        connection.execute("UPDATE entry SET secret = content WHERE chain = 3 AND seq = 1")
        connection.execute("UPDATE chain SET head_epoch = 9 WHERE id = 40")
        connection.execute(f"INSERT INTO entry SELECT 9999, {copied} FROM entry WHERE chain = 5")
        connection.execute("DELETE FROM entry WHERE chain = 20")
        alone = check_home(node.path, worker_count=0)
        assert {finding.key for finding in alone} >= {(3, 1), 40, 9999, 20}
        assert check_home(node.path, worker_count=worker_count) == alone


def test_check_home__several_processes_see_one_moment_while_another_writes(node: TestNode) -> None:
    writer = node.open()
    is_over = threading.Event()

    def write() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            writer.append(node.operator.id, Basis.REPORTED, [new_passport(number, 1, 2)])
            writer.take_census()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(3):
            assert check_home(node.path, worker_count=2) == []
    finally:
        is_over.set()
        thread.join()


def test_check_home__a_process_that_is_killed_is_told(node: TestNode) -> None:
    """Whatever ends a process of several, a store is not called clean that was not wholly read."""
    fill(node, 60)

    def kill(progress: Progress) -> None:
        if progress.table == "entry":
            for child in multiprocessing.active_children():
                if child.name == "carnet-fsck":
                    child.kill()
                    child.join()

    with pytest.raises(BrokenProcessPool, match="has ended"):
        check_home(node.path, progress=kill, worker_count=2)
