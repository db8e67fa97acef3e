"""What bodies and addresses name: subjects, moments, passports, entries. Unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from carnet.errors import Reason, Refused
from carnet.passport.occurred import Precision
from carnet.services.access import refuse_unknown
from carnet.services.appending import NewEntry, read_subject
from carnet.services.names import Prefix, find_id, parse_name, pattern
from carnet.types import Subject
from carnet.web.inputs import Input

Scheme = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Short = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
KindName = Annotated[str, msgspec.Meta(min_length=1, max_length=140)]
EntryName = Annotated[str, msgspec.Meta(pattern=pattern(Prefix.ENTRY))]
Occasion = Literal["first_registration", "import", "inspection", "service", "sale", "file", "other"]


class SubjectIn(Input, frozen=True, kw_only=True):
    """The vehicle: `vin` and its number, or another scheme's. A plate names no passport."""

    scheme: Scheme
    value: Short


class OccurredIn(Input, frozen=True, kw_only=True):
    """When it happened, as precisely as is known: `{"at": "2026-11-25", "precision": "day"}`."""

    at: Annotated[str, msgspec.Meta(max_length=32)] | None
    precision: Precision
    zone: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class PassportIn(Input, frozen=True, kw_only=True):
    """A passport to open: of which vehicle, on what occasion."""

    subject: SubjectIn
    occasion: Occasion


class EntryIn(Input, frozen=True, kw_only=True):
    """An entry to append. `fields` are the own fields of its kind (`/v1/kinds`); `subject` shows that you have the
    vehicle before you; `corrects` or `contests` name an earlier entry of the passport."""

    kind: KindName
    occurred: OccurredIn
    fields: dict[str, Any]
    subject: SubjectIn | None = None
    corrects: EntryName | None = None
    contests: EntryName | None = None


class VehicleEntryIn(Input, frozen=True, kw_only=True):
    """An entry to append to the passport of the vehicle that it names."""

    subject: SubjectIn
    kind: KindName
    occurred: OccurredIn
    fields: dict[str, Any]
    corrects: EntryName | None = None
    contests: EntryName | None = None


def get_subject(given: SubjectIn) -> Subject:
    """The vehicle, in its normal writing. Raises Refused as `read_subject`."""
    return read_subject({"scheme": given.scheme, "value": given.value})


def get_new_entry(given: EntryIn | VehicleEntryIn) -> NewEntry:
    """The entry as the service takes it."""
    at = given.occurred
    return NewEntry(
        kind=given.kind,
        occurred={"at": at.at, "precision": at.precision, "zone": at.zone},
        fields=given.fields,
        corrects=None if given.corrects is None else parse_name(Prefix.ENTRY, given.corrects, "corrects"),
        contests=None if given.contests is None else parse_name(Prefix.ENTRY, given.contests, "contests"),
    )


_OF_BODY: Final = frozenset({"kind", "occurred", "subject", "fields", "corrects", "contests"})
_OF_KIND: Final = frozenset({Reason.UNKNOWN_KIND, Reason.WRONG_CHAIN, Reason.MAY_NOT_WRITE, Reason.NOT_ACCREDITED})
_OF_TARGET: Final = frozenset({Reason.UNKNOWN_TARGET, Reason.TARGET_IS_OPENING, Reason.WRONG_MARK})


def point_out(refused: Refused, new: NewEntry) -> None:
    """Say of a refused entry where in its body the fault is: a kind's own fields stand in `fields` there."""
    place = refused.facts.get("field")
    if isinstance(place, str):
        refused.facts["field"] = place if place.split(".")[0] in _OF_BODY else f"fields.{place}"
    elif refused.reason in _OF_KIND:
        refused.facts["field"] = "kind"
    elif refused.reason in _OF_TARGET and (new.corrects or new.contests):
        refused.facts["field"] = "contests" if new.contests else "corrects"


def get_passport_id(name: str) -> bytes:
    """The passport in an address; what is no name of one names none (UNKNOWN_PASSPORT)."""
    found = find_id(Prefix.PASSPORT, name)
    if found is None:
        raise refuse_unknown(None)
    return found


def get_entry_id(name: str) -> bytes:
    """The entry in an address; what is no name of one names none."""
    found = find_id(Prefix.ENTRY, name)
    if found is None:
        raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such entry here, or you may not see it")
    return found
