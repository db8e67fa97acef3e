"""What the functions that read the fields of a bundle are called with: values, and not their bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from carnet.encoding import _check_decoded, encode_trusted, lp
from carnet.errors import Refused
from carnet.passport.fields import ValueSealer
from tests.kernel.case import Arguments, Case, without_kernel

_H, _SALT, _NAMES = bytes(32), bytes(16), (lp(b"a"), lp(b"b"))
_SCALARS = [None, True, 0, -1, 2**53 - 1, 2**53, -(2**53), 2**63, 2**64, 1.5, "", "é", "x" * 300, "\ud800"]


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


def _fail(value: object) -> bytes:
    raise ValueError(value)


SHOWN: dict[str, Case] = {
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
            (_NAMES, [(_SALT, [2**60]), (_SALT, 1)], _fail, 1), (_NAMES, [_H, (_SALT, 1)], None, 1),
            (_NAMES, [_H, (_SALT, 1)], str, 1), (_NAMES, 5, encode_trusted, 1), (_NAMES, [_H, _H], encode_trusted, "1"),
            (list(_NAMES), [_H, _H], encode_trusted, 1), ((1, 2), [_H, _H], encode_trusted, 1),
            (_NAMES, [_H, None], encode_trusted, 1),
        ],
    ),
}  # fmt: skip
