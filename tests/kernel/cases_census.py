"""What the functions of the census tree are called with."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

from carnet.ledger.census import _find_slots, _list_changes, _make_changes
from carnet.node.unwritten import PAGE_CHAINS, UnwrittenHeads, _take_heads
from carnet.passport.link import _compute_next_id
from carnet.tlog.pieces import _change_bucket, _change_buckets, _hash_page, make_change
from tests.kernel.case import Arguments, Case

_HEAD = (bytes(16), 1, 2, bytes(32))
_LINK = (bytes(16), 1, 0, bytes(32), bytes(32), 0, None, b"")
_BUCKET = (b"\0" + bytes(48), bytes(32), 1, [make_change(bytes(32), bytes(16), bytes(32))])


def _odd_leaves(random: Random) -> Iterator[Arguments]:
    for count in range(40):
        yield (random.randbytes(48 * count),)


def _odd_heads(random: Random) -> Iterator[Arguments]:
    for count in range(40):
        numbers = random.choice([(0, 0), (2**32 - 1, 2**53 - 1), (random.getrandbits(32), random.getrandbits(53))])
        yield ([(random.randbytes(16), *numbers, random.randbytes(32)) for _ in range(count)],)


def _odd_links(random: Random) -> Iterator[Arguments]:
    for size in range(0, 300, 7):
        seq, epoch, mark = random.choice([(0, 0, 0), (2**64 - 1, 2**32 - 1, 255), (random.getrandbits(64), 1, 4)])
        target = random.choice((None, random.randbytes(32)))
        ids = random.randbytes(32), random.randbytes(32)
        yield (random.randbytes(16), seq, epoch, *ids, mark, target, random.randbytes(size))


def _odd_pages(random: Random) -> Iterator[Arguments]:
    for most in (0, 1, 2, 5, 2**32 - 1):
        for _ in range(20):
            counts = [random.choice((0, random.randint(0, most))) for _ in range(16)]
            yield struct.pack(">16I", *counts), random.randbytes(512)


def _odd_buckets(random: Random) -> Iterator[Arguments]:
    """Leaves that part early and late, at any depth; and buckets that are none."""
    for depth in range(64):
        for count in (1, 2, 3, 7, 31, 32, 33):
            number = 1 << depth | random.getrandbits(depth)
            below = sorted({random.getrandbits(256 - depth) >> random.choice((0, 0, 9, 150)) for _ in range(count)})
            slots = [(number - (1 << depth) << 256 - depth | one).to_bytes(32, "big") for one in below]
            content = b"\0" + random.randbytes(48 * len(slots))
            some = sorted(random.sample(slots, random.randint(0, len(slots))))
            changes = [make_change(slot, random.randbytes(16), random.randbytes(32)) for slot in some]
            yield content, b"".join(slots), number, changes
            yield content[:-1], b"".join(slots), number, changes
            yield content, b"".join(slots[::-1]), number, changes
            yield content, b"".join(slots)[32:], number, changes
            yield content, b"".join(slots), number + 1, changes
            yield content, b"".join(slots), number, [*changes, make_change(slots[0], bytes(16), None)]
    yield from ((b"", b"", 1, []), (b"\0", b"", 1, []), (b"\1" * 49, bytes(32), 1, []), (*_BUCKET[:2], -1, []))
    yield (*_BUCKET[:2], 2**70, [])


def make_children(random: Random, depth: int) -> tuple[int, bytes, list[bytes | None], list[list[bytes]]]:
    """A page's number, the hashes of its children, those of them that are buckets, and the slots of their leaves; some
    say the wrong hash, hold nothing, or are pages."""
    number, digests = 1 << depth | random.getrandbits(depth), bytearray(random.randbytes(512))
    contents: list[bytes | None] = []
    slots: list[list[bytes]] = []
    for child in range(16 * number, 16 * number + 16):
        ways = {
            random.getrandbits(252 - depth) >> random.choice((0, 0, 9)) for _ in range(random.choice((0, 1, 2, 9, 32)))
        }
        own = [((child - (16 << depth) << 252 - depth) + way).to_bytes(32, "big") for way in sorted(ways)]
        content = b"\0" + random.randbytes(48 * len(own))
        changed = _change_bucket(content, b"".join(own), child, [])
        if changed is not None and random.random() < 0.9:
            digests[32 * (child % 16) : 32 * (child % 16) + 32] = changed[0]
        contents.append(content if random.random() < 0.9 else None)
        slots.append(own)
    return number, bytes(digests), contents, slots


def _odd_children(random: Random) -> Iterator[Arguments]:
    for depth in (0, 4, 8, 12, 56):
        for share in (0, 0.1, 0.5, 1):
            number, digests, contents, slots = make_children(random, depth)
            joined = b"".join(one for own, content in zip(slots, contents, strict=True) if content for one in own)
            some = [slot for own in slots for slot in own if random.random() < share]
            changes = [make_change(slot, random.randbytes(16), random.randbytes(32)) for slot in some]
            yield number, digests, contents, joined, changes
            yield number, digests, tuple(contents), joined, tuple(changes)
            yield number ^ (1 if depth else 0), digests, contents, joined, changes
            gone = [change[:48] if random.random() < 0.2 else change for change in changes]
            yield number, digests, contents, joined, gone
            strange = sorted([*changes, make_change(random.randbytes(32), bytes(16), bytes(32))])
            yield 1, digests, contents, joined, strange


def _make_page(random: Random) -> dict[int, bytearray]:
    """Pages of heads, some of which are there, by the numbers of the pages."""
    heads = UnwrittenHeads(1, max_pages=2)
    for number in random.sample(range(2 * PAGE_CHAINS, 5 * PAGE_CHAINS), 700):
        numbers = random.choice(((1, 0, 0), (2**53 - 1, 2**32 - 1, 10**16 - 1), (random.getrandbits(52) + 1, 7, 9)))
        seq, epoch, seal = numbers
        is_written = random.random() < 0.3
        heads.note(number, random.randbytes(16), seq, epoch, random.randbytes(32), seal, is_written)
    return heads._pages


def _odd_takings(random: Random) -> Iterator[Arguments]:
    pages = _make_page(random)
    for count in (0, 1, 2, 300, 2_000):
        for _ in range(6):
            numbers = sorted(random.sample(range(PAGE_CHAINS, 6 * PAGE_CHAINS), count))
            for least in (0, 1, 200, PAGE_CHAINS + 1):
                yield pages, numbers, least
            yield pages, tuple(numbers), 1
            yield {}, numbers, 0


_HEADS = _make_page(Random(1))
_NOTED = [number for number in range(2 * PAGE_CHAINS, 5 * PAGE_CHAINS) if _take_heads(_HEADS, [number], 2)[1]][:2]
_TOO_LONG = {0: bytearray(b"\xff" * len(_HEADS[max(_HEADS)]))}
_TOO_LATE = {0: bytearray(struct.pack(">16sQI32sQ?", bytes(16), 1, 0, bytes(32), 10**16, False) * PAGE_CHAINS)}

_NO_CHILDREN = (1, bytes(512), [None] * 16, b"", [])


CENSUS: dict[str, Case] = {
    "find_slots": Case(
        _find_slots, [(b"",), (bytes(48),), (bytes(48 * 5),)], _odd_leaves,
        [(bytes(47),), (bytes(49),), (None,), ("x" * 48,)],
    ),
    "make_changes": Case(
        _make_changes, [([],), ([_HEAD, _HEAD],), ((_HEAD,),)], _odd_heads,
        [
            (7,), ([None],), ([_HEAD[:3]],), ([_HEAD, (bytes(15), *_HEAD[1:])],), ([(*_HEAD[:3], bytes(31))],),
            ([_HEAD, (_HEAD[0], -1, *_HEAD[2:])],), ([(_HEAD[0], 2**32, *_HEAD[2:])],),
            ([(*_HEAD[:2], 2**53, _HEAD[3])],), ([(*_HEAD[:2], "1", _HEAD[3])],),
        ],
    ),
    "list_changes": Case(
        _list_changes, [(b"",), (bytes(48),), (bytes(range(48)) * 3,)], _odd_leaves,
        [(bytes(47),), (bytes(49),), (None,), ("x" * 48,), (bytearray(48),)],
    ),
    "take_heads": Case(
        _take_heads,
        [(_HEADS, _NOTED, 1), (_HEADS, _NOTED, 3), (_HEADS, (0, 7, 2**64 - 1), 0), ({}, [1, 2], 0), (_HEADS, [7], -1)],
        _odd_takings,
        [
            ({},), ({}, []), (None, [], 0), ({}, None, 0), ({}, 7, 0), ({}, [None], 0), ({}, [-1], 0), ({}, [2**64], 0),
            ({}, ["1"], 0), ({0: b"x"}, [1], 0), ({0: bytearray(3)}, [1], 0), (_HEADS, [*_NOTED, None], 0),
            (_TOO_LONG, [1], 0), (_TOO_LATE, [1], 0), ({}, [2, 1], 0), ({}, [2, 2], 0), ({}, [], None), ({}, [], "1"),
        ],
    ),
    "compute_next_id": Case(
        _compute_next_id, [_LINK, (*_LINK[:6], bytes(32), b"sub")], _odd_links,
        [
            _LINK[:7], (bytes(15), *_LINK[1:]), (_LINK[0], -1, *_LINK[2:]), (_LINK[0], 2**64, *_LINK[2:]),
            (*_LINK[:2], 2**32, *_LINK[3:]), (*_LINK[:3], bytes(31), *_LINK[4:]), (*_LINK[:4], "x", *_LINK[5:]),
            (*_LINK[:5], 256, *_LINK[6:]), (*_LINK[:6], bytes(33), b""), (*_LINK[:7], None),
        ],
    ),
    "hash_page": Case(
        _hash_page, [(bytes(64), bytes(512)), (bytes(range(64)), bytes(512))], _odd_pages,
        [(bytes(63), bytes(512)), (bytes(64), bytes(513)), (None, bytes(512)), (bytes(64), "x" * 512)],
    ),
    "change_bucket": Case(
        _change_bucket,
        [_BUCKET, (*_BUCKET[:3], ()), (*_BUCKET[:2], 2**70, []), (*_BUCKET[:3], [bytes(3)])],
        _odd_buckets,
        [
            (*_BUCKET[:2], "1", []), (*_BUCKET[:3], 7), (*_BUCKET[:3], [None]), (None, *_BUCKET[1:]),
            (_BUCKET[0], "x" * 32, 1, []),
        ],
    ),
    "change_buckets": Case(
        _change_buckets,
        [_NO_CHILDREN, (*_NO_CHILDREN[:4], [bytes(32)]), (1, bytes(512), [b"\0", *[None] * 15], b"", [bytes(80)])],
        _odd_children,
        [
            _NO_CHILDREN[:4], ("1", *_NO_CHILDREN[1:]), (0, *_NO_CHILDREN[1:]), (-1, *_NO_CHILDREN[1:]),
            (2, *_NO_CHILDREN[1:]), (1 << 60, *_NO_CHILDREN[1:]), (1 << 64, *_NO_CHILDREN[1:]),
            (1, bytes(511), *_NO_CHILDREN[2:]), (1, bytes(512), [None] * 15, b"", []),
            (1, bytes(512), [7, *[None] * 15], b"", []), (1, bytes(512), None, b"", []),
            (1, bytes(512), [None] * 16, bytes(32), []), (1, bytes(512), [bytes(49), *[None] * 15], b"", []),
            (*_NO_CHILDREN[:3], "", []), (*_NO_CHILDREN[:4], 7), (*_NO_CHILDREN[:4], [None]),
            (*_NO_CHILDREN[:4], [bytes(31)]), (*_NO_CHILDREN[:4], [bytes(80), bytes(31)]),
            (*_NO_CHILDREN[:4], [b"\xff" * 80, bytes(80)]),
        ],
    ),
}  # fmt: skip
