"""What the sealing of a whole statement is called with."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from carnet.encoding import encode, lp
from carnet.passport import fields
from carnet.vault import statements
from tests.kernel.case import Arguments, Case, without_kernel

_SECRET, _START, _TARGET = bytes(range(32)), bytes(range(118)), bytes(32)
_FIELDS: dict[str, Any] = {
    "kind": "k/1",
    "note": "a",
    "occurred": {"at": "2020-01-02", "precision": "day", "zone": None},
    "subject": {"scheme": "vin", "value": "V"},
}
_NAMES = tuple(lp(name.encode()) for name in sorted(_FIELDS))
_OWN = encode(_FIELDS["subject"])
_REST = (_SECRET, _START, _TARGET, _OWN)


def seal_in_python(*arguments: Any) -> tuple[Any, ...]:
    with without_kernel(fields):
        return statements._seal_statement(*arguments)


def _odd_statements(random: Random) -> Iterator[Arguments]:
    for count in (*range(30), 200, 1_020):
        values = [
            None,
            0,
            -1,
            2**53 - 1,
            True,
            "",
            "é",
            '"\\{}[],:',
            "x" * random.randrange(900),
            [],
            [1, {"a": [None]}],
            {},
        ]
        others = {f"f{at}": random.choice(values) for at in range(count)}
        whole = encode(others | _FIELDS | {"subject": random.choice((_FIELDS["subject"], "another", None, [[]]))})
        names = tuple(lp(name.encode()) for name in sorted(others | _FIELDS))
        yield names, whole, random.randbytes(32), random.randbytes(118), random.randbytes(32), _OWN


def _bad() -> Iterator[Arguments]:
    whole = encode(_FIELDS)
    # Cut off and altered at each place: this is read by hand, in C.
    for at in range(len(whole)):
        yield _NAMES, whole[:at], *_REST
    for text in (
        b"",
        b"{",
        b"[]",
        b'"',
        whole + b"}",
        whole + b" ",
        b" " + whole,
        whole[:-1] + b',"z":1}',
        b"[" * 5_000,
    ):
        yield _NAMES, text, *_REST
    for wrong in ({}, {**_FIELDS, "occurred": None}, {**_FIELDS, "occurred": {"at": 1}}, {**_FIELDS, "b": 1}):
        yield _NAMES, encode(wrong), *_REST
    yield list(_NAMES), whole, *_REST
    yield ("kind",), whole, *_REST
    yield (b"",), b'{"":1}', *_REST
    yield _NAMES * 300, whole, *_REST
    yield _NAMES, whole, bytes(31), *_REST[1:]
    yield _NAMES, whole, _SECRET, bytes(117), *_REST[2:]
    yield _NAMES, whole, _SECRET, _START, bytes(33), _OWN
    yield _NAMES, whole, *_REST[:3], "x"
    yield _NAMES, "x", *_REST


STATEMENTS: dict[str, Case] = {
    "seal_statement": Case(
        seal_in_python,
        [
            (_NAMES, encode(_FIELDS), *_REST),
            (_NAMES, encode({**_FIELDS, "note": "x" * 2_000}), *_REST[:3], b"null"),
        ],
        _odd_statements,
        list(_bad()),
    )
}
