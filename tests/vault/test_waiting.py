"""What an event loop may do by itself: it reads a file, and is told before anything else would make it wait."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from carnet.vault.people.store import FILE, PeopleStore, open_people_store
from carnet.vault.waiting import WouldWaitError, at_once, check_may_wait, may_wait

pytestmark = pytest.mark.apart

COUNT = "SELECT count(*) FROM throttle"


def test_at_once__is_for_one_thread_and_ends_with_its_block() -> None:
    seen: list[bool] = []
    with at_once():
        with at_once():
            assert not may_wait()
        assert not may_wait()
        other = threading.Thread(target=lambda: seen.append(may_wait()))
        other.start()
        other.join()
        with pytest.raises(WouldWaitError):
            check_may_wait()
    assert may_wait()
    check_may_wait()
    assert seen == [True]


def test_people__are_read_at_once_and_never_written(tmp_path: Path) -> None:
    with open_people_store(tmp_path / FILE) as people:
        with at_once():
            with people.read() as connection:
                assert connection.execute(COUNT).fetchone() == (0,)
            with pytest.raises(WouldWaitError), people.write():
                pass
            with pytest.raises(WouldWaitError), people.note():
                pass
        with people.note() as connection:
            connection.execute("INSERT INTO throttle VALUES (?, 1, 2)", (bytes(32),))
        with at_once(), people.read() as connection:
            assert connection.execute(COUNT).fetchone() == (1,)


def test_people__are_seen_at_one_moment_in_one_turn_of_a_loop_and_as_they_are_in_the_next(tmp_path: Path) -> None:
    def count(people: PeopleStore) -> int:
        with at_once(), people.read() as connection:
            return int(connection.execute(COUNT).fetchone()[0])

    def write(people: PeopleStore) -> None:
        with people.note() as connection:
            connection.execute("INSERT INTO throttle VALUES (?, 1, 2)", (os.urandom(32),))

    async def look(people: PeopleStore) -> list[int]:
        found = [count(people)]
        write(people)
        found.append(count(people))
        # Whatever came in since has its turn after this one.
        await asyncio.sleep(0)
        found.append(count(people))
        await asyncio.to_thread(write, people)
        found.append(count(people))
        return found

    with open_people_store(tmp_path / FILE) as people:
        assert asyncio.run(look(people)) == [0, 0, 1, 2]
        # Another loop begins anew, and so does whoever asks without one.
        write(people)
        assert asyncio.run(look(people)) == [3, 3, 4, 5]
        write(people)
        assert count(people) == 6
        write(people)
        assert count(people) == 7


def test_people__that_are_locked_are_no_reason_to_wait(tmp_path: Path) -> None:
    with open_people_store(tmp_path / FILE) as people:
        with at_once(), people.read() as connection:
            connection.execute(COUNT)
        with people.write() as held:
            held.execute("INSERT INTO throttle VALUES (?, 1, 2)", (bytes(32),))
            # Whoever only reads sees what was there before, without waiting for the end of it.
            with at_once(), people.read() as connection:
                assert connection.execute(COUNT).fetchone() == (0,)
                # What has to wait for the lock is to be done elsewhere.
            with pytest.raises(WouldWaitError), at_once(), people.read() as connection:
                connection.execute("BEGIN IMMEDIATE")
