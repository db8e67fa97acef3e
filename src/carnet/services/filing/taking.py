"""Taking in the file of one job: `python -m carnet.services.filing.taking`, started by `watching` and by nobody else.

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
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Final

import msgspec

from carnet.encoding import unb64
from carnet.errors import CarnetError, Reason, Refused
from carnet.formats.faults import Fault
from carnet.formats.mapping_document import read_mapping
from carnet.formats.rows import Item
from carnet.ledger.rules.members import Member
from carnet.node.door import RemoteWriter
from carnet.node.home import Home
from carnet.node.keyring import KeyRing
from carnet.node.writing import Writing
from carnet.passport.subject import parse_subject
from carnet.services.faulty import FaultyRows
from carnet.services.filing.records import Counts, Files, Job, Wish
from carnet.services.founding import now_ms
from carnet.services.importers import REGISTRY, make_dvsa, make_mapped, make_rdw, make_report, make_vpic
from carnet.services.importing import (
    HISTOVEC,
    Format,
    Sinks,
    Summary,
    choose_worker_count,
    import_file,
    validate_file,
)
from carnet.services.sources import Source
from carnet.services.tables import Table, open_mapped
from carnet.types import Basis, Millis

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
    order = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    home = Home(Path(order["home"]))
    ring = KeyRing(b"", b"", unb64(order["kek"], 32), unb64(order["index"], 32))
    files = Files(home, now_ms, os.urandom)
    job = files.find(order["job"])
    if job is None or job.state != "running":
        return 0
    writer = RemoteWriter(home, ring, clock=now_ms, random_bytes=os.urandom)
    try:
        take(files, writer, job)
    finally:
        writer.close()
    return 0


def take(files: Files, writer: Writing, job: Job, *, worker_count: int | None = None) -> Job:
    """Seal the good rows of a running job, or only look at them; the job, which has ended."""
    with ExitStack() as stack:
        try:
            counts = _take(files, writer, job, stack, worker_count)
        except Refused as refused:
            now = files.find(job.id)
            if refused.could_retry or now is None:
                raise
            if now.state == "cancelled":
                return now
            return files.end(job, "failed", failure=(refused.reason.value, refused.message))
        except (CarnetError, OSError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError, MemoryError) as error:
            saying = f"the file cannot be read to its end ({type(error).__name__})"
            return files.end(job, "failed", failure=(Reason.UNREADABLE_FILE.value, saying))
    now = files.find(job.id)
    if now is not None and now.state == "cancelled":
        return now
    return files.end(job, "done", counts)


def _take(files: Files, writer: Writing, job: Job, stack: ExitStack, worker_count: int | None) -> Counts:
    member = writer.state.members.get(bytes.fromhex(job.member))
    format_, source = _open(files.path(job, "content"), job.wish, stack)
    basis = choose_basis(member, format_, writer)
    sinks = _open_sinks(files, job, stack)
    tell = _Teller(files, job, source)
    chunks = _limit_bytes(source.chunks(), job.wish.size)
    limited = format_._replace(read=partial(_limit_rows, format_))
    if job.wish.validate_only:
        summary = validate_file(limited, chunks, now_ms(), sinks, tell)
    else:
        count = choose_worker_count(job.wish.size) if worker_count is None else worker_count
        summary = import_file(
            writer, member, limited, chunks, now_ms(), sinks=sinks, progress=tell, worker_count=count, basis=basis
        )
    return tell.count(summary)


def choose_basis(member: Member, format_: Format, writer: Writing) -> int:
    """On what ground a member's file is said: reported where the member speaks for files, else its own word.

    Raises Refused(NOT_ACCREDITED) where it may say them on neither.
    """
    for basis in (Basis.REPORTED, Basis.HOSTED):
        lines = [(kind, int(basis), writer.state.rules.get_kind(kind).class_) for kind in format_.kinds]
        if set(lines) <= set(member.accreditations):
            return basis
    raise Refused(
        Reason.NOT_ACCREDITED,
        f"{member.name} is not accredited for the entries of this file: {', '.join(format_.kinds)}",
    )


def _open(path: Path, wish: Wish, stack: ExitStack) -> tuple[Format, Source | Table]:
    subject = None if wish.subject is None else parse_subject(wish.subject)
    if wish.format == "mapping":
        mapping = read_mapping(wish.mapping)
        opened = open_mapped(path, mapping)
        stack.callback(opened.close)
        return make_mapped(mapping, None, opened if isinstance(opened, Table) else None), opened
    source = Source(path)
    stack.callback(source.close)
    formats = {
        "histovec": HISTOVEC,
        "registry": REGISTRY,
        "report": make_report(subject),
        "dvsa": make_dvsa(subject, None),
        "rdw": make_rdw(subject, "rdw"),
        "vpic": make_vpic(None),
    }
    return formats[wish.format], source


def _open_sinks(files: Files, job: Job, stack: ExitStack) -> Sinks:
    def create(name: str, *, is_new: bool = True) -> IO[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if is_new else os.O_APPEND)
        return stack.enter_context(os.fdopen(os.open(files.path(job, name), flags, 0o600), "wb"))

    # The faults of this run replace those of one that was cut short; receipts are for ever.
    faults, rows, receipts = create("faults.ndjson"), create("faulty"), create("receipts.ndjson", is_new=False)
    faulty = FaultyRows(faults, rows)
    stack.callback(faulty.finish)
    return Sinks(faulty, receipts)


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
            saying = f"more than {MAX_FAULTS:,} rows are faulty: is it a file of this format?"
            raise Refused(Reason.UNREADABLE_FILE, saying)
        yield item


class _Teller:
    """Writes how far the job is, twice a second; a crash may forget it."""

    def __init__(self, files: Files, job: Job, source: Source | Table) -> None:
        self._files, self._job, self._source = files, job, source
        self._next = 0.0

    def __call__(self, summary: Summary) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + TELLS_EVERY_S
        found = self._files.find(self._job.id)
        if found is None or found.state == "cancelled":
            raise Refused(Reason.NOT_FOUND, "the job was cancelled")
        path = self._files.path(self._job, "progress.json")
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self.count(summary)))
        new.replace(path)

    def count(self, summary: Summary) -> Counts:
        return Counts(
            rows_read=summary.rows_read,
            sealed=summary.sealed,
            duplicate=summary.duplicate,
            faulty=summary.faulty,
            passports=summary.passports,
            bytes_read=self._source.position,
        )


if __name__ == "__main__":
    sys.exit(main())
