"""Rows of cells out of separated text (RFC 4180 and its many neighbours), whatever its encoding; in flat memory.

A quote that is never closed spoils its own line and no other. It refuses to know what a column means.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from carnet.errors import Reason, Refused
from carnet.formats.lines import Line, find_line_fault, is_hopeless, split_text_lines
from carnet.formats.table import write_letters

MAX_LINES = 100
"""A row of more lines is a quote that was never closed."""


class Cells(NamedTuple):
    """One row: the line where it begins, its bytes (of UTF-16 in UTF-8), and its cells, or why there are none.

    `is_whole` says whether the bytes are all of the row.
    """

    line: int
    raw: bytes
    cells: list[str]
    refused: Refused | None = None
    is_whole: bool = True


def read_cells(
    chunks: Iterable[bytes], *, encoding: str, separator: str, quote: str, first_line: int = 1
) -> Iterator[Cells]:
    """Every row of the text in order, blank lines left out; nothing is raised for what the text holds.

    `encoding` is `utf-8` (a byte order mark is passed over), `cp1252` or `utf-16`. What stands above `first_line` (from
    1) is no row, whatever it is.
    """
    if encoding == "utf-16":
        chunks = _as_utf8(chunks)
        encoding = "utf-8"
    lines = split_text_lines(chunks)
    waiting: deque[Line] = deque()
    mark = quote.encode(encoding)
    width: int | None = None
    while True:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            return
        refused = find_line_fault(line)
        if line.number < first_line and (refused is None or not is_hopeless(refused)):
            continue
        if refused is not None:
            yield Cells(line.number, line.data, [], refused, False)
            if is_hopeless(refused):
                return
            continue
        if not line.data.strip():
            continue
        more = _find_rest(line, mark, waiting, lines)
        row = _split(line, more, encoding, separator, quote)
        if more and (
            row.refused is not None or width not in (None, len(row.cells)) or _hides_rows(more, separator, width)
        ):
            # The quote was a stray one: what it seemed to hold are rows of their own.
            waiting.extendleft(reversed(more))
            row = _split(line, [], encoding, separator, quote)
        if width is None and row.refused is None:
            width = len(row.cells)
        yield row


def is_directive(cells: list[str], raw: bytes) -> bool:
    """Whether a file's first row is the line `sep=;`, which tells Excel the separator, and is no row."""
    return len(raw.strip()) == 5 and cells[0].lower().startswith("sep=")


def name_cells(cells: list[str], *, has_header: bool) -> list[str]:
    """The names of the columns, by the first row: those that it gives, as far as a last one is named, or numbers."""
    if not has_header:
        return [str(at) for at in range(1, len(cells) + 1)]
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def tell_apart(names: list[str]) -> list[str]:
    """The same, where several columns have one name each of them with its letter behind, as a spreadsheet shows it:
    `Date (B)` and `Date (D)`."""
    counts = Counter(names)
    return [_add_letter(name, at, counts) if name and counts[name] > 1 else name for at, name in enumerate(names)]


def _add_letter(name: str, at: int, names: Container[str]) -> str:
    made = f"{name} ({write_letters(at)})"
    return _add_letter(made, at, names) if made in names else made


def is_blank(cells: list[str], width: int) -> bool:
    """Whether all that a row has beyond so many columns is separators."""
    return len(cells) > width and not any(map(str.strip, cells[width:]))


def _find_rest(line: Line, mark: bytes, waiting: deque[Line], lines: Iterator[Line]) -> list[Line]:
    """The further lines of a row whose quote is still open, taken from those that wait and come; none, and nothing is
    taken, where it is not closed."""
    open_quotes = line.data.count(mark) % 2
    if not open_quotes:
        return []
    for place in range(MAX_LINES):
        if place == len(waiting):
            coming = next(lines, None)
            if coming is None:
                break
            waiting.append(coming)
        further = waiting[place]
        if further.trouble is not None or further.is_too_long:
            break
        open_quotes = (open_quotes + further.data.count(mark)) % 2
        if not open_quotes:
            return [waiting.popleft() for _ in range(place + 1)]
    return []


def _hides_rows(more: list[Line], separator: str, width: int | None) -> bool:
    """Whether a line inside quotes looks like a whole row: of two stray quotes, far more likely than a text."""
    mark = separator.encode()
    return width is not None and width > 2 and any(line.data.count(mark) + 1 == width for line in more[:-1])


def _split(line: Line, more: list[Line], encoding: str, separator: str, quote: str) -> Cells:
    raw = b"\n".join([line.data, *(further.data for further in more)]) if more else line.data
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        saying = f"not {encoding.upper()}: byte {error.start + 1} of the row cannot be read"
        return Cells(line.number, raw, [], Refused(Reason.TEXT_NOT_ALLOWED, saying))
    if encoding == "cp1252" and _is_utf8(raw):
        # Two files that were put together: each é would be sealed as Ã©.
        saying = "this row is UTF-8, and the file is read as Windows-1252: save all of it in one encoding"
        return Cells(line.number, raw, [], Refused(Reason.TEXT_NOT_ALLOWED, saying))
    if quote not in text:
        return Cells(line.number, raw, text.split(separator))
    try:
        # A strict reader tells text after a closing quote; a line's end inside quotes belongs to the cell.
        rows = list(csv.reader([text], delimiter=separator, quotechar=quote, strict=True))
    except csv.Error as error:
        return Cells(line.number, raw, [], Refused(Reason.WRONG_TYPE, f"the quotes of this row do not match: {error}"))
    return Cells(line.number, raw, rows[0] if rows else [])


def _is_utf8(raw: bytes) -> bool:
    """Whether bytes hold accents in UTF-8: hardly a text in another encoding is by chance."""
    if raw.isascii():
        return False
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _as_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same text in UTF-8; what cannot be read breaks the stream, as a damaged archive does."""
    decoder = codecs.getincrementaldecoder("utf-16")()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode("utf-8", "replace")
        yield decoder.decode(b"", True).encode("utf-8", "replace")
    except UnicodeDecodeError as error:
        raise OSError(f"not UTF-16: {error.reason}") from None
    except UnicodeError as error:
        raise OSError(f"not UTF-16: {error}") from None
