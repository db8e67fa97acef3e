"""Generated inspection files, the same at every run: grouped by vehicle, or a year of all vehicles after the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

ROWS_PER_VEHICLE = 6
"""As the vehicles of the real file have, on average."""


def make_grouped(vehicle_count: int) -> Iterator[bytes]:
    """One line a vehicle, all its inspections inside: how a register hands out its past."""
    for vehicle in range(vehicle_count):
        yield _make_line(vehicle, range(ROWS_PER_VEHICLE))


def make_interleaved(vehicle_count: int) -> Iterator[bytes]:
    """One line an inspection, all vehicles of a year before the next: how daily life goes on, the hard case."""
    for year in range(ROWS_PER_VEHICLE):
        for vehicle in range(vehicle_count):
            # Another order each year: neighbours in the file are no neighbours in the store.
            yield _make_line(vehicle * 7919 % vehicle_count, range(year, year + 1))


def make_more(vehicles: Iterable[int], year: int) -> Iterator[bytes]:
    """One line, an inspection of that year, for each of these vehicles."""
    for vehicle in vehicles:
        yield _make_line(vehicle, range(year, year + 1))


def _make_line(vehicle: int, years: range) -> bytes:
    inspections = [
        {
            "centre": f"S{vehicle % 900:03d}D{vehicle % 97:02d}",
            "date": f"{2007 + 2 * year}-{1 + vehicle % 12:02d}-{1 + (vehicle + year) % 28:02d}",
            "end": f"{8 + vehicle % 9:02d}:40:00",
            "km": 20_000 + 24_000 * year + vehicle % 9_000,
            "nature": "VTP",
            "pv": f"{vehicle:06d}{year}",
            "result": "A",
            "start": f"{8 + vehicle % 9:02d}:05:00",
        }
        for year in years
    ]
    document = {"vehicle": f"HV{vehicle:08x}", "inspections": inspections}
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
