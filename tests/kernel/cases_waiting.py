"""What `pack_waiting` and `cut_items` are called with: rows of a file, their parts of each size of a head."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from msgspec.msgpack import encode

from carnet.formats.faults import Origin
from carnet.formats.rows import Row
from carnet.services import regrouping
from carnet.types import Subject
from tests.kernel.case import Arguments, Case

NUMBERS = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**64 - 1]
SIZES = [0, 1, 31, 32, 255, 256, 65_535, 65_536, 200_000]
_SUBJECT, _DIGEST = Subject("vin", "VF1"), bytes(range(16))


def _make_row(kind: str = "a/1", data: bytes = b"source", **changes: Any) -> Row:
    return Row(1, 2, _SUBJECT, kind, encode({"kind": "a/1"}), data)._replace(**changes)


def _odd(random: Random) -> Iterator[Arguments]:
    for number in NUMBERS:
        yield [_make_row(line=number, row=random.choice(NUMBERS))], [_DIGEST], [random.choice(NUMBERS)]
    for size in SIZES:
        data = random.randbytes(size)
        yield [_make_row(data=data), _make_row(origin=Origin(data, b"head", "lines"))], [_DIGEST] * 2, (0, 1)
        yield [_make_row(kind="x" * size)], [_DIGEST], [0]
        yield [_make_row(kind="é" * size)], [_DIGEST], [0]
        yield [_make_row(content=encode([data]))], [_DIGEST], [0]
    for count in (0, 1, 7, 300):
        rows = [_make_row(row=at, data=random.randbytes(random.choice(SIZES[:6]))) for at in range(count)]
        yield tuple(rows), [random.randbytes(16) for _ in rows], list(range(count))


def _odd_rows(random: Random) -> Iterator[Arguments]:
    for arguments in _odd(random):
        yield (regrouping._pack_waiting(*arguments),)


_ROW = _make_row()
_PACKED = regrouping._pack_waiting([_ROW], [_DIGEST], [0])[0]

WAITING = {
    "pack_waiting": Case(
        regrouping._pack_waiting,
        [([_ROW], [_DIGEST], [0]), ((), (), ())],
        _odd,
        [
            ([_ROW], [], [0]),
            ([_ROW], [_DIGEST], []),
            ([], [_DIGEST], [0]),
            ([_ROW], [bytes(15)], [0]),
            ([_ROW], ["0" * 16], [0]),
            ([_ROW], [_DIGEST], ["0"]),
            ([_ROW], [_DIGEST], [-1]),
            ([_ROW[:7]], [_DIGEST], [0]),
            ([list(_ROW)], [_DIGEST], [0]),
            ([_ROW, _make_row(line=-1)], [_DIGEST] * 2, [0, 0]),
            ([_make_row(row=2**64)], [_DIGEST], [0]),
            ([_make_row(line=None)], [_DIGEST], [0]),
            ([_make_row(kind=b"a/1")], [_DIGEST], [0]),
            ([_make_row(kind="\ud800")], [_DIGEST], [0]),
            ([_make_row(content={"kind": "a/1"})], [_DIGEST], [0]),
            ([_make_row(data="source")], [_DIGEST], [0]),
            ([_make_row(origin=())], [_DIGEST], [0]),
            ([_make_row(origin="lines")], [_DIGEST], [0]),
            ([_make_row(origin=("text", b"", "lines"))], [_DIGEST], [0]),
            (7, [_DIGEST], [0]),
            ([_ROW], 7, [0]),
            ([_ROW], [_DIGEST], 7),
        ],
    ),
    "cut_items": Case(
        regrouping._cut_items,
        [([_PACKED],), ((),), ([_PACKED] * 3,)],
        _odd_rows,
        [
            (7,),
            ([7],),
            (["text"],),
            *(([_PACKED, _PACKED[:size]],) for size in range(_PACKED.index(b"source") + len(b"source") + 1)),
            *(([bytes([first]) + _PACKED[1:]],) for first in (0x00, 0x94, 0x96)),
            *(([_PACKED[:at] + b"\xc1" + _PACKED[at + 1 :]],) for at in range(5)),
            ([b"\x95\x01\x02\x03\xc6\xff\xff\xff\xff" + bytes(40)],),
        ],
    ),
}
