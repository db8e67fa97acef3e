"""Ctrl-C, a polite kill and a closed terminal: one line, an exit code that says which, nothing left behind, and the
same command goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.services.reading import open_reader
from carnet.vault.partial import PART
from tests.cli.run import COMMAND, Ran, carnet, make_env, make_inspection, make_line

VEHICLES, ROWS_EACH = 800, 6
PATIENCE_S = 120.0
GOES_ON = "Interrupted. What was sealed stays sealed; the same command goes on from there."


@pytest.fixture
def register(tmp_path: Path) -> Path:
    """A file of thousands of rows, a few of them faulty, that takes some seconds."""
    path = tmp_path / "register.jsonl"
    with path.open("wb") as file:
        for at in range(VEHICLES):
            rows = [make_inspection(date=f"20{10 + n}-03-04", pv=f"A{at}x{n}") for n in range(ROWS_EACH)]
            rows[0] |= {"date": "no day"} if at % 100 == 7 else {}
            file.write(make_line(f"HV{at:09d}", *rows))
    return path


def begin(*arguments: str | Path, home: Path | None = None, **more: str) -> subprocess.Popen[bytes]:
    """Start a verb in a group of its own, as a shell does for a terminal."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=make_env(home, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_until(is_so: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def end(process: subprocess.Popen[bytes]) -> Ran:
    """What it said until its end; nothing that it started is left."""
    try:
        out, err = process.communicate(timeout=60)
        until = time.monotonic() + 10
        while find_group(process.pid):
            assert time.monotonic() < until, find_group(process.pid)
            time.sleep(0.05)
    finally:
        if find_group(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    return Ran(process.returncode, out.decode(), err.decode())


def find_group(group: int) -> list[int]:
    """The processes of a group that are still there, and alive."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split() if folder.name.isdigit() else []
        except OSError:
            continue
        if state and int(state[2]) == group and state[0] != "Z":
            found.append(int(folder.name))
    return found


def find_workers(process: subprocess.Popen[bytes]) -> list[int]:
    """Processes that prepare rows: the children of the server that starts them."""
    found = []
    for pid in find_group(process.pid):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"forkserver" in command and parent != process.pid:
            found.append(pid)
    return found


def has_open(pid: int, file: Path) -> bool:
    """Whether a process has this file open."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if os.readlink(descriptor) == str(file):
                return True
    return False


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_import__stopped_with_its_whole_group(tmp_path: Path, register: Path, number: int, code: int) -> None:
    home, faulty, receipts = tmp_path / "home", tmp_path / "mend.jsonl", tmp_path / "receipts"
    words: list[str | Path] = [
        "import",
        "histovec",
        register,
        "--faulty",
        faulty,
        "--receipts",
        receipts,
        "--workers",
        "2",
    ]
    process = begin(*words, home=home)
    wait_until(lambda: receipts.exists() and receipts.stat().st_size, process)
    os.killpg(process.pid, number)
    time.sleep(0.1)
    os.killpg(process.pid, number)
    ran = end(process)
    assert ran.code == code, ran.err
    assert [line for line in ran.err.splitlines() if line][1:] == [GOES_ON]
    assert not faulty.exists()
    again = carnet(*words, "--json", home=home)
    assert again.code == 1, again.err
    assert again.json["faulty"] == VEHICLES // 100
    assert again.json["duplicate"] > 0
    assert again.json["sealed"] + again.json["duplicate"] == VEHICLES * ROWS_EACH - VEHICLES // 100
    assert check_home(home) == []


def test_import__killed_with_faulty_rows_goes_on(tmp_path: Path, register: Path) -> None:
    """After `kill -9`, of which no process hears, the same command works, and nothing unfinished is left by it."""
    home, folder, receipts = tmp_path / "home", tmp_path / "mine", tmp_path / "receipts"
    folder.mkdir()
    faulty = folder / "mend.jsonl"
    words: list[str | Path] = ["import", "histovec", register, "--faulty", faulty, "--workers", "2"]
    process = begin(*words, "--receipts", receipts, home=home)
    wait_until(
        lambda: receipts.exists() and receipts.stat().st_size and any(one.stat().st_size for one in folder.iterdir()),
        process,
    )
    os.killpg(process.pid, signal.SIGKILL)
    end(process)
    assert not faulty.exists()
    again = carnet(*words, "--json", home=home)
    assert (again.code, again.json["faulty"]) == (1, VEHICLES // 100), again.err
    assert len(faulty.read_bytes().splitlines()) == VEHICLES // 100
    assert sorted(one.name for one in folder.iterdir()) == ["mend.jsonl", "mend.jsonl.faults.ndjson"]


def read_receipts(home: Path, receipts: Path) -> list[int]:
    """The rows that have receipts, sorted; each whole line is of an entry that stands where it says."""
    told = [json.loads(line) for line in receipts.read_bytes().splitlines(keepends=True) if line.endswith(b"}\n")]
    by_passport: dict[str, list[dict[str, Any]]] = {}
    for one in told:
        by_passport.setdefault(one["passport"], []).append(one)
    with open_reader(Home(home)) as reader:
        for passport, own in by_passport.items():
            entries = list(reader.read_entries(bytes.fromhex(passport)))
            for one in own:
                entry = entries[one["seq"]]
                assert (entry.sid.hex(), entry.seal) == (one["statement"], one["record"])
    return sorted(one["row"] for one in told)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_import__killed_again_and_again_has_all_receipts_in_the_end(
    tmp_path: Path, register: Path, workers: str
) -> None:
    """The commits that were under way are sealed, and their receipts come with the next run: one for each row."""
    home, receipts = tmp_path / "home", tmp_path / "receipts"
    words: list[str | Path] = ["import", "histovec", register, "--receipts", receipts, "--workers", workers]
    written = 0
    for more in (1, 150_000, 400_000):
        process = begin(*words, home=home)
        wait_until(lambda: receipts.exists() and receipts.stat().st_size >= written + more, process)  # noqa: B023
        os.killpg(process.pid, signal.SIGKILL)
        end(process)
        written = receipts.stat().st_size
    again = carnet(*words, "--json", home=home)
    assert (again.code, again.json["faulty"]) == (1, VEHICLES // 100), again.err
    rows = read_receipts(home, receipts)
    good = VEHICLES * ROWS_EACH - VEHICLES // 100
    assert (len(rows), len(set(rows))) == (good, good)
    assert carnet(*words, home=home).code == 1
    assert read_receipts(home, receipts) == rows


@pytest.mark.parametrize("more", [1, 1_500_000, 5_000_000])
def test_import__stopped_has_a_receipt_for_each_row_that_is_sealed(tmp_path: Path, more: int) -> None:
    """Those of the commits that were under way are waited for."""
    home, receipts, large = tmp_path / "home", tmp_path / "receipts", tmp_path / "large.jsonl"
    rows = [make_inspection(date=f"20{10 + n}-03-04", pv=f"A{n}") for n in range(ROWS_EACH)]
    large.write_bytes(b"".join(make_line(f"HV{at:09d}", *rows) for at in range(5 * VEHICLES)))
    process = begin("import", "histovec", large, "--receipts", receipts, "--workers", "2", home=home)
    wait_until(lambda: receipts.exists() and receipts.stat().st_size >= more, process)
    process.send_signal(signal.SIGTERM)
    ran = end(process)
    assert ran.code == 143, ran.err
    told = read_receipts(home, receipts)
    with open_reader(Home(home)) as reader:
        sealed = reader.count_entries() - reader.count_passports()
    assert len(told) == sealed < 5 * VEHICLES * ROWS_EACH


def test_import__killed_keeps_the_faults_of_the_last_run(tmp_path: Path) -> None:
    """A half of another list under the name would be taken for all that is wrong with the file."""
    faults, part = tmp_path / "faults.ndjson", tmp_path / f".faults.ndjson{PART}"
    file, home = tmp_path / "rows.jsonl", tmp_path / "home"
    file.write_bytes(make_line("HV0", make_inspection(date="no day")))
    assert carnet("import", "histovec", file, "--faults", faults, home=home).code == 1
    before = faults.read_bytes()
    process = subprocess.Popen(
        [*COMMAND, "import", "histovec", "-", "--faults", str(faults)],
        env=make_env(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(make_line("HV1", make_inspection(km="many")) * 2_000)
    process.stdin.flush()
    wait_until(lambda: part.exists() and part.stat().st_size, process)
    assert (process.poll(), faults.read_bytes()) == (None, before)
    os.killpg(process.pid, signal.SIGKILL)
    end(process)
    assert faults.read_bytes() == before
    # The next run takes the place of both; one without a fault leaves an empty list.
    file.write_bytes(make_line("HV0000", make_inspection()))
    assert carnet("import", "histovec", file, "--faults", faults, home=home).code == 0
    assert faults.read_bytes() == b""
    assert not part.exists()


def begin_from_pipe(faulty: Path, home: Path) -> subprocess.Popen[bytes]:
    """An import that waits for its rows, and has its file of faulty rows open."""
    process = subprocess.Popen(
        [*COMMAND, "import", "histovec", "-", "--json", "--faulty", str(faulty)],
        env=make_env(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_until(lambda: list(faulty.parent.glob(f".{faulty.name}.faults*")), process)
    return process


def end_with(process: subprocess.Popen[bytes], rows: bytes) -> Ran:
    assert process.stdin is not None
    process.stdin.write(rows)
    process.stdin.close()
    process.stdin = None
    return end(process)


def test_import__never_writes_over_rows_that_came_meanwhile(tmp_path: Path) -> None:
    faulty = tmp_path / "mend.jsonl"
    process = begin_from_pipe(faulty, tmp_path / "home")
    faulty.write_bytes(b"mended by a person\n")
    ran = end_with(process, make_line("HV0", make_inspection(date="no day"), make_inspection()))
    assert (ran.code, ran.json_error["error"]) == (1, "file_exists")
    assert faulty.read_bytes() == b"mended by a person\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["home", "mend.jsonl"]


def test_import__refused_writer_busy__of_two_that_copy_their_faulty_rows_to_one_file(tmp_path: Path) -> None:
    """The second reads nothing, and what the first has written stays; it works once the first has ended or died."""
    folder = tmp_path / "mine"
    folder.mkdir()
    faulty, mine, other = folder / "mend.jsonl", tmp_path / "home", tmp_path / "other"
    first, second = (make_line(name, make_inspection(date="no day")) for name in ("HV0", "HV1"))
    words = ["import", "histovec", "-", "--faulty", str(faulty)]
    process = begin_from_pipe(faulty, mine)
    refused = carnet(*words, home=other, stdin=second)
    assert (refused.code, refused.out) == (1, "")
    assert f"Refused: Another process is writing {faulty} just now" in refused.err
    assert "name another file" in refused.err
    assert "(code: writer_busy)" in refused.err
    assert not other.exists()
    ran = end_with(process, first)
    assert (ran.code, ran.json["faulty"]) == (1, 1), ran.err
    assert faulty.read_bytes() == first
    assert len((folder / "mend.jsonl.faults.ndjson").read_bytes().splitlines()) == 1
    faulty.unlink()
    killed = begin_from_pipe(faulty, mine)
    os.killpg(killed.pid, signal.SIGKILL)
    end(killed)
    assert carnet(*words, home=other, stdin=second).code == 1
    assert faulty.read_bytes() == second
    assert sorted(one.name for one in folder.iterdir()) == ["mend.jsonl", "mend.jsonl.faults.ndjson"]


def test_import__stopped_while_its_workers_load(tmp_path: Path, register: Path) -> None:
    process = begin("import", "histovec", register, "--workers", "2", home=tmp_path / "home")
    wait_until(lambda: len(find_group(process.pid)) > 2, process)
    os.killpg(process.pid, signal.SIGINT)
    ran = end(process)
    assert ran.code == 130
    assert [line for line in ran.err.splitlines() if line][1:] == [GOES_ON]


def test_import__worker_killed_by_the_system(tmp_path: Path, register: Path) -> None:
    process = begin("import", "histovec", register, "--workers", "2", home=tmp_path / "home")
    wait_until(lambda: find_workers(process), process)
    os.kill(find_workers(process)[0], signal.SIGKILL)
    ran = end(process)
    assert ran.code == 1
    assert "has ended" in ran.err
    assert "dmesg" in ran.err
    assert "carnet serve" not in ran.err
    assert carnet("import", "histovec", register, home=tmp_path / "home").code == 1


def test_import__refused_midway_leaves_no_half_of_faulty_rows(tmp_path: Path, register: Path) -> None:
    """Rows that are good, and a second file that cannot be written: the same command may be given again."""
    faulty = tmp_path / "mend.jsonl"
    words: list[str | Path] = ["import", "histovec", register, "--faulty", faulty, "--receipts", "/dev/full"]
    assert carnet(*words, home=tmp_path / "home").code == 1
    assert not faulty.exists()
    assert not (tmp_path / "mend.jsonl.faults.ndjson").exists()


def test_demo__stopped_leaves_no_folder(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = begin("demo", "--vehicles", "400", TMPDIR=str(temporary))
    wait_until(lambda: list(temporary.glob("carnet-demo-*/node/node.db")), process)
    process.send_signal(signal.SIGTERM)
    ran = end(process)
    assert ran.code == 143
    assert re.fullmatch(r"Interrupted\..*", ran.err.strip())
    assert list(temporary.iterdir()) == []


def test_any_verb__stopped_while_it_loads(tmp_path: Path) -> None:
    """Ctrl-C may come before a line of the verb has run."""
    script = (
        "import builtins, os, signal, sys\n"
        "real = builtins.__import__\n"
        "def slow(name, *more):\n"
        "    if name == 'click':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *more)\n"
        "builtins.__import__ = slow\n"
        "from carnet.__main__ import run\n"
        "sys.exit(run())\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], env=make_env(tmp_path), capture_output=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, b"", b"")


def test_import__writer_killed_by_the_system(tmp_path: Path, register: Path) -> None:
    """Nobody is sent to start a service that there never was."""
    home, receipts = tmp_path / "home", tmp_path / "receipts"
    process = begin("import", "histovec", register, "--workers", "1", "--receipts", receipts, home=home)
    wait_until(lambda: receipts.exists() and receipts.stat().st_size, process)
    (writer,) = [pid for pid in find_workers(process) if has_open(pid, home / "node.db-wal")]
    os.kill(writer, signal.SIGKILL)
    ran = end(process)
    assert ran.code == 1
    assert "the writer's process has ended" in ran.err.lower()
    assert "dmesg" in ran.err
    assert "carnet serve" not in ran.err
    assert carnet("import", "histovec", register, home=home).code == 1
    assert check_home(home) == []


@pytest.mark.parametrize("pause_s, said", [(0.1, ["put in order"]), (1.3, ["Ended at once."])])
def test_stop__twice(pause_s: float, said: list[str]) -> None:
    """A second one right behind the first is the same wish; a later one is that of somebody who does not wait."""
    script = (
        "import sys, time\n"
        "from carnet.cli.stopping import heed_signals\n"
        "with heed_signals():\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        time.sleep(3)\n"
        "        print('put in order', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=make_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    time.sleep(pause_s)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert [line for line in out.splitlines() if line] == said
    assert process.returncode == (0 if said == ["put in order"] else 130)


def test_stop__ignored_where_the_caller_says_so(tmp_path: Path, register: Path) -> None:
    """`nohup carnet import …`: the terminal may close."""
    receipts = tmp_path / "receipts"
    words = [*COMMAND, "import", "histovec", str(register), "--receipts", str(receipts)]
    process = subprocess.Popen(
        ["nohup", *words],
        env=make_env(tmp_path / "home"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_until(lambda: receipts.exists() and receipts.stat().st_size, process)
    os.killpg(process.pid, signal.SIGHUP)
    ran = end(process)
    assert ran.code == 1
    assert f"{VEHICLES * ROWS_EACH:,} = " in ran.out
