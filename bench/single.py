"""One entry at a time, as a service gets them: signed, sealed and on the disk before it is acknowledged."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future
from pathlib import Path

from bench.figures import IS_QUICK, ROUNDS, Figure, make_figure, middle, open_folder, take_time
from bench.inspections import make_grouped
from carnet.formats.histovec import read_inspections
from carnet.formats.rows import Row
from carnet.node.home import Home
from carnet.node.jobs import Group, Item
from carnet.node.placing import Outcome
from carnet.services.founding import found, get_operator, now_ms, open_writer_at
from carnet.services.importing import HISTOVEC, import_file
from carnet.types import Basis

VEHICLES = 100
SUBMISSIONS = 2_000 if IS_QUICK else 10_000
IN_FLIGHT = 64


def measure() -> list[Figure]:
    """Submissions of one entry acknowledged in a second, beside one plain row a transaction, and how long a disk takes
    to say that it has written."""
    rates, peers, syncs = [], [], []
    for _ in range(ROUNDS):
        with open_folder("single") as folder:
            rates.append(SUBMISSIONS / _submit_all(folder))
            peers.append(SUBMISSIONS / take_time(lambda: _insert_one_by_one(folder)))
            syncs.append(_measure_sync(folder))
    return [
        make_figure(
            f"single submissions acknowledged, {IN_FLIGHT} in flight",
            middle(rates),
            "per s",
            peer=("one plain row a transaction", middle(peers)),
            at_least=4_000,
        ),
        make_figure("fdatasync of one page", middle(syncs), "µs"),
    ]


def _submit_all(folder: Path) -> float:
    home = Home(folder / "home")
    found(home, name="bench.example")
    lines = list(make_grouped(VEHICLES))
    rows = [row for row in read_inspections(lines, now_ms()) if isinstance(row, Row)]
    with open_writer_at(home, None, "bench") as writer:
        operator = get_operator(writer)
        import_file(writer, operator, HISTOVEC, lines, now_ms())
        chains = writer.find_chains({row.subject for row in rows})

        def work() -> None:
            waiting: deque[Future[Outcome]] = deque()
            for at in range(SUBMISSIONS):
                row = rows[at % len(rows)]
                groups = [Group([Item(row.kind, row.fields)], chains[row.subject])]
                if len(waiting) >= IN_FLIGHT:
                    _check(waiting.popleft())
                waiting.append(writer.submit(writer.prepare(writer.make_job(operator.id, Basis.REPORTED, groups))))
            while waiting:
                _check(waiting.popleft())

        return take_time(work)


def _check(future: Future[Outcome]) -> None:
    outcome = future.result()
    if len(outcome.receipts) != 1:
        raise RuntimeError(f"the bench's own entry was refused: {outcome}")


def _insert_one_by_one(folder: Path) -> None:
    from pysqlite3 import dbapi2

    connection = dbapi2.connect(str(folder / "plain.db"), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE inspection (vehicle TEXT, date TEXT, km INTEGER)")
    for at in range(SUBMISSIONS):
        connection.execute("INSERT INTO inspection VALUES (?,?,?)", (f"HV{at:08x}", "2026-11-25", at))
    connection.close()


def _measure_sync(folder: Path) -> float:
    """Microseconds; so few that the disk surely caches: it says nothing about a loss of power."""
    handle = os.open(folder / "page", os.O_CREAT | os.O_WRONLY)

    def work() -> None:
        for _ in range(200):
            os.pwrite(handle, bytes(8192), 0)
            os.fdatasync(handle)

    seconds = take_time(work)
    os.close(handle)
    return seconds / 200 * 1e6
