"""Reading a file as certifying it would, and sealing nothing: which rows are ready, which were sealed before, and which
cells of the others cannot be read.

It asks the node what certifying will ask: whether a passport knows the vehicle, and whether the row is in it already.
It refuses to write anything but the account of the job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import IO, Any, Final, NamedTuple, cast

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused
from carnet.formats.faults import Fault, compute_raw
from carnet.formats.mapping_document import Mapping
from carnet.formats.mending import find_cells, list_cell_faults
from carnet.formats.rows import Item, Row
from carnet.ledger.rules.members import Member
from carnet.node.jobs import ChainRef
from carnet.node.own_readings import MOST, OwnReading, read_own_readings
from carnet.node.prepare import find_day
from carnet.node.reader import Reader
from carnet.node.writing import Writing
from carnet.services.faulty import FaultyRows
from carnet.services.filing.reading import SHOWN_DOUBTS, SHOWN_DUPLICATES, SHOWN_ROWS, Mends, ShownRow
from carnet.services.filing.records import Counts
from carnet.services.importing import OPENING
from carnet.services.names import Prefix, format_name
from carnet.services.own_readings import find_doubt, find_reading
from carnet.services.plates import Plates
from carnet.types import Basis, Millis, Subject
from carnet.vault.sealing import compute_source_digest

LOOKED_UP_ROWS: Final = 2_000
"""Rows for which the store is asked at once."""

COMPARED_WHOLE: Final = 5_000
"""So many own readings of the vehicles of a file are opened before the last one of each vehicle has to do: each takes
about 60 µs, and the first look at a large file is waited for."""


class CellFaults(FaultyRows):
    """Faulty rows on their way to the list of them, with their cells and what is wrong with each, and to the file of
    rows as they stood. `cell_count` is how many cells cannot be read."""

    def __init__(self, faults: IO[bytes], rows: IO[bytes], mapping: Mapping | None, mends: Mends, now: Millis) -> None:
        # The list is written here.
        super().__init__(None, rows)
        self._list, self._mapping, self._mends, self._now = faults, mapping, mends, now
        self.cell_count = 0

    def add(self, fault: Fault) -> None:
        """Write one fault, and its row."""
        super().add(fault)
        cells = find_mended_cells(fault, self._mapping, self._mends)
        faulty = []
        if cells is not None and self._mapping is not None:
            faulty = list_cell_faults(fault, cells, self._mapping, self._now)
        self.cell_count += max(1, len(faulty))
        document: dict[str, object] = {
            "cells": [] if cells is None else [list(pair) for pair in cells.items()],
            "column": fault.column,
            "faulty": [
                {"column": one.column, "message": one.message, "proposal": one.proposal, "rule": one.rule.value}
                for one in faulty
            ],
            "line": fault.line,
            "message": fault.message,
            "raw": fault.raw,
            "row": fault.row,
            "rule": fault.rule.value,
        }
        self._list.write(encode_trusted(document) + b"\n")


class Account(NamedTuple):
    """Where the outcome of each row is written while a file is looked at: the faulty ones, those that were mended,
    those that were sealed before, and those that go against what the member has sealed."""

    faults: CellFaults
    mended: IO[bytes]
    duplicates: IO[bytes]
    doubts: IO[bytes]


def find_mended_cells(item: Item, mapping: Mapping | None, mends: Mends) -> dict[str, str] | None:
    """The cells of a row as they were mended; None where it has none."""
    cells = None if mapping is None else find_cells(item.origin, mapping.reader)
    return None if cells is None else cells | mends.get(item.row, {})


class Looker:
    """One look at a file.

    With `tells_nothing` it says nothing of which vehicles have a passport to a member that opens none: a row is ready,
    whether or not there is one, and is shown as it stands in the file (docs/adr/0023).
    """

    def __init__(
        self,
        writer: Writing,
        member: Member,
        basis: int,
        opens_as: str | None,
        mapping: Mapping | None,
        mends: Mends,
        account: Account,
        read: Callable[[], Reader] | None = None,
        *,
        tells_nothing: bool = False,
    ) -> None:
        self._read_store, self._reader = read, cast("Reader | None", None)
        self._writer, self._member, self._basis, self._opens_as = writer, member, basis, opens_as
        self._mapping, self._mends, self._account = mapping, mends, account
        opening = (OPENING, basis, writer.state.rules.get_kind(OPENING).class_)
        # What is signed elsewhere opens no passport.
        self._may_open = basis != Basis.OWN_KEY and opening in member.accreditations
        self._may_learn = not tells_nothing or any(kind == OPENING for kind, _, _ in member.accreditations)
        self._plates = Plates(writer)
        self._seen = set[int]()
        self._subjects = set[int]()
        self._compared = 0
        self._read = self._ready = self._duplicate = self._faulty = 0
        self.mended_cells = self.doubtful = 0
        self.shown: list[ShownRow] = []

    @property
    def faulty_cells(self) -> int:
        """How many cells cannot be read."""
        return self._account.faults.cell_count

    def count(self, bytes_read: int) -> Counts:
        """What became of the rows so far."""
        return Counts(
            rows_read=self._read,
            ready=self._ready,
            duplicate=self._duplicate,
            faulty=self._faulty,
            passports=len(self._subjects),
            bytes_read=bytes_read,
        )

    def look(self, items: Iterable[Item], tell: Callable[[], None]) -> None:
        """Read every row. Raises what the reader of the rows raises."""
        source = iter(items)
        while batch := list(islice(source, LOOKED_UP_ROWS)):
            self._look_at(batch)
            tell()

    def _look_at(self, batch: list[Item]) -> None:
        placed = [self._place(item) for item in batch]
        good = [row for row in placed if isinstance(row, Row)]
        with self._writer.reading():
            chains = self._writer.find_chains({row.subject for row in good})
            digests = {id(row): compute_source_digest(self._writer.index_key, row.source_bytes) for row in good}
            asked: dict[int, list[bytes]] = {}
            for row in good:
                if row.subject in chains:
                    asked.setdefault(chains[row.subject].id, []).append(digests[id(row)])
            known = self._writer.find_sources(asked)
            before = self._read_before(good, chains)
            for item, stood in zip(placed, batch, strict=True):
                self._read += 1
                if isinstance(item, Fault):
                    self._note_fault(item)
                    continue
                chain, digest = chains.get(item.subject), digests[id(item)]
                shown = stood if isinstance(stood, Row) and not self._may_learn else item
                if chain is None and not self._may_open and self._may_learn:
                    self._note_fault(self._make_unknown(item))
                elif self._is_repeated(digest) or (chain is not None and digest in known[chain.id]):
                    self._note_duplicate(shown, chain, digest)
                else:
                    self._note_ready(shown, chain, digest)
                    if chain is not None:
                        self._compare(item, chain, before.get(chain.id, []))

    def _read_before(self, rows: list[Row], chains: dict[Subject, ChainRef]) -> dict[int, list[OwnReading]]:
        """The member's own readings of the vehicles in these rows that give one, asked for all at once."""
        wanted = {row.subject for row in rows if find_reading(row.fields) is not None}
        refs = [chains[subject] for subject in wanted if subject in chains]
        if self._read_store is None or not refs:
            return {}
        if self._reader is None:
            self._reader = self._read_store()
        most = MOST if self._compared < COMPARED_WHOLE else 1
        found = read_own_readings(self._reader, self._member.id, refs, most=most)
        self._compared += sum(map(len, found.values()))
        return found

    def _compare(self, row: Row, chain: ChainRef, before: list[OwnReading]) -> None:
        fields = row.fields
        reading = find_reading(fields)
        day = str(fields["occurred"].get("at") or "")[:10]
        doubt = None if reading is None or len(day) < 10 else find_doubt(before, day, *reading)
        if doubt is None:
            return
        self.doubtful += 1
        if self.doubtful > SHOWN_DOUBTS:
            return
        # Not what was sealed before: to read that is a look into the passport, and noted where it is taken.
        document: dict[str, object] = {
            "code": doubt.code,
            "line": row.line,
            "passport": format_name(Prefix.PASSPORT, chain.chain16),
            "row": row.row,
            "seq": doubt.before.seq,
            "subject": row.subject.value,
        }
        self._account.doubts.write(encode_trusted(document) + b"\n")

    def close(self) -> None:
        """Let go of the store; idempotent."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _place(self, item: Item) -> Item:
        """The row under the passport that it belongs to; a fault where its plate names none."""
        if isinstance(item, Fault) or (item.plate is None and item.subject.scheme != "plate"):
            return item
        day = find_day(item.fields["occurred"])
        try:
            if item.subject.scheme != "plate":
                if item.plate is not None:
                    self._plates.check_agreement(item.subject, item.plate, day)
                return item
            if self._opens_as is None or self._plates.is_known(item.subject):
                return item.with_subject(self._plates.get_passport(item.subject, day))
        except Refused as refused:
            if not self._may_learn:
                return item
            return _make_fault(item, refused, self._find_vehicle_column(is_plate=True))
        return item.with_subject(Subject(self._opens_as, item.subject.value))

    def _is_repeated(self, digest: bytes) -> bool:
        """Whether a row above is the same; 64 bits tell the rows of one file apart."""
        short = int.from_bytes(digest[:8], "big")
        if short in self._seen:
            return True
        self._seen.add(short)
        return False

    def _find_vehicle_column(self, *, is_plate: bool) -> str | None:
        mapping = self._mapping
        if mapping is None:
            return None
        if is_plate and mapping.plate is not None:
            return mapping.plate.column
        return mapping.subject.column

    def _make_unknown(self, row: Row) -> Fault:
        saying = f"no passport here has {row.subject.value}, and {self._member.name} opens none"
        return _make_fault(row, Refused(Reason.UNKNOWN_PASSPORT, saying), self._find_vehicle_column(is_plate=False))

    # ---- what is written down

    def _note_ready(self, row: Row, chain: ChainRef | None, digest: bytes) -> None:
        self._ready += 1
        self._subjects.add(hash(row.subject))
        self._note_mended(row, is_good=True)
        self._show(row, "ready")

    def _note_duplicate(self, row: Row, chain: ChainRef | None, digest: bytes) -> None:
        self._duplicate += 1
        self._subjects.add(hash(row.subject))
        self._note_mended(row, is_good=True)
        self._show(row, "duplicate")
        if self._duplicate > SHOWN_DUPLICATES:
            return
        sealed = None if chain is None else self._writer.find_sealed_row(chain.id, digest)
        document: dict[str, object] = {"row": row.row, "line": row.line, "subject": row.subject.value}
        if sealed is not None and chain is not None and sealed.member == self._member.id:
            document |= {
                "entry": f"{Prefix.ENTRY}_{sealed.sid.hex()}",
                "kind": row.kind,
                "passport": format_name(Prefix.PASSPORT, chain.chain16),
                "sealed_at": sealed.at,
            }
        self._account.duplicates.write(encode_trusted(document) + b"\n")

    def _note_fault(self, fault: Fault) -> None:
        self._faulty += 1
        self._account.faults.add(fault)
        self._note_mended(fault, is_good=False)
        self._show(fault, "faulty")

    def _note_mended(self, item: Item, *, is_good: bool) -> None:
        mends = self._mends.get(item.row)
        if not mends:
            return
        self.mended_cells += len(mends) if is_good else 0
        stood = {} if self._mapping is None else find_cells(item.origin, self._mapping.reader) or {}
        document: dict[str, object] = {
            "cells": [list(pair) for pair in (stood | mends).items()],
            "is_good": is_good,
            "line": item.line,
            "mends": [[column, cell, stood.get(column, "")] for column, cell in mends.items()],
            "row": item.row,
        }
        self._account.mended.write(encode_trusted(document) + b"\n")

    def _show(self, item: Item, state: Any) -> None:
        if len(self.shown) < SHOWN_ROWS:
            cells = find_mended_cells(item, self._mapping, self._mends) or _describe(item)
            self.shown.append(ShownRow(row=item.row, line=item.line, cells=cells, state=state))


def _describe(item: Item) -> dict[str, str]:
    """A row of a format without columns, by what it says."""
    if isinstance(item, Fault):
        return {"row": item.raw[:200]}
    fields = item.fields
    occurred: dict[str, Any] = fields["occurred"]
    reading = fields.get("odometer_km") or fields.get("odometer_mi")
    return {
        "subject": item.subject.value,
        "kind": item.kind,
        "occurred": str(occurred.get("at") or ""),
        "odometer": "" if reading is None else str(reading),
    }


def _make_fault(row: Row, refused: Refused, column: str | None) -> Fault:
    raw = compute_raw(row.origin.data if row.origin is not None else row.source_bytes)
    return Fault(row.line, row.row, column, refused.reason, refused.message, raw, row.origin)
