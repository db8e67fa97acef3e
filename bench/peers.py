"""Programs by others that do something like it, measured in the same run on the same disk; where one cannot run here, a
reason is printed and its line is left out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

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


class TesseraLog(NamedTuple):
    """Tessera's POSIX log under one setting: as it comes, or with larger batches and a checkpoint each second, which
    suit so quick a sender. `wanted` is the ratio to its rate that is wanted, if one is."""

    name: str
    program: Path
    options: tuple[str, ...]
    wanted: float | None

    def measure(self) -> float:
        """Leaves of 200 bytes that a new log takes in a second, until a published checkpoint covers the last. The log
        stays until the bench ends: to remove so many files takes the disk from whoever is measured next."""
        folder = mkdtemp(dir=self.program.parent)
        command = [str(self.program), "-folder", folder, "-leaves", str(TESSERA_LEAVES), *self.options]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if ran.returncode != 0:
            raise RuntimeError(f"Tessera ended with {ran.returncode}: {ran.stderr.strip().splitlines()[-1:]}")
        return float(ran.stdout)


@contextmanager
def open_tessera() -> Iterator[list[TesseraLog]]:
    """Its settings, to be measured; none, with a printed reason, where it cannot be built."""
    with open_folder("tessera") as folder:
        program = folder / "peer"
        is_built = _has_built(program)
        yield [
            TesseraLog(f"Tessera POSIX, published, {name}", program, options, wanted)
            for name, options, wanted in _SETTINGS[IS_QUICK:]
            if is_built
        ]


def _has_built(program: Path) -> bool:
    go = shutil.which("go")
    if go is None:
        print("left out: Tessera, because there is no go on the path", file=sys.stderr)
        return False
    command = [go, "build", "-mod=readonly", "-o", str(program), "."]
    built = subprocess.run(command, cwd=_SOURCE, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        why = built.stderr.strip().splitlines()[-1:]
        print(f"left out: Tessera, because it does not build here: {why}", file=sys.stderr)
    return built.returncode == 0
