"""The addresses of a member that are told what happened: added, listed, rotated, stopped, started again, ended.

It refuses to know what is told, and how an address is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from carnet.errors import Reason, Refused
from carnet.outbound.addresses import Reach, parse_target
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, name_caller, name_id, read_id
from carnet.services.accounts.registry import check_administers, with_present_role
from carnet.services.principals import Principal, Scope, Standing
from carnet.services.webhooks.events import parse_kinds
from carnet.types import MemberId, Millis, is_plain_text
from carnet.vault.store import Connection

MAX_WEBHOOKS: Final = 10
"""Of one member at the same time."""

MAX_NOTE: Final = 80
FAILING, GONE = "failing", "gone"

_COLUMNS: Final = (
    "id, member, url, kinds, note, made_by, generation, created_ms, since_ms, rotated_ms, failing_ms, stopped_ms,"
    " stopped_why, ended_ms"
)


class Endpoint(NamedTuple):
    """An address as it is stored; times in ms. `kinds` are the events that it is told; what happened before `since` is
    not. `failing_since`: every delivery has failed since then. `stopped_why`: `failing` (for five days) or `gone` (it
    answered 410)."""

    id: bytes
    member: MemberId
    url: str
    kinds: tuple[str, ...]
    note: str
    made_by: str
    generation: int
    created_at: Millis
    since: Millis
    rotated_at: Millis | None
    failing_since: Millis | None
    stopped_at: Millis | None
    stopped_why: str | None
    ended_at: Millis | None

    @property
    def public_id(self) -> str:
        """`whk_…`."""
        return name_id("whk", self.id)

    @property
    def is_told(self) -> bool:
        """Whether messages are made for it."""
        return self.stopped_at is None and self.ended_at is None

    @property
    def state(self) -> str:
        """In a word: `active`, `failing`, `stopped` or `ended`."""
        if self.ended_at is not None:
            return "ended"
        if self.stopped_at is not None:
            return "stopped"
        return "active" if self.failing_since is None else "failing"


Check: TypeAlias = Callable[[Endpoint], None]
"""Raises unless an address is still as somebody saw it."""


def take_any(endpoint: Endpoint) -> None:
    """Whoever has seen nothing takes it as it is."""


def check_manages(principal: Principal, member: MemberId | None) -> None:
    """Raise Refused(NOT_PERMITTED) unless the caller is an operator, an admin of this member, or a program of it with
    the scope `webhooks`."""
    is_program = principal.standing is Standing.MACHINE and Scope.WEBHOOKS in principal.scopes
    if not (is_program and principal.member is not None and principal.member == member):
        check_administers(principal, member)


def add_endpoint(
    office: Office,
    principal: Principal,
    member: MemberId,
    url: str,
    *,
    kinds: Iterable[str] = (),
    note: str = "",
    reach: Reach,
    seed: bytes | None = None,
) -> Endpoint:
    """Tell this address what happens from now on: these kinds of events, or all. With the same `seed` (of an
    idempotency key) it is the same webhook.

    Raises Refused NOT_PERMITTED, NOT_SIGNED_IN for an account that was ended, SIGN_IN_FAILED for a program that was,
    URL_NOT_ALLOWED, NOT_IN_LIST, TEXT_TOO_LONG, TEXT_NOT_ALLOWED, TOO_MANY_WEBHOOKS.
    """
    check_manages(principal, member)
    parse_target(url, reach)
    named, note = parse_kinds(kinds), note.strip()
    if len(note) > MAX_NOTE:
        raise Refused(Reason.TEXT_TOO_LONG, f"a note has at most {MAX_NOTE} characters", field="note")
    if note and not is_plain_text(note):
        raise Refused(Reason.TEXT_NOT_ALLOWED, "a note has no control characters", field="note")
    now, who = office.clock(), name_caller(principal)
    id_ = office.random_bytes(16) if seed is None else seed[:16]
    endpoint = Endpoint(id_, member, url, named, note, who, 1, now, now, None, None, None, None, None)
    with office.people.change() as connection:
        check_manages(with_present_role(connection, principal), member)
        known = find_by_id(connection, id_)
        if known is not None and known.member == member:
            return known
        query = "SELECT count(*) FROM webhook WHERE member = ? AND ended_ms IS NULL"
        if connection.execute(query, (member,)).fetchone()[0] >= MAX_WEBHOOKS:
            raise Refused(Reason.TOO_MANY_WEBHOOKS, f"a member has {MAX_WEBHOOKS} webhooks at most: end one first")
        marks = ", ".join("?" * len(endpoint))
        values = (*endpoint[:3], " ".join(named), *endpoint[4:])
        connection.execute(f"INSERT INTO webhook ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608
        record(connection, office, Action.WEBHOOK_ADDED, who, about=endpoint.public_id, member=member)
    return endpoint


def list_endpoints(office: Office, principal: Principal, member: MemberId | None = None) -> Sequence[Endpoint]:
    """The addresses that were not ended, oldest first: of the caller's member; for an operator of one that is named, or
    of all. Raises Refused(NOT_PERMITTED)."""
    if principal.standing is not Standing.OPERATOR:
        member = principal.member
        check_manages(principal, member)
    where, values = ("1 = 1", tuple[object, ...]()) if member is None else ("member = ?", (member,))
    query = f"SELECT {_COLUMNS} FROM webhook WHERE {where} AND ended_ms IS NULL ORDER BY created_ms, id"  # noqa: S608
    with office.people.read() as connection:
        return [_to_endpoint(row) for row in connection.execute(query, values).fetchall()]


def list_told(connection: Connection) -> list[Endpoint]:
    """The addresses of all members for which messages are made."""
    query = f"SELECT {_COLUMNS} FROM webhook WHERE ended_ms IS NULL AND stopped_ms IS NULL ORDER BY id"  # noqa: S608
    return [_to_endpoint(row) for row in connection.execute(query).fetchall()]


def find_by_id(connection: Connection, id_: bytes) -> Endpoint | None:
    """An address by its id, ended or not."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM webhook WHERE id = ?", (id_,)).fetchone()  # noqa: S608
    return None if row is None else _to_endpoint(row)


def get_endpoint(connection: Connection, principal: Principal, webhook: str) -> Endpoint:
    """The address `whk_…`, if the caller manages it and it was not ended. Raises Refused(UNKNOWN_WEBHOOK), also for
    another member's; NOT_SIGNED_IN for an account that was ended, SIGN_IN_FAILED for a program that was."""
    found = find_by_id(connection, read_id("whk", webhook, Reason.UNKNOWN_WEBHOOK))
    if found is not None and found.ended_at is None:
        principal = with_present_role(connection, principal)
        try:
            check_manages(principal, found.member)
            return found
        except Refused:
            pass
    raise Refused(Reason.UNKNOWN_WEBHOOK, "there is no such webhook, or it is not yours")


def rotate(office: Office, principal: Principal, webhook: str, *, seen: str = "", check: Check = take_any) -> Endpoint:
    """A new key; the one before it signs beside it for one day more. With `seen`, the number of the key that the caller
    has before them, nothing is done where there is a newer one. Raises Refused(UNKNOWN_WEBHOOK), and what `check` does
    of the address as it is."""
    with office.people.change() as connection:
        found, now = get_endpoint(connection, principal, webhook), office.clock()
        check(found)
        if seen and seen != str(found.generation):
            return found
        changed = found._replace(generation=found.generation + 1, rotated_at=now)
        query = "UPDATE webhook SET generation = ?, rotated_ms = ? WHERE id = ?"
        connection.execute(query, (changed.generation, now, found.id))
        who = name_caller(principal)
        record(connection, office, Action.WEBHOOK_ROTATED, who, about=found.public_id, member=found.member)
    return changed


def start_again(office: Office, principal: Principal, webhook: str, *, check: Check = take_any) -> Endpoint:
    """Tell an address again that was stopped: what happens from now on. Raises as `rotate`."""
    with office.people.change() as connection:
        found, now = get_endpoint(connection, principal, webhook), office.clock()
        check(found)
        if found.stopped_at is None:
            return found
        query = "UPDATE webhook SET stopped_ms = NULL, stopped_why = NULL, failing_ms = NULL, since_ms = ? WHERE id = ?"
        connection.execute(query, (now, found.id))
        who = name_caller(principal)
        record(connection, office, Action.WEBHOOK_STARTED, who, about=found.public_id, member=found.member)
    return found._replace(stopped_at=None, stopped_why=None, failing_since=None, since=now)


def stop(connection: Connection, office: Office, endpoint: Endpoint, why: str) -> None:
    """Tell an address nothing more until somebody starts it again; what still waited is dead."""
    now = office.clock()
    connection.execute("UPDATE webhook SET stopped_ms = ?, stopped_why = ? WHERE id = ?", (now, why, endpoint.id))
    bury(connection, endpoint.id, "stopped")
    record(
        connection, office, Action.WEBHOOK_STOPPED, "node", about=endpoint.public_id, member=endpoint.member, why=why
    )


def end(office: Office, principal: Principal, webhook: str, check: Check = take_any) -> None:
    """End an address: it is told nothing more, and what still waited goes. Raises as `rotate`."""
    with office.people.change() as connection:
        found = get_endpoint(connection, principal, webhook)
        check(found)
        _end(connection, office, principal, found)


def end_all_of(office: Office, principal: Principal, member: MemberId) -> None:
    """End every address of a member that has left."""
    for endpoint in list_endpoints(office, principal, member):
        with office.people.change() as connection:
            _end(connection, office, principal, endpoint)


def bury(connection: Connection, webhook: bytes, trouble: str) -> None:
    """What waits for an address is tried no more."""
    connection.execute(
        "UPDATE webhook_message SET state = 'dead', next_ms = NULL, trouble = ?"
        " WHERE webhook = ? AND state = 'waiting'",
        (trouble, webhook),
    )


def _end(connection: Connection, office: Office, principal: Principal, endpoint: Endpoint) -> None:
    connection.execute("UPDATE webhook SET ended_ms = ? WHERE id = ?", (office.clock(), endpoint.id))
    bury(connection, endpoint.id, "ended")
    who = name_caller(principal)
    record(connection, office, Action.WEBHOOK_ENDED, who, about=endpoint.public_id, member=endpoint.member)


def _to_endpoint(row: Any) -> Endpoint:
    return Endpoint(bytes(row[0]), bytes(row[1]), row[2], tuple(row[3].split()), *row[4:])
