"""kill -9 at two hundred points of a real import; the oracle is this process, which keeps every receipt that it was
given.

Afterwards nothing that was acknowledged is missing, every checkpoint is consistent with those before it, the store
checks clean, and the
import resumes to the same totals. `CARNET_KILLS` sets another number.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from carnet.node.reader import Reader, open_reader
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.verify import verify_bundle
from carnet.signing import SignatureCache
from carnet.tlog.checkpoint import open_checkpoint
from carnet.tlog.policy import parse_policy
from carnet.tlog.tree import check_consistency
from tests.shared import shared_file

KILLS = int(os.environ.get("CARNET_KILLS", "200"))
PARTS = 4
ROWS, VEHICLES = 5_275, 845
CARNET = [sys.executable, "-m", "carnet"]


@dataclass
class Oracle:
    """What was acknowledged, kept outside the process that is killed."""

    receipts: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[tuple[int, bytes]] = field(default_factory=list)

    def listen(self, fifo: Path) -> threading.Thread:
        """Read receipts from a pipe until its writer is gone."""

        def read() -> None:
            with fifo.open("rb") as pipe:
                for line in pipe:
                    # A line that the kill has cut was not acknowledged whole.
                    if line.endswith(b"\n"):
                        self.receipts.append(json.loads(line))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread


def start_import(home: Path, source: Path, fifo: Path) -> subprocess.Popen[bytes]:
    command = [*CARNET, "--home", str(home), "import", "histovec", str(source), "--receipts", str(fifo), "--json"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run_and_kill(chance: random.Random, home: Path, source: Path, oracle: Oracle, fifo: Path) -> bytes | None:
    """One run, killed at a random point; its output if it ended before."""
    before = len(oracle.receipts)
    thread = oracle.listen(fifo)
    process = start_import(home, source, fifo)
    if chance.random() < 0.25:
        deadline = time.monotonic() + chance.uniform(0.2, 1.2)
        wanted = ROWS + 1
    else:
        deadline = time.monotonic() + 60
        wanted = before + chance.choice((1, 300, 1_000, 1_001, 2_000))
    while process.poll() is None and time.monotonic() < deadline and len(oracle.receipts) < wanted:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.03))
    ended = process.poll() is not None
    process.kill()
    output, errors = process.communicate(timeout=60)
    # If the process died before it opened the pipe, nobody else will: let the reader go.
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
    with fifo.open("r+b", buffering=0):
        pass
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert b"Traceback" not in errors, errors.decode()
    if ended:
        assert process.returncode == 0, errors.decode()
        return output
    return None


def check_after_kill(home: Path, oracle: Oracle, start: int) -> None:
    """Every new receipt stands where it says; the log continues every earlier one."""
    if not (home / "node.db").exists():
        return
    with open_reader(home) as reader:
        state = reader.state
        for size, root in oracle.checkpoints:
            path = reader.get_consistency_path(size, state.size)
            check_consistency(size, root, state.size, compute_log_root(reader), path)
        oracle.checkpoints.append((state.size, compute_log_root(reader)))
        sids: dict[str, list[str]] = {}
        for receipt in oracle.receipts[start:]:
            passport = receipt["passport"]
            if passport not in sids:
                sids[passport] = [entry.sid.hex() for entry in reader.read_entries(bytes.fromhex(passport))]
            assert sids[passport][receipt["seq"]] == receipt["statement"]


def compute_log_root(reader: Reader) -> bytes:
    from carnet.tlog.tree import root_from

    return root_from(reader._read_node, reader.state.size)


def check_whole(chance: random.Random, home: Path, oracle: Oracle, output: bytes) -> None:
    """The import is complete: the totals are those of an undisturbed one, every receipt stands, and a sample of them
    is proved to a stranger."""
    summary = json.loads(output.splitlines()[-1])
    assert summary["rows_read"] == ROWS == summary["sealed"] + summary["duplicate"]
    assert summary["faulty"] == 0
    assert summary["passports"] == VEHICLES
    done = subprocess.run([*CARNET, "--home", str(home), "fsck", "--json"], capture_output=True, timeout=120)
    assert done.returncode == 0, done
    with open_reader(home) as reader:
        assert reader.count_passports() == VEHICLES
        assert reader.count_entries() == ROWS + VEHICLES
        size, note = reader.get_checkpoint()
        root = open_checkpoint(note, reader.get_log_key()).checkpoint.root
        for old_size, old_root in oracle.checkpoints:
            check_consistency(old_size, old_root, size, root, reader.get_consistency_path(old_size, size))
        policy, cache = parse_policy(reader.get_policy()), SignatureCache(8192)
        by_passport: dict[str, dict[int, str]] = {}
        for receipt in oracle.receipts:
            assert (
                by_passport.setdefault(receipt["passport"], {}).setdefault(receipt["seq"], receipt["statement"])
                == (receipt["statement"])
            )
        for passport, wanted in by_passport.items():
            if chance.random() > 0.2:
                sids = [entry.sid.hex() for entry in reader.read_entries(bytes.fromhex(passport))]
                assert all(sids[seq] == sid for seq, sid in wanted.items())
                continue
            bundle = assemble_bundle(reader, bytes.fromhex(passport), Selection())
            verdict = verify_bundle(bundle, policy, int(time.time() * 1000), cache=cache)
            assert verdict.exit_code == 0
            assert verdict.evidence is not None
            for seq, sid in wanted.items():
                assert verdict.evidence.sids[seq].hex() == sid


@pytest.mark.parametrize("part", range(PARTS))
def test_import__survives_kill_minus_9(tmp_path: Path, part: int) -> None:
    source = shared_file("data", "histovec", "dev", "odometer_histories.jsonl")
    chance = random.Random(9 + part)
    wanted = -(-KILLS // PARTS)
    fifo = tmp_path / "receipts"
    os.mkfifo(fifo)
    kills = homes = 0
    acknowledged = 0
    while kills < wanted:
        home, oracle = tmp_path / f"home{homes}", Oracle()
        homes += 1
        output: bytes | None = None
        while output is None:
            start = len(oracle.receipts)
            if kills >= wanted:
                # Enough kills: let the last import end, so that its totals can be checked too.
                thread = oracle.listen(fifo)
                process = start_import(home, source, fifo)
                output, errors = process.communicate(timeout=120)
                thread.join(timeout=30)
                assert process.returncode == 0, errors.decode()
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
