"""Searching the audit trail, and taking it away as a file. Who may see which entries, `auditing` decides.

It refuses to hold all of it at once: an export is read page by page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from carnet.encoding import encode
from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import MAX_PAGE, PAGE, Action, Event, limit_to, read_event, record
from carnet.services.accounts.office import Office, name_caller, read_id
from carnet.services.moments import parse_moment
from carnet.services.principals import Principal
from carnet.services.spreadsheets import write_csv
from carnet.types import Millis
from carnet.vault.people.catalogue import DAY_MS

FORMATS: Final = ("csv", "json")
COLUMNS: Final = ("at", "action", "who", "about", "member", "why", "id")

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Search:
    """Which entries are wanted; None asks for any. `action` may be the beginning of one, up to a dot; `since` is the
    first moment that counts, `until` the first that does not (ms)."""

    action: str | None = None
    who: str | None = None
    about: str | None = None
    member: str | None = None
    since: Millis | None = None
    until: Millis | None = None


def make_search(
    *, action: str = "", who: str = "", about: str = "", member: str = "", since: str = "", until: str = ""
) -> Search:
    """A search from what a person wrote; what is empty asks for any. A day as its end means the whole of it. Raises
    Refused(INVALID_TIME), and NOT_IN_LIST for an action that there is not."""
    action = action.strip()
    if action and not any(one == action or one.startswith(f"{action}.") for one in Action):
        raise Refused(Reason.NOT_IN_LIST, f"there is no action {action[:60]!a} in the audit trail", field="action")
    end = None
    if until.strip():
        end = parse_moment(until) + (DAY_MS if _DAY.fullmatch(until.strip()) else 0)
    return Search(
        action or None,
        who.strip() or None,
        about.strip() or None,
        member.strip() or None,
        parse_moment(since) if since.strip() else None,
        end,
    )


def search(
    office: Office, principal: Principal, wanted: Search, *, before: str | None = None, limit: int = PAGE
) -> Sequence[Event]:
    """The entries that are wanted and that the caller may see, newest first, older than the event `before`. Raises as
    `auditing.list_events`."""
    if not 1 <= limit <= MAX_PAGE:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"a page has 1 to {MAX_PAGE} events", limit=limit)
    where, values = limit_to(principal)
    for clause, value in _list_clauses(wanted):
        where, values = f"{where} AND {clause}", [*values, value]
    if before is not None:
        where, values = f"{where} AND id < ?", [*values, read_id("evt", before, Reason.VALUE_OUT_OF_RANGE)]
    query = f"SELECT id, at_ms, action, who, about, member, why FROM event WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608
    with office.people.read() as connection:
        rows = connection.execute(query, (*values, limit)).fetchall()
    return [read_event(row) for row in rows]


def walk(office: Office, principal: Principal, wanted: Search) -> Iterator[Event]:
    """All that are wanted, newest first."""
    before = None
    while page := search(office, principal, wanted, before=before, limit=MAX_PAGE):
        yield from page
        before = page[-1].id


def export(office: Office, principal: Principal, wanted: Search, format_: str) -> Iterator[bytes]:
    """The entries as CSV (no cell begins as a formula) or as a JSON object a line, piece by piece. That it was taken is
    an entry too. Raises as `search`, and NOT_IN_LIST for another format."""
    if format_ not in FORMATS:
        raise Refused(Reason.NOT_IN_LIST, "an export is csv or json", field="format")
    # Asked before the first piece is given: a refusal comes instead of a file, not within it.
    search(office, principal, wanted, limit=1)
    with office.people.write() as connection:
        record(connection, office, Action.AUDIT_EXPORTED, name_caller(principal), member=principal.member, why=format_)
    events = walk(office, principal, wanted)
    if format_ == "csv":
        return write_csv(COLUMNS, ([to_document(event)[name] for name in COLUMNS] for event in events))
    return (encode(to_document(event)) + b"\n" for event in events)


def to_document(event: Event) -> dict[str, Any]:
    """An entry as JSON; `at` in ms since 1970."""
    return {**event._asdict(), "action": event.action.value}


def _list_clauses(wanted: Search) -> Iterator[tuple[str, object]]:
    if wanted.action is not None and "." in wanted.action:
        yield "action = ?", wanted.action
    elif wanted.action is not None:
        yield "action LIKE ?", f"{wanted.action}.%"
    for column in ("who", "about", "member"):
        value = getattr(wanted, column)
        if value is not None:
            yield f"{column} = ?", value
    if wanted.since is not None:
        yield "at_ms >= ?", wanted.since
    if wanted.until is not None:
        yield "at_ms < ?", wanted.until
