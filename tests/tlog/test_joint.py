"""Joint paths: each set of leaves has one, and nothing else leads to the root."""

from __future__ import annotations

from hashlib import sha256
from itertools import combinations
from random import Random

import pytest

from carnet.errors import Unverified
from carnet.tlog.joint import check_joint, compute_joint_path, compute_joint_root, join
from carnet.tlog.tree import MerkleTree, check_inclusion, compute_subtree_from, leaf_hash

HASHES = [leaf_hash(b"%d" % number) for number in range(70)]


def test_joint_path__every_set_of_every_small_tree() -> None:
    for size in range(1, 9):
        tree = MerkleTree(HASHES[:size])
        for count in range(1, size + 1):
            for indices in combinations(range(size), count):
                path = join(tree, indices)
                check_joint(tree.root, size, indices, [HASHES[at] for at in indices], path)
                assert len(set(indices)) < size or path == b""


@pytest.mark.parametrize("size", [1, 2, 3, 31, 32, 33, 64, 70])
def test_joint_path__of_stored_nodes_is_that_of_the_tree(size: int) -> None:
    tree, chance = MerkleTree(HASHES[:size]), Random(size)
    for _ in range(40):
        indices = sorted(chance.sample(range(size), chance.randint(1, min(size, 6))))
        path = join(tree, indices)
        stored = compute_joint_path(lambda start, end: compute_subtree_from(tree.get_node, start, end), indices, size)
        assert stored == path
        single = sum(len(tree.path(at)) for at in indices) * 32
        assert len(path) <= single


def test_joint_path__of_one_leaf_is_its_inclusion_path() -> None:
    for size in (1, 2, 5, 37, 64):
        tree = MerkleTree(HASHES[:size])
        for at in range(size):
            path = join(tree, [at])
            assert path == b"".join(tree.path(at))
            check_inclusion(tree.root, size, at, HASHES[at], tree.path(at))


def test_joint_path__of_a_huge_tree() -> None:
    """Sizes reach 2^53 - 1: only what is on the way is looked at."""
    size = 2**53 - 1
    path = compute_joint_path(lambda start, end: sha256(b"%d %d" % (start, end)).digest(), [0, 5, size - 1], size)
    assert len(compute_joint_root(size, [0, 5, size - 1], HASHES[:3], path)) == 32
    assert len(path) < 32 * 2 * 53 + 1


def compute_root_slowly(size: int, known: dict[int, bytes], path: list[bytes]) -> bytes:
    """Clause 1.10 word by word: level by level, each node from the two below it."""
    rest = list(path)
    while size > 1:
        above: dict[int, bytes] = {}
        for at in sorted(known):
            other = at ^ 1
            if other >= size:
                above[at >> 1] = known[at]
            elif other not in known or other > at:
                sibling = known[other] if other in known else rest.pop(0)
                sides = known[at] + sibling if at < other else sibling + known[at]
                above[at >> 1] = sha256(b"\x01" + sides).digest()
        known, size = above, (size + 1) >> 1
    assert not rest
    return known[0]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_compute_joint_root__is_that_of_the_clause(count: int) -> None:
    chance = Random(count)
    for size in [*range(count, 36), 63, 64, 65, 70]:
        tree = MerkleTree(HASHES[:size])
        for _ in range(10):
            indices = sorted(chance.sample(range(size), count))
            path = join(tree, indices)
            parts = [path[at : at + 32] for at in range(0, len(path), 32)]
            leaves = [HASHES[at] for at in indices]
            wanted = compute_root_slowly(size, dict(zip(indices, leaves, strict=True)), parts)
            assert compute_joint_root(size, indices, leaves, path) == wanted == tree.root


def test_check_joint__refused_any_other_length() -> None:
    """Also where the hash that is missing belongs to the lowest level, and no other comes after it."""
    for size in range(2, 20):
        tree = MerkleTree(HASHES[:size])
        for indices in [*combinations(range(size), 1), *combinations(range(size), 2), *combinations(range(size), 3)]:
            path, leaves = join(tree, indices), [HASHES[at] for at in indices]
            for wrong in (path[:-32], path[:-1], path + bytes(1), path + bytes(32), b"", bytes(31)):
                if wrong == path:
                    continue
                with pytest.raises(Unverified) as caught:
                    compute_joint_root(size, indices, leaves, wrong)
                assert caught.value.code == "path_mismatch"


@pytest.mark.parametrize("change", ["more", "fewer", "swapped", "piece", "bit", "leaf", "index"])
def test_check_joint__refused_any_change(change: str) -> None:
    tree, indices = MerkleTree(HASHES[:21]), [3, 4, 17]
    path = join(tree, indices)
    leaves = [HASHES[at] for at in indices]
    match change:
        case "more":
            path += bytes(32)
        case "fewer":
            path = path[:-32]
        case "swapped":
            path = path[32:64] + path[:32] + path[64:]
        case "piece":
            path = path[:-1]
        case "bit":
            path = bytes((path[0] ^ 1,)) + path[1:]
        case "leaf":
            leaves[1] = HASHES[9]
        case _:
            indices = [3, 5, 17]
    with pytest.raises(Unverified) as caught:
        check_joint(tree.root, 21, indices, leaves, path)
    assert caught.value.code == "path_mismatch"


@pytest.mark.parametrize(
    "indices, code",
    [([], "path_mismatch"), ([4, 4], "path_mismatch"), ([5, 4], "path_mismatch"), ([4, 21], "index_beyond_count")],
)
def test_compute_joint_root__refused_indices(indices: list[int], code: str) -> None:
    with pytest.raises(Unverified) as caught:
        compute_joint_root(21, indices, HASHES[: len(indices)], b"")
    assert caught.value.code == code


@pytest.mark.parametrize("indices", [[], [-1], [21], [0, 21]])
def test_compute_joint_path__of_no_leaf(indices: list[int]) -> None:
    with pytest.raises(IndexError):
        join(MerkleTree(HASHES[:21]), indices)
