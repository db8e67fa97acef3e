"""What every importer gives: good rows, each of which becomes one entry, and faults; in the order of the file.

A row of these streams is what becomes one entry: a line that tells of ten operations is ten rows. It refuses to know
who imports a file, and what was imported before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

import msgspec

from carnet.errors import Reason, Refused
from carnet.formats.faults import Fault, Origin, compute_raw
from carnet.passport.kinds import get_schema
from carnet.passport.occurred import DAY_MS, Occurred
from carnet.passport.subject import encode_subject
from carnet.types import Millis, Subject


class Row(NamedTuple):
    """One good row: its line and number (both from 1), and the entry that it becomes.

    `content` is its fields, complete and normal under the schema of `kind`, or the same as MessagePack. `source_bytes`
    stand for what the file says, whatever its spelling: equal for a row that is repeated, different for a look-alike
    that differs in anything at all. `plate` is one that the row gives beside its subject, `origin` the part of the file
    that holds it, and `encoded_subject` the subject's `cj`, where its reader has it at hand.
    """

    line: int
    row: int
    subject: Subject
    kind: str
    content: dict[str, Any] | bytes
    source_bytes: bytes
    plate: Subject | None = None
    origin: Origin | None = None
    encoded_subject: bytes | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The entry's fields, read anew where they are MessagePack."""
        return msgspec.msgpack.decode(self.content) if isinstance(self.content, bytes) else self.content

    def with_subject(self, subject: Subject) -> Row:
        """The same about another subject; the content still names the one before."""
        return self._replace(subject=subject, encoded_subject=None)

    def get_encoded_subject(self) -> bytes:
        """The subject's `cj`, made where it is not at hand."""
        return self.encoded_subject or encode_subject(self.subject)


Item: TypeAlias = Row | Fault

_encode = msgspec.json.Encoder(order="sorted", enc_hook=str).encode


class Place(NamedTuple):
    """Where a row stands: its line and number, both from 1, and the part of the file that holds it."""

    line: int
    row: int
    origin: Origin | None = None


class Draft(NamedTuple):
    """What a format's reader makes of one row, before its schema is asked.

    `fields` lack what the source does not tell; `source` is what the file says, as plain JSON values; `columns` give
    the name in the file for each field that may be at fault; `plate` is one that the row gives beside its subject.
    """

    kind: str
    occurred: Occurred
    fields: Mapping[str, Any]
    source: object
    columns: Mapping[str, str]
    plate: Subject | None = None


def compute_latest(now: Millis) -> str:
    """The last moment that is not in the future, written as `occurred.at` is, with a day of tolerance for every zone
    (`occurred.check_not_future`): written moments compare as texts."""
    return datetime.fromtimestamp((now + DAY_MS) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def compute_source(format_name: str, kind: str, subject: Subject, source: object) -> bytes:
    """The bytes that stand for a row, apart from those of other formats, kinds and subjects; fractions as texts."""
    named = [format_name, kind, subject.scheme, subject.country, subject.value, source]
    try:
        return _encode(named)
    except UnicodeEncodeError:
        # Half a surrogate pair, which JSON can spell and UTF-8 cannot.
        return json.dumps(named, sort_keys=True, separators=(",", ":"), default=str).encode("ascii")


def make_item(format_name: str, place: Place, subject: Subject, draft: Draft, latest: str) -> Item:
    """The row of a draft, or the fault that its schema finds, with the column of the file that is to blame."""
    try:
        if (draft.occurred.at or "") > latest:
            saying = f"{draft.occurred.at} is still to come"
            raise Refused(Reason.TIME_IN_FUTURE, saying, field="occurred")
        given = {
            **draft.fields,
            "kind": draft.kind,
            "occurred": draft.occurred.to_json(),
            "subject": subject.to_json(),
        }
        fields = get_schema(draft.kind).validate(given)
    except Refused as refused:
        return make_fault(place, refused, draft.source, find_column(refused, draft.columns))
    source = compute_source(format_name, draft.kind, subject, draft.source)
    return Row(place.line, place.row, subject, draft.kind, fields, source, draft.plate, place.origin)


def find_column(refused: Refused, columns: Mapping[str, str]) -> str | None:
    """The file's own name of the field that a refusal blames, or the field's where it has none."""
    field = refused.facts.get("field")
    if not isinstance(field, str):
        return None
    return columns.get(field) or columns.get(field.partition(".")[0].partition("[")[0]) or field


def make_fault(place: Place, refused: Refused, raw: object, column: str | None = None) -> Fault:
    """The fault of a row; `raw` are its bytes, or the values that were read from them."""
    named = refused.facts.get("field")
    blamed = column if column is not None else (named if isinstance(named, str) else None)
    shown = (
        raw if isinstance(raw, bytes) else json.dumps(raw, ensure_ascii=False, default=str).encode("utf-8", "replace")
    )
    return Fault(place.line, place.row, blamed, refused.reason, refused.message, compute_raw(shown), place.origin)
