"""CSV for people who open it in a spreadsheet: no cell is ever a formula there.

A cell that a spreadsheet would compute gets an apostrophe in front, which it shows as text. It refuses to know what the
table is about. Design: security 19.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_BEGINS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")
BOM: Final = "\ufeff"
"""Without it a spreadsheet takes the file for the system's own encoding."""


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]], every: int = 500) -> Iterator[bytes]:
    """The table in UTF-8, `every` so many rows: comma, CRLF, RFC 4180. None is an empty cell; a whole number
    stays one."""
    out = io.StringIO(newline="")
    out.write(BOM)
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([make_cell(name) for name in header])
    for number, row in enumerate(rows, 1):
        writer.writerow([make_cell(value) for value in row])
        if number % every == 0:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def make_cell(value: object) -> str:
    """The text of a cell."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    text = str(value).replace("\x00", "")
    # Blanks before it do not make a formula harmless in every program.
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_BEGINS_FORMULA) else text
