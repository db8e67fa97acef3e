"""Lines out of chunks of bytes, in flat memory whatever comes in.

A line longer than the limit is streamed past, never held; a source that breaks (a truncated archive, a disk that fails)
ends the stream with a line that says so, and everything before it stands. It refuses to know what a line means.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from carnet.errors import Reason, Refused
from carnet.formats.remarks import refuse_file
from carnet.types import brief, make_tuple

MAX_LINE_BYTES = 1024 * 1024
UTF8_BOM = b"\xef\xbb\xbf"
KEPT_BYTES = 1024
"""What is kept of a line that is too long, so that a person recognises it."""

# A truncated gzip raises EOFError, a damaged one zlib.error or BadGzipFile, which is an OSError like a failing disk.
BROKEN = (EOFError, OSError, zlib.error)


class Line(NamedTuple):
    """One line: its number from 1, its bytes without the line's end, and its whole length in bytes.

    `length > len(data)` says that the line was too long, and `data` only its beginning. `trouble` is what broke the
    source in this line, which is then the last, and `data` the part of it that had arrived.
    """

    number: int
    data: bytes
    length: int
    trouble: str | None = None

    @property
    def is_too_long(self) -> bool:
        """Whether the line was streamed past instead of held."""
        return self.length > len(self.data)


def split_lines(chunks: Iterable[bytes], *, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """The lines of a stream of chunks, ended by LF or CR LF; the last one needs no end. Holds one chunk and one line.

    EOFError, OSError and zlib.error of the source become a last line with `trouble`; nothing is raised for them.
    """
    held: list[bytes] = []
    length = number = 0
    source = iter(chunks)
    while True:
        try:
            chunk = next(source, None)
        except BROKEN as error:
            yield Line(number + 1, b"".join(held), length, str(error) or type(error).__name__)
            return
        if chunk is None:
            break
        pieces = chunk.split(b"\n")
        rest = pieces.pop()
        for piece in pieces:
            number += 1
            if held or len(piece) > max_bytes:
                length = _hold(held, length, piece, max_bytes)
                yield _close(number, held, length, max_bytes)
                held.clear()
                length = 0
            else:
                # Nearly every line stands whole in its chunk.
                data = piece[:-1] if piece.endswith(b"\r") else piece
                yield make_tuple(Line, (number, data, len(data), None))
        if rest:
            length = _hold(held, length, rest, max_bytes)
    if length:
        yield _close(number + 1, held, length, max_bytes)


def _hold(held: list[bytes], length: int, piece: bytes, max_bytes: int) -> int:
    """Add a piece to the line held so far; past the limit only its beginning is kept, and the rest is counted."""
    total = length + len(piece)
    # Two bytes of grace for CR and for the byte that tells "at the limit" from "beyond it".
    if total <= max_bytes + 1:
        if piece:
            held.append(piece)
    elif length <= max_bytes + 1:
        kept = min(KEPT_BYTES, max_bytes)
        held[:] = [(b"".join(held) + piece[:kept])[:kept]]
    return total


def _close(number: int, held: list[bytes], length: int, max_bytes: int) -> Line:
    data = held[0] if len(held) == 1 else b"".join(held)
    if length == len(data) and data.endswith(b"\r"):
        data = data[:-1]
        length -= 1
    if length > max_bytes:
        data = data[: min(KEPT_BYTES, max_bytes)]
    return Line(number, data, length)


def split_text_lines(chunks: Iterable[bytes]) -> Iterator[Line]:
    """The lines of a text, without the byte order mark that some programs put before it."""
    lines = split_lines(chunks)
    for line in lines:
        if line.data.startswith(UTF8_BOM):
            line = line._replace(data=line.data[len(UTF8_BOM) :], length=line.length - len(UTF8_BOM))
        yield line
        break
    yield from lines


def find_line_fault(line: Line) -> Refused | None:
    """Why nothing of a line can be read: not UTF-8 text at all, packed, broken off, or too long."""
    if line.number == 1:
        head = line.data[:4]
        if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head[:2]:
            return Refused(Reason.WRONG_ENCODING, "this file is UTF-16 or UTF-32; save it as UTF-8")
        if head[:2] == b"\x1f\x8b":
            return refuse_file("named_gzip")
    if line.trouble is not None:
        return refuse_file("breaks_off", error=brief(line.trouble, 200))
    if line.is_too_long:
        saying = f"the line has {line.length:,} bytes; a line of more than {MAX_LINE_BYTES:,} is not read"
        return Refused(Reason.LINE_TOO_LONG, saying)
    return None


def is_hopeless(refused: Refused) -> bool:
    """Whether each further line would fail alike, so that one fault stands for the whole file."""
    return refused.reason in (Reason.WRONG_ENCODING, Reason.UNREADABLE_FILE)
