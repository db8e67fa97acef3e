"""Handing files to the node of this machine: they are jobs in its home, which `carnet serve` takes in.

It refuses to take a file in by itself: only a running node does.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.services.accounts.office import Office
from carnet.services.filing.acting import find_reading
from carnet.services.filing.desk import announce, certify_file
from carnet.services.filing.reading import FAULTS
from carnet.services.filing.records import ENDED, MAX_PART_BYTES, Files, Job, Wish, iterate_lines
from carnet.services.principals import Principal, Standing
from carnet.services.watched.folder import FaultySaid, Seen

LOOKS_EVERY_S: Final = 0.2
ALONE_S: Final = 20.0
"""After so long without anybody who takes files in, it is said."""


class HereDesk:
    """The desk of a home, in the name of one member. `mapping` is how every file is read, or None to find out."""

    def __init__(self, files: Files, office: Office, member: Member, mapping: dict[str, Any] | None = None) -> None:
        self._files, self._office, self._member, self._mapping = files, office, member, mapping
        self._principal = Principal(Standing.OPERATOR)

    def send(self, path: Path, digest: bytes, job: str | None) -> str:
        """See `Desk`."""
        found = None if job is None else self._files.find(job)
        if found is None:
            found = self._announce(path, digest)
        if found.state == "uploading":
            with path.open("rb") as file:
                at = self._files.count_received(found)
                file.seek(at)
                while part := file.read(MAX_PART_BYTES):
                    self._files.add_part(self._member.id, found.id, at, part)
                    at += len(part)
            found = self._files.find(found.id) or found
            if found.state == "uploading":
                # It would wait for ever for what is not there any more.
                self._files.give_up(found)
                saying = f"{path.name} became shorter while it was read: it is looked at again"
                raise Refused(Reason.UNREADABLE_FILE, saying, could_retry=True)
        return found.id

    def _announce(self, path: Path, digest: bytes) -> Job:
        wish = Wish(
            name=path.name[:200],
            format="guess" if self._mapping is None else "mapping",
            size=path.stat().st_size,
            mapping=self._mapping,
            review=True,
        )
        return announce(self._files, self._office, self._member.id, self._principal, wish, digest[:16])

    def follow(self, job: str) -> Seen | None:
        """See `Desk`. Raises Refused(WRITER_AWAY) where no node is running that would take it in."""
        until = time.monotonic() + ALONE_S
        while True:
            found = self._files.find(job)
            if found is None:
                return None
            if found.state == "waiting" or found.state in ENDED:
                return self._see(found)
            if time.monotonic() > until:
                self._check_somebody_takes()
                until = time.monotonic() + ALONE_S
            time.sleep(LOOKS_EVERY_S)

    def _see(self, job: Job) -> Seen:
        reading = find_reading(self._files, job)
        problem = None if reading is None or reading.problem is None else reading.problem[1]
        if job.failure is not None:
            problem = job.failure[1]
        return Seen(job.state, msgspec.structs.asdict(job.counts), None if reading is None else reading.origin, problem)

    def _check_somebody_takes(self) -> None:
        """Whoever takes files in holds the lock of the home's watcher."""
        with (self._files.root / "watcher.lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        raise Refused(
            Reason.WRITER_AWAY, "no node is running here that takes files in: start `carnet serve`", could_retry=True
        )

    def certify(self, job: str) -> None:
        """See `Desk`."""
        certify_file(self._files, self._office, self._member, self._principal, job)

    def cancel(self, job: str) -> None:
        """See `Desk`."""
        self._files.cancel(self._member.id, job)

    def list_faults(self, job: str, limit: int) -> Sequence[FaultySaid]:
        """See `Desk`."""
        found = self._get(job)
        return [
            FaultySaid(one["line"], one["column"], one["message"])
            for one in islice(iterate_lines(self._files.path(found, FAULTS)), limit)
        ]

    def read_faulty(self, job: str) -> bytes:
        """See `Desk`."""
        path = self._files.path(self._get(job), "faulty")
        return path.read_bytes() if path.exists() else b""

    def where(self, job: str) -> str:
        """See `Desk`."""
        return f"/console/files/{job}"

    def _get(self, job: str) -> Job:
        return self._files.get(self._member.id, job)
