"""What an event loop may do by itself: it reads a file, and is told before anything else would make it wait."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from carnet.vault.people.store import FILE, open_people_store
from carnet.vault.waiting import WouldWaitError, at_once, check_may_wait, may_wait

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
