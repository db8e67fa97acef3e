"""What each function of the kernel is called with, well and badly, and what does the same in Python.

A new function gets its line in `CASES`, here or in its area's file: then it also runs plainly and under sanitizers,
and its memory and references are looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from random import Random

from carnet import encoding
from carnet.passport import fields
from carnet.tlog import tree
from carnet.vault import bulk
from tests.kernel.case import Arguments, Case, without_kernel
from tests.kernel.cases_census import CENSUS
from tests.kernel.cases_digests import DIGESTS
from tests.kernel.cases_inspections import INSPECTIONS
from tests.kernel.cases_joint import JOINT
from tests.kernel.cases_links import LINKS
from tests.kernel.cases_opening import OPENING
from tests.kernel.cases_proofs import PROOFS
from tests.kernel.cases_shown import SHOWN
from tests.kernel.cases_statements import STATEMENTS
from tests.kernel.cases_waiting import WAITING
from tests.kernel.cases_ways import WAYS


def _make_sealer(names: Sequence[bytes]) -> fields.ValueSealer:
    return fields.ValueSealer([name[4:].decode() for name in names])


def seal_in_python(names: Sequence[bytes], values: Sequence[bytes], secret: bytes) -> tuple[bytes, bytes]:
    with without_kernel(fields):
        return _make_sealer(names).seal(values, secret)


def hash_fields_in_python(names: Sequence[bytes], shown: Sequence[bytes | tuple[bytes, bytes]]) -> bytes:
    with without_kernel(fields):
        return _make_sealer(names)._compute_root(shown)


def shake256_in_python(data: bytes, size: int) -> bytes:
    return hashlib.shake_256(data).digest(size)


BLOCK_BORDERS = sorted(
    {
        size + by
        for block, most in ((64, 6), (136, 4))
        for size in range(0, block * most + 1, block)
        for by in (-10, -9, -8, -2, -1, 0, 1, 2, 54 - block, 55 - block)
        if size + by >= 0
    }
)
"""Sizes around each place where padding takes another block, of SHA-256 (64 bytes) and of SHAKE-256 (136)."""


def _hashes(random: Random, count: int) -> list[bytes]:
    return [random.randbytes(32) for _ in range(count)]


def _names(random: Random, count: int) -> tuple[bytes, ...]:
    return tuple(encoding.lp(f"{'x' * random.choice((0, 1, 9, 60, 300))}é{at}".encode()) for at in range(count))


def _odd_messages(random: Random) -> Iterator[Arguments]:
    for size in (*range(300), *BLOCK_BORDERS, 4_095, 65_537):
        yield (random.randbytes(size),)
    yield (bytearray(b"abc"),)
    yield (memoryview(b"abcdef")[1:5],)


def _odd_streams(random: Random) -> Iterator[Arguments]:
    for size in BLOCK_BORDERS:
        for wanted in (0, 1, 32, 135, 136, 137, 272, 273, 2_000):
            yield random.randbytes(size), wanted


def _odd_paths(random: Random) -> Iterator[Arguments]:
    for height in (*range(70), 128, 255, 256):
        siblings = _hashes(random, height)
        sides = random.getrandbits(height)
        yield random.randbytes(32), sides, siblings
        yield random.randbytes(32), (1 << height) - 1, tuple(siblings)
        yield random.randbytes(random.randrange(100)), sides, [s[: random.randrange(33)] for s in siblings]
    for sides in (-1, -2, 2**63, 2**64, 2**64 + 5, 2**300):
        yield random.randbytes(32), sides, _hashes(random, 7)


def _odd_levels(random: Random) -> Iterator[Arguments]:
    for count in (*range(70), 127, 128, 129, 1_000):
        yield (b"".join(_hashes(random, count)),)


def _odd_sealed(random: Random) -> Iterator[Arguments]:
    for count in (*range(30), 63, 64, 65, 300, 1_024):
        values = [random.randbytes(random.choice((0, 1, 5, 40, 64, 500))) for _ in range(count)]
        yield _names(random, count), random.choice((list, tuple))(values), random.randbytes(32)


def _odd_shown(random: Random) -> Iterator[Arguments]:
    for count in (*range(30), 64, 1_024, 1_500):
        shown = [
            random.randbytes(32)
            if random.random() < 0.4
            else (random.randbytes(16), random.randbytes(random.choice((0, 1, 5, 40, 64, 500))))
            for _ in range(count)
        ]
        yield _names(random, count), random.choice((list, tuple))(shown)


LAYOUTS = {0: b"", 1: b"-i", 2: b"bt", 3: b"i--bt", 5: b"iiiit"}


def _make_value(random: Random, kind: str) -> object:
    size = random.choice((0, 1, 31, 32, 300, 5_000))
    if random.random() < 0.2:
        return None
    if kind == "i":
        return random.choice((0, 1, -1, True, 2**31, -(2**63), 2**63 - 1, random.getrandbits(40)))
    if kind == "b":
        return random.choice((bytes, bytearray))(random.randbytes(size))
    return "".join(random.choices("az\0é€😀", k=size))


def _odd_columns(random: Random) -> Iterator[Arguments]:
    for count in (*range(30), 1_000):
        kind = random.choice("ibt")
        values = [_make_value(random, kind) for _ in range(count)]
        yield random.choice((list, tuple))(values), kind.encode()


def _odd_rows(random: Random) -> Iterator[Arguments]:
    for count in (*range(30), 1_000):
        layouts = random.choices(list(LAYOUTS.values()), k=count)
        rows = [tuple(_make_value(random, kind) for kind in layout.decode() if kind != "-") for layout in layouts]
        yield random.choice((list, tuple))(rows), LAYOUTS


_H, _NAMES, _SALT = bytes(32), (b"\0\0\0\x01a", b"\0\0\0\x01b"), bytes(16)


class _Liar:
    """Says that it is a sequence, and fails when it is looked at."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, at: int) -> bytes:
        raise LookupError("not there")


CASES: dict[str, Case] = {
    **CENSUS,
    **DIGESTS,
    **INSPECTIONS,
    **WAITING,
    **JOINT,
    **LINKS,
    **OPENING,
    **WAYS,
    **PROOFS,
    **SHOWN,
    **STATEMENTS,
    "sha256": Case(encoding._sha256, [(b"abc",), (bytes(200),)], _odd_messages, [("text",), (1,), (None,), ([b"x"],)]),
    "shake256": Case(
        shake256_in_python,
        [(b"abc", 32), (bytes(200), 300)],
        _odd_streams,
        [("text", 3), (b"x", -1), (b"x", "1"), (b"x", 2**80), (bytearray(b"x"), 3), (b"x",)],
    ),
    "climb": Case(
        tree._climb,
        [(_H, 5, [_H, _H, _H]), (_H, 0, ()), (_H, 2**80, [_H] * 90), (b"short", 1, (b"", _H[:3]))],
        _odd_paths,
        [
            ("x", 0, []), (_H, "0", []), (_H, None, [_H]), (_H, 0, [_H, None]), (_H, 0, 7), (_H, 0, [_H] * 257),
            (_H, -1, [_H] * 65), (_H, 2**256, [_H] * 65), (_H, "0", [_H] * 65), (_H, 0, _Liar()),
            (_H, 0, "ab"), (_H, 0),
        ],
    ),
    "hash_levels": Case(
        tree._hash_levels_in_python, [(b"",), (_H,), (_H * 3,), (_H * 8,)], _odd_levels,
        [(bytes(31),), (bytes(33),), ("x" * 32,), (None,), (bytearray(32),)],
    ),
    "seal_fields": Case(
        seal_in_python,
        [((), (), _H), (_NAMES, [b"1", b"null"], _H), (_NAMES, (b"", bytes(300)), _H)],
        _odd_sealed,
        [
            (_NAMES, [b"1"], _H), (_NAMES, [b"1", "2"], _H), (_NAMES, [b"1", b"2"], bytes(31)),
            (list(_NAMES), [b"1", b"2"], _H),
            (("a", "b"), [b"1", b"2"], _H), (_NAMES, None, _H), (_NAMES, _Liar(), _H), (_NAMES, [b"1", b"2"], None),
            (_NAMES,), (_NAMES[:1] * 1_025, [b"1"] * 1_025, _H),
        ],
    ),
    "hash_fields": Case(
        hash_fields_in_python,
        [((), ()), (_NAMES, [_H, (_SALT, b"1")]), (_NAMES, ((_SALT, b""), _H))],
        _odd_shown,
        [
            (_NAMES, [_H]), (_NAMES, [_H, bytes(31)]), (_NAMES, [_H, (bytes(15), b"1")]), (_NAMES, [_H, (_SALT, "1")]),
            (_NAMES, [_H, (_SALT,)]), (_NAMES, [_H, [_SALT, b"1"]]), (_NAMES, [_H, None]), (_NAMES, 5),
            (_NAMES, _Liar()), (list(_NAMES), [_H, _H]), ((1, 2), [_H, _H]), (_NAMES,),
        ],
    ),
    "pack_column": Case(
        bulk._pack_column,
        [([], b"i"), ((1, None, -1), b"i"), ([b"ab", bytearray(1), None], b"b"), (["", "é"], b"t")],
        _odd_columns,
        [
            ([1], b"b"), (["1"], b"i"), ([b"1"], b"t"), ([1], b"x"), ([2**63], b"i"), (["\ud800"], b"t"), ([1], b""),
            ([1], b"ii"), ([1], "i"), (5, b"i"), (None, b"i"), ([1],), ([1], b"i", 1), (_Liar(), b"i"),
        ],
    ),
    "pack_rows": Case(
        bulk._pack_rows,
        [([], {}), ([(1, None, "é")], LAYOUTS), (((), (2,), (b"", "")), LAYOUTS)],
        _odd_rows,
        [
            ([(1,)], {}), ([(1,)], {1: b"b"}), ([("1",)], {1: b"i"}), ([(b"1",)], {1: b"t"}), ([(1,)], {1: b"x"}),
            ([(memoryview(b""),)], {1: b"b"}), ([(2**63,)], {1: b"i"}), ([("\ud800",)], {1: b"t"}), ([[1]], {1: b"i"}),
            ([(1,)], {1: b"ii"}), ([(1, 2)], {2: b"i"}), ([(1,)], {1: "i"}), ([(1,)], {1: None}), ([None], LAYOUTS),
            ([(1,)], {1: b"i" + b"-" * 1_600}), (None, {}), ([], []), ([],), ([], {}, 1), (_Liar(), LAYOUTS),
        ],
    ),
}  # fmt: skip
