"""What the sealing of whole statements is called with, and the hashing of digests between two texts."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from carnet.encoding import encode, lp
from carnet.passport import fields, statement
from carnet.vault import statements
from tests.kernel.case import Arguments, Case, without_kernel

_FRONT, _MIDDLE = bytes(range(51)), bytes(range(100, 149))
_SECRET, _CHAIN, _TAIL, _TARGET = bytes(range(32)), bytes(range(16)), b"\1\0", bytes(32)
_FIELDS: dict[str, Any] = {
    "kind": "k/1",
    "note": "a",
    "occurred": {"at": "2020-01-02", "precision": "day", "zone": None},
    "subject": {"scheme": "vin", "value": "V"},
}
_NAMES = tuple(lp(name.encode()) for name in sorted(_FIELDS))
_OWN = encode(_FIELDS["subject"])
_WHOLE = encode(_FIELDS)
_REST = (_SECRET, _CHAIN, _TAIL, _TARGET, _OWN)
_VALUES = (None, 0, -1, 2**53 - 1, True, "", "é", '"\\{}[],:', "x" * 900, [], [1, {"a": [None]}], {})


def seal_in_python(*arguments: Any) -> Any:
    with without_kernel(fields):
        return statements._seal_statements(*arguments)


def make_columns(*rows: tuple[Any, ...]) -> Arguments:
    """What seals these: names, fields, secret, chain, class and mark, target, own subject."""
    return _FRONT, _MIDDLE, *(map(list, zip(*rows, strict=True)) if rows else [[]] * 7)


def _make_row(random: Random, count: int) -> tuple[Any, ...]:
    others = {f"f{at}": random.choice(_VALUES) for at in range(count)}
    whole = encode(others | _FIELDS | {"subject": random.choice((_FIELDS["subject"], "another", None, [[]]))})
    names = tuple(lp(name.encode()) for name in sorted(others | _FIELDS))
    sizes = (32, 16, 2, 32)
    return names, whole, *(random.randbytes(size) for size in sizes), _OWN


def _odd_statements(random: Random) -> Iterator[Arguments]:
    for count in (*range(30), 200, 1_020):
        yield make_columns(_make_row(random, count))
    # As many of a kind in a row as are sealed at once, and more and fewer; the names as one object, and as another one.
    for count in (*range(1, 14), 40):
        rows = [_make_row(random, random.choice((0, 1, 20))) for _ in range(count)]
        yield make_columns(*rows)
        known = {names: names for names, *_ in rows}
        alike = [(known[names], *rest) for names, *rest in sorted(rows, key=lambda row: len(row[0]))]
        yield (*make_columns(*alike)[:2], *map(tuple, make_columns(*alike)[2:]))
    many = [_make_row(random, 90) for _ in range(4)]
    yield make_columns(*[(many[0][0], *rest) for _, *rest in many])


def _bad() -> Iterator[Arguments]:
    # Cut off and altered at each place: this is read by hand, in C.
    for at in range(len(_WHOLE)):
        yield make_columns((_NAMES, _WHOLE[:at], *_REST))
    for text in (
        b"",
        b"{",
        b"[]",
        b'"',
        _WHOLE + b"}",
        _WHOLE + b" ",
        b" " + _WHOLE,
        _WHOLE[:-1] + b',"z":1}',
        b"[" * 5_000,
    ):
        yield make_columns((_NAMES, text, *_REST))
    for wrong in ({}, {**_FIELDS, "occurred": None}, {**_FIELDS, "occurred": {"at": 1}}, {**_FIELDS, "b": 1}):
        yield make_columns((_NAMES, encode(wrong), *_REST))
    good: list[Any] = [_NAMES, _WHOLE, *_REST]
    for at, wrong in (
        (0, list(_NAMES)), (0, ("kind",)), (0, ()), (0, _NAMES * 300), (1, "x"), (1, None), (2, bytes(31)),
        (3, bytes(17)), (4, b"\1"), (5, bytes(33)), (6, "x"), (6, None),
    ):  # fmt: skip
        bad = [*good[:at], wrong, *good[at + 1 :]]
        yield make_columns(tuple(bad))
        # The last of five, when four were sealed together.
        yield make_columns(*[tuple(good)] * 4, tuple(bad))
        yield make_columns(tuple(good), tuple(bad), tuple(good))
    yield make_columns(((b"",), b'{"":1}', *_REST))
    columns = make_columns(tuple(good), tuple(good))
    for at in range(len(columns)):
        for odd in (None, 5, "x", columns[at][:1], iter(columns[at])):
            yield (*columns[:at], odd, *columns[at + 1 :])
    yield columns[:-1]
    yield (*columns, [])


def _odd_digests(random: Random) -> Iterator[Arguments]:
    for count in (*range(12), 63, 64, 65, 129, 1_000):
        for before, after in ((0, 0), (0, 23), (23, 0), (16, 180), (100, 2_300)):
            digests = [random.randbytes(32) for _ in range(count)]
            yield random.randbytes(before), random.choice((list, tuple))(digests), random.randbytes(after)


STATEMENTS: dict[str, Case] = {
    "seal_statements": Case(
        seal_in_python,
        [
            make_columns(),
            make_columns((_NAMES, _WHOLE, *_REST)),
            make_columns((_NAMES, encode({**_FIELDS, "note": "x" * 2_000}), *_REST[:-1], b"null")),
            make_columns(*[(_NAMES, _WHOLE, *_REST)] * 5),
        ],
        _odd_statements,
        list(_bad()),
    ),
    "hash_each": Case(
        statement._hash_each,
        [(b"", [], b""), (b"a", [_SECRET], b"b"), (b"a", (_SECRET,) * 70, b"b" * 100)],
        _odd_digests,
        [
            (b"", [bytes(31)], b""), (b"", [_SECRET, bytes(33)], b""), (b"", [_SECRET, None], b""), (b"", [_SECRET]),
            ("", [_SECRET], b""), (b"", ["x" * 32], b""), (b"", [_SECRET], None), (b"", None, b""),
            (b"", iter([_SECRET]), b""),
        ],
    ),
}  # fmt: skip
