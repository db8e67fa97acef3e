"""Running the real command line in a process of its own, as a user without a terminal would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from tests.cli import ready

COMMAND = [sys.executable, "-m", "carnet"]
PATIENCE_S = 240.0


@dataclass(frozen=True)
class Ran:
    """What a run gave: exit code, and both outputs as text."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """Standard output as one JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json_error(self) -> dict[str, Any]:
        """The last line of standard error as a JSON object."""
        found: dict[str, Any] = json.loads(self.err.splitlines()[-1])
        return found


def make_env(home: Path | None = None, **more: str) -> dict[str, str]:
    """An environment with nothing of this machine's user in it."""
    env = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SYSTEMROOT") if name in os.environ}
    # A home that does not exist: whatever reads a default would show it.
    env |= {"HOME": "/nonexistent", "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    if home is not None:
        env["CARNET_HOME"] = str(home)
    return env | more


def carnet(
    *arguments: str | Path,
    home: Path | None = None,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> Ran:
    """Run one verb. Standard input is closed unless bytes are given."""
    words, env = list(map(str, arguments)), env or make_env(home)
    if not ready.is_like(env, make_env()):
        return _start(words, env, cwd, stdin)
    with ExitStack() as kept:
        given = kept.enter_context(open(os.devnull, "rb") if stdin is None else TemporaryFile())  # noqa: SIM115
        if stdin is not None:
            given.write(stdin)
            given.seek(0)
        out, err = kept.enter_context(TemporaryFile()), kept.enter_context(TemporaryFile())
        streams = [given.fileno(), out.fileno(), err.fileno()]
        code = ready.run(words, env, cwd or Path.cwd(), streams, PATIENCE_S)
        if code is None:
            return _start(words, env, cwd, stdin)
        out.seek(0)
        err.seek(0)
        return Ran(code, out.read().decode(), err.read().decode())


def _start(words: list[str], env: dict[str, str], cwd: Path | None, stdin: bytes | None) -> Ran:
    ran = subprocess.run(
        [*COMMAND, *words],
        env=env,
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())


Process = ready.Started | subprocess.Popen[bytes]


def start_process(words: list[str], env: dict[str, str], streams: list[int]) -> Process:
    """A verb that goes on while the test does; `streams` are its standard input, output and error."""
    started = ready.start(words, env, Path.cwd(), streams) if ready.is_like(env, make_env()) else None
    if started is not None:
        return started
    given, out, err = streams
    return subprocess.Popen([*COMMAND, *words], env=env, stdin=given, stdout=out, stderr=err)


@dataclass(frozen=True)
class Running:
    """A verb that goes on while the test does, and what it says."""

    process: Process
    out: IO[bytes]
    err: IO[bytes]

    def end(self, timeout_s: float = PATIENCE_S) -> Ran:
        """What it gave, once it has ended."""
        with self.out, self.err:
            code = self.process.wait(timeout_s)
            self.out.seek(0)
            self.err.seek(0)
            return Ran(code, self.out.read().decode(), self.err.read().decode())


def start_carnet(*arguments: str | Path, home: Path | None = None) -> Running:
    """Begin one verb, whose standard input is closed."""
    out, err = TemporaryFile(), TemporaryFile()  # noqa: SIM115
    with open(os.devnull, "rb") as given:
        streams = [given.fileno(), out.fileno(), err.fileno()]
        return Running(start_process(list(map(str, arguments)), make_env(home), streams), out, err)


@dataclass(frozen=True)
class Victim:
    """A few lines of a test's own in a process of their own, which is about to be killed."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    started: ready.Started

    def kill(self) -> bytes:
        """kill -9; what it had still said."""
        self.started.kill()
        return self.end()

    def end(self) -> bytes:
        """Let it end by itself; what it had still said."""
        with self.stdin, self.stdout:
            said = self.stdout.read()
            self.started.wait(PATIENCE_S)
        return said


def start_victim(code: str, *arguments: str | Path) -> Victim:
    """Run this code in a copy of the ready process: it has loaded what the code imports."""
    (asked, into), (out, told) = os.pipe(), os.pipe()
    try:
        started = ready.start(list(map(str, arguments)), make_env(), Path.cwd(), [asked, told, 2], code)
    finally:
        os.close(asked)
        os.close(told)
    assert started is not None
    return Victim(os.fdopen(into, "wb", buffering=0), os.fdopen(out, "rb"), started)


def make_line(vehicle: str, *inspections: dict[str, object]) -> bytes:
    """A line of a HistoVec file."""
    return json.dumps({"vehicle": vehicle, "inspections": list(inspections)}).encode() + b"\n"


def make_inspection(**changed: object) -> dict[str, object]:
    """One inspection of such a line."""
    normal: dict[str, object] = {
        "centre": "S001",
        "date": "2015-03-04",
        "end": "10:40:00",
        "km": 61_000,
        "nature": "VTP",
        "pv": "A1",
        "result": "A",
        "start": "10:00:00",
    }
    return normal | changed
