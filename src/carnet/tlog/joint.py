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
from carnet.kernel import kernel
from carnet.tlog.tree import HASH_BYTES, MerkleTree, climb, split_path

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
    path = None if kernel is None else kernel.find_joint_path(tree.levels, indices)
    return _join(tree, indices) if path is None else path


def _join(tree: MerkleTree, indices: Sequence[int]) -> bytes:
    if not indices or indices[0] < 0 or indices[-1] >= tree.size:
        raise IndexError("no such leaf")
    path: list[bytes] = []
    known = indices
    for level in tree.levels:
        for index in known:
            if index ^ 1 not in known:
                # Beside a last node, and beside the root, stands nothing: what is cut out there is empty.
                at = (index ^ 1) * HASH_BYTES
                path.append(level[at : at + HASH_BYTES])
        known = sorted({index >> 1 for index in known})
    return b"".join(path)


def compute_joint_root(size: int, indices: Sequence[int], leaves: Sequence[bytes], path: bytes) -> bytes:
    """The root to which leaf hashes (32 bytes each) at these indices lead by their joint path.

    Raises `Unverified`: "index_beyond_count" for an index that is not below the size; "path_mismatch" for indices that
    do not ascend strictly, for none, and for a path that holds more or fewer hashes than it takes.
    """
    root = None if kernel is None else kernel.find_joint_root(size, indices, leaves, path)
    return _compute_joint_root(size, indices, leaves, path) if root is None else root


def _compute_joint_root(size: int, indices: Sequence[int], leaves: Sequence[bytes], path: bytes) -> bytes:
    if not indices or any(map(ge, indices, indices[1:])):
        raise Unverified("path_mismatch", "no leaf, or leaves that do not ascend")
    if indices[0] < 0 or indices[-1] >= size:
        raise Unverified("index_beyond_count", f"leaf {indices[-1]} of a tree of {size}")
    at, width = 0, size
    while len(indices) > 1:
        indices, leaves, at = _climb(width, indices, leaves, path, at)
        width = (width + 1) >> 1
    # From where the ways have met one climbs alone: most of the height. As RFC 9162 §2.1.3.2, the lower hashes stand on
    # either side, and those above, along the right border of the tree, on the left.
    index = indices[0]
    within = (index ^ (width - 1)).bit_length()
    border = (index >> within).bit_count()
    # A hash that was taken below, but was not there, was counted all the same.
    if len(path) != at + HASH_BYTES * (within + border):
        raise Unverified("path_mismatch", "the path has too few hashes, or too many")
    sides = index & (1 << within) - 1 | (1 << border) - 1 << within
    return climb(leaves[0], sides, split_path(path[at:]))


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


def check_joint(root: bytes, size: int, indices: Sequence[int], leaves: Sequence[bytes], path: bytes) -> None:
    """Raise as `compute_joint_root`, and `Unverified("path_mismatch")` unless the path leads to this root."""
    if compute_joint_root(size, indices, leaves, path) != root:
        raise Unverified("path_mismatch", "the path leads to another root")
