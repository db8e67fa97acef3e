"""Joint paths: one proof that several leaves stand in one tree, in which no hash is written twice or could be computed.

The tree is that of RFC 9162 §2.1. A joint path holds the siblings that are not themselves on the way up from a known
leaf, level by level from the leaves, each level from left to right. Which those are follows from the indices and the
size alone, so that the same leaves have one joint path; that of a single leaf is its inclusion path. Spec: 1.10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge

from carnet.encoding import sha256
from carnet.errors import Unverified
from carnet.tlog.tree import HASH_BYTES, Climb, MerkleTree, climb, split_path

GetSubtree = Callable[[int, int], bytes]
"""Returns the root of the subtree over the leaves from `start` up to, not including, `end`."""


def compute_joint_path(get_subtree: GetSubtree, indices: Sequence[int], size: int) -> bytes:
    """The joint path of these leaves (ascending, none twice) in a tree of `size`; raises `IndexError` beyond it."""
    if not indices or indices[0] < 0 or indices[-1] >= size:
        raise IndexError("no such leaf")
    path: list[bytes] = []
    known, width, level = indices, size, 0
    while len(known) > 1:
        for index in known:
            sibling = index ^ 1
            if sibling < width and sibling not in known:
                start = sibling << level
                path.append(get_subtree(start, min(start + (1 << level), size)))
        known = sorted({index >> 1 for index in known})
        width, level = (width + 1) >> 1, level + 1
    index = known[0]
    while width > 1:
        sibling = index ^ 1
        if sibling < width:
            start = sibling << level
            path.append(get_subtree(start, min(start + (1 << level), size)))
        index, width, level = index >> 1, (width + 1) >> 1, level + 1
    return b"".join(path)


def join(tree: MerkleTree, indices: Sequence[int]) -> bytes:
    """The joint path of these leaves (ascending, none twice) of a finished tree; raises as `compute_joint_path`."""
    if not indices or indices[0] < 0 or indices[-1] >= tree.size:
        raise IndexError("no such leaf")
    # Beside a last node, and beside the root, stands nothing: what is cut out there is empty.
    path: list[bytes] = []
    known, levels = indices, iter(tree.levels)
    while len(known) == 2 and known[0] ^ 1 != known[1] != known[0]:
        level, (one, two) = next(levels), known
        at, other = (one ^ 1) * HASH_BYTES, (two ^ 1) * HASH_BYTES
        path += level[at : at + HASH_BYTES], level[other : other + HASH_BYTES]
        known = one >> 1, two >> 1
    while len(known) > 1:
        level = next(levels)
        for index in known:
            if index ^ 1 not in known:
                at = (index ^ 1) * HASH_BYTES
                path.append(level[at : at + HASH_BYTES])
        known = sorted({index >> 1 for index in known})
    index = known[0]
    for level in levels:
        at = (index ^ 1) * HASH_BYTES
        path.append(level[at : at + HASH_BYTES])
        index >>= 1
    return b"".join(path)


def compute_joint_root(
    size: int, indices: Sequence[int], leaves: Sequence[bytes], path: bytes, climb: Climb = climb
) -> bytes:
    """The root to which leaf hashes (32 bytes each) at these indices lead by their joint path.

    Raises `Unverified`: "index_beyond_count" for an index that is not below the size; "path_mismatch" for indices that
    do not ascend strictly, for none, and for a path that holds more or fewer hashes than it takes.
    """
    if not indices or any(map(ge, indices, indices[1:])):
        raise Unverified("path_mismatch", "no leaf, or leaves that do not ascend")
    if indices[0] < 0 or indices[-1] >= size:
        raise Unverified("index_beyond_count", f"leaf {indices[-1]} of a tree of {size}")
    at, width = 0, size
    while len(indices) > 2:
        indices, leaves, at = _climb(width, indices, leaves, path, at)
        width = (width + 1) >> 1
    index, node = indices[0], leaves[0]
    if len(indices) == 2:
        width, index, node, at = _climb_two(width, index, indices[1], node, leaves[1], path, at)
    # From where the ways have met one climbs alone: most of the height. As RFC 9162 §2.1.3.2, the lower hashes stand on
    # either side, and those above, along the right border of the tree, on the left.
    within = (index ^ (width - 1)).bit_length()
    border = (index >> within).bit_count()
    # A hash that was taken below, but was not there, was counted all the same.
    if len(path) != at + HASH_BYTES * (within + border):
        raise Unverified("path_mismatch", "the path has too few hashes, or too many")
    sides = index & (1 << within) - 1 | (1 << border) - 1 << within
    return climb(node, sides, split_path(path[at:]))


def _climb(
    width: int, indices: Sequence[int], nodes: Sequence[bytes], path: bytes, at: int
) -> tuple[list[int], list[bytes], int]:
    """One level up: the parents of these nodes, and how much of the path is used."""
    parents, above = list[int](), list[bytes]()
    last, is_joined = len(indices) - 1, False
    for place, index in enumerate(indices):
        if is_joined:
            is_joined = False
            continue
        node = nodes[place]
        if index & 1:
            node = sha256(b"\x01" + path[at : at + HASH_BYTES] + node)
            at += HASH_BYTES
        elif place < last and indices[place + 1] == index + 1:
            is_joined = True
            node = sha256(b"\x01" + node + nodes[place + 1])
        elif index + 1 < width:
            node = sha256(b"\x01" + node + path[at : at + HASH_BYTES])
            at += HASH_BYTES
        parents.append(index >> 1)
        above.append(node)
    return parents, above, at


def _climb_two(
    width: int, left: int, right: int, one: bytes, other: bytes, path: bytes, at: int
) -> tuple[int, int, bytes, int]:
    """Up to where the ways of two nodes meet: the width there, the index and hash of the node, the path's part used."""
    while left ^ 1 != right:
        sibling = path[at : at + HASH_BYTES]
        # Right of it stands at least the other.
        one = sha256(b"\x01" + sibling + one if left & 1 else b"\x01" + one + sibling)
        at += HASH_BYTES
        if right & 1 or right + 1 < width:
            sibling = path[at : at + HASH_BYTES]
            other = sha256(b"\x01" + sibling + other if right & 1 else b"\x01" + other + sibling)
            at += HASH_BYTES
        left, right, width = left >> 1, right >> 1, (width + 1) >> 1
    return (width + 1) >> 1, left >> 1, sha256(b"\x01" + one + other), at


def check_joint(
    root: bytes, size: int, indices: Sequence[int], leaves: Sequence[bytes], path: bytes, climb: Climb = climb
) -> None:
    """Raise as `compute_joint_root`, and `Unverified("path_mismatch")` unless the path leads to this root."""
    if compute_joint_root(size, indices, leaves, path, climb) != root:
        raise Unverified("path_mismatch", "the path leads to another root")
