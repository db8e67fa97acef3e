"""The index by which a file finds a chain from one of its names: its id, or the blind index of its subject.

Both are random, so that in an ordinary index each new chain changes two pages of its own, once there are some
thousands. Here the first bytes of each name stand, which take fewer pages; those of the newest chains in a small table,
which is merged into the large one in rising order, many names onto each page. What is found is a candidate: the whole
name, which stands in `chain`, decides. A server has two unique indexes instead, and none of these tables. It refuses to
know what the names are made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Literal

from carnet.vault.store import Blob, Connection

Name = Literal["chain16", "blind"]
"""The columns of `chain` by which it is found."""

NAME_BYTES: Final = 8
"""So many bytes of a name stand in the index. An erasure looks for them in every file (`vault.erasing`): fewer could be
found there by chance."""

MERGED_TOGETHER: Final = 16_384
"""The small table is merged when so many chains are new. With more of them it takes more pages itself, and with fewer a
merge finds fewer names for each page of the large one."""

_IS_BLIND: Final[dict[Name, int]] = {"chain16": 0, "blind": 1}
_TABLES: Final = ("chain_name", "new_chain_name")


def _list_candidates(name: Name, condition: str) -> str:
    """The numbers of the chains for whose entries in the index, `name`, a condition holds."""
    return " UNION ALL ".join(
        f"SELECT chain FROM {table} WHERE is_blind = {_IS_BLIND[name]} AND name {condition}"  # noqa: S608 - our own words
        for table in _TABLES
    )


_NAMED: Final = {
    name: f"chain.id IN ({_list_candidates(name, f'= substr(:name, 1, {NAME_BYTES})')}) AND chain.{name} = :name"
    for name in _IS_BLIND
}
_BETWEEN: Final = _list_candidates(
    "chain16", f"BETWEEN substr(:low, 1, {NAME_BYTES}) AND substr(:high, 1, {NAME_BYTES})"
)


def where_named(connection: Connection, name: Name) -> str:
    """The condition on `chain` that it is the one with the name `:name`."""
    return _NAMED[name] if connection.is_file else f"chain.{name} = :name"


def where_between(connection: Connection) -> str:
    """The condition on `chain` that its id lies between `:low` and `:high`."""
    condition = "chain.chain16 BETWEEN :low AND :high"
    return f"chain.id IN ({_BETWEEN}) AND {condition}" if connection.is_file else condition


def find_number(connection: Connection, name: Name, value: bytes) -> int | None:
    """The number of the chain with this name."""
    query = f"SELECT id FROM chain WHERE {where_named(connection, name)}"  # noqa: S608 - our own words
    row = connection.execute(query, {"name": value}).fetchone()
    return None if row is None else int(row[0])


def list_candidate_queries(name: Name) -> list[str]:
    """What to ask of a file, each for many beginnings of names: (beginning, number of the chain)."""
    return [
        f"SELECT name, chain FROM {table} WHERE is_blind = {_IS_BLIND[name]} AND name IN (?)"  # noqa: S608 - our own words
        for table in _TABLES
    ]


def note_names(connection: Connection, chains: Sequence[tuple[int, bytes, bytes | None]]) -> None:
    """Enter new chains: number, id, blind index."""
    if not connection.is_file or not chains:
        return
    rows: list[tuple[int, Any, int]] = [(0, Blob(chain16[:NAME_BYTES]), number) for number, chain16, _ in chains]
    rows += [(1, Blob(blind[:NAME_BYTES]), number) for number, _, blind in chains if blind is not None]
    rows.sort()
    connection.insert_many("INSERT INTO new_chain_name VALUES (?,?,?)", rows)
    if any(number % MERGED_TOGETHER == 0 for number, _, _ in chains):
        merge_names(connection)


def merge_names(connection: Connection) -> None:
    """Move the names of the newest chains to those of all others."""
    if connection.is_file:
        connection.execute("INSERT INTO chain_name SELECT * FROM new_chain_name ORDER BY is_blind, name, chain")
        connection.execute("DELETE FROM new_chain_name")


def forget_names(connection: Connection, number: int) -> None:
    """Take a chain out of the index, as long as its row is there."""
    if not connection.is_file:
        return
    for table in _TABLES:
        for name, is_blind in _IS_BLIND.items():
            own = f"SELECT substr({name}, 1, {NAME_BYTES}) FROM chain WHERE id = :chain"  # noqa: S608 - our own words
            query = f"DELETE FROM {table} WHERE is_blind = {is_blind} AND name = ({own}) AND chain = :chain"  # noqa: S608
            connection.execute(query, {"chain": number})


def make_names(connection: Connection) -> None:
    """Enter all chains, into tables that are empty: after their rows were copied."""
    if not connection.is_file:
        return
    last = connection.execute("SELECT coalesce(max(id), 0) FROM chain").fetchone()[0]
    # So many at once, since what is sorted is held in memory.
    for first in range(0, last + 1, MERGED_TOGETHER):
        part = {"first": first, "last": first + MERGED_TOGETHER - 1}
        for name, is_blind in _IS_BLIND.items():
            connection.execute(
                f"INSERT INTO chain_name SELECT {is_blind}, substr({name}, 1, {NAME_BYTES}), id FROM chain"  # noqa: S608
                f" WHERE {name} IS NOT NULL AND id BETWEEN :first AND :last ORDER BY {name}",
                part,
            )


def count_wrong_names(connection: Connection) -> str:
    """For a query of `chain`: how many of a chain's names the index lacks, or has twice; 0 where all is well."""
    if not connection.is_file:
        return "0"
    counts = [
        f"abs(({' + '.join(_count(table, name, is_blind) for table in _TABLES)}) - (chain.{name} IS NOT NULL))"
        for name, is_blind in _IS_BLIND.items()
    ]
    return " + ".join(counts)


def _count(table: str, name: Name, is_blind: int) -> str:
    return (
        f"(SELECT count(*) FROM {table} WHERE {table}.is_blind = {is_blind}"  # noqa: S608 - our own words
        f" AND {table}.name = substr(chain.{name}, 1, {NAME_BYTES}) AND {table}.chain = chain.id)"
    )


def count_surplus_names(connection: Connection) -> int:
    """How many more names the index has than the chains of the store have together."""
    if not connection.is_file:
        return 0
    (stored,) = connection.execute("SELECT count(*) + count(blind) FROM chain").fetchone()
    queries = [f"SELECT count(*) FROM {table}" for table in _TABLES]  # noqa: S608 - our own words
    return sum(int(connection.execute(query).fetchone()[0]) for query in queries) - int(stored)


def find_shared_names(connection: Connection) -> Iterator[tuple[Name, list[int]]]:
    """The numbers of chains that have one and the same name, which must be one chain's alone."""
    if not connection.is_file:
        return
    large, small = _TABLES
    within = "SELECT is_blind, name FROM {0} GROUP BY is_blind, name HAVING count(*) > 1"
    across = f"SELECT is_blind, name FROM {small} JOIN {large} USING (is_blind, name)"  # noqa: S608 - our own words
    parts = (within.format(large), within.format(small), across)
    for is_blind, beginning in connection.execute(" UNION ".join(parts)).fetchall():
        name: Name = "blind" if is_blind else "chain16"
        candidates = _list_candidates(name, "= :beginning")
        query = f"SELECT {name}, id FROM chain WHERE id IN ({candidates}) ORDER BY {name}, id"  # noqa: S608 - our own words
        rows = connection.execute(query, {"beginning": beginning}).fetchall()
        for _, same in groupby(rows, key=itemgetter(0)):
            numbers = [number for _, number in same]
            if len(numbers) > 1:
                yield name, numbers
