"""What the functions of ways in the census tree are called with. They give None where they know no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from carnet.errors import Unverified
from carnet.tlog.pieces import _go_down, _open_bucket
from carnet.tlog.smt import EMPTY, _check_shape
from carnet.tlog.tree import _climb
from tests.kernel.case import Arguments, Case

_H, _FULL = bytes(32), b"\xff" * 32


def find_slot_root_in_python(slot: bytes, digest: bytes, siblings: Sequence[bytes]) -> bytes | None:
    try:
        _check_shape(_H, slot, siblings)
    except Unverified:
        return None
    bits = int.from_bytes(slot, "big") >> (256 - len(siblings))
    return _climb(digest, bits, siblings[::-1]) if len(digest) == 32 else None


def find_bucket_way_in_python(content: bytes, slots: bytes, slot: bytes, depth: int) -> Arguments | None:
    parts = [slots[at : at + 32] for at in range(0, len(slots), 32)]
    is_bucket = len(content) == 1 + 48 * len(parts) and 1 <= len(parts) <= 32 and len(slots) % 32 == 0
    if not is_bucket or parts != sorted(set(parts)) or len(slot) != 32 or not 0 <= depth <= 60:
        return None
    return tuple(_go_down(_open_bucket(content, slots), int.from_bytes(slot, "big"), depth, []))


def _odd_climbs(random: Random) -> Iterator[Arguments]:
    for height in (*range(12), 63, 64, 65, 255, 256, 257):
        siblings = [EMPTY if random.random() < 0.3 else random.randbytes(32) for _ in range(height)]
        slot, digest = random.randbytes(32), random.randbytes(32)
        yield slot, digest, siblings
        yield slot, digest, (*siblings, _FULL)
        yield slot, digest[1:], siblings
        yield slot[1:], digest, siblings
        yield slot, digest, [*siblings, _H[1:], _FULL]


def _odd_buckets(random: Random) -> Iterator[Arguments]:
    for count in (1, 2, 3, 5, 16, 31, 32, 33):
        for depth in (0, 4, 12, 60, 61):
            slots = sorted({random.getrandbits(256 - min(depth, 60)) >> random.choice((0, 9)) for _ in range(count)})
            joined = b"".join(slot.to_bytes(32, "big") for slot in slots)
            content, wanted = b"\0" + random.randbytes(48 * len(slots)), random.choice(slots)
            for other in (wanted, wanted ^ 1, random.getrandbits(256 - min(depth, 60)), 0, 2**256 - 1):
                yield content, joined, other.to_bytes(32, "big"), depth
            yield content[:-1], joined, joined[:32], depth
            yield content, joined[1:], joined[:32], depth
            yield content, joined[32:] + joined[:32], joined[:32], depth
            yield content, joined, joined[:31], depth


WAYS: dict[str, Case] = {
    "find_slot_root": Case(
        find_slot_root_in_python,
        [(_H, _H, []), (_FULL, _H, [_H, _FULL]), (_FULL, _H, (_FULL, _H)), (_H, b"", [])],
        _odd_climbs,
        [(_H, _H), (_H, _H, [], 0)],
    ),
    "find_bucket_way": Case(
        find_bucket_way_in_python,
        [
            (b"\0" * 49, _H, _H, 0), (b"\0" * 97, _H + _FULL, _FULL, 0), (b"\0" * 97, _H + bytes(31) + b"\1", _FULL, 4),
            (b"\0" * 97, _H + _H, _H, 0), (b"", b"", _H, 0),
        ],
        _odd_buckets,
        [(b"\0" * 49, _H, _H)],
    ),
}  # fmt: skip
