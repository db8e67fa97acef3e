"""One import while it runs: batches of rows become jobs, jobs are prepared, sealed in turn, and accounted for.

It refuses to know which file the rows came from, and in which order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import IO, Any, NamedTuple

import msgspec

from carnet.encoding import encode_trusted
from carnet.errors import InvariantBroken, Reason, Refused
from carnet.formats.faults import Fault, compute_raw
from carnet.formats.rows import Row
from carnet.ledger.rules.members import Member
from carnet.node.jobs import ChainRef, Group
from carnet.node.jobs import Item as Statement
from carnet.node.placing import Outcome, Receipt
from carnet.node.pool import PreparePool, Preparing
from carnet.node.prepare import find_day
from carnet.node.recent import Recent
from carnet.node.writing import Landing, Writing
from carnet.passport.statement import NO_TARGET
from carnet.passport.subject import encode_subject
from carnet.services.faulty import FaultyRows
from carnet.services.plates import Plates
from carnet.services.receipts import KeptReceipts, describe_receipt, make_receipts
from carnet.services.regrouping import Batch, Held, Shape, Waited, cut_items, get_source, read_held
from carnet.types import Millis, Subject, make_tuple
from carnet.vault.sealing import compute_source_digests

OPENING = "passport.opened/1"

_read_subject = msgspec.json.Decoder(Subject).decode


KNOWN_CHAINS = 20_000
"""Passports whose key is kept at hand at least, and twice as many at most: 24 MB."""
MAX_FLIGHTS = 16
"""Batches that are read at most before the first of them is prepared: some 30 MB."""
SHOWN_FAULTS = 10
KNOWN_TOGETHER = 8_192
"""Rows that were sealed before whose receipts are looked up together: some 3 MB."""
ANY_NUMBER = 1 << 63
"""No passport has so high a number."""


@dataclass(slots=True)
class Summary:
    """What became of the rows: `rows_read` = sealed + duplicate + faulty. `passports` are those that the file is about;
    openings are entries, but not rows."""

    rows_read: int = 0
    sealed: int = 0
    duplicate: int = 0
    faulty: int = 0
    passports: int = 0
    opened: int = 0
    first_faults: list[Fault] = field(default_factory=list)

    def to_document(self) -> dict[str, object]:
        """The object with which `import --json` ends."""
        names = ("rows_read", "sealed", "duplicate", "faulty", "passports")
        return {name: getattr(self, name) for name in names}


Progress = Callable[[Summary], None]

PutOff = Callable[[], AbstractContextManager[None]]
"""A block in which nobody is stopped by a KeyboardInterrupt; one that was due is raised behind it."""


class Sinks(NamedTuple):
    """Where faulty rows and receipts are written, if anywhere; receipts are NDJSON. Those of a file whose sender may
    ask for any of them later are signed when they are asked for: `is_signed_later`. With `kept`, which `receipts` has
    already, a row that the member sealed before gets its receipt again, unless it is one of them."""

    faults: FaultyRows | None = None
    receipts: IO[bytes] | None = None
    is_signed_later: bool = False
    kept: KeptReceipts | None = None


NOWHERE = Sinks()


def note_fault(summary: Summary, fault: Fault, sinks: Sinks) -> None:
    """Count a faulty row, and write it down where somebody asked for it."""
    summary.faulty += 1
    if len(summary.first_faults) < SHOWN_FAULTS:
        summary.first_faults.append(fault)
    if sinks.faults is not None:
        sinks.faults.add(fault)


class _Load(NamedTuple):
    """What a job is made of: its groups, the rows of its items by place (None: an opening; bytes: a row that waited, to
    be read with `shapes`), and the subjects (`cj`) that it opens."""

    groups: list[Group]
    rows: list[Row | bytes | None]
    opens: set[bytes]
    shapes: Sequence[Shape]


class _Flight(NamedTuple):
    """A job in preparation; the others are those of its `_Load`."""

    prepared: Preparing
    rows: list[Row | bytes | None]
    opens: set[bytes]
    shapes: Sequence[Shape]

    def get_row(self, place: int) -> Row | Held | None:
        """The row of an item; an opening has none."""
        row = self.rows[place]
        return read_held(row, self.shapes) if isinstance(row, bytes) else row


class Run:
    """One import while it runs."""

    def __init__(
        self,
        writer: Writing,
        member: Member,
        pool: PreparePool,
        now: Millis,
        sinks: Sinks,
        progress: Progress,
        opens_as: str | None,
        basis: int,
        *,
        window: int,
        stop_put_off: PutOff = nullcontext,
    ) -> None:
        self._writer, self._member, self._pool, self._now = writer, member, pool, now
        self._progress, self._window, self._stop_put_off = progress, window, stop_put_off
        self._today = datetime.fromtimestamp(now // 1000, UTC).strftime("%Y-%m-%d")
        self._index_key = writer.index_key
        self._opens_as, self._basis = opens_as, basis
        self._plates = Plates(writer)
        self._flights: deque[_Flight] = deque()
        # What is written, while the disk is waited for, or the writer.
        self._landings = deque[tuple[_Flight, Landing]]()
        self._opening = set[bytes]()
        # Passports that were met lately, by their subjects.
        self._chains = Recent[bytes, ChainRef](KNOWN_CHAINS)
        self._touched = bytearray()
        # Known rows are looked for before they are prepared as long as the file brings some: it was read before.
        self._looks_first = True
        self._first_opened: int | None = None
        # Rows of vehicles whose passport another opened while ours was on its way, and those that were sent again.
        self._overtaken: list[Row | Held] = []
        self._sent_again = set[bytes]()
        # Rows that were sealed before, by subject (`cj`), digest of the source and number, where they get a receipt.
        self._sealed_before: list[tuple[bytes, bytes, int]] = []
        self.sinks = sinks
        self.summary = Summary()

    def add(self, batch: Batch) -> None:
        """Send one batch on its way, and commit those that are ready."""
        self._send_again()
        if len(self._sealed_before) >= KNOWN_TOGETHER:
            self.drain()
        waited, by_subject = batch.waited, self._group(batch.rows)
        if self._opening and not self._opening.isdisjoint(by_subject if waited is None else waited.subjects):
            # A vehicle whose passport is being opened: its chain is known only after that commit.
            self.drain()
        before = self.summary.duplicate
        load = self._load(by_subject) if waited is None else self._load_waited(waited)
        self._looks_first = self.summary.duplicate > before
        if load.groups:
            job = self._writer.make_job(self._member.id, self._basis, load.groups, created_ms=self._now)
            self._flights.append(_Flight(self._pool.submit(job), load.rows, load.opens, load.shapes))
            self._opening |= load.opens
        while self._is_full():
            self._touch_down()
        self._progress(self.summary)

    def _is_full(self) -> bool:
        """Whether the oldest batch is committed before the file is read on, which goes on rather than wait for workers,
        most of all for their start."""
        flights = self._flights
        return len(flights) > self._window and (len(flights) > MAX_FLIGHTS or flights[0].prepared.is_done)

    def _load(self, by_subject: Mapping[bytes, Sequence[Row]]) -> _Load:
        digests = {subject: self._digest(own) for subject, own in by_subject.items()}
        with self._writer.reading():
            chains = dict(zip(by_subject, self._find_chains([*by_subject]), strict=True))
            known = self._find_known(chains.values(), digests.values()) if self._looks_first else {}
        load = _Load([], [], set(), ())
        for subject, own in by_subject.items():
            self._add_group(own, digests[subject], subject, chains[subject], known, load)
        return load

    def _load_waited(self, waited: Waited) -> _Load:
        subjects, numbers, counts, rows, shapes = waited
        items = list(map(msgspec.Raw, cut_items(rows)))
        with self._writer.reading():
            chains = self._find_chains(subjects, numbers)
            known = dict[int, set[bytes]]()
            if self._looks_first:
                digests = iter(list(map(get_source, rows)))
                known = self._find_known(chains, [list(islice(digests, count)) for count in counts])
        load = groups, order, opens, _ = _Load([], [], set(), shapes)
        older, sent_again, at, touched = self._first_opened or ANY_NUMBER, self._sent_again, 0, list[int]()
        # Once per vehicle, of which most have one row here: measure before adding a line.
        for subject, chain, count in zip(subjects, chains, counts, strict=True):
            own: list[Any] = items[at : at + count]
            packed = rows[at : at + count]
            at += count
            if chain is None:
                own = [Statement(OPENING, self._make_opening(subject)), *own]
                order.append(None)
                opens.add(subject)
            elif chain.id < older or subject in sent_again:
                touched.append(chain.id)
                if known.get(chain.id):
                    own, packed = self._leave_out(subject, known[chain.id], own, packed, shapes)
            if own:
                groups.append(make_tuple(Group, (own, chain)))
                order += packed
        self._touch(touched)
        return load

    def _leave_out(
        self,
        subject: bytes,
        known: set[bytes],
        items: Sequence[msgspec.Raw],
        rows: Sequence[bytes],
        shapes: Sequence[Shape],
    ) -> tuple[list[msgspec.Raw], list[bytes]]:
        """The rows that are not known yet, with their items. One that stands twice is found where it is prepared."""
        if self.sinks.kept is not None:
            for row in rows:
                if get_source(row) in known:
                    self._note_sealed_before(subject, get_source(row), read_held(row, shapes).row)
        left = [(item, row) for item, row in zip(items, rows, strict=True) if get_source(row) not in known]
        self.summary.duplicate += len(items) - len(left)
        return [item for item, _ in left], [row for _, row in left]

    def _group(self, rows: Iterable[Row]) -> dict[bytes, list[Row]]:
        by_subject: dict[bytes, list[Row]] = {}
        for row in rows:
            if row.plate is not None or row.subject.scheme == "plate":
                subject, row = self._find_vehicle(row)
                if subject is None:
                    continue
                encoded = encode_subject(subject)
            else:
                encoded = row.get_encoded_subject()
            by_subject.setdefault(encoded, []).append(row)
        return by_subject

    def find_numbers(self, subjects: Sequence[bytes]) -> list[int | None]:
        """The numbers of the passports that there are; of those met lately without asking."""
        kept = self._chains.find_all(subjects)
        asked = [subject for subject in subjects if subject not in kept] if kept else subjects
        # Under a read of its own: the writer's connection is busy with the commit before.
        with self._writer.reading():
            numbers = self._writer.find_numbers(asked)
        if not kept:
            return numbers
        found = dict(zip(asked, numbers, strict=True))
        return [kept[subject].id if subject in kept else found[subject] for subject in subjects]

    def _find_vehicle(self, row: Row) -> tuple[Subject | None, Row]:
        """The passport that a row belongs to, None where it is faulty for its plate; and the row."""
        day = find_day(row.fields["occurred"])
        try:
            if row.subject.scheme != "plate":
                if row.plate is not None:
                    self._plates.check_agreement(row.subject, row.plate, day)
                return row.subject, row
            if self._opens_as is None or self._plates.is_known(row.subject):
                return self._plates.get_passport(row.subject, day), row
        except Refused as refused:
            note_fault(self.summary, _make_fault(row, refused.reason, refused.message), self.sinks)
            return None, row
        subject = Subject(self._opens_as, row.subject.value)
        return subject, row.with_subject(subject)._replace(content=row.fields | {"subject": subject.to_json()})

    def drain(self) -> None:
        """Commit all that is in flight."""
        while self._flights or self._landings or self._overtaken:
            while self._flights:
                self._touch_down()
            self.land()
            self._send_again()
        self._write_receipts_again()
        self._progress(self.summary)

    def _send_again(self) -> None:
        """Rows that were to open a passport which another has opened meanwhile go into that one."""
        if not self._overtaken:
            return
        rows, self._overtaken = self._overtaken, []
        self._sent_again.update(encode_subject(row.subject) for row in rows)
        plain = [row for row in rows if isinstance(row, Row)]
        if plain:
            self.add(Batch(plain))
        for _, those in groupby([row for row in rows if isinstance(row, Held)], key=lambda row: id(row.shapes)):
            held = list(those)
            packed: dict[bytes, list[bytes]] = {}
            for row in held:
                packed.setdefault(encode_subject(row.subject), []).append(row.packed)
            counts, flat = [*map(len, packed.values())], [row for own in packed.values() for row in own]
            self.add(Batch((), Waited([*packed], [None] * len(counts), counts, flat, held[0].shapes)))

    def _add_group(
        self,
        rows: Sequence[Row],
        digests: list[bytes],
        subject: bytes,
        chain: ChainRef | None,
        known_of: dict[int, set[bytes]],
        load: _Load,
    ) -> None:
        known: set[bytes] = set()
        items: list[Statement] = []
        places: list[Row | None] = []
        if chain is None:
            items.append(Statement(OPENING, self._make_opening(subject)))
            places.append(None)
        elif self._is_older(chain) or subject in self._sent_again:
            known = known_of.get(chain.id, known)
            self._touch([chain.id])
        for row, source in zip(rows, digests, strict=True):
            if source in known:
                self.summary.duplicate += 1
                self._note_sealed_before(subject, source, row.row)
                continue
            known.add(source)
            content = row.content
            # A tuple made as one, without a call of ours: there is one for each row.
            fields = msgspec.Raw(content) if isinstance(content, bytes) else content
            items.append(make_tuple(Statement, (row.kind, fields, source, 0, NO_TARGET, False)))
            places.append(row)
        if items:
            load.groups.append(Group(items, chain))
            load.rows.extend(places)
            if chain is None:
                load.opens.add(subject)

    def _find_chains(self, subjects: Sequence[bytes], numbers: Sequence[int | None] = ()) -> list[ChainRef | None]:
        """The passport of each vehicle, if there is one; those met lately are at hand. `numbers` are those of passports
        that were found before."""
        chains = self._chains.find_all(subjects)
        if numbers:
            pairs = zip(numbers, subjects, strict=True)
            asked = [(number, one) for number, one in pairs if number is not None and one not in chains]
            chains |= self._writer.find_chains_by_numbers([number for number, _ in asked], [one for _, one in asked])
        if len(chains) < len(subjects):
            others = [_read_subject(subject) for subject in subjects if subject not in chains]
            chains |= {chain.encoded_subject: chain for chain in self._writer.find_chains(others).values()}
        self._chains.keep(chains)
        return list(map(chains.get, subjects))

    def _find_known(self, chains: Iterable[ChainRef | None], digests: Iterable[list[bytes]]) -> dict[int, set[bytes]]:
        """Which rows the passports hold that are older than this run. The writer refuses them too, but by then they
        are prepared."""
        asked = {
            chain.id: own
            for chain, own in zip(chains, digests, strict=True)
            if chain is not None and self._is_older(chain)
        }
        return self._writer.find_sources(asked)

    def _is_older(self, chain: ChainRef) -> bool:
        """Whether a passport was not opened by this run."""
        return self._first_opened is None or chain.id < self._first_opened

    def _digest(self, rows: Iterable[Row]) -> list[bytes]:
        return compute_source_digests(self._index_key, [row.source_bytes for row in rows])

    def _touch(self, numbers: Sequence[int]) -> None:
        """Count older passports that the file is about, each once: one bit for each passport of the node."""
        touched = self._touched
        missing = max(numbers, default=0) // 8 + 1 - len(touched)
        if missing > 0:
            touched.extend(bytes(missing))
        new = [number for number in numbers if not touched[number >> 3] >> (number & 7) & 1]
        for number in new:
            touched[number >> 3] |= 1 << (number & 7)
        self.summary.passports += len(new)

    def _touch_down(self) -> None:
        """Hand the oldest flight to the writer, and acknowledge one of those before it."""
        while len(self._landings) >= self._writer.most_ahead:
            self._land()
        with self._stop_put_off():
            landing = self._writer.start_commit(self._flights[0].prepared, is_quiet=self.sinks.receipts is None)
            self._landings.append((self._flights.popleft(), landing))

    def _land(self) -> None:
        """Wait for the oldest commit that is under way; only when this returns is any of it acknowledged."""
        with self._stop_put_off():
            flight, landing = self._landings.popleft()
            outcome = landing.result()
            if outcome.refused is not None:
                raise outcome.refused
            self._opening -= flight.opens
            self._account(flight, outcome)
            if self.sinks.receipts is not None:
                rows = [(flight.get_row(receipt.place), receipt) for receipt in outcome.receipts]
                told = [(row.row, receipt) for row, receipt in rows if row is not None]
                _write_receipts(self._writer, told, self.sinks)

    def land(self) -> None:
        """Acknowledge the commits that are under way, and begin no other."""
        while self._landings:
            self._land()

    def _account(self, flight: _Flight, outcome: Outcome) -> None:
        summary = self.summary
        tally = outcome.tally
        summary.sealed += tally.sealed - tally.opened
        summary.opened += tally.opened
        summary.passports += tally.opened
        if tally.first_opened is not None and self._first_opened is None:
            # Numbers rise: whatever has this one or a higher one was opened, and counted, by this run.
            self._first_opened = self._get_number(tally.first_opened)
        for refusal in outcome.refusals:
            row = flight.get_row(refusal.place)
            if row is None:
                continue
            if refusal.reason == Reason.ALREADY_SEALED:
                summary.duplicate += 1
                self._looks_first = True
                if self.sinks.kept is not None:
                    self._note_refused_duplicate(row)
                continue
            if refusal.reason == Reason.SUBJECT_TAKEN and encode_subject(row.subject) not in self._sent_again:
                self._overtaken.append(row)
                continue
            # One whose existence the member may not learn is told as a vehicle that it could open none for.
            hidden = self._find_why_not_opened() if refusal.reason == Reason.UNKNOWN_PASSPORT else None
            note_fault(summary, _make_fault(row, *(hidden or (refusal.reason, refusal.message))), self.sinks)

    def _note_refused_duplicate(self, row: Row | Held) -> None:
        if isinstance(row, Held):
            self._note_sealed_before(encode_subject(row.subject), row.source, row.row)
            return
        subject = row.subject
        if subject.scheme == "plate":
            # It was found before: the row was sent to the passport.
            subject = self._plates.get_passport(subject, find_day(row.fields["occurred"]))
        self._note_sealed_before(encode_subject(subject), self._digest([row])[0], row.row)

    def _note_sealed_before(self, subject: bytes, source: bytes, row: int) -> None:
        if self.sinks.kept is not None:
            self._sealed_before.append((subject, source, row))

    def _write_receipts_again(self) -> None:
        """The receipts of rows that this member sealed before, now or in another run, as far as their file has none.
        Nothing is under way by now, so all of them are found. Whoever sends another's row is told no more of it."""
        sinks, rows, self._sealed_before = self.sinks, self._sealed_before, []
        if sinks.receipts is None or sinks.kept is None or not rows:
            return
        numbers, wanted = list[int](), list[tuple[bytes, bytes]]()
        with self._writer.reading():
            subjects = [*dict.fromkeys(subject for subject, _, _ in rows)]
            chains = dict(zip(subjects, self._find_chains(subjects), strict=True))
            for subject, source, number in rows:
                chain = chains[subject]
                sealed = None if chain is None else self._writer.find_sealed_row(chain.id, source)
                if chain is None or sealed is None or sealed.member != self._member.id:
                    continue
                if not sinks.kept.has(number, sealed.sid):
                    numbers.append(number)
                    wanted.append((chain.chain16, sealed.sid))
            found = self._writer.find_receipts(wanted)
        _write_receipts(self._writer, [(numbers[place], receipt) for place, receipt in found.items()], sinks)

    def _find_why_not_opened(self) -> tuple[Reason, str] | None:
        rules = self._writer.state.rules
        try:
            rules.check_may_write(self._member.kind, OPENING, self._basis)
            self._member.check_accredited(OPENING, self._basis, rules.get_kind(OPENING).class_)
        except Refused as refused:
            return refused.reason, refused.message
        return None

    def _make_opening(self, subject: bytes) -> dict[str, object]:
        return {
            "after_erasure": None,
            "kind": OPENING,
            "occasion": "file",
            "occurred": {"at": self._today, "precision": "day", "zone": "UTC"},
            "source": None,
            "subject": _read_subject(subject).to_json(),
        }

    def _get_number(self, chain16: bytes) -> int:
        chain = self._writer.find_chain_by_id(chain16)
        if chain is None:
            raise InvariantBroken(f"the passport {chain16.hex()} was sealed and is not there")
        return chain.id


def _make_fault(row: Row | Held, reason: Reason, message: str) -> Fault:
    """The fault of a row that could be read."""
    if isinstance(row, Held):
        return Fault(row.line, row.row, None, reason, message, compute_raw(row.data), row.origin)
    raw = compute_raw(row.origin.data if row.origin is not None else row.source_bytes)
    return Fault(row.line, row.row, None, reason, message, raw, row.origin)


def _write_receipts(writer: Writing, rows: Sequence[tuple[int, Receipt]], sinks: Sinks) -> None:
    """One line for each sealed row, on the disk's side of its commit."""
    if sinks.receipts is None:
        return
    receipts = [receipt for _, receipt in rows]
    made = list(map(describe_receipt, receipts)) if sinks.is_signed_later else make_receipts(writer, receipts)
    for (number, _), told in zip(rows, made, strict=True):
        sinks.receipts.write(encode_trusted({**told, "row": number}) + b"\n")
        # Whole lines alone: what a buffer holds of the next one would be torn where the import is killed.
        sinks.receipts.flush()
