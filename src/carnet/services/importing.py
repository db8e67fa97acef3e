"""Importing a file of the field: parsed as a stream, prepared by workers, sealed in order, and never twice.

    file ─▶ rows and faults ─▶ jobs of about a thousand rows ─▶ prepared ─▶ one transaction each ─▶ receipts

A row is known again by a keyed digest of its source, so an import that was killed is resumed by running it again.
Memory does not grow with the file. It refuses to know how a format is parsed, and to lose a good row because of a bad
one.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

from carnet.formats.faults import Fault
from carnet.formats.histovec import read_inspections
from carnet.formats.rows import Item, Row
from carnet.ledger.rules.members import Member
from carnet.node.pool import PreparePool, look_for_cycles_rarely
from carnet.node.writing import Writing
from carnet.services.import_run import NOWHERE, OPENING, Progress, PutOff, Run, Sinks, Summary, note_fault
from carnet.services.regrouping import Batch, Regrouping
from carnet.types import Basis, Millis

__all__ = [
    "HISTOVEC",
    "INSPECTION",
    "NOWHERE",
    "OPENING",
    "Format",
    "Progress",
    "Sinks",
    "Summary",
    "choose_worker_count",
    "import_file",
    "take_census_if_due",
    "validate_file",
]

INSPECTION = "vehicle.inspection/1"

BATCH_ROWS = 1_000
SHARED_BATCH_ROWS = 16
"""Rows of a batch while others wait for the writer too: 1.3 ms of it, where a thousand take 20. A batch costs it one of
these by itself."""

MAX_BATCH_ROWS = 4 * BATCH_ROWS
"""A vehicle is not split between batches, unless it alone has as many rows as this."""

SWITCH_S = 0.0005
"""How long the thread that reads the file may keep another one from going on with a commit: Python's own 5 ms, at each
of some forty answers of a server, were more than a batch takes."""


class Format(NamedTuple):
    """A format of the field: its parser, and the kinds of entry that its rows become.

    `opens_as` is the scheme under which rows about a plate that no passport knows open one; without it they are faulty.
    """

    read: Callable[[Iterable[bytes], Millis], Iterator[Item]]
    kinds: tuple[str, ...]
    opens_as: str | None = None


HISTOVEC = Format(read_inspections, (INSPECTION,))
"""French roadworthiness inspections, anonymised."""


def validate_file(format_: Format, chunks: Iterable[bytes], now: Millis, sinks: Sinks, progress: Progress) -> Summary:
    """Read the whole file as an import would, and write nothing but the faults. `sealed` counts what would be sealed at
    most: what is sealed already is not looked up."""
    summary, subjects = Summary(), set[int]()
    for item in format_.read(chunks, now):
        summary.rows_read += 1
        if isinstance(item, Fault):
            note_fault(summary, item, sinks)
        else:
            # 64 bits of the subject are enough to count with, and are all that is kept of it.
            subjects.add(hash(item.subject))
        if summary.rows_read % BATCH_ROWS == 0:
            progress(summary)
    summary.passports = len(subjects)
    progress(summary)
    return summary


def import_file(
    writer: Writing,
    member: Member,
    format_: Format,
    chunks: Iterable[bytes],
    now: Millis,
    *,
    sinks: Sinks = NOWHERE,
    progress: Progress = lambda summary: None,
    worker_count: int = 0,
    batch_rows: int = BATCH_ROWS,
    basis: int = Basis.REPORTED,
    stop_put_off: PutOff | None = None,
) -> Summary:
    """Seal every good row that is not sealed yet, reported by `member` (basis 3), or said by it (basis 2), and take a
    census at the end.

    Raises Refused(NOT_ACCREDITED) before anything is read if the member may not say such entries on this basis, or
    report without opening passports: who only says them need not open any. A receipt is written only after its commit.
    With `stop_put_off`, on a KeyboardInterrupt what is under way is waited for where receipts are asked for, and these
    are written.
    """
    for kind in (OPENING, *format_.kinds) if basis == Basis.REPORTED else format_.kinds:
        member.check_accredited(kind, basis, writer.state.rules.get_kind(kind).class_)
    # It tells whether others wait for it, too.
    writer.check_alive()
    if sinks.receipts is None:
        stop_put_off = None
    thresholds, before = look_for_cycles_rarely(), sys.getswitchinterval()
    # A commit in another thread asks for the interpreter each time the disk or the server has answered.
    sys.setswitchinterval(SWITCH_S)
    try:
        with PreparePool(writer.context(), worker_count) as pool:
            run = Run(
                writer,
                member,
                pool,
                now,
                sinks,
                progress,
                format_.opens_as,
                basis,
                window=2 * worker_count,
                stop_put_off=stop_put_off or nullcontext,
            )
            # On an error what is in flight is dropped with the pool: the next run will find it in the file again.
            try:
                for batch in _make_batches(writer, format_.read(chunks, now), run, batch_rows):
                    run.add(batch)
                run.drain()
            except KeyboardInterrupt:
                # Sealed it will be anyway. Where an answer may have been cut in two, nobody waits for the rest of it.
                if stop_put_off is not None:
                    run.land()
                raise
        take_census_if_due(writer)
    finally:
        sys.setswitchinterval(before)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    progress(run.summary)
    return run.summary


def take_census_if_due(writer: Writing) -> bool:
    """Take a census if anything was logged after the last one, or there is none; whether one was taken."""
    latest = writer.state.censuses.get(writer.node_id)
    if latest is not None and latest.index == writer.state.size - 1 and not writer.is_census_owed:
        writer.keep_checkpoint()
        return False
    writer.take_census()
    return True


def choose_worker_count(byte_count: int | None) -> int:
    """How many workers a file is worth: starting one takes as long as some thousands of rows. None: size unknown."""
    if byte_count is not None and byte_count < 4_000_000:
        return 0
    # One for each processor: a worker waits for its rows about as long as the writer waits for the disk.
    return max(1, min(8, os.cpu_count() or 2))


# ---- batches


def _make_batches(writer: Writing, items: Iterable[Item], run: Run, batch_rows: int) -> Iterator[Batch]:
    """Good rows in batches that end between vehicles, in an order that suits the store."""

    def get_size() -> int:
        return min(batch_rows, SHARED_BATCH_ROWS) if writer.is_shared else batch_rows

    regrouping = Regrouping(run.find_numbers, writer.index_key, get_size)
    for rows in _cut(items, run, lambda: regrouping.best_size or get_size()):
        yield from regrouping.add(rows)
    yield from regrouping.drain()


def _cut(items: Iterable[Item], run: Run, get_size: Callable[[], int]) -> Iterator[list[Row]]:
    """Good rows as they stand in the file, so many at once; faults are noted on the way."""
    batch: list[Row] = []
    batch_rows = get_size()
    for item in items:
        run.summary.rows_read += 1
        if isinstance(item, Fault):
            note_fault(run.summary, item, run.sinks)
            continue
        is_full = len(batch) >= batch_rows and item.subject != batch[-1].subject
        if is_full or len(batch) >= MAX_BATCH_ROWS:
            yield batch
            batch, batch_rows = [], get_size()
        batch.append(item)
    if batch:
        yield batch
