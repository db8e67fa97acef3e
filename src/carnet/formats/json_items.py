"""The outer frame of a line of JSON that cannot be parsed as a whole, so that its good parts are not lost.

It follows quotes and brackets only, on bytes, in one pass: good enough to cut an object into members and a list into
items, each of which is then parsed, and refused, for itself. It refuses to know what is inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# The string never fails to match (its end may be missing), so that no input makes the scan go back over it.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{},:]', re.DOTALL)
_CLOSING = {ord("["): ord("]"), ord("{"): ord("}")}
_NAME = re.compile(rb'\s*"([A-Za-z0-9_]{1,64})"\s*:', re.ASCII)
_BLANK = b" \t\r\n"
_MAX_DEPTH = 10_000


def find_members(data: bytes) -> list[tuple[str, bytes | list[bytes]]] | None:
    """The members of a JSON object, repeated names included: a list as its items, anything else as it is written.

    None where the brackets do not close, or a name is not a plain one.
    """
    inside = _strip(data, b"{", b"}")
    if inside is None:
        return None
    members: list[tuple[str, bytes | list[bytes]]] = []
    parts = _split(inside)
    for part in parts or ():
        name = _NAME.match(part)
        if name is None:
            return None
        value = part[name.end() :].strip(_BLANK)
        listed = _strip(value, b"[", b"]")
        items = None if listed is None else _split(listed)
        members.append((name.group(1).decode("ascii"), value if items is None else items))
    return None if parts is None else members


def _strip(data: bytes, opening: bytes, closing: bytes) -> bytes | None:
    data = data.strip(_BLANK)
    return data[1:-1] if len(data) >= 2 and data[:1] == opening and data[-1:] == closing else None


def _split(data: bytes) -> list[bytes] | None:
    """The parts between commas that stand outside brackets and texts; None where brackets do not match."""
    try:
        cuts = list(_find_commas(data))
    except ValueError:
        return None
    parts = [
        data[start:end].strip(_BLANK)
        for start, end in zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(data)], strict=True)
    ]
    return [] if parts == [b""] else parts


def _find_commas(data: bytes) -> Iterator[int]:
    open_brackets: list[int] = []
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first in _CLOSING:
            open_brackets.append(_CLOSING[first])
            if len(open_brackets) > _MAX_DEPTH:
                raise ValueError("nested too deep")
        elif first in b"]}":
            if not open_brackets or open_brackets.pop() != first:
                raise ValueError("brackets do not match")
        elif first == ord(",") and not open_brackets:
            yield token.start()
    if open_brackets:
        raise ValueError("brackets do not close")
