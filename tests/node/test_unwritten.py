"""Heads that rows do not tell yet: each newest one is found, within what there is room for, and a census takes it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from carnet.ledger.census import make_changes
from carnet.node.heads import KnownHead
from carnet.node.placing import Head, RecentHeads
from carnet.node.unwritten import PAGE_CHAINS, UnwrittenHeads
from tests.node.home import TestNode, make_node
from tests.node.test_census import fill, grow, take


def test_note__the_newest_is_found_within_the_room_there_is() -> None:
    chance = random.Random(1)
    heads, model = UnwrittenHeads(77, max_pages=3), dict[int, KnownHead]()
    pages = set[int]()
    for _ in range(5_000):
        number = chance.randrange(6 * PAGE_CHAINS)
        parts = chance.randint(1, 2**63), chance.getrandbits(32), chance.randbytes(32), chance.getrandbits(60)
        is_written = chance.random() < 0.3
        head = chance.randbytes(16), *parts, is_written
        heads.note(number, *head)
        page = number // PAGE_CHAINS
        if page not in pages and not is_written and len(pages) < 3:
            pages.add(page)
        if page in pages:
            model[number] = head
    assert len(pages) == 3
    # Heads were left out: of those chains the rows tell an older one.
    assert heads.told_from > 6 * PAGE_CHAINS
    assert {number: heads.find(number) for number in range(6 * PAGE_CHAINS)} == {
        number: model.get(number) for number in range(6 * PAGE_CHAINS)
    }
    heads.clear(78)
    assert heads.find(next(iter(model))) is None
    assert heads.told_from == 78


def test_take__gives_what_was_noted_and_gives_up_what_is_behind() -> None:
    chance = random.Random(2)
    heads, noted = UnwrittenHeads(1), dict[int, KnownHead]()
    for number in chance.sample(range(4 * PAGE_CHAINS), 2_000):
        head = chance.randbytes(16), number + 1, 3, chance.randbytes(32), 2 * number, number % 5 == 0
        heads.note(number, *head)
        if heads.find(number):
            noted[number] = head
    assert heads.take([], 0) == ([], [], [], [])
    for low, high in ((0, 1_000), (1_000, 2_500), (2_500, 5 * PAGE_CHAINS)):
        numbers = [number for number in range(low, high) if number % 3]
        known = {number: noted[number] for number in numbers if number in noted}
        changes, moved, stretches, left = heads.take(numbers, PAGE_CHAINS)
        assert not stretches
        assert changes == make_changes([(name, epoch, seq, id_) for name, seq, epoch, id_, _, _ in known.values()])
        assert moved == [
            (seq, epoch, id_, seal, number)
            for number, (_, seq, epoch, id_, seal, is_written) in known.items()
            if not is_written
        ]
        assert left == [number for number in numbers if number not in noted]
        kept = [number for number in noted if number // PAGE_CHAINS >= numbers[-1] // PAGE_CHAINS]
        assert [number for number in noted if heads.find(number)] == kept
    assert not kept


def test_recent_heads__the_latest_are_at_hand() -> None:
    chance, recent = random.Random(2), RecentHeads(size=50)
    model, last = dict[int, Head](), list[int]()
    for _ in range(1_000):
        numbers = chance.sample(range(300), 7)
        heads = {number: Head((number, bytes(16), 0, 0, bytes(32)), 1, None) for number in numbers}
        recent.keep(heads)
        model |= heads
        last = [number for number in last if number not in heads] + numbers
        found = recent.find_all(set(range(400)))
        assert set(last[-50 + 6 :]) <= found.keys()
        assert len(found) < 100 + 7
        assert all(head is model[number] is recent.find(number) for number, head in found.items())
        assert {id(head) for head in found.values()} <= {id(head) for head in recent}
    recent.clear()
    assert not any(recent)
    assert recent.find(last[-1]) is None


@pytest.mark.parametrize("forgets", [False, True])
def test_take_census__of_noted_heads_is_that_of_followed_ones(node: TestNode, forgets: bool) -> None:
    with node.open() as writer:
        fill(node, writer, range(40))
        take(writer)
        for number in (3, 5, 3, 39):
            grow(node, writer, number)
        assert any(writer._recent)
        # Only what was noted, or nothing, is at hand.
        writer._recent.clear()
        if forgets:
            writer._unwritten.clear(writer._next_chain)
        noted = [chain for chain in range(1, 60) if writer._unwritten.find(chain)]
        assert len(noted) == (0 if forgets else 3)
        take(writer)
        assert not any(writer._unwritten.find(chain) for chain in noted)
        grow(node, writer, 3)
        take(writer)
    node.check()


@pytest.mark.parametrize("max_pages", [0, 9])
def test_take_census__of_chains_that_were_opened_since(node: TestNode, max_pages: int) -> None:
    with node.open() as writer:
        fill(node, writer, range(40))
        take(writer)
        writer._unwritten = UnwrittenHeads(writer._next_chain, max_pages)
        fill(node, writer, range(40, 80))
        for number in (3, 45, 45, 79):
            grow(node, writer, number)
        writer._recent.clear()
        take(writer)
        node.check()
        fill(node, writer, range(80, 85))
        writer._recent.clear()
        take(writer)
    node.check()


def test_take_census__reads_no_entry_of_chains_that_were_opened_since(tmp_path: Path) -> None:
    node, asked = make_node(tmp_path), list[str]()
    with node.open() as writer:
        fill(node, writer, range(40))
        grow(node, writer, 7)
        writer._recent.clear()
        connection: Any = writer._connection
        connection.set_trace_callback(asked.append)
        writer.take_census()
        connection.set_trace_callback(None)
    assert any("FROM census_changed" in query for query in asked)
    assert not any("entry" in query for query in asked)
    node.check()


def test_take__what_is_dense_is_packed() -> None:
    heads = UnwrittenHeads(1)
    for number in range(7, 700):
        heads.note(number, bytes(16), number, 3, number.to_bytes(32, "big"), 2 * number, number % 5 == 0)
    heads.note(PAGE_CHAINS, bytes(16), 1, 0, bytes(32), 1, False)
    numbers = [number for number in range(1, PAGE_CHAINS + 1) if number % 7]
    changes, rows, stretches, left = heads.take(numbers, 400)
    assert sum(map(len, changes)) == 48 * len(numbers) - 48 * len(left)
    # One of the other page is there, and is alone.
    assert rows == [(1, 0, bytes(32), 1, PAGE_CHAINS)]
    ((first, last, records),) = stretches
    moved = [number for number in numbers if 7 < number < 700 and number % 5]
    assert (first, last) == (moved[0], moved[-1])
    assert records == b"".join(
        b"%016d%010d%016d%s" % (number, 3, 2 * number, number.to_bytes(32, "big")) if number in moved else b" " * 74
        for number in range(first, last + 1)
    )


def test_take_census__of_many_neighbours_is_that_of_followed_ones(node: TestNode) -> None:
    asked = list[str]()
    with node.open() as writer:
        fill(node, writer, range(400))
        take(writer)
        for number in range(400):
            if number % 9:
                grow(node, writer, number)
        writer._recent.clear()
        connection: Any = writer._connection
        if connection.is_file:
            connection.set_trace_callback(asked.append)
        take(writer)
        assert connection.is_file == any("CAST(substr(" in query for query in asked)
        if connection.is_file:
            connection.set_trace_callback(None)
    node.check()
