"""A node that grows: is the last entry as quick as the first, does memory stay flat, what does daily life cost then?

14 % openings and 86 % inspections, grouped by vehicle, up to the whole size; then one more inspection for each of
many passports in random order; then every stored value and a thousand random proofs are checked, or nothing counts
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

from bench.checking import check_proofs, check_store
from bench.figures import IS_QUICK, Figure, make_figure, open_folder, take_time
from bench.importing import insert_plainly
from bench.inspections import ROWS_PER_VEHICLE, make_grouped, make_more
from carnet.node.home import Home
from carnet.node.writing import Writing
from carnet.services.apart import open_writer_apart
from carnet.services.founding import found, get_operator, now_ms
from carnet.services.importing import HISTOVEC, Summary, choose_worker_count, import_file

VEHICLES = int(os.environ.get("VEHICLES", "15000" if IS_QUICK else "715000"))
ENTRIES = VEHICLES * (ROWS_PER_VEHICLE + 1)
TENTH = ENTRIES // 10
DAILY = min(VEHICLES, 10_000 if IS_QUICK else 500_000)
WORKERS = choose_worker_count(None)
TELL_S = 15
"""How often a long run says how far it is."""

LOOK_S = 0.5


def measure() -> list[Figure]:
    """Flatness of speed and memory, daily entries in random order beside plain inserts, bytes on disk, fsck."""
    with open_folder("growth") as folder:
        home = Home(folder / "home")
        found(home, name="bench.example")
        with open_writer_apart(home, None, "bench") as writer:
            figures = _grow(writer)
            figures.append(_live(writer, folder))
        size = home.store.stat().st_size / (ENTRIES + DAILY)
        figures.append(make_figure("entry on disk, with its share of all", size, "bytes", at_most=400))
        figures.append(_check(home))
        check_proofs(home)
    return figures


def _grow(writer: Writing) -> list[Figure]:
    marks: list[tuple[int, float]] = [(0, time.perf_counter())]

    memory = Memory()
    said = [marks[0][1]]

    def note(summary: Summary) -> None:
        count, now = summary.sealed + summary.opened, time.perf_counter()
        marks.append((count, now))
        if now - said[-1] >= TELL_S:
            said.append(now)
            print(f"  {count:,} of {ENTRIES:,} entries, {memory.peak_mb:,.0f} MB", file=sys.stderr, flush=True)

    with memory:
        lines = make_grouped(VEHICLES)
        summary = import_file(
            writer, get_operator(writer), HISTOVEC, lines, now_ms(), worker_count=WORKERS, progress=note
        )
    if summary.sealed + summary.opened != ENTRIES:
        raise RuntimeError(f"the bench's own rows were not sealed: {summary}")
    # The last note comes after the census, which is not of these entries alone.
    first, last = _compute_rate(marks, 0, TENTH), _compute_rate(marks[:-1], ENTRIES - TENTH, marks[-2][0])
    name = f"last {TENTH:,} of {ENTRIES:,} entries against the first"
    return [
        make_figure(f"certified import of {ENTRIES:,} entries", ENTRIES / (marks[-1][1] - marks[0][1]), "entries/s"),
        make_figure(name, last / first, "of its speed", at_least=0.85),
        make_figure(f"memory of all processes up to {ENTRIES:,} entries", memory.peak_mb, "MB", at_most=400),
    ]


def _compute_rate(marks: list[tuple[int, float]], start: int, end: int) -> float:
    """Entries a second between the marks that enclose two counts."""
    one = max((mark for mark in marks if mark[0] <= start), default=marks[0])
    other = min((mark for mark in marks if mark[0] >= end), default=marks[-1])
    return (other[0] - one[0]) / (other[1] - one[1])


def _live(writer: Writing, folder: Path) -> Figure:
    order = array("L", range(VEHICLES))
    random.Random(1).shuffle(order)

    # Made beforehand, as a file has been: writing JSON is no part of reading it.
    file = folder / "daily.ndjson"
    with file.open("wb") as out:
        out.writelines(make_more(order[:DAILY], ROWS_PER_VEHICLE))

    def lines() -> Iterator[bytes]:
        with file.open("rb") as opened:
            yield from opened

    def work() -> None:
        summary = import_file(writer, get_operator(writer), HISTOVEC, lines(), now_ms(), worker_count=WORKERS)
        if summary.sealed != DAILY or summary.opened:
            raise RuntimeError(f"the bench's own rows were not sealed: {summary}")

    seconds = take_time(work)
    plain = take_time(lambda: insert_plainly(folder, lines()))
    return make_figure(
        f"one more entry for each of {DAILY:,} passports, random order",
        DAILY / seconds,
        "entries/s",
        peer=("plain pysqlite3 inserts", DAILY / plain),
        at_least=20_000,
    )


def _check(home: Home) -> Figure:
    seconds = take_time(lambda: check_store(home))
    return make_figure("fsck of a million entries", seconds * 1e6 / (ENTRIES + DAILY), "s", at_most=60)


class Memory:
    """The largest sum of what this process and its children hold, each page counted once (PSS), looked at twice a
    second: a look takes some 18 ms of a processor (on a busy machine), which the import has not."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.peak_mb = max(self.peak_mb, sum(map(_read_pss_kb, _find_family())) / 1024)


def _find_family() -> list[int]:
    """This process and all that it has started, directly or not."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    family, waiting = [], [os.getpid()]
    while waiting:
        family.append(waiting.pop())
        waiting += children.get(family[-1], [])
    return family


def _read_pss_kb(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
