"""A backup, what is restored from one, and a file that a person asked for are on the disk before they have their names.
The name of a backup, and of what is restored, is there before it is told.

Nobody could see it otherwise: a kill loses nothing that was written, and only the power does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from carnet.node.home import Home
from carnet.services.founding import found
from carnet.vault.partial import PART
from tests.faults.tracing import Traced, needs_strace, run_traced

PASSPHRASE = "--passphrase-file"


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A folder with a founded home, and a passphrase for its backups."""
    found(Home(tmp_path / "home"))
    (tmp_path / "pass").write_text("a long passphrase\n")
    return tmp_path


def find_last(ran: Traced, name: str, *files: str) -> int:
    """Where the last such call on one of these files stands among all."""
    places = [at for at, call in enumerate(ran.calls) if call.name == name and call.file in files and call.result >= 0]
    assert places, (name, files, ran.calls)
    return places[-1]


def back_up(ground: Path) -> Traced:
    watched = [ground, ground / "b", ground / "b.carnet-part"]
    arguments = ("backup", "-o", ground / "b", PASSPHRASE, ground / "pass")
    ran = run_traced(arguments, ground / "home", ground / "trace", watched=watched)
    assert ran.code == 0, ran.err
    return ran


@needs_strace
def test_backup__is_on_the_disk_before_it_has_its_name(ground: Path) -> None:
    ran = back_up(ground)
    part = str(ground / "b.carnet-part")
    written, flushed = find_last(ran, "write", part), find_last(ran, "fsync", part)
    named, told = find_last(ran, "rename", part), find_last(ran, "fsync", str(ground))
    assert written < flushed < named < told


@needs_strace
def test_restore__is_on_the_disk_before_it_has_its_name(ground: Path) -> None:
    back_up(ground)
    copy, staging = ground / "copy", ground / "copy.restoring"
    home = Home(staging)
    store, keys, mark = str(home.store), str(home.keys_waiting), str(staging / "restored.json.new")
    watched = [ground, copy, staging, *map(Path, (store, keys, mark))]
    ran = run_traced(("restore", ground / "b", PASSPHRASE, ground / "pass"), copy, ground / "trace", watched=watched)
    assert ran.code == 0, ran.err
    named = find_last(ran, "rename", str(staging))
    for file in (store, keys, mark):
        assert find_last(ran, "write", file) < find_last(ran, "fsync", file) < named
    # The mark that it only reads stands before it has keys to write with.
    marked, unlocked = find_last(ran, "rename", mark), find_last(ran, "rename", keys)
    flushes = [at for at, call in enumerate(ran.calls) if (call.name, call.file) == ("fsync", str(staging))]
    assert any(marked < at < unlocked for at in flushes)
    assert any(unlocked < at < named for at in flushes)
    assert named < find_last(ran, "fsync", str(ground))


@needs_strace
def test_written__is_on_the_disk_before_it_has_its_name(ground: Path) -> None:
    """Else the power would leave an empty file in the place of the last one (`--force`)."""
    (ground / "trail").write_text("the last one\n")
    part = ground / f".trail{PART}"
    words = ("audit", "export", "-o", ground / "trail", "--force")
    ran = run_traced(words, ground / "home", ground / "trace", watched=[part])
    assert ran.code == 0, ran.err
    assert find_last(ran, "write", str(part)) < find_last(ran, "fsync", str(part)) < find_last(ran, "rename", str(part))
    assert (ground / "trail").read_text() != "the last one\n"
