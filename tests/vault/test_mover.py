"""The write-ahead log is moved beside whoever writes: nothing is lost, it begins anew, and what fails is told."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.vault.mover import LogMover
from carnet.vault.store import Connection, Error, create_store, measure_log, open_store

MAX_PAGES = 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    with create_store(path) as store:
        yield store.connection


def write(connection: Connection, number: int) -> None:
    """One commit of ten pages or so, spread over the table from the second round on."""
    connection.begin_write()
    connection.executemany(
        "INSERT INTO census_piece VALUES (?,?) ON CONFLICT (id) DO UPDATE SET content = excluded.content",
        [(at * 97 % 1000, number.to_bytes(4, "big") * 500) for at in range(10 * number, 10 * number + 10)],
    )
    connection.commit()


def find_wrong(connection: Connection, written: int) -> list[int]:
    """The rows that do not hold what was written to them last, after so many commits."""
    last = {at * 97 % 1000: at // 10 for at in range(10 * written)}
    stored = dict(connection.execute("SELECT id, content FROM census_piece").fetchall())
    return [at for at, number in last.items() if stored.get(at) != number.to_bytes(4, "big") * 500]


def test_moving__keeps_every_commit_and_a_short_log(path: Path, connection: Connection) -> None:
    mover = LogMover(path, connection, max_pages=MAX_PAGES)
    longest = 0
    for number in range(400):
        mover.move_long()
        write(connection, number)
        longest = max(longest, measure_log(connection)[0])
    mover.wait()
    # A log that never began anew would have some 4,000 pages by now.
    assert MAX_PAGES <= longest < 5 * MAX_PAGES
    assert find_wrong(connection, 400) == []
    mover.close()
    with open_store(path, is_read_only=True) as other:
        assert find_wrong(other.connection, 400) == []
    assert connection.find_damage() == []


def test_moving__goes_on_while_others_are_not_waited_for(path: Path, connection: Connection) -> None:
    """What the other thread moved stands in the store's own file, which the writer has not touched."""
    mover = LogMover(path, connection, max_pages=MAX_PAGES)
    written = 0
    while measure_log(connection)[1] < MAX_PAGES:
        write(connection, written)
        written += 1
    size = path.stat().st_size
    mover.move_long()
    names = {thread.name.partition("_")[0] for thread in threading.enumerate()}
    assert "carnet-log" in names
    mover.wait()
    assert measure_log(connection)[1] == 0
    assert path.stat().st_size > size
    mover.close()


def test_moving__waits_for_a_reader_of_an_older_moment(path: Path, connection: Connection) -> None:
    mover = LogMover(path, connection, max_pages=MAX_PAGES)
    write(connection, 0)
    with open_store(path, is_read_only=True) as reading:
        reading.connection.begin_read()
        before = reading.connection.execute("SELECT id, content FROM census_piece").fetchall()
        for number in range(1, 100):
            mover.move_long()
            write(connection, number)
        assert reading.connection.execute("SELECT id, content FROM census_piece").fetchall() == before
        reading.connection.rollback()
    held = measure_log(connection)[0]
    assert held > 5 * MAX_PAGES
    for number in range(100, 130):
        mover.move_long()
        write(connection, number)
    assert measure_log(connection)[0] < held
    assert find_wrong(connection, 130) == []
    mover.close()


def test_moving__tells_what_failed_before_the_next_transaction(path: Path, connection: Connection) -> None:
    """The other connection cannot be opened: a disk that fails to flush is tests/faults/test_injected.py's."""
    mover = LogMover(path.parent / "elsewhere" / "node.db", connection, max_pages=MAX_PAGES)
    number = 0
    while measure_log(connection)[1] < MAX_PAGES:
        write(connection, number)
        number += 1
    mover.move_long()
    with pytest.raises(Error):
        mover.wait()
    mover.close()
    mover.close()
    assert find_wrong(connection, number) == []


def test_close__ends_the_other_thread_and_its_connection(path: Path) -> None:
    with create_store(path) as store:
        mover = LogMover(path, store.connection, max_pages=MAX_PAGES)
        for number in range(50):
            mover.move_long()
            write(store.connection, number)
        mover.close()
        assert all(not thread.name.startswith("carnet-log") for thread in threading.enumerate())
    opened = [os.path.realpath(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")]
    assert str(path) not in opened
    # The last one to close the store takes its log along.
    assert not path.with_name("node.db-wal").exists()
