"""Requests of a member's programs are counted in memory, and written down together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.services.accounts.purging import purge
from carnet.services.calls import DAY_MS, Calls, count_calls
from carnet.services.principals import Principal, Role, Standing
from tests.services.accounts.ground import Ground

ONE, OTHER = b"1" * 16, b"2" * 16
FIRST, LAST = date(2000, 1, 1), date(2100, 1, 1)


def staff(member: bytes) -> Principal:
    return Principal(Standing.STAFF, account=f"acc_{7:032x}", member=member, role=Role.READER)


def total(ground: Any, member: bytes) -> int:
    return sum(count_calls(ground.office, staff(member), FIRST, LAST).values())


def test_calls__of_two_workers_are_added_up_by_member_and_day(ground: Ground) -> None:
    pair = [Calls(ground.office.people, ground.clock, flush_s=60) for _ in range(2)]
    for worker in pair:
        for _ in range(3):
            worker.add(ONE)
        worker.add(OTHER)
    assert total(ground, ONE) == 0, "nothing waits for the store"
    for worker in pair:
        worker.flush()
        worker.flush()
    ground.clock.now += DAY_MS
    pair[0].add(ONE)
    pair[0].flush()
    counted = count_calls(ground.office, staff(ONE), FIRST, LAST)
    assert list(counted.values()) == [6, 1]
    assert (max(counted) - min(counted)).days == 1
    assert total(ground, OTHER) == 2


def test_calls__are_written_by_themselves_a_moment_later(ground: Ground) -> None:
    calls = Calls(ground.office.people, ground.clock, flush_s=0.05)
    calls.add(ONE)
    until = time.monotonic() + 20
    while not total(ground, ONE):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_calls__of_many_threads_lose_none(ground: Ground) -> None:
    calls = Calls(ground.office.people, ground.clock, flush_s=0.02)
    threads = [threading.Thread(target=lambda: [calls.add(ONE) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls.flush()
    until = time.monotonic() + 20
    while total(ground, ONE) < 2_000 and time.monotonic() < until:
        time.sleep(0.02)
    assert total(ground, ONE) == 2_000


def test_calls__that_could_not_be_written_are_written_later(ground: Ground) -> None:
    class Shut:
        """A store that cannot be written, then the real one."""

        is_shut = True

        @contextmanager
        def note(self) -> Iterator[Any]:
            if self.is_shut:
                raise OSError("the disk is full")
            with ground.office.people.note() as connection:
                yield connection

    people: Any = Shut()
    calls = Calls(people, ground.clock, flush_s=60)
    calls.add(ONE)
    calls.flush()
    calls.add(ONE)
    people.is_shut = False
    calls.flush()
    assert total(ground, ONE) == 2


def test_calls__go_after_four_hundred_days(ground: Ground) -> None:
    calls = Calls(ground.office.people, ground.clock, flush_s=60)
    calls.add(ONE)
    calls.flush()
    assert "api_calls" not in purge(ground.office.people, ground.clock.now + 399 * DAY_MS)
    assert purge(ground.office.people, ground.clock.now + 402 * DAY_MS)["api_calls"] == 1


def test_count_calls__refused_unknown_member_to_whoever_has_none(ground: Ground) -> None:
    with pytest.raises(Refused) as caught:
        count_calls(ground.office, Principal(Standing.OPERATOR, account=f"acc_{7:032x}"), FIRST, LAST)
    assert caught.value.reason is Reason.UNKNOWN_MEMBER
