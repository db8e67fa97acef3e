"""JSON documents out of a stream of bytes: one a line, or the items of one array, whatever the line breaks.

Memory stays flat: one document is held at a time, and one that is too long is passed over. Fractions are read exactly.
It refuses to know what a document means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from carnet.errors import Reason, Refused
from carnet.formats.lines import (
    KEPT_BYTES,
    MAX_LINE_BYTES,
    Line,
    find_line_fault,
    split_text_lines,
)
from carnet.types import INT_MAX, brief

MAX_DIGITS = 40
"""A number of more characters is no measure of anything."""

MAX_DEPTH = 64
_MARKS = re.compile(rb'["\[\]{}\n,]|[^\s"\[\]{},]+')
_STRING_END = re.compile(rb'(?:[^"\\]|\\.)*+"', re.DOTALL)


class Document(NamedTuple):
    """One document: the line where it begins, its bytes, and its value, or why there is none."""

    line: int
    data: bytes
    value: object
    refused: Refused | None = None


class _Duplicate(Exception):
    pass


class _Number(Exception):
    pass


def read_json(data: bytes) -> object:
    """Read one JSON document in any spelling; fractions as Decimal, exactly as they are written.

    Raises Refused WRONG_ENCODING, NOT_JSON, DUPLICATE_KEY, NUMBER_OUT_OF_RANGE or NESTED_TOO_DEEP.
    """
    try:
        value = _reader.decode(data.decode("utf-8"))
        _check_depth(value, MAX_DEPTH)
    except UnicodeDecodeError as error:
        saying = f"not UTF-8: byte {error.start + 1} cannot be read"
        raise Refused(Reason.WRONG_ENCODING, saying) from None
    except json.JSONDecodeError as error:
        raise Refused(Reason.NOT_JSON, f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except _Duplicate as error:
        raise Refused(Reason.DUPLICATE_KEY, f"the key {brief(error.args[0])!a} stands twice") from None
    except _Number as error:
        saying = f"{brief(error.args[0], 40)} is not a number that can be kept exactly"
        raise Refused(Reason.NUMBER_OUT_OF_RANGE, saying) from None
    except RecursionError:
        raise Refused(Reason.NESTED_TOO_DEEP, "objects and lists are nested deeper than is read") from None
    return value


def _check_depth(value: object, levels: int) -> None:
    if isinstance(value, (dict, list)):
        if levels == 0:
            raise RecursionError
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, levels - 1)


def _take_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    taken = dict(pairs)
    if len(taken) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(key)
            seen.add(key)
    return taken


def _take_integer(digits: str) -> int:
    # Measured before it is converted: the conversion of a million digits takes minutes.
    if len(digits) > 17 or abs(int(digits)) > INT_MAX:
        raise _Number(digits)
    return int(digits)


def _take_fraction(spelling: str) -> Decimal:
    if len(spelling) > MAX_DIGITS:
        raise _Number(spelling)
    number = Decimal(spelling)
    if abs(number.adjusted()) > MAX_DIGITS:
        raise _Number(spelling)
    return number


def _refuse_number(spelling: str) -> NoReturn:
    raise _Number(spelling)


_reader = json.JSONDecoder(
    object_pairs_hook=_take_pairs, parse_int=_take_integer, parse_float=_take_fraction, parse_constant=_refuse_number
)


def read_documents(chunks: Iterable[bytes]) -> Iterator[Document]:
    """Every document of a stream in order: of NDJSON each line, of an array each item, of anything else the whole.

    A stream that is no UTF-8 text, or breaks, ends with a document that says so; nothing is raised for what it holds.
    """
    lines = split_text_lines(chunks)
    for line in lines:
        refused = find_line_fault(line)
        if refused is not None:
            yield Document(line.number, line.data, None, refused)
            if line.number == 1 and refused.reason in (Reason.WRONG_ENCODING, Reason.UNREADABLE_FILE):
                return
            continue
        if not line.data.strip():
            continue
        document = _read_line(line)
        if document.refused is not None and _spans_lines(line.data):
            yield from _read_items(line, lines)
            return
        yield document
        break
    for line in lines:
        refused = find_line_fault(line)
        if refused is not None:
            yield Document(line.number, line.data, None, refused)
        elif line.data.strip():
            yield _read_line(line)


def _read_line(line: Line) -> Document:
    try:
        return Document(line.number, line.data, read_json(line.data))
    except Refused as refused:
        return Document(line.number, line.data, None, refused)


def _spans_lines(first: bytes) -> bool:
    """Whether a first line that is no document begins one that goes on: an array, or an object not yet closed."""
    text = first.strip()
    if text[:1] == b"[":
        return True
    bare = re.sub(rb'"(?:[^"\\]|\\.)*+"', b"", text)
    return text[:1] == b"{" and bare.count(b"{") > bare.count(b"}")


def _read_items(first: Line, rest: Iterator[Line]) -> Iterator[Document]:
    """The objects of a text of many lines, each cut out by its brackets; what stands between them is a fault."""
    cutter = _Cutter()
    yield from cutter.take(first)
    for line in rest:
        if line.trouble is not None:
            refused = find_line_fault(line)
            yield Document(line.number, line.data, None, refused)
            return
        yield from cutter.take(line)
    yield from cutter.close()


class _Cutter:
    """Cuts objects out of lines by quotes and brackets alone; holds one object at a time, none beyond the limit."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._length = 0
        self._depth = 0
        self._outer = 0
        self._line = 0
        self._last = 0

    def take(self, line: Line) -> Iterator[Document]:
        """The objects that end in this line."""
        self._last = line.number
        if line.is_too_long:
            # Its brackets were not seen: where it leaves the text is unknown, so whatever was open ends here.
            yield self._refuse(line.number, line.data, Reason.LINE_TOO_LONG, f"a line of {line.length:,} bytes")
            self._drop()
            return
        data, position, start = line.data + b"\n", 0, 0
        while (found := _MARKS.search(data, position)) is not None:
            mark, position = found.group()[:1], found.end()
            if mark == b'"':
                ending = _STRING_END.match(data, position)
                if ending is None:
                    yield self._refuse(line.number, line.data, Reason.NOT_JSON, "a text is not closed on its line")
                    self._drop()
                    return
                position = ending.end()
            if self._depth == 0:
                if mark == b"{":
                    self._depth, self._line, start = 1, line.number, found.start()
                elif mark == b"[":
                    self._outer += 1
                elif mark == b"]" and self._outer:
                    self._outer -= 1
                elif mark not in (b",", b"\n"):
                    saying = "an object was expected here"
                    yield self._refuse(line.number, found.group(), Reason.NOT_JSON, saying)
            elif mark in (b"{", b"["):
                self._depth += 1
            elif mark in (b"}", b"]"):
                self._depth -= 1
                if self._depth == 0:
                    yield self._cut(data[start:position])
                    start = position
        if self._depth:
            self._hold(data[start:])

    def close(self) -> Iterator[Document]:
        """What is wrong at the end of the text: an object or the array left open."""
        if self._depth or self._outer:
            held = b"".join(self._held)[:KEPT_BYTES]
            yield self._refuse(self._line or self._last, held, Reason.NOT_JSON, "the file ends before this is closed")

    def _hold(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length <= MAX_LINE_BYTES:
            self._held.append(piece)

    def _cut(self, last: bytes) -> Document:
        self._hold(last)
        data, length = b"".join(self._held), self._length
        self._held, self._length = [], 0
        if length > MAX_LINE_BYTES:
            saying = f"an object of {length:,} bytes; one of more than {MAX_LINE_BYTES:,} is not read"
            return self._refuse(self._line, data[:KEPT_BYTES], Reason.LINE_TOO_LONG, saying)
        try:
            return Document(self._line, data, read_json(data))
        except Refused as refused:
            return Document(self._line, data, None, refused)

    def _drop(self) -> None:
        self._held, self._length, self._depth = [], 0, 0

    def _refuse(self, line: int, data: bytes, reason: Reason, saying: str) -> Document:
        return Document(line, data, None, Refused(reason, saying))
