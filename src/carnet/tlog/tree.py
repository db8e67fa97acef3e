"""The Merkle tree of RFC 9162 §2.1: roots, frontiers, inclusion and consistency proofs.

A leaf is hashed with the prefix 0x00 and a node with 0x01. Leaves are opaque here. Where nodes are stored, only those
of *complete* subtrees are: node (level, index) covers the leaves [index·2^level, (index+1)·2^level) and never changes
once written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final

from carnet.encoding import sha256
from carnet.errors import Unverified
from carnet.kernel import kernel

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"")
"""The root of a tree without leaves (RFC 9162 §2.1.1)."""

GetNode = Callable[[int, int], bytes]
"""Returns the stored hash of the complete subtree (level, index)."""

Climb = Callable[[bytes, int, Sequence[bytes]], bytes]
"""`climb`, or what gives the same."""

_MAX_SPLIT_AT_ONCE = 256
"""Hashes of the longest path that is split by one call; each length is prepared once."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one leaf, from its bytes."""
    return sha256(b"\x00" + leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of one inner node, from the hashes of its two sides."""
    return sha256(b"\x01" + left + right)


def _climb(node: bytes, sides: int, siblings: Sequence[bytes]) -> bytes:
    for sibling in siblings:
        node = sha256(b"\x01" + sibling + node if sides & 1 else b"\x01" + node + sibling)
        sides >>= 1
    return node


climb: Final[Climb] = _climb if kernel is None else kernel.climb
"""The node above this one and its siblings, of which the lowest stands first. A set bit of `sides`, the lowest bit for
the lowest sibling, says that it stands on the left."""


def split_path(path: bytes) -> tuple[bytes, ...]:
    """The hashes of a path, of which the last may be cut short."""
    count, rest = divmod(len(path), HASH_BYTES)
    if count > _MAX_SPLIT_AT_ONCE or rest:
        return tuple([path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES)])
    return _get_splitter(count)(path)


@lru_cache(_MAX_SPLIT_AT_ONCE + 1)
def _get_splitter(count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    return Struct(f"{HASH_BYTES}s" * count).unpack


def compute_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaf *hashes*, in order."""
    return MerkleTree(leaf_hashes).root


def compute_root_of_hashes(level: bytes) -> bytes:
    """The root over leaf hashes in one piece, 32 bytes each, in order."""
    return _hash_levels(level)[-1] or EMPTY_ROOT


def compute_root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaves given as their bytes, in order."""
    return MerkleTree.of(leaves).root


def _hash_levels_in_python(level: bytes) -> list[bytes]:
    levels = [level]
    while len(level) > HASH_BYTES:
        paired = len(level) & ~63
        parents = [sha256(b"\x01" + level[at : at + 64]) for at in range(0, paired, 64)]
        parents.append(level[paired:])
        level = b"".join(parents)
        levels.append(level)
    return levels


_hash_levels: Final[Callable[[bytes], list[bytes]]] = _hash_levels_in_python if kernel is None else kernel.hash_levels


class MerkleTree:
    """All levels of one finished tree in memory (64 bytes a leaf), for a batch of which many paths are asked.

    Level k + 1 pairs the nodes of level k; a last node without a neighbour is carried up unchanged. That gives the same
    root as the recursive definition, whose left side is always the largest complete tree.
    """

    __slots__ = ("_levels", "size")

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        """Builds the tree of these leaf hashes (32 bytes each); costs one hash per leaf."""
        self.size = len(leaf_hashes)
        level = b"".join(leaf_hashes)
        if len(level) != HASH_BYTES * self.size:
            raise ValueError("a leaf hash has 32 bytes")
        self._levels = _hash_levels(level)

    @classmethod
    def of(cls, leaves: Iterable[bytes]) -> MerkleTree:
        """The tree of leaves given as their bytes."""
        return cls([sha256(b"\x00" + leaf) for leaf in leaves])

    @property
    def root(self) -> bytes:
        """The root, 32 bytes; `EMPTY_ROOT` without leaves."""
        return self._levels[-1] if self.size else EMPTY_ROOT

    def path(self, index: int) -> list[bytes]:
        """The inclusion path of leaf `index`, from its sibling upwards; raises `IndexError` at or beyond `size`."""
        if not 0 <= index < self.size:
            raise IndexError("no such leaf")
        path = []
        for level in self._levels[:-1]:
            at = (index ^ 1) * HASH_BYTES
            if at < len(level):
                path.append(level[at : at + HASH_BYTES])
            index >>= 1
        return path

    @property
    def levels(self) -> Sequence[bytes]:
        """The hashes of each level, joined: the leaves first, the root last."""
        return self._levels

    def get_node(self, level: int, index: int) -> bytes:
        """The hash of the complete subtree (level, index); raises `IndexError` where it is not complete."""
        if index < 0 or (index + 1) << level > self.size:
            raise IndexError("no such complete subtree")
        at = index * HASH_BYTES
        return self._levels[level][at : at + HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Frontier:
    """What must be kept of a tree to append to it: its size, and the hashes of its complete subtrees, largest first.

    Immutable; an append makes a new one in O(log n). One peak stands for each bit set in `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.peaks) != self.size.bit_count():
            raise ValueError("a frontier has one peak for each bit of its size")

    def root(self) -> bytes:
        """The root of the tree, 32 bytes."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            root = node_hash(peak, root)
        return root

    def with_leaf(self, leaf: bytes) -> Frontier:
        """The frontier after one more leaf, given by its hash."""
        return self.with_leaf_nodes(leaf)[0]

    def with_leaves(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """The frontier after more leaves, given by their hashes in order."""
        size, peaks = self.size, list(self.peaks)
        for node in leaf_hashes:
            rest = size
            while rest & 1:
                node = node_hash(peaks.pop(), node)
                rest >>= 1
            peaks.append(node)
            size += 1
        return Frontier(size, tuple(peaks))

    def with_leaf_nodes(self, leaf: bytes) -> tuple[Frontier, list[tuple[int, int, bytes]]]:
        """As `with_leaf`, and the nodes that this leaf completes, as (level, index, hash), the leaf itself first.

        Storing exactly these after each append is what `inclusion_path_from` and `consistency_path_from` read.
        """
        node, peaks, level, index = leaf, list(self.peaks), 0, self.size
        nodes = [(level, index, node)]
        while index & 1:
            node = node_hash(peaks.pop(), node)
            level, index = level + 1, index >> 1
            nodes.append((level, index, node))
        peaks.append(node)
        return Frontier(self.size + 1, tuple(peaks)), nodes

    def to_bytes(self) -> bytes:
        """The frontier as bytes: u64 size, then its peaks."""
        return self.size.to_bytes(8, "big") + b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """The frontier that `to_bytes` wrote; raises `ValueError` for anything else."""
        size = int.from_bytes(data[:8], "big")
        if len(data) != 8 + HASH_BYTES * size.bit_count():
            raise ValueError("not a frontier")
        return cls(size, tuple(data[at : at + HASH_BYTES] for at in range(8, len(data), HASH_BYTES)))

    @classmethod
    def from_nodes(cls, size: int, get_node: GetNode) -> Frontier:
        """The frontier of the first `size` leaves, read from stored nodes."""
        return cls(size, tuple(get_node(level, index) for level, index in _complete_subtrees(0, size)))


# ---- making proofs


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The path of leaf `index` in the tree of these leaf hashes (RFC 9162 §2.1.3.1). O(n): for one proof."""
    return MerkleTree(leaf_hashes).path(index)


def consistency_path(leaf_hashes: Sequence[bytes], old_size: int, new_size: int | None = None) -> list[bytes]:
    """The proof that the first `old_size` leaves are a prefix of the first `new_size` (all, by default)."""
    tree = MerkleTree(leaf_hashes if new_size is None else leaf_hashes[:new_size])
    return consistency_path_from(tree.get_node, old_size, tree.size if new_size is None else new_size)


def root_from(get_node: GetNode, size: int) -> bytes:
    """The root of the first `size` leaves, from O(log n) stored nodes."""
    return Frontier.from_nodes(size, get_node).root()


def inclusion_path_from(get_node: GetNode, index: int, size: int) -> list[bytes]:
    """The path of leaf `index` in the tree of the first `size` leaves, from O(log n) stored nodes."""
    if not 0 <= index < size:
        raise IndexError("no such leaf")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(compute_subtree_from(get_node, middle, end))
            end = middle
        else:
            path.append(compute_subtree_from(get_node, start, middle))
            start = middle
    path.reverse()
    return path


def consistency_path_from(get_node: GetNode, old_size: int, new_size: int) -> list[bytes]:
    """The consistency proof between two sizes (RFC 9162 §2.1.4.1), from O(log n) stored nodes.

    Empty when the sizes are equal, or the old one is zero: an empty tree is a prefix of every tree.
    """
    if not 0 <= old_size <= new_size:
        raise IndexError("the old tree is larger than the new one")
    if old_size in (0, new_size):
        return []
    path: list[bytes] = []
    start, end = 0, new_size
    # The descent follows the right edge of the old tree; it ends at a subtree that both trees hold whole.
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(compute_subtree_from(get_node, middle, end))
            end = middle
        else:
            path.append(compute_subtree_from(get_node, start, middle))
            start = middle
    if start != 0:
        path.append(compute_subtree_from(get_node, start, end))
    path.reverse()
    return path


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (RFC 9162 §2.1.1)."""
    return 1 << ((count - 1).bit_length() - 1)


def _complete_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """The complete subtrees (level, index) that make up [start, end), left to right; `start` is aligned."""
    subtrees = []
    while start < end:
        level = (end - start).bit_length() - 1
        subtrees.append((level, start >> level))
        start += 1 << level
    return subtrees


def compute_subtree_from(get_node: GetNode, start: int, end: int) -> bytes:
    """The root over the leaves from `start` up to `end`, which a tree splits off, from O(log n) stored nodes."""
    nodes = [get_node(level, index) for level, index in _complete_subtrees(start, end)]
    digest = nodes.pop()
    while nodes:
        digest = node_hash(nodes.pop(), digest)
    return digest


# ---- checking proofs


_HASH_SIZES = frozenset({HASH_BYTES})


def check_inclusion(root: bytes, size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> None:
    """Check that the leaf hash `leaf` is number `index` of the `size` leaves under `root` (RFC 9162 §2.1.3.2).

    Raises `Unverified`: "index_beyond_count" when the index is not below the size, "path_mismatch" otherwise.
    """
    _check_hashes("path_mismatch", root)
    if compute_root_from_path(size, index, leaf, path) != root:
        raise Unverified("path_mismatch", "the path leads to another root")


def compute_root_from_path(size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that the leaf hash `leaf`, number `index` of `size`, and its path lead to.

    Raises `Unverified`: "index_beyond_count", or "path_mismatch" for a path longer or shorter than the tree is high.
    """
    if not 0 <= index < size:
        raise Unverified("index_beyond_count", f"leaf {index} of a tree of {size}")
    _check_hashes("path_mismatch", leaf, *path)
    node, at, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise Unverified("path_mismatch", "the path is longer than the tree is high")
        if at & 1 or at == last:
            # A last node without a neighbour is carried up until it is a right side.
            while not at & 1 and at:
                at >>= 1
                last >>= 1
            node = sha256(b"\x01" + sibling + node)
        else:
            node = sha256(b"\x01" + node + sibling)
        at >>= 1
        last >>= 1
    if last != 0:
        raise Unverified("path_mismatch", "the path is shorter than the tree is high")
    return node


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the tree of `old_size` leaves is a prefix of that of `new_size` (RFC 9162 §2.1.4.2).

    Equal sizes take an empty path and equal roots; an old size of zero takes an empty path, and says nothing about the
    new tree. Raises `Unverified("consistency_mismatch")`.
    """
    if not 0 <= old_size <= new_size:
        raise _inconsistent("the old tree is larger than the new one")
    _check_hashes("consistency_mismatch", old_root, new_root, *path)
    if old_size in (0, new_size):
        if path:
            raise _inconsistent("a path where none is needed")
        if old_size == 0 and old_root != EMPTY_ROOT:
            raise _inconsistent("an empty tree with the root of another")
        if old_size == new_size and old_root != new_root:
            raise _inconsistent("one size, two roots")
        return
    if not path:
        raise _inconsistent("no path")
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at >>= 1
        last >>= 1
    siblings = list(path)
    # When the old tree is complete, it is itself the first node, and is left out of the path.
    old_node = new_node = siblings.pop(0) if at else old_root
    for sibling in siblings:
        if last == 0:
            raise _inconsistent("the path is longer than the tree is high")
        if at & 1 or at == last:
            while not at & 1 and at:
                at >>= 1
                last >>= 1
            old_node = node_hash(sibling, old_node)
            new_node = node_hash(sibling, new_node)
        else:
            new_node = node_hash(new_node, sibling)
        at >>= 1
        last >>= 1
    if last != 0:
        raise _inconsistent("the path is shorter than the tree is high")
    if old_node != old_root or new_node != new_root:
        raise _inconsistent("the path leads to other roots")


def _check_hashes(code: str, *hashes: bytes) -> None:
    if not _HASH_SIZES.issuperset(map(len, hashes)):
        raise Unverified(code, "a hash does not have 32 bytes")


def _inconsistent(message: str) -> Unverified:
    return Unverified("consistency_mismatch", message)
