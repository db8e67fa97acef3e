"""The Merkle tree against its recursive definition, and its proofs against every neighbour of a good proof."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Unverified
from carnet.tlog.tree import (
    EMPTY_ROOT,
    Frontier,
    MerkleTree,
    check_consistency,
    check_inclusion,
    compute_root,
    compute_root_from_path,
    compute_root_of,
    compute_root_of_hashes,
    consistency_path,
    consistency_path_from,
    inclusion_path,
    inclusion_path_from,
    leaf_hash,
    node_hash,
    root_from,
)

LEAVES = [b"leaf %d" % number for number in range(70)]
HASHES = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in LEAVES]
sizes = st.integers(1, len(HASHES))


def compute_model_root(hashes: Sequence[bytes]) -> bytes:
    """RFC 9162 §2.1.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + compute_model_root(hashes[:k]) + compute_model_root(hashes[k:])).digest()


ROOTS = [compute_model_root(HASHES[:size]) for size in range(len(HASHES) + 1)]


class Store:
    """Complete-subtree nodes as a node would keep them, counting the reads."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.reads = 0
        frontier = Frontier()
        for value in hashes:
            frontier, nodes = frontier.with_leaf_nodes(value)
            self.nodes.update({(level, index): digest for level, index, digest in nodes})

    def get_node(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.nodes[level, index]


def test_compute_root__is_that_of_the_recursive_definition() -> None:
    assert ROOTS[0] == EMPTY_ROOT
    for size, expected in enumerate(ROOTS):
        assert compute_root(HASHES[:size]) == compute_root_of(LEAVES[:size]) == expected
        assert compute_root_of_hashes(b"".join(HASHES[:size])) == expected
        assert Frontier().with_leaves(HASHES[:size]).root() == expected
    assert leaf_hash(LEAVES[0]) == HASHES[0]
    assert node_hash(HASHES[0], HASHES[1]) == ROOTS[2]


def test_compute_root__refuses_a_hash_of_another_size() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MerkleTree([b"short"])


def test_frontier__one_leaf_at_a_time_is_all_at_once() -> None:
    frontier = Frontier()
    for size, value in enumerate(HASHES, 1):
        earlier = frontier
        frontier = frontier.with_leaf(value)
        assert (frontier.size, frontier.root()) == (size, ROOTS[size])
        # An append leaves the earlier frontier as it was.
        assert (earlier.size, earlier.root()) == (size - 1, ROOTS[size - 1])
        assert Frontier.from_bytes(frontier.to_bytes()) == frontier


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 9, (3).to_bytes(8, "big") + bytes(32)])
def test_frontier__refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a frontier"):
        Frontier.from_bytes(data)
    with pytest.raises(ValueError, match="one peak"):
        Frontier(3, (bytes(32),))


def test_inclusion__every_leaf_of_every_size() -> None:
    store = Store(HASHES)
    for size in range(1, len(HASHES) + 1):
        tree = MerkleTree(HASHES[:size])
        for index in range(size):
            path = tree.path(index)
            store.reads = 0
            assert inclusion_path_from(store.get_node, index, size) == path
            assert store.reads <= 2 * size.bit_length()
            check_inclusion(ROOTS[size], size, index, HASHES[index], path)
            assert compute_root_from_path(size, index, HASHES[index], path) == ROOTS[size]
    assert inclusion_path(HASHES, 5) == MerkleTree(HASHES).path(5)


def test_consistency__every_pair_of_sizes() -> None:
    store = Store(HASHES)
    for new in range(1, len(HASHES) + 1):
        assert root_from(store.get_node, new) == ROOTS[new]
        for old in range(new + 1):
            store.reads = 0
            path = consistency_path_from(store.get_node, old, new)
            assert store.reads <= 3 * new.bit_length()
            check_consistency(old, ROOTS[old], new, ROOTS[new], path)
            assert path == consistency_path(HASHES, old, new)


def test_paths__refuse_what_is_not_there() -> None:
    tree = MerkleTree(HASHES[:5])
    for index in (-1, 5):
        with pytest.raises(IndexError):
            tree.path(index)
        with pytest.raises(IndexError):
            inclusion_path_from(tree.get_node, index, 5)
    for level, index in ((0, 5), (1, 2), (2, 1), (3, 0), (0, -1)):
        with pytest.raises(IndexError):
            tree.get_node(level, index)
    with pytest.raises(IndexError):
        consistency_path(HASHES, 6, 5)


@pytest.mark.parametrize("size, index", [(0, 0), (5, 5), (5, -1), (5, 2**60)])
def test_check_inclusion__refused_index_beyond_count(size: int, index: int) -> None:
    with pytest.raises(Unverified) as caught:
        check_inclusion(ROOTS[size], size, index, HASHES[0], [])
    assert caught.value.code == "index_beyond_count"


@given(sizes, st.data())
def test_check_inclusion__refused_path_mismatch(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = MerkleTree(HASHES[:size]).path(index)
    other = data.draw(st.sampled_from(_neighbours(path)))
    with pytest.raises(Unverified) as caught:
        check_inclusion(ROOTS[size], size, index, HASHES[index], other)
    assert caught.value.code == "path_mismatch"
    wrong_root = ROOTS[size - 1]
    with pytest.raises(Unverified, match="another root"):
        check_inclusion(wrong_root, size, index, HASHES[index], path)
    moved = data.draw(st.integers(0, size - 1).filter(lambda at: at != index)) if size > 1 else None
    if moved is not None:
        with pytest.raises(Unverified):
            check_inclusion(ROOTS[size], size, moved, HASHES[index], path)


@given(sizes, st.data())
def test_check_consistency__refused_consistency_mismatch(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    path = consistency_path(HASHES, old, new)
    cases = [(old, ROOTS[old], new, ROOTS[new], other) for other in _neighbours(path)]
    cases += [
        (old, ROOTS[old - 1], new, ROOTS[new], path),
        (old, ROOTS[old], new, ROOTS[new - 1], path),
        (new + 1, ROOTS[old], new, ROOTS[new], path),
        (-1, ROOTS[old], new, ROOTS[new], path),
        (0, ROOTS[old], new, ROOTS[new], []),
    ]
    if old < new:
        cases += [(new, ROOTS[old], new, ROOTS[new], []), (old, ROOTS[old], new, ROOTS[new], [])]
    for case in cases:
        with pytest.raises(Unverified) as caught:
            check_consistency(*case)
        assert caught.value.code == "consistency_mismatch"


def _neighbours(path: list[bytes]) -> list[list[bytes]]:
    """Paths that are nearly `path`: one hash more, less, another, cut, or swapped."""
    others = [[*path, bytes(32)], [bytes(32), *path], [*path, *path, bytes(32)], [*path, b""]]
    for at, value in enumerate(path):
        flipped = bytes((value[0] ^ 1,)) + value[1:]
        others += [path[:at] + path[at + 1 :], [*path[:at], flipped, *path[at + 1 :]]]
        others += [[*path[:at], value[:31], *path[at + 1 :]]]
    if len(path) > 1:
        others.append([path[1], path[0], *path[2:]])
    return others
