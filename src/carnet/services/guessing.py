"""Looking at an unknown file: its beginning is read, and a mapping is proposed.

It refuses to read more of a file than it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import msgspec

from carnet.errors import Refused
from carnet.formats.guess import HEAD_BYTES, SAMPLE_ROWS, Guess, guess, guess_rows, refuse_columns
from carnet.formats.lines import BROKEN
from carnet.formats.mapping_document import MAX_COLUMNS, Given
from carnet.formats.remarks import remark, repeat_refusal
from carnet.services.sources import Source
from carnet.services.tables import Table, find_table
from carnet.types import Millis

MAX_SHEETS = 4
"""Of a workbook so many sheets are looked at: for each, all of its texts are read."""


def guess_file(path: Path | None, now: Millis, name: str | None = None) -> Guess:
    """What a file, or standard input for None, seems to be; packed ones are unpacked. `name` is what its owner calls
    it. Raises OSError if it cannot be opened, and ImportError where its reader is not installed."""
    kind = find_table(path)
    name = name or ("" if path is None else path.name)
    if path is not None and kind is not None:
        return _guess_book(path, name, now) if kind == "xlsx" else _guess_table(Table(path, kind), name, now)
    with Source(path) as source:
        head = _read_head(source.chunks())
    return guess(head, name, now)


def _guess_book(path: Path, name: str, now: Millis) -> Guess:
    """The first sheet that holds a table of vehicles, or else the first; others that hold one are told."""
    first = _guess_table(Table(path, "xlsx"), name, now)
    try:
        with Table(path, "xlsx") as table:
            sheets = table.list_sheets()[:MAX_SHEETS]
    except Refused:
        return first
    found = [(sheets[0], first)] if sheets else []
    found += [(sheet, _guess_table(Table(path, "xlsx", sheet=sheet), name, now)) for sheet in sheets[1:]]
    good = [(sheet, guess) for sheet, guess in found if guess.mapping is not None]
    if not good:
        return first
    sheet, best = good[0]
    if len(good) > 1:
        doubt = remark("other_sheets", sheet=sheet, other=good[1][0])
        best = best._replace(reasons=(doubt, *best.reasons), doubt_count=best.doubt_count + 1)
    if sheet == sheets[0]:
        return best
    best = best._replace(reasons=(*best.doubts, remark("sheet", sheet=sheet), *best.grounds))
    return _name_sheet(best, sheet)


def _name_sheet(guess: Guess, sheet: str) -> Guess:
    """The same, with the sheet named where the mapping says how the file is read."""
    mapping, reader = guess.mapping, guess.reader
    if mapping is None or not isinstance(reader, Given):
        return guess
    reader = msgspec.structs.replace(reader, sheet=sheet)
    return guess._replace(mapping=msgspec.structs.replace(mapping, reader=reader), reader=reader)


def _guess_table(table: Table, name: str, now: Millis) -> Guess:
    with table:
        try:
            source = table.rows()
            rows = list(islice(source, 1))
            if rows and len(rows[0].values) > MAX_COLUMNS:
                return refuse_columns(len(rows[0].values))
            rows += islice(source, SAMPLE_ROWS - 1)
        except Refused as refused:
            return Guess(None, 0, (repeat_refusal(refused),), (), ())
    return guess_rows(rows, name, now)


def _read_head(chunks: Iterable[bytes]) -> bytes:
    """The first 64 kB, or what can be read of them."""
    head = bytearray()
    try:
        for chunk in chunks:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
    except BROKEN:
        # What came before the break is looked at; an import says where the file breaks off.
        pass
    return bytes(head[:HEAD_BYTES])
