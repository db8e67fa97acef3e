"""What the opening of a whole statement is called with. It gives None where the contents do not give the statement of
this id: Python has something to say then, or makes another one."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from carnet.encoding import encode, lp, sha256
from carnet.errors import Unverified
from carnet.passport import fields
from carnet.vault import statements
from tests.kernel.case import Arguments, Case, without_kernel

_SECRET, _HEAD, _TARGET = bytes(range(32)), bytes(range(118)), bytes(32)
_KIND, _SUBJECT = "k/1", {"scheme": "vin", "value": "V"}
_MOMENT = {"at": "2020-01-02", "precision": "day", "zone": None}
_FIELDS: dict[str, Any] = {"kind": _KIND, "note": "a", "occurred": _MOMENT, "subject": _SUBJECT}
_VALUES = (None, 0, -1, 2**53 - 1, True, "", "é", '"\\{}[],:', "x" * 900, [], [1, {"a": [None]}], {})


def open_in_python(*arguments: Any) -> tuple[bytes, bytes, bytes] | None:
    with without_kernel(fields):
        try:
            found = statements._open_statement(*arguments[:-1])
        except (Unverified, ValueError):
            return None
    return found if sha256(found[0]) == arguments[-1] else None


def seal(whole: dict[str, Any], secret: bytes = _SECRET, own: object = _SUBJECT) -> Arguments:
    """What opens a statement of these fields."""
    names = tuple(lp(name.encode()) for name in sorted(whole))
    with without_kernel(fields):
        _, sid, _, contents, _ = statements._seal_statement(names, encode(whole), secret, _HEAD, _TARGET, encode(own))
        stream = fields.expand_stream(secret, len(names))
    return names, contents, stream, _HEAD, _TARGET, encode(whole["kind"]), encode(own), sid


def _odd_contents(random: Random) -> Iterator[Arguments]:
    for count in (*range(30), 200, 1_020):
        others = {f"f{at}": random.choice(_VALUES) for at in range(count)}
        said = {"at": random.choice(_VALUES), "precision": random.choice(_VALUES), "zone": random.choice(_VALUES)}
        subject = random.choice((_SUBJECT, "another", [[]]))
        yield seal(others | _FIELDS | {"occurred": said, "subject": subject}, random.randbytes(32))
    given = seal(_FIELDS)
    names, contents, *rest = given
    for at in range(len(contents)):
        yield names, contents[:at], *rest
        yield names, contents[:at] + b"\n" + contents[at:], *rest
        yield names, contents[:at] + random.randbytes(1) + contents[at + 1 :], *rest
    lines = contents.split(b"\n")
    for wrong in (
        b"",
        b"null",
        b"[",
        b"[]",
        b"[1,2]",
        b"[1,2,3,4]",
        b"[1,2,3]]",
        b'["',
        b"[" * 5_000,
        b"1",
        bytes(9_000),
    ):
        for at in range(len(lines)):
            yield names, b"\n".join([*lines[:at], wrong, *lines[at + 1 :]]), *rest
        yield names, wrong, *rest
    for place, other in ((5, b'"k/2"'), (6, b'"another"'), (7, bytes(32))):
        yield *given[:place], other, *given[place + 1 :]
    for at in range(4):
        yield names[:at] + names[at + 1 :], contents, given[2][:-16], *given[3:]
        # One of a name, or the room would not do.
        yield (*names, names[at]), contents, given[2] + bytes(16), *given[3:5], b'"%s"' % bytes(9_000), *given[6:]
    yield from (((b"abc",), contents, bytes(48), *given[3:]), ((), contents, bytes(32), *given[3:]))


def _bad() -> Iterator[Arguments]:
    names, contents, stream, *rest = given = seal(_FIELDS)
    yield list(names), *given[1:]
    yield ("kind",), *given[1:]
    yield names * 300, contents, bytes(32 + 16 * 1_200), *rest
    yield names, contents, stream[1:], *rest
    for place in range(1, 8):
        for wrong in ("x", None, bytearray(given[place])):
            yield *given[:place], wrong, *given[place + 1 :]
        if place in (2, 3, 4, 7):
            yield *given[:place], given[place] + b"x", *given[place + 1 :]
    yield given[:-1]


OPENING: dict[str, Case] = {
    "open_statement": Case(
        open_in_python,
        [seal(_FIELDS), seal({**_FIELDS, "note": "x" * 9_000}), (*seal(_FIELDS)[:-1], bytes(32))],
        _odd_contents,
        list(_bad()),
    )
}
