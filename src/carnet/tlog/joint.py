"""Joint paths: one proof that several leaves stand in one tree, in which no hash is written twice or could be computed.

The tree is that of RFC 9162 §2.1. A joint path holds the siblings that are not themselves on the way up from a known
leaf, level by level from the leaves, each level from left to right. Which those are follows from the indices and the
size alone, so that the same leaves have one joint path; that of a single leaf is its inclusion path. Spec: 1.10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from carnet.errors import Unverified
from carnet.tlog.tree import HASH_BYTES, MerkleTree

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
    path: list[bytes] = []
    known, levels = indices, iter(tree.levels)
    while len(known) > 1:
        level = next(levels)
        for index in known:
            at = (index ^ 1) * HASH_BYTES
            if at < len(level) and index ^ 1 not in known:
                path.append(level[at : at + HASH_BYTES])
        known = sorted({index >> 1 for index in known})
    index = known[0]
    # The last level is the root, beside which nothing stands.
    for level in levels:
        at = (index ^ 1) * HASH_BYTES
        if at < len(level):
            path.append(level[at : at + HASH_BYTES])
        index >>= 1
    return b"".join(path)


def compute_joint_root(size: int, indices: Sequence[int], leaves: Sequence[bytes], path: bytes) -> bytes:
    """The root to which leaf hashes (32 bytes each) at these indices lead by their joint path.

    Raises `Unverified`: "index_beyond_count" for an index that is not below the size; "path_mismatch" for indices that
    do not ascend strictly, for none, and for a path that holds more or fewer hashes than it takes.
    """
    if not indices or any(map(int.__ge__, indices, indices[1:])):
        raise Unverified("path_mismatch", "no leaf, or leaves that do not ascend")
    if indices[0] < 0 or indices[-1] >= size:
        raise Unverified("index_beyond_count", f"leaf {indices[-1]} of a tree of {size}")
    at, width = 0, size
    while len(indices) > 1:
        indices, leaves, at = _climb(width, indices, leaves, path, at)
        width = (width + 1) >> 1
    index, node = indices[0], leaves[0]
    # From where the ways have met, one climbs alone: most of the height, so without a call for each level.
    while width > 1:
        if index & 1:
            node = sha256(b"\x01" + path[at : at + HASH_BYTES] + node).digest()
            at += HASH_BYTES
        elif index + 1 < width:
            node = sha256(b"\x01" + node + path[at : at + HASH_BYTES]).digest()
            at += HASH_BYTES
        index >>= 1
        width = (width + 1) >> 1
    # A hash that was not there was taken as fewer bytes, but counted.
    if at != len(path):
        raise Unverified("path_mismatch", "the path has too few hashes, or too many")
    return node


def _climb(
    width: int, indices: Sequence[int], nodes: Sequence[bytes], path: bytes, at: int
) -> tuple[list[int], list[bytes], int]:
    """One level up: the parents of these nodes, and how much of the path is used."""
    parents, above = list[int](), list[bytes]()
    place, last = 0, len(indices) - 1
    while place <= last:
        index, node = indices[place], nodes[place]
        if index & 1:
            node = sha256(b"\x01" + path[at : at + HASH_BYTES] + node).digest()
            at += HASH_BYTES
        elif place < last and indices[place + 1] == index + 1:
            place += 1
            node = sha256(b"\x01" + node + nodes[place]).digest()
        elif index + 1 < width:
            node = sha256(b"\x01" + node + path[at : at + HASH_BYTES]).digest()
            at += HASH_BYTES
        parents.append(index >> 1)
        above.append(node)
        place += 1
    return parents, above, at


def check_joint(root: bytes, size: int, indices: Sequence[int], leaves: Sequence[bytes], path: bytes) -> None:
    """Raise as `compute_joint_root`, and `Unverified("path_mismatch")` unless the path leads to this root."""
    if compute_joint_root(size, indices, leaves, path) != root:
        raise Unverified("path_mismatch", "the path leads to another root")
