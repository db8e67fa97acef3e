"""Writes and flushes that fail, injected by strace into the SQLite library that production uses.

Whatever fails, the process ends with a sentence that says what to do, acknowledges nothing afterwards, and the next
run finds a clean store and the same totals.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from carnet.errors import Reason
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.services.founding import found, get_operator, open_writer_at
from carnet.vault.store import MAX_LOG_PAGES, PAGE_BYTES
from tests.cli.run import carnet
from tests.faults.oracle import Oracle, check_resumed, make_source
from tests.faults.tracing import Traced, list_watched, needs_strace, run_traced
from tests.node.home import new_passport, vin_subject
from tests.shared import ROOT

ROWS_EACH, VEHICLES = 500, 3
"""More rows than one commit takes: what the first acknowledged must outlive the failure of the second."""

ROWS = ROWS_EACH * VEHICLES


class Ground:
    """A founded home to start from, a file to import, and the runs that are made on copies of the home."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = make_source(path / "source.jsonl", VEHICLES, ROWS_EACH)
        self.founded = path / "founded"
        self.home = path / "home"
        self.receipts = path / "receipts"
        assert carnet("init", home=self.founded).code == 0

    def start_over(self, *, is_founded: bool) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self.receipts.unlink(missing_ok=True)
        if is_founded:
            shutil.copytree(self.founded, self.home)

    def run(self, *, inject: str | None, is_founded: bool = True, limit: int | None = None) -> Traced:
        """Import on a fresh copy of the home, or into nothing."""
        self.start_over(is_founded=is_founded)

        return run_traced(
            ["import", "histovec", self.source, "--receipts", self.receipts, "--workers", "0", "--json"],
            self.home,
            self.path / "trace",
            inject=inject,
            watched=list_watched(self.home, more=[self.home.parent, self.receipts]),
            file_limit=limit,
        )

    def check(self, ran: Traced, reasons: tuple[str, ...]) -> str:
        """The run failed as it should, or the failure was one that cannot matter; afterwards all is well."""
        oracle = Oracle()
        if self.receipts.exists():
            oracle.hear(self.receipts.read_bytes().splitlines(keepends=True))
        assert "Traceback" not in ran.err, ran.err
        acknowledged = [call for call in ran.calls_after if call.name == "write" and call.file == str(self.receipts)]
        if ran.code == 0:
            self._check_covered(ran)
        else:
            assert ran.code == 1, ran
            said = json.loads(ran.err.splitlines()[-1])
            assert said["error"] in reasons, said
            assert acknowledged == []
            assert ran.out == ""
        if Home(self.home).is_founded():
            check_resumed(self.home, self.source, oracle, ROWS, VEHICLES)
        else:
            self._check_nothing(oracle)
        return "nobody noticed" if ran.code == 0 else f"{len(oracle.receipts):,} receipts before"

    def _check_covered(self, ran: Traced) -> None:
        """SQLite lets no error of flushing a directory be seen; a flush of ours, before or after, must have worked."""
        failed = ran.injected
        assert failed is None or (failed.name == "fsync" and failed.file == str(self.home)), failed
        assert any(call.name == "fsync" and call.file == str(self.home) and call.result == 0 for call in ran.calls)

    def _check_nothing(self, oracle: Oracle) -> None:
        """The founding has not happened: nothing was acknowledged, and it can be done again."""
        assert oracle.receipts == []
        found(Home(self.home))
        assert check_home(self.home) == []


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def sweep(ground: Ground, call: str, error: str, places: list[int], reason: Reason, *, is_founded: bool) -> None:
    seen: Counter[str] = Counter()
    for place in places:
        ran = ground.run(inject=f"{call}:error={error}:when={place}", is_founded=is_founded)
        assert ran.injected is not None, f"there was no {call} number {place}"
        # SQLite calls a shared index that cannot grow an I/O error, whatever the system said.
        is_index = ran.injected.file.endswith("-shm")
        seen[ground.check(ran, (reason, Reason.DISK_FAILED) if is_index else (reason,))] += 1
    print(f"{call} {error}: {len(places)} places, {dict(seen)}")


@needs_strace
@pytest.mark.parametrize("is_founded", [True, False], ids=["import", "founding"])
def test_import__ends_with_each_fsync_that_fails(ground: Ground, is_founded: bool) -> None:
    calm = ground.run(inject=None, is_founded=is_founded)
    assert calm.code == 0, calm.err
    # The library is asked which calls it makes, not trusted to make those we know.
    assert calm.count("fdatasync") == 0
    assert calm.count("fsync", "node.db-wal") >= 3
    places = list(range(1, calm.count_places("fsync") + 1))
    # What an import does after a founding is swept on its own.
    sweep(
        ground,
        "fsync",
        "EIO",
        places if is_founded else places[:20],
        Reason.DISK_FAILED,
        is_founded=is_founded,
    )


@needs_strace
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("is_founded", [True, False], ids=["import", "founding"])
def test_import__ends_with_a_write_that_fails(ground: Ground, error: str, is_founded: bool) -> None:
    calm = ground.run(inject=None, is_founded=is_founded)
    count = calm.count_places("pwrite64")
    assert count > 50
    places = sorted({1, 2, count, *range(3, count, count // 6)})
    reason = Reason.DISK_FULL if error == "ENOSPC" else Reason.DISK_FAILED
    sweep(ground, "pwrite64", error, places, reason, is_founded=is_founded)


@needs_strace
@pytest.mark.parametrize("call", ["rename", "write"])
def test_founding__ends_with_a_key_ring_that_cannot_be_kept(ground: Ground, call: str) -> None:
    """Without its keys on the disk a node is not founded, and nothing is acknowledged in its name."""
    ground.start_over(is_founded=False)
    inject = f"{call}:error=ENOSPC:when=1"
    ran = run_traced(
        ["init", "--json"], ground.home, ground.path / "trace", inject=inject, watched=[ground.home / "keys.json.new"]
    )
    assert ran.injected is not None
    assert not (ground.home / "node.db").exists()
    ground.check(ran, (Reason.DISK_FULL,))


@needs_strace
@pytest.mark.parametrize("limit", [340_000, 360_001, 400_000, 457_777, 512_002, 600_000])
def test_import__ends_with_a_write_that_is_cut_short(ground: Ground, limit: int) -> None:
    """A limit on the size of files: the write that reaches it is done in part, and the next one fails."""
    ran = ground.run(inject=None, limit=limit)
    whole = (24, 32, PAGE_BYTES)
    cut = [call for call in ran.calls if call.name == "pwrite64" and "node.db" in call.file and "-shm" not in call.file]
    cut = [call for call in cut if call.result not in whole]
    assert any(call.result > 0 for call in cut), "no write was cut short"
    assert ran.code == 1, ran.err
    print(f"limit {limit}: {[(call.file.rpartition('/')[2], call.result) for call in cut]}")
    # A receipt that found no room is not the store's affair, and its row is a duplicate next time.
    ground.check(ran, (Reason.DISK_FAILED, "system_error"))


@needs_strace
def test_member__is_not_listed_when_its_key_could_not_be_kept(ground: Ground) -> None:
    """A flush of the key ring that failed ends the process before the ledger lists the key."""
    ground.start_over(is_founded=True)
    listed = carnet("member", "list", "--json", home=ground.home).out
    for call, place in (("fsync", 1), ("rename", 1), ("write", 1)):
        ran = run_traced(
            ["member", "add", "--name", "A garage", "--kind", "garage", "--json"],
            ground.home,
            ground.path / "trace",
            inject=f"{call}:error=EIO:when={place}",
            watched=[ground.home / "keys.json.new"],
        )
        assert ran.injected is not None
        assert ran.code == 1, ran
        assert json.loads(ran.err.splitlines()[-1])["error"] == Reason.DISK_FAILED
        assert carnet("member", "list", "--json", home=ground.home).out == listed
    assert carnet("fsck", home=ground.home).code == 0


_LONG_LOG = """
import sys
from pathlib import Path
from carnet.errors import Refused
from carnet.node.home import Home
from carnet.services.founding import get_operator, open_writer_at
from tests.node.home import new_passport
with open_writer_at(Home(Path(sys.argv[1])), None, "a long log") as writer:
    member = get_operator(writer).id
    for number in range(10_000):
        try:
            writer.append(member, 3, [new_passport(number, *range(20))])
        except Refused as refused:
            print(refused.reason, flush=True)
            if refused.reason == "node_damaged":
                break
        else:
            print(number, flush=True)
"""


@needs_strace
@pytest.mark.parametrize("call, error", [("fsync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")])
def test_writer__stops_for_good_when_a_commit_fails_once(ground: Ground, call: str, error: str) -> None:
    """The disk fails once and works again, as a service that runs on would meet it: nobody knows what is on it, so this
    process writes no more."""
    ground.start_over(is_founded=True)
    log = ground.home / "node.db-wal"
    place = 6 if call == "fsync" else 60
    command = ["strace", "-f", "--seccomp-bpf", "-o", str(ground.path / "trace"), "-P", str(log)]
    command += ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={place}"]
    ran = subprocess.run(
        [*command, sys.executable, "-c", _LONG_LOG, str(ground.home)], cwd=ROOT, capture_output=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr.decode()
    *numbers, failed, stopped = ran.stdout.decode().split()
    assert (failed, stopped) == (Reason.DISK_FULL if error == "ENOSPC" else Reason.DISK_FAILED, Reason.NODE_DAMAGED)
    assert [int(number) for number in numbers] == list(range(len(numbers)))
    assert 1 < len(numbers) < 50
    with open_writer_at(Home(ground.home), None, "the oracle") as writer:
        assert all(writer.find_chain(vin_subject(int(number))) for number in numbers)
        writer.append(get_operator(writer).id, 3, [new_passport(10_001, 1)])
    assert check_home(ground.home) == []


@needs_strace
def test_writer__stops_for_good_when_moving_a_long_log_fails(ground: Ground) -> None:
    """SQLite would move a long write-ahead log by itself and keep to itself that flushing the store has failed."""
    ground.start_over(is_founded=True)
    store = ground.home / "node.db"
    command = ["strace", "-f", "--seccomp-bpf", "-o", str(ground.path / "trace"), "-P", str(store)]
    command += ["-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1+"]
    ran = subprocess.run(
        [*command, sys.executable, "-c", _LONG_LOG, str(ground.home)], cwd=ROOT, capture_output=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr.decode()
    *numbers, failed, stopped = ran.stdout.decode().split()
    assert (failed, stopped) == (Reason.DISK_FAILED, Reason.NODE_DAMAGED)
    print(f"{len(numbers)} commits until the log was long")
    assert [int(number) for number in numbers] == list(range(len(numbers)))
    assert (ground.home / "node.db-wal").stat().st_size > MAX_LOG_PAGES * PAGE_BYTES
    assert check_home(ground.home) == []
    with open_writer_at(Home(ground.home), None, "the oracle") as writer:
        assert all(writer.find_chain(vin_subject(int(number))) for number in numbers)
    assert not (ground.home / "node.db-wal").exists()
    assert check_home(ground.home) == []


@needs_strace
@pytest.mark.parametrize("call, error", [("fsync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")])
@pytest.mark.parametrize("place", [5, 8])
def test_import__ends_with_what_fails_in_the_writer_s_own_process(
    ground: Ground, call: str, error: str, place: int
) -> None:
    """As most imports run: one process reads, another one writes. Receipts of commits before the failure may still be
    on their way to their file when it comes, so that these are only held against what the store has."""
    ground.start_over(is_founded=True)
    ran = run_traced(
        ["import", "histovec", ground.source, "--receipts", ground.receipts, "--workers", "1", "--json"],
        ground.home,
        ground.path / "trace",
        inject=f"{call}:error={error}:when={place * (1 if call == 'fsync' else 8)}+",
        watched=[ground.home, ground.home / "node.db", ground.home / "node.db-wal"],
    )
    assert ran.injected is not None
    assert "Traceback" not in ran.err, ran.err
    assert ran.code == 1, ran
    said = json.loads(ran.err.splitlines()[-1])
    assert said["error"] == (Reason.DISK_FULL if error == "ENOSPC" else Reason.DISK_FAILED), said
    assert ran.out == ""
    oracle = Oracle()
    oracle.hear(ground.receipts.read_bytes().splitlines(keepends=True))
    print(f"{len(oracle.receipts):,} receipts before")
    check_resumed(ground.home, ground.source, oracle, ROWS, VEHICLES)
