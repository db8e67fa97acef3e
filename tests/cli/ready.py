"""A process that has loaded all that verbs load. Each time it is asked, a copy of it becomes a verb, or runs a few
lines of a test.

What a verb does runs in a process of its own, with its own environment, folder, streams and end, as from a shell; only
Python's start and the loading of modules, most of the time of a short verb, are shared. It refuses to know any verb.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
LOADED = ("carnet.cli", "carnet.services", "carnet.node", "carnet.vault", "carnet.formats", "carnet.proof")
FOUNDING = ("alembic.command", "alembic.context")
"""Half of a founding's time, which many a test begins with."""
MAX_REQUEST_BYTES = 150_000
STREAMS = 3
START_S = 60.0


def is_like(env: dict[str, str], usual: dict[str, str]) -> bool:
    """Whether Python would start with this environment as it does with the usual one."""

    def choose(given: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in given.items() if name.startswith(("PYTHON", "LC_", "LANG", "LD_"))}

    return choose(env) == choose(usual)


def run(arguments: list[str], env: dict[str, str], cwd: Path, streams: list[int], timeout_s: float) -> int | None:
    """The exit code of a verb, as `subprocess` says it; None if it is too long to be asked for here."""
    started = start(arguments, env, cwd, streams)
    if started is None:
        return None
    try:
        return started.wait(timeout_s)
    except subprocess.TimeoutExpired:
        started.kill()
        raise


@dataclass
class Started:
    """A copy at its work, with what `subprocess.Popen` has for one."""

    arguments: list[str]
    heard: int
    said: bytes = b""
    returncode: int | None = None

    @property
    def pid(self) -> int:
        while b" " not in self.said:
            self._hear(START_S)
        return int(self.said.split()[0])

    def poll(self) -> int | None:
        """The exit code, as `subprocess` says it, or None while it is at work."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            self._hear(None if until is None else max(0.0, until - time.monotonic()))
        return self.returncode

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """A process that has ended hears nothing."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _hear(self, timeout: float | None) -> None:
        """What it says next: who it is, then how it ended."""
        if not select.select([self.heard], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.arguments, timeout or 0)
        piece = os.read(self.heard, 100)
        self.said += piece
        if not piece:
            os.close(self.heard)
            assert b" " in self.said, "the ready process has ended; what it said stands in the captured output"
            self.returncode = int(self.said.split()[1])


def start(
    arguments: list[str], env: dict[str, str], cwd: Path, streams: list[int], code: str | None = None
) -> Started | None:
    """A verb, or `code` with these arguments; None if it is too long to be asked for here."""
    request = json.dumps({"arguments": arguments, "env": env, "cwd": str(cwd), "code": code}).encode()
    if len(request) > MAX_REQUEST_BYTES:
        return None
    heard, told = os.pipe()
    try:
        socket.send_fds(_find_ready(os.getpid()), [request], [*streams, told])
    except BaseException:
        os.close(heard)
        raise
    finally:
        os.close(told)
    return Started(arguments, heard)


@cache
def _find_ready(pid: int) -> socket.socket:
    """The ready process of this one (`pid`: a copy of a process asks one of its own)."""
    from tests.cli.run import make_env

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        ready = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.ready", str(theirs.fileno())],
            cwd=ROOT,
            env=make_env(PYTHONPATH=str(ROOT)),
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        if os.getpid() == pid:
            ours.close()
            ready.wait(20)

    atexit.register(end)
    return ours


def _load() -> None:
    for name in LOADED:
        package = import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            # A migration is loaded by whoever migrates, and only then.
            if ".migrations." not in found.name:
                import_module(found.name)
    for name in FOUNDING:
        import_module(name)


def _serve(asked: socket.socket) -> tuple[list[str], str | None]:
    """Answer until nobody can ask any more; returns only in a copy that is to become a verb, or the code that it is
    asked for: its arguments, and the code."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(asked, MAX_REQUEST_BYTES + 1, STREAMS + 1)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    asked.close()
    *streams, told = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    verb = os.fork()
    if verb != 0:
        for descriptor in streams:
            os.close(descriptor)
        os.write(told, b"%d " % verb)
        _, status = os.waitpid(verb, 0)
        os.write(told, b"%d" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    os.close(told)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    told_of = json.loads(request)
    os.environ.clear()
    os.environ.update(told_of["env"])
    time.tzset()
    os.chdir(told_of["cwd"])
    return told_of["arguments"], told_of["code"]


def _end(code: int) -> NoReturn:
    """End as Python does, but for taking apart every module that was loaded: that takes longer than most verbs."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _load()
    from carnet.cli import main

    gc.collect()
    gc.freeze()
    sys.argv[1:], code = _serve(socket.socket(fileno=int(sys.argv[1])))
    if code is None:
        _end(main())
    exec(code, {"__name__": "__main__"})
    _end(0)
