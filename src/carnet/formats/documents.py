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
from carnet.formats.faults import Frame, Origin
from carnet.formats.lines import (
    BROKEN,
    KEPT_BYTES,
    MAX_LINE_BYTES,
    UTF8_BOM,
    Line,
    find_line_fault,
    is_hopeless,
    split_text_lines,
)
from carnet.formats.remarks import refuse_file
from carnet.types import INT_MAX, brief

MAX_DIGITS = 40
"""A number of more characters is no measure of anything."""

MAX_DEPTH = 64
_MARKS = re.compile(rb'["\[\]{}\n,]|[^\s"\[\]{},]+')
# Inside an object: a whole text is one token; a quote alone begins one that goes on in the next piece, or never ends.
_INSIDE = re.compile(rb'"(?:[^"\\\n]|\\.)*+"|["\[\]{}\n]')
_IN_TEXT = re.compile(rb'["\\\n]')


class Document(NamedTuple):
    """One document: the line where it begins, its bytes, and its value, or why there is none.

    `frame` says how it stood beside others; None where its bytes are not all of it.
    """

    line: int
    data: bytes
    value: object
    refused: Refused | None = None
    frame: Frame | None = "lines"

    @property
    def origin(self) -> Origin | None:
        """Where it can be read again from."""
        return None if self.frame is None else Origin(self.data, frame=self.frame)


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
        # So few brackets cannot be nested deeper.
        if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
            _check_depth(value)
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


def _check_depth(value: object) -> None:
    """Raise RecursionError for more than MAX_DEPTH containers within each other. A level at a time: a call for each
    value took a fifth of all reading."""
    level: list[Any] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise RecursionError


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
    source = iter(chunks)
    head, trouble = _take_head(source)
    stream = _resume(head, trouble, source)
    first = head.removeprefix(UTF8_BOM).lstrip()
    if first[:1] == b"[" or _spans_lines(first.partition(b"\n")[0]):
        yield from _read_items(stream)
        return
    for line in split_text_lines(stream):
        refused = find_line_fault(line)
        if refused is not None:
            yield Document(line.number, line.data, None, refused, None)
            if is_hopeless(refused):
                return
        elif line.data.strip():
            yield _read_line(line)


def read_document(data: bytes) -> Document:
    """The one document that these bytes are."""
    try:
        return Document(1, data, read_json(data))
    except Refused as refused:
        return Document(1, data, None, refused)


def _take_head(source: Iterator[bytes]) -> tuple[bytes, Exception | None]:
    """The first line that is not blank, as far as a line is read at all, and what broke the source in it."""
    head = b""
    while len(head) <= MAX_LINE_BYTES and b"\n" not in head.lstrip():
        try:
            chunk = next(source, None)
        except BROKEN as error:
            return head, error
        if chunk is None:
            break
        head += chunk
    return head, None


def _resume(head: bytes, trouble: Exception | None, source: Iterator[bytes]) -> Iterator[bytes]:
    """The stream from its beginning, although its head has been looked at."""
    yield head
    if trouble is not None:
        raise trouble
    yield from source


def _read_line(line: Line) -> Document:
    try:
        return Document(line.number, line.data, read_json(line.data))
    except Refused as refused:
        return Document(line.number, line.data, None, refused)


def _spans_lines(first: bytes) -> bool:
    """Whether a first line begins an object that is closed on a later one."""
    bare = re.sub(rb'"(?:[^"\\\n]|\\.)*+"', b"", first)
    return first[:1] == b"{" and bare.count(b"{") > bare.count(b"}") and b'"' not in bare


def _read_items(stream: Iterator[bytes]) -> Iterator[Document]:
    """The objects of a text, each cut out by its brackets, wherever its lines break."""
    cutter = _Cutter()
    while True:
        try:
            chunk = next(stream, None)
        except BROKEN as error:
            refused = refuse_file("breaks_off", error=brief(str(error), 200))
            yield Document(cutter.line, b"", None, refused, None)
            return
        if chunk is None:
            yield from cutter.close()
            return
        yield from cutter.take(chunk.removeprefix(UTF8_BOM) if cutter.line == 1 else chunk)


class _Cutter:
    """Cuts objects out of a text by quotes and brackets alone; holds one object at a time, none beyond the limit.

    A text never spans lines in JSON, so a quote that is missing shows at the line's end. An object so spoiled ends
    where the next one begins, no further indented: it loses no other.
    """

    def __init__(self) -> None:
        self.line = 1
        self._begun = 1
        self._held: list[bytes] = []
        self._length = self._depth = self._arrays = self._skipped = 0
        # Where the line began, and how far the object was indented, in bytes; the first counts from this piece.
        self._line_at = self._indent = 0
        self._is_in_text = self._is_spoiled = False

    def take(self, piece: bytes) -> Iterator[Document]:
        """The objects that end in this piece of the text."""
        start, position = 0, self._skipped
        self._skipped = 0
        while True:
            marks = _IN_TEXT if self._is_in_text else _INSIDE if self._depth else _MARKS
            found = marks.search(piece, position)
            if found is None:
                break
            mark, position = found.group(), found.end()
            if mark == b"\n":
                self.line += 1
                self._line_at = position
                self._is_spoiled |= self._is_in_text and self._depth > 0
                self._is_in_text = False
            elif self._is_in_text:
                self._is_in_text = mark != b'"'
                position += mark == b"\\"
            elif self._is_spoiled and mark == b"{" and found.start() - self._line_at <= self._indent:
                yield self._cut(piece[start : found.start()])
                start = self._begin(found.start())
            elif self._depth:
                if mark[:1] == b'"':
                    self._is_in_text = len(mark) == 1
                elif mark in b"{[":
                    self._depth += 1
                elif mark in b"}]":
                    self._depth -= 1
                    if self._depth == 0:
                        yield self._cut(piece[start:position])
            elif mark == b"{":
                start = self._begin(found.start())
            else:
                yield from self._take_between(mark)
        self._skipped = max(0, position - len(piece))
        self._line_at -= len(piece)
        if self._depth:
            self._hold(piece[start:])

    def close(self) -> Iterator[Document]:
        """What is wrong at the end of the text: an object or the array left open."""
        if self._depth or self._arrays:
            held = b"".join(self._held)[:KEPT_BYTES]
            saying = "the file ends before its last object or array is closed"
            yield Document(self.line, held, None, Refused(Reason.NOT_JSON, saying), None)

    def _begin(self, at: int) -> int:
        self._depth, self._begun, self._indent, self._is_spoiled = 1, self.line, at - self._line_at, False
        return at

    def _take_between(self, mark: bytes) -> Iterator[Document]:
        if mark == b"[" and not self._arrays:
            self._arrays = 1
        elif mark == b"]" and self._arrays:
            self._arrays = 0
        elif mark != b",":
            self._is_in_text = mark == b'"'
            yield Document(self.line, mark, None, Refused(Reason.NOT_JSON, "an object was expected here"), None)

    def _hold(self, piece: bytes) -> None:
        self._length += len(piece)
        # One piece more than the limit, so that the cut knows; then only its length grows.
        if self._length <= MAX_LINE_BYTES or not self._held:
            self._held.append(piece[: MAX_LINE_BYTES + 1])

    def _cut(self, last: bytes) -> Document:
        self._hold(last)
        data, length = b"".join(self._held), self._length
        self._held, self._length = [], 0
        if length > MAX_LINE_BYTES:
            saying = f"an object of {length:,} bytes; one of more than {MAX_LINE_BYTES:,} is not read"
            return Document(self._begun, data[:KEPT_BYTES], None, Refused(Reason.LINE_TOO_LONG, saying), None)
        try:
            return Document(self._begun, data, read_json(data), None, "array")
        except Refused as refused:
            return Document(self._begun, data, None, refused, "array")
