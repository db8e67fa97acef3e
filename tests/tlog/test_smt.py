"""The census tree against its recursive definition; presence and absence, and the proofs that must not pass."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import InvariantBroken, Unverified
from carnet.tlog.smt import EMPTY, SparseTree, census_leaf_hash, check_absence, check_presence

Items = list[tuple[bytes, bytes]]


def compute_model_root(items: Items, depth: int = 0) -> bytes:
    """The definition of the format, word for word."""
    if not items:
        return bytes(32)
    if len(items) == 1:
        return hashlib.sha256(b"\x00" + items[0][1]).digest()
    sides: tuple[Items, Items] = ([], [])
    for slot, leaf in items:
        sides[slot[depth // 8] >> (7 - depth % 8) & 1].append((slot, leaf))
    zero, one = (compute_model_root(side, depth + 1) for side in sides)
    return hashlib.sha256(b"\x01" + zero + one).digest()


# Slots that share long beginnings meet the one-sided stretches that hashed slots hardly ever meet.
slots = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 255).map(lambda last: bytes(31) + bytes((last,))),
    st.integers(0, 255).map(lambda bit: (1 << bit).to_bytes(32, "big")),
    st.tuples(st.sampled_from([0, 255]), st.integers(0, 31), st.integers(0, 255)).map(
        lambda parts: (bytes((parts[0],)) * parts[1] + bytes((parts[2],))).ljust(32, b"\x80")
    ),
)
items_of = st.lists(slots, unique=True, max_size=12).map(lambda found: [(slot, b"leaf " + slot) for slot in found])


@given(items_of, slots)
def test_build__is_the_recursive_definition(items: Items, wanted: bytes) -> None:
    tree = SparseTree.build(items)
    assert tree.root == compute_model_root(items)
    assert len(tree) == len(items)
    for slot, leaf in items:
        path = tree.path(slot)
        assert path.terminal == (slot, leaf)
        assert tree.find_leaf(slot) == leaf
        check_presence(tree.root, slot, leaf, path.siblings)
    held = dict(items)
    path = tree.path(wanted)
    assert len(path.siblings) <= 256
    if wanted in held:
        assert path.terminal == (wanted, held[wanted])
    else:
        assert tree.find_leaf(wanted) is None
        check_absence(tree.root, wanted, path.siblings, path.terminal)
        with pytest.raises(Unverified):
            check_presence(tree.root, wanted, b"leaf " + wanted, path.siblings)


@given(items_of.filter(bool), st.data())
def test_check_absence__refused_for_a_slot_that_is_held(items: Items, data: st.DataObject) -> None:
    tree = SparseTree.build(items)
    slot, leaf = data.draw(st.sampled_from(items))
    siblings = tree.path(slot).siblings
    others = [None, (slot, leaf), *((other, other_leaf) for other, other_leaf in items if other != slot)]
    for length in range(len(siblings) + 1):
        for other in others:
            with pytest.raises(Unverified):
                check_absence(tree.root, slot, siblings[:length], other)


@given(items_of.filter(bool), st.data())
def test_check_presence__refused_one_flipped_bit(items: Items, data: st.DataObject) -> None:
    tree = SparseTree.build(items)
    slot, leaf = data.draw(st.sampled_from(items))
    siblings = list(tree.path(slot).siblings)
    bit = data.draw(st.integers(0, 7))
    for at, sibling in enumerate(siblings):
        changed = bytes((sibling[0] ^ 1 << bit,)) + sibling[1:]
        with pytest.raises(Unverified):
            check_presence(tree.root, slot, leaf, [*siblings[:at], changed, *siblings[at + 1 :]])
    for wrong in (siblings[1:], siblings[:-1], [*siblings, bytes((1,)) * 32]):
        if wrong != siblings:
            with pytest.raises(Unverified):
                check_presence(tree.root, slot, leaf, wrong)
    with pytest.raises(Unverified):
        check_presence(tree.root, slot, leaf + b"x", siblings)


def test_empty_tree__holds_nothing() -> None:
    tree = SparseTree.build([])
    assert tree.root == EMPTY
    assert tree.path(bytes(32)).siblings == ()
    check_absence(EMPTY, bytes(32), (), None)
    with pytest.raises(Unverified, match="another root"):
        check_presence(EMPTY, bytes(32), b"leaf", ())


def test_path__of_256_siblings_verifies_and_257_are_refused() -> None:
    low, high = bytes(32), bytes(31) + b"\x01"
    tree = SparseTree.build([(low, b"low"), (high, b"high")])
    siblings = tree.path(low).siblings
    assert len(siblings) == 256
    assert siblings[:-1] == (EMPTY,) * 255
    check_presence(tree.root, low, b"low", siblings)
    with pytest.raises(Unverified) as caught:
        check_presence(tree.root, low, b"low", (*siblings, siblings[-1]))
    assert caught.value.code == "census_path_too_deep"
    with pytest.raises(Unverified) as caught:
        check_absence(tree.root, low, (*siblings, siblings[-1]), (high, b"high"))
    assert caught.value.code == "census_path_too_deep"


def test_check_presence__refused_census_path_empty_sibling() -> None:
    # The root of a made-up tree in which the leaf stands one level too low: consistent hashes, another tree.
    slot, leaf = bytes(32), b"leaf"
    root = hashlib.sha256(b"\x01" + census_leaf_hash(leaf) + EMPTY).digest()
    for check in (
        lambda: check_presence(root, slot, leaf, [EMPTY]),
        lambda: check_absence(root, b"\x80" + bytes(31), [EMPTY], None),
    ):
        with pytest.raises(Unverified) as caught:
            check()
        assert caught.value.code == "census_path_empty_sibling"


def test_check_absence__refused_another_slot_on_another_way() -> None:
    one, two, three = (bytes((first,)) + bytes(31) for first in (0x00, 0x40, 0x80))
    tree = SparseTree.build([(one, b"1"), (two, b"2"), (three, b"3")])
    path = tree.path(one)
    assert len(path.siblings) == 2
    free = b"\x20" + bytes(31)
    check_absence(tree.root, free, path.siblings, (one, b"1"))
    with pytest.raises(Unverified, match="another way"):
        check_absence(tree.root, b"\x60" + bytes(31), path.siblings, (one, b"1"))
    with pytest.raises(Unverified, match="said to be free"):
        check_absence(tree.root, one, path.siblings, (one, b"1"))


@pytest.mark.parametrize(
    "root, slot, siblings",
    [(bytes(31), bytes(32), []), (bytes(32), bytes(31), []), (bytes(32), bytes(32), [b"\1" * 33])],
)
def test_check_presence__refused_other_sizes(root: bytes, slot: bytes, siblings: list[bytes]) -> None:
    with pytest.raises(Unverified) as caught:
        check_presence(root, slot, b"leaf", siblings)
    assert caught.value.code == "census_path_mismatch"


def test_build__refused_two_leaves_in_one_slot() -> None:
    with pytest.raises(InvariantBroken, match="one slot"):
        SparseTree.build([(bytes(32), b"a"), (b"\1" * 32, b"x"), (bytes(32), b"b")])
    with pytest.raises(ValueError, match="32 bytes"):
        SparseTree.build([(b"short", b"a")])


def test_build__does_not_recurse_and_ignores_the_order() -> None:
    # A comb: every slot parts from the next one level deeper.
    comb = [((2**256 - 2**level).to_bytes(32, "big"), b"%d" % level) for level in range(256)]
    assert SparseTree.build(comb).root == SparseTree.build(reversed(comb)).root == compute_model_root(comb)
