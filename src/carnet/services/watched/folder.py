"""Looking at a folder: each file that is whole becomes a job, is sealed as far as it is ready, and moves on, with an
account beside it.

    DIR/  a.csv → done/a.csv       all of it is sealed, now or before
                → problems/a.csv   something is left: a.csv.account.txt says what, a.csv.faulty has the rows
          .carnet/                 what is known of each file, by its contents

What a file is known by is its contents: a copy of one that was taken in is not taken in again. Every step can be done
again, so that nothing is lost or sealed twice when the process is killed between two of them. It refuses to seal what
nobody has looked at, and to touch a file that is still being written.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.home import write_private

DONE, PROBLEMS, KNOWN = "done", "problems", ".carnet"
UNFINISHED: Final = (".part", ".tmp", ".crdownload", ".partial", ".swp", "~")
"""Names that software gives to files which are not whole yet."""

LOOKED_AT: Final = frozenset({"given", "chosen", "saved", "template", "format"})
"""Ways in which a file is read that somebody has vouched for; a guess waits for a person."""

SHOWN_FAULTS: Final = 50
CHUNK_BYTES: Final = 1024 * 1024


class Seen(NamedTuple):
    """What became of a job so far, as `state` says: `waiting`, or one that is an end."""

    state: str
    counts: Mapping[str, int]
    origin: str | None = None
    problem: str | None = None


class FaultySaid(NamedTuple):
    """A row that was left out: its line in the file, the column to blame, and why."""

    line: int
    column: str | None
    why: str


class Desk(Protocol):
    """Where files are handed in: the node of this machine, or a service. Raises Refused, OSError, or what the client
    of a service raises."""

    def send(self, path: Path, digest: bytes, job: str | None) -> str:
        """Hand the file in, or go on with this job; the job. The same contents give the same job."""

    def follow(self, job: str) -> Seen | None:
        """What became of it, once it waits or has ended; None where there is no such job any more."""

    def certify(self, job: str) -> None:
        """Have the rows that are ready sealed."""

    def cancel(self, job: str) -> None:
        """Nothing more is to be done with it."""

    def list_faults(self, job: str, limit: int) -> Sequence[FaultySaid]:
        """The first rows that were left out."""

    def read_faulty(self, job: str) -> bytes:
        """These rows as they stood."""

    def where(self, job: str) -> str:
        """Where a person finds the job."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file: its name when it came, its job, and how it ended."""

    name: str
    job: str | None = None
    outcome: Literal["done", "problems"] | None = None


class Taken(NamedTuple):
    """A file that moved on: where to, and a sentence about it."""

    name: str
    outcome: Literal["done", "problems"]
    said: str
    counts: Mapping[str, int]


class Folder:
    """One watched folder. `settle_s` is how long a file stays as it is before it counts as whole."""

    def __init__(self, path: Path, desk: Desk, *, settle_s: float) -> None:
        self._path, self._desk, self.settle_s = path, desk, settle_s
        self._seen: dict[str, tuple[int, int, float]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Nobody else watches the folder meanwhile. Raises Refused(REQUEST_AT_WORK), OSError."""
        known = self._path / KNOWN
        for folder in (known, self._path / DONE, self._path / PROBLEMS):
            folder.mkdir(mode=0o700, exist_ok=True)
        with (known / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                saying = f"{self._path} is watched already, by another process of this machine"
                raise Refused(Reason.REQUEST_AT_WORK, saying, could_retry=True) from None
            try:
                yield
            finally:
                # Said, since a child that was begun a moment ago may have the file open too, and would keep the lock.
                fcntl.flock(lock, fcntl.LOCK_UN)

    def list_whole(self) -> list[Path]:
        """The files that have stayed as they are for long enough, by name; empty ones and unfinished ones never do."""
        now, whole, there = time.monotonic(), [], {}
        for entry in sorted(os.scandir(self._path), key=lambda one: one.name):
            if (
                entry.name.startswith(".")
                or entry.name.endswith(UNFINISHED)
                or not entry.is_file(follow_symlinks=False)
            ):
                continue
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                before = self._seen.get(entry.name)
                is_same = before is not None and before[:2] == (status.st_size, status.st_mtime_ns)
                since = before[2] if before is not None and is_same else now
                there[entry.name] = status.st_size, status.st_mtime_ns, since
                if status.st_size and now - since >= self.settle_s:
                    whole.append(Path(entry.path))
        self._seen = there
        return whole

    def take(self, path: Path) -> Taken:
        """Take in one file that is whole, and move it on. Done again after a kill, it ends the same."""
        digest = _digest(path)
        note = self._find(digest) or Note(name=path.name)
        if note.outcome is not None:
            said = f"the same file was taken in before, as {note.name}: nothing was sealed again"
            return self._move(path, digest, note, Taken(path.name, note.outcome, said, {}))
        try:
            note, seen = self._hand_in(path, digest, note)
        except Refused as refused:
            if refused.could_retry:
                raise
            # One file that is refused keeps no other waiting.
            note = self._find(digest) or note
            where = "" if note.job is None else f"; it waits at {self._desk.where(note.job)}"
            said = f"nothing was sealed: {refused.message}{where}"
            return self._move(path, digest, note, Taken(path.name, "problems", said, {}))
        return self._move(path, digest, note, self._judge(path, note.job or "", seen))

    def _hand_in(self, path: Path, digest: bytes, note: Note) -> tuple[Note, Seen]:
        for _ in range(2):
            job = self._desk.send(path, digest, note.job)
            if job != note.job:
                note = Note(name=path.name, job=job)
                self._keep(digest, note)
            seen = self._bring_to_its_end(job)
            if seen is not None:
                return note, seen
            # The job was forgotten where it lay: it is a new one then, and no row is sealed twice.
            note = Note(name=path.name)
        raise Refused(Reason.WRITER_AWAY, f"{path.name}: its job is nowhere to be found", could_retry=True)

    def _bring_to_its_end(self, job: str) -> Seen | None:
        seen = self._desk.follow(job)
        if seen is None or seen.state != "waiting":
            return seen
        if seen.problem is not None or seen.origin not in LOOKED_AT:
            return seen
        if not seen.counts["ready"]:
            if not seen.counts["faulty"]:
                # All of it was sealed before: nobody has to look at it again.
                self._desk.cancel(job)
            return seen
        self._desk.certify(job)
        return self._desk.follow(job)

    def _judge(self, path: Path, job: str, seen: Seen) -> Taken:
        counts = seen.counts
        rows = (
            f"{counts['rows_read']:,} rows = {counts['sealed']:,} sealed + {counts['duplicate']:,} sealed before + "
            f"{counts['faulty']:,} faulty"
        )
        if seen.state == "waiting":
            if seen.problem is None and not counts["ready"] and not counts["faulty"]:
                return Taken(path.name, "done", f"{rows}: nothing was new", counts)
            why = seen.problem or "nobody has said yet how such a file is to be read"
            if seen.problem is None and seen.origin in LOOKED_AT:
                why = "no row of it is ready"
            return Taken(
                path.name, "problems", f"nothing was sealed ({why}); it waits at {self._desk.where(job)}", counts
            )
        if seen.state != "done":
            return Taken(path.name, "problems", f"nothing was sealed: {seen.problem or seen.state}", counts)
        return Taken(path.name, "problems" if counts["faulty"] else "done", rows, counts)

    # ---- what is written down

    def _move(self, path: Path, digest: bytes, note: Note, taken: Taken) -> Taken:
        if _digest(path) != digest:
            # Written anew while it was at work: what is there now is another file, for the next look.
            self._keep(digest, Note(name=note.name, job=note.job, outcome=taken.outcome))
            return taken._replace(said=f"{taken.said}; another file has its name now, and is taken in next")
        to = self._path / taken.outcome / path.name
        if to.exists() and _digest(to) != digest:
            # Another file of this name: both stay.
            to = to.with_name(f"{to.stem}-{digest.hex()[:8]}{to.suffix}")
        if note.outcome is None:
            self._write_account(to, note.job, taken)
        os.replace(path, to)
        self._keep(digest, Note(name=note.name, job=note.job, outcome=taken.outcome))
        self._seen.pop(path.name, None)
        return taken

    def _write_account(self, to: Path, job: str | None, taken: Taken) -> None:
        lines = [taken.name, *([] if job is None else [f"job {job}"]), taken.said, ""]
        if job is not None and taken.counts.get("faulty"):
            found = self._desk.list_faults(job, SHOWN_FAULTS)
            lines += [f"line {one.line}{f', {one.column}' if one.column else ''}: {one.why}" for one in found]
            more = taken.counts["faulty"] - len(found)
            lines += [f"… and {more:,} more"] if more > 0 else []
            faulty = self._desk.read_faulty(job)
            if faulty:
                lines += ["", f"These rows stand in {to.name}.faulty: mend them, and drop that file here."]
                write_private(to.with_name(f"{to.name}.faulty"), faulty)
        write_private(to.with_name(f"{to.name}.account.txt"), "\n".join([*lines, ""]).encode())

    def _place(self, digest: bytes) -> Path:
        return self._path / KNOWN / f"{digest.hex()}.json"

    def _find(self, digest: bytes) -> Note | None:
        try:
            return msgspec.json.decode(self._place(digest).read_bytes(), type=Note)
        except FileNotFoundError:
            return None

    def _keep(self, digest: bytes, note: Note) -> None:
        write_private(self._place(digest), msgspec.json.encode(note))


def watch(
    folder: Folder,
    tell: Callable[[Taken], None],
    fail: Callable[[Path, Refused], None],
    *,
    every_s: float,
    is_once: bool,
) -> int:
    """Take in what is there and what comes; how many had a problem. Ends when nothing is left, if only `is_once`; else
    never. A refusal that may help to be tried again is told to `fail`, and the file stays for the next look."""
    problems = 0
    with folder.watching():
        waits = 0
        while True:
            found = folder.list_whole()
            for path in found:
                try:
                    taken = folder.take(path)
                except FileNotFoundError:
                    if path.exists():
                        raise
                    # Somebody has taken it away meanwhile.
                    continue
                except Refused as refused:
                    if not refused.could_retry or is_once:
                        raise
                    fail(path, refused)
                    break
                problems += taken.outcome == "problems"
                tell(taken)
            if is_once and not found:
                # Once more than a file takes to count as whole.
                waits += 1
                if waits > 1:
                    return problems
            time.sleep(max(every_s, folder.settle_s) if is_once and not found else every_s)


def _digest(path: Path) -> bytes:
    hashed = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            hashed.update(chunk)
    return hashed.digest()
