"""Watching for jobs that wait: one thread of one worker of a home starts a process for each.

Files are looked at beside those that are being sealed, and no member has two of a kind at work: nobody's large file
keeps another's clerk waiting. While somebody is at a file, a process stands ready, so that a look begins at once. Which
worker watches is settled by a lock, so that it goes on in another when this one dies. A job that was running when its
process died is begun again, three times at most. It refuses to read a file itself.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.node.keyring import KeyRing
from carnet.services.filing.records import BELL, Files, Job, Stage
from carnet.services.logs import find_places, get_log

# It gives way from the beginning: to load what it needs takes as long as some thousands of rows.
_TAKE: Final = (
    "import sys; from carnet.services.giving_way import SOMEWHAT, give_way; give_way(SOMEWHAT);"
    " from carnet.services.filing.taking import main; sys.exit(main())"
)
TAKER: Final = (sys.executable, "-c", _TAKE)
LANES: Final[tuple[Stage, ...]] = ("look", "look", "prepare", "seal", "seal")
TICK_S: Final = 0.05
PAUSES_S: Final = 5.0
"""Until it is tried again after something went wrong that was not of one job."""
LOOKS_EVERY_S: Final = 0.5
PURGES_EVERY: Final = 2_000
MAX_TRIES: Final = 3
AT_WORK_MS: Final = 15 * 60_000
"""So long after its file was announced, or read, somebody is likely to be at a job."""


@dataclass(slots=True)
class Lane:
    """A place for one process. `job` is what it is at."""

    stage: Stage
    process: subprocess.Popen[bytes] | None = None
    job: Job | None = None


class Watcher:
    """Start it, and close it."""

    def __init__(self, home: Path, ring: KeyRing, files: Files) -> None:
        self._home, self._ring, self._files = home, ring, files
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="carnet-files", daemon=True)
        self._served: dict[tuple[str, Stage], float] = {}
        self._spare: subprocess.Popen[bytes] | None = None
        self.lanes = [Lane(stage) for stage in LANES]

    def start(self) -> Watcher:
        """Begin to watch."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop; a job at work is ended, and begun again by the next watcher."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        self._files.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._files.root / "watcher.lock").open("ab") as lock:
            try:
                self._watch(lock.fileno())
            finally:
                self._end()

    def _watch(self, lock: int) -> None:
        looks, due, rung = 0, 0.0, 0
        while not self._stop.wait(TICK_S):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            is_free = self._reap()
            bell, now = self._hear(), time.monotonic()
            if bell == rung and now < due and not is_free:
                continue
            rung, due = bell, now + LOOKS_EVERY_S
            try:
                if looks % PURGES_EVERY == 0:
                    self._files.purge()
                looks += 1
                self._look(self._files.list())
            except Exception as error:
                # A full disk above all: nobody else would take files in when there is room again.
                due = now + PAUSES_S
                get_log("carnet.files").error("files wait", kind=type(error).__name__, at=find_places(error))

    def _hear(self) -> int:
        try:
            return (self._files.root / BELL).stat().st_mtime_ns
        except OSError:
            return 0

    def _reap(self) -> bool:
        """Let lanes go whose process has ended; whether one did."""
        ended = [lane for lane in self.lanes if lane.process is not None and lane.process.poll() is not None]
        for lane in ended:
            lane.process = lane.job = None
        return bool(ended)

    def _look(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            with suppress(FileNotFoundError, Refused):
                self._files.finish_upload(job)
        at_work = {lane.job.id for lane in self.lanes if lane.job is not None}
        waiting = [job for job in jobs if job.state in ("queued", "running") and job.id not in at_work]
        for lane in self.lanes:
            if lane.process is not None or self._stop.is_set():
                continue
            busy = {one.job.member for one in self.lanes if one.job is not None and one.stage == lane.stage}
            mine = [job for job in waiting if job.stage == lane.stage and job.member not in busy]
            if mine:
                # Whoever was served longest ago comes first; of one member the oldest file.
                job = min(mine, key=lambda one: (self._served.get((one.member, one.stage), 0.0), one.created_ms))
                waiting.remove(job)
                self._take(lane, job)
        self._keep_spare(jobs)

    def _take(self, lane: Lane, job: Job) -> None:
        # It may have ended since the list was made.
        now = self._files.find(job.id)
        if now is None or now.state not in ("queued", "running"):
            return
        if now.tries >= MAX_TRIES:
            saying = "taking it in has failed three times: send it in smaller parts, or ask the operator"
            self._files.end(now, "failed", failure=(Reason.SERVICE_FAULT.value, saying))
            return
        if self._spare is None:
            self._spare = _start()
        running = self._files.begin(now)
        if running is None:
            return
        self._served[job.member, job.stage] = time.monotonic()
        lane.process, self._spare = self._spare, None
        lane.job = running
        order = {"home": str(self._home), "index": b64(self._ring.index), "job": job.id, "kek": b64(self._ring.kek)}
        if lane.process.stdin is not None:
            # What it is told stays out of its arguments and environment, which others can list.
            with suppress(BrokenPipeError):
                lane.process.stdin.write(json.dumps(order).encode() + b"\n")
                lane.process.stdin.close()

    def _keep_spare(self, jobs: Sequence[Job]) -> None:
        now = self._files.now()
        is_wanted = any(
            job.state in ("uploading", "waiting") and now - max(job.created_ms, job.queued_ms) < AT_WORK_MS
            for job in jobs
        )
        if self._spare is not None and (not is_wanted or self._spare.poll() is not None):
            _stop(self._spare)
            self._spare = None
        if is_wanted and self._spare is None and not self._stop.is_set():
            self._spare = _start()

    def _end(self) -> None:
        if self._spare is not None:
            _stop(self._spare)
        for lane in self.lanes:
            if lane.process is None or lane.job is None:
                continue
            _stop(lane.process)
            # Not its own fault. What cannot be written down is begun again all the same, and counted.
            with suppress(OSError, Refused):
                self._files.put_back(lane.job)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(TAKER, stdin=subprocess.PIPE, start_new_session=True)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
