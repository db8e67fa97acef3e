"""What the functions of joint paths are called with. What they know no answer to gives None, and no error."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from carnet.errors import Unverified
from carnet.tlog.joint import _compute_joint_root, _join
from carnet.tlog.tree import MerkleTree
from tests.kernel.case import Arguments, Case

_H = bytes(32)


def find_root_in_python(size: int, indices: Any, leaves: Any, path: bytes) -> bytes | None:
    try:
        return _compute_joint_root(size, indices, leaves, path)
    except Unverified:
        return None


def find_path_in_python(levels: list[bytes], indices: Any) -> bytes | None:
    tree = MerkleTree([levels[0][at : at + 32] for at in range(0, len(levels[0]), 32)])
    if list(indices) != sorted(set(indices)):
        return None
    try:
        return _join(tree, indices)
    except IndexError:
        return None


def _trees(random: Random) -> Iterator[tuple[MerkleTree, list[int]]]:
    for size in (*range(1, 40), 64, 65, 127, 300):
        tree = MerkleTree([random.randbytes(32) for _ in range(size)])
        for count in {1, 2, 3, size // 2, size}:
            if 0 < count <= size:
                yield tree, sorted(random.sample(range(size), count))


def _odd_roots(random: Random) -> Iterator[Arguments]:
    for tree, indices in _trees(random):
        leaves, path = [tree.levels[0][at * 32 : at * 32 + 32] for at in indices], _join(tree, indices)
        yield tree.size, indices, leaves, path
        yield tree.size, tuple(indices), tuple(leaves), path + _H
        yield tree.size, indices, leaves, path[:-1]
        yield tree.size + 1, indices, leaves, path
        yield tree.size, indices[::-1], leaves, path
        yield tree.size, [at + 1 for at in indices], leaves, path
    for size in (2**53 - 1, 2**63, 2**64 - 1):
        for count in (0, 1, 53, 64, 120):
            yield size, [0, size - 1], [_H, _H], _H * count


def _odd_joint_paths(random: Random) -> Iterator[Arguments]:
    for tree, indices in _trees(random):
        yield tree.levels, indices
        yield tree.levels, tuple(indices)
        yield tree.levels, [*indices, tree.size]
        yield tree.levels, indices[:1] * 2


_LEVELS = MerkleTree([_H] * 5).levels

JOINT: dict[str, Case] = {
    "find_joint_root": Case(
        find_root_in_python,
        [(1, [0], [_H], b""), (5, [1, 4], [_H, _H], _H * 3), (5, (4, 1), (_H, _H), b""), (2**70, [1], [_H], b"")],
        _odd_roots,
        [(1, [0], [_H])],
    ),
    "find_joint_path": Case(
        find_path_in_python, [(_LEVELS, [1, 4]), (_LEVELS, (0,)), (_LEVELS, [9])], _odd_joint_paths, [(_LEVELS,)]
    ),
}
