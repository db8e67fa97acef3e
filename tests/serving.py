"""A real `carnet serve` in processes of its own, on a port that the system chose; and HTTP with nothing between."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from carnet.node.door import RemoteWriter, connect
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from tests.cli.run import Process, make_env, start_process

PATIENCE_S = 40.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A running service."""

    home: Path
    process: Process
    log: Path
    address: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: bytes | None = None, timeout: float = 20.0, **headers: str) -> Answer:
        """One request on a connection of its own; `headers` with `_` for `-`."""
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post_form(self, path: str, fields: Mapping[str, str], **headers: str) -> Answer:
        """The same with a form."""
        more = headers | {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, urlencode(fields).encode(), PATIENCE_S, **more)

    def wait_until_ready(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                if self.ask("GET", "/readyz").status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.1)
        raise AssertionError(f"the service was not ready in time:\n{self.read_log()}")

    def read_log(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def list_workers(self) -> list[int]:
        """The process ids of the web workers, as the kernel lists the children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return sorted(int(pid) for pid in children.read_text(encoding="ascii").split())

    def reach(self) -> RemoteWriter:
        """The writer, as another process of the same person reaches it."""
        home = Home(self.home)
        return connect(
            home, load_key_ring(home.keys), clock=lambda: time.time_ns() // 1_000_000, random_bytes=os.urandom
        )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


def start(home: Path, log: Path, *options: str, **more: str) -> Served:
    """Start it and wait until it says where it is."""
    env = make_env(home, **more)
    with log.open("ab") as out, open(os.devnull, "rb") as given:
        streams = [given.fileno(), out.fileno(), out.fileno()]
        process = start_process(["serve", "--port", "0", *options], env, streams)
    served = Served(home, process, log, env=env)
    until = time.monotonic() + PATIENCE_S
    begins = 0
    while time.monotonic() < until and process.poll() is None:
        found = re.findall(r"^Serving .* at (http\S+) with", served.read_log()[begins:], re.MULTILINE)
        if found:
            served.address = found[-1]
            return served
        select.select([], [], [], 0.05)
    process.kill()
    process.wait()
    raise AssertionError(f"the service did not start:\n{served.read_log()}")


@contextmanager
def serving_home(home: Path, log: Path, *options: str, **more: str) -> Iterator[Served]:
    """A service that is ready, and is ended with the block."""
    served = start(home, log, *options, **more)
    try:
        served.wait_until_ready()
        yield served
    finally:
        if served.process.poll() is None:
            served.process.kill()
            served.process.wait()


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(check: Any, what: str, patience_s: float = PATIENCE_S) -> None:
    """Until `check()` is true."""
    until = time.monotonic() + patience_s
    while not check():
        assert time.monotonic() < until, what
        time.sleep(0.05)
