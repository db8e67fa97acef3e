"""What the linking of runs of statements is called with."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from carnet.node.jobs import Row
from carnet.node.placing.linking import _link_plain
from tests.kernel.case import Arguments, Case

_H, _CHAIN = bytes(32), bytes(16)
_KINDS = {"a/1": 3, "b/1": 7}
_PLACE, _FRAME = (5, _CHAIN, 2, 1, _H), (3, 11, 2**40, 1_700_000_000_000)
_ROW = Row(0, "a/1", 1, 0, _H, _H, 0, bytes(40), b"content", bytes(16), None)
_REST = (_KINDS, 1, _FRAME, _H * 3, 4, 100, False)


def _make_row(random: Random, place: int, count: int) -> Row:
    """Mostly one like most; now and then something about it is special."""
    bytes_ = random.choice((bytes, bytearray))
    return Row(
        place,
        random.choice(("a/1", "a/1", "a/1", "b/1", "\xe9/1" if random.random() < 0.1 else "b/1")),
        1 if random.random() < 0.98 else 2,
        0 if random.random() < 0.98 else random.randrange(1, 5),
        random.randbytes(32),
        random.randbytes(32),
        random.randrange(count),
        bytes_(random.randbytes(40)),
        None if random.random() < 0.1 else bytes_(random.randbytes(random.choice((0, 1, 200, 5_000)))),
        None if random.random() < 0.1 else random.randbytes(16),
        None if random.random() < 0.98 else (b"subject", None),
    )


def _odd_runs(random: Random) -> Iterator[Arguments]:
    for count in (*range(1, 40), 300):
        rows = [_make_row(random, place, count) for place in range(count)]
        ends = sorted(random.choices(range(count + 1), k=random.choice((0, 0, 2, count))))
        runs = [rows[at:end] for at, end in zip([0, *ends], [*ends, count], strict=True)]
        places = [_make_place(random) for _ in runs]
        signed, is_quiet = random.randbytes(32 * count), random.random() < 0.3
        for room in (-1, 0, 1, 5, count, 4_096):
            sequence = random.choice((list, tuple))
            yield sequence(map(sequence, runs)), sequence(places), _KINDS, 1, _FRAME, signed, 7, room, is_quiet


def _make_place(random: Random) -> tuple[int, bytes, int, int, bytes]:
    seq = random.choice((-1, 0, 1, 2**31, 2**32 - 1, 2**62))
    return random.getrandbits(40), random.randbytes(16), seq, random.choice((0, 2**32 - 1)), random.randbytes(32)


def _with(part: str, value: object) -> Arguments:
    return [[_ROW], [_ROW._replace(**{part: value})]], [_PLACE] * 2, *_REST


def _at(place: Any) -> Arguments:
    return [[_ROW], []], [_PLACE, place], *_REST


def _but(at: int, value: Any) -> Arguments:
    given = ([[_ROW]], [_PLACE], *_REST)
    return *given[:at], value, *given[at + 1 :]


LINKS: dict[str, Case] = {
    "link_plain": Case(
        _link_plain,
        [
            ([], [], *_REST), ([[_ROW, _ROW._replace(sub_index=2, source=None), _ROW]], [_PLACE], *_REST),
            (([], (_ROW,), []), (_PLACE,) * 3, *_REST[:-1], True),
            ([[_ROW], [_ROW, _ROW._replace(mark=1), _ROW], [_ROW]], [_PLACE] * 3, *_REST),
            ([[_ROW._replace(content=None, kind=kind)] * 3 for kind in "b/1 a/1 b/1".split()], [_PLACE] * 3, *_REST),
            ([[_ROW._replace(secret=bytearray(40), content=bytearray(9))]], [_PLACE], *_REST),
            ([[_ROW], [_ROW] * 4], [_PLACE] * 2, *_REST[:-2], 3, False),
        ],
        _odd_runs,
        [
            _but(0, None), _but(0, {}), _but(0, [None]), _but(0, [{}]), _but(0, [[_ROW[:10]]]), _but(0, [[list(_ROW)]]),
            _but(0, [[(*_ROW, 1)]]), _but(0, []), _but(0, [[_ROW], []]),
            _but(1, None), _but(1, []), _but(1, [_PLACE] * 2), _but(1, [None]),
            _but(2, None), _but(2, []), _but(3, None), _but(3, 2**80),
            _at(_PLACE[:4]), _at(list(_PLACE)), _at((5, bytes(15), 2, 1, _H)), _at((5, _CHAIN, -2, 1, _H)),
            _at((5, _CHAIN, 2**63, 1, _H)), _at((5, _CHAIN, "2", 1, _H)), _at((5, _CHAIN, 2, -1, _H)),
            _at((5, _CHAIN, 2, 2**32, _H)), _at((5, _CHAIN, 2, 1, bytes(31))), _at((5, _CHAIN, 2, 1, None)),
            _but(4, _FRAME[:3]), _but(4, None), _but(5, None), _but(5, "x"), _but(5, b""), _but(5, bytes(31)),
            _but(6, -1), _but(6, None), _but(7, None), _but(7, "1"),
            _with("kind", None), _with("kind", b"a/1"), _with("kind", ["a/1"]), _with("class_", None),
            _with("mark", None),
            _with("mark", 2**80), _with("sid", bytes(31)), _with("sid", "x"), _with("sid", bytearray(32)),
            _with("sub_index", 3), _with("sub_index", -1), _with("sub_index", None), _with("sub_index", 2**80),
            _with("secret", None), _with("secret", "x"), _with("content", "x"), _with("content", 1),
            _with("source", "x"), _with("source", 7),
        ],
    )
}  # fmt: skip
