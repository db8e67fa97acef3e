"""The census tree in pieces against the whole tree: same root, same paths, whatever came and went before."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Unverified
from carnet.tlog.pieces import (
    MAX_BUCKET,
    NOTHING,
    Bucket,
    Page,
    Top,
    apply_changes,
    check_piece,
    find_way,
    list_children,
    make_change,
    open_piece,
)
from carnet.tlog.smt import SparseTree, census_leaf_hash

Slots = dict[bytes, bytes]
"""The slot of each name."""


class Kept:
    """Pieces in a dictionary, beside the leaves that they should hold."""

    def __init__(self, slots: Slots, *, reads_children: bool = False) -> None:
        self.slots = slots
        self.reads_children = reads_children
        self.asked: list[int] = []
        self.pieces: dict[int, bytes] = {}
        self.top = NOTHING
        self.leaves: dict[bytes, bytes] = {}

    def find(self, number: int) -> bytes | None:
        self.asked.append(number)
        return self.pieces.get(number)

    def find_slots(self, leaves: bytes) -> bytes:
        return b"".join(self.slots[leaves[at : at + 16]] for at in range(0, len(leaves), 48))

    def read_below(self, number: int) -> dict[int, bytes]:
        return {at: self.pieces[at] for at in range(16 * number, 16 * number + 16) if at in self.pieces}

    def change(self, changes: dict[bytes, bytes | None]) -> dict[int, bytes | None]:
        """Give names a leaf, or take it away; returns the pieces written."""
        records = sorted(
            make_change(self.slots[name], name, None if leaf is None else census_leaf_hash(leaf))
            for name, leaf in changes.items()
        )
        below = self.read_below if self.reads_children else None
        self.top, written = apply_changes(self.find, self.find_slots, self.top, records, below)
        for number, content in written.items():
            if content is None:
                self.pieces.pop(number, None)
            else:
                self.pieces[number] = content
        for name, leaf in changes.items():
            if leaf is None:
                self.leaves.pop(name, None)
            else:
                self.leaves[name] = leaf
        return written

    def open(self, number: int) -> Bucket | Page:
        return open_piece(number, self.pieces.get(number), self.find_slots)

    def check(self) -> None:
        """Same root and count as the whole tree, same paths; every piece is reached, and is what its parent says."""
        tree = SparseTree.build((self.slots[name], leaf) for name, leaf in self.leaves.items())
        assert self.top == Top(len(tree), tree.root)
        seen = set()
        waiting = [(1, self.top)] if self.leaves else []
        while waiting:
            number, said = waiting.pop()
            piece = self.open(number)
            check_piece(number, piece, said)
            seen.add(number)
            waiting += list_children(number, piece) if isinstance(piece, Page) else ()
        assert seen == self.pieces.keys()
        if not self.leaves:
            return
        for name, slot in self.slots.items():
            path, way = tree.path(slot), find_way(self.open, slot)
            assert tuple(way.siblings) == path.siblings
            ends = None if way.name is None else (self.slots[way.name], self.leaves[way.name])
            assert ends == path.terminal
            assert way.digest == (None if path.terminal is None else census_leaf_hash(path.terminal[1]))
            assert (way.name == name) == (name in self.leaves)


def name_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def hashed(count: int) -> Slots:
    return {name_of(at): hashlib.sha256(b"%d" % at).digest() for at in range(count)}


def crowded(count: int) -> Slots:
    """Slots that share long beginnings, some of them beyond the depth at which buckets are divided."""
    return {
        name: (int.from_bytes(slot, "big") >> (0, 3, 9, 30, 60, 64, 200)[at % 7]).to_bytes(32, "big")
        for at, (name, slot) in enumerate(hashed(count).items())
    }


@pytest.mark.parametrize("make", [hashed, crowded])
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 6))
def test_apply_changes__random_growth_and_loss(make: Callable[[int], Slots], seed: int, steps: int) -> None:
    chance = random.Random(seed)
    kept = Kept(make(150))
    names = list(kept.slots)
    for step in range(steps):
        some = chance.sample(names, chance.choice([1, 3, 40, 120]))
        share = chance.choice([0.0, 0.2, 0.9, 1.0])
        kept.change({name: None if chance.random() < share else b"%d of %d" % (step, seed) for name in some})
        kept.check()


def test_apply_changes__same_pieces_whatever_the_way() -> None:
    slots = hashed(600)
    at_once, one_by_one = Kept(slots), Kept(slots)
    leaves = {name: b"leaf " + name for name in slots if name[-1] % 3}
    at_once.change(dict(leaves))
    one_by_one.change(dict.fromkeys(slots, b"older"))
    for name in slots:
        one_by_one.change({name: leaves.get(name)})
    assert one_by_one.top == at_once.top
    assert one_by_one.pieces == at_once.pieces
    at_once.check()


def test_apply_changes__same_pieces_however_they_are_read() -> None:
    slots = hashed(3_000)
    alone, together = Kept(slots), Kept(slots, reads_children=True)
    chance = random.Random(3)
    for leaf, count in ((b"old", 3_000), (b"new", 700), (None, 400), (b"again", 40), (None, 2_800)):
        some = dict.fromkeys(chance.sample(list(slots), count), leaf)
        alone.asked, together.asked = [], []
        alone.change(dict(some))
        together.change(dict(some))
        assert (together.top, together.pieces) == (alone.top, alone.pieces)
        assert len(together.asked) <= max(1, len(alone.asked) // 3)
    together.check()


def test_apply_changes__touches_only_the_way() -> None:
    kept = Kept(hashed(20_000))
    kept.change(dict.fromkeys(kept.slots, b"x"))
    written = kept.change({name_of(7): b"y"})
    # One piece a level: four bits each, down to buckets of at most 32.
    assert len(written) == 4
    assert len(kept.pieces) > 1000


def test_apply_changes__down_to_nothing() -> None:
    kept = Kept(hashed(MAX_BUCKET + 1))
    kept.change(dict.fromkeys(kept.slots, b"x"))
    assert len(kept.pieces) > 1
    kept.change({name_of(0): None})
    assert len(kept.pieces) == 1
    kept.check()
    kept.change(dict.fromkeys(kept.slots))
    assert (kept.top, kept.pieces) == (NOTHING, {})


def test_apply_changes__same_change_twice_is_no_change() -> None:
    kept = Kept(hashed(100))
    kept.change(dict.fromkeys(kept.slots, b"x"))
    before = dict(kept.pieces)
    kept.change(dict.fromkeys(kept.slots, b"x"))
    kept.change({})
    assert kept.pieces == before


@pytest.mark.parametrize("make", [hashed, crowded])
def test_apply_changes__refused_on_any_changed_piece(make: Callable[[int], Slots]) -> None:
    """One flipped bit of any piece is noticed by whoever changes all leaves, before anything comes of it."""
    kept = Kept(make(120))
    kept.change(dict.fromkeys(kept.slots, b"x"))
    good = dict(kept.pieces)

    def find_slots(leaves: bytes) -> bytes:
        names = [leaves[at : at + 16] for at in range(0, len(leaves), 48)]
        return b"".join(kept.slots.get(name) or hashlib.sha256(name).digest() for name in names)

    changes = sorted(make_change(slot, name, bytes(32)) for name, slot in kept.slots.items())
    chance = random.Random(1)
    for number, content in good.items():
        for at in {0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(20))}:
            if content[:1] == b"\0" and (at - 1) % 48 < 16:
                # A name: that it belongs to its hash is known to whoever knows the leaves.
                continue
            flipped = content[:at] + bytes((content[at] ^ 1 << chance.randrange(8),)) + content[at + 1 :]
            for wrong in (flipped, content[:-1], content + b"\0", b"", None):
                pieces = {**good, number: wrong}
                with pytest.raises(Unverified) as caught:
                    apply_changes(pieces.get, find_slots, kept.top, changes)
                assert caught.value.code == "census_pieces"


def test_apply_changes__refused_another_root() -> None:
    kept = Kept(hashed(50))
    kept.change(dict.fromkeys(kept.slots, b"x"))
    for said in (Top(50, bytes(32)), Top(49, kept.top.digest), Top(1, kept.top.digest)):
        with pytest.raises(Unverified):
            apply_changes(kept.pieces.get, kept.find_slots, said, [make_change(bytes(32), name_of(1), bytes(32))])
