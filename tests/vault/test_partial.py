"""A file that has its name once it is whole: what a kill leaves is written over, and two never write the same one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.vault.partial import PART, open_part, write_whole, writing_whole

KILLED = """
import os, signal, sys
from pathlib import Path
from carnet.vault.partial import writing_whole
with writing_whole(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "car.carnet"


def list_names(file: Path) -> list[str]:
    return sorted(one.name for one in file.parent.iterdir())


def test_write__replaces_the_whole_file(file: Path) -> None:
    file.write_bytes(b"what was there before, and is longer")
    write_whole(file, b"new")
    assert (file.read_bytes(), list_names(file)) == (b"new", [file.name])


def test_write__that_fails_changes_nothing(file: Path) -> None:
    file.write_bytes(b"before")
    with suppress(ZeroDivisionError), writing_whole(file) as half:
        half.write(b"half")
        raise ZeroDivisionError
    assert (file.read_bytes(), list_names(file)) == (b"before", [file.name])


def test_write__over_what_a_killed_process_left(file: Path) -> None:
    file.write_bytes(b"before")
    ran = subprocess.run([sys.executable, "-c", KILLED, str(file)], timeout=60)
    assert ran.returncode == -signal.SIGKILL
    assert (file.read_bytes(), list_names(file)) == (b"before", [f".{file.name}{PART}", file.name])
    write_whole(file, b"us")
    assert (file.read_bytes(), list_names(file)) == (b"us", [file.name])


def test_write__refused_writer_busy(file: Path) -> None:
    with writing_whole(file) as first:
        first.write(b"first")
        with pytest.raises(Refused) as refused:
            write_whole(file, b"second")
        assert (refused.value.reason, refused.value.could_retry) == (Reason.WRITER_BUSY, True)
        assert not file.exists()
    assert file.read_bytes() == b"first"
    write_whole(file, b"second")
    assert (file.read_bytes(), list_names(file)) == (b"second", [file.name])


def test_write__many_at_once_never_mix(file: Path) -> None:
    """Each is refused or writes all of its own; none takes what another one makes for its own."""
    refused = list[Refused]()

    def write(letter: bytes) -> None:
        for _ in range(50):
            try:
                with writing_whole(file) as out:
                    out.write(letter * 10)
                    out.flush()
                    out.write(letter * 10)
            except Refused as error:
                refused.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.reason for one in refused} <= {Reason.WRITER_BUSY}
    assert file.read_bytes() in {letter * 20 for letter in (b"a", b"b", b"c", b"d")}
    assert list_names(file) == [file.name]


def test_write__an_empty_one_only_where_it_may_be(file: Path) -> None:
    with writing_whole(file, may_be_empty=False):
        pass
    assert list_names(file) == []
    with writing_whole(file):
        pass
    assert list_names(file) == [file.name]


def test_write__a_link_stays_a_link(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"before")
    file.symlink_to(other)
    write_whole(file, b"new")
    assert (file.is_symlink(), other.read_bytes()) == (True, b"new")


def test_write__a_pipe_is_written_as_it_is(file: Path) -> None:
    os.mkfifo(file)
    reading = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(file, b"through")
        assert os.read(reading, 100) == b"through"
    finally:
        os.close(reading)
    assert file.is_fifo()


def test_write__follows_no_link_in_the_place_of_its_own(file: Path) -> None:
    """In a folder where others write too: what the link leads to would be emptied."""
    other = file.with_name("other")
    other.write_bytes(b"another's")
    file.with_name(f".{file.name}{PART}").symlink_to(other)
    with pytest.raises(OSError, match="symbolic"):
        write_whole(file, b"new")
    assert other.read_bytes() == b"another's"


def test_part__of_another_who_came_after_the_renaming_stays(file: Path) -> None:
    part = file.with_name("part")
    with open_part(part, file) as first:
        first.write(b"first")
        part.rename(file)
        part.write_bytes(b"of another")
    assert part.read_bytes() == b"of another"
    assert file.read_bytes() == b"first"
