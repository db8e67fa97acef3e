"""The stored census tree: applied in groups, in several rounds, it is the tree that all heads give at once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Unverified
from carnet.ledger.census import Head, compute_head_leaf, compute_slot, find_slots, list_changes, make_changes
from carnet.node.census_tree import apply_all
from carnet.tlog.pieces import NOTHING, Top, apply_changes
from carnet.tlog.smt import SparseTree
from carnet.vault.store import Connection
from tests.node.home import TestNode, make_node

COUNT = 6_000
"""Chains of which there are pieces at depth 8, below those that are held."""


@pytest.fixture
def connection(node: TestNode) -> Iterator[Connection]:
    with node.open() as writer:
        writer._connection.begin_write()
        yield writer._connection
        writer._connection.rollback()


def make_heads(chance: random.Random, names: Sequence[bytes]) -> list[Head]:
    return [(name, chance.getrandbits(32), chance.getrandbits(40), chance.randbytes(32)) for name in names]


def cut(heads: Sequence[Head], size: int = 500) -> Iterator[list[bytes]]:
    return (make_changes(heads[at : at + size]) for at in range(0, len(heads), size))


def read_pieces(connection: Connection) -> dict[int, bytes]:
    return dict(connection.execute("SELECT id, content FROM census_piece"))


def build(heads: Sequence[Head]) -> tuple[Top, dict[int, bytes | None]]:
    """The tree of heads, made at once, and its pieces."""
    tree = SparseTree.build((slot := compute_slot(head[0]), compute_head_leaf(slot, *head)) for head in heads)
    changes = sorted(change for leaves in make_changes(heads) for change in list_changes(leaves))
    top, written = apply_changes(dict[int, bytes]().get, find_slots, NOTHING, changes)
    assert top == Top(len(tree), tree.root)
    return top, written


@pytest.mark.parametrize("most, group", [(COUNT, 1), (COUNT, 100), (700, 30), (1, 1), (COUNT, COUNT)])
def test_apply_all__is_the_tree_of_all_heads_however_they_are_grouped(
    connection: Connection, most: int, group: int
) -> None:
    chance = random.Random(most + group)
    names = [chance.randbytes(16) for _ in range(COUNT)]
    heads: dict[bytes, Head] = {}
    top = NOTHING
    # The first ones, so few that the top is a bucket; most of all; then some that are new beside some that are not.
    for low, high in ((0, 20), (10, 5_000), (3_000, COUNT), (7, 8)):
        some = make_heads(chance, names[low:high])
        top = apply_all(connection, top, cut(some), most=most, group=group)
        heads |= {head[0]: head for head in some}
        made, pieces = build(list(heads.values()))
        assert top == made
        assert read_pieces(connection) == pieces
    assert max(read_pieces(connection)) >= 1 << 8


@pytest.mark.parametrize("number", [1, 16, 31, 300, 500])
def test_apply_all__refused_on_a_changed_piece(connection: Connection, number: int) -> None:
    chance = random.Random(number)
    names = [chance.randbytes(16) for _ in range(COUNT)]
    top = apply_all(connection, NOTHING, cut(make_heads(chance, names)))
    content = bytearray(read_pieces(connection)[number])
    content[-1] ^= 1
    connection.execute("UPDATE census_piece SET content = ? WHERE id = ?", (content, number))
    with pytest.raises(Unverified) as caught:
        apply_all(connection, top, cut(make_heads(chance, names)), group=1)
    assert caught.value.code == "census_pieces"


def test_apply_all__writes_each_piece_once(tmp_path: Path) -> None:
    chance = random.Random(5)
    names = [chance.randbytes(16) for _ in range(COUNT)]
    with make_node(tmp_path).open() as writer:
        connection: Any = writer._connection
        top = apply_all(connection, NOTHING, cut(make_heads(chance, names)))
        count, before = len(read_pieces(connection)), connection.total_changes
        apply_all(connection, top, cut(make_heads(chance, names)), group=100)
        assert connection.total_changes - before == count
