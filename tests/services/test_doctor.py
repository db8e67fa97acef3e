"""Each thing that can be wrong with an installation is brought about, found, and explained; and nothing is changed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite

from carnet import kernel
from carnet.encoding import b64, encode
from carnet.node.backup.envelope import Passphrase
from carnet.node.backup.restore import restore_backup
from carnet.node.backup.take import take_backup
from carnet.node.home import Home
from carnet.services import surroundings as around
from carnet.services.doctor import check_backup, examine
from carnet.services.surroundings import Found
from carnet.types import Basis
from tests.cli.run import carnet, make_env
from tests.node.home import TestNode, make_node, new_passport
from tests.postgres import Cluster

DAY_MS = 86_400_000


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestNode]:
    # Other tests kill processes, which leave there what they had.
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    made = make_node(tmp_path)
    with made.open() as writer:
        writer.append(made.operator.id, Basis.REPORTED, [new_passport(n, 10, 20) for n in range(3)])
        writer.take_census()
    take_backup(Home(made.path), tmp_path / "b", Passphrase("x"), now=made.clock(), random_bytes=made.dice)
    yield made
    made.close()


def find(node: TestNode, check: str) -> Found:
    """The worst finding of a check."""
    found = [one for one in examine(Home(node.path)) if one.check == check]
    assert found, check
    return min(found, key=lambda one: ("problem", "warning", "ok").index(one.level))


def change_store(node: TestNode, statement: str) -> None:
    connection = sqlite.connect(str(node.path / "node.db"))
    connection.execute(statement)
    connection.commit()
    connection.close()


def snapshot(home: Path) -> dict[str, tuple[bytes, int, int]]:
    """Everything but what SQLite itself puts beside a store that is read."""
    files = [file for file in sorted(home.rglob("*")) if not file.name.endswith(("-shm", "-wal"))]
    return {
        str(file.relative_to(home)): (
            file.read_bytes() if file.is_file() else b"",
            file.stat().st_mode,
            file.stat().st_mtime_ns,
        )
        for file in files
    }


def test_doctor__of_a_healthy_node_finds_no_problem_and_changes_nothing(node: TestNode) -> None:
    before = snapshot(node.path)
    found = examine(Home(node.path))
    assert snapshot(node.path) == before
    wrong = {one.check: one.said for one in found if one.level != "ok"}
    assert set(wrong) <= {"disk", "files", *([] if kernel.STATE == "used" else ["kernel"])}, wrong
    assert {one.check for one in found} == set(
        (
            "python kernel sqlite node modes owner disk files lock left copy "
            "store clock keys head erasures census backup"
        ).split()
    )
    assert all(one.why == one.todo == "" for one in found if one.level == "ok")


def test_doctor__of_a_store_in_a_database(tmp_path: Path, postgres: Cluster) -> None:
    made = make_node(tmp_path, store_url=postgres.make_url())
    with made.open() as writer:
        writer.append(made.operator.id, Basis.REPORTED, [new_passport(1, 10)])
        writer.take_census()
        assert find(made, "lock").said.startswith(f"held by process {os.getpid()}")
    found = examine(Home(made.path))
    assert {one.check for one in found if one.level == "problem"} == set(), found
    assert "head" in {one.check for one in found if one.level == "ok"}


def test_doctor__names_what_killed_processes_left(node: TestNode, tmp_path: Path) -> None:
    home = Home(node.path)
    assert find(node, "left").level == "ok"
    copy, figures = node.path / ".carnet-copy-1", tmp_path / "temporary" / "carnet-figures-1"
    for folder in (copy, figures):
        folder.mkdir()
        (folder / "at-work").touch()
    home.moving.touch()
    staging = Home(tmp_path / f"{node.path.name}.restoring")
    staging.path.mkdir()
    staging.lock.touch()
    found = find(node, "left")
    assert (found.level, found.code) == ("warning", "left.there")
    assert all(str(path) in found.said for path in (copy, figures, home.moving, staging.path))
    # What is at work is nobody's leavings.
    with (figures / "at-work").open("rb") as lock, node.open():
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = find(node, "left")
    assert str(copy) in found.said
    assert str(figures) not in found.said
    assert str(home.moving) not in found.said


def break_modes(node: TestNode) -> None:
    (node.path / "keys.json").chmod(0o640)


def break_folder_modes(node: TestNode) -> None:
    node.path.chmod(0o777)


def break_keys(node: TestNode) -> None:
    (node.path / "keys.json").write_bytes(b"{}\n")


def lose_keys(node: TestNode) -> None:
    (node.path / "keys.json").unlink()


def take_other_keys(node: TestNode) -> None:
    other = make_node(node.path.parent / "other", seed=b"other")
    shutil.copy(other.path / "keys.json", node.path / "keys.json")


def lose_store(node: TestNode) -> None:
    (node.path / "node.db").unlink()


def spoil_store(node: TestNode) -> None:
    (node.path / "node.db").write_bytes(b"no database" * 1000)


def make_schema_newer(node: TestNode) -> None:
    change_store(node, "UPDATE alembic_version SET version_num = '9999'")


def make_schema_older(node: TestNode) -> None:
    change_store(node, "UPDATE alembic_version SET version_num = '0001'")


def change_a_node(node: TestNode) -> None:
    change_store(node, "UPDATE log_node SET hash = zeroblob(32) WHERE level = 2")


def forge_head(node: TestNode) -> None:
    change_store(node, "UPDATE checkpoint SET note = CAST(replace(CAST(note AS TEXT), '— ', '— x') AS BLOB)")


def cut_log(node: TestNode) -> None:
    change_store(node, "DELETE FROM log_node WHERE level = 2")


def lose_heads(node: TestNode) -> None:
    change_store(node, "DELETE FROM checkpoint")


def spoil_journal(node: TestNode) -> None:
    (node.path / "erasures.journal").write_bytes(b"nonsense\nnonsense\n")


def lose_journal(node: TestNode) -> None:
    erase(node)
    (node.path / "erasures.journal").unlink()


def erase(node: TestNode) -> None:
    with node.open() as writer:
        ref = writer.find_chain_by_id(writer._connection.execute("SELECT chain16 FROM chain LIMIT 1").fetchone()[0])
        assert ref is not None
        writer.erase(ref.chain16, [1], "holder_request")


def leave_erasure(node: TestNode) -> None:
    erase(node)
    change_store(node, "UPDATE erasure SET cleared = 0")


def put_back_older(node: TestNode) -> None:
    shutil.copy(node.path / "node.db", node.path.parent / "old.db")
    erase(node)
    shutil.copy(node.path.parent / "old.db", node.path / "node.db")


def mark_copy(node: TestNode) -> None:
    shutil.rmtree(node.path)
    restore_backup(node.path.parent / "b", Home(node.path), Passphrase("x"), now=1)


def spoil_mark(node: TestNode) -> None:
    (node.path / "restored.json").write_bytes(b"{}")


def set_clock_back(node: TestNode) -> None:
    ahead = 2**42 // 1000
    os.utime(node.path / "node.db", (ahead, ahead))


def forget_backup(node: TestNode) -> None:
    (node.path / "last-backup.json").unlink()


def move_backup(node: TestNode) -> None:
    (node.path.parent / "b").rename(node.path.parent / "elsewhere")


def stop_founding_before_keys(node: TestNode) -> None:
    (node.path / "node.db").rename(node.path / "node.db.new")
    (node.path / "keys.json").unlink()


def stop_founding_at_the_end(node: TestNode) -> None:
    (node.path / "node.db").rename(node.path / "node.db.new")


def put_older_keys_back(node: TestNode) -> None:
    keys = node.path / "keys.json"
    older = keys.read_bytes()
    with node.open() as writer:
        (old,) = writer.state.members.get(writer.node_id).keys
        writer.rotate_key(writer.node_id, old.digest)
    keys.write_bytes(older)


def change_node_key(node: TestNode) -> None:
    document = json.loads((node.path / "keys.json").read_bytes())
    document["node"] = b64(bytes(range(32)))
    (node.path / "keys.json").write_bytes(encode(document) + b"\n")


def leave_moved(node: TestNode) -> None:
    (node.path / "node.db.moved-1").write_bytes(bytes(1_500_000))
    (node.path / "node.db.moved-1-wal").write_bytes(b"log")


@pytest.mark.parametrize(
    "provoke, check, level, said",
    [
        (put_older_keys_back, "keys", "problem", "was revoked at record"),
        (put_older_keys_back, "keys", "problem", "carnet keys rotate node --lost"),
        (change_node_key, "keys", "problem", "is none of this node's"),
        (leave_moved, "left", "warning", "left by a move, 2 MB: "),
        (leave_moved, "left", "warning", "node.db.moved-1-wal"),
        (break_modes, "modes", "problem", "mode 0640"),
        (break_folder_modes, "modes", "problem", "mode 0777"),
        (break_keys, "keys", "problem", "not a key ring"),
        (lose_keys, "node", "problem", "no keys.json"),
        (take_other_keys, "keys", "problem", "another node's"),
        (lose_store, "node", "problem", "no store"),
        (spoil_store, "store", "problem", "could not be checked"),
        (make_schema_newer, "store", "problem", "schema 9999"),
        (make_schema_older, "store", "problem", "carnet census"),
        (change_a_node, "head", "problem", "not the one whose head"),
        (forge_head, "head", "problem", "not signed by the log"),
        (cut_log, "head", "problem", "shorter than its newest head"),
        (lose_heads, "head", "warning", "no head yet"),
        (spoil_journal, "erasures", "problem", "line 1"),
        (lose_journal, "erasures", "warning", "not in the journal"),
        (leave_erasure, "erasures", "warning", "not gone from every file"),
        (put_back_older, "erasures", "warning", "not carried out"),
        (mark_copy, "copy", "warning", "restored from a backup"),
        (spoil_mark, "copy", "problem", "cannot be read"),
        (set_clock_back, "clock", "warning", "in the future"),
        (forget_backup, "backup", "warning", "none was made"),
        (move_backup, "backup", "warning", "is not there now"),
        (stop_founding_before_keys, "node", "problem", "not finished"),
        (stop_founding_at_the_end, "node", "warning", "its name yet"),
    ],
)
def test_doctor__finds_what_is_wrong(
    node: TestNode, provoke: Callable[[TestNode], None], check: str, level: str, said: str
) -> None:
    provoke(node)
    before = snapshot(node.path)
    found = find(node, check)
    assert (found.level, said in f"{found.said}. {found.todo}") == (level, True), found
    assert found.why
    assert found.todo
    assert snapshot(node.path) == before


@pytest.mark.parametrize(
    "environment, level, said",
    [
        ({"CARNET_PORT": "9000"}, "ok", "can be read"),
        ({"CARNET_PORT": "81x40"}, "problem", "CARNET_PORT is '81x40'"),
        ({"CARNET_PROT": "9000"}, "warning", "CARNET_PROT (CARNET_PORT?)"),
    ],
)
def test_doctor__looks_at_what_the_environment_sets(
    node: TestNode, environment: dict[str, str], level: str, said: str
) -> None:
    (found,) = [one for one in examine(Home(node.path), environment) if one.check == "settings"]
    assert (found.level, said in found.said) == (level, True), found
    ran = carnet("doctor", env=make_env(node.path, **environment))
    assert (ran.code, said in ran.out) == (int(level == "problem"), True)


def test_doctor__finds_a_census_that_is_owed(node: TestNode) -> None:
    connection = sqlite.connect(str(node.path / "node.db"))
    connection.execute("INSERT INTO erasure VALUES (1, zeroblob(16), x'00', x'00', 1)")
    connection.execute("INSERT INTO erased_link VALUES (4, 0, 1)")
    connection.commit()
    connection.close()
    assert find(node, "census").level == "warning"


def test_doctor__names_who_holds_the_lock(node: TestNode) -> None:
    with node.open():
        found = find(node, "lock")
    assert found.level == "ok"
    assert f"process {os.getpid()} (a test)" in found.said


# The holder of the lock ends, and a process that it started keeps its descriptor.
ORPHAN = """
import os, sys, time
from pathlib import Path
from carnet.node.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]), "carnet import")
child = os.fork()
if child:
    print(child, flush=True)
    os._exit(0)
time.sleep(60)
"""


def test_doctor__finds_a_lock_whose_process_has_ended(node: TestNode) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(node.path / "writer.lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.wait(60)
    try:
        found = find(node, "lock")
    finally:
        os.kill(child, 9)
        process.stdout.close()
    assert found.level == "problem"
    assert f"process {process.pid}" in found.said
    assert "fuser" in found.todo


@pytest.mark.parametrize(
    "found, level",
    [
        (around.check_python((3, 10, 9)), "problem"),
        (around.check_python((3, 13, 0)), "ok"),
        (around.check_kernel("used"), "ok"),
        *[(around.check_kernel(state), "warning") for state in ("absent", "unloadable", "stale", "wrong")],
        (around.check_sqlite((3, 51, 2)), "problem"),
        (around.check_sqlite((3, 51, 3)), "ok"),
        (around.judge_room(1024, 10), "problem"),
        (around.judge_room(10**9, 2 * 10**9), "warning"),
        (around.judge_room(10**9, 10**9), "ok"),
        (around.judge_file_system("nfs4"), "problem"),
        (around.judge_file_system("fuse.sshfs"), "problem"),
        (around.judge_file_system("tmpfs"), "warning"),
        (around.judge_file_system("ext4"), "ok"),
    ],
)
def test_judge__of_the_machine(found: Found, level: str) -> None:
    assert found.level == level
    assert bool(found.todo) == (level != "ok")


def test_find_mount__is_the_nearest_above() -> None:
    mounts = (
        "1 0 8:1 / / rw - ext4 /dev/a rw\n"
        "2 1 0:5 / /srv/with\\040space rw shared:1 - nfs4 server:/x rw\n"
        "3 1 0:6 / /srv rw - xfs /dev/b rw\n"
        "4 1 0:7 / /srv/node rw - tmpfs none rw\n"
    )
    for path, kind in (
        ("/home/x", "ext4"),
        ("/srv/x", "xfs"),
        ("/srv/with space/x", "nfs4"),
        ("/srv/node", "tmpfs"),
        ("/srv/nodes", "xfs"),
    ):
        assert around.find_mount(mounts, Path(path)) == kind


def test_check_owner__of_another_user(node: TestNode) -> None:
    assert around.check_owner(Home(node.path), user=os.geteuid() + 1).level == "warning"


def test_check_clock__behind_the_log(node: TestNode) -> None:
    home, last = Home(node.path), node.clock.now
    later = max(last, (node.path / "node.db").stat().st_mtime_ns // 10**6) + 1000
    assert around.check_clock(home, later, last).level == "ok"
    behind = around.check_clock(home, 1_700_000_000_000, 1_700_000_000_000 + 10 * DAY_MS)
    assert (behind.level, behind.facts["seconds"]) == ("problem", 864_000)
    # Who reads it sees at once which of both is wrong, and does not make it worse.
    assert behind.said == (
        "the clock says 2023-11-14 22:13:20 UTC, and the log's last record is of 2023-11-24 22:13:20 UTC"
    )
    assert "do not set it ahead again" in behind.todo


def test_check_backup__grows_old_only_if_it_lacks_something(node: TestNode) -> None:
    home, now = Home(node.path), node.clock.now
    size = 5
    assert check_backup(home, size, now + 30 * DAY_MS).level == "ok"
    assert check_backup(home, size + 1, now + 30 * DAY_MS).level == "warning"
    assert check_backup(home, size + 1, now + DAY_MS).level == "ok"


def test_doctor__exit_codes_and_words(node: TestNode, tmp_path: Path) -> None:
    (node.path / "last-backup.json").unlink()
    ran = carnet("doctor", home=node.path)
    assert ran.code == 0
    assert "Why it matters: a disk that dies" in ran.out
    assert "What to do: `carnet backup" in ran.out
    break_modes(node)
    ran = carnet("doctor", "--json", home=node.path)
    assert ran.code == 1
    *checks, total = ran.json_lines
    assert total["checks"] == len(checks)
    assert total["problems"] == sum(one["level"] == "problem" for one in checks) == 1
    assert set(checks[0]) == {"check", "code", "facts", "level", "said", "todo", "why"}
    ran = carnet("doctor", home=tmp_path / "absent")
    assert ran.code == 1
    assert "there is no node" in ran.out
