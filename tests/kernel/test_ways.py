"""Ways in the census tree: what the kernel finds is what Python finds, and None where Python has something to say."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest

from carnet.errors import Unverified
from carnet.kernel import kernel
from carnet.tlog.pieces import _go_down, _open_bucket
from carnet.tlog.smt import EMPTY, _check_climb, check_climb

pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel is not built: `make kernel` needs a C compiler")


def ask(name: str, *given: Any) -> Any:
    return getattr(kernel, name)(*given)


def make_slots(chance: Random, count: int, shared: int) -> list[bytes]:
    """Ascending slots that begin with so many equal bits, and with more of them for some."""
    prefix, slots = chance.getrandbits(shared) << (256 - shared), set[int]()
    while len(slots) < count:
        depth = min(256, shared + chance.choice((0, 1, 4, 30)))
        near = prefix if chance.random() < 0.5 or not slots else chance.choice(sorted(slots))
        slots.add(near >> (256 - depth) << (256 - depth) | chance.getrandbits(256 - depth))
    return [slot.to_bytes(32, "big") for slot in sorted(slots)]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 31, 32])
@pytest.mark.parametrize("depth", [0, 4, 7, 60])
def test_find_bucket_way__of_any_leaves(count: int, depth: int) -> None:
    chance = Random(100 * depth + count)
    for _ in range(20):
        slots = make_slots(chance, count, depth)
        content = b"\0" + chance.randbytes(48 * count)
        bucket, joined = _open_bucket(content, b"".join(slots)), b"".join(slots)
        near = [bytes((*slot[:-1], slot[-1] ^ 1)) for slot in slots]
        for slot in (*slots, *near, bytes(32), b"\xff" * 32, chance.randbytes(32)):
            way = _go_down(bucket, int.from_bytes(slot, "big"), depth, [])
            assert ask("find_bucket_way", content, joined, slot, depth) == tuple(way)


@pytest.mark.parametrize(
    "wrong",
    [
        (b"", b"", bytes(32), 0),
        (bytes(1), b"", bytes(32), 0),
        (bytes(48), bytes(32), bytes(32), 0),
        (bytes(49), bytes(31), bytes(32), 0),
        (bytes(49), bytes(32), bytes(31), 0),
        (bytes(49), bytes(32), bytes(32), -1),
        (bytes(49), bytes(32), bytes(32), 61),
        (bytes(49), bytes(32), bytes(32), 2**80),
        (bytes(49), bytes(32), bytes(32), "0"),
        (bytearray(49), bytes(32), bytes(32), 0),
        (bytes(49), None, bytes(32), 0),
        (bytes(49), bytes(32), "a" * 32, 0),
        (bytes(97), bytes(64), bytes(32), 0),
        (bytes(97), b"\1" + bytes(63), bytes(32), 0),
        (bytes(1 + 48 * 33), b"".join(bytes((at,)) * 32 for at in range(33)), bytes(32), 0),
    ],
)
def test_find_bucket_way__of_what_is_no_bucket_is_left_to_python(wrong: tuple[Any, ...]) -> None:
    assert ask("find_bucket_way", *wrong) is None


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


@pytest.mark.parametrize("name, count", [("find_slot_root", 3), ("find_bucket_way", 4)])
def test_ways__take_so_many_arguments(name: str, count: int) -> None:
    for wrong in {*range(7)} - {count}:
        with pytest.raises(TypeError):
            ask(name, *[None] * wrong)


def test_ways__keep_no_reference() -> None:
    chance = Random(1)
    slots = make_slots(chance, 9, 4)
    kept = [
        b"\0" + chance.randbytes(48 * 9),
        b"".join(slots),
        slots[4],
        chance.randbytes(32),
        [chance.randbytes(32)] * 9,
    ]
    before = [sys.getrefcount(one) for one in kept]
    for _ in range(1_000):
        ask("find_bucket_way", kept[0], kept[1], kept[2], 4)
        ask("find_bucket_way", kept[0], kept[1], kept[3], 4)
        ask("find_slot_root", kept[2], kept[3], kept[4])
    assert [sys.getrefcount(one) for one in kept] == before
