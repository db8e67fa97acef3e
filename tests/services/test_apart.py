"""The writer in a process of its own: the same refusals, and nothing is lost whichever of the processes dies."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.door import RemoteWriter
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.lock import find_holder
from carnet.services.apart import open_writer_apart, reach_writer_apart
from carnet.services.founding import found, get_operator, now_ms, open_writer_at, reach_writer_at
from carnet.services.importing import HISTOVEC, import_file
from carnet.services.reading import open_reader
from carnet.types import Basis
from tests.cli.run import COMMAND, make_env
from tests.faults.oracle import Oracle, check_resumed, make_source
from tests.faults.test_orphans import is_running
from tests.node.home import new_passport

ROWS_EACH, VEHICLES = 400, 60
ROWS = ROWS_EACH * VEHICLES
PATIENCE_S = 60.0

needs_proc = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="asks /proc which processes there are")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    found(made, name="apart.example")
    return made


def find_children(pid: int) -> list[int]:
    """The processes that this one has begun, and theirs."""
    found, waiting = list[int](), [pid]
    while waiting:
        try:
            task = Path(f"/proc/{waiting.pop()}/task")
            children = [int(word) for one in task.iterdir() for word in (one / "children").read_text().split()]
        except OSError:
            continue
        found += children
        waiting += children
    return found


def find_writer(home: Home) -> int:
    """The process that has the home's lock, as the kernel lists it."""
    inode = str(home.lock.stat().st_ino)
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    raise AssertionError("nobody has the lock")


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "a process outlived the one that began it"
        time.sleep(0.02)


@contextmanager
def importing(home: Home, source: Path, receipts: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An import with a writer apart, as soon as it has acknowledged something; in a session of its own."""
    command = [*COMMAND, "import", "histovec", str(source), "--workers", "1", "--receipts", str(receipts)]
    with subprocess.Popen(
        command, env=make_env(home.path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not receipts.exists() or not receipts.stat().st_size:
                assert running.poll() is None, running.communicate()
                assert time.monotonic() < deadline, "nothing was acknowledged"
                time.sleep(0.005)
            yield running
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)


def check_nothing_lost(home: Home, source: Path, receipts: Path) -> None:
    """What was acknowledged is there, and reading the file again seals the rest."""
    oracle = Oracle()
    oracle.hear(receipts.read_bytes().splitlines(keepends=True))
    assert oracle.receipts
    check_resumed(home.path, source, oracle, ROWS, VEHICLES)
    assert check_home(home.path) == []


@needs_proc
def test_import__whose_writer_is_killed_says_so_and_is_resumed(home: Home, tmp_path: Path) -> None:
    source, receipts = make_source(tmp_path / "source.jsonl", VEHICLES, ROWS_EACH), tmp_path / "receipts"
    with importing(home, source, receipts) as running:
        writer, family = find_writer(home), find_children(running.pid)
        assert writer in family
        os.kill(writer, signal.SIGKILL)
        _, said = running.communicate(timeout=PATIENCE_S)
        assert running.returncode == 1, said
    assert b"Traceback" not in said
    assert f"(code: {Reason.WRITER_AWAY})".encode() in said
    wait_until_gone(family)
    check_nothing_lost(home, source, receipts)


@needs_proc
def test_import__that_is_killed_takes_its_writer_with_it(home: Home, tmp_path: Path) -> None:
    """The next one need not wait: the lock is free as soon as the writer has noticed."""
    source, receipts = make_source(tmp_path / "source.jsonl", VEHICLES, ROWS_EACH), tmp_path / "receipts"
    with importing(home, source, receipts) as running:
        family = find_children(running.pid)
        assert find_writer(home) in family
        running.kill()
        running.wait(PATIENCE_S)
        check_nothing_lost(home, source, receipts)
    wait_until_gone(family)


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_import__that_is_told_to_stop_lets_the_writer_finish(home: Home, tmp_path: Path, number: int) -> None:
    """A terminal sends Ctrl-C to all of its processes, a service manager a polite kill."""
    source, receipts = make_source(tmp_path / "source.jsonl", VEHICLES, ROWS_EACH), tmp_path / "receipts"
    with importing(home, source, receipts) as running:
        family = find_children(running.pid)
        os.killpg(running.pid, number)
        _, said = running.communicate(timeout=PATIENCE_S)
    assert b"Traceback" not in said
    assert running.returncode == 128 + number, said
    wait_until_gone(family)
    # The writer was closed, not killed: its log went into the store.
    assert not home.path.joinpath("node.db-wal").exists()
    check_nothing_lost(home, source, receipts)


def test_apart__others_come_in_by_its_door_meanwhile(home: Home) -> None:
    with open_writer_apart(home, None, "carnet import") as writer:
        holder = find_holder(home.lock)
        assert holder is not None
        assert (holder.pid, holder.command) == (os.getpid(), "carnet import"), "this is whom others may stop"
        with reach_writer_at(home, None, "another") as other:
            assert isinstance(other, RemoteWriter)
            outcome = other.append(get_operator(other).id, Basis.REPORTED, [new_passport(1, 1_000)])
            assert len(outcome.receipts) == 2
        assert writer.is_census_owed is False
        writer.take_census()
    assert find_holder(home.lock) is None
    with open_writer_at(home, None, "the next"), open_reader(home) as reader:
        assert reader.count_passports() == 1


def test_apart__is_refused_as_the_writer_is(home: Home, tmp_path: Path) -> None:
    with open_writer_at(home, None, "a backup"):
        with pytest.raises(Refused) as caught, open_writer_apart(home, None, "carnet import"):
            pass
        assert caught.value.reason is Reason.WRITER_BUSY
        assert caught.value.facts["pid"] == os.getpid()
        with pytest.raises(Refused) as caught, reach_writer_apart(home, None, "carnet import"):
            pass
        assert (caught.value.reason, caught.value.facts["command"]) == (Reason.WRITER_BUSY, "a backup")
    with pytest.raises(Refused) as caught, open_writer_apart(Home(tmp_path / "nowhere"), None, "carnet import"):
        pass
    assert caught.value.reason is Reason.NO_NODE
    locked = Home(tmp_path / "locked")
    found(locked, name="locked.example", passphrase="a long sentence that nobody guesses")
    with pytest.raises(Refused) as caught, open_writer_apart(locked, "another sentence", "carnet import"):
        pass
    assert caught.value.reason is Reason.WRONG_PASSPHRASE
    with open_writer_apart(locked, "a long sentence that nobody guesses", "carnet import") as writer:
        writer.check_alive()


def test_reach_apart__goes_through_a_writer_that_runs_already(home: Home, tmp_path: Path) -> None:
    source = make_source(tmp_path / "source.jsonl", 3, 20)
    with open_writer_apart(home, None, "carnet serve"), reach_writer_apart(home, None, "carnet import") as writer:
        with source.open("rb") as lines:
            summary = import_file(writer, get_operator(writer), HISTOVEC, lines, now_ms(), worker_count=1)
        assert (summary.sealed, summary.opened) == (60, 3)
    assert check_home(home.path) == []


def test_apart__an_error_of_the_block_is_the_one_that_is_told(home: Home) -> None:
    with pytest.raises(KeyError), open_writer_apart(home, None, "carnet import"):
        raise KeyError("of the block")
    assert find_holder(home.lock) is None
