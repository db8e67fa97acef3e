"""Watching for jobs that wait: one thread of one worker of a home starts a process for each, the oldest first.

Which worker does it is settled by a lock, so that it goes on in another when this one dies. A job that was running when
its process died is begun again, three times at most. It refuses to read a file itself.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import msgspec

from carnet.encoding import b64
from carnet.errors import Reason
from carnet.node.keyring import KeyRing
from carnet.services.filing.records import Files, Job

TAKER: Final = (sys.executable, "-m", "carnet.services.filing.taking")
LOOKS_EVERY_S: Final = 0.5
PURGES_EVERY: Final = 2_000
MAX_TRIES: Final = 3


class Watcher:
    """Start it, and close it."""

    def __init__(self, home: Path, ring: KeyRing, files: Files) -> None:
        self._home, self._ring, self._files = home, ring, files
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="carnet-files", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Watcher:
        """Begin to watch."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop; a job at work is ended, and begun again by the next watcher."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        self._thread.join(10)

    def _run(self) -> None:
        self._files.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._files.root / "watcher.lock").open("ab") as lock:
            looks = 0
            while not self._stop.wait(LOOKS_EVERY_S):
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if looks % PURGES_EVERY == 0:
                    self._files.purge()
                looks += 1
                self._look()

    def _look(self) -> None:
        for job in self._files.list():
            if job.state in ("queued", "running") and not self._stop.is_set():
                self._take(job)

    def _take(self, job: Job) -> None:
        if job.tries >= MAX_TRIES:
            saying = "taking it in has failed three times: send it in smaller parts, or ask the operator"
            self._files.end(job, "failed", failure=(Reason.SERVICE_FAULT.value, saying))
            return
        self._files.save(msgspec.structs.replace(job, state="running", tries=job.tries + 1))
        order = {
            "home": str(self._home),
            "index": b64(self._ring.index),
            "job": job.id,
            "kek": b64(self._ring.kek),
        }
        # What it is told stays out of its arguments and environment, which others can list.
        self._process = subprocess.Popen(TAKER, stdin=subprocess.PIPE, start_new_session=True)
        try:
            self._process.communicate(json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            self._process.wait()
        if self._stop.is_set():
            # Not its own fault: the try does not count.
            found = self._files.find(job.id)
            if found is not None and found.state == "running":
                self._files.save(msgspec.structs.replace(found, state="queued", tries=job.tries))
