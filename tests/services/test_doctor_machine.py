"""What the doctor asks of the machine reaches whoever asks the doctor: its clock, its disk, its SQLite."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite

from carnet.node.home import Home
from carnet.services.doctor import examine
from carnet.services.surroundings import FEW_INODES, LITTLE_ROOM, LONG_LOG_BYTES, Found
from carnet.types import Basis
from tests.node.home import TestNode, make_node, new_passport


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TestNode]:
    made = make_node(tmp_path)
    yield made
    made.close()


def find(node: TestNode, code: str) -> Found:
    """The finding with this code, among those that the doctor gives."""
    found = {one.code: one for one in examine(Home(node.path))}
    assert code in found, sorted(found)
    return found[code]


def test_doctor__finds_a_clock_behind_the_log(node: TestNode) -> None:
    node.clock.now = time.time_ns() // 10**6 + 10 * 86_400_000
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(1)])
    found = find(node, "clock.behind")
    assert found.level == "problem"
    assert 9 * 86_400 < int(str(found.facts["seconds"])) <= 10 * 86_400


def test_doctor__finds_a_sqlite_that_is_too_old(node: TestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "sqlite_version_info", (3, 51, 2))
    assert find(node, "sqlite.old").level == "problem"


@pytest.mark.parametrize(
    "free, code", [(LITTLE_ROOM - 1, "disk.full"), (LITTLE_ROOM, "disk.little"), (2 * LITTLE_ROOM, "disk.ok")]
)
def test_doctor__finds_a_disk_without_room(
    node: TestNode, monkeypatch: pytest.MonkeyPatch, free: int, code: str
) -> None:
    """The system is made to say so; the store is as large as a hole in a file makes it."""
    os.truncate(node.path / "node.db", 2 * LITTLE_ROOM - 4096)
    said = shutil.disk_usage(node.path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: said)
    assert find(node, code).facts["free"] == free


def test_doctor__finds_a_disk_without_room_for_new_files(node: TestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    said = os.statvfs(node.path)
    values = [1_000 * FEW_INODES, FEW_INODES - 1, FEW_INODES - 1]
    full = os.statvfs_result((*said[:5], *values, *said[8:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    assert find(node, "inodes.few").level == "problem"


def test_doctor__finds_a_log_that_was_not_moved(node: TestNode) -> None:
    (node.path / "node.db-wal").touch()
    os.truncate(node.path / "node.db-wal", LONG_LOG_BYTES + 1)
    assert find(node, "log_file.long").facts["size"] == LONG_LOG_BYTES + 1
