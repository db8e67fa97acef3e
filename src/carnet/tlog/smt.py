"""The sparse Merkle tree of the census: one root over (slot, leaf), with short proofs of presence and of absence.

The tree runs over the bits of a 32-byte slot, most significant first. An empty side is 32 zero bytes, a subtree that
holds one leaf is that leaf's hash whatever its height, any other is the hash of its two sides. Leaves are opaque; that
a leaf carries its own slot, as the census's do, is what makes a proof by *another* leaf sound, and the caller checks
it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from carnet.encoding import sha256
from carnet.errors import InvariantBroken, Unverified
from carnet.kernel import kernel
from carnet.tlog.tree import climb

SLOT_BYTES: Final = 32
SLOT_BITS: Final = 256
EMPTY: Final = bytes(32)
_SIZES: Final = frozenset({32})


def census_leaf_hash(leaf: bytes) -> bytes:
    """The hash of a subtree that holds this one leaf."""
    return sha256(b"\x00" + leaf)


@dataclass(frozen=True, slots=True)
class Path:
    """The way from the root to a slot. `siblings[0]` lies directly under the root; `terminal` is where the way ends.

    `terminal` is `None` (nothing there), or the (slot, leaf) found: the own one, or another with the same first
    `len(siblings)` bits.
    """

    siblings: tuple[bytes, ...]
    terminal: tuple[bytes, bytes] | None


class SparseTree:
    """One finished census tree in memory, for making paths.

    It keeps only the n - 1 places where two leaves part (node i: leaf ids 0…n-1 are leaves, n… are such places);
    stretches of one-sided nodes between them are hashed again on demand, which for hashed slots is about one hash a
    path.
    """

    __slots__ = ("_depths", "_firsts", "_hashes", "_leaves", "_lefts", "_rights", "_slots", "_top", "root")

    def __init__(self, slots: list[bytes], leaves: list[bytes]) -> None:
        """Builds the tree of strictly ascending `slots` (32 bytes each) and their leaves; see `build`."""
        self._slots = slots
        self._leaves = leaves
        self._hashes = [sha256(b"\x00" + leaf) for leaf in leaves]
        self._depths: list[int] = []
        self._firsts: list[int] = []
        self._lefts: list[int] = []
        self._rights: list[int] = []
        self._top = self._join_all()
        self.root = self._lifted(self._top, 0) if slots else EMPTY

    @classmethod
    def build(cls, items: Iterable[tuple[bytes, bytes]]) -> SparseTree:
        """The tree of (slot, leaf) in any order; raises `InvariantBroken` for two leaves in one slot. No recursion."""
        ordered = sorted(items, key=itemgetter(0))
        slots = [slot for slot, _ in ordered]
        if any(len(slot) != SLOT_BYTES for slot in slots):
            raise ValueError("a slot has 32 bytes")
        if any(slots[at] == slots[at + 1] for at in range(len(slots) - 1)):
            raise InvariantBroken("two leaves of a census in one slot")
        return cls(slots, [leaf for _, leaf in ordered])

    def __len__(self) -> int:
        return len(self._slots)

    def path(self, slot: bytes) -> Path:
        """The path to `slot`, ending in its own leaf, in another leaf, or in nothing. At most 256 siblings."""
        if not self._slots:
            return Path((), None)
        wanted = int.from_bytes(slot, "big")
        siblings: list[bytes] = []
        node, depth, count = self._top, 0, len(self._slots)
        while node >= count:
            at = node - count
            parting = self._depths[at]
            if parting > depth:
                common = _common_bits(wanted, self._some_slot(node))
                if common < parting:
                    # The slot leaves the common stretch of this subtree: its own side of that node is empty.
                    siblings += [EMPTY] * (common - depth)
                    siblings.append(self._lifted(node, common + 1))
                    return Path(tuple(siblings), None)
                siblings += [EMPTY] * (parting - depth)
            if wanted >> (SLOT_BITS - 1 - parting) & 1:
                other, node = self._lefts[at], self._rights[at]
            else:
                other, node = self._rights[at], self._lefts[at]
            siblings.append(self._lifted(other, parting + 1))
            depth = parting + 1
        return Path(tuple(siblings), (self._slots[node], self._leaves[node]))

    def find_leaf(self, slot: bytes) -> bytes | None:
        """The leaf in `slot`, or `None`."""
        at = bisect_left(self._slots, slot)
        return self._leaves[at] if at < len(self._slots) and self._slots[at] == slot else None

    def _join_all(self) -> int:
        """Join neighbours, the deepest parting first, in one pass from left to right; returns the top node."""
        if not self._slots:
            return 0
        numbers = [int.from_bytes(slot, "big") for slot in self._slots]
        # Places where the open left parts hang, from shallow to deep: depth of the parting, node on its left.
        waiting_depths, waiting_nodes = [-1], [-1]
        current = 0
        for leaf in range(1, len(numbers)):
            parting = SLOT_BITS - (numbers[leaf] ^ numbers[leaf - 1]).bit_length()
            while waiting_depths[-1] > parting:
                current = self._joined(waiting_depths.pop(), waiting_nodes.pop(), current)
            waiting_depths.append(parting)
            waiting_nodes.append(current)
            current = leaf
        while waiting_depths[-1] >= 0:
            current = self._joined(waiting_depths.pop(), waiting_nodes.pop(), current)
        return current

    def _joined(self, parting: int, left: int, right: int) -> int:
        hashes, count = self._hashes, len(self._slots)
        # A leaf, or a node that parts right below, stands there as it is: the common case, without a call.
        first, left_digest = left, hashes[left]
        if left >= count:
            first = self._firsts[left - count]
            if self._depths[left - count] != parting + 1:
                left_digest = self._lifted(left, parting + 1)
        right_digest = hashes[right]
        if right >= count and self._depths[right - count] != parting + 1:
            right_digest = self._lifted(right, parting + 1)
        hashes.append(sha256(b"\x01" + left_digest + right_digest))
        self._depths.append(parting)
        self._firsts.append(first)
        self._lefts.append(left)
        self._rights.append(right)
        return len(hashes) - 1

    def _lifted(self, node: int, depth: int) -> bytes:
        """The hash of the subtree at `depth` that holds just what `node` holds, under a stretch of one-sided nodes."""
        digest = self._hashes[node]
        count = len(self._slots)
        if node < count:
            return digest
        parting = self._depths[node - count]
        if parting == depth:
            return digest
        bits = self._some_slot(node)
        for level in range(parting - 1, depth - 1, -1):
            sides = EMPTY + digest if bits >> (SLOT_BITS - 1 - level) & 1 else digest + EMPTY
            digest = sha256(b"\x01" + sides)
        return digest

    def _some_slot(self, node: int) -> int:
        """The slot of some leaf below `node`: above its parting, they all have the same bits."""
        count = len(self._slots)
        return int.from_bytes(self._slots[node if node < count else self._firsts[node - count]], "big")


def check_presence(root: bytes, slot: bytes, leaf: bytes, siblings: Sequence[bytes]) -> None:
    """Check that `leaf` stands in `slot` under `root`; siblings from the root downwards.

    Raises `Unverified`: "census_path_too_deep" (more than 256 siblings), "census_path_empty_sibling" (the deepest one
    is empty: the leaf would then stand higher), "census_path_mismatch".
    """
    check_climb(root, slot, census_leaf_hash(leaf), siblings)


def check_absence(root: bytes, slot: bytes, siblings: Sequence[bytes], other: tuple[bytes, bytes] | None) -> None:
    """Check that `slot` is free under `root`: the way ends in nothing (`other` is `None`), or in another slot's leaf.

    The other (slot, leaf) must share the first `len(siblings)` bits and differ; that its leaf carries that slot is for
    the caller to check. Raises `Unverified` as `check_presence` does.
    """
    if other is None:
        check_climb(root, slot, EMPTY, siblings)
        return
    other_slot, leaf = other
    _check_shape(root, slot, siblings)
    if len(other_slot) != SLOT_BYTES or other_slot == slot:
        raise _mismatch("the other leaf stands in the slot that is said to be free")
    if _common_bits(int.from_bytes(slot, "big"), int.from_bytes(other_slot, "big")) < len(siblings):
        raise _mismatch("the other leaf stands on another way")
    check_climb(root, slot, census_leaf_hash(leaf), siblings)


def check_climb(root: bytes, slot: bytes, digest: bytes, siblings: Sequence[bytes]) -> None:
    """As `check_presence`, for the hash of a leaf or, with 32 zero bytes, for nothing."""
    found = None if kernel is None else kernel.find_slot_root(slot, digest, siblings)
    if found != root:
        _check_climb(root, slot, digest, siblings)


def _check_climb(root: bytes, slot: bytes, digest: bytes, siblings: Sequence[bytes]) -> None:
    _check_shape(root, slot, siblings)
    bits = int.from_bytes(slot, "big") >> (SLOT_BITS - len(siblings))
    if climb(digest, bits, siblings[::-1]) != root:
        raise _mismatch("the path leads to another root")


def _check_shape(root: bytes, slot: bytes, siblings: Sequence[bytes]) -> None:
    if len(siblings) > SLOT_BITS:
        raise Unverified("census_path_too_deep", f"{len(siblings)} siblings, where a slot has {SLOT_BITS} bits")
    if len(slot) != SLOT_BYTES or len(root) != 32 or not _SIZES.issuperset(map(len, siblings)):
        raise _mismatch("a hash does not have 32 bytes")
    if siblings and siblings[-1] == EMPTY:
        raise Unverified("census_path_empty_sibling", "the deepest sibling of a census path is empty")


def _common_bits(one: int, two: int) -> int:
    return SLOT_BITS - (one ^ two).bit_length()


def _mismatch(message: str) -> Unverified:
    return Unverified("census_path_mismatch", message)
