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
from operator import itemgetter, lt
from typing import Final, NamedTuple

from carnet.encoding import sha256
from carnet.errors import InvariantBroken, Unverified
from carnet.kernel import kernel
from carnet.tlog.smt import EMPTY, SLOT_BITS, SLOT_BYTES

NAME_BYTES: Final = 16
DIGEST_BYTES: Final = 32
LEAF_BYTES: Final = NAME_BYTES + DIGEST_BYTES
"""A leaf as a bucket holds it: a name, and the hash."""

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
_COUNTS, _COUNT = struct.Struct(">16I"), struct.Struct(">I")
_PAGE_BYTES: Final = 1 + _COUNTS.size + (2 * _CHILDREN - 2) * DIGEST_BYTES
_GONE_BYTES: Final = SLOT_BYTES + NAME_BYTES
_CHANGE_BYTES: Final = _GONE_BYTES + DIGEST_BYTES
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

FindSlots = Callable[[bytes], bytes]
"""The slots, joined, of leaves as a bucket holds them, joined: each a name and a hash."""

ChangeBucket = Callable[[bytes, bytes, int, Sequence[bytes]], tuple[bytes, bytes, bytes] | None]
ChangeBuckets = Callable[
    [int, bytes, Sequence[bytes | None], bytes, Sequence[bytes]],
    tuple[bytes, list[bytes | None], list[tuple[int, int, int]]],
]
HashPage = Callable[[bytes, bytes], bytes]


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
    def digests(self) -> bytes:
        """The hashes of the subtrees four levels down, joined."""
        return self.hashes[-_CHILDREN * DIGEST_BYTES :]

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
    find_slots: FindSlots,
    before: Top,
    changes: Sequence[bytes],
    read_children: ReadChildren | None = None,
) -> tuple[Top, dict[int, bytes | None]]:
    """The tree after the changes, which are ascending, one for each slot; and what its pieces then hold (None: the
    piece is no more). `read_children` is asked for all pieces below a page at once where many of them change. Raises
    Unverified("census_pieces") if the pieces do not give `before`."""
    update = _Update(read, find_slots, read_children)
    top = update.apply(TOP_PIECE, 0, before, changes) if changes else before
    return top, update.written


def open_piece(number: int, content: bytes | None, find_slots: FindSlots) -> Bucket | Page:
    """Open a piece without asking whether it is the right one; raises Unverified("census_pieces") where it is none."""
    if content is not None and is_page(content):
        return Page(_COUNTS.unpack_from(content, 1), content[1 + _COUNTS.size :])
    if content is not None and content[:1] == _BUCKET and len(content) % LEAF_BYTES == 1:
        return _open_bucket(content, find_slots(content[1:]))
    raise _wrong(number, "is missing" if content is None else "is neither a bucket nor a page")


def check_piece(number: int, piece: Bucket | Page, said: Top) -> None:
    """Check that a piece is the one that stands for `said`, and has the shape that its leaves give it. Raises
    Unverified("census_pieces")."""
    if isinstance(piece, Bucket):
        if not _is_bucket_of(number, piece.numbers):
            raise _wrong(number, "is no bucket of this place")
        is_shaped, top = True, piece.compute_top(get_depth(number))
    else:
        counts, nodes = piece.counts, hash_page(_COUNTS.pack(*piece.counts), piece.digests)
        top = Top(sum(counts), nodes[:DIGEST_BYTES])
        is_shaped = nodes[DIGEST_BYTES:] == piece.hashes and top.leaf_count > MAX_BUCKET
        # Only the hashes of children that hold something go into the page's own.
        is_shaped = is_shaped and get_depth(number) < MAX_DEPTH
        is_shaped = is_shaped and (0 not in counts or _are_empty(counts, piece.digests))
    if not is_shaped or top != said:
        raise _wrong(number, "is not the one that the piece above it names")


def _are_empty(counts: Sequence[int], digests: bytes) -> bool:
    """Whether the children that hold no leaf have the hash of nothing."""
    return all(
        count or digests[at : at + DIGEST_BYTES] == EMPTY
        for count, at in zip(counts, range(0, len(digests), DIGEST_BYTES), strict=True)
    )


def find_way(open_at: Callable[[int], Bucket | Page], slot: bytes) -> Way:
    """The way to a slot in a tree that has leaves. `open_at` opens pieces by their numbers."""
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


def list_numbers(slot: bytes) -> Iterator[tuple[int, int]]:
    """The numbers of the pieces that may be on the way to a slot, from the top downwards, each with the next one."""
    bits, number = int.from_bytes(slot[: MAX_DEPTH // 8 + 1], "big"), TOP_PIECE
    for shift in range(MAX_DEPTH, -1, -_BITS):
        below = number << _BITS | bits >> shift & _CHILDREN - 1
        # Below the deepest there is none.
        yield number, below if shift else 0
        number = below


def is_page(content: bytes) -> bool:
    """Whether a piece is one below which there are others."""
    return content[:1] == _PAGE and len(content) == _PAGE_BYTES


def count_leaves(page: bytes, number: int) -> int:
    """How many leaves a page, as it is kept, says that its child of this number holds."""
    return int(_COUNT.unpack_from(page, 1 + _COUNT.size * (number % _CHILDREN))[0])


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

    def __init__(self, read: Read, find_slots: FindSlots, read_children: ReadChildren | None) -> None:
        self._stored = read
        self._read_children = read_children
        self._find_slots = find_slots
        # Pieces that were read before they were asked for.
        self._at_hand: dict[int, bytes] = {}
        self.written: dict[int, bytes | None] = {}

    def _read(self, number: int) -> bytes | None:
        if number in self.written:
            return self.written[number]
        content = self._at_hand.pop(number, None)
        return self._stored(number) if content is None else content

    def _open(self, number: int, said: Top, content: bytes | None) -> Bucket | Page:
        piece = open_piece(number, content, self._find_slots)
        check_piece(number, piece, said)
        return piece

    def apply(self, number: int, depth: int, said: Top, changes: Sequence[bytes]) -> Top:
        if not said.leaf_count:
            return self._build(number, depth, [one for one in changes if len(one) > _GONE_BYTES], is_new=True)
        content = self._read(number)
        changed = self._change_bucket(number, said, content, changes)
        if changed is not None:
            return changed
        piece = self._open(number, said, content)
        if isinstance(piece, Bucket):
            # A leaf comes or goes: others may stand elsewhere then.
            return self._build(number, depth, self._merge(piece, changes))
        counts, digests = list(piece.counts), bytearray(piece.digests)
        below: Mapping[int, bytes] = {}
        if self._read_children is not None and len(changes) >= _MANY:
            read = self._read_children(number)
            left = self._change_buckets(number, counts, digests, read, changes)
            if left:
                self._at_hand |= read
                below = read
        else:
            left = [(branch, changes[start:end]) for branch, start, end in _divide(changes, depth)]
        for branch, own in left:
            place = slice(branch * DIGEST_BYTES, branch * DIGEST_BYTES + DIGEST_BYTES)
            child = Top(counts[branch], bytes(digests[place]))
            counts[branch], digests[place] = self.apply(number << _BITS | branch, depth + _BITS, child, own)
        for one in below:
            self._at_hand.pop(one, None)
        if sum(counts) <= MAX_BUCKET:
            return self._build(number, depth, self._gather(number, counts, digests))
        return self._write_page(number, counts, digests)

    def _change_bucket(self, number: int, said: Top, content: bytes | None, changes: Sequence[bytes]) -> Top | None:
        """Change a bucket where it stands; None where that is no bucket that holds these leaves."""
        if content is None or content[:1] != _BUCKET or len(content) != said.leaf_count * LEAF_BYTES + 1:
            return None
        changed = change_bucket(content, self._find_slots(content[1:]), number, changes)
        # Whatever does not give the hash that the page above it names is looked at more closely.
        if changed is None or changed[0] != said.digest:
            return None
        self.written[number] = changed[1]
        return Top(said.leaf_count, changed[2])

    def _change_buckets(
        self,
        number: int,
        counts: Sequence[int],
        digests: bytearray,
        read: Mapping[int, bytes],
        changes: Sequence[bytes],
    ) -> list[tuple[int, Sequence[bytes]]]:
        """Change the buckets below a page, and their hashes; what is left to be changed more closely, by branches."""
        first = number << _BITS
        contents = [
            one if one is not None and one[:1] == _BUCKET and len(one) == count * LEAF_BYTES + 1 else None
            for one, count in zip(map(read.get, range(first, first + _CHILDREN)), counts, strict=True)
        ]
        slots = self._find_slots(b"".join([one[1:] for one in contents if one is not None]))
        digests[:], written, left = change_buckets(number, bytes(digests), contents, slots, changes)
        for child, content in enumerate(written, first):
            if content is not None:
                self.written[child] = content
        return [(branch, changes[start:end]) for branch, start, end in left]

    def _merge(self, bucket: Bucket, changes: Sequence[bytes]) -> list[bytes]:
        merged = {leaf[:SLOT_BYTES]: leaf for leaf in _list_leaves(bucket)}
        for change in changes:
            if len(change) > _GONE_BYTES:
                merged[change[:SLOT_BYTES]] = change
            else:
                merged.pop(change[:SLOT_BYTES], None)
        return sorted(merged.values())

    def _gather(self, number: int, counts: Sequence[int], digests: bytearray) -> list[bytes]:
        """The leaves of children that are few enough for one bucket, and are no more."""
        leaves: list[bytes] = []
        for branch, count in enumerate(counts):
            if not count:
                continue
            child = number << _BITS | branch
            said = Top(count, bytes(digests[branch * DIGEST_BYTES : branch * DIGEST_BYTES + DIGEST_BYTES]))
            piece = self._open(child, said, self._read(child))
            if isinstance(piece, Bucket):
                leaves += _list_leaves(piece)
                self.written[child] = None
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
        counts, hashes = [0] * _CHILDREN, bytearray(_CHILDREN * DIGEST_BYTES)
        for branch, start, end in _divide(leaves, depth):
            place, own = slice(branch * DIGEST_BYTES, branch * DIGEST_BYTES + DIGEST_BYTES), leaves[start:end]
            counts[branch], hashes[place] = self._build(number << _BITS | branch, depth + _BITS, own, is_new=True)
        return self._write_page(number, counts, hashes)

    def _write_page(self, number: int, counts: Sequence[int], digests: bytearray) -> Top:
        packed = _COUNTS.pack(*counts)
        nodes = hash_page(packed, bytes(digests))
        self.written[number] = b"".join((_PAGE, packed, nodes[DIGEST_BYTES:]))
        return Top(sum(counts), nodes[:DIGEST_BYTES])


def _open_bucket(content: bytes, slots: bytes) -> Bucket:
    names, digests = zip(*_LEAF.iter_unpack(content[1:]), strict=True) if len(content) > 1 else ((), ())
    numbers = [int.from_bytes(slots[at : at + SLOT_BYTES], "big") for at in range(0, len(slots), SLOT_BYTES)]
    return Bucket(numbers, names, digests)


def _is_bucket_of(number: int, numbers: Sequence[int]) -> bool:
    """Whether leaves in these slots make a bucket of this number."""
    depth = get_depth(number)
    if not numbers or (len(numbers) > MAX_BUCKET and depth < MAX_DEPTH):
        return False
    shift, prefix = SLOT_BITS - depth, number - (1 << depth)
    # They ascend: what stands between the first and the last has their prefix too.
    return all(map(lt, numbers, numbers[1:])) and numbers[0] >> shift == prefix == numbers[-1] >> shift


def _change_bucket(
    content: bytes, slots: bytes, number: int, changes: Sequence[bytes]
) -> tuple[bytes, bytes, bytes] | None:
    count, rest = divmod(len(content), LEAF_BYTES)
    if content[:1] != _BUCKET or rest != 1 or count > MAX_BUCKET or len(slots) != count * SLOT_BYTES:
        return None
    numbers, names, digests = _open_bucket(content, slots)
    if not 0 < number < 1 << 64 or not _is_bucket_of(number, numbers):
        return None
    after = list(digests)
    for change in changes:
        wanted = int.from_bytes(change[:SLOT_BYTES], "big")
        at = bisect_left(numbers, wanted)
        if len(change) != _CHANGE_BYTES or at == count or numbers[at] != wanted:
            return None
        after[at] = change[_GONE_BYTES:]
    depth = get_depth(number)
    return (
        _join_leaves(numbers, digests, 0, count, depth),
        _BUCKET + b"".join(chain.from_iterable(zip(names, after, strict=True))),
        _join_leaves(numbers, after, 0, count, depth),
    )


change_bucket: Final[ChangeBucket] = _change_bucket if kernel is None else kernel.change_bucket
"""The hash of a bucket, what it holds when leaves of it have other hashes, and its hash then; of what it holds, the
slots of its leaves, its number and the changes. None where it is no bucket, or has not all of these leaves."""


def _change_buckets(
    number: int, digests: bytes, contents: Sequence[bytes | None], slots: bytes, changes: Sequence[bytes]
) -> tuple[bytes, list[bytes | None], list[tuple[int, int, int]]]:
    depth = get_depth(number)
    if number < 1 or depth % _BITS or depth >= MAX_DEPTH or len(contents) != _CHILDREN:
        raise ValueError("a page of 16 children has no such number")
    counts = [len(content) // LEAF_BYTES if content is not None else 0 for content in contents]
    places = [SLOT_BYTES * sum(counts[:branch]) for branch in range(_CHILDREN + 1)]
    if len(slots) != places[-1] or len(digests) != _CHILDREN * DIGEST_BYTES:
        raise ValueError("each child has a hash, and each leaf a slot, of 32 bytes")
    if any(len(change) < SLOT_BYTES for change in changes):
        raise ValueError("a change begins with a slot of 32 bytes")
    made, left = bytearray(digests), list[tuple[int, int, int]]()
    written: list[bytes | None] = [None] * _CHILDREN
    last = -1
    for branch, start, end in _divide(changes, depth):
        if branch <= last:
            raise ValueError("changes ascend")
        last, content = branch, contents[branch]
        place = slice(branch * DIGEST_BYTES, branch * DIGEST_BYTES + DIGEST_BYTES)
        own = slots[places[branch] : places[branch + 1]]
        those = changes[start:end]
        changed = None if content is None else _change_bucket(content, own, number << _BITS | branch, those)
        # Whatever does not give the hash that the page names is looked at more closely.
        if changed is None or changed[0] != digests[place]:
            left.append((branch, start, end))
        else:
            made[place], written[branch] = changed[2], changed[1]
    return bytes(made), written, left


change_buckets: Final[ChangeBuckets] = _change_buckets if kernel is None else kernel.change_buckets
"""The hashes of a page's children, the buckets among them that changed as they are kept then, and which changes are
left: the child, the first, and the end of them. Of the page's number, the hashes before, its children that are buckets,
the slots of all their leaves, joined, and the changes, which ascend."""


def _list_leaves(bucket: Bucket) -> Iterator[bytes]:
    for number, name, digest in zip(bucket.numbers, bucket.names, bucket.digests, strict=True):
        yield number.to_bytes(SLOT_BYTES, "big") + name + digest


def _divide(records: Sequence[bytes], depth: int) -> Iterator[tuple[int, int, int]]:
    """The runs of ascending records with the same four bits below `depth`: these bits, start and end."""
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
        yield branch, start, end
        start = end


def _hash_page(counts: bytes, digests: bytes) -> bytes:
    held = [0] * _CHILDREN + list(_COUNTS.unpack(counts))
    nodes = [b""] * _CHILDREN + [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    for node in range(_CHILDREN - 1, 0, -1):
        zero, one = 2 * node, 2 * node + 1
        held[node] = held[zero] + held[one]
        # A subtree of one leaf is that leaf's hash, whatever its height; one of none is empty.
        alone = nodes[zero if held[zero] else one]
        nodes[node] = sha256(b"\x01" + nodes[zero] + nodes[one]) if held[node] > 1 else alone
    return b"".join(nodes)


hash_page: Final[HashPage] = _hash_page if kernel is None else kernel.hash_page
"""The hashes of a page's nodes 1 to 31, joined; of how many leaves each child holds, four bytes each, and its hash."""


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
