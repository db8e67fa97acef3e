"""Messages: what one address is to be told, when it is tried next, and how each try went.

    waiting ──► delivered          a success (200 to 299)
       └──────► dead               ten tries over three days, or the address was stopped, or it may not be told any more

A dead one, like a delivered one, can be sent again while it is kept (30 days). The id of a message follows from what
happened, so that the same happening is never told under two ids. It refuses to send anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from carnet.errors import Reason, Refused
from carnet.outbound.posting import Outcome
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import DAY_MS, HOUR_MS, MINUTE_MS, Office, name_caller, name_id, read_id
from carnet.services.principals import Principal
from carnet.services.webhooks.endpoints import FAILING, GONE, Endpoint, find_by_id, get_endpoint, stop
from carnet.types import MemberId, Millis
from carnet.vault.store import Connection

PAUSES_MS: Final = (
    5_000,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
)
"""What is waited after each try that failed; after the last one the message is dead. Source: the schedule that Standard
Webhooks recommends."""

JITTER: Final = 10
"""A pause is up to so many percent shorter or longer, so that what failed together is not tried together."""

MAX_FAILING_MS: Final = 5 * DAY_MS
"""An address where nothing has succeeded for so long is stopped."""

KEPT_TRIES: Final = 20
PAGE: Final = 50
MAX_PAGE: Final = 200

_COLUMNS: Final = "id, webhook, type, payload, state, created_ms, tries, next_ms, tried_ms, status, trouble, history"


class Try(NamedTuple):
    """One try: when (ms), the status that was answered, what went wrong, and how long it took (ms)."""

    at: Millis
    status: int | None
    trouble: str | None
    took_ms: int


class Message(NamedTuple):
    """A message as it is stored. `state`: waiting, delivered or dead; times in ms."""

    id: bytes
    webhook: bytes
    type: str
    payload: bytes
    state: str
    created_at: Millis
    tries: int
    next_at: Millis | None
    tried_at: Millis | None
    status: int | None
    trouble: str | None
    history: tuple[Try, ...]

    @property
    def public_id(self) -> str:
        """`msg_…`, which the receiver sees as `webhook-id`."""
        return name_id("msg", self.id)


def compute_message_id(office: Office, endpoint: Endpoint, type_: str, happening: bytes) -> bytes:
    """The id of what is told to this address of this happening: the same, however often it is found."""
    return office.digest("webhook message", endpoint.id, type_.encode(), happening)[:16]


def insert_message(
    connection: Connection,
    id_: bytes,
    endpoint: Endpoint,
    type_: str,
    payload: bytes,
    at: Millis,
    *,
    next_ms: Millis | None,
) -> None:
    """Keep a message of what happened at this moment, unless it is kept already. It is tried at `next_ms`; None: by
    whoever made it."""
    connection.execute(
        f"INSERT INTO webhook_message ({_COLUMNS}) VALUES (?, ?, ?, ?, 'waiting', ?, 0, ?, NULL, NULL, NULL, '[]')"  # noqa: S608
        " ON CONFLICT (id) DO NOTHING",
        (id_, endpoint.id, type_, payload, at, next_ms),
    )


def find_message(connection: Connection, id_: bytes) -> Message | None:
    """A message by its id."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM webhook_message WHERE id = ?", (id_,)).fetchone()  # noqa: S608
    return None if row is None else _to_message(row)


def list_due(connection: Connection, now: Millis, besides: Iterable[bytes]) -> list[tuple[bytes, MemberId]]:
    """The addresses for which something is due, each with its member, who has waited longest first, but for some."""
    query = (
        "SELECT webhook_message.webhook, member, min(next_ms) AS first FROM webhook_message"
        " JOIN webhook ON webhook.id = webhook_message.webhook WHERE state = 'waiting' AND next_ms <= ?"
        " GROUP BY webhook_message.webhook, member ORDER BY first"
    )
    left_out = set(besides)
    found = [(bytes(row[0]), bytes(row[1])) for row in connection.execute(query, (now,)).fetchall()]
    return [one for one in found if one[0] not in left_out]


def find_next_due(connection: Connection, webhook: bytes, now: Millis) -> Message | None:
    """What is to be tried next at one address."""
    query = (
        f"SELECT {_COLUMNS} FROM webhook_message WHERE webhook = ? AND state = 'waiting' AND next_ms <= ?"  # noqa: S608
        " ORDER BY next_ms, created_ms, id LIMIT 1"
    )
    row = connection.execute(query, (webhook, now)).fetchone()
    return None if row is None else _to_message(row)


def note_outcome(office: Office, message: Message, outcome: Outcome, *, is_test: bool = False) -> Message:
    """Keep how a try went, and when the next one is; stop the address where it is gone, or has failed for too long. A
    test is tried once, and says nothing of the address. The message as it is now."""
    now = office.clock()
    told = Try(now, outcome.status, None if outcome.trouble is None else outcome.trouble.value, outcome.took_ms)
    state, next_ms = "delivered", None
    if not outcome.is_delivered:
        pause = None if is_test else find_pause(message.tries, office.random_bytes(2))
        state, next_ms = ("dead", None) if pause is None else ("waiting", now + pause)
    changed = message._replace(
        state=state,
        tries=message.tries + 1,
        next_at=next_ms,
        tried_at=now,
        status=told.status,
        trouble=told.trouble,
        history=(*message.history, told)[-KEPT_TRIES:],
    )
    with office.people.write() as connection:
        _save(connection, changed)
        endpoint = None if is_test else find_by_id(connection, message.webhook)
        if endpoint is not None:
            _note_health(connection, office, endpoint, outcome, now)
        return find_message(connection, message.id) or changed


def find_pause(tries: int, chance: bytes) -> Millis | None:
    """How long is waited after the try with this number (from 0), in ms; None: no longer. `chance` is two bytes."""
    if tries >= len(PAUSES_MS):
        return None
    pause, draw = PAUSES_MS[tries], int.from_bytes(chance, "big")
    return pause + pause * JITTER * (2 * draw - 0xFFFF) // (100 * 0xFFFF)


def give_up(office: Office, message: Message, trouble: str) -> None:
    """A message that may not be sent any more."""
    with office.people.write() as connection:
        _save(connection, message._replace(state="dead", next_at=None, trouble=trouble))


# ---- for people and programs


def list_messages(
    office: Office,
    principal: Principal,
    webhook: str,
    *,
    state: str | None = None,
    starting_after: str | None = None,
    limit: int = PAGE,
) -> tuple[Sequence[Message], bool]:
    """What an address was told, newest first, and whether there is more. Raises Refused(UNKNOWN_WEBHOOK,
    VALUE_OUT_OF_RANGE)."""
    if not 1 <= limit <= MAX_PAGE:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"limit is 1 to {MAX_PAGE}", field="limit")
    with office.people.read() as connection:
        endpoint = get_endpoint(connection, principal, webhook)
        where, values = "webhook = ?", list[object]([endpoint.id])
        if state is not None:
            where, values = f"{where} AND state = ?", [*values, state]
        if starting_after is not None:
            last = _find_cursor(connection, endpoint, starting_after)
            where += " AND (created_ms < ? OR (created_ms = ? AND id < ?))"
            values += [last.created_at, last.created_at, last.id]
        query = f"SELECT {_COLUMNS} FROM webhook_message WHERE {where} ORDER BY created_ms DESC, id DESC LIMIT ?"  # noqa: S608
        rows = connection.execute(query, (*values, limit + 1)).fetchall()
    return [_to_message(row) for row in rows[:limit]], len(rows) > limit


def _find_cursor(connection: Connection, endpoint: Endpoint, text: str) -> Message:
    try:
        return _get_message(connection, endpoint, text)
    except Refused:
        saying = "starting_after is the id of a message of this list: begin without it"
        raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, field="starting_after") from None


def get_message(office: Office, principal: Principal, webhook: str, message: str) -> Message:
    """One message. Raises Refused(UNKNOWN_WEBHOOK)."""
    with office.people.read() as connection:
        return _get_message(connection, get_endpoint(connection, principal, webhook), message)


def replay(
    office: Office, principal: Principal, webhook: str, *, message: str | None = None, since: Millis | None = None
) -> int:
    """Send again: one message, delivered or dead; or, of those that were made at `since` (ms) or later, each that is
    dead. How many. It is told under the same id.

    Raises Refused UNKNOWN_WEBHOOK, MISSING_FIELD, FIELDS_CONFLICT (an address that is stopped is started first).
    """
    if (message is None) == (since is None):
        raise Refused(Reason.MISSING_FIELD, "name one message, or since when", field="message")
    with office.people.change() as connection:
        endpoint, now = get_endpoint(connection, principal, webhook), office.clock()
        if endpoint.stopped_at is not None:
            raise Refused(Reason.FIELDS_CONFLICT, "this address is stopped: start it again first", field="webhook")
        again = "UPDATE webhook_message SET state = 'waiting', tries = 0, next_ms = ?, trouble = NULL WHERE webhook = ?"
        if message is not None:
            found = _get_message(connection, endpoint, message)
            count = connection.execute(f"{again} AND id = ?", (now, endpoint.id, found.id)).rowcount
        else:
            values = (now, endpoint.id, since)
            count = connection.execute(f"{again} AND state = 'dead' AND created_ms >= ?", values).rowcount
        who, about, why = name_caller(principal), endpoint.public_id, message or "dead since"
        record(connection, office, Action.WEBHOOK_REPLAYED, who, about=about, member=endpoint.member, why=why)
    return int(count)


def _note_health(connection: Connection, office: Office, endpoint: Endpoint, outcome: Outcome, now: Millis) -> None:
    if outcome.is_delivered:
        if endpoint.failing_since is not None:
            connection.execute("UPDATE webhook SET failing_ms = NULL WHERE id = ?", (endpoint.id,))
        return
    if not endpoint.is_told:
        return
    if outcome.status == 410:
        stop(connection, office, endpoint, GONE)
    elif endpoint.failing_since is None:
        connection.execute("UPDATE webhook SET failing_ms = ? WHERE id = ?", (now, endpoint.id))
    elif now - endpoint.failing_since >= MAX_FAILING_MS:
        stop(connection, office, endpoint, FAILING)


def _save(connection: Connection, message: Message) -> None:
    values = (message.state, message.tries, message.next_at, message.tried_at, message.status, message.trouble)
    connection.execute(
        "UPDATE webhook_message SET state = ?, tries = ?, next_ms = ?, tried_ms = ?, status = ?, trouble = ?,"
        " history = ? WHERE id = ?",
        (*values, msgspec.json.encode(message.history).decode(), message.id),
    )


def _get_message(connection: Connection, endpoint: Endpoint, message: str) -> Message:
    found = find_message(connection, read_id("msg", message, Reason.UNKNOWN_WEBHOOK))
    if found is None or found.webhook != endpoint.id:
        raise Refused(Reason.UNKNOWN_WEBHOOK, "this webhook has no such message: it may be older than 30 days")
    return found


def _to_message(row: Any) -> Message:
    history = tuple(Try(*one) for one in msgspec.json.decode(row[11]))
    id_, webhook, type_, payload, state, created, tries, next_, tried, status, trouble, _ = row
    return Message(
        bytes(id_), bytes(webhook), type_, bytes(payload), state, created, tries, next_, tried, status, trouble, history
    )
