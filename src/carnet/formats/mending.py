"""Faulty rows at a desk: the cells of a row, each one that cannot be read, and what it must have meant.

A proposal is made only where one reading alone is left: a letter in a number, gaps between digits, a year of two
digits, a letter that no VIN has. It refuses to change anything by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from carnet.errors import Reason, Refused
from carnet.formats.delimited import is_blank, name_cells, read_cells, tell_apart
from carnet.formats.faults import Fault, Origin
from carnet.formats.mapping import RowPlan, write_cell
from carnet.formats.mapping_document import Date, Delimited, Reader, When
from carnet.formats.mapping_document import Mapping as MappingDocument
from carnet.formats.values import close_gaps
from carnet.types import Millis

_DIGITS = str.maketrans("OoQDlI|SsB", "0000111558")
_YEAR = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{2})", re.ASCII)
_LONG_YEAR = re.compile(r"(\d{1,2}[/.-]\d{1,2}[/.-])(\d{4})", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)


class CellFault(NamedTuple):
    """A cell that cannot be read: its column, the rule, a sentence, and what it must have meant, if that is certain."""

    column: str
    rule: Reason
    message: str
    proposal: str | None = None


def find_cells(origin: Origin | None, reader: Reader) -> dict[str, str] | None:
    """The cells of a row by the names of their columns, as the file has them; None where it cannot be cut into them."""
    if origin is None:
        return None
    if not isinstance(reader, Delimited):
        value = _decode(origin.data)
        return None if value is None else dict(_flatten(value))
    # Of UTF-16 the parts are kept in UTF-8.
    encoding = "utf-8" if origin.frame == "utf-16" else reader.encoding
    data = origin.header + b"\n" + origin.data if origin.header else origin.data
    rows = [row.cells for row in read_cells([data], encoding=encoding, separator=reader.separator, quote=reader.quote)]
    if not rows or (reader.header and len(rows) < 2):
        return None
    names, cells = tell_apart(name_cells(rows[0], has_header=bool(reader.header))), rows[-1]
    if len(cells) != len(names) and not is_blank(cells, len(names)):
        return None
    return dict(zip(names, cells, strict=False))


def _decode(data: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def _flatten(value: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, dict) and depth < 4:
            yield from _flatten(inner, f"{prefix}{name}.", depth + 1)
        elif isinstance(inner, list) and len(inner) == 1 and str(inner[0]).startswith("="):
            # A formula without its value (`xlsx.NoValue`).
            yield prefix + name, str(inner[0])
        elif not isinstance(inner, (list, dict)):
            yield prefix + name, write_cell(inner) or ""


def list_cell_faults(fault: Fault, cells: Mapping[str, str], mapping: MappingDocument, now: Millis) -> list[CellFault]:
    """The cells of a faulty row that cannot be read, in the order of the file. What is wrong with the row though each
    cell can be read (no passport knows its plate) is blamed on the column that the fault names."""
    columns = list(cells)
    plan = RowPlan(mapping, columns, now)
    values = list(cells.values())
    forms = {one.column: one.form for one in (mapping.occurred, *mapping.fields) if isinstance(one, (When, Date))}
    found = [
        CellFault(column, refused.reason, refused.message, _propose(plan, column, cells, refused, forms.get(column)))
        for column, refused in plan.list_faults(values)
        if column in cells
    ]
    if not found and fault.column in cells:
        found = [CellFault(str(fault.column), fault.rule, fault.message)]
    return sorted(found, key=lambda one: columns.index(one.column))


def _propose(plan: RowPlan, column: str, cells: Mapping[str, str], refused: Refused, form: str | None) -> str | None:
    """What a cell must have meant: the one candidate that can be read."""
    suggestion = refused.facts.get("suggestion")
    if isinstance(suggestion, str):
        return suggestion
    cell = " ".join(cells[column].split())
    if not cell or len(cell) > 60 or refused.reason is Reason.MISSING_FIELD:
        return None
    good = [
        candidate
        for candidate in dict.fromkeys(_list_candidates(cell, refused.reason, plan.unit, form))
        if candidate != cells[column] and _reads(plan, column, cells, candidate)
    ]
    return good[0] if len(good) == 1 else None


def _reads(plan: RowPlan, column: str, cells: Mapping[str, str], candidate: str) -> bool:
    values = list({**cells, column: candidate}.values())
    return all(faulty != column for faulty, _ in plan.list_faults(values))


def _list_candidates(cell: str, reason: Reason, unit: str | None, form: str | None) -> Iterator[str]:
    if reason in (Reason.INVALID_TIME, Reason.TIME_IN_FUTURE):
        yield from _list_days(cell, reason, form or "")
    elif reason is Reason.WRONG_TYPE:
        # A number: letters that look like digits, gaps anywhere, its own unit behind: miles are no kilometres.
        own = {"km": "kms?", "mi": "miles|mi"}.get(unit or "", "(?!)")
        bare = re.sub(rf"\s*(?:{own})\.?$", "", cell, flags=re.IGNORECASE)
        bare = re.sub(r"[\s\u00a0\u202f']", "", bare.translate(_DIGITS) if re.search(r"\d", bare) else bare)
        if re.fullmatch(r"\d{1,7}", bare, re.ASCII):
            yield bare
    elif reason is Reason.INVALID_PLATE:
        yield from _list_plates(cell)
    elif reason is Reason.INVALID_VIN and (closed := close_gaps(cell)):
        yield closed


def _list_days(cell: str, reason: Reason, form: str) -> Iterator[str]:
    plain = cell.translate(str.maketrans("Oo", "00"))
    if short := _YEAR.fullmatch(plain):
        day, mark, month, year = short.groups()
        for separator in dict.fromkeys((mark, "/", ".", "-")):
            yield f"{int(day):02d}{separator}{int(month):02d}{separator}20{year}"
    elif long := _LONG_YEAR.fullmatch(plain):
        year = long[2]
        if reason is Reason.TIME_IN_FUTURE and year[0] == "2":
            # Two neighbours exchanged, as in 2206 for 2026.
            yield from (
                long[1] + "".join(swapped)
                for at in range(3)
                if (swapped := [*year[:at], year[at + 1], year[at], *year[at + 2 :]])
            )
        else:
            yield plain
            yield from (re.sub(r"[/.-]", mark, plain) for mark in "/.-")
    elif iso := _ISO.fullmatch(plain):
        # This day alone, as the file writes days: 4 May is 05/04 where the month stands first.
        first, second = (iso[2], iso[3]) if form.startswith("mm") else (iso[3], iso[2])
        yield from (f"{first}{mark}{second}{mark}{iso[1]}" for mark in "/.-")


def _list_plates(cell: str) -> Iterator[str]:
    bare = re.sub(r"[^A-Za-z0-9]", "", cell).upper()
    # Of the French series since 2009: two letters, three digits, two letters.
    if len(bare) == 7:
        letters, digits = str.maketrans("015", "OIS"), str.maketrans("OIS", "015")
        yield f"{bare[:2].translate(letters)}-{bare[2:5].translate(digits)}-{bare[5:].translate(letters)}"
    yield bare
