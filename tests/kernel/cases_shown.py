"""What the functions that read the fields of a bundle are called with: values, and not their bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import msgspec

from carnet.encoding import _check_decoded, encode_trusted, lp
from carnet.errors import Refused, Unverified
from carnet.passport.fields import ValueSealer
from carnet.proof.bundle import _check_ascending, _read_accreditations
from tests.kernel.case import Arguments, Case, without_kernel

_H, _SALT, _NAMES = bytes(32), bytes(16), (lp(b"a"), lp(b"b"))
_SCALARS = [
    None, True, False, 0, -1, 2**53 - 1, 2**53, -(2**53), 2**63, 2**64, 1.5,
    "", "é", "\ud800", "a\"b", "\\", "a\x7f", "\n", *("x" * size for size in (253, 254, 255, 300)), "é" * 127, "\0",
]  # fmt: skip


def is_plain_in_python(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    try:
        _check_decoded(value, depth)
    except Refused:
        return False
    return True


def hash_shown_in_python(
    names: Sequence[bytes], shown: Sequence[bytes | tuple[bytes, Any]], encode: Callable[[Any], bytes], depth: int
) -> tuple[bytes, list[Any]]:
    from carnet.passport import fields

    with without_kernel(fields):
        root, inside = ValueSealer([name[4:].decode() for name in names])._hash_shown(shown)
    return root, [one for one in inside if not is_plain_in_python(one, depth)]


def _make_value(random: Random, depth: int, scalars: Sequence[Any] = _SCALARS) -> Any:
    chance = random.random()
    if depth and chance < 0.3:
        return [_make_value(random, depth - 1, scalars) for _ in range(random.randrange(4))]
    if depth and chance < 0.6:
        names = random.sample(["a", "b_1", "z" * 40, "z" * 41, "A", "9", "é", "_"], random.randrange(4))
        return {name: _make_value(random, depth - 1, scalars) for name in names}
    return random.choice(scalars)


def _odd_values(random: Random) -> Iterator[Arguments]:
    for _ in range(1_000):
        yield _make_value(random, 5), random.randint(1, 18)
    nested: Any = []
    for _ in range(30):
        nested = [nested]
        yield nested, 1


def _odd_fields(random: Random) -> Iterator[Arguments]:
    # What has no bytes in `cj` is no case here: `encode` raises for it, in either.
    scalars = [one for one in _SCALARS if one != "\ud800" and not isinstance(one, float)]
    for count in (*range(30), 300):
        names = tuple(lp(f"f{at:03}".encode()) for at in range(count))
        shown = [
            random.randbytes(32) if random.random() < 0.3 else (random.randbytes(16), _make_value(random, 4, scalars))
            for _ in range(count)
        ]
        yield names, random.choice((list, tuple))(shown), encode_trusted, random.randint(1, 17)


def do_accreditations_ascend_in_python(encoded: bytes) -> bool:
    if b"\\" in encoded or not encoded.isascii():
        return False  # Left to Python.
    try:
        _check_ascending(_read_accreditations(encoded))
    except (msgspec.DecodeError, Unverified):
        return False
    return not any(one < 0x20 or one == 0x7F for one in encoded)


def _odd_accreditations(random: Random) -> Iterator[Arguments]:
    kinds = ["", "a", "a.b/1", "a.b/10", "a.b/2", "[", "],[", " ", "z" * 300, "é", '"', "\\", "\x7f"]
    marks = [b"[", b"]", b",", b'"', b"0", b"00", b"256", b"-1", b"1.0", b"1e1", b" ", b"null", b"\\", b"\0", b"\xc3"]
    for count in (*range(8), 60):
        for _ in range(60):
            some = [
                (random.choice(kinds), random.choice((0, 1, 9, 10, 255)), random.randrange(3)) for _ in range(count)
            ]
            chosen = set(some)
            encoded = encode_trusted(sorted(chosen))
            yield (encoded,)
            yield (encode_trusted(some),)
            at, end = sorted(random.choices(range(len(encoded) + 1), k=2))
            yield (encoded[:at] + random.choice(marks) + encoded[at + random.randrange(2) :],)
            yield (encoded[:at] + encoded[end:],)
    for wrong in ("", "[", "]", "[]]", "[,]", "[[]]", '[["a",1,256]]', '[["a",1,2,3]]', '[["a",01,2]]', '[["a",1,2],]'):
        yield (wrong.encode(),)


def _fail(value: object) -> bytes:
    raise ValueError(value)


SHOWN: dict[str, Case] = {
    "do_accreditations_ascend": Case(
        do_accreditations_ascend_in_python,
        [(b"[]",), (b'[["a.b/1",1,3]]',), (b'[["a",1,3],["a",2,1],["b",0,255]]',), (b'[["a",1,1],["a",1,1]]',)],
        _odd_accreditations,
        [("[]",), (bytearray(b"[]"),), (1,)],
    ),
    "is_plain": Case(
        is_plain_in_python, [({"a": [1, None]}, 1), ([], 17), ("a", 1), (None, 1), ([[2**60]], 1), ({"\ud800": 1}, 1)],
        _odd_values,
        [([],), ([], "1"), ([], None), ([], 2**80)],
    ),
    "hash_shown": Case(
        hash_shown_in_python,
        [
            ((), (), encode_trusted, 1), (_NAMES, [_H, (_SALT, {"a": [1]})], encode_trusted, 1),
            (_NAMES, ((_SALT, [2**60]), (_SALT, None)), encode_trusted, 1),
        ],
        _odd_fields,
        [
            (_NAMES, [_H], encode_trusted, 1), (_NAMES, [_H, bytes(31)], encode_trusted, 1),
            (_NAMES, [_H, (bytes(15), 1)], encode_trusted, 1), (_NAMES, [_H, (_SALT,)], encode_trusted, 1),
            (_NAMES, [(_SALT, [2**60]), (_SALT, 1)], _fail, 1), (_NAMES, [_H, (_SALT, [1])], None, 1),
            (_NAMES, [_H, (_SALT, [1])], str, 1),
            (_NAMES, [_H, (_SALT, "a\\b")], _fail, 1), (_NAMES, 5, encode_trusted, 1),
            (_NAMES, [_H, _H], encode_trusted, "1"),
            (list(_NAMES), [_H, _H], encode_trusted, 1), ((1, 2), [_H, _H], encode_trusted, 1),
            (_NAMES, [_H, None], encode_trusted, 1),
        ],
    ),
}  # fmt: skip
