"""Ways in the census tree: what the kernel finds is what Python finds, and None where Python has something to say."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest

from carnet.errors import Unverified
from carnet.kernel import kernel
from carnet.ledger.census import compute_slot, find_way
from carnet.tlog.smt import EMPTY, _check_climb, check_climb
from tests.kernel.cases import CASES
from tests.kernel.cases_ways import find_way_in_python, grow, list_pieces

pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel is not built: `make kernel` needs a C compiler")


def ask(name: str, *given: Any) -> Any:
    return getattr(kernel, name)(*given)


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 34, 50, 400, 3_000])
def test_find_way__of_any_tree(count: int) -> None:
    chance = Random(count)
    names, pieces = grow(chance, count)
    found = 0
    for name in (*names[:200], *(chance.randbytes(16) for _ in range(20))):
        slot = compute_slot(name)
        way = list_pieces(pieces, slot)
        by_kernel = ask("find_way", way, slot)
        assert by_kernel == ask("find_way", tuple(way), slot) == find_way_in_python(way, slot) == find_way(way, slot)
        if by_kernel is not None:
            assert by_kernel[1] == name
            found += 1
    assert found == min(count, 200)


def test_find_way__that_ends_in_a_page() -> None:
    chance, ended = Random(3), 0
    for _ in range(20):
        names, pieces = grow(chance, 34)
        for name in names:
            slot = compute_slot(name)
            way = list_pieces(pieces, slot)
            siblings, found, _ = ask("find_way", way, slot)
            assert found == name
            ended += len(siblings) < 4 * (len(way) - 1)
    assert ended > 5


def test_find_way__of_damaged_pieces_is_as_in_python() -> None:
    for pieces, slot in CASES["find_way"].odd(Random(5)):
        if len(slot) == 32 and (answer := ask("find_way", pieces, slot)) is not None:
            assert answer == find_way(pieces, slot)


@pytest.mark.parametrize("wrong", [(None, bytes(32)), ([None], bytes(32)), ([b""], None), ([bytearray(49)], bytes(32))])
def test_find_way__of_what_is_no_tree_is_none(wrong: tuple[Any, ...]) -> None:
    assert ask("find_way", *wrong) is None


@pytest.mark.parametrize("height", [0, 1, 7, 8, 9, 64, 255, 256])
def test_find_slot_root__of_any_height(height: int) -> None:
    chance = Random(height)
    for _ in range(20):
        slot, leaf = chance.randbytes(32), chance.randbytes(32)
        siblings = [EMPTY if chance.random() < 0.3 else chance.randbytes(32) for _ in range(height)]
        if siblings:
            siblings[-1] = chance.randbytes(32)
        root = ask("find_slot_root", slot, leaf, siblings)
        assert ask("find_slot_root", slot, leaf, tuple(siblings)) == root
        _check_climb(root, slot, leaf, siblings)
        check_climb(root, slot, leaf, siblings)
        for check in (_check_climb, check_climb):
            with pytest.raises(Unverified) as caught:
                check(bytes(32), slot, leaf, siblings)
            assert caught.value.code == "census_path_mismatch"


@pytest.mark.parametrize(
    "wrong",
    [
        (bytes(31), bytes(32), []),
        (bytes(33), bytes(32), []),
        (bytes(32), bytes(31), []),
        (bytes(32), bytes(32), [b"a" * 31]),
        (bytes(32), bytes(32), [b"a" * 32, None]),
        (bytes(32), bytes(32), [b"a" * 32, EMPTY]),
        (bytes(32), bytes(32), [b"a" * 32] * 257),
        (bytes(32), bytes(32), iter(())),
        (bytes(32), bytes(32), None),
        ("a", bytes(32), []),
        (bytes(32), bytearray(32), []),
    ],
)
def test_find_slot_root__of_what_it_does_not_know_is_left_to_python(wrong: tuple[Any, ...]) -> None:
    assert ask("find_slot_root", *wrong) is None


@pytest.mark.parametrize("name, count", [("find_slot_root", 3), ("find_way", 2)])
def test_ways__take_so_many_arguments(name: str, count: int) -> None:
    for wrong in {*range(7)} - {count}:
        with pytest.raises(TypeError):
            ask(name, *[None] * wrong)


def test_ways__keep_no_reference() -> None:
    chance = Random(1)
    names, pieces = grow(chance, 300)
    slot = compute_slot(names[4])
    kept = [list_pieces(pieces, slot), slot, chance.randbytes(32), [chance.randbytes(32)] * 9]
    before = [sys.getrefcount(one) for one in kept]
    for _ in range(1_000):
        assert ask("find_way", kept[0], kept[1]) is not None
        ask("find_way", kept[0], kept[2])
        ask("find_slot_root", kept[1], kept[2], kept[3])
    assert [sys.getrefcount(one) for one in kept] == before
