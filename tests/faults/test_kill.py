"""kill -9 at a thousand moments of everything that writes; the oracle is this process, which keeps every receipt.

Most victims are forked from a warmed driver (`tests.faults.driver`) and killed after a random number of microseconds:
founding, opening, importing, sealing from several submissions, census, enrolling, adding and replacing keys, erasing,
closing. Some are ended by the kernel in the middle of a write. Some are the real command line with worker processes.

Afterwards nothing that was acknowledged is missing, nothing is half written, the log continues every earlier one, the
store checks clean, what is there is proved to a stranger, and an import resumes to the same totals. `CARNET_KILLS` sets
another number (`make torture`).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.reader import Reader, open_reader
from carnet.services.founding import get_operator, now_ms, open_writer_at
from carnet.services.importing import HISTOVEC, import_file, take_census_if_due
from carnet.signing import Signer
from carnet.types import Custody
from carnet.vault.store import PAGE_BYTES
from tests.cli.run import Running, start_carnet
from tests.faults.driver import ROWS_EACH, VEHICLES
from tests.faults.effort import KILLS, scaled
from tests.faults.oracle import Oracle, is_of_todays_schema, make_lines
from tests.shared import ROOT, shared_file

CUTS = scaled(100)
PARTS = 4
COMMAND_KILLS = scaled(60)
COMMAND_PARTS = 2
CHECKED_EVERY = 20
ROUNDS_OF_A_HOME = 60
MEMORY = Path("/dev/shm")
REAL_ROWS, REAL_VEHICLES = 5_275, 845


# ---- victims of the driver


@dataclass
class Driver:
    """The driver's process, and what comes out of it."""

    process: subprocess.Popen[bytes]
    events: Any

    def run(self, **round_: object) -> tuple[list[dict[str, Any]], int]:
        """One round: what the victim said before its end, and its exit code (negative: the signal)."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(round_).encode() + b"\n")
        self.process.stdin.flush()
        said: list[dict[str, Any]] = []
        while True:
            line = self.events.readline()
            assert line, "the driver is gone"
            try:
                note = json.loads(line)
            except ValueError:
                # Cut by the kill: it was not said.
                continue
            if "ended" in note:
                return said, note["ended"]
            said.append(note)


@contextmanager
def open_driver(module: str = "tests.faults.driver") -> Iterator[Driver]:
    out, into = os.pipe()
    env = {**os.environ, "CARNET_DRIVER_OUT": str(into)}
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=env, stdin=subprocess.PIPE, pass_fds=[into]
    )
    os.close(into)
    with os.fdopen(out, "rb") as events:
        try:
            assert "ready" in json.loads(events.readline())
            yield Driver(process, events)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(timeout=30) == 0


def count_loose_frames(log: Path) -> int | None:
    """Frames of the write-ahead log behind its last commit, the torn one included; None without a log. They are what a
    commit had written when it was killed."""
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return None
    salts, at, loose = data[16:24], 32, 0
    while at < len(data):
        frame = data[at : at + 24]
        if frame[8:16] != salts[: len(frame[8:16])]:
            break
        loose += 1
        if len(data) - at >= 24 + PAGE_BYTES and struct.unpack(">I", frame[4:8])[0]:
            loose = 0
        at += 24 + PAGE_BYTES
    return loose


@dataclass
class Trial:
    """One home and everything that was acknowledged in it."""

    home: Home
    oracle: Oracle = field(default_factory=Oracle)
    network: str | None = None
    members: dict[str, set[str]] = field(default_factory=dict)
    erasing: set[str] = field(default_factory=set)
    erased: dict[str, set[int] | None] = field(default_factory=dict)
    size: int = 0
    moments: Counter[str] = field(default_factory=Counter)

    def hear(self, said: list[dict[str, Any]]) -> str:
        """Keep what was acknowledged; returns what the victim was doing at its end."""
        doing = "opening"
        for note in said:
            assert "error" not in note, note
            if "statement" in note:
                self.oracle.receipts.append(note)
                self.size = max(self.size, note["record"] + 1)
            self.size = max(self.size, note.get("size", 0))
            doing = str(note.get("op", doing))
            if note.keys() & {"done", "opened", "closed"}:
                doing = "idle"
            if "founded" in note:
                self.network = note["founded"]
            if "member" in note:
                self.members.setdefault(note["member"], set()).update(note["keys"])
            if "erasing" in note and note["seqs"] is None:
                self.erasing.add(note["erasing"])
            if "erased" in note:
                seqs = note["seqs"]
                known = self.erased.get(note["erased"], set())
                self.erased[note["erased"]] = None if seqs is None or known is None else known | set(seqs)
        return doing

    def check(self, doing: str, start: int, loose: int | None) -> str:
        """Look at the home after a kill; returns the state in which the kill found it."""
        if not self.home.is_founded():
            assert self.network is None
            assert self.oracle.receipts == []
            return f"{doing}: before"
        with open_reader(self.home.path) as reader:
            state = reader.state
            assert self.network in (None, state.genesis.origin)
            self.network = state.genesis.origin
            assert state.size >= self.size, "an acknowledged block is missing"
            if state.size > self.size:
                phase = "committed, reply lost"
            else:
                phase = "while committing" if loose else "before or between commits"
            self.size = state.size
            self.oracle.check_log(reader)
            self.oracle.check_receipts(reader, start, gone=frozenset(self.erasing))
            self._check_members(reader)
            self._check_erased(reader)
        return f"{doing}: {phase}"

    def _check_members(self, reader: Reader) -> None:
        ring = load_key_ring(self.home.keys)
        ours = {*ring.authors, Signer(ring.node).digest}
        # The new key of a rotation that was begun is in the ring too, and becomes the one in force.
        ours |= {Signer(ring.rotation.seed).digest} if ring.rotation else set()
        listed = {member.id.hex(): member for member in reader.state.members.all}
        for member, keys in self.members.items():
            assert keys <= {key.digest.hex() for key in listed[member].keys}
        for member in reader.state.members.all:
            for key in member.keys:
                if key.custody == Custody.NODE and key.revoked is None:
                    assert key.digest in ours, "a listed key that nobody has"

    def _check_erased(self, reader: Reader) -> None:
        for passport, seqs in self.erased.items():
            if seqs is None:
                with pytest.raises(Refused) as refused:
                    list(reader.read_entries(bytes.fromhex(passport)))
                assert refused.value.reason in (Reason.ERASED, Reason.UNKNOWN_PASSPORT)
            elif passport not in self.erasing:
                for entry in reader.read_entries(bytes.fromhex(passport)):
                    assert entry.seq not in seqs or entry.is_erased

    def check_all(self, chance: random.Random, share: float) -> int:
        """The store is clean, and what it holds is proved."""
        # An erasure that was begun and killed is no damage, but fsck says that its bytes are still there.
        if is_of_todays_schema(self.home.path):
            assert [found for found in check_home(self.home.path) if "not carried out" not in found.what] == []
        with open_writer_at(self.home, None, "the oracle") as writer:
            take_census_if_due(writer)
        # The writer has finished it.
        assert check_home(self.home.path) == []
        with open_reader(self.home.path) as reader:
            gone = frozenset(self.erasing)
            self.oracle.check_receipts(reader, gone=gone)
            return self.oracle.check_proofs(reader, chance, share, gone=gone)

    def finish(self) -> None:
        """Import everything that any round could have imported: each row is sealed, known, or erased; none is twice."""
        with open_writer_at(self.home, None, "the oracle") as writer:
            lines = make_lines(2 * VEHICLES, ROWS_EACH)
            summary = import_file(writer, get_operator(writer), HISTOVEC, lines, now_ms())
            assert summary.rows_read == 2 * VEHICLES * ROWS_EACH
            assert summary.sealed + summary.duplicate + summary.faulty == summary.rows_read
            assert {fault.rule for fault in summary.first_faults} <= {Reason.ERASED}
            again = import_file(writer, get_operator(writer), HISTOVEC, lines, now_ms())
            assert (again.sealed, again.faulty) == (0, summary.faulty)
        assert check_home(self.home.path) == []


def run_trials(path: Path, chance: random.Random, count: int, *, is_cut: bool) -> tuple[Counter[str], int, int]:
    """Rounds until so many victims were killed, of those that are cut a quarter in a commit: in which states that found
    them, receipts kept, passports proved."""
    states: Counter[str] = Counter()

    def is_done() -> bool:
        return states.total() >= count and not (is_cut and count_commits(states) < count // 4)

    kept = proved = homes = 0
    with open_driver() as driver:
        while not is_done():
            trial = Trial(Home(path / f"home{homes}"))
            homes += 1
            for number in range(ROUNDS_OF_A_HOME):
                start = len(trial.oracle.receipts)
                log = trial.home.path / "node.db-wal"
                length = log.stat().st_size if log.exists() else 0
                moment = draw_moment(
                    chance, is_founded=trial.network is not None, is_in_memory=path.is_relative_to(MEMORY)
                )
                said, code = driver.run(
                    home=str(trial.home.path),
                    seed=chance.getrandbits(64),
                    **({"kill_after_us": None} if is_cut else moment),
                    limit=length + 1 + int(chance.expovariate(1 / 200_000)) if is_cut else None,
                )
                assert code in (0, -signal.SIGKILL, -signal.SIGXFSZ), said
                doing = trial.hear(said)
                state = trial.check(doing, start, count_loose_frames(log))
                if code:
                    states[state] += 1
                if is_done():
                    break
                if trial.network is not None and number % CHECKED_EVERY == CHECKED_EVERY - 1:
                    proved += trial.check_all(chance, 0.1)
            if trial.network is not None:
                proved += trial.check_all(chance, 0.5)
                trial.finish()
            kept += len(trial.oracle.receipts)
            shutil.rmtree(trial.home.path, ignore_errors=True)
    return states, kept, proved


def count_commits(states: Counter[str]) -> int:
    """How many ends came in the middle of a commit."""
    return sum(times for state, times in states.items() if "while committing" in state)


def draw_moment(chance: random.Random, *, is_founded: bool, is_in_memory: bool) -> dict[str, object]:
    """When to kill, in microseconds from the fork or from the moment at which the victim is at its work: about as long
    as a founding takes, or as opening does, or a few things."""
    longest = 70_000 if is_in_memory else 130_000
    if not is_founded:
        return {"kill_after_us": int(chance.uniform(4_000, 3 * longest)), "is_from_fork": True}
    is_from_fork = chance.random() < 0.1
    return {
        "kill_after_us": int(chance.uniform(4_000, 50_000) if is_from_fork else chance.uniform(0, longest)),
        "is_from_fork": is_from_fork,
    }


@contextmanager
def make_place(*, is_in_memory: bool) -> Iterator[Path]:
    """A folder on the disk, where a victim mostly waits for a flush, or in memory, where it mostly computes."""
    memory = MEMORY if is_in_memory and os.access(MEMORY, os.W_OK) else None
    with TemporaryDirectory(dir=memory, prefix="carnet-kill-") as place:
        yield Path(place)


def tell(states: Counter[str], kept: int, proved: int) -> None:
    print(f"{states.total()} kills in {len(states)} states, {kept:,} receipts kept, {proved} passports proved:")
    for state, times in sorted(states.items()):
        print(f"{times:6} x {state}")


@pytest.mark.timeout(60 + KILLS)
@pytest.mark.parametrize("part", range(PARTS))
def test_writer__survives_kill_minus_9(part: int) -> None:
    with make_place(is_in_memory=part > 0) as path:
        states, kept, proved = run_trials(path, random.Random(900 + part), -(-KILLS // PARTS), is_cut=False)
    tell(states, kept, proved)
    assert states.total() >= KILLS // PARTS
    assert kept > 0
    assert proved > 0
    # The number means something only if the kills have hit what they are about.
    assert len(states) >= 8
    assert any("reply lost" in state for state in states)


@pytest.mark.timeout(60 + KILLS)
def test_writer__survives_its_end_in_the_middle_of_a_write() -> None:
    """The kernel ends the victim in the write that makes a file longer than a random size: part of it is done."""
    with make_place(is_in_memory=True) as path:
        states, kept, proved = run_trials(path, random.Random(950), CUTS, is_cut=True)
    tell(states, kept, proved)
    assert states.total() >= CUTS
    assert count_commits(states) >= CUTS // 4


# ---- the command line with its worker processes


def listen(oracle: Oracle, fifo: Path) -> threading.Thread:
    """Read receipts from a pipe until its writer is gone."""

    def read() -> None:
        with fifo.open("rb") as pipe:
            for line in pipe:
                oracle.hear([line])

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def start_command(home: Path, source: Path, fifo: Path) -> Running:
    return start_carnet("--home", home, "import", "histovec", source, "--receipts", fifo, "--json")


def run_and_kill(chance: random.Random, home: Path, source: Path, oracle: Oracle, fifo: Path) -> bytes | None:
    """One run, killed at a random point; its output if it ended before."""
    before = len(oracle.receipts)
    thread = listen(oracle, fifo)
    running = start_command(home, source, fifo)
    process = running.process
    if chance.random() < 0.25:
        deadline = time.monotonic() + chance.uniform(0.2, 1.2)
        wanted = REAL_ROWS + 1
    else:
        deadline = time.monotonic() + 60
        wanted = before + chance.choice((1, 300, 1_000, 1_001, 2_000))
    while process.poll() is None and time.monotonic() < deadline and len(oracle.receipts) < wanted:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.03))
    ended = process.poll() is not None
    process.kill()
    ran = running.end(60)
    # If the process died before it opened the pipe, nobody else will: let the reader go.
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
    with fifo.open("r+b", buffering=0):
        pass
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert "Traceback" not in ran.err, ran.err
    if ended:
        assert ran.code == 0, ran.err
        return ran.out.encode()
    return None


def check_after_kill(home: Path, oracle: Oracle, start: int) -> None:
    """Every new receipt stands where it says; the log continues every earlier one."""
    if not (home / "node.db").exists():
        return
    with open_reader(home) as reader:
        oracle.check_log(reader)
        oracle.check_receipts(reader, start)


def check_whole(chance: random.Random, home: Path, oracle: Oracle, output: bytes) -> None:
    """The import is complete: the totals are those of an undisturbed one, every receipt stands, and a sample of them
    is proved to a stranger."""
    summary = json.loads(output.splitlines()[-1])
    assert summary["rows_read"] == REAL_ROWS == summary["sealed"] + summary["duplicate"]
    assert summary["faulty"] == 0
    assert summary["passports"] == REAL_VEHICLES
    assert check_home(home) == []
    with open_reader(home) as reader:
        assert reader.count_passports() == REAL_VEHICLES
        assert reader.count_entries() == REAL_ROWS + REAL_VEHICLES
        oracle.check_receipts(reader)
        assert oracle.check_proofs(reader, chance, 0.2) > 0


@pytest.mark.timeout(60 + 10 * KILLS)
@pytest.mark.parametrize("part", range(COMMAND_PARTS))
def test_import__survives_kill_minus_9(tmp_path: Path, part: int) -> None:
    source = shared_file("data", "histovec", "dev", "odometer_histories.jsonl")
    chance = random.Random(9 + part)
    wanted = -(-COMMAND_KILLS // COMMAND_PARTS)
    fifo = tmp_path / "receipts"
    os.mkfifo(fifo)
    kills = homes = acknowledged = 0
    while kills < wanted:
        home, oracle = tmp_path / f"home{homes}", Oracle()
        homes += 1
        output: bytes | None = None
        while output is None:
            start = len(oracle.receipts)
            if kills >= wanted:
                # Enough kills: let the last import end, so that its totals can be checked too.
                thread = listen(oracle, fifo)
                ran = start_command(home, source, fifo).end(120)
                thread.join(timeout=30)
                assert ran.code == 0, ran.err
                output = ran.out.encode()
            else:
                output = run_and_kill(chance, home, source, oracle, fifo)
                kills += output is None
            check_after_kill(home, oracle, start)
        check_whole(chance, home, oracle, output)
        acknowledged += len(oracle.receipts)
        shutil.rmtree(home)
    print(f"{kills} kills over {homes} imports, {acknowledged} receipts kept, none lost")
    assert kills >= wanted
    assert acknowledged > 0
