"""Many rows to a PostgreSQL server at once: what an INSERT or UPDATE of ours becomes, by COPY or by one array for each
column.

It refuses to know what is in the rows, and how they are sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Table

from carnet.vault.people.tables import people
from carnet.vault.tables import metadata

_INSERT: Final = re.compile(r"INSERT INTO (\w+)(?: \(([^)]+)\))? VALUES ?\(([^)]+)\)")
_UPDATE: Final = re.compile(r"UPDATE (\w+) SET (\w+ ?= ?\?(?:, ?\w+ ?= ?\?)*) WHERE (\w+) ?= ?\?")
_COPY_TYPES: Final = {"INTEGER": "int8", "BLOB": "bytea", "TEXT": "text"}


def find_table(name: str) -> Table:
    """A table of the node's store, or of the store of people, which share a database. Raises KeyError for another."""
    table = metadata.tables.get(name)
    return people.tables[name] if table is None else table


@lru_cache(256)
def plan_copy(statement: str) -> tuple[bytes, list[str]]:
    """The COPY that does what an INSERT of ours does, and the types of its columns; raises ValueError for another
    statement."""
    found = _INSERT.fullmatch(statement)
    if found is None:
        raise ValueError(f"not an INSERT that can be copied: {statement}")
    table = find_table(found[1])
    names = [name.strip() for name in found[2].split(",")] if found[2] else [column.name for column in table.columns]
    values = [value.strip() for value in found[3].split(",")]
    if set(values) - {"?", "NULL"} or len(values) != len(names):
        raise ValueError(f"not an INSERT that can be copied: {statement}")
    chosen = [name for name, value in zip(names, values, strict=True) if value == "?"]
    listed = ", ".join(f'"{name}"' for name in chosen)
    types = [_COPY_TYPES[str(table.columns[name].type)] for name in chosen]
    return f'COPY "{table.name}" ({listed}) FROM STDIN (FORMAT BINARY)'.encode(), types


@lru_cache(256)
def plan_update(statement: str) -> tuple[bytes, list[str]]:
    """The UPDATE from arrays that does what an UPDATE of ours does for each row, and the types of its columns; raises
    ValueError for another statement."""
    found = _UPDATE.fullmatch(statement)
    if found is None:
        raise ValueError(f"not an UPDATE that can be made at once: {statement}")
    table = find_table(found[1])
    names = [part.partition("=")[0].strip() for part in found[2].split(",")]
    types = [_COPY_TYPES[str(table.columns[name].type)] for name in (*names, found[3])]
    changes = ", ".join(f'"{name}" = given."{name}"' for name in names)
    arrays = ", ".join(f"%s::{type_}[]" for type_ in types)
    listed = ", ".join(f'"{name}"' for name in (*names, found[3]))
    made = (
        f'UPDATE "{table.name}" SET {changes} FROM unnest({arrays}) AS given({listed})'  # noqa: S608 - our own words
        f' WHERE "{table.name}"."{found[3]}" = given."{found[3]}"'
    )
    return made.encode(), types


@lru_cache(16)
def plan_upsert(statement: str) -> tuple[bytes, list[str]]:
    """The INSERT from arrays that does what an INSERT of ours with ON CONFLICT does for each row, and the types of its
    columns; raises ValueError for another statement."""
    inserting, _, conflict = statement.partition(" ON CONFLICT ")
    found = _INSERT.fullmatch(inserting)
    table = None if found is None or found[2] else find_table(found[1])
    if (
        found is None
        or table is None
        or not conflict
        or found[3].replace(" ", "") != ",".join("?" * len(table.columns))
    ):
        raise ValueError(f"not an INSERT that can be made at once: {statement}")
    types = [_COPY_TYPES[str(column.type)] for column in table.columns]
    arrays = ", ".join(f"%s::{type_}[]" for type_ in types)
    made = f'INSERT INTO "{table.name}" SELECT * FROM unnest({arrays}) ON CONFLICT {conflict}'  # noqa: S608 - our own words
    return made.encode(), types


def turn_rows(types: Sequence[str], rows: Sequence[Any]) -> list[list[Any]]:
    """The columns of rows, as the driver takes arrays."""
    return [
        [None if value is None else bytes(value) for value in column] if type_ == "bytea" else list(column)
        for type_, column in zip(types, zip(*rows, strict=True), strict=True)
    ]
