"""A file is read as it comes: the first rows are there before the rest was asked for, so that none is held whole."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carnet.formats.dvsa import read_tests
from carnet.formats.histovec import read_inspections
from carnet.formats.histovec_registry import read_registry
from carnet.formats.mapping import read_mapped, read_table
from carnet.formats.mapping_document import read_mapping
from carnet.formats.rdw import read_vehicles
from carnet.formats.rows import Item
from carnet.formats.table import name_columns
from carnet.formats.vpic import read_answers
from carnet.formats.xlsx import read_sheet
from tests.formats.streams import NOW
from tests.shared import shared_file

WHOLE = 4 * 1024 * 1024
"""Bytes of a file, made of records of a real one."""

MOST = 1024 * 1024 + 64 * 1024
"""Bytes that a reader may ask for before it gives its first rows, beside what these take themselves: as many as it
looks at to tell what a JSON file is."""


def take_lines(*parts: str) -> list[bytes]:
    return shared_file("data", *parts).read_bytes().splitlines(keepends=True)


def repeat(records: list[bytes]) -> Iterator[bytes]:
    """Over and over, up to WHOLE."""
    size = 0
    for one in cycle(records):
        yield one
        size += len(one)
        if size > WHOLE:
            return


def repeat_records(path: Path) -> Iterator[bytes]:
    """A JSON array of the real records."""
    found = json.loads(path.read_bytes())
    records = [json.dumps(one).encode() for one in (found if isinstance(found, list) else [found])]
    yield b"[" + records[0]
    yield from (b"," + one for one in repeat(records))
    yield b"]"


def repeat_readings() -> Iterator[bytes]:
    header, *lines = take_lines("histovec", "dev", "odometer_readings.csv")
    yield header
    yield from repeat(lines)


READINGS: dict[str, Any] = {
    "kind": "vehicle.inspection/1",
    "subject": {"scheme": "histovec", "column": "vehicle"},
    "occurred": {"column": "date"},
    "odometer": {"column": "km", "unit": "km"},
    "fields": [],
}


def map_readings(reader: dict[str, Any]) -> Callable[[Iterable[bytes], int], Iterator[Item]]:
    mapping = read_mapping(READINGS | {"reader": reader})
    return lambda chunks, now: read_mapped(chunks, mapping, now)


def repeat_objects() -> Iterator[bytes]:
    header, *lines = (
        line.decode().strip().split(",") for line in take_lines("histovec", "dev", "odometer_readings.csv")
    )
    yield from repeat([json.dumps(dict(zip(header, line, strict=True))).encode() + b"\n" for line in lines])


FILES: dict[str, tuple[Callable[[Iterable[bytes], int], Iterator[Item]], Callable[[], Iterator[bytes]]]] = {
    "inspections": (
        read_inspections,
        lambda: repeat(take_lines("histovec", "dev", "odometer_histories.jsonl")),
    ),
    "register": (read_registry, lambda: repeat(take_lines("histovec", "dev", "registry_2022.jsonl"))),
    "dvsa": (
        read_tests,
        lambda: repeat_records(shared_file("data", "inspections", "dvsa_cvs", "dev", "test-results.json")),
    ),
    "rdw": (read_vehicles, lambda: repeat_records(shared_file("data", "inspections", "rdw_nl", "11ZKZ3.json"))),
    "vpic": (read_answers, lambda: repeat_records(shared_file("data", "vin", "vpic_api_json", "success.json"))),
    "text": (
        map_readings({"type": "delimited"}),
        repeat_readings,
    ),
    "objects": (map_readings({"type": "json"}), repeat_objects),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_read__gives_the_first_rows_before_it_asks_for_the_rest(name: str) -> None:
    read, write = FILES[name]
    pieces = list(write())
    asked = 0

    def chunks() -> Iterator[bytes]:
        nonlocal asked
        for piece in pieces:
            asked += len(piece)
            yield piece

    whole = sum(map(len, pieces))
    assert whole > 3 * MOST
    rows = read(chunks(), NOW)
    assert len(list(islice(rows, 5))) == 5
    first = sum(map(len, pieces[:6]))
    assert asked <= first + MOST
    assert len(list(islice(rows, 500))) == 500


NAMES = ("vehicle", "date", "km", "remark")
SHEET_ROWS, SHEET_REMARK = 40_000, 1_000
PARQUET_ROWS, PARQUET_REMARK = 1_000_000, 256
PARTS = {
    "xl/workbook.xml": '<workbook xmlns:r="r"><sheets><sheet name="A" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Rels><Relationship Id="rId1" Target="worksheets/a.xml"/></Rels>',
}


def write_sheet(file: Path, row_count: int, method: int) -> None:
    """A workbook of as many rows, whose texts stand in their cells."""

    def write_row(values: Iterable[object]) -> bytes:
        cells = (f'<c t="inlineStr"><is><t>{value}</t></is></c>' for value in values)
        return f"<row>{''.join(cells)}</row>".encode()

    with zipfile.ZipFile(file, "w", method) as archive:
        for name, text in PARTS.items():
            archive.writestr(name, text)
        with archive.open("xl/worksheets/a.xml", "w") as part:
            part.write(b"<worksheet><sheetData>" + write_row(NAMES))
            for at in range(row_count):
                part.write(write_row((f"HV{at % 100:08}", "2015-03-04", at, f"{at:0{SHEET_REMARK}}")))
            part.write(b"</sheetData></worksheet>")


def write_parquet(file: Path) -> None:
    digest = "md5(i::VARCHAR)"
    remark = " || ".join([digest] * (PARQUET_REMARK // 32))
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"COPY (SELECT 'HV' || lpad((i % 100)::VARCHAR, 8, '0') AS vehicle, DATE '2015-03-04' AS date, i AS km,"
            f" {remark} AS remark FROM range({PARQUET_ROWS}) AS t(i))"
            f" TO '{file}' (FORMAT parquet, ROW_GROUP_SIZE 20480)"
        )


def test_read_sheet__gives_the_first_rows_before_it_asks_for_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "sheet.xlsx"
    write_sheet(file, WHOLE // SHEET_REMARK, zipfile.ZIP_STORED)
    data = file.read_bytes()
    assert len(data) > 3 * MOST
    asked = 0

    class Counting(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal asked
            found = super().read(size)
            asked += len(found)
            return found

    mapping = read_mapping(READINGS | {"reader": {"type": "rows"}})
    rows = read_table(name_columns(read_sheet(Counting(data))), mapping, NOW)
    assert len(list(islice(rows, 5))) == 5
    assert asked <= MOST
    assert sum(1 for _ in rows) == WHOLE // SHEET_REMARK - 5
    assert asked > len(data) - MOST


READING = """
import json, sys
from pathlib import Path
from carnet.formats.mapping import read_table
from carnet.formats.mapping_document import read_mapping
from carnet.formats.rows import Row
from carnet.services.tables import Table

# Not ru_maxrss: a process begins with that of its parent, which is the whole test run's.
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

path, kind, now, mapping = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), read_mapping(json.loads(sys.argv[4]))
with Table(path, kind) as table:
    before, rows = peak(), table.rows()
    count = sum(isinstance(item, Row) for item in read_table((next(rows) for _ in range(1000)), mapping, now))
    count += sum(1 for _ in rows)
print(count, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read where Linux tells it")
@pytest.mark.parametrize("kind", ["parquet", "xlsx"])
def test_read_table__in_memory_that_does_not_grow_with_the_file(tmp_path: Path, kind: str) -> None:
    """A fraction of what the rows take unpacked."""
    file, script = tmp_path / "table", tmp_path / "reading.py"
    # A file, not `-c`: DuckDB takes that for a person at a prompt, and draws a bar.
    script.write_text(READING)
    if kind == "xlsx":
        write_sheet(file, SHEET_ROWS, zipfile.ZIP_DEFLATED)
        row_count, whole, most = SHEET_ROWS, SHEET_ROWS * SHEET_REMARK, 8 * 1024 * 1024
    else:
        write_parquet(file)
        # DuckDB with its libraries, and what it reads ahead.
        row_count, whole, most = PARQUET_ROWS, PARQUET_ROWS * PARQUET_REMARK, 120 * 1024 * 1024
    assert whole >= 2 * most
    mapping = json.dumps(READINGS | {"reader": {"type": "rows"}})
    ran = subprocess.run(
        [sys.executable, str(script), str(file), kind, str(NOW), mapping], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    count, grown = map(int, ran.stdout.split())
    assert count == row_count
    assert grown < most
