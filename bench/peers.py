"""Programs by others that do something like it, measured in the same run on the same disk; where one cannot run here, a
reason is printed and its line is left out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.figures import IS_QUICK, open_folder

TESSERA_LEAVES = 100_000 if IS_QUICK else 1_000_000
AS_IT_COMES, TUNED = "as it comes", "tuned"
# As it comes it publishes every ten seconds, so that a few leaves would mostly measure that wait.
_SETTINGS: tuple[tuple[str, tuple[str, ...], float | None], ...] = (
    (AS_IT_COMES, (), 1.2),
    (TUNED, ("-tuned",), None),
)
"""Name, options of the program, and the ratio that is wanted: of its rate as it comes, which is what 35,000 entries a
second were measured against. Tuned it is shown beside."""
_SOURCE = Path(__file__).resolve().parent / "tessera"


def measure_tessera() -> list[tuple[str, float, float | None]]:
    """What Tessera's POSIX log takes in a second, in leaves of 200 bytes, until a published checkpoint covers the last:
    as it comes, and with larger batches and a checkpoint each second, which suit so quick a sender. Each with the ratio
    that is wanted, if one is."""
    go = shutil.which("go")
    if go is None:
        return _leave_out("there is no go on the path")
    rates = []
    with open_folder("tessera") as folder:
        program = folder / "peer"
        built = subprocess.run(
            [go, "build", "-mod=readonly", "-o", program, "."], cwd=_SOURCE, capture_output=True, text=True, check=False
        )
        if built.returncode != 0:
            return _leave_out(f"it does not build here: {built.stderr.strip().splitlines()[-1:]}")
        for name, options, target in _SETTINGS[IS_QUICK:]:
            command = [program, "-folder", folder / name, "-leaves", str(TESSERA_LEAVES), *options]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
            if ran.returncode != 0:
                return _leave_out(f"it ended with {ran.returncode}: {ran.stderr.strip().splitlines()[-1:]}")
            rates.append((f"Tessera POSIX, published, {name}", float(ran.stdout), target))
    return rates


def _leave_out(why: str) -> list[tuple[str, float, float | None]]:
    print(f"left out: Tessera, because {why}", file=sys.stderr)
    return []
