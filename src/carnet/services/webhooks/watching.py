"""Seeing to it that one process of a home tells what happened: a thread of each worker, of which one starts it.

Which worker does it is settled by a lock, so that it goes on in another when this one dies. Where no webhook is told,
there is no process. It refuses to follow or to send anything itself.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from carnet.encoding import b64
from carnet.node.keyring import KeyRing
from carnet.services.accounts.office import Office
from carnet.services.logs import find_places, get_log
from carnet.services.settings import Settings
from carnet.services.webhooks.reaching import make_reach

WORKER: Final = (sys.executable, "-m", "carnet.services.webhooks.working")
LOCK: Final = "webhooks.lock"
LOOKS_EVERY_S: Final = 1.0
STARTS_EVERY_S: Final = 5.0
"""A process that ends at once is started again after so long."""


class HookWatcher:
    """Start it, and close it."""

    def __init__(self, home: Path, ring: KeyRing, office: Office, settings: Settings) -> None:
        self._home, self._ring, self._office, self._settings = home, ring, office, settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="carnet-webhooks", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._next_start = 0.0

    @property
    def process_id(self) -> int | None:
        """The process that works, while one does."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> HookWatcher:
        """Begin to watch."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop; the process ends with what it has at hand, and what was not noted is told again."""
        self._stop.set()
        self._thread.join(10)
        self._end()

    def _run(self) -> None:
        with (self._home / LOCK).open("ab") as lock:
            while not self._stop.wait(LOOKS_EVERY_S):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                try:
                    self._look()
                except Exception as error:
                    get_log("carnet.webhooks").error("no look", kind=type(error).__name__, at=find_places(error))

    def _look(self) -> None:
        if not self._is_needed():
            self._end()
        elif self.process_id is None and time.monotonic() >= self._next_start:
            self._next_start = time.monotonic() + STARTS_EVERY_S
            self._begin()

    def _is_needed(self) -> bool:
        with self._office.people.look_up() as connection:
            query = "SELECT 1 FROM webhook WHERE ended_ms IS NULL AND stopped_ms IS NULL LIMIT 1"
            return connection.execute(query).fetchone() is not None

    def _begin(self) -> None:
        order = {
            "home": str(self._home),
            "index": b64(self._ring.index),
            "is_local": make_reach(self._settings, self._office).is_local,
            "kek": b64(self._ring.kek),
            "log_level": self._settings.log_level,
            "networks": list(self._settings.webhook_networks),
        }
        self._process = process = subprocess.Popen(WORKER, stdin=subprocess.PIPE, start_new_session=True)
        # What it is told stays out of its arguments and environment, which others can list.
        if process.stdin is not None:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
