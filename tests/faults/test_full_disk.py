"""A home on a disk with hardly any room: a file system of a few hundred kilobytes, mounted for the test.

Who may mount nothing runs the same with a limit on the size of each file instead, and says so.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from carnet.errors import Reason
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.reader import open_reader
from carnet.services.founding import found
from tests.cli.run import COMMAND, Ran, carnet, make_env
from tests.faults.oracle import Oracle, check_resumed, make_source

ROWS_EACH, VEHICLES = 500, 4
ROWS = ROWS_EACH * VEHICLES
ENOUGH = 64 * 1024 * 1024


class SmallDisk:
    """A place for a home with so many bytes of room."""

    def __init__(self, place: Path, size: int) -> None:
        place.mkdir()
        self.place, self._size = place, size
        self.is_mounted = self._mount(f"size={size}")
        if not self.is_mounted:
            print("nothing can be mounted here: each file is limited instead")

    def _mount(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.place)]
        try:
            return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
        except FileNotFoundError:
            return False

    def enlarge(self) -> None:
        """Make room."""
        self._size = ENOUGH
        if self.is_mounted:
            assert self._mount(f"remount,size={ENOUGH}")

    def run(self, *arguments: str | Path) -> Ran:
        """One verb on the home that is here."""
        if self.is_mounted:
            return carnet(*arguments, home=self.place / "home")
        limit = self._size if self._size == ENOUGH else self._size // 3
        command = ["prlimit", f"--fsize={limit}", *COMMAND, *map(str, arguments)]
        ran = subprocess.run(command, env=make_env(self.place / "home"), capture_output=True, timeout=60)
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.place)], check=True, timeout=20)


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[SmallDisk]:
    disk = SmallDisk(place, size)
    try:
        yield disk
    finally:
        disk.close()


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("size_kb", [200, 640, 1_000, 1_400])
def test_import__until_the_disk_is_full(tmp_path: Path, size_kb: int, workers: str) -> None:
    """With workers the writer is in another process: what it meets is told as if it had been met here."""
    source = make_source(tmp_path / "source.jsonl", VEHICLES, ROWS_EACH)
    receipts, oracle = tmp_path / "receipts", Oracle()
    with small_disk(tmp_path / "disk", size_kb * 1024) as disk:
        home = disk.place / "home"
        command = ("import", "histovec", source, "--receipts", receipts, "--workers", workers)
        ran = disk.run(*command)
        assert ran.code == 1, ran
        assert "Traceback" not in ran.err
        if disk.is_mounted:
            assert f"(code: {Reason.DISK_FULL})" in ran.err, ran.err
            assert "Free some space, then run the same command again" in ran.err
        oracle.hear(receipts.read_bytes().splitlines(keepends=True))
        # It stays refused, and loses nothing, as long as there is no room.
        assert disk.run(*command).code == 1
        oracle.receipts.clear()
        oracle.hear(receipts.read_bytes().splitlines(keepends=True))
        was_founded = Home(home).is_founded()
        print(f"{size_kb} KB: {'founded' if was_founded else 'not founded'}, {len(oracle.receipts):,} receipts")
        disk.enlarge()
        if was_founded:
            assert disk.run("fsck").code == 0
        else:
            assert oracle.receipts == []
            found(Home(home))
        check_resumed(home, source, oracle, ROWS, VEHICLES)


@pytest.mark.parametrize("room_kb", [0, 120])
def test_erase__until_the_disk_is_full(tmp_path: Path, room_kb: int) -> None:
    """Erasing may have to write the store anew, which takes as much room again. What has begun is finished when there
    is room."""
    source = make_source(tmp_path / "source.jsonl", VEHICLES, ROWS_EACH)
    with small_disk(tmp_path / "disk", ENOUGH) as disk:
        home = disk.place / "home"
        assert disk.run("import", "histovec", source, "--workers", "0").code == 0
        with open_reader(home) as reader:
            passport = next(iter(reader.list_passports())).chain16.hex()
        erase = ("erase", passport, "--reason", "test_data", "--yes")
        if disk.is_mounted:
            fill(disk.place / "ballast", room_kb * 1024)
            ran = disk.run(*erase)
            print(f"{room_kb} KB: {ran.err.splitlines()[0][:120] if ran.err else 'erased'}")
            assert "Traceback" not in ran.err
            assert ran.code == 0 or f"(code: {Reason.DISK_FULL})" in ran.err, ran.err
            assert ran.code == 1 or room_kb > 0
            (disk.place / "ballast").unlink()
        ran = disk.run(*erase)
        assert ran.code == 0 or str(Reason.ERASED) in ran.err, ran.err
        assert check_home(home) == []
        with open_reader(home) as reader:
            assert reader.count_passports() == VEHICLES - 1


def fill(ballast: Path, room: int) -> None:
    """Fill the disk, all but so many bytes."""
    with ballast.open("wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(bytes(4096)) == 4096:
                pass
        file.truncate(max(0, file.tell() - room))
