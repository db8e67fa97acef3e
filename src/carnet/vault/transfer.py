"""Every row of one store in another, whichever databases they are: for a move, and for a backup of a server's store.

It refuses to judge what it copies, and to decide which of both is the store from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from sqlalchemy import MetaData

from carnet.vault.names import make_names
from carnet.vault.store import Connection
from carnet.vault.tables import metadata

ROWS: Final = 4000
"""Rows that are held at once."""

Progress = Callable[[int, int], None]
"""Is told (rows copied, rows)."""


def copy_rows(
    source: Connection, target: Connection, progress: Progress | None = None, tables: MetaData = metadata
) -> int:
    """Copy all tables, those of the node's store or others; `source` is within a read, `target` within a write and
    without rows but those that its schema was made with. How many rows there are."""
    total, done = count_rows(source, tables), 0
    for table in tables.sorted_tables:
        names = [column.name for column in table.columns]
        listed = ", ".join(f'"{name}"' for name in names)
        order = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
        target.execute(f'DELETE FROM "{table.name}"')  # noqa: S608 - our own words
        insert = f"INSERT INTO {table.name} VALUES ({','.join('?' * len(names))})"  # noqa: S608
        rows = iter(source.stream(f'SELECT {listed} FROM "{table.name}" ORDER BY {order}'))  # noqa: S608
        for chunk in _chunks(rows):
            target.insert_many(insert, chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
    if tables is metadata:
        make_names(target)
    return done


def count_rows(connection: Connection, tables: MetaData = metadata) -> int:
    """How many rows all tables have."""
    return sum(
        int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608 - our own words
        for name in tables.tables
    )


def _chunks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while chunk := list(islice(rows, ROWS)):
        yield chunk
