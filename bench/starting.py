"""How long one waits for `carnet --help`, beside an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.figures import Figure, make_figure, middle, take_time

RUNS = 9


def measure() -> list[Figure]:
    """Median milliseconds of several starts, in turn with the peer's."""
    program = Path(sys.executable).with_name("carnet")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "carnet"]
    ours, bare = [], []
    for _ in range(RUNS):
        ours.append(1000 * _run([*command, "--help"]))
        bare.append(1000 * _run([sys.executable, "-c", "pass"]))
    return [make_figure("carnet --help", middle(ours), "ms", peer=("python -c pass", middle(bare)), at_most=150)]


def _run(command: list[str]) -> float:
    return take_time(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))
