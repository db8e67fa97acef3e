"""Proofs of one entry with its opening at a node of 1,000,000 passports: made and checked a second by one core, their
size, and the memory of a reader.

A few thousand of the passports are real; the others are heads alone, which is all that a proof of another one knows.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.census import fill_chains
from bench.figures import IS_QUICK, ROUNDS, Figure, make_figure, middle, open_folder
from bench.inspections import make_interleaved
from carnet.node.home import Home
from carnet.node.pool import look_for_cycles_rarely
from carnet.node.reader import Reader
from carnet.proof.assemble import assemble_bundle
from carnet.proof.memory import Memory
from carnet.proof.verify import verify_bundle
from carnet.services.founding import found, get_operator, now_ms, open_writer_at
from carnet.services.importing import HISTOVEC, import_file
from carnet.services.reading import open_reader
from carnet.signing import Signer, verify
from carnet.tlog.policy import Policy, parse_policy

PASSPORTS = 300 if IS_QUICK else 2_000
ALL_PASSPORTS = 20_000 if IS_QUICK else 1_000_000
SIGNATURES = 3
"""Of the peer. A proof of one entry with its opening has six: log, batch, author, census, two enrolments."""

_READ = """
import resource, sys
from pathlib import Path
def peak():
    # Not ru_maxrss where there is this: a process begins with that of its parent.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    return next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
from carnet.node.home import Home
from carnet.proof.assemble import assemble_bundle
from carnet.services.reading import open_reader
with open_reader(Home(Path(sys.argv[1]))) as reader:
    assemble_bundle(reader, bytes.fromhex(sys.argv[2]))
print(peak())
"""


def measure() -> list[Figure]:
    """Made, checked with nothing at hand, and with a memory of signatures and parts; bytes; a reader's memory."""
    with open_folder("proofs") as folder:
        home = Home(folder / "home")
        chains = make_store(home)
        small = _measure_memory(home.path, chains[0])
        with open_writer_at(home, None, "bench") as writer:
            fill_chains(writer._connection, ALL_PASSPORTS - PASSPORTS, first=PASSPORTS + 1)
            writer.take_census()
        large = _measure_memory(home.path, chains[0])
        return [
            *_measure(home, chains),
            make_figure("memory of a reader that proves", large, "MB", peer=(f"of {PASSPORTS:,} passports", small)),
        ]


def make_store(home: Home) -> list[bytes]:
    """A node with the real passports, each opened and with one inspection; their ids."""
    found(home, name="bench.example")
    with open_writer_at(home, None, "bench") as writer:
        lines = [line for line, _ in zip(make_interleaved(PASSPORTS), range(PASSPORTS), strict=False)]
        import_file(writer, get_operator(writer), HISTOVEC, lines, now_ms())
    with open_reader(home) as reader:
        return [passport.chain16 for passport in reader.list_passports()]


def _measure(home: Home, chains: list[bytes]) -> list[Figure]:
    made: list[float] = []
    checked: dict[str, list[float]] = {"cold": [], "with cached signatures": []}
    bare: list[float] = []
    sizes: list[float] = []
    # As in a worker of `carnet serve`, whose collector looks for cycles rarely.
    look_for_cycles_rarely()
    for _ in range(ROUNDS):
        with open_reader(home) as reader:
            policy = parse_policy(reader.get_policy())
            seconds, proofs = _make_all(reader, chains)
            made.append(len(chains) / seconds)
        sizes.append(middle([float(len(proof)) for proof in proofs]))
        bare.append(_measure_bare())
        checked["cold"].append(len(proofs) / _check_all(proofs, policy, None))
        cache = Memory()
        _check_all(proofs[:10], policy, cache)
        checked["with cached signatures"].append(len(proofs) / _check_all(proofs, policy, cache))
    peer = ("three Ed25519 checks", middle(bare))
    targets = {"cold": 2_000, "with cached signatures": 10_000}
    return [
        make_figure("proofs made", middle(made), "per s and core", at_least=5_000),
        *(
            make_figure(f"proofs checked {state}", middle(rates), "per s and core", peer=peer, at_least=targets[state])
            for state, rates in checked.items()
        ),
        make_figure(f"proof at {ALL_PASSPORTS:,} passports", middle(sizes), "bytes", at_most=10_000),
    ]


def _make_all(reader: Reader, chains: list[bytes]) -> tuple[float, list[bytes]]:
    proofs: list[bytes] = []
    return take_core_time(
        lambda: proofs.extend(assemble_bundle(reader, chain, shared=reader.shared) for chain in chains)
    ), proofs


def _check_all(proofs: list[bytes], policy: Policy, cache: Memory | None) -> float:
    """Seconds for all of them; with a memory that outlives a proof, as a server has one, or with nothing kept."""
    codes: set[int] = set()
    now = now_ms()
    seconds = take_core_time(
        lambda: codes.update(verify_bundle(one, policy, now, cache=cache).exit_code for one in proofs)
    )
    if codes != {0}:
        raise RuntimeError(f"the bench's own proofs are not genuine: {codes}")
    return seconds


def take_core_time(work: Callable[[], object]) -> float:
    """Seconds that one core spent on a piece of work; what others had of it is not counted."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _measure_bare() -> float:
    """The peer: what three signatures alone cost, in the same run."""
    signer, count = Signer(bytes(32)), 300
    messages = [b"%d" % at for at in range(count)]
    signed = [(message, signer.sign(message)) for message in messages]
    seconds = take_core_time(lambda: [verify(signer.public, message, signature) for message, signature in signed])
    return count / seconds / SIGNATURES


def _measure_memory(home: Path, chain: bytes) -> float:
    """MB at most of a process that opens the node and makes one proof."""
    command = [sys.executable, "-c", _READ, str(home), chain.hex()]
    ran = subprocess.run(command, capture_output=True, check=True, text=True)
    return float(ran.stdout)
