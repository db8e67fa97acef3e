"""Rows of a file in an order that suits the store: those of one vehicle together, and of its neighbours after it.

A file that tells each day of all vehicles would touch another page of the store for each row. Some ten thousand of its
rows wait here; batches are taken from them in rising order of the passports' numbers, again and again from the lowest
to the highest, so that a batch finds many of its rows on the same pages, and several rows of one vehicle. Rows of one
vehicle keep their order. A file that is grouped by vehicle passes as it is. It refuses to know what is done with a
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Final, NamedTuple

from carnet.formats.rows import Row
from carnet.types import Subject

MAX_WAITING_ROWS: Final = 32_768
"""Rows that wait at most: some 60 MB."""

MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
"""Bytes of their sources that wait at most, where rows are long."""

SPAN: Final = 64
"""Passports with neighbouring numbers that are taken together: their rows in the store share pages."""

_NEW: Final = 1 << 48
"""New vehicles count from here on: passports that are opened get the highest numbers."""


class Batch(NamedTuple):
    """Rows to be sealed together, and the numbers of those of their passports that were found already."""

    rows: list[Row]
    numbers: Mapping[Subject, int]


class Regrouping:
    """Takes the rows of a file as they come, and gives batches. `find_numbers` gives the numbers of the passports that
    there are."""

    def __init__(self, find_numbers: Callable[[Iterable[Subject]], Mapping[Subject, int]], batch_rows: int) -> None:
        self._find_numbers, self._batch_rows = find_numbers, batch_rows
        self._is_sorting = False
        self._numbers: dict[Subject, int] = {}
        self._waiting: dict[int, list[Row]] = {}
        # The places ahead of the one that was taken last, and those behind it, which come after.
        self._ahead: list[int] = []
        self._behind: list[int] = []
        self._last = -1
        self._row_count = self._byte_count = 0
        self._new_count = 0

    def add(self, rows: list[Row]) -> Iterator[Batch]:
        """Take rows; gives the batches that are ready."""
        if any(row.plate is not None or row.subject.scheme == "plate" for row in rows):
            # Which vehicle a plate stands for is known only later: such rows neither wait nor overtake.
            yield from self.drain()
            yield Batch(rows, {})
            return
        if not self._is_sorting and 2 * len({row.subject for row in rows}) <= len(rows):
            yield Batch(rows, {})
            return
        self._is_sorting = True
        self._hold(rows)
        while self._row_count > MAX_WAITING_ROWS or self._byte_count > MAX_WAITING_BYTES:
            yield self._take()

    def drain(self) -> Iterator[Batch]:
        """All that still waits."""
        while self._row_count:
            yield self._take()
        self._is_sorting = False

    def _hold(self, rows: list[Row]) -> None:
        numbers = self._numbers
        unknown = {row.subject for row in rows if row.subject not in numbers}
        numbers.update(self._find_numbers(unknown))
        for row in rows:
            number = numbers.get(row.subject)
            if number is None:
                self._new_count += 1
                number = numbers[row.subject] = _NEW + self._new_count
            place = number // SPAN
            held = self._waiting.get(place)
            if held is None:
                held = self._waiting[place] = []
                heappush(self._ahead if place > self._last else self._behind, place)
            held.append(row)
            self._byte_count += len(row.source_bytes)
        self._row_count += len(rows)

    def _take(self) -> Batch:
        rows: list[Row] = []
        numbers: dict[Subject, int] = {}
        while self._waiting and len(rows) < self._batch_rows:
            if not self._ahead:
                self._ahead, self._behind, self._last = self._behind, [], -1
            self._last = heappop(self._ahead)
            rows += self._waiting.pop(self._last)
        for row in rows:
            self._byte_count -= len(row.source_bytes)
            number = self._numbers.pop(row.subject, None)
            if number is not None and number < _NEW:
                numbers[row.subject] = number
        self._row_count -= len(rows)
        return Batch(rows, numbers)
