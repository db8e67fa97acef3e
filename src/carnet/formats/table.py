"""Tables that another reader hands over row by row (Parquet, XLSX): which row names the columns, and how.

People put titles above a table and merge the cells of its header. It refuses to know what a column means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from carnet.errors import Reason, Refused
from carnet.formats.xlsx import SheetRow

HEADER_ROWS = 20
"""So far down a header is looked for."""


class TableRow(NamedTuple):
    """One row: its number in the file, from 1, and its values by the names of the columns; and the number of the row
    that names them, 0 where none does."""

    line: int
    values: dict[str, object]
    header: int = 0


def name_columns(rows: Iterable[SheetRow], header: int | None = None) -> Iterator[TableRow]:
    """The rows below the header, with the values that stand under a name; rows without any are left out.

    `header` is the number of the row that names the columns, or None to look for it: the first of the first rows that
    fills at least half as many cells as the fullest of them, with texts. Raises Refused(MISSING_FIELD) where there is
    none.
    """
    source = iter(rows)
    trouble: Refused | None = None
    if header is None:
        head: list[SheetRow] = []
        try:
            for row in islice(source, HEADER_ROWS):
                head.append(row)  # noqa: PERF402 - what was taken before a refusal stays
        except Refused as refused:
            # What stands before a damage is read.
            trouble = refused
        at = _find_header(head)
        if at is None and trouble is not None:
            raise trouble
        if at is None:
            if not head:
                return
            raise Refused(Reason.MISSING_FIELD, "no row names the columns: say which one (reader.header)")
        named, source = head[at], chain(head[at + 1 :], source)
    else:
        named = next((row for row in source if row.line >= header), SheetRow(header, {}))
        if named.line != header:
            saying = f"row {header} is empty, and is said to name the columns"
            raise Refused(Reason.MISSING_FIELD, saying, field="reader.header")
    names = _make_names(named)
    for row in source:
        values: dict[str, object] = {name: row.cells.get(column) for column, name in names.items()}
        if any(value is not None for value in values.values()):
            yield TableRow(row.line, values, named.line)
    if trouble is not None:
        raise trouble


def _find_header(head: list[SheetRow]) -> int | None:
    widest = max((len(row.cells) for row in head), default=0)
    # A title fills one cell, or a few that are merged; a header fills most, and none of them with a number.
    found = [
        at for at, row in enumerate(head) if 2 * len(row.cells) >= widest and all(map(_is_text, row.cells.values()))
    ]
    for at in found[1:]:
        # A title of several cells may fill half of them too: a row of words that fills more is the header.
        texts = [str(value) for value in head[at].cells.values()]
        if len(texts) > len(head[found[0]].cells) and not any(map(str.isdigit, "".join(texts))):
            return at
    return found[0] if found else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _make_names(header: SheetRow) -> dict[int, str]:
    """The name of each column that has one: a second one of a name is told apart by its letter, as `km (D)`."""
    names: dict[int, str] = {}
    for column, value in sorted(header.cells.items()):
        name = " ".join(str(value).split())[:200]
        if name:
            names[column] = name if name not in names.values() else f"{name} ({write_letters(column)})"
    return names


def write_letters(column: int) -> str:
    """A column, from 0, as a sheet shows it: 0 is A, 27 is AB."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
