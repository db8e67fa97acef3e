"""Taking a census: now, or only if the last one has become too old or too much has changed since.

The caller brings the schedule (cron, a timer, a loop); whether it is due is decided here, from the store. It refuses to
wait for another writer.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from carnet.node.home import Home
from carnet.node.writing import Writing
from carnet.services.founding import now_ms, reach_writer_at
from carnet.types import Millis
from carnet.vault.ledger import parse_record


class Due(NamedTuple):
    """When a census is due: if the latest is older than so many ms, or more chains than so many have changed since.
    With neither, it always is."""

    older_than: Millis | None = None
    changed: int | None = None


class Taken(NamedTuple):
    """The latest census: its log index and time, how many chains it counts and how many of them were erased; how many
    had changed since the one before it (or, if none was taken, have since this one), and how long it took in ms."""

    is_taken: bool
    record: int
    at: Millis
    chain_count: int
    erased: int
    changed: int
    took_ms: int


def take_census(home: Home, due: Due, passphrase: str | None, command: str) -> Taken:
    """Take a census if it is due. Raises Refused(NO_NODE, WRITER_BUSY, WRONG_PASSPHRASE, NODE_DAMAGED)."""
    with reach_writer_at(home, passphrase, command) as writer:
        changed, started = writer.count_changed(), time.monotonic_ns()
        latest = writer.find_census()
        if latest is not None and not is_due(writer, latest, due, changed, now_ms()):
            writer.keep_checkpoint()
            return _tell(latest, changed, None)
        logged = writer.take_census()
        return _tell((logged.index, parse_record(logged.leaf)), changed, started)


def is_due(writer: Writing, latest: tuple[int, dict[str, Any]], due: Due, changed: int, now: Millis) -> bool:
    """Whether a census is asked for by age or by what changed, or because a passport was erased since the latest."""
    if due == Due() or writer.is_census_owed:
        return True
    is_old = due.older_than is not None and now - latest[1]["at"] > due.older_than
    return is_old or (due.changed is not None and changed > due.changed)


def _tell(latest: tuple[int, dict[str, Any]], changed: int, started: int | None) -> Taken:
    index, record = latest
    took_ms = 0 if started is None else (time.monotonic_ns() - started) // 1_000_000
    census = record["census"]
    return Taken(started is not None, index, record["at"], census["count"], census["erased"], changed, took_ms)
