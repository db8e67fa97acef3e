"""A process that has loaded everything that verbs load, and becomes a verb in a copy of itself each time it is asked.

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
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
LOADED = ("carnet.cli", "carnet.services", "carnet.node", "carnet.vault", "carnet.formats", "carnet.proof")
MAX_REQUEST_BYTES = 150_000
STREAMS = 3


def is_like(env: dict[str, str], usual: dict[str, str]) -> bool:
    """Whether Python would start with this environment as it does with the usual one."""

    def choose(given: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in given.items() if name.startswith(("PYTHON", "LC_", "LANG", "LD_"))}

    return choose(env) == choose(usual)


def run(arguments: list[str], env: dict[str, str], cwd: Path, streams: list[int], timeout_s: float) -> int | None:
    """The exit code of a verb, as `subprocess` says it; None if it is too long to be asked for here."""
    request = json.dumps({"arguments": arguments, "env": env, "cwd": str(cwd)}).encode()
    if len(request) > MAX_REQUEST_BYTES:
        return None
    heard, told = os.pipe()
    try:
        try:
            socket.send_fds(_find_ready(os.getpid()), [request], [*streams, told])
        finally:
            os.close(told)
        return _wait(heard, arguments, time.monotonic() + timeout_s)
    finally:
        os.close(heard)


def _wait(heard: int, arguments: list[str], until: float) -> int:
    said = b""
    while True:
        if not select.select([heard], [], [], max(0.0, until - time.monotonic()))[0]:
            if said:
                os.kill(int(said.split()[0]), signal.SIGKILL)
            raise subprocess.TimeoutExpired(arguments, 0)
        piece = os.read(heard, 100)
        if not piece:
            assert b" " in said, "the ready process has ended; what it said stands in the captured output"
            return int(said.split()[1])
        said += piece


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


def _serve(asked: socket.socket) -> list[str]:
    """Answer until nobody can ask any more; returns only in a copy that is to become a verb: its arguments."""
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
    arguments: list[str] = told_of["arguments"]
    return arguments


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
    sys.argv[1:] = _serve(socket.socket(fileno=int(sys.argv[1])))
    _end(main())
