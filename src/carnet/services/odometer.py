"""The odometer's readings in order, and the points of their chart.

A reading stands in the unit in which it was read: kilometres and miles are never converted, and never drawn on one
scale. It refuses to judge: nothing here says whether a reading follows from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from carnet.services.entries import Entry, Ground, sort_by_time

REPLACEMENT: Final = "vehicle.odometer_replacement/1"
_TOP, _BOTTOM = 4.0, 94.0
_LEFT, _RIGHT = 1.5, 98.5


@dataclass(frozen=True, slots=True)
class Reading:
    """What an odometer showed: value and unit as read, and the entry that says so."""

    value: int
    unit: str
    entry: Entry
    is_after_replacement: bool = False
    """The odometer was replaced since the reading before it, and what the new one showed was not written down."""

    @property
    def is_counted(self) -> bool:
        """Whether it counts: nobody has put another in its place, and it was not to take one that it may not."""
        return self.entry.counts

    @property
    def begins_odometer(self) -> bool:
        """Whether it is the first reading of a new odometer."""
        return self.is_after_replacement or self.entry.kind == REPLACEMENT


@dataclass(frozen=True, slots=True)
class Point:
    """A reading on the chart: across and down, per cent of its area."""

    x: float
    y: float
    reading: Reading

    @property
    def shape(self) -> str:
        """How it is drawn: by who stands behind it, "gone" where another reading took its place, "objection" where it
        was to take another's and may not."""
        if self.reading.is_counted:
            return str(self.reading.entry.ground)
        return "objection" if self.reading.entry.is_objection else "gone"


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid: where, in per cent, and the value or year that it stands for; a minor one may be left out."""

    at: float
    value: int
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Readings of one unit over time: points, the runs of them that belong to one odometer, and the grid."""

    unit: str
    points: tuple[Point, ...]
    runs: tuple[tuple[Point, ...], ...]
    values: tuple[Tick, ...]
    years: tuple[Tick, ...]


def list_readings(entries: Sequence[Entry]) -> list[Reading]:
    """Every reading, oldest first, also those that were corrected."""
    found, is_new = [], False
    for entry in sort_by_time(entries):
        reading = entry.find_reading()
        if reading is not None:
            found.append(Reading(*reading, entry, is_after_replacement=is_new and entry.counts))
            is_new = is_new and not entry.counts
        elif entry.kind == REPLACEMENT and entry.counts:
            is_new = True
    return found


def find_last_reading(entries: Sequence[Entry]) -> Reading | None:
    """The newest reading that stands, whoever gave it."""
    return next((reading for reading in reversed(list_readings(entries)) if reading.is_counted), None)


def find_last_certified(entries: Sequence[Entry]) -> Reading | None:
    """The newest reading that stands and that an accredited member certified."""
    return next(
        (one for one in reversed(list_readings(entries)) if one.is_counted and one.entry.ground is Ground.CERTIFIED),
        None,
    )


def make_charts(readings: Sequence[Reading]) -> list[Chart]:
    """One chart for each unit with at least two dated readings, the unit of the newest reading first."""
    dated = [reading for reading in readings if reading.entry.day is not None]
    units = list(dict.fromkeys(reading.unit for reading in reversed(dated)))
    of_unit = ([reading for reading in dated if reading.unit == unit] for unit in units)
    return [_make_chart(some[0].unit, some) for some in of_unit if len(some) > 1]


def _make_chart(unit: str, readings: Sequence[Reading]) -> Chart:
    days = [_to_day(reading.entry.day or "") for reading in readings]
    first, last = days[0], max(days[-1], days[0] + 1)
    least, most = min(reading.value for reading in readings), max(reading.value for reading in readings)
    # A long life far from 0 is drawn where it is, so that its steps are seen.
    step = _choose_step(most - least if least * 5 > most * 2 else most)
    floor = least // step * step if least * 5 > most * 2 else 0
    top = max(floor + step, -(-most // step) * step)
    points = tuple(
        Point(_LEFT + (day - first) * (_RIGHT - _LEFT) / (last - first), _scale(reading.value, floor, top), reading)
        for day, reading in zip(days, readings, strict=True)
    )
    return Chart(
        unit,
        points,
        tuple(_split_runs(points)),
        tuple(Tick(_scale(value, floor, top), value) for value in range(floor, top + 1, step)),
        tuple(_make_years(first, last)),
    )


def _split_runs(points: Sequence[Point]) -> list[tuple[Point, ...]]:
    """Points that follow each other on one odometer; a corrected reading belongs to none."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if not point.reading.is_counted:
            continue
        if point.reading.begins_odometer and runs[-1]:
            runs.append([])
        runs[-1].append(point)
    return [tuple(run) for run in runs if len(run) > 1]


def _make_years(first: int, last: int) -> list[Tick]:
    years = range(date.fromordinal(first).year + 1, date.fromordinal(last).year + 1)
    stride = max(1, -(-len(years) // 12))
    ticks = []
    for number, year in enumerate(years[::stride]):
        at = _LEFT + (date(year, 1, 1).toordinal() - first) * (_RIGHT - _LEFT) / (last - first)
        ticks.append(Tick(at, year, is_minor=number % 2 == 1))
    return [tick for tick in ticks if tick.at <= 97.0] if len(ticks) > 1 else ticks


def _choose_step(highest: int) -> int:
    """The distance between two lines of the grid: 1, 2 or 5 of a power of ten, so that there are three to six of
    them."""
    wanted = max(highest, 1) / 5
    power = 1
    while power * 10 <= wanted:
        power *= 10
    return next((factor * power for factor in (1, 2, 5) if factor * power >= wanted), 10 * power)


def _scale(value: int, floor: int, top: int) -> float:
    return _BOTTOM - (value - floor) * (_BOTTOM - _TOP) / (top - floor)


def _to_day(text: str) -> int:
    """The ordinal of a day; of a month or year that says no more, its first."""
    parts = [int(part) for part in text.split("-")]
    return date(parts[0], *[*parts[1:], 1, 1][:2]).toordinal()


def find_steps(readings: Sequence[Reading]) -> dict[int, int]:
    """What each counted reading adds to the one before it of the same odometer and unit, by the entry's place; may
    be negative."""
    counted = [reading for reading in readings if reading.is_counted]
    return {
        now.entry.seq: now.value - before.value
        for before, now in pairwise(counted)
        if before.unit == now.unit and not now.begins_odometer
    }
