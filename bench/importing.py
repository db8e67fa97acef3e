"""The certified import, whole: bytes of a file in, durable entries and a census out; and where the time goes.

An entry is a row or the opening of a passport: both are signed, linked, encrypted and sealed alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec

from bench.checking import check_proofs, check_store
from bench.figures import IS_QUICK, ROUNDS, Figure, make_figure, middle, open_folder, take_time
from bench.inspections import ROWS_PER_VEHICLE, make_grouped, make_interleaved
from bench.peers import open_tessera
from carnet.formats.histovec import read_inspections
from carnet.node.home import Home
from carnet.node.jobs import Job, Prepared
from carnet.node.placing import Outcome
from carnet.node.prepare import Preparer
from carnet.node.writer import Writer
from carnet.node.writing import Preparing
from carnet.services.apart import open_writer_apart
from carnet.services.founding import found, get_operator, now_ms, open_writer_at
from carnet.services.importing import HISTOVEC, Summary, choose_worker_count, import_file

VEHICLES = 3_000 if IS_QUICK else 17_000
BATCH = 1_000
WORKERS = choose_worker_count(None)
SHAPES: dict[str, Callable[[int], Iterator[bytes]]] = {"grouped": make_grouped, "interleaved": make_interleaved}


def measure() -> list[Figure]:
    """Entries a second for both shapes, beside plain inserts of the same rows and Tessera's leaves; each stage's share;
    bytes on disk."""
    rates: dict[str, list[float]] = {shape: [] for shape in SHAPES}
    plain: dict[str, list[float]] = {shape: [] for shape in SHAPES}
    sizes: list[float] = []
    rows = VEHICLES * ROWS_PER_VEHICLE
    entries = rows + VEHICLES
    files = {shape: list(make(VEHICLES)) for shape, make in SHAPES.items()}
    # What was made stays until all is measured: to remove it takes the disk from whoever comes next.
    with open_tessera() as logs, open_folder("import") as kept:
        taken: dict[str, list[float]] = {log.name: [] for log in logs}
        for _ in range(ROUNDS):
            for shape, lines in files.items():
                seconds, size = run_import(Path(mkdtemp(dir=kept)), lines, rows)
                rates[shape].append(entries / seconds)
                if shape == "grouped":
                    sizes.append(size / entries)
                plain[shape].append(rows / take_time(partial(insert_plainly, Path(mkdtemp(dir=kept)), lines)))
            for log in logs:
                taken[log.name].append(log.measure())
    figures = [
        make_figure(
            f"certified import, {shape}",
            middle(found),
            "entries/s",
            peer=("plain pysqlite3 inserts of the same file", middle(plain[shape])),
            at_least=35_000,
        )
        for shape, found in rates.items()
    ]
    figures += [
        make_figure(
            f"certified import, {shape}, again",
            middle(found),
            "entries/s",
            peer=(log.name, middle(taken[log.name])),
            at_least_ratio=log.wanted,
        )
        for log in logs
        for shape, found in rates.items()
    ]
    figures += measure_stages(files["grouped"][: 1 + VEHICLES // 3])
    figures.append(make_figure("stored entry, with its share of all", middle(sizes), "bytes", at_most=400))
    return figures


def run_import(folder: Path, lines: list[bytes], rows: int) -> tuple[float, int]:
    """(seconds, bytes of the store) of one whole import into a new node, census included. What it made is checked."""
    home = Home(folder / "home")
    found(home, name="bench.example")
    with open_writer_apart(home, None, "bench") as writer:
        summary: list[Summary] = []

        def work() -> None:
            operator = get_operator(writer)
            summary.append(
                import_file(writer, operator, HISTOVEC, lines, now_ms(), worker_count=WORKERS, batch_rows=BATCH)
            )

        seconds = take_time(work)
    if summary[0].sealed != rows or summary[0].faulty:
        raise RuntimeError(f"the bench's own rows were not sealed: {summary[0]}")
    check_store(home)
    check_proofs(home)
    return seconds, home.store.stat().st_size


def insert_plainly(folder: Path, lines: Iterable[bytes]) -> None:
    """The peer: the same rows, read with the same parser of JSON, plainly inserted, as durably, a batch at a time."""
    from pysqlite3 import dbapi2

    connection = dbapi2.connect(str(folder / "plain.db"), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE inspection (vehicle TEXT, date TEXT, start TEXT, end TEXT, km INTEGER, nature TEXT, result TEXT,"
        " centre TEXT, pv TEXT)"
    )
    decoder = msgspec.json.Decoder()
    waiting: list[tuple[Any, ...]] = []

    def flush() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO inspection VALUES (?,?,?,?,?,?,?,?,?)", waiting)
        connection.execute("COMMIT")
        waiting.clear()

    for line in lines:
        document = decoder.decode(line)
        for one in document["inspections"]:
            names = ("date", "start", "end", "km", "nature", "result", "centre", "pv")
            waiting.append((document["vehicle"], *(one[name] for name in names)))
        if len(waiting) >= BATCH:
            flush()
    flush()
    connection.close()


# ---- where the time goes


def measure_stages(lines: list[bytes]) -> list[Figure]:
    """The share of each stage, in one process, so that shares add up to the whole."""
    rounds = [_run_stages(lines) for _ in range(ROUNDS)]
    totals = [sum(one.values()) for one in rounds]
    figures = []
    for stage in rounds[0]:
        share = middle([100 * one[stage] / total for one, total in zip(rounds, totals, strict=True)])
        figures.append(make_figure(f"share of {stage}", share, "%"))
    return figures


def _run_stages(lines: list[bytes]) -> dict[str, float]:
    parse = take_time(lambda: sum(1 for _ in read_inspections(lines, now_ms())))
    with open_folder("stages") as folder:
        home = Home(folder / "home")
        found(home, name="bench.example")
        with open_writer_at(home, None, "bench") as writer:
            watch, prepared = _Watch(writer), _Prepared()
            whole = take_time(
                lambda: import_file(writer, get_operator(writer), HISTOVEC, lines, now_ms(), batch_rows=BATCH)
            )
            watch.stop()
            prepared.stop()
    return {
        "parse": parse,
        "group, know again": whole - parse - prepared.seconds - watch.commit_s,
        "prepare": prepared.seconds,
        "link, hash, check": watch.commit_s - watch.insert_s - watch.sync_s,
        "insert": watch.insert_s,
        "commit (fsync)": watch.sync_s,
    }


class _Prepared:
    """Times the preparers of this process."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._prepare = Preparer.prepare

        def prepare(preparer: Preparer, job: Job) -> Prepared:
            started = time.perf_counter()
            try:
                return self._prepare(preparer, job)
            finally:
                self.seconds += time.perf_counter() - started

        Preparer.prepare = prepare  # type: ignore[method-assign]

    def stop(self) -> None:
        """Give preparers their own back."""
        Preparer.prepare = self._prepare  # type: ignore[method-assign]


class _Watch:
    """Times a writer's commits, and within them the driver's inserts and the COMMIT itself. It changes nothing else."""

    def __init__(self, writer: Writer) -> None:
        self.commit_s = 0.0
        self._writer: Any = writer
        self._commit = writer.commit
        self.driver = _Driver(self._writer._connection)
        self._writer._connection = self.driver
        self._writer.start_commit = self._time_commit

    @property
    def insert_s(self) -> float:
        """Seconds in the driver's inserts."""
        return self.driver.insert_s

    @property
    def sync_s(self) -> float:
        """Seconds in the COMMIT."""
        return self.driver.sync_s

    def stop(self) -> None:
        """Give the writer its own back."""
        self._writer._connection = self.driver.connection
        del self._writer.start_commit

    def _time_commit(self, preparing: Preparing, *, is_quiet: bool = False) -> Future[Outcome]:
        # At once, so that nothing else goes on meanwhile and shares add up.
        prepared = preparing.result()
        started = time.perf_counter()
        done: Future[Outcome] = Future()
        (outcome,) = self._commit([prepared], is_quiet=is_quiet)
        done.set_result(outcome)
        self.commit_s += time.perf_counter() - started
        return done


class _Driver:
    """A connection whose inserts and commits are timed."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.insert_s = self.sync_s = 0.0

    def executemany(self, sql: str, rows: Any) -> Any:
        """As the driver does."""
        return self._insert(self.connection.executemany, sql, rows)

    def insert_many(self, sql: str, rows: Any) -> Any:
        """As the driver does."""
        return self._insert(self.connection.insert_many, sql, rows)

    def insert_in_order(self, parts: Any) -> None:
        """As the driver does."""
        for sql, rows in parts:
            self.insert_many(sql, rows)

    def commit(self) -> None:
        """As the driver does."""
        started = time.perf_counter()
        self.connection.commit()
        self.sync_s += time.perf_counter() - started

    def _insert(self, insert: Callable[[str, Any], Any], sql: str, rows: Any) -> Any:
        started = time.perf_counter()
        try:
            return insert(sql, rows)
        finally:
            self.insert_s += time.perf_counter() - started

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)
