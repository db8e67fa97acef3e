"""The records of file jobs: a folder for each in the node's home, which the server names, of mode 0700.

    HOME/files/job_…/  job.json   content   progress.json   faults.ndjson   faulty   receipts.ndjson
                       known.json   mapping.json   mends.json   reading.json   duplicates.ndjson

    uploading → queued → running → done | failed        looked at only, or certified at once
    uploading → queued → running → waiting → (mended, read again) → queued → running → done

A job outlives every process: what was acknowledged of its file is on the disk, and a job that was begun is begun again
(no row is sealed twice). It refuses to know what is in a file, and to show a job to another member.
Design: security 17, 41.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec

from carnet.errors import Reason, Refused
from carnet.formats.remarks import Remark
from carnet.node.home import Home, write_private
from carnet.services.names import Prefix, find_id, format_name
from carnet.types import MemberId, Millis
from carnet.vault.disk import explained_disk_errors, sync_directory

State = Literal["uploading", "queued", "running", "waiting", "done", "failed", "cancelled"]
Stage = Literal["look", "prepare", "seal"]
Format = Literal["mapping", "histovec", "registry", "report", "dvsa", "rdw", "vpic", "guess"]

MAX_FILE_BYTES: Final = 512 * 1024 * 1024
MAX_PART_BYTES: Final = 8 * 1024 * 1024
MAX_MAPPING_BYTES: Final = 256 * 1024
MAX_OPEN_JOBS: Final = 20
"""Of one member that are not over yet."""

BELL: Final = "bell"
"""A file that is touched when a job begins to wait for its turn: cheaper to look at than all the jobs."""

T = TypeVar("T")

ENDED: Final = frozenset({"done", "failed", "cancelled"})
KEPT_MS: Final = 7 * 86_400_000
"""How long a job's outcome is kept after its end; its file goes with the end."""

WAITS_MS: Final = 30 * 86_400_000
"""How long a file waits to be mended and certified."""

MAX_MENDED_CELLS: Final = 5_000
MAX_CELL_CHARACTERS: Final = 2_000


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a member wants to send: what it calls it, its format (`guess`: find out), the mapping document for
    `mapping`, the vehicle that a report is of, its size in bytes, whether it is only to be looked at, and whether it
    waits to be reviewed before it is certified."""

    name: str
    format: Format
    size: int
    mapping: dict[str, Any] | None = None
    subject: str | None = None
    validate_only: bool = False
    review: bool = False

    @property
    def is_looked_at(self) -> bool:
        """Whether it is read before anything of it is certified. What was guessed always is."""
        return self.validate_only or self.review or self.format == "guess"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows so far: `rows_read` = ready + sealed + duplicate + faulty. Rows are ready while a file is
    only looked at."""

    rows_read: int = 0
    ready: int = 0
    sealed: int = 0
    duplicate: int = 0
    faulty: int = 0
    passports: int = 0
    bytes_read: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is kept. `member` in hexadecimal; times in ms; `failure` is (code, sentence) where all of it
    failed, and `cause` why in particular; `stage` is what is done with it when its turn comes (`prepare`: what the
    member's own key, by its digest `own_key`, is to sign), `certified_by` who said that it is to be sealed."""

    id: str
    member: str
    made_by: str
    wish: Wish
    state: State
    created_ms: Millis
    ended_ms: Millis | None = None
    tries: int = 0
    counts: Counts = Counts()
    failure: tuple[str, str] | None = None
    cause: Remark | None = None
    stage: Stage = "seal"
    certified_by: str | None = None
    queued_ms: Millis = 0
    own_key: str | None = None


class Known(msgspec.Struct, frozen=True):
    """A mapping that a member has saved: its id, how the files are read that it is for (`delimited`, `json`, `rows`),
    their columns in order, and the document."""

    id: str
    type: str
    columns: tuple[str, ...]
    document: dict[str, Any]


class Files:
    """The jobs of one home. For any thread and process."""

    def __init__(self, home: Home, clock: Callable[[], Millis], random_bytes: Callable[[int], bytes]) -> None:
        self.root = home.path / "files"
        self._clock, self._random_bytes = clock, random_bytes

    def create(
        self, member: MemberId, made_by: str, wish: Wish, seed: bytes | None = None, known: Sequence[Known] = ()
    ) -> Job:
        """A job that waits for its file. With the same `seed` (of an idempotency key) it is the same job. `known` are
        the mappings by which it may be read.

        Raises Refused REQUEST_TOO_LARGE, VALUE_OUT_OF_RANGE, MISSING_FIELD, TOO_MANY_REQUESTS (too many are open).
        """
        _check_wish(wish)
        id_ = format_name(Prefix.JOB, self._random_bytes(16) if seed is None else seed[:16])
        if self.find(id_) is not None:
            return self.get(member, id_)
        if sum(job.state not in ENDED for job in self.list(member)) >= MAX_OPEN_JOBS:
            raise Refused(
                Reason.TOO_MANY_REQUESTS,
                f"{MAX_OPEN_JOBS} files of yours are waiting already: let one end, or cancel one",
                could_retry=True,
                retry_after_s=60,
            )
        now = self._clock()
        job = Job(
            id=id_,
            member=member.hex(),
            made_by=made_by,
            wish=wish,
            state="uploading",
            created_ms=now,
            stage="look" if wish.is_looked_at else "seal",
        )
        folder = self.root / id_
        # A folder without a record is what a kill has left of the same call.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock(id_):
            if self.find(id_) is not None:
                return self.get(member, id_)
            if known:
                write_private(folder / "known.json", msgspec.json.encode(list(known)))
            os.close(os.open(folder / "content", os.O_WRONLY | os.O_CREAT, 0o600))
            self.save(job)
        for parent in (self.root, self.root.parent):
            sync_directory(parent)
        (self.root / BELL).touch(mode=0o600)
        return job

    def now(self) -> Millis:
        """The clock of these jobs."""
        return self._clock()

    def get(self, member: MemberId, id_: str) -> Job:
        """A job of this member, with its progress. Raises Refused(NOT_FOUND), for another's too."""
        job = self.find(id_)
        if job is None or job.member != member.hex():
            raise _not_found()
        return job

    def find(self, id_: str) -> Job | None:
        """A job by its id, whosesoever it is."""
        if find_id(Prefix.JOB, id_) is None:
            return None
        try:
            job = msgspec.json.decode((self.root / id_ / "job.json").read_bytes(), type=Job)
        except (OSError, msgspec.DecodeError):
            # One record that cannot be read keeps nobody from the others.
            return None
        if job.state != "running":
            # What is left of how far it was is no more true.
            return job
        with suppress(OSError, msgspec.DecodeError):
            counts = msgspec.json.decode((self.root / id_ / "progress.json").read_bytes(), type=Counts)
            return msgspec.structs.replace(job, counts=counts)
        return job

    def list(self, member: MemberId | None = None) -> list[Job]:
        """The jobs of a member, or of all, the oldest first."""
        found = [job for job in map(self.find, self._list_names()) if job is not None]
        mine = [job for job in found if member is None or job.member == member.hex()]
        return sorted(mine, key=lambda job: (job.created_ms, job.id))

    def save(self, job: Job) -> None:
        """Keep the record, durably and in one step."""
        write_private(self.root / job.id / "job.json", msgspec.json.encode(job))

    def path(self, job: Job, name: str) -> Path:
        """One of the files of a job. Its name is ours."""
        return self.root / job.id / name

    # ---- uploading

    def count_received(self, job: Job) -> int:
        """How many bytes of the file are on the disk; of one that is over, how many there were when it was whole."""
        if job.state != "uploading":
            return 0 if _was_given_up(job) else job.wish.size
        try:
            return self.path(job, "content").stat().st_size
        except FileNotFoundError:
            # It was cancelled since its record was read.
            return 0

    def add_part(self, member: MemberId, id_: str, offset: int, part: bytes) -> Job:
        """Add a part at this offset; when it returns, the part is on the disk. With the last one the job waits its
        turn.

        Raises Refused NOT_FOUND, UPLOAD_OFFSET (with where to go on), REQUEST_TOO_LARGE for more than was announced.
        """
        with self._locked(self.get(member, id_)) as job:
            if _was_given_up(job):
                raise Refused(Reason.UPLOAD_OFFSET, "this file was cancelled: announce it anew", offset=0)
            if job.state != "uploading":
                raise Refused(Reason.UPLOAD_OFFSET, "this file is complete already", offset=job.wish.size)
            received = self.count_received(job)
            if offset != received:
                saying = f"{received:,} bytes are here: go on from there"
                raise Refused(Reason.UPLOAD_OFFSET, saying, offset=received, pointer="#Upload-Offset")
            if received + len(part) > job.wish.size:
                raise Refused(Reason.REQUEST_TOO_LARGE, f"the file was announced with {job.wish.size:,} bytes")
            with self.path(job, "content").open("r+b") as content:
                content.seek(offset)
                content.write(part)
                content.flush()
                os.fsync(content.fileno())
            if received + len(part) == job.wish.size:
                job = self.queue(job, job.stage)
            return job

    def finish_upload(self, job: Job) -> None:
        """Let a job whose file is whole wait for its turn: a kill came between its last part and that."""
        if job.state != "uploading" or self.count_received(job) != job.wish.size:
            return
        with self._locked(job) as now:
            if now.state == "uploading" and self.count_received(now) == now.wish.size:
                self.queue(now, now.stage)

    def give_up(self, job: Job) -> None:
        """Forget a job whose file did not come whole, as if it had not been announced."""
        with self._locked(job) as now:
            if now.state == "uploading":
                shutil.rmtree(self.root / job.id)

    def queue(self, job: Job, stage: Stage, certified_by: str | None = None, own_key: str | None = None) -> Job:
        """Let it wait for its turn, and wake whoever watches. For whoever holds its lock."""
        queued = msgspec.structs.replace(
            job,
            state="queued",
            stage=stage,
            tries=0,
            certified_by=certified_by,
            own_key=own_key,
            queued_ms=self._clock(),
        )
        self.save(queued)
        (self.root / BELL).touch(mode=0o600)
        return queued

    def cancel(self, member: MemberId, id_: str) -> Job:
        """End a job that has not ended; its file goes. What is sealed stays."""
        return self.end(self.get(member, id_), "cancelled")

    # ---- waiting for somebody's word

    @contextmanager
    def changing(self, member: MemberId, id_: str) -> Iterator[Job]:
        """A job of this member, which nobody else changes meanwhile. Raises Refused(NOT_FOUND)."""
        with self._locked(self.get(member, id_)) as job:
            yield job

    # ---- at work

    @contextmanager
    def taking(self, id_: str) -> Iterator[Job | None]:
        """A running job, at which nobody else works meanwhile; None where it runs no more. What another is at, whose
        watcher died before it, is waited for."""
        try:
            lock = (self.root / id_ / "taker").open("ab")
        except FileNotFoundError:
            yield None
            return
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            job = self.find(id_)
            yield job if job is not None and job.state == "running" else None

    def begin(self, job: Job) -> Job | None:
        """It runs from now on, and this try counts; None where it ended meanwhile."""
        with self._locked(job) as now:
            if now.state not in ("queued", "running"):
                return None
            running = msgspec.structs.replace(now, state="running", tries=now.tries + 1)
            self.save(running)
            return running

    def put_back(self, job: Job) -> None:
        """Whoever was at it was told to stop: it waits for its turn again, and the try does not count."""
        with self._locked(job) as now:
            if now.state == "running":
                self.save(msgspec.structs.replace(now, state="queued", tries=job.tries - 1))

    def wait(self, job: Job, counts: Counts) -> Job:
        """It has been read: now somebody decides. One that was cancelled meanwhile stays so."""
        with self._locked(job) as now:
            if now.state in ENDED:
                return now
            waiting = msgspec.structs.replace(now, state="waiting", counts=counts, tries=0)
            self.save(waiting)
            self.path(job, "progress.json").unlink(missing_ok=True)
            return waiting

    def read(self, job: Job, name: str, type_: type[T]) -> T | None:
        """What one of the JSON files of a job holds; None where it is not there."""
        try:
            return msgspec.json.decode(self.path(job, name).read_bytes(), type=type_)
        except OSError:
            return None

    def write(self, job: Job, name: str, value: object) -> None:
        """Keep one of the JSON files of a job, durably and in one step."""
        write_private(self.path(job, name), msgspec.json.encode(value))

    # ---- its end

    def end(
        self,
        job: Job,
        state: State,
        counts: Counts | None = None,
        failure: tuple[str, str] | None = None,
        cause: Remark | None = None,
    ) -> Job:
        """The job is over: its record says so, then its file goes. One that ended before stays as it ended."""
        with self._locked(job) as now:
            if now.state in ENDED:
                return now
            told = job.counts if counts is None else counts
            ended = msgspec.structs.replace(
                now, state=state, counts=told, failure=failure, cause=cause, ended_ms=self._clock()
            )
            self.save(ended)
            for name in ("content", "progress.json", "known.json"):
                self.path(job, name).unlink(missing_ok=True)
            return ended

    def purge(self) -> int:
        """Remove jobs that ended, or were left half uploaded, a week ago, or that waited a month; how many. What a kill
        has left without a record goes after a week too."""
        now, count = self._clock(), 0
        for name in self._list_names():
            with suppress(FileNotFoundError):
                if self.find(name) is None and (self.root / name).stat().st_mtime * 1000 < now - KEPT_MS:
                    shutil.rmtree(self.root / name, ignore_errors=True)
        for job in self.list():
            is_over = job.ended_ms is not None and job.ended_ms < now - KEPT_MS
            is_left = job.state == "uploading" and job.created_ms < now - KEPT_MS
            if is_over or is_left or (job.state == "waiting" and job.queued_ms < now - WAITS_MS):
                shutil.rmtree(self.root / job.id, ignore_errors=True)
                count += 1
        return count

    @contextmanager
    def _locked(self, job: Job) -> Iterator[Job]:
        """The job as it is now, which nobody else changes meanwhile. Raises Refused(NOT_FOUND) where it is gone."""
        with self._lock(job.id):
            yield self.get(bytes.fromhex(job.member), job.id)

    @contextmanager
    def _lock(self, id_: str) -> Iterator[None]:
        try:
            lock = (self.root / id_ / "lock").open("ab")
        except FileNotFoundError:
            raise _not_found() from None
        with lock, explained_disk_errors(self.root):
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _list_names(self) -> Sequence[str]:
        names = [entry.name for entry in os.scandir(self.root)] if self.root.is_dir() else []
        return [name for name in names if name.startswith(Prefix.JOB)]


def _not_found() -> Refused:
    return Refused(Reason.NOT_FOUND, "there is no such file job here, or you may not see it")


def _was_given_up(job: Job) -> bool:
    """Whether it was cancelled before all of it had come."""
    return job.state == "cancelled" and not job.queued_ms


def _check_wish(wish: Wish) -> None:
    if wish.size > MAX_FILE_BYTES:
        raise Refused(Reason.REQUEST_TOO_LARGE, f"a file has at most {MAX_FILE_BYTES:,} bytes: send it in several")
    if wish.size < 1:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "an empty file holds no row", field="size")
    if (wish.mapping is None) == (wish.format == "mapping"):
        saying = "format mapping needs a mapping document, and no other has one: `carnet import guess` proposes one"
        raise Refused(Reason.MISSING_FIELD, saying, field="mapping")
    if len(msgspec.json.encode(wish.mapping)) > MAX_MAPPING_BYTES:
        raise Refused(Reason.REQUEST_TOO_LARGE, f"a mapping document has at most {MAX_MAPPING_BYTES:,} bytes")


def read_lines(path: Path, start: int, limit: int) -> tuple[Sequence[dict[str, Any]], bool]:
    """A page of a file of JSON lines, from this line on (0 is the first); and whether there are more. An absent file
    is empty, and a last line without its end is not written yet."""
    found = list(islice(iterate_lines(path), start, start + limit + 1))
    return found[:limit], len(found) > limit


def iterate_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The same, all of them, as they are asked for."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line)


def cut_torn_line(path: Path) -> None:
    """Remove what a kill has left behind the last whole line, so that the next line begins where one begins."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        size = at = file.seek(0, os.SEEK_END)
        while at:
            begun = max(0, at - 8192)
            file.seek(begun)
            found = file.read(at - begun).rfind(b"\n")
            if found >= 0:
                file.truncate(begun + found + 1)
                return
            at = begun
        if size:
            file.truncate(0)
