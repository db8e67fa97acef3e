"""Many rows to a PostgreSQL server at once: what an INSERT or UPDATE of ours becomes, by COPY or by one array for each
column.

It refuses to know what is in the rows, and how they are sent.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Table

from carnet.kernel import kernel
from carnet.vault.people.tables import people
from carnet.vault.tables import metadata

_INSERT: Final = re.compile(r"INSERT INTO (\w+)(?: \(([^)]+)\))? VALUES ?\(([^)]+)\)")
_UPDATE: Final = re.compile(r"UPDATE (\w+) SET (\w+ ?= ?\?(?:, ?\w+ ?= ?\?)*) WHERE (\w+) ?= ?\?")
_COPY_TYPES: Final = {"INTEGER": "int8", "BLOB": "bytea", "TEXT": "text"}
_INTEGER, _BYTES, _TEXT, _LEFT_OUT = b"ibt-"
_LAYOUT: Final = {"INTEGER": b"i", "BLOB": b"b", "TEXT": b"t"}
_INTEGER_SIZE, _NULL = (8).to_bytes(4, "big"), b"\xff" * 4

MAX_COLUMNS: Final = 1600
"""So many a table of PostgreSQL has at most."""

COPY_BEGINS: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_ENDS: Final = b"\xff\xff"


def find_table(name: str) -> Table:
    """A table of the node's store, or of the store of people, which share a database. Raises KeyError for another."""
    table = metadata.tables.get(name)
    return people.tables[name] if table is None else table


@lru_cache(256)
def plan_copy(*statements: str) -> tuple[bytes, dict[int, bytes]]:
    """The COPY that does what INSERTs of ours into one table do, and the layouts of its rows (`pack_rows`): of those of
    each statement, by how many values they have. Raises ValueError for other statements."""
    plans = [_read_insert(statement) for statement in statements]
    table, names = max(plans, key=lambda plan: len(plan[1]))
    listed = ", ".join(f'"{name}"' for name in names)
    layouts = {len(chosen): _find_layout(table, names, chosen) for _, chosen in plans}
    if len(layouts) != len(plans) or any(other is not table for other, _ in plans):
        raise ValueError(f"not INSERTs that can be copied together: {'; '.join(statements)}")
    return f'COPY "{table.name}" ({listed}) FROM STDIN (FORMAT BINARY)'.encode(), layouts


def _read_insert(statement: str) -> tuple[Table, list[str]]:
    """The table, and the columns that are given a value."""
    found = _INSERT.fullmatch(statement)
    if found is None:
        raise ValueError(f"not an INSERT that can be copied: {statement}")
    table = find_table(found[1])
    names = [name.strip() for name in found[2].split(",")] if found[2] else [column.name for column in table.columns]
    values = [value.strip() for value in found[3].split(",")]
    if set(values) - {"?", "NULL"} or len(values) != len(names):
        raise ValueError(f"not an INSERT that can be copied: {statement}")
    return table, [name for name, value in zip(names, values, strict=True) if value == "?"]


def _find_layout(table: Table, names: Sequence[str], chosen: Sequence[str]) -> bytes:
    if [name for name in names if name in chosen] != chosen:
        raise ValueError(f"not INSERTs that can be copied together: {', '.join(chosen)} of {', '.join(names)}")
    return b"".join(_LAYOUT[str(table.columns[name].type)] if name in chosen else b"-" for name in names)


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


class Numbers(bytes):
    """An array of integers as the server takes it in binary."""


class Blobs(bytes):
    """An array of bytes as the server takes it in binary."""


class Texts(bytes):
    """An array of text as the server takes it in binary."""


ARRAY_OIDS: Final = {Numbers: 1016, Blobs: 1001, Texts: 1009}
"""The server's own numbers of these types."""

# How each is packed, and the number of its items' type.
_ARRAYS: Final[dict[str, tuple[type[bytes], bytes, int]]] = {
    "int8": (Numbers, b"i", 20),
    "bytea": (Blobs, b"b", 17),
    "text": (Texts, b"t", 25),
}
_TYPE_OF: Final = {int: "int8", bytes: "bytea", bytearray: "bytea", str: "text"}
_frame_array = struct.Struct(">5i").pack


def turn_rows(types: Sequence[str], rows: Sequence[Any]) -> list[bytes]:
    """The columns of rows, as arrays."""
    return [pack_array(type_, column) for type_, column in zip(types, zip(*rows, strict=True), strict=True)]


def pack_lists(parameters: Iterable[Any]) -> list[Any]:
    """The parameters of a statement, with lists as arrays: the driver makes several calls for each item. A list whose
    items it must look at itself, such as an empty one, stays."""
    return [
        pack_array(_TYPE_OF[type(one[0])], one) if type(one) is list and one and type(one[0]) in _TYPE_OF else one
        for one in parameters
    ]


def pack_array(type_: str, values: Sequence[Any]) -> bytes:
    """Values, of which there are some, as an array of a type. Raises what `pack_rows` raises for a value."""
    made, kind, oid = _ARRAYS[type_]
    return made(_frame_array(1, None in values, oid, len(values), 1) + pack_column(values, kind))


def _pack_rows(rows: Sequence[tuple[Any, ...]], layouts: dict[int, bytes]) -> bytes:
    """Rows as COPY takes them in binary, between `COPY_BEGINS` and `COPY_ENDS`.

    A layout says of each column, in a byte, what its values are: i integers of 64 bits, b bytes, t text, each of them
    or None, and - that rows have no value for it, so that it is null. `layouts` has one for each number of values that
    a row may have. Raises TypeError for a value of another type, ValueError for a row without a layout, OverflowError
    for an integer that is too great.
    """
    parts: list[bytes] = []
    for row in rows:
        if not isinstance(row, tuple):
            raise TypeError("a row is a tuple")
        layout = layouts.get(len(row))
        if layout is None or len(layout) - layout.count(b"-") != len(row) or len(layout) > MAX_COLUMNS:
            raise ValueError(f"no row has {len(row)} values")
        values = iter(row)
        parts.append(len(layout).to_bytes(2, "big"))
        parts += [_pack_value(kind, None if kind == _LEFT_OUT else next(values)) for kind in layout]
    return b"".join(parts)


def _pack_value(kind: int, value: object) -> bytes:
    if value is None:
        return _NULL
    if kind == _INTEGER and isinstance(value, int):
        return _INTEGER_SIZE + value.to_bytes(8, "big", signed=True)
    if kind == _TEXT and isinstance(value, str):
        value = value.encode()
    elif kind != _BYTES or not isinstance(value, (bytes, bytearray)):
        raise TypeError("a value is not of its column's type")
    return len(value).to_bytes(4, "big", signed=True) + value


def _pack_column(values: Sequence[Any], kind: bytes) -> bytes:
    """Values of one kind, as `_pack_rows` has them; raises what that raises."""
    return b"".join(_pack_value(kind[0], value) for value in values)


PackRows = Callable[[Sequence[tuple[Any, ...]], dict[int, bytes]], bytes]
PackColumn = Callable[[Sequence[Any], bytes], bytes]

pack_rows: Final[PackRows] = _pack_rows if kernel is None else kernel.pack_rows
pack_column: Final[PackColumn] = _pack_column if kernel is None else kernel.pack_column
