"""A member's own list of its customers' vehicles: a CSV or XLSX, read for the one column that names a vehicle, and
given back with what became of each row.

It refuses to keep anything, to look at another column, and to know who makes the codes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.formats.delimited import read_cells
from carnet.formats.guess import guess
from carnet.formats.guess_columns import Column, compute_column
from carnet.formats.mapping import write_cell
from carnet.formats.mapping_document import Delimited
from carnet.formats.table import name_columns
from carnet.formats.xlsx import read_sheet
from carnet.services.spreadsheets import write_csv
from carnet.types import Millis

MAX_BYTES: Final = 5_000_000
MAX_ROWS: Final = 10_000
MAX_COLUMNS: Final = 50
SAMPLE_ROWS: Final = 300
"""Rows by which it is told which column names the vehicle."""

_ADDED: Final = ("code", "link", "until", "outcome")


class Customers(NamedTuple):
    """A list as it was read: its columns, its rows of cells, and the place of the column that names the vehicle."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    vehicle: int

    @property
    def vehicles(self) -> list[str]:
        """The VINs or plates, row by row."""
        return [row[self.vehicle].strip() for row in self.rows]

    def label(self, row: int) -> str:
        """By which the member's people know a row again: its first other cell that says anything."""
        return next((cell for at, cell in enumerate(self.rows[row]) if at != self.vehicle and cell.strip()), "")


def read_customers(data: bytes, now: Millis) -> Customers:
    """The list in a CSV of any encoding, or the first sheet of an XLSX. Only the column that holds VINs or plates is
    looked at.

    Raises Refused REQUEST_TOO_LARGE (more than 5 MB, 10,000 rows or 50 columns), UNREADABLE_FILE, MISSING_FIELD where
    no column names vehicles.
    """
    if len(data) > MAX_BYTES:
        raise Refused(Reason.REQUEST_TOO_LARGE, f"a list has at most {MAX_BYTES:,} bytes", field="file")
    columns, rows = _read_sheet(data) if data.startswith(b"PK") else _read_text(data, now)
    if len(rows) > MAX_ROWS or len(columns) > MAX_COLUMNS:
        saying = f"a list has at most {MAX_ROWS:,} rows and {MAX_COLUMNS} columns: send the rest in another one"
        raise Refused(Reason.REQUEST_TOO_LARGE, saying, field="file")
    sample = rows[:SAMPLE_ROWS]
    looked = [compute_column(name, [row[at] for row in sample]) for at, name in enumerate(columns)]
    return Customers(tuple(columns), tuple(map(tuple, rows)), _find_vehicle(looked))


class Given(NamedTuple):
    """What a row is given back with: a code, its link and its last moment as text, or else why there is none."""

    code: str | None
    link: str | None
    until: str | None
    outcome: str


def write_list(customers: Customers, given: Iterable[Given]) -> Iterator[bytes]:
    """The member's own list with what became of each row, in its order, for its own mailing; no cell is a formula."""
    rows = ([*row, *one] for row, one in zip(customers.rows, given, strict=True))
    # A code that was made is soon in the file: it is shown nowhere else.
    return write_csv([*customers.columns, *_ADDED], rows, every=20)


def _find_vehicle(columns: Iterable[Column]) -> int:
    """The column that names the vehicle: VINs before plates, the surest first."""
    found = [(one.sort != "vin", -one.confidence, at) for at, one in enumerate(columns) if one.sort in ("vin", "plate")]
    if not found:
        saying = "no column of this list holds VINs or plates: it needs one"
        raise Refused(Reason.MISSING_FIELD, saying, field="file")
    return min(found)[2]


def _read_text(data: bytes, now: Millis) -> tuple[list[str], list[list[str]]]:
    looked = guess(data, "", now)
    if not isinstance(looked.reader, Delimited):
        raise Refused(Reason.UNREADABLE_FILE, f"this is no CSV and no XLSX: {looked.reasons[0]}", field="file")
    reader = looked.reader
    found = read_cells(
        [data],
        encoding=reader.encoding,
        separator=reader.separator,
        quote=reader.quote,
        first_line=reader.first_line,
    )
    rows = []
    for row in islice(found, MAX_ROWS + 2):
        if row.refused is not None:
            raise Refused(
                Reason.UNREADABLE_FILE, f"line {row.line}: {row.refused.message}", field="file", line=row.line
            )
        rows.append(row.cells)
    columns = [column.name for column in looked.columns]
    body = rows[1:] if reader.header else rows
    width = len(columns)
    return columns, [(cells + [""] * width)[:width] for cells in body]


def _read_sheet(data: bytes) -> tuple[list[str], list[list[str]]]:
    rows = list(islice(name_columns(read_sheet(io.BytesIO(data))), MAX_ROWS + 1))
    if not rows:
        raise Refused(Reason.MISSING_FIELD, "there is no row in this sheet", field="file")
    columns = list(rows[0].values)
    return columns, [[str(write_cell(row.values[name]) or "") for name in columns] for row in rows]
