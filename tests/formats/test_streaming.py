"""A file is read as it comes: the first rows are there before the rest was asked for, so that none is held whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from carnet.formats.dvsa import read_tests
from carnet.formats.histovec import read_inspections
from carnet.formats.histovec_registry import read_registry
from carnet.formats.mapping import read_mapped
from carnet.formats.mapping_document import read_mapping
from carnet.formats.rdw import read_vehicles
from carnet.formats.rows import Item
from carnet.formats.vpic import read_answers
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


def map_readings(reader: dict[str, Any]) -> Callable[[Iterable[bytes], int], Iterator[Item]]:
    mapping = read_mapping(
        {
            "reader": reader,
            "kind": "vehicle.inspection/1",
            "subject": {"scheme": "histovec", "column": "vehicle"},
            "occurred": {"column": "date"},
            "odometer": {"column": "km", "unit": "km"},
            "fields": [],
        }
    )
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
