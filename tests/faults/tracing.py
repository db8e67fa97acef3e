"""Running the real command line under strace: every call on the files of a home is written down, and any of them can
be made to fail, or to be the last thing that the process does.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.run import make_env

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

FILES = ("node.db", "node.db-wal", "node.db-journal", "node.db-shm", "keys.json.new", "erasures.journal", "writer.lock")
BUILDING = ("node.db.new", "node.db.new-wal", "node.db.new-journal", "node.db.new-shm")

_CALL = re.compile(r"^(?P<thread>\d+) +(?P<name>\w+)\((?P<rest>.*)\) += (?P<result>-?\d+|\?)(?P<more>.*)$")
# One that another thread's call came between stands on two lines.
_BEGUN = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+\(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(?P<thread>\d+) +<\.\.\. \w+ resumed>(?P<end>.*)$")
_FILE = re.compile(r'^(?:(?P<fd>\d+)<(?P<path>[^>]*)>|"(?P<name>[^"]*)")')


@dataclass(frozen=True)
class Call:
    """One call on a file of the home: its thread, its name, the file, what it returned."""

    thread: str
    name: str
    file: str
    result: int
    is_injected: bool


@dataclass(frozen=True)
class Traced:
    """A run: its exit code (negative: the signal that ended it), its outputs, and the calls in their order."""

    code: int
    out: str
    err: str
    calls: list[Call]

    def count(self, name: str, file: str = "") -> int:
        """How many calls there were of that name, on files that end so."""
        return sum(call.name == name and call.file.endswith(file) for call in self.calls)

    def count_places(self, name: str) -> int:
        """How many places there are to make such a call fail: strace counts for each thread by itself."""
        return max(Counter(call.thread for call in self.calls if call.name == name).values(), default=0)

    @property
    def injected(self) -> Call | None:
        """The first call that was made to fail."""
        return next((call for call in self.calls if call.is_injected), None)

    @property
    def calls_after(self) -> list[Call]:
        """What came after it."""
        places = [at for at, call in enumerate(self.calls) if call.is_injected]
        return self.calls[places[0] + 1 :] if places else []


def list_watched(home: Path, *, more: Sequence[Path] = ()) -> list[Path]:
    """The home and the files that stand in it, sooner or later."""
    return [home, *(home / name for name in (*FILES, *BUILDING)), *more]


def run_traced(
    arguments: Sequence[str | Path],
    home: Path,
    trace: Path,
    *,
    inject: str | None = None,
    watched: Sequence[Path] | None = None,
    file_limit: int | None = None,
    out: Path | None = None,
) -> Traced:
    """Run one verb on the home; `inject` is strace's own word for it, and counts only calls on what is watched. No file
    may become longer than `file_limit` bytes; the output goes to `out` if it is named."""
    calls = "fsync,fdatasync,pwrite64,write,ftruncate,rename,unlink"
    command = ["strace", "-f", "-y", "--quiet=path-resolution,attach,exit", "-o", str(trace), "-e", f"trace={calls}"]
    for path in list_watched(home) if watched is None else watched:
        command += ["-P", str(path)]
    if inject is not None:
        command += ["-e", f"inject={inject}"]
    # Within strace, so that its own file may be longer.
    command += [] if file_limit is None else ["prlimit", f"--fsize={file_limit}"]
    command += [sys.executable, "-m", "carnet", *map(str, arguments)]
    with ExitStack() as stack:
        into = subprocess.PIPE if out is None else stack.enter_context(out.open("wb"))
        ran = subprocess.run(
            command, env=make_env(home), stdin=subprocess.DEVNULL, stdout=into, stderr=subprocess.PIPE, timeout=120
        )
    said = b"" if ran.stdout is None else ran.stdout
    return Traced(ran.returncode, said.decode(), ran.stderr.decode(), parse_calls(trace))


def parse_calls(trace: Path) -> list[Call]:
    """The calls of a trace that ended; a call that a kill cut short is not among them."""
    found = []
    begun: dict[str, str] = {}
    for line in trace.read_text("utf-8", "replace").splitlines():
        if (half := _BEGUN.match(line)) is not None:
            begun[half["thread"]] = half["call"]
            continue
        if (half := _RESUMED.match(line)) is not None:
            line = f"{half['thread']} {begun.pop(half['thread'], '')}{half['end']}"
        match = _CALL.match(line)
        if match is None or match["result"] == "?":
            continue
        file = _FILE.match(match["rest"])
        name = "" if file is None else (file["path"] or file["name"] or "")
        found.append(Call(match["thread"], match["name"], name, int(match["result"]), "(INJECTED)" in match["more"]))
    return found
