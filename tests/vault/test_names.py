"""The index of chains' names in a file: found in both tables, merged, forgotten, and made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.vault.names import (
    MERGED_TOGETHER,
    NAME_BYTES,
    count_surplus_names,
    count_wrong_names,
    find_number,
    find_shared_names,
    forget_names,
    make_names,
    merge_names,
    note_names,
    where_between,
)
from carnet.vault.store import Connection, create_store


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with create_store(tmp_path / "a.db") as store:
        yield store.connection


def make_id(number: int) -> bytes:
    """Ids of which each two begin with the same bytes, and more than the index has of them."""
    return (number // 2).to_bytes(NAME_BYTES, "big")[::-1] + number.to_bytes(16 - NAME_BYTES, "big")


def make_blind(number: int) -> bytes:
    return bytes(255 - byte for byte in make_id(number))


def add(connection: Connection, *numbers: int) -> None:
    """New chains, as the writer enters them; those of odd numbers are journals without a blind index."""
    chains = [(number, make_id(number), None if number % 2 else make_blind(number)) for number in numbers]
    for number, chain16, blind in chains:
        row = (number, chain16, blind, b"subject", bytes(32))
        connection.execute("INSERT INTO chain VALUES (?, ?, 1, NULL, ?, ?, 0, 0, 0, ?, 0, NULL, NULL, NULL)", row)
    note_names(connection, chains)


def count(connection: Connection) -> tuple[int, int]:
    """Names in the large table, and in the small one."""
    tables = ("chain_name", "new_chain_name")
    large, small = (connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    return large, small


def is_whole(connection: Connection) -> bool:
    wrong = connection.execute(f"SELECT count(*) FROM chain WHERE {count_wrong_names(connection)} <> 0").fetchone()[0]
    return (wrong, count_surplus_names(connection), list(find_shared_names(connection))) == (0, 0, [])


def check_found(connection: Connection, *numbers: int) -> None:
    for number in numbers:
        assert find_number(connection, "chain16", make_id(number)) == number
        assert find_number(connection, "blind", make_blind(number)) == (None if number % 2 else number)
        assert find_number(connection, "blind", make_id(number)) is None
    assert is_whole(connection)


def test_find_number__in_either_table_and_by_the_whole_name(connection: Connection) -> None:
    add(connection, 2, 3, 4)
    check_found(connection, 2, 3, 4)
    assert count(connection) == (0, 5)
    merge_names(connection)
    add(connection, 5, 6)
    check_found(connection, 2, 3, 4, 5, 6)
    assert count(connection) == (5, 3)
    assert find_number(connection, "chain16", make_id(7)) is None, "it begins as the id of chain 6"
    assert find_number(connection, "blind", make_blind(5)) is None, "it begins as the blind index of chain 4"


def test_note_names__merges_at_every_so_many_chains(connection: Connection) -> None:
    before = MERGED_TOGETHER - 1
    add(connection, before - 1, before)
    assert count(connection) == (0, 3)
    add(connection, before + 1, before + 2)
    assert count(connection) == (6, 0)
    add(connection, before + 3)
    assert count(connection) == (6, 2)
    check_found(connection, *range(before - 1, before + 4))


def test_merge_names__undone_with_its_transaction(connection: Connection) -> None:
    add(connection, 2, 3)
    connection.begin_write()
    add(connection, 4)
    merge_names(connection)
    assert count(connection) == (5, 0)
    connection.rollback()
    assert count(connection) == (0, 3)
    check_found(connection, 2, 3)


@pytest.mark.parametrize("is_merged", [False, True])
def test_forget_names__of_one_chain_alone(connection: Connection, is_merged: bool) -> None:
    add(connection, 4, 5, 6)
    if is_merged:
        merge_names(connection)
    forget_names(connection, 4)
    connection.execute("DELETE FROM chain WHERE id = 4")
    assert sum(count(connection)) == 3
    assert find_number(connection, "chain16", make_id(4)) is None
    check_found(connection, 5, 6)


def test_make_names__of_all_chains(connection: Connection) -> None:
    numbers = [1, 2, 3, MERGED_TOGETHER - 1, MERGED_TOGETHER, 3 * MERGED_TOGETHER + 5]
    add(connection, *numbers)
    for table in ("chain_name", "new_chain_name"):
        connection.execute(f"DELETE FROM {table}")
    assert not is_whole(connection)
    make_names(connection)
    assert count(connection) == (8, 0)
    check_found(connection, *numbers)


def test_where_between__in_either_table(connection: Connection) -> None:
    add(connection, 2, 3, 4, 5)
    merge_names(connection)
    add(connection, 6, 7, 8)
    query = f"SELECT id FROM chain WHERE {where_between(connection)} ORDER BY chain16"
    found = connection.execute(query, {"low": make_id(3), "high": make_id(6)}).fetchall()
    assert [number for (number,) in found] == [3, 4, 5, 6]


@pytest.mark.parametrize("name", ["chain16", "blind"])
@pytest.mark.parametrize("tables", ["one", "both"])
def test_find_shared_names__says_which_chains(connection: Connection, name: str, tables: str) -> None:
    add(connection, 2)
    if tables == "both":
        merge_names(connection)
    add(connection, 4, 6)
    value = connection.execute(f"SELECT {name} FROM chain WHERE id = 2").fetchone()[0]
    forget_names(connection, 6)
    connection.execute(f"UPDATE chain SET {name} = ? WHERE id = 6", (value,))
    note_names(connection, connection.execute("SELECT id, chain16, blind FROM chain WHERE id = 6").fetchall())
    assert list(find_shared_names(connection)) == [(name, [2, 6])]
