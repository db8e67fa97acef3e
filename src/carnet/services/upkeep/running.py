"""Doing the jobs of upkeep: the process that serves starts the verb of the command line for each, one at a time, and
looks now and then whether it has ended.

The verb runs in a process of its own and gives way to whoever serves, so that a large backup keeps nobody waiting. No
secret is in its arguments: files are named, and the passphrase of the node's keys comes by its standard input.
"""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from carnet.errors import Reason
from carnet.node.home import Home
from carnet.services.accounts.office import Office
from carnet.services.settings import Settings
from carnet.services.upkeep.jobs import BACKUP, CHECK, Job, end_interrupted, end_job, take_next

DAMAGED: Final = Reason.NODE_DAMAGED.value
"""The problem of a check that has found something."""

# It gives way: of lower priority than those who answer.
_RUN: Final = (
    "import sys; from carnet.services.giving_way import give_way; give_way();"
    " from carnet.cli import main; sys.exit(main(sys.argv[1:]))"
)


class _Running(NamedTuple):
    job: Job
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]


class Runner:
    """For one process and one thread: call `look` now and then, and `close` at the end."""

    def __init__(
        self,
        home: Home,
        office: Office,
        settings: Settings,
        passphrase: str | None,
        environment: Mapping[str, str],
    ) -> None:
        self._home, self._office, self._settings = home, office, settings
        self._passphrase, self._environment = passphrase, dict(environment)
        self._running: _Running | None = None
        end_interrupted(office)

    def look(self) -> Job | None:
        """Note what has ended, or else start what waits; the job that ended now."""
        running = self._running
        if running is None:
            job = take_next(self._office)
            return None if job is None else self._begin(job)
        code = running.process.poll()
        if code is None:
            return None
        outcome = _read_outcome(running, code)
        # What cannot be noted now is noted at the next look: a job that ran for ever would let no other begin.
        end_job(self._office, running.job, outcome, is_good=code == 0)
        self._running = None
        _close(running)
        return running.job._replace(state="done" if code == 0 else "failed", outcome=outcome)

    def close(self) -> None:
        """End what runs: a backup that is not whole has no name. Idempotent."""
        running, self._running = self._running, None
        if running is not None:
            running.process.terminate()
            running.process.wait()
            end_job(self._office, running.job, {"problem": "interrupted"}, is_good=False)
            _close(running)

    def _begin(self, job: Job) -> Job | None:
        """Start it; the job where no process can be had for it, which has failed."""
        try:
            self._running = self._start(job)
        except OSError as error:
            outcome = {"problem": Reason.DISK_FULL.value if error.errno == errno.ENOSPC else Reason.SERVICE_FAULT.value}
            end_job(self._office, job, outcome, is_good=False)
            return job._replace(state="failed", outcome=outcome)
        return None

    def _start(self, job: Job) -> _Running:
        # Open until the job has ended (`_close`).
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", _RUN, "--home", str(self._home.path), *self._make_arguments(job), "--json"],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env=self._environment,
                start_new_session=True,
            )
        except BaseException:
            out.close()
            err.close()
            raise
        if process.stdin is not None:
            try:
                process.stdin.write(f"{self._passphrase or ''}\n".encode())
                process.stdin.close()
            except BrokenPipeError:
                # It has ended already; its exit code tells.
                pass
        return _Running(job, process, out, err)

    def _make_arguments(self, job: Job) -> list[str]:
        settings = self._settings
        if job.act == BACKUP:
            made = datetime.fromtimestamp(job.asked_at / 1000, UTC).strftime("%Y-%m-%dT%H%M%SZ")
            where = ["backup", "-o", str(Path(settings.backup_folder) / f"carnet-{made}.backup"), "--force"]
            if settings.backup_recipient:
                return [*where, "--to", settings.backup_recipient]
            return [*where, "--passphrase-file", settings.backup_passphrase_file]
        if job.act == CHECK:
            return ["fsck", *([] if self._passphrase is None else ["--passphrase-file", "/dev/stdin"])]
        keys = [] if self._passphrase is None else ["--keys-passphrase-file", "/dev/stdin"]
        return ["drill", "--passphrase-file", settings.backup_passphrase_file, *keys]


def _read_outcome(running: _Running, code: int) -> dict[str, Any]:
    """What the verb has told: its document, or of a failure the code, without any words."""
    running.out.seek(0)
    running.err.seek(0)
    told = _find_document(running.out.read())
    if told.get("findings"):
        told["problem"] = DAMAGED
    if code == 0 or "problem" in told:
        return told
    return {"problem": str(_find_document(running.err.read()).get("error", f"exit code {code}"))}


def _find_document(data: bytes) -> dict[str, Any]:
    """The last line that is an object of JSON."""
    for line in reversed(data.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}


def _close(running: _Running) -> None:
    running.out.close()
    running.err.close()
