"""Rows of a file in an order that suits the store: those of one vehicle together, and of its neighbours after it.

A file that tells each day of all vehicles would touch another page of the store for each row. Some ten thousand of its
rows wait here; batches are taken from them in rising order of the passports' numbers, again and again from the lowest
to the highest, so that a batch finds many of its rows on the same pages, and several rows of one vehicle. Rows of one
vehicle keep their order. A file that is grouped by vehicle passes as it is. It refuses to know what is done with a
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

import msgspec

from carnet.formats.faults import Origin
from carnet.formats.rows import Row
from carnet.types import Subject
from carnet.vault.sealing import compute_source_digests

FEWEST_WAITING_ROWS: Final = 4_096
MAX_WAITING_ROWS: Final = 65_536
"""Rows that wait at most, of short ones: some 60 MB. At the beginning fewer do, so that the others are not kept
waiting: three of four that have come."""

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Bytes that wait at most, where rows are long."""

SPAN: Final = 64
"""Passports with neighbouring numbers that are taken together: their rows in the store share pages."""

ASKED_TOGETHER: Final = 4_096
"""Rows of which the passports' numbers are asked for at once: the more of them, the more share a page of the index."""

LONG_BYTES: Final = 1024 * 1024
"""Rows that come together with so many bytes are held at once: nobody else has counted these."""

_NEW: Final = 1 << 48
"""New vehicles count from here on: passports that are opened get the highest numbers."""


_encode = msgspec.msgpack.Encoder().encode
_make = tuple.__new__
_Raw = msgspec.Raw


class Held(NamedTuple):
    """A row as it waits: as `Row`, its fields as MessagePack, and of its source the keyed digest; `data` is what a
    person is shown of it."""

    line: int
    row: int
    subject: Subject
    kind: str
    fields: msgspec.Raw
    source: bytes
    data: bytes
    origin: Origin | None


class _Waiting(msgspec.Struct, gc=False):
    """The rows of one vehicle, and their bytes."""

    rows: list[Held]
    size: int = 0


class Batch(NamedTuple):
    """Rows to be sealed together: `rows` as the file has them, or `by_subject` those that waited, with the numbers of
    those of their passports that were found already."""

    rows: Sequence[Row]
    by_subject: dict[Subject, list[Held]]
    numbers: dict[Subject, int]


class Regrouping:
    """Takes the rows of a file as they come, and gives batches. `find_numbers` gives the numbers of the passports that
    there are, `index_key` keys the digests of sources, `get_size` says how many rows the next batch has."""

    def __init__(
        self,
        find_numbers: Callable[[Iterable[Subject]], Mapping[Subject, int]],
        index_key: bytes,
        get_size: Callable[[], int],
    ) -> None:
        self._find_numbers, self._index_key, self._get_size = find_numbers, index_key, get_size
        self._is_sorting = False
        # Rows that came last: they are held as soon as there are enough of them.
        self._coming: list[Row] = []
        # The rows of each vehicle, and their bytes, which are not to be counted when they have long been out of sight.
        self._rows_of: dict[Subject, _Waiting] = {}
        # Which vehicles wait at each place, with the number of the passport.
        self._places: dict[int, list[tuple[Subject, int]]] = {}
        # The places ahead of the one that was taken last, and those behind it, which come after.
        self._ahead: list[int] = []
        self._behind: list[int] = []
        self._last = -1
        self._row_count = self._byte_count = 0
        self._new_count = self._held_count = 0

    def add(self, rows: list[Row]) -> Iterator[Batch]:
        """Take rows; gives the batches that are ready."""
        subjects = {row.subject for row in rows}
        if any(one.scheme == "plate" for one in subjects) or any([row.plate is not None for row in rows]):  # noqa: C419
            # Which vehicle a plate stands for is known only later: such rows neither wait nor overtake.
            yield from self.drain()
            yield Batch(rows, {}, {})
            return
        if not self._is_sorting and 2 * len(subjects) <= len(rows):
            yield Batch(rows, {}, {})
            return
        self._is_sorting = True
        self._coming += rows
        if len(self._coming) < ASKED_TOGETHER and sum([len(row.source_bytes) for row in rows]) < LONG_BYTES:
            return
        self._hold_coming()
        room = min(MAX_WAITING_ROWS - ASKED_TOGETHER, max(FEWEST_WAITING_ROWS, 3 * self._held_count // 4))
        while self._row_count > room or self._byte_count > MAX_WAITING_BYTES:
            yield self._take()

    def drain(self) -> Iterator[Batch]:
        """All that still waits."""
        self._hold_coming()
        while self._row_count:
            yield self._take()
        self._is_sorting = False

    def _hold_coming(self) -> None:
        rows, self._coming = self._coming, []
        self._make_room({row.subject for row in rows}.difference(self._rows_of))
        self._hold(rows)

    def _hold(self, rows: list[Row]) -> None:
        # Every line below runs once per row: measure before adding one.
        waiting, size = self._rows_of, 0
        digests = compute_source_digests(self._index_key, [row.source_bytes for row in rows])
        for (line, number, subject, kind, fields, source, _, origin), digest in zip(rows, digests, strict=True):
            data = source if origin is None else origin.data
            # Tuples made as one, without a call of ours.
            held = _make(Held, (line, number, subject, kind, _Raw(_encode(fields)), digest, data, origin))
            own = waiting[subject]
            own.rows.append(held)
            own.size += len(data)
            size += len(data)
        self._byte_count += size
        self._row_count += len(rows)
        self._held_count += len(rows)

    def _make_room(self, subjects: set[Subject]) -> None:
        """Give vehicles that have no waiting row yet their place."""
        found = self._find_numbers(subjects)
        for subject in subjects:
            number = found.get(subject)
            if number is None:
                self._new_count += 1
                number = _NEW + self._new_count
            place = number // SPAN
            there = self._places.get(place)
            if there is None:
                there = self._places[place] = []
                heappush(self._ahead if place > self._last else self._behind, place)
            there.append((subject, number))
            self._rows_of[subject] = _Waiting([])

    def _take(self) -> Batch:
        by_subject: dict[Subject, list[Held]] = {}
        numbers: dict[Subject, int] = {}
        count = size = 0
        batch_rows = self._get_size()
        while self._places and count < batch_rows:
            if not self._ahead:
                self._ahead, self._behind, self._last = self._behind, [], -1
            self._last = heappop(self._ahead)
            for subject, number in self._places.pop(self._last):
                waiting = self._rows_of.pop(subject)
                by_subject[subject] = waiting.rows
                count += len(waiting.rows)
                size += waiting.size
                if number < _NEW:
                    numbers[subject] = number
        self._row_count -= count
        self._byte_count -= size
        return Batch((), by_subject, numbers)
