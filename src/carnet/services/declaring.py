"""What a holder adds to a passport: a reading, work of their own, an invoice, a document, a note; and objections.

It makes the entry that is asked for; `services.appending` seals it in the operator's name, on the holder's word. The
same words again make no second entry. It refuses to judge what is declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from carnet.services.appending import NewEntry
from carnet.services.entries import Entry

DECLARED: Final = "vehicle.declared/1"
CONTESTED: Final = "passport.contested/1"
TYPES: Final = ("reading", "own_work", "invoice", "document", "note")
REASONS: Final = ("wrong_value", "wrong_vehicle", "wrong_date", "did_not_happen", "incomplete", "other")
"""What a holder may object. "fraud_suspected" is left to organisations: numbers are judged here, never people."""


@dataclass(frozen=True, slots=True)
class Addition:
    """What a holder wrote. `day` is ISO; `odometer` with its `unit` as read (km or mi); `work` one line each; the
    price in hundredths of a euro; `digest` the SHA-256 (hexadecimal) of the file that goes with it."""

    type: str
    day: str
    odometer: int | None = None
    unit: str = "km"
    title: str | None = None
    work: Sequence[str] = ()
    establishment: str | None = None
    price_cents: int | None = None
    note: str | None = None
    digest: str | None = None

    def to_fields(self) -> dict[str, Any]:
        """The fields of the declared entry; what was left blank is absent."""
        given = {
            "activities": [{"text": line} for line in self.work] or None,
            "currency": None if self.price_cents is None else "EUR",
            "establishment": self.establishment,
            "note": self.note,
            f"odometer_{self.unit}": self.odometer,
            "price_cents": self.price_cents,
            "title": self.title,
            "type": self.type,
            ("photo_sha256" if self.type == "reading" else "document_sha256"): self.digest,
        }
        return {name: value for name, value in given.items() if value is not None}


def make_declaration(addition: Addition, corrects: Entry | None = None) -> NewEntry:
    """The entry of an addition; with `corrects` it takes the place of an earlier declaration."""
    return NewEntry(
        kind=DECLARED,
        occurred={"at": addition.day, "precision": "day", "zone": None},
        fields=addition.to_fields(),
        corrects=None if corrects is None else bytes.fromhex(corrects.statement),
    )


def make_objection(target: Entry, reason: str, note: str, day: str) -> NewEntry:
    """The entry that contests another, on a day (ISO)."""
    return NewEntry(
        kind=CONTESTED,
        occurred={"at": day, "precision": "day", "zone": None},
        fields={"reason": reason, "note": note},
        contests=bytes.fromhex(target.statement),
    )


def find_same(entries: Sequence[Entry], new: NewEntry) -> Entry | None:
    """The standing entry that says the same already: a form that was sent twice adds nothing."""
    target = new.corrects or new.contests
    for entry in reversed(entries):
        if entry.kind == new.kind and entry.superseded_by is None and _says(entry.fields, new):
            aimed = None if entry.target is None else bytes.fromhex(entries[entry.target].statement)
            if aimed == target:
                return entry
    return None


def _says(fields: Mapping[str, Any], new: NewEntry) -> bool:
    own = {
        name: value
        for name, value in fields.items()
        if value is not None and name not in ("kind", "subject", "occurred")
    }
    return _plain(own) == _plain(dict(new.fields)) and fields.get("occurred") == dict(new.occurred)


def _plain(value: Any) -> Any:
    """A value without what is blank in it: a record as sealed names its absent fields."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if part is not None}
    return [_plain(part) for part in value] if isinstance(value, list) else value
