"""Taking in the file of one job, in a process of its own that `watching` starts and nobody else does.

It is told its job in one line on its standard input, works in a process of its own with a limit on its memory, and
seals through the node's door. It refuses to read more rows, or more unpacked bytes, than a file may have.
Design: security 17.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Final

import msgspec

from carnet.encoding import unb64
from carnet.errors import CarnetError, Reason, Refused
from carnet.formats.faults import Fault
from carnet.formats.remarks import find_cause, refuse_file, remark
from carnet.formats.rows import Item
from carnet.ledger.rules.members import Member
from carnet.node.door import RemoteWriter
from carnet.node.home import Home
from carnet.node.keyring import KeyRing
from carnet.node.reader import Reader
from carnet.node.writing import Writing
from carnet.services.filing.acting import keeps_its_key
from carnet.services.filing.deciding import Opened, decide, open_job
from carnet.services.filing.looking import Account, CellFaults, Looker
from carnet.services.filing.own_key import ReadyRows, prepare, seal_prepared
from carnet.services.filing.reading import DOUBTS, DUPLICATES, FAULTS, MENDED, READING, Reading
from carnet.services.filing.records import Counts, Files, Job, cut_torn_line
from carnet.services.founding import now_ms
from carnet.services.giving_way import give_way
from carnet.services.importing import Format, Sinks, Summary, choose_worker_count, import_file
from carnet.services.sources import Source
from carnet.services.tables import Table
from carnet.types import Basis, Millis
from carnet.vault.disk import explain_disk_error, explained_disk_errors

MAX_ROWS: Final = 2_000_000
MAX_FAULTS: Final = 20_000
"""With more the file is another one than was said."""

FREE_BYTES: Final = 64 * 1024 * 1024
MAX_RATIO: Final = 100
"""A packed file unpacks to so many times its size at most, once it is past the free bytes."""

MAX_MEMORY_BYTES: Final = 2 * 1024**3
TELLS_EVERY_S: Final = 0.5


def main() -> int:
    """Take in one job; 0 if it ended, well or not."""
    line = sys.stdin.buffer.readline()
    if not line:
        # Nothing came for whoever stood ready.
        return 0
    order = json.loads(line)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    home = Home(Path(order["home"]))
    ring = KeyRing(b"", b"", unb64(order["kek"], 32), unb64(order["index"], 32))
    files = Files(home, now_ms, os.urandom)
    with files.taking(order["job"]) as job:
        if job is None:
            return 0
        if job.stage != "look":
            # Nobody sits before it.
            give_way()
        writer = RemoteWriter(home, ring, clock=now_ms, random_bytes=os.urandom)
        try:
            take(files, writer, job, read=lambda: Reader(home, ring, is_one_of_many=True))
        finally:
            writer.close()
    return 0


def take(
    files: Files,
    writer: Writing,
    job: Job,
    *,
    worker_count: int | None = None,
    read: Callable[[], Reader] | None = None,
) -> Job:
    """Do what a running job waits for: look at its file, prepare what is to be signed elsewhere (for both `read` opens
    the store), or seal the good rows; the job, which waits for a person's word or has ended."""
    with explained_disk_errors(files.root), ExitStack() as stack:
        try:
            if job.stage == "look":
                counts = _look(files, writer, job, stack, read)
            elif job.stage == "prepare" and read is not None:
                counts = _prepare(files, writer, job, stack, read)
            elif job.own_key is not None:
                counts = _seal_signed(files, writer, job, stack)
            else:
                counts = _seal(files, writer, job, stack, worker_count)
        except Refused as refused:
            now = files.find(job.id)
            if refused.could_retry or now is None:
                raise
            if now.state == "cancelled":
                return now
            return files.end(job, "failed", failure=(refused.reason.value, refused.message), cause=find_cause(refused))
        except (CarnetError, OSError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError, MemoryError) as error:
            if explain_disk_error(error) is not None:
                # Not the file's fault: it is begun again.
                raise
            cause = remark("not_to_its_end", error=type(error).__name__)
            return files.end(job, "failed", failure=(Reason.UNREADABLE_FILE.value, str(cause)), cause=cause)
    now = files.find(job.id)
    if now is not None and now.state == "cancelled":
        return now
    if job.stage == "prepare" or (job.stage == "look" and not job.wish.validate_only):
        return files.wait(job, counts)
    return files.end(job, "done", counts)


def _look(files: Files, writer: Writing, job: Job, stack: ExitStack, read: Callable[[], Reader] | None) -> Counts:
    """Read the file as it would be certified, and write down what became of each row."""
    member = writer.state.members.get(bytes.fromhex(job.member))
    now = now_ms()
    reading = decide(files, job, now)
    try:
        opened = open_job(files, job, reading, stack)
        others = (_create(files, job, stack, name) for name in (MENDED, DUPLICATES, DOUBTS))
        account = Account(_open_faults(files, job, opened, stack, now), *others)
        importer = opened.importer
        basis = choose_basis(member, importer, writer)
        looker = Looker(
            writer,
            member,
            basis,
            importer.opens_as,
            opened.mapping,
            opened.mends,
            account,
            read,
            tells_nothing=job.wish.validate_only,
        )
        stack.callback(looker.close)
        tell = _Teller(files, job, opened.source)
        chunks = _limit_bytes(opened.source.chunks(), job.wish.size)
        try:
            looker.look(_limit_rows(importer, chunks, now), lambda: tell(looker.count))
        finally:
            reading = msgspec.structs.replace(
                reading,
                counts=looker.count(opened.source.position),
                faulty_cells=looker.faulty_cells,
                kinds=importer.kinds,
                doubtful=looker.doubtful,
                mended_cells=looker.mended_cells,
                rows=tuple(looker.shown),
            )
    except Refused as refused:
        # Other columns may be chosen, unless nobody is to be asked.
        is_hopeless = refused.could_retry or refused.reason is Reason.REQUEST_TOO_LARGE
        if is_hopeless or reading.format != "mapping" or job.wish.validate_only or not reading.columns:
            raise
        reading = msgspec.structs.replace(
            reading, problem=(refused.reason.value, refused.message), cause=find_cause(refused)
        )
    files.write(job, READING, reading)
    return reading.counts


def _seal(files: Files, writer: Writing, job: Job, stack: ExitStack, worker_count: int | None) -> Counts:
    member = writer.state.members.get(bytes.fromhex(job.member))
    # What was looked at is sealed as it was read then.
    reading = files.read(job, READING, Reading) or decide(files, job, now_ms())
    opened = open_job(files, job, reading, stack)
    importer, source = opened.importer, opened.source
    basis = choose_basis(member, importer, writer)
    now = now_ms()
    # Receipts are for ever: those of a run that was cut short stay.
    receipts = _create(files, job, stack, "receipts.ndjson", is_new=False)
    sinks = Sinks(_open_faults(files, job, opened, stack, now), receipts, is_signed_later=True)
    tell = _Teller(files, job, source)
    chunks = _limit_bytes(source.chunks(), job.wish.size)
    limited = importer._replace(read=partial(_limit_rows, importer))
    count = choose_worker_count(job.wish.size) if worker_count is None else worker_count
    summary = import_file(
        writer,
        member,
        limited,
        chunks,
        now,
        sinks=sinks,
        progress=lambda summary: tell(partial(_count, summary)),
        worker_count=count,
        basis=basis,
    )
    return _count(summary, source.position)


def _prepare(files: Files, writer: Writing, job: Job, stack: ExitStack, read: Callable[[], Reader]) -> Counts:
    """Look at the file once more, and write down what the member's own key is to sign of it."""
    member, now = writer.state.members.get(bytes.fromhex(job.member)), now_ms()
    reading = files.read(job, READING, Reading) or decide(files, job, now)
    opened = open_job(files, job, reading, stack)
    others = (_create(files, job, stack, name) for name in (MENDED, DUPLICATES, DOUBTS))
    account = Account(_open_faults(files, job, opened, stack, now), *others)
    basis = choose_basis(member, opened.importer, writer)
    rows = ReadyRows(writer, member, basis, opened.importer.opens_as, opened.mapping, opened.mends, account)
    tell = _Teller(files, job, opened.source)
    chunks = _limit_bytes(opened.source.chunks(), job.wish.size)
    rows.look(_limit_rows(opened.importer, chunks, now), lambda: tell(rows.count))
    reader = read()
    try:
        prepare(files, job, reader, member, rows, now, os.urandom)
    finally:
        reader.close()
    return rows.count(opened.source.position)


def _seal_signed(files: Files, writer: Writing, job: Job, stack: ExitStack) -> Counts:
    """Seal what the member's own key has signed."""
    member = writer.state.members.get(bytes.fromhex(job.member))
    # All receipts come again where it was begun before; what could not be read stays told.
    receipts = _create(files, job, stack, "receipts.ndjson")
    faults = CellFaults(
        _create(files, job, stack, FAULTS, is_new=False),
        _create(files, job, stack, "faulty", is_new=False),
        None,
        {},
        now_ms(),
    )
    return seal_prepared(files, job, writer, member, job.counts, faults, receipts)


def _count(summary: Summary, bytes_read: int) -> Counts:
    return Counts(
        rows_read=summary.rows_read,
        sealed=summary.sealed,
        duplicate=summary.duplicate,
        faulty=summary.faulty,
        passports=summary.passports,
        bytes_read=bytes_read,
    )


def choose_basis(member: Member, format_: Format, writer: Writing) -> int:
    """On what ground a member's file is said: by its own key, if it keeps that itself; else reported where the member
    speaks for files, or its own word.

    Raises Refused(NOT_ACCREDITED) where it may say them on neither.
    """
    bases = (Basis.OWN_KEY,) if keeps_its_key(member) else (Basis.REPORTED, Basis.HOSTED)
    for basis in bases:
        lines = [(kind, int(basis), writer.state.rules.get_kind(kind).class_) for kind in format_.kinds]
        if set(lines) <= set(member.accreditations):
            return basis
    raise Refused(
        Reason.NOT_ACCREDITED,
        f"{member.name} is not accredited for the entries of this file: {', '.join(format_.kinds)}",
    )


def _create(files: Files, job: Job, stack: ExitStack, name: str, *, is_new: bool = True) -> IO[bytes]:
    path = files.path(job, name)
    if not is_new and name.endswith(".ndjson"):
        cut_torn_line(path)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if is_new else os.O_APPEND)
    file = stack.enter_context(os.fdopen(os.open(path, flags, 0o600), "wb"))
    stack.callback(_flush, file)
    return file


def _flush(file: IO[bytes]) -> None:
    """The record of a job that has ended is on the disk: so is what it speaks of."""
    file.flush()
    if os.fstat(file.fileno()).st_size:
        os.fsync(file.fileno())


def _open_faults(files: Files, job: Job, opened: Opened, stack: ExitStack, now: Millis) -> CellFaults:
    # The faults of this run replace those of one that was cut short.
    faults, rows = (_create(files, job, stack, name) for name in (FAULTS, "faulty"))
    writer = CellFaults(faults, rows, opened.mapping, opened.mends, now)
    stack.callback(writer.finish)
    return writer


def _limit_bytes(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    allowed, total = max(FREE_BYTES, MAX_RATIO * size), 0
    for chunk in chunks:
        total += len(chunk)
        if total > allowed:
            raise Refused(Reason.REQUEST_TOO_LARGE, f"the file unpacks to more than {allowed:,} bytes")
        yield chunk


def _limit_rows(format_: Format, chunks: Iterable[bytes], now: Millis) -> Iterator[Item]:
    faults = 0
    for number, item in enumerate(format_.read(chunks, now)):
        faults += isinstance(item, Fault)
        if number >= MAX_ROWS:
            raise Refused(Reason.REQUEST_TOO_LARGE, f"a file has at most {MAX_ROWS:,} rows: send it in several")
        if faults > MAX_FAULTS:
            raise refuse_file("many_faulty", most=MAX_FAULTS)
        yield item


class _Teller:
    """Writes how far the job is, twice a second; a crash may forget it."""

    def __init__(self, files: Files, job: Job, source: Source | Table) -> None:
        self._files, self._job, self._source = files, job, source
        self._next = 0.0

    def __call__(self, count: Callable[[int], Counts]) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + TELLS_EVERY_S
        found = self._files.find(self._job.id)
        if found is None or found.state == "cancelled":
            raise Refused(Reason.NOT_FOUND, "the job was cancelled")
        path = self._files.path(self._job, "progress.json")
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(count(self._source.position)))
        new.replace(path)
