"""A census tree in pieces that are kept one by one, so that a change or a path touches a few of them and no other.

A piece stands at a depth that is a multiple of four. Up to 32 leaves make a *bucket*, which holds the leaves' names and
hashes; more make a *page*, which holds for each of its 16 children how many leaves it has, and its hash. Which pieces
there are follows from the leaves alone, not from the way they came. Each piece is checked against the one above it
before it is changed, so that whoever starts from a signed root never builds on other hashes; that a hash belongs to its
name is for those who know the leaves.

It knows names, slots and hashes; it refuses to know what they stand for and where the pieces are kept.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import add, itemgetter, lt
from typing import Final, NamedTuple

from carnet.encoding import sha256
from carnet.errors import InvariantBroken, Unverified
from carnet.tlog.smt import EMPTY, SLOT_BITS, SLOT_BYTES

NAME_BYTES: Final = 16
DIGEST_BYTES: Final = 32
MAX_BUCKET: Final = 32
"""Leaves of a bucket: more than these are a page."""

MAX_DEPTH: Final = 60
"""Where a bucket is never divided, so that a piece's number stays an integer of 64 bits. Slots that share 60 bits are
hashes that somebody searched for; 33 of them are beyond reach."""

TOP_PIECE: Final = 1
_BITS: Final = 4
_MANY: Final = 3
"""Pieces from which on it is quicker to read all that stand below a page."""

_FEW: Final = 16
"""Records up to which it is quicker to look at one after the other than to search among them."""
_CHILDREN: Final = 16
_BUCKET, _PAGE = b"\x00", b"\x01"
_COUNTS = struct.Struct(">16I")
_PAGE_BYTES: Final = 1 + _COUNTS.size + (2 * _CHILDREN - 2) * DIGEST_BYTES
_KEPT_BYTES: Final = NAME_BYTES + DIGEST_BYTES
_GONE_BYTES: Final = SLOT_BYTES + NAME_BYTES
_LEAF = struct.Struct(f"{NAME_BYTES}s{DIGEST_BYTES}s")


def _make_taker(branch: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Cuts the four siblings on the way to a child out of a page's hashes."""
    nodes = [(_CHILDREN + branch >> height) ^ 1 for height in (3, 2, 1, 0)]
    return itemgetter(*[slice((node - 2) * DIGEST_BYTES, (node - 1) * DIGEST_BYTES) for node in nodes])


_take_children: Final = struct.Struct(f"{(_CHILDREN - 2) * DIGEST_BYTES}x" + f"{DIGEST_BYTES}s" * _CHILDREN).unpack
_SIBLINGS_OF: Final = tuple(_make_taker(branch) for branch in range(_CHILDREN))

Read = Callable[[int], bytes | None]
"""A piece by its number: 1 at the top; the children of n are 16n to 16n + 15."""

ReadChildren = Callable[[int], Mapping[int, bytes]]
"""The pieces below the one of this number that there are, by their numbers."""

NumberSlots = Callable[[Sequence[bytes]], list[int]]
"""The slots of names, as integers of 256 bits."""


class Top(NamedTuple):
    """A subtree as its parent knows it: how many leaves it holds, and its hash."""

    leaf_count: int
    digest: bytes


NOTHING: Final = Top(0, EMPTY)


class Way(NamedTuple):
    """The siblings from the root down to where a slot stands or would stand; the name and the hash of the leaf at which
    the way ends: the slot's own, another's, or None where there is nothing."""

    siblings: list[bytes]
    name: bytes | None
    digest: bytes | None


class Bucket(NamedTuple):
    """The leaves of a small subtree in the order of their slots, which are integers here."""

    numbers: Sequence[int]
    names: Sequence[bytes]
    digests: Sequence[bytes]

    def compute_top(self, depth: int) -> Top:
        """What its parent should say of it, at this depth."""
        count = len(self.numbers)
        return Top(count, _join_leaves(self.numbers, self.digests, 0, count, depth)) if count else NOTHING


class Page(NamedTuple):
    """The inside of a large subtree: how many leaves each of its 16 children has, and the hashes of its nodes 2 to 31.
    Node 1 is its top, those below node n are 2n and 2n + 1, and nodes 16 to 31 are the subtrees four levels down."""

    counts: tuple[int, ...]
    hashes: bytes

    @property
    def children(self) -> list[Top]:
        """The subtrees four levels down."""
        return list(map(Top, self.counts, _take_children(self.hashes)))

    def get_hash(self, node: int) -> bytes:
        """The hash of a node, 2 to 31."""
        return self.hashes[node * DIGEST_BYTES - 2 * DIGEST_BYTES : node * DIGEST_BYTES - DIGEST_BYTES]


def make_change(slot: bytes, name: bytes, digest: bytes | None) -> bytes:
    """A change for `apply_changes`: this leaf has this hash now, or with None is there no more. Changes sort as their
    slots do."""
    return slot + name + (digest or b"")


def apply_changes(
    read: Read,
    number_slots: NumberSlots,
    before: Top,
    changes: Sequence[bytes],
    read_children: ReadChildren | None = None,
) -> tuple[Top, dict[int, bytes | None]]:
    """The tree after the changes, which are ascending, one for each slot; and what its pieces then hold (None: the
    piece is no more). `read_children` is asked for all pieces below a page at once where many of them change. Raises
    Unverified("census_pieces") if the pieces do not give `before`."""
    update = _Update(read, number_slots, read_children)
    top = update.apply(TOP_PIECE, 0, before, changes) if changes else before
    return top, update.written


def open_piece(number: int, content: bytes | None, number_slots: NumberSlots) -> Bucket | Page:
    """Open a piece without asking whether it is the right one; raises Unverified("census_pieces") where it is none."""
    if content is not None and content[:1] == _PAGE and len(content) == _PAGE_BYTES:
        return Page(_COUNTS.unpack_from(content, 1), content[1 + _COUNTS.size :])
    if content is not None and content[:1] == _BUCKET and len(content) % _KEPT_BYTES == 1:
        names, digests = zip(*_LEAF.iter_unpack(content[1:]), strict=True) if len(content) > 1 else ((), ())
        return Bucket(number_slots(names), names, digests)
    raise _wrong(number, "is missing" if content is None else "is neither a bucket nor a page")


def check_piece(number: int, piece: Bucket | Page, said: Top) -> None:
    """Check that a piece is the one that stands for `said`, and has the shape that its leaves give it. Raises
    Unverified("census_pieces")."""
    depth = get_depth(number)
    if isinstance(piece, Page):
        children = piece.children
        top, hashes = _climb(children)
        is_shaped = hashes == piece.hashes and top.leaf_count > MAX_BUCKET and depth < MAX_DEPTH
        # Only the hashes of children that hold something go into the page's own.
        is_shaped = is_shaped and all(child.leaf_count or child == NOTHING for child in children)
    else:
        numbers, shift = piece.numbers, SLOT_BITS - depth
        prefix = number - (1 << depth)
        is_shaped = 0 < len(numbers) <= MAX_BUCKET or depth >= MAX_DEPTH
        is_shaped = is_shaped and all(map(lt, numbers, numbers[1:]))
        # They ascend: what stands between the first and the last has their prefix too.
        is_shaped = is_shaped and numbers[0] >> shift == prefix == numbers[-1] >> shift
        if not is_shaped:
            raise _wrong(number, "is no bucket of this place")
        top = piece.compute_top(depth)
    if not is_shaped or top != said:
        raise _wrong(number, "is not the one that the piece above it names")


def find_way(open_at: Callable[[int], Bucket | Page], slot: bytes) -> Way:
    """The way to a slot in a tree that has leaves. `open_at` opens pieces, and may remember them."""
    wanted = int.from_bytes(slot, "big")
    siblings: list[bytes] = []
    number, depth = TOP_PIECE, 0
    while isinstance(piece := open_at(number), Page):
        branch = wanted >> SLOT_BITS - depth - _BITS & _CHILDREN - 1
        if piece.counts[branch] <= 1:
            return _end_in_page(open_at, number, piece, branch, siblings)
        # Where a child holds more than one leaf, so does all that is above it.
        siblings += _SIBLINGS_OF[branch](piece.hashes)
        number, depth = number << _BITS | branch, depth + _BITS
    return _go_down(piece, wanted, depth, siblings)


def get_depth(number: int) -> int:
    """How many bits lead to a piece."""
    return number.bit_length() - 1


def list_children(number: int, page: Page) -> Iterator[tuple[int, Top]]:
    """The pieces below a page, and what it says of each."""
    for branch, child in enumerate(page.children):
        if child.leaf_count:
            yield number << _BITS | branch, child


class _Update:
    """Every line below runs for each piece that is touched, some of them for each leaf: measure before adding one."""

    def __init__(self, read: Read, number_slots: NumberSlots, read_children: ReadChildren | None) -> None:
        self._stored = read
        self._read_children = read_children
        self._number_slots = number_slots
        # Pieces that were read before they were asked for.
        self._at_hand: dict[int, bytes] = {}
        self.written: dict[int, bytes | None] = {}

    def _read(self, number: int) -> bytes | None:
        if number in self.written:
            return self.written[number]
        content = self._at_hand.pop(number, None)
        return self._stored(number) if content is None else content

    def _open(self, number: int, said: Top) -> Bucket | Page:
        piece = open_piece(number, self._read(number), self._number_slots)
        check_piece(number, piece, said)
        return piece

    def apply(self, number: int, depth: int, said: Top, changes: Sequence[bytes]) -> Top:
        if not said.leaf_count:
            return self._build(number, depth, [one for one in changes if len(one) > _GONE_BYTES], is_new=True)
        piece = self._open(number, said)
        if isinstance(piece, Bucket):
            return self._change_bucket(number, depth, piece, changes)
        children, divided = piece.children, list(_divide(changes, depth))
        below: Mapping[int, bytes] = {}
        if self._read_children is not None and len(divided) >= _MANY:
            below = self._read_children(number)
            self._at_hand |= below
        for branch, own in divided:
            child = number << _BITS | branch
            children[branch] = self.apply(child, depth + _BITS, children[branch], own)
        for child in below:
            self._at_hand.pop(child, None)
        if sum([child.leaf_count for child in children]) <= MAX_BUCKET:
            return self._build(number, depth, self._gather(number, children))
        return self._write_page(number, children)

    def _change_bucket(self, number: int, depth: int, bucket: Bucket, changes: Sequence[bytes]) -> Top:
        numbers, names, digests = bucket.numbers, bucket.names, list(bucket.digests)
        for change in changes:
            wanted = int.from_bytes(change[:SLOT_BYTES], "big")
            at = bisect_left(numbers, wanted)
            if at == len(numbers) or numbers[at] != wanted or len(change) <= _GONE_BYTES:
                # A leaf comes or goes: others may stand elsewhere then.
                return self._build(number, depth, self._merge(bucket, changes))
            digests[at] = change[_GONE_BYTES:]
        self.written[number] = _BUCKET + b"".join(chain.from_iterable(zip(names, digests, strict=True)))
        return Top(len(numbers), _join_leaves(numbers, digests, 0, len(numbers), depth))

    def _merge(self, bucket: Bucket, changes: Sequence[bytes]) -> list[bytes]:
        merged = {leaf[:SLOT_BYTES]: leaf for leaf in _list_leaves(bucket)}
        for change in changes:
            if len(change) > _GONE_BYTES:
                merged[change[:SLOT_BYTES]] = change
            else:
                merged.pop(change[:SLOT_BYTES], None)
        return sorted(merged.values())

    def _gather(self, number: int, children: Sequence[Top]) -> list[bytes]:
        """The leaves of children that are few enough for one bucket, and are no more."""
        leaves: list[bytes] = []
        for branch, said in enumerate(children):
            piece = self._open(number << _BITS | branch, said) if said.leaf_count else None
            if isinstance(piece, Bucket):
                leaves += _list_leaves(piece)
                self.written[number << _BITS | branch] = None
        return leaves

    def _build(self, number: int, depth: int, leaves: Sequence[bytes], *, is_new: bool = False) -> Top:
        if not leaves:
            if not is_new:
                self.written[number] = None
            return NOTHING
        count = len(leaves)
        if count <= MAX_BUCKET or depth >= MAX_DEPTH:
            self.written[number] = _BUCKET + b"".join([leaf[SLOT_BYTES:] for leaf in leaves])
            if count == 1:
                return Top(1, leaves[0][_GONE_BYTES:])
            numbers = [int.from_bytes(leaf[:SLOT_BYTES], "big") for leaf in leaves]
            digests = [leaf[_GONE_BYTES:] for leaf in leaves]
            return Top(count, _join_leaves(numbers, digests, 0, count, depth))
        children = [NOTHING] * _CHILDREN
        for branch, own in _divide(leaves, depth):
            children[branch] = self._build(number << _BITS | branch, depth + _BITS, own, is_new=True)
        return self._write_page(number, children)

    def _write_page(self, number: int, children: Sequence[Top]) -> Top:
        top, hashes = _climb(children)
        self.written[number] = _PAGE + _COUNTS.pack(*[child.leaf_count for child in children]) + hashes
        return top


def _list_leaves(bucket: Bucket) -> Iterator[bytes]:
    for number, name, digest in zip(bucket.numbers, bucket.names, bucket.digests, strict=True):
        yield number.to_bytes(SLOT_BYTES, "big") + name + digest


def _divide(records: Sequence[bytes], depth: int) -> Iterator[tuple[int, Sequence[bytes]]]:
    """The runs of ascending records with the same four bits below `depth`."""
    at, shift = depth // 8, 4 if depth % 8 == 0 else 0
    start, count = 0, len(records)
    while start < count:
        branch = records[start][at] >> shift & _CHILDREN - 1
        if count - start <= _FEW:
            end = start + 1
            while end < count and records[end][at] >> shift & _CHILDREN - 1 == branch:
                end += 1
        else:
            end = bisect_left(records, branch + 1, start, count, key=lambda record: record[at] >> shift & _CHILDREN - 1)
        yield branch, records[start:end]
        start = end


def _climb(children: Sequence[Top]) -> tuple[Top, bytes]:
    """The top of a page, and the hashes of its nodes 2 to 31."""
    counts: Sequence[int]
    digests: Sequence[bytes]
    counts, digests = zip(*children, strict=True)
    levels = list[Sequence[bytes]]()
    while len(digests) > 1:
        levels.append(digests)
        zeros, ones, left, right = digests[::2], digests[1::2], counts[::2], counts[1::2]
        counts = list(map(add, left, right))
        if min(counts) > 1:
            digests = [sha256(b"\x01" + zero + one) for zero, one in zip(zeros, ones, strict=True)]
            continue
        # A subtree of one leaf is that leaf's hash, whatever its height; one of none is empty.
        digests = [
            sha256(b"\x01" + zero + one) if count > 1 else zero if of_zero else one
            for zero, one, count, of_zero in zip(zeros, ones, counts, left, strict=True)
        ]
    return Top(counts[0], digests[0]), b"".join(chain.from_iterable(reversed(levels)))


def _join_leaves(numbers: Sequence[int], digests: Sequence[bytes], low: int, high: int, depth: int) -> bytes:
    """The hash at `depth` of the leaves low…high-1, at least one; a bucket has few, so recursion is cheap."""
    if high - low == 1:
        return digests[low]
    last = numbers[high - 1]
    parting = SLOT_BITS - (numbers[low] ^ last).bit_length()
    if high - low == 2:
        # Every second join is of two leaves.
        digest = sha256(b"\x01" + digests[low] + digests[low + 1])
    else:
        shift = SLOT_BITS - 1 - parting
        middle = bisect_left(numbers, last >> shift << shift, low, high)
        zero = _join_leaves(numbers, digests, low, middle, parting + 1)
        one = _join_leaves(numbers, digests, middle, high, parting + 1)
        digest = sha256(b"\x01" + zero + one)
    while parting > depth:
        parting -= 1
        sides = EMPTY + digest if last >> SLOT_BITS - 1 - parting & 1 else digest + EMPTY
        digest = sha256(b"\x01" + sides)
    return digest


def _end_in_page(
    open_at: Callable[[int], Bucket | Page], number: int, page: Page, branch: int, siblings: list[bytes]
) -> Way:
    """The rest of a way towards a child that holds one leaf or none: it ends where there is no more than that."""
    for height in (3, 2, 1, 0):
        node = _CHILDREN + branch >> height
        siblings.append(page.get_hash(node ^ 1))
        low = branch >> height << height
        below = sum(page.counts[low : low + (1 << height)])
        if below == 0:
            return Way(siblings, None, None)
        if below == 1:
            last = next(at for at in range(low, low + (1 << height)) if page.counts[at])
            return Way(siblings, _get_only_name(open_at(number << _BITS | last)), page.get_hash(node))
    raise InvariantBroken("a child of one leaf or none that holds more")


def _go_down(bucket: Bucket, wanted: int, depth: int, siblings: list[bytes]) -> Way:
    """The rest of a way, inside a bucket."""
    numbers, digests = bucket.numbers, bucket.digests
    low, high = 0, len(numbers)
    while high - low > 1:
        last = numbers[high - 1]
        parting = SLOT_BITS - (numbers[low] ^ last).bit_length()
        common = SLOT_BITS - (wanted ^ last).bit_length()
        if common < parting:
            # The slot leaves the stretch that all of these share: its own side is empty there.
            siblings += [EMPTY] * (common - depth)
            siblings.append(_join_leaves(numbers, digests, low, high, common + 1))
            return Way(siblings, None, None)
        siblings += [EMPTY] * (parting - depth)
        shift = SLOT_BITS - 1 - parting
        middle = bisect_left(numbers, last >> shift << shift, low, high)
        is_one = wanted >> shift & 1
        other = (low, middle) if is_one else (middle, high)
        low, high = (middle, high) if is_one else (low, middle)
        siblings.append(_join_leaves(numbers, digests, *other, parting + 1))
        depth = parting + 1
    return Way(siblings, bucket.names[low], digests[low])


def _get_only_name(piece: Bucket | Page) -> bytes:
    if isinstance(piece, Page) or len(piece.names) != 1:
        raise Unverified("census_pieces", "a piece of the census tree does not hold what the page above it says")
    return piece.names[0]


def _wrong(number: int, why: str) -> Unverified:
    return Unverified("census_pieces", f"piece {number} of the census tree {why}")
