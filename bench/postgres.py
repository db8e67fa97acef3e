"""The certified import over a PostgreSQL server, and into a file, beside that server's own COPY and plain inserts of
the same rows.

The server is a throw-away one on this disk, fsync on, set as docs/postgresql.md recommends; where there is none, a
reason is printed and these lines are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.checking import check_proofs, check_store
from bench.figures import ROUNDS, Figure, make_figure, middle, open_folder, take_time
from bench.importing import BATCH, SHAPES, VEHICLES, WORKERS, run_import
from bench.inspections import ROWS_PER_VEHICLE
from carnet.node.home import Home
from carnet.services.apart import open_writer_apart
from carnet.services.founding import found, get_operator, now_ms
from carnet.services.importing import HISTOVEC, import_file
from tests.postgres import MISSING, Cluster, find_binaries, run_cluster

Rows = list[tuple[Any, ...]]

GUIDE = Path(__file__).resolve().parent.parent / "docs" / "postgresql.md"


def measure() -> list[Figure]:
    """Entries a second for both shapes, over the server and into a file; the peers' rows a second."""
    if find_binaries() is None:
        print(f"left out: PostgreSQL. {MISSING}", file=sys.stderr)
        return []
    rates: dict[str, list[float]] = {shape: [] for shape in SHAPES}
    copies: dict[str, list[float]] = {shape: [] for shape in SHAPES}
    inserts: dict[str, list[float]] = {shape: [] for shape in SHAPES}
    in_files: dict[str, list[float]] = {shape: [] for shape in SHAPES}
    files = {shape: list(make(VEHICLES)) for shape, make in SHAPES.items()}
    rows = VEHICLES * ROWS_PER_VEHICLE
    with run_cluster(read_settings(), is_on_disk=True) as cluster:
        for _ in range(ROUNDS):
            for shape, lines in files.items():
                with open_folder("postgres") as folder:
                    rates[shape].append((rows + VEHICLES) / _import(folder, cluster, lines, rows))
                with open_folder("postgres") as folder:
                    in_files[shape].append((rows + VEHICLES) / run_import(folder, lines, rows)[0])
                copies[shape].append(rows / _write_plainly(cluster, lines, _copy))
                inserts[shape].append(rows / _write_plainly(cluster, lines, _insert))
    executemany = "psycopg executemany of the same file"
    peers = {"its own COPY of the same file": copies, executemany: inserts}
    over_server = [
        make_figure(
            f"import over PostgreSQL, {shape}",
            middle(found),
            "entries/s",
            peer=(peer, middle(reached[shape])),
            at_least=35_000,
        )
        for shape, found in rates.items()
        for peer, reached in peers.items()
    ]
    into_file = [
        make_figure(
            f"certified import into a file, {shape}, beside a server",
            middle(found),
            "entries/s",
            peer=(executemany, middle(inserts[shape])),
            at_least_ratio=0.5,
        )
        for shape, found in in_files.items()
    ]
    return over_server + into_file


def read_settings() -> dict[str, str]:
    """The settings that we recommend for a server."""
    _, _, block = GUIDE.read_text("utf-8").partition("```ini\n")
    lines = block.partition("```")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def _import(folder: Path, cluster: Cluster, lines: list[bytes], rows: int) -> float:
    home = Home(folder / "home")
    found(home, name="bench.example", store_url=cluster.make_url())
    with open_writer_apart(home, None, "bench") as writer:

        def work() -> None:
            operator = get_operator(writer)
            summary = import_file(writer, operator, HISTOVEC, lines, now_ms(), worker_count=WORKERS, batch_rows=BATCH)
            if summary.sealed != rows:
                raise RuntimeError(f"the bench's own rows were not sealed: {summary}")

        seconds = take_time(work)
    check_store(home)
    check_proofs(home)
    return seconds


def _write_plainly(cluster: Cluster, lines: list[bytes], write: Callable[[Any, Rows], None]) -> float:
    """Seconds for the same rows, parsed by the same decoder and committed as often, into one plain table."""
    import psycopg

    with psycopg.connect(cluster.make_url(), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE inspection (vehicle text, date text, start text, stop text, km bigint, nature text,"
            " result text, centre text, pv text)"
        )

        def work() -> None:
            for batch in _read_batches(lines):
                with connection.transaction():
                    write(connection, batch)

        return take_time(work)


def _copy(connection: Any, batch: Rows) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY inspection FROM STDIN") as copy:
        for row in batch:
            copy.write_row(row)


def _insert(connection: Any, batch: Rows) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO inspection VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s)", batch)


def _read_batches(lines: list[bytes]) -> Iterator[Rows]:
    decoder = msgspec.json.Decoder()
    names = ("date", "start", "end", "km", "nature", "result", "centre", "pv")
    batch: Rows = []
    for line in lines:
        document = decoder.decode(line)
        batch += [(document["vehicle"], *(one[name] for name in names)) for one in document["inspections"]]
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
