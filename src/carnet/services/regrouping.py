"""Rows of a file in an order that suits the store: those of one vehicle together, and of its neighbours after it.

A file that tells each day of all vehicles would touch another page of the store for each row. Some ten thousand of its
rows wait here; batches are taken from them in rising order of the passports' numbers, again and again from the lowest
to the highest, so that a batch finds many of its rows on the same pages, and several rows of one vehicle. Rows of one
vehicle keep their order. A file that is grouped by vehicle passes as it is. It refuses to know what is done with a
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from carnet.formats.faults import Frame, Origin
from carnet.formats.rows import Row
from carnet.kernel import kernel
from carnet.types import Subject
from carnet.vault.sealing import SOURCE_BYTES, compute_source_digests

FEWEST_WAITING_ROWS: Final = 4_096
MAX_WAITING_ROWS: Final = 131_072
"""Rows that wait at most, of short ones: some 800 bytes of memory each, two thirds of which are the row's own. At the
beginning fewer do, so that the others are not kept waiting: three of four that have come."""

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Bytes of rows that wait at most, where these are long."""

SPAN: Final = 64
"""Passports with neighbouring numbers that are taken together: their rows in the store share pages."""

ASKED_TOGETHER: Final = 8_192
"""Rows of which the passports' numbers are asked for at once: the more of them, the more share a page of the index."""

PACKED_TOGETHER: Final = 128
"""Rows that are packed together: a thousand of them, unpacked, are more than a processor has at hand."""

LONG_BYTES: Final = 4 * 1024 * 1024
"""Rows that come together with so many bytes are held at once: nobody else has counted these. Of HistoVec it is nearly
as many rows as are asked for together."""

_NEW: Final = 1 << 48
"""New vehicles count from here on: passports that are opened get the highest numbers."""

_NEW_PLACES: Final = _NEW // SPAN


Shape: TypeAlias = tuple[bytes, Frame] | None
"""What many rows share: the header and the frame of their origin, if they have one."""


class Held(NamedTuple):
    """A row that waited, `packed` as it did; `data` is what a person is shown of it."""

    packed: bytes
    shapes: Sequence[Shape]
    line: int
    row: int
    subject: Subject
    kind: str
    fields: msgspec.Raw
    source: bytes
    data: bytes
    origin: Origin | None


class _Packed(msgspec.Struct, array_like=True, gc=False):
    """A row as it waits, in one run of bytes. What becomes of it stands at its end, as it crosses to a worker
    (`node.jobs.Item`): nothing of it is read here again, unless a person is told of it."""

    line: int
    row: int
    shape: int
    data: bytes
    item: msgspec.Raw


class _Item(msgspec.Struct, array_like=True, gc=False):
    kind: str
    fields: msgspec.Raw
    source: bytes


class _Fields(msgspec.Struct, gc=False):
    subject: Subject


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode
_decode_item = msgspec.msgpack.Decoder(_Item).decode
_decode_fields = msgspec.msgpack.Decoder(_Fields).decode


def _pack_waiting(rows: Iterable[tuple[Any, ...]], digests: Iterable[bytes], shapes: Iterable[int]) -> list[bytes]:
    """Rows as they wait; their contents are MessagePack, and each has the digest of its source and a shape."""
    packed: list[bytes] = []
    for (line, number, _, kind, content, source, _, origin, *_), digest, shape in zip(
        rows, digests, shapes, strict=True
    ):
        data = source if origin is None else origin[0]
        packed.append(_encode((line, number, shape, data, (kind, msgspec.Raw(content), digest))))
    return packed


def _cut_items(rows: Iterable[bytes]) -> list[bytes]:
    """What becomes of rows that waited: each as a job takes it."""
    return [bytes(row.item) for row in map(_decode, rows)]


pack_waiting: Final[Callable[[Sequence[Row], Sequence[bytes], Sequence[int]], list[bytes]]] = (
    _pack_waiting if kernel is None else kernel.pack_waiting
)
cut_items: Final[Callable[[Sequence[bytes]], list[bytes]]] = _cut_items if kernel is None else kernel.cut_items


def get_source(packed: bytes) -> bytes:
    """The keyed digest of the source of a row that waited, which ends with it."""
    return packed[-SOURCE_BYTES:]


def read_held(packed: bytes, shapes: Sequence[Shape]) -> Held:
    """All of a row that waited."""
    row = _decode(packed)
    kind, fields, source = msgspec.structs.astuple(_decode_item(row.item))
    common = shapes[row.shape]
    origin = None if common is None else Origin(row.data, *common)
    subject = _decode_fields(fields).subject
    return Held(packed, shapes, row.line, row.row, subject, kind, fields, source, row.data, origin)


class Waited(NamedTuple):
    """Rows that waited: for each vehicle its subject's `cj`, the number of its passport, if it was found, and how many
    rows it has; these in their order, one vehicle's after the other's, to be read with `shapes`."""

    subjects: list[bytes]
    numbers: list[int | None]
    counts: list[int]
    rows: list[bytes]
    shapes: Sequence[Shape]


class Batch(NamedTuple):
    """Rows to be sealed together: `rows` as the file has them, or those that waited."""

    rows: Sequence[Row]
    waited: Waited | None = None


class Regrouping:
    """Takes the rows of a file as they come, and gives batches. `find_numbers` gives the numbers of the passports of
    subjects (`cj`), as far as there are any, `index_key` keys the digests of sources, `get_size` says how many rows the
    next batch has."""

    def __init__(
        self,
        find_numbers: Callable[[Sequence[bytes]], Sequence[int | None]],
        index_key: bytes,
        get_size: Callable[[], int],
    ) -> None:
        self._find_numbers, self._index_key, self._get_size = find_numbers, index_key, get_size
        self._is_sorting = False
        # Rows that came last: they are held as soon as there are enough of them.
        self._coming_subjects, self._coming = list[bytes](), list[bytes]()
        self._coming_bytes = 0
        # The rows of each vehicle, packed; most have one.
        self._rows_of: dict[bytes, bytes | list[bytes]] = {}
        # Which vehicles wait at each place, each followed by where in it the number of the passport is.
        self._places: dict[int, list[Any]] = {}
        # What rows have in common that came since none waited.
        self._shapes: list[Shape] = []
        self._shape_of: dict[Shape, int] = {}
        # The places ahead of the one that was taken last, and those behind it, which come after.
        self._ahead: list[int] = []
        self._behind: list[int] = []
        self._last = -1
        self._row_count = self._byte_count = 0
        self._new_count = self._held_count = 0

    def add(self, rows: list[Row]) -> Iterator[Batch]:
        """Take rows; gives the batches that are ready."""
        if any([row.plate is not None or row.subject.scheme == "plate" for row in rows]):  # noqa: C419
            # Which vehicle a plate stands for is known only later: such rows neither wait nor overtake.
            yield from self.drain()
            yield Batch(rows)
            return
        if not self._is_sorting and 2 * len({row.subject for row in rows}) <= len(rows):
            yield Batch(rows)
            return
        self._is_sorting = True
        self._pack(rows)
        if len(self._coming) < ASKED_TOGETHER and self._coming_bytes < LONG_BYTES:
            return
        self._hold_coming()
        room = min(MAX_WAITING_ROWS - ASKED_TOGETHER, max(FEWEST_WAITING_ROWS, 3 * self._held_count // 4))
        while self._row_count > room or self._byte_count > MAX_WAITING_BYTES:
            yield self._take()

    @property
    def best_size(self) -> int | None:
        """How many rows it would have at once: where they wait, few, which are packed before they are out of the
        processor's sight; otherwise as many as the batches are to have, None."""
        return PACKED_TOGETHER if self._is_sorting else None

    def drain(self) -> Iterator[Batch]:
        """All that still waits."""
        self._hold_coming()
        while self._row_count:
            yield self._take()
        self._is_sorting = False
        self._shapes, self._shape_of = [], {}

    def _pack(self, rows: list[Row]) -> None:
        # Once per row: measure before adding a line.
        digests = compute_source_digests(self._index_key, [row.source_bytes for row in rows])
        if any([not isinstance(row.content, bytes) for row in rows]):  # noqa: C419
            rows = [row._replace(content=_encode(row.fields)) for row in rows]
        packed = pack_waiting(rows, digests, [self._get_shape(row.origin) for row in rows])
        self._coming += packed
        self._coming_bytes += sum(map(len, packed))
        self._coming_subjects += [row.encoded_subject or row.get_encoded_subject() for row in rows]

    def _get_shape(self, origin: Origin | None) -> int:
        key = None if origin is None else origin[1:]
        shape = self._shape_of.get(key)
        if shape is None:
            shape = self._shape_of[key] = len(self._shapes)
            self._shapes.append(key)
        return shape

    def _hold_coming(self) -> None:
        # Once per row, too.
        wait, new = self._rows_of.setdefault, list[bytes]()
        for subject, packed in zip(self._coming_subjects, self._coming, strict=True):
            own = wait(subject, packed)
            if own is packed:
                new.append(subject)
            elif isinstance(own, list):
                own.append(packed)
            else:
                self._rows_of[subject] = [own, packed]
        self._make_room(new)
        self._byte_count += self._coming_bytes
        self._row_count += len(self._coming)
        self._held_count += len(self._coming)
        self._coming_subjects, self._coming, self._coming_bytes = [], [], 0

    def _make_room(self, subjects: Sequence[bytes]) -> None:
        """Give vehicles that begin to wait their place."""
        places = self._places
        for subject, number in zip(subjects, self._find_numbers(subjects), strict=True):
            if number is None:
                self._new_count += 1
                number = _NEW + self._new_count
            place, at = divmod(number, SPAN)
            there = places.get(place)
            if there is None:
                there = places[place] = []
                heappush(self._ahead if place > self._last else self._behind, place)
            there += (subject, at)

    def _take(self) -> Batch:
        subjects, numbers, counts, rows = list[bytes](), list[int | None](), list[int](), list[bytes]()
        batch_rows = self._get_size()
        while self._places and len(rows) < batch_rows:
            if not self._ahead:
                self._ahead, self._behind, self._last = self._behind, [], -1
            place = self._last = heappop(self._ahead)
            there = iter(self._places.pop(place))
            first = place * SPAN if place < _NEW_PLACES else None
            for subject, at in zip(there, there, strict=True):
                own = self._rows_of.pop(subject)
                subjects.append(subject)
                numbers.append(None if first is None else first + at)
                if isinstance(own, list):
                    counts.append(len(own))
                    rows += own
                else:
                    counts.append(1)
                    rows.append(own)
        self._row_count -= len(rows)
        self._byte_count -= sum(map(len, rows))
        return Batch((), Waited(subjects, numbers, counts, rows, self._shapes))
