"""Whose turn it is in a worker: alone nobody waits; beside others a member has a few requests at work and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from carnet.services.principals import VISITOR, Principal, Standing
from carnet.web.turns import FEW, HASTE_S, LINGER_S, NEAR_S, SLICE_S, Turns, find_name

pytestmark = pytest.mark.apart

LONG_S = 60.0


class Street:
    """Requests that stay until they are let go, and the clock."""

    def __init__(self, patience_s: float = LONG_S) -> None:
        self.now = 100.0
        self.turns = Turns(lambda: self.now, patience_s)
        self.at_work: list[bytes] = []
        self.may_go: dict[bytes, asyncio.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def send(self, name: bytes, count: int = 1) -> list[asyncio.Task[None]]:
        self.may_go.setdefault(name, asyncio.Event())
        made = [asyncio.create_task(self._ask(name)) for _ in range(count)]
        self.tasks += made
        return made

    async def send_many(self, name: bytes, count: int = 20) -> list[asyncio.Task[None]]:
        """So many, of which those that began at once leave again: the tasks that wait."""
        made = self.send(name, count)
        await self.settle()
        for one in made[:FEW]:
            one.cancel()
        await self.settle()
        return made[FEW:]

    async def _ask(self, name: bytes) -> None:
        async with self.turns.taken(name):
            self.at_work.append(name)
            try:
                await self.may_go[name].wait()
            finally:
                self.at_work.remove(name)

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def end(self) -> None:
        for may_go in self.may_go.values():
            may_go.set()
        await asyncio.wait_for(asyncio.gather(*self.tasks, return_exceptions=True), 10)
        assert self.at_work == []


def run(walk: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(walk(), 20)

    asyncio.run(bounded())


def test_turns__a_member_alone_waits_for_nothing() -> None:
    async def walk() -> None:
        street = Street()
        street.send(b"a", 50)
        await street.settle()
        assert len(street.at_work) == 50
        await street.end()

    run(walk)


def test_turns__beside_another_a_member_with_many_goes_one_at_a_time_and_who_has_few_does_not_wait() -> None:
    async def walk() -> None:
        street = Street()
        street.send(b"b")
        await street.settle()
        street.now += HASTE_S
        street.send(b"a", 50)
        await street.settle()
        assert street.at_work.count(b"a") == FEW
        street.send(b"b", FEW - 1)
        await street.settle()
        assert street.at_work.count(b"b") == FEW
        # All of them come to their turn.
        await street.end()

    run(walk)


def test_turns__up_to_a_few_in_flight_nobody_waits_and_one_more_waits_for_one_of_them() -> None:
    async def walk() -> None:
        street = Street()
        street.send(b"b")
        first = street.send(b"a", FEW)
        (late,) = street.send(b"a")
        await street.settle()
        assert street.at_work.count(b"a") == FEW
        first[0].cancel()
        await street.settle()
        assert street.at_work.count(b"a") == FEW
        assert not late.done()
        await street.end()

    run(walk)


def test_turns__nothing_of_many_begins_while_who_has_few_is_at_work_or_was_a_moment_ago() -> None:
    async def walk() -> None:
        street = Street()
        street.send(b"b")
        await street.send_many(b"a", FEW + 3)
        # What was left of many is few: it goes on.
        assert street.at_work.count(b"a") == 3
        await street.end()

        street.may_go[b"a"].clear()
        street.may_go[b"b"].clear()
        (other,) = street.send(b"b")
        await street.send_many(b"a")
        assert street.at_work.count(b"a") == 0
        street.may_go[b"b"].set()
        await other
        await street.settle()
        assert street.at_work.count(b"a") == 0
        await asyncio.sleep(3 * LINGER_S)
        await street.settle()
        assert street.at_work.count(b"a") == 1
        await street.end()

    run(walk)


def test_turns__many_go_on_now_and_then_however_much_those_with_few_have_to_do() -> None:
    async def walk() -> None:
        street = Street()
        street.send(b"b")
        await street.send_many(b"a")
        assert street.at_work.count(b"a") == 0
        street.now += 2 * SLICE_S
        await asyncio.sleep(3 * SLICE_S)
        await street.settle()
        assert street.at_work.count(b"a") == 1
        await street.end()

    run(walk)


def test_turns__what_takes_long_keeps_nobody_waiting() -> None:
    async def walk() -> None:
        street = Street()
        street.send(b"b")
        many = await street.send_many(b"a")
        assert street.at_work == [b"b"]
        street.now += 2 * HASTE_S
        street.may_go[b"a"].set()
        # The clock stands still: none of them goes because a slice is over.
        await asyncio.wait_for(asyncio.gather(*many), 10)
        assert street.at_work == [b"b"]
        await street.end()

    run(walk)


def test_turns__another_who_asked_a_moment_ago_is_still_there_and_later_no_more() -> None:
    async def walk() -> None:
        street = Street()
        (other,) = street.send(b"b")
        await street.settle()
        street.may_go[b"b"].set()
        await other
        street.send(b"a", FEW + 1)
        await street.settle()
        assert len(street.at_work) == FEW
        await street.end()
        street.now += NEAR_S
        street.may_go[b"a"].clear()
        street.send(b"a", FEW + 1)
        await street.settle()
        assert len(street.at_work) == FEW + 1
        await street.end()

    run(walk)


def test_turns__one_that_leaves_while_it_waits_takes_no_turn_along() -> None:
    async def walk() -> None:
        street = Street()
        street.send(b"b")
        waiting = street.send(b"a", FEW + 3)
        await street.settle()
        for gone in waiting[FEW : FEW + 2]:
            gone.cancel()
        await street.settle()
        street.may_go[b"a"].set()
        await asyncio.wait_for(waiting[-1], 10)
        await street.end()

    run(walk)


def test_turns__nobody_waits_for_ever_behind_what_does_not_end() -> None:
    async def walk() -> None:
        street = Street(patience_s=0.05)
        street.send(b"b")
        street.send(b"a", FEW + 1)
        await street.settle()
        assert street.at_work.count(b"a") == FEW
        await asyncio.sleep(0.3)
        assert street.at_work.count(b"a") == FEW + 1
        await street.end()

    run(walk)


def test_find_name__is_the_members_for_all_of_its_people_and_programs() -> None:
    member = bytes(range(16))
    staff = Principal(Standing.STAFF, account="acc_1", member=member)
    machine = Principal(Standing.MACHINE, member=member)
    assert find_name(staff) == find_name(machine) == member
    assert find_name(Principal(Standing.HOLDER, account="acc_2")) == b"acc_2"
    assert find_name(VISITOR) is None
