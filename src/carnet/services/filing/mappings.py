"""How a member's files are read, kept for the next file with the same columns.

A mapping is kept when its file is certified: then somebody has seen what it makes of the rows. It refuses to read a
file. Design: the console, ADR 0016.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, name_caller
from carnet.services.filing.reading import Reading
from carnet.services.filing.records import Known
from carnet.services.names import Prefix, find_id, format_name
from carnet.services.principals import Principal
from carnet.types import MemberId, Millis, is_plain_text

MAX_SAVED: Final = 100
MAX_NAME: Final = 80


class Saved(NamedTuple):
    """A mapping of a member: `type` and `columns` are of the files that it is for; times in ms since 1970."""

    id: str
    name: str
    type: str
    columns: tuple[str, ...]
    document: dict[str, Any]
    made_by: str
    created_ms: Millis
    used_ms: Millis | None


_SELECT = "SELECT id, name, columns, document, made_by, created_ms, used_ms FROM saved_mapping WHERE member = ?"


def list_saved(office: Office, member: MemberId) -> list[Saved]:
    """A member's mappings, the one that was used last first."""
    with office.people.read() as connection:
        rows = connection.execute(f"{_SELECT} ORDER BY coalesce(used_ms, created_ms) DESC, id", (member,)).fetchall()
    return [_read(row) for row in rows]


def list_known(office: Office, member: MemberId) -> list[Known]:
    """The same, as a file job takes them along."""
    return [Known(one.id, one.type, one.columns, one.document) for one in list_saved(office, member)]


def _read(row: Sequence[Any]) -> Saved:
    of = json.loads(row[2])
    return Saved(
        format_name(Prefix.MAPPING, bytes(row[0])),
        row[1],
        of["type"],
        tuple(of["names"]),
        json.loads(row[3]),
        row[4],
        row[5],
        row[6],
    )


def keep_mapping(office: Office, principal: Principal, member: MemberId, reading: Reading, name: str) -> str | None:
    """Keep how a file was read that is being certified, under the name of the file; the mapping's id. One for the same
    columns takes the new way of reading. None for a file whose headings or format say everything, for one of a single
    vehicle, and beyond the hundredth."""
    if reading.mapping is None or reading.reader is None or reading.origin in ("template", "format"):
        return None
    if is_of_one_vehicle(reading.mapping):
        return None
    now, names = office.clock(), [column.name for column in reading.columns]
    columns = json.dumps({"names": names, "type": reading.reader["type"]}, ensure_ascii=False, sort_keys=True)
    document = json.dumps(reading.mapping, ensure_ascii=False, sort_keys=True)
    with office.people.change() as connection:
        found = connection.execute(f"{_SELECT} AND columns = ?", (member, columns)).fetchone()
        if found is not None:
            connection.execute(
                "UPDATE saved_mapping SET document = ?, used_ms = ? WHERE id = ?", (document, now, bytes(found[0]))
            )
            return format_name(Prefix.MAPPING, bytes(found[0]))
        count = connection.execute("SELECT count(*) FROM saved_mapping WHERE member = ?", (member,)).fetchone()[0]
        if count >= MAX_SAVED:
            return None
        id_ = office.random_bytes(16)
        connection.execute(
            "INSERT INTO saved_mapping (id, member, name, columns, document, made_by, created_ms, used_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (id_, member, name.strip()[:MAX_NAME] or "–", columns, document, name_caller(principal), now, now),
        )
        public = format_name(Prefix.MAPPING, id_)
        record(connection, office, Action.MAPPING_SAVED, name_caller(principal), about=public, member=member)
    return public


def is_of_one_vehicle(document: Mapping[str, Any]) -> bool:
    """Whether a mapping names the one vehicle that all rows are about: the next file with these columns may well be of
    another, and would be sealed in this one's passport."""
    return document.get("subject", {}).get("value") is not None


def rename(office: Office, principal: Principal, member: MemberId, id_: str, name: str) -> None:
    """Give a mapping another name. Raises Refused NOT_FOUND, VALUE_OUT_OF_RANGE, TEXT_TOO_LONG,
    TEXT_NOT_ALLOWED."""
    name = " ".join(name.split())
    if not name:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "a mapping has a name", field="name")
    if len(name) > MAX_NAME:
        raise Refused(Reason.TEXT_TOO_LONG, f"a name has at most {MAX_NAME} characters", field="name")
    if not is_plain_text(name):
        raise Refused(Reason.TEXT_NOT_ALLOWED, "a name has no control characters", field="name")
    with office.people.change() as connection:
        query = "UPDATE saved_mapping SET name = ? WHERE id = ? AND member = ?"
        if connection.execute(query, (name, find_id(Prefix.MAPPING, id_) or b"", member)).rowcount != 1:
            raise _unknown()
        record(connection, office, Action.MAPPING_RENAMED, name_caller(principal), about=id_, member=member)


def remove(office: Office, principal: Principal, member: MemberId, id_: str) -> None:
    """Forget a mapping: the next such file is looked at anew. Raises Refused(NOT_FOUND), for another's too."""
    with office.people.change() as connection:
        query = "DELETE FROM saved_mapping WHERE id = ? AND member = ?"
        if connection.execute(query, (find_id(Prefix.MAPPING, id_) or b"", member)).rowcount != 1:
            raise _unknown()
        record(connection, office, Action.MAPPING_REMOVED, name_caller(principal), about=id_, member=member)


def note_file(office: Office, principal: Principal, member: MemberId, job: str, action: Action) -> None:
    """Leave in the audit trail who said that a file is to be looked at, or to be sealed."""
    with office.people.note() as connection:
        record(connection, office, action, name_caller(principal), about=job, member=member)


def _unknown() -> Refused:
    return Refused(Reason.NOT_FOUND, "there is no such mapping here, or you may not see it")
