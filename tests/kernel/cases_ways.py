"""What the functions of ways in the census tree are called with. They give None where they know no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from carnet.errors import Unverified
from carnet.ledger.census import _find_slots, _find_way, compute_head_leaf, compute_slot
from carnet.tlog.pieces import NOTHING, apply_changes, is_page, list_numbers, make_change
from carnet.tlog.smt import EMPTY, _check_shape, census_leaf_hash
from carnet.tlog.tree import _climb, split_path
from tests.kernel.case import Arguments, Case

_H, _FULL = bytes(32), b"\xff" * 32


def find_slot_root_in_python(slot: bytes, digest: bytes, siblings: Sequence[bytes]) -> bytes | None:
    try:
        _check_shape(_H, slot, siblings)
    except Unverified:
        return None
    bits = int.from_bytes(slot, "big") >> (256 - len(siblings))
    return _climb(digest, bits, siblings[::-1]) if len(digest) == 32 else None


def find_way_in_python(pieces: Sequence[bytes], slot: bytes) -> tuple[list[bytes], bytes, bytes] | None:
    bucket = next((piece for piece in pieces if not is_page(piece)), b"")
    slots = _find_slots(bucket[1:])
    parts = [slots[at : at + 32] for at in range(0, len(slots), 32)]
    is_bucket = 1 <= len(parts) <= 32 and parts == sorted(set(parts))
    return _find_way(pieces, slot) if is_bucket and len(slot) == 32 else None


def grow(random: Random, count: int) -> tuple[list[bytes], dict[int, bytes]]:
    """So many names, and the pieces of a tree in which they stand."""
    names = [random.randbytes(16) for _ in range(count)]
    changes = sorted(make_change(compute_slot(name), name, random.randbytes(32)) for name in names)
    written = apply_changes(dict[int, bytes]().get, _find_slots, NOTHING, changes)[1]
    return names, {number: content for number, content in written.items() if content is not None}


def list_pieces(pieces: dict[int, bytes], slot: bytes) -> list[bytes]:
    """Those on the way to a slot."""
    return [pieces[number] for number, _ in list_numbers(slot) if number in pieces]


def _odd_climbs(random: Random) -> Iterator[Arguments]:
    for height in (*range(12), 63, 64, 65, 255, 256, 257):
        siblings = [EMPTY if random.random() < 0.3 else random.randbytes(32) for _ in range(height)]
        slot, digest = random.randbytes(32), random.randbytes(32)
        yield slot, digest, siblings
        yield slot, digest, (*siblings, _FULL)
        yield slot, digest[1:], siblings
        yield slot[1:], digest, siblings
        yield slot, digest, [*siblings, _H[1:], _FULL]


def _odd_ways(random: Random) -> Iterator[Arguments]:
    for count in (1, 2, 3, 31, 32, 33, 34, 36, 40, 70, 200, 700):
        names, pieces = grow(random, count)
        for name in (*random.sample(names, min(count, 25)), bytes(16), random.randbytes(16)):
            slot = compute_slot(name)
            way = list_pieces(pieces, slot)
            yield way, slot
            yield (*way, way[-1]), slot
            yield way[:-1], slot
            yield way[1:], slot
            yield way, slot[1:]
            yield [*way[:-1], way[-1][:-1]], slot
            yield [*way[:-1], way[-1][:1] + way[-1][49:] + way[-1][1:49]], slot
            yield [*way[:-1], b"\2" + way[-1][1:]], slot
            yield [*way[:-1], random.choice(list(pieces.values()))], slot
            yield [way[0]] * 17, slot
            # Other numbers of leaves below the children of the first page.
            counts = b"".join(random.choice((b"\0\0\0\0", b"\0\0\0\1", b"\0\0\1\0", b"\xff" * 4)) for _ in range(16))
            yield [way[0][:1] + counts + way[0][65:], *way[1:]], slot
        yield [b"\0" + b"".join(piece[1:] for piece in pieces.values() if not is_page(piece))], compute_slot(names[0])


def find_head_root_in_python(head: tuple[bytes, int, int, bytes], path: bytes) -> bytes | None:
    chain, epoch, seq, link_id = head
    slot = compute_slot(chain)
    digest = census_leaf_hash(compute_head_leaf(slot, chain, epoch, seq, link_id))
    return None if len(path) % 32 else find_slot_root_in_python(slot, digest, split_path(path))


def _odd_heads(random: Random) -> Iterator[Arguments]:
    for height in (*range(12), 63, 64, 65, 255, 256, 257):
        for epoch, seq in ((0, 0), (1, 2**53 - 1), (2**32 - 1, random.getrandbits(40))):
            head = random.randbytes(16), epoch, seq, random.randbytes(32)
            path = b"".join(EMPTY if random.random() < 0.3 else random.randbytes(32) for _ in range(height))
            yield head, path
            yield head, path + _FULL
            yield head, path + _H
            yield head, path + b"x"


_HEAD = (bytes(16), 1, 2, _H)

WAYS: dict[str, Case] = {
    "find_head_root": Case(
        find_head_root_in_python,
        [(_HEAD, b""), (_HEAD, _FULL), (_HEAD, _H), (_HEAD, _FULL[1:])],
        _odd_heads,
        [
            (_HEAD,), (list(_HEAD), b""), (_HEAD[:3], b""), (_HEAD, "x"), (_HEAD, [_FULL]), ((b"", 1, 2, _H), b""),
            ((bytes(16), -1, 2, _H), b""), ((bytes(16), 1, 2**53, _H), b""), ((bytes(16), 1, 2, b""), b""),
            (("x", 1, 2, _H), b""), ((bytes(16), None, 2, _H), b""),
        ],
    ),
    "find_slot_root": Case(
        find_slot_root_in_python,
        [(_H, _H, []), (_FULL, _H, [_H, _FULL]), (_FULL, _H, (_FULL, _H)), (_H, b"", [])],
        _odd_climbs,
        [(_H, _H), (_H, _H, [], 0)],
    ),
    "find_way": Case(
        find_way_in_python,
        [
            ([b"\0" * 49], compute_slot(bytes(16))), ((b"\0" * 49,), _H), ([], _H), ([b""], _H),
            ([b"\1" + bytes(1024)], _H),
        ],
        _odd_ways,
        [([],), ([], _H, 0)],
    ),
}  # fmt: skip
