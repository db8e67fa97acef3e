"""A vehicle for the person who holds it: what it is, what asks for attention, what comes next, and where each datum is
from.

Everything here comes from entries; what no entry says is absent, never guessed. It refuses to judge whether a value
is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any, Final

from carnet.node.reader import Reader
from carnet.services.access import View, refuse_unknown
from carnet.services.contracts import Contract, ContractState, list_contracts
from carnet.services.entries import TRANSFER, WITHDRAWALS, Author, Entry, Ground, read_entry, settle, sort_by_time
from carnet.services.odometer import Reading, find_last_certified, find_last_reading
from carnet.services.recalls import list_open_recalls, list_recalls
from carnet.services.showing import Standing
from carnet.services.titles import list_measures
from carnet.types import Millis

IDENTITY: Final = "vehicle.identity/1"
INSPECTION: Final = "vehicle.inspection/1"
SOON: Final = timedelta(days=60)

UNFAVOURABLE: Final = frozenset({"S", "SP", "R", "RP", "X", "FAILED"})
"""Results of an inspection after which a vehicle may not go on without another visit. Source: domain.md §2."""


RUBRICS: Final[dict[str, str]] = {
    "first_registration": "B", "make": "D.1", "type_variant_version": "D.2", "cnit": "D.2.1", "model": "D.3",
    "vin": "E",
    "mass_f1_kg": "F.1", "mass_f2_kg": "F.2", "mass_f3_kg": "F.3", "mass_g_kg": "G", "mass_g1_kg": "G.1",
    "category": "J",
    "type_approval": "K", "displacement_mm3": "P.1", "power_w": "P.2", "energy": "P.3", "colour": "R", "seats": "S.1",
    "co2_g_per_km": "V.7", "euro_class": "V.9",
}  # fmt: skip
"""The letters of the harmonised registration document, in its order. Source: Directive 1999/37/EC, annex I."""

BRIEF: Final = ("first_registration", "make", "model", "vin", "energy", "power_w", "category", "seats")


@dataclass(frozen=True, slots=True)
class Datum:
    """One value with the entry that it is from: that entry's author is who can correct it."""

    name: str
    value: Any
    entry: Entry


@dataclass(frozen=True, slots=True)
class Due:
    """The next inspection: by this day (ISO), and the entry that says so. `days` from today, negative when it has
    passed."""

    day: str
    days: int
    entry: Entry


class Level(StrEnum):
    """How much something asks for attention."""

    ALERT = "alert"
    WAIT = "wait"


class Cause(StrEnum):
    """Why a vehicle is to be looked at; each is a rule over entries alone."""

    MEASURE = "measure"
    INSPECTION_FAILED = "inspection_failed"
    INSPECTION_OVERDUE = "inspection_overdue"
    INSPECTION_SOON = "inspection_soon"
    RECALL_OPEN = "recall_open"
    CONTESTED = "contested"
    CONTRACT_ENDING = "contract_ending"
    KEY_DISPUTED = "key_disputed"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to look at: how much, why, the entry that it is about, and a day (ISO) where one matters."""

    level: Level
    cause: Cause
    entry: Entry
    day: str | None = None


class Status(StrEnum):
    """The one word of a vehicle's card: nothing recorded asks for anything; something does; the passport is closed."""

    QUIET = "quiet"
    LOOK = "look"
    URGENT = "urgent"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A passport as its holder sees it. `passport` is the id's 32 digits; `as_of` is when its newest entry was sealed,
    ms; `today` is the day for which it was made.

    `authors` are the members that have written here, each of which reads what it wrote itself.
    """

    passport: str
    subject: dict[str, Any]
    make: str | None
    model: str | None
    plate: str | None
    plate_country: str | None
    vin: str | None
    status: Status
    notices: tuple[Notice, ...]
    last_certified: Reading | None
    last_reading: Reading | None
    next_inspection: Due | None
    last_inspection: Entry | None
    open_recall_count: int
    has_recalls: bool
    authors: tuple[Author, ...]
    entry_count: int
    epoch: int
    as_of: Millis
    entries: tuple[Entry, ...]
    today: date

    @property
    def name(self) -> str | None:
        """Make and commercial name, as the identity entries write them; None where none does."""
        model = self.model or ""
        make = "" if self.make and model.lower().startswith(self.make.lower()) else (self.make or "")
        return " ".join(part for part in (make.title() if make.isupper() else make, model) if part) or None

    @property
    def contracts(self) -> list[Contract]:
        """Contracts, those in force first."""
        return list_contracts(self.entries, self.today)

    def get_entry(self, seq: int) -> Entry | None:
        """The entry at a place."""
        return self.entries[seq] if 0 <= seq < len(self.entries) else None

    def find_entry(self, statement: str) -> Entry | None:
        """The entry of a statement, by its digest in hexadecimal."""
        return next((entry for entry in self.entries if entry.statement == statement), None)


def open_vehicle(reader: Reader, view: View, today: date) -> Vehicle:
    """The vehicle of a passport, for its holder. Raises Refused(UNKNOWN_PASSPORT) for a view that is not whole."""
    if not view.is_whole:
        raise refuse_unknown(view.passport)
    links = view.read_entries(reader)
    standing = Standing(reader, view.passport, links)
    entries = [read_entry(standing.describe(link)) for link in links]
    return make_vehicle(view.passport.hex(), reader.get_subject(view.passport), entries, today)


class KeptVehicles:
    """Vehicles as they were last opened, for one worker: the pages of one vehicle are asked for one after the other.

    Who asks has a whole view already (`services.access`); what may have changed since is asked of the store each
    time. What is kept ends with the process, so that an erasure, for which the service is stopped, leaves nothing.
    """

    def __init__(self, entry_limit: int = 20_000) -> None:
        self._entry_limit = entry_limit
        self._kept: dict[bytes, tuple[tuple[object, ...], Vehicle]] = {}
        self._entry_count = 0
        self._lock = Lock()

    def open(self, reader: Reader, view: View, today: date) -> Vehicle:
        """As `open_vehicle`."""
        version = (reader.find_fingerprint(view.passport), view.epoch, today)
        found = self._kept.get(view.passport)
        if found is not None and found[0] == version and view.is_whole:
            return found[1]
        vehicle = open_vehicle(reader, view, today)
        with self._lock:
            if self._entry_count + vehicle.entry_count > self._entry_limit:
                self._kept, self._entry_count = {}, 0
            self._kept[view.passport] = version, vehicle
            self._entry_count += vehicle.entry_count
        return vehicle


def make_vehicle(passport: str, subject: dict[str, Any], entries: Sequence[Entry], today: date) -> Vehicle:
    """The vehicle that all entries of a passport, in chain order, tell of on a day."""
    entries = settle(entries)
    identity = list_identity(entries)
    known = {datum.name: datum.value for datum in identity}
    plate = find_plate(subject, entries, today)
    notices = tuple(_list_notices(entries, today))
    return Vehicle(
        passport=passport,
        subject=subject,
        make=known.get("make"),
        model=known.get("model"),
        plate=None if plate is None else plate[0],
        plate_country=None if plate is None else plate[1],
        vin=subject["value"] if subject.get("scheme") == "vin" else known.get("vin"),
        status=_choose_status(entries, notices),
        notices=notices,
        last_certified=find_last_certified(entries),
        last_reading=find_last_reading(entries),
        next_inspection=find_next_inspection(entries, today),
        last_inspection=_find_last(entries, INSPECTION),
        open_recall_count=len(list_open_recalls(entries)),
        has_recalls=bool(list_recalls(entries)),
        authors=_list_authors(entries),
        entry_count=len(entries),
        epoch=sum(entry.mark == TRANSFER for entry in entries),
        as_of=max((entry.sealed_at for entry in entries), default=0),
        entries=tuple(entries),
        today=today,
    )


def list_identity(entries: Sequence[Entry]) -> list[Datum]:
    """What standing identity entries say of the vehicle, each value from the newest that gives it."""
    found: dict[str, Datum] = {}
    for entry in sort_by_time([entry for entry in entries if entry.kind == IDENTITY and entry.counts]):
        for name, value in entry.fields.items():
            if name not in ("kind", "occurred", "subject", "alias") and value is not None:
                found[name] = Datum(name, value, entry)
    return list(found.values())


def list_rubrics(entries: Sequence[Entry]) -> list[tuple[str, Datum]]:
    """The same by the letters of the registration document, in its order; what has no letter comes last, without
    one."""
    order = {name: place for place, name in enumerate(RUBRICS)}
    data = sorted(list_identity(entries), key=lambda datum: order.get(datum.name, len(order)))
    return [(RUBRICS.get(datum.name, ""), datum) for datum in data]


def list_plates(entries: Sequence[Entry]) -> list[tuple[dict[str, Any], Entry]]:
    """Every plate that a standing identity entry names, with its interval, in order of its first day."""
    found = []
    for entry in entries:
        alias = entry.find("alias") if entry.kind == IDENTITY and entry.is_standing else None
        if isinstance(alias, dict) and alias["subject"]["scheme"] == "plate":
            found.append((alias, entry))
    return sorted(found, key=lambda one: str(one[0]["from"]))


def find_plate(subject: dict[str, Any], entries: Sequence[Entry], today: date) -> tuple[str, str] | None:
    """The plate of today and its country: the newest alias whose interval holds, else the passport's own subject."""
    for alias, _ in reversed(list_plates(entries)):
        if alias["from"] <= today.isoformat() and (alias["until"] is None or alias["until"] > today.isoformat()):
            return str(alias["subject"]["value"]), str(alias["subject"]["country"])
    if subject.get("scheme") == "plate":
        return str(subject["value"]), str(subject["country"])
    return None


def find_next_inspection(entries: Sequence[Entry], today: date) -> Due | None:
    """Until when the newest standing inspection that names a day is valid; None where none does."""
    for entry in sort_by_time([entry for entry in entries if entry.kind == INSPECTION], is_newest_first=True):
        until = entry.find_text("valid_until")
        if entry.counts and until is not None:
            return Due(until, (date.fromisoformat(until) - today).days, entry)
    return None


def _choose_status(entries: Sequence[Entry], notices: Sequence[Notice]) -> Status:
    if any(entry.kind == "passport.closed/1" and entry.is_standing for entry in entries):
        return Status.CLOSED
    if any(notice.level is Level.ALERT for notice in notices):
        return Status.URGENT
    return Status.LOOK if notices else Status.QUIET


def _list_notices(entries: Sequence[Entry], today: date) -> Iterator[Notice]:
    """What asks for attention, the gravest first."""
    for measure in list_measures(entries):
        if measure.is_in_force and measure.is_grave:
            yield Notice(Level.ALERT, Cause.MEASURE, measure.began)
    yield from _list_inspection_notices(entries, today)
    for entry in list_open_recalls(entries):
        yield Notice(Level.ALERT, Cause.RECALL_OPEN, entry)
    for entry in entries:
        if entry.is_standing and _has_live_objection(entry, entries):
            yield Notice(Level.WAIT, Cause.CONTESTED, entry)
        if entry.is_disputed:
            yield Notice(Level.WAIT, Cause.KEY_DISPUTED, entry)
    for contract in list_contracts(entries, today):
        if contract.state is ContractState.ENDING:
            yield Notice(Level.WAIT, Cause.CONTRACT_ENDING, contract.entry, contract.end_day)


def _has_live_objection(entry: Entry, entries: Sequence[Entry]) -> bool:
    """Whether anybody contests the entry who has not withdrawn the objection since."""
    later = [entries[seq].superseded_by for seq in entry.contested_by]
    return any(seq is None or entries[seq].kind not in WITHDRAWALS for seq in later)


def _list_inspection_notices(entries: Sequence[Entry], today: date) -> Iterator[Notice]:
    last, due = _find_last(entries, INSPECTION), find_next_inspection(entries, today)
    if last is not None and last.find("result") in UNFAVOURABLE:
        yield Notice(Level.ALERT, Cause.INSPECTION_FAILED, last)
    elif due is not None and due.days < 0:
        yield Notice(Level.ALERT, Cause.INSPECTION_OVERDUE, due.entry, due.day)
    elif due is not None and due.days <= SOON.days:
        yield Notice(Level.WAIT, Cause.INSPECTION_SOON, due.entry, due.day)


def _find_last(entries: Sequence[Entry], kind: str) -> Entry | None:
    found = [entry for entry in entries if entry.kind == kind and entry.counts]
    return sort_by_time(found)[-1] if found else None


def _list_authors(entries: Sequence[Entry]) -> tuple[Author, ...]:
    return tuple({entry.by.id: entry.by for entry in entries if entry.ground is not Ground.DECLARED}.values())
