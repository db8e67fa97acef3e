"""Joint paths in the kernel: the same hashes as in Python, and None where Python has something to say."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Unverified
from carnet.kernel import kernel
from carnet.tlog.joint import _compute_joint_root, _join
from carnet.tlog.tree import MerkleTree, leaf_hash

pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel is not built: `make kernel` needs a C compiler")

HASHES = [leaf_hash(b"%d" % number) for number in range(200)]


def find(name: str, *given: Any) -> Any:
    return getattr(kernel, name)(*given)


def answer_of(size: Any, indices: Any, leaves: Any, path: Any) -> bytes | None:
    """What Python gives; None where it refuses."""
    try:
        return _compute_joint_root(size, indices, leaves, path)
    except Unverified:
        return None


@given(st.integers(1, 200), st.data())
def test_joint__path_and_root_of_any_leaves(size: int, data: st.DataObject) -> None:
    indices = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=9)))
    tree, leaves = MerkleTree(HASHES[:size]), [HASHES[at] for at in indices]
    path = _join(tree, indices)
    assert find("find_joint_path", tree.levels, indices) == path
    assert find("find_joint_path", tree.levels, tuple(indices)) == path
    assert find("find_joint_root", size, indices, leaves, path) == tree.root
    assert find("find_joint_root", size, tuple(indices), tuple(leaves), path) == tree.root


@given(st.integers(-2, 70), st.lists(st.integers(-2, 70), max_size=5), st.integers(0, 500), st.randoms())
def test_joint_root__of_anything_is_that_of_python(size: int, indices: list[int], length: int, chance: Random) -> None:
    path, leaves = chance.randbytes(length), HASHES[: len(indices)]
    assert find("find_joint_root", size, indices, leaves, path) == answer_of(size, indices, leaves, path)


def test_joint_root__of_a_path_of_any_length() -> None:
    for size in range(1, 20):
        tree = MerkleTree(HASHES[:size])
        for indices in ([0], [size - 1], [0, size - 1], sorted({0, size // 2, size - 1})):
            if len(set(indices)) < len(indices):
                continue
            path, leaves = _join(tree, indices), [HASHES[at] for at in indices]
            for length in range(len(path) + 65):
                cut = (path + bytes(65))[:length]
                assert find("find_joint_root", size, indices, leaves, cut) == answer_of(size, indices, leaves, cut)


@pytest.mark.parametrize("size", [2**32 - 1, 2**53 - 1, 2**63, 2**64 - 1])
def test_joint_root__of_huge_trees(size: int) -> None:
    for indices in ([0], [size - 1], [5, size - 2], [0, 7, size - 1]):
        for count in range(210):
            path = b"".join(HASHES[:1] * count)
            leaves = HASHES[: len(indices)]
            assert find("find_joint_root", size, indices, leaves, path) == answer_of(size, indices, leaves, path)


@pytest.mark.parametrize(
    "wrong",
    [
        (None, [0], HASHES[:1], b""),
        (1.0, [0], HASHES[:1], b""),
        (-1, [0], HASHES[:1], b""),
        (2**64, [0], HASHES[:1], b""),
        (1, [0], HASHES[:1], bytearray()),
        (1, [0], HASHES[:1], None),
        (1, [], [], b""),
        (1, {0: 1}, HASHES[:1], b""),
        (1, [0], iter(HASHES[:1]), b""),
        (1, [0], [], b""),
        (1, [0], HASHES[:2], b""),
        (1, [0.0], HASHES[:1], b""),
        (1, ["0"], HASHES[:1], b""),
        (1, [-1], HASHES[:1], b""),
        (1, [2**80], HASHES[:1], b""),
        (1, [0], [bytes(31)], b""),
        (1, [0], [bytes(33)], b""),
        (1, [0], [bytearray(32)], b""),
        (1, [0], [None], b""),
        (70_000, range(65_537), HASHES[:1], b""),
        (70_000, list(range(65_537)), [bytes(32)] * 65_537, b""),
    ],
)
def test_joint_root__of_what_it_does_not_know_is_left_to_python(wrong: tuple[Any, ...]) -> None:
    assert find("find_joint_root", *wrong) is None


@pytest.mark.parametrize(
    "wrong",
    [
        ((bytes(32),), [0]),
        ([], [0]),
        ([b""], [0]),
        ([None], [0]),
        ([bytes(32)] * 65, [0]),
        ([bytes(32)], []),
        ([bytes(32)], [1]),
        ([bytes(32)], [-1]),
        ([bytes(64), bytes(32)], [1, 1]),
        ([bytes(64), bytes(32)], [1, 0]),
        ([bytes(64), bytes(32)], [None]),
        ([bytes(64), bytes(32)], range(1)),
    ],
)
def test_joint_path__of_what_it_does_not_know_is_left_to_python(wrong: tuple[Any, ...]) -> None:
    assert find("find_joint_path", *wrong) is None


@pytest.mark.parametrize("name, count", [("find_joint_root", 4), ("find_joint_path", 2)])
def test_joint__takes_so_many_arguments(name: str, count: int) -> None:
    for wrong in {*range(7)} - {count}:
        with pytest.raises(TypeError):
            find(name, *[None] * wrong)


def test_joint__keeps_no_reference() -> None:
    tree = MerkleTree(HASHES[:70])
    indices, leaves = [3, 900, 10**9], HASHES[:3]
    kept = [tree.levels, indices, leaves, indices[2], leaves[0], None]
    before = [sys.getrefcount(one) for one in kept[:-1]]
    for _ in range(1_000):
        find("find_joint_root", 2**40, indices, leaves, b"")
        find("find_joint_path", tree.levels, indices)
        find("find_joint_path", tree.levels, [3, 9])
    assert [sys.getrefcount(one) for one in kept[:-1]] == before
