"""Backup and restore as a person does them: while an import runs, to another machine, with and without the newest
head.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.run import COMMAND, Ran, carnet, make_env, make_inspection, make_line

PASSPHRASE = "--passphrase-file"


def make_lines(vehicles: int, *, start: int = 0) -> bytes:
    days = [f"20{year:02d}-03-04" for year in range(10, 16)]
    return b"".join(
        make_line(f"HV{number:06x}", *(make_inspection(date=day, km=9_000 + 100 * at) for at, day in enumerate(days)))
        for number in range(start, start + vehicles)
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert carnet("import", "histovec", "-", home=tmp_path / "home", stdin=make_lines(20)).code == 0
    (tmp_path / "pass").write_text("a long passphrase\n")
    return tmp_path / "home"


def back_up(home: Path, name: str = "b", *more: str) -> Ran:
    folder = home.parent
    return carnet("backup", "-o", folder / name, PASSPHRASE, folder / "pass", "--json", *more, home=home)


def restore(home: Path, name: str, to: str, *more: str | Path) -> Ran:
    folder = home.parent
    return carnet("restore", folder / name, PASSPHRASE, folder / "pass", "--json", *more, home=folder / to)


def get_root(home: Path) -> tuple[int, str]:
    head = carnet("checkpoint", "--json", home=home).json
    return head["size"], head["root"]


def start(arguments: list[str], home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=make_env(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_backup__while_an_import_runs(home: Path, tmp_path: Path) -> None:
    """Several backups of a store that another process is writing to; each is one moment, and whole."""
    (tmp_path / "big").write_bytes(make_lines(6_000, start=100))
    importing = start(["import", "histovec", str(tmp_path / "big"), "--json", "--workers", "1"], home)
    taken = []
    # The first ones are of the moments before the import has written: go on until the log has grown under a backup.
    while importing.poll() is None and len({one["log_size"] for one in taken}) < 3 and len(taken) < 20:
        ran = back_up(home, f"b{len(taken)}")
        assert ran.code == 0, ran.err
        taken.append(ran.json)
    output, errors = importing.communicate(timeout=120)
    assert importing.returncode == 0, errors.decode()
    assert json.loads(output)["sealed"] == 36_000
    assert len({one["log_size"] for one in taken}) >= 2, "no backup was made while the log grew"
    after = back_up(home, "after").json
    assert (after["log_size"], after["root"]) == get_root(home)
    for number, one in [*list(enumerate(taken))[-2:], ("after", after)]:
        name = one["file"].rpartition("/")[2]
        ran = restore(home, name, f"copy-{number}", "--check")
        assert ran.code == 0, ran.err
        assert (ran.json["log_size"], ran.json["root"], ran.json["writes"]) == (one["log_size"], one["root"], False)
    copy = tmp_path / "copy-after"
    assert carnet("list", home=copy).out == carnet("list", home=home).out
    export_and_verify(home, copy, tmp_path)


def export_and_verify(home: Path, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(carnet("policy", home=home).out)
    assert carnet("export", "histovec:HV000001", "-o", tmp_path / "p.carnet", home=copy).code == 0
    assert carnet("verify", tmp_path / "p.carnet", "--policy", tmp_path / "policy", "--complete").code == 0


def test_restore__only_reads_until_it_is_shown_the_newest_head(home: Path, tmp_path: Path) -> None:
    assert back_up(home).code == 0
    (tmp_path / "head").write_text(carnet("checkpoint", home=home).out)
    assert restore(home, "b", "copy").code == 0
    copy = tmp_path / "copy"
    for arguments in (["member", "add", "--name", "New", "--kind", "garage"], ["erase", "histovec:HV000001", "--yes"]):
        ran = carnet(*arguments, home=copy)
        assert ran.code == 1, ran.out
        assert "(code: restored_copy)" in ran.err
        assert "carnet restore --checkpoint" in ran.err
    ran = carnet("import", "histovec", "-", home=copy, stdin=make_lines(1, start=50))
    assert (ran.code, "(code: restored_copy)" in ran.err) == (1, True)
    # Its own head is no head from outside.
    assert carnet("checkpoint", "--json", home=copy).json_error["error"] == "restored_copy"
    assert carnet("show", "histovec:HV000001", home=copy).code == 0
    ran = carnet("restore", "--checkpoint", tmp_path / "head", "--json", home=copy)
    assert (ran.code, ran.json["writes"], ran.json["older"]) == (0, True, False)
    assert carnet("import", "histovec", "-", home=copy, stdin=make_lines(1, start=50)).code == 0
    assert carnet("fsck", home=copy).code == 0


def test_restore__refused_stale_copy(home: Path, tmp_path: Path) -> None:
    assert back_up(home).code == 0
    assert carnet("import", "histovec", "-", home=home, stdin=make_lines(1, start=50)).code == 0
    assert carnet("export", "histovec:HV000001", "-o", tmp_path / "new.carnet", home=home).code == 0
    ran = restore(home, "b", "copy", "--checkpoint", tmp_path / "new.carnet")
    assert (ran.code, ran.json_error["error"]) == (1, "stale_copy")
    assert ran.json_error["facts"]["missing"] == "2" or ran.json_error["facts"]["missing"] == 2
    assert not (tmp_path / "copy").exists()
    assert restore(home, "b", "copy").code == 0
    ran = carnet("restore", "--checkpoint", tmp_path / "new.carnet", home=tmp_path / "copy")
    assert ran.code == 1
    assert "2 of them are not here" in ran.err
    assert carnet("member", "add", "--name", "New", "--kind", "garage", home=tmp_path / "copy").code == 1


def test_restore__erased_since_is_found_by_itself(home: Path, tmp_path: Path) -> None:
    assert back_up(home).code == 0
    assert carnet("erase", "histovec:HV000003", "--yes", home=home).code == 0
    ran = restore(home, "b", "copy")
    assert (ran.json["erased"], ran.json["gone"], len(ran.json["journals"])) == (1, True, 1)
    assert "(code: erased)" in carnet("show", "histovec:HV000003", home=tmp_path / "copy").err
    # Without the journal it comes back, and the restore says so.
    for journal in tmp_path.glob("erasures-*.journal"):
        journal.unlink()
    ran = carnet("restore", tmp_path / "b", PASSPHRASE, tmp_path / "pass", home=tmp_path / "second")
    assert "no journal of erasures was found" in ran.err
    assert carnet("show", "histovec:HV000003", home=tmp_path / "second").code == 0
    ran = carnet("restore", "--erasures", home / "erasures.journal", "--json", home=tmp_path / "second")
    assert ran.json == {"erased": 1, "gone": True}
    assert "(code: erased)" in carnet("show", "histovec:HV000003", home=tmp_path / "second").err


def test_restore__of_an_erased_passport_proves_the_others_once_it_may_write(home: Path, tmp_path: Path) -> None:
    """The erasure's census is in the backup's log or is taken when the copy may write."""
    assert carnet("erase", "histovec:HV000003", "--yes", home=home).code == 0
    assert back_up(home).code == 0
    (tmp_path / "head").write_text(carnet("checkpoint", home=home).out)
    assert restore(home, "b", "copy", "--checkpoint", tmp_path / "head", "--check").json["writes"] is True
    export_and_verify(home, tmp_path / "copy", tmp_path)


def test_backup__with_a_key(home: Path, tmp_path: Path) -> None:
    made = carnet("backup", "--new-key", tmp_path / "key", "--json", home=home).json
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert carnet("backup", "--new-key", tmp_path / "key", "--json", home=home).json_error["error"] == "file_exists"
    assert carnet("backup", "-o", tmp_path / "b", "--to", made["recipient"], home=home).code == 0
    assert carnet("restore", tmp_path / "b", home=tmp_path / "copy").code == 2
    ran = restore(home, "b", "copy")
    assert ran.json_error["error"] == "wrong_passphrase"
    assert carnet("restore", tmp_path / "b", "--key-file", tmp_path / "key", home=tmp_path / "copy").code == 0
    (tmp_path / "pass").chmod(0o600)
    ran = carnet("restore", tmp_path / "b", "--key-file", tmp_path / "pass", home=tmp_path / "c2")
    assert "(code: unreadable_file)" in ran.err
    (tmp_path / "key").chmod(0o644)
    ran = carnet("restore", tmp_path / "b", "--key-file", tmp_path / "key", home=tmp_path / "c2")
    assert "(code: not_private)" in ran.err


def test_backup__is_never_in_clear(home: Path, tmp_path: Path) -> None:
    ran = carnet("backup", "-o", tmp_path / "b", home=home)
    assert ran.code == 2
    assert "never in clear" in ran.err
    assert not (tmp_path / "b").exists()
    assert carnet("backup", home=home).code == 2
    assert carnet("restore", home=tmp_path / "copy").code == 2
    env = make_env(home, CARNET_BACKUP_PASSPHRASE_FILE=str(tmp_path / "pass"))
    assert carnet("backup", "-o", tmp_path / "b", env=env).code == 0


def test_backup__of_keys_under_a_passphrase_does_not_ask_for_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "ring").write_text("of the keys\n")
    assert carnet("keys", "passphrase", "--new-file", tmp_path / "ring", home=home).code == 0
    assert back_up(home).code == 0
    ran = restore(home, "b", "copy")
    assert (ran.json_error["error"], ran.json_error["facts"]["of"]) == ("wrong_passphrase", "keys")
    assert restore(home, "b", "copy", "--keys-passphrase-file", tmp_path / "ring").code == 0
    ran = carnet("show", "histovec:HV000001", "--passphrase-file", tmp_path / "ring", home=tmp_path / "copy")
    assert ran.code == 0


def test_restore__says_what_to_do_next(home: Path, tmp_path: Path) -> None:
    ran = carnet("backup", "-o", tmp_path / "b", PASSPHRASE, tmp_path / "pass", home=home)
    assert "Keep beside it" in ran.out
    assert "erasures-" in ran.out
    data = (tmp_path / "b").read_bytes()
    (tmp_path / "bad").write_bytes(data[:-1])
    ran = carnet("restore", tmp_path / "bad", PASSPHRASE, tmp_path / "pass", home=tmp_path / "copy")
    assert ran.code == 1
    assert "(code: backup_altered)" in ran.err
    assert "it is cut" in ran.err
    ran = carnet("restore", tmp_path / "pass", PASSPHRASE, tmp_path / "pass", home=tmp_path / "copy")
    assert "(code: unreadable_file)" in ran.err
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_kill_9__leaves_nothing_that_looks_whole(home: Path, tmp_path: Path, verb: str) -> None:
    """Killed as soon as its temporary file or folder has grown to a certain size, again and again."""
    assert carnet("import", "histovec", "-", home=home, stdin=make_lines(3_000, start=100)).code == 0
    assert back_up(home, "good").code == 0
    size = (tmp_path / "good").stat().st_size
    passphrase = [PASSPHRASE, str(tmp_path / "pass")]
    killed = 0
    for share in (0.0, 0.05, 0.3, 0.6, 0.9, 1.0):
        if verb == "backup":
            running = start(["backup", "-o", str(tmp_path / "b"), *passphrase], home)
            growing = tmp_path / "b.carnet-part"
        else:
            running = start(["restore", str(tmp_path / "good"), *passphrase], tmp_path / "copy")
            growing = tmp_path / "copy.restoring" / "node.db"
        deadline = time.monotonic() + 60
        while running.poll() is None and time.monotonic() < deadline:
            if growing.exists() and growing.stat().st_size >= share * size * 0.99:
                os.kill(running.pid, signal.SIGKILL)
                break
            time.sleep(0.0005)
        running.communicate(timeout=60)
        if running.returncode != -signal.SIGKILL:
            # It was quicker than this test; then it must be whole.
            assert running.returncode == 0
        killed += running.returncode == -signal.SIGKILL
        check_after_kill(home, tmp_path, verb)
        (tmp_path / "b").unlink(missing_ok=True)
    assert killed >= 3
    assert back_up(home).code == 0
    assert restore(home, "b", "last", "--check").code == 0


def check_after_kill(home: Path, tmp_path: Path, verb: str) -> None:
    if verb == "backup":
        if (tmp_path / "b").exists():
            # Killed after its last step, or ended: it is whole.
            assert restore(home, "b", "whole").code == 0
            subprocess.run(["rm", "-r", str(tmp_path / "whole")], check=True)
        if (tmp_path / "b.carnet-part").exists() and not (tmp_path / "b").exists():
            ran = restore(home, "b.carnet-part", "whole")
            # Either it is cut, and refused; or the kill came between its last byte and its name.
            assert ran.code == 0 or ran.json_error["error"] in ("backup_altered", "unreadable_file")
            subprocess.run(["rm", "-rf", str(tmp_path / "whole")], check=True)
        assert {file.name for file in home.iterdir() if file.is_file()} <= {
            "node.db",
            "node.db-shm",
            "node.db-wal",
            "keys.json",
            "writer.lock",
            "last-backup.json",
            "last-backup.json.new",
        }
        return
    copy = tmp_path / "copy"
    if copy.exists():
        assert carnet("fsck", home=copy).code == 0
        assert carnet("member", "add", "--name", "New", "--kind", "garage", home=copy).code == 1
        subprocess.run(["rm", "-r", str(copy)], check=True)
    staging = tmp_path / "copy.restoring"
    if staging.exists() and not (staging / "keys.json").exists():
        assert "(code: no_node)" in carnet("list", home=staging).err
    elif staging.exists():
        assert "(code: restored_copy)" in carnet("member", "add", "--name", "New", "--kind", "garage", home=staging).err
