"""Sessions: a random token in a cookie, known to the store by its keyed digest alone.

Each has an idle and an absolute limit, gets a new token whenever somebody signs in or confirms, and ends in the store
at sign-out. Design: security 5, 7; OWASP ASVS 7.2–7.5. It refuses to know how one signs in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import DAY_MS, HOUR_MS, MINUTE_MS, Office, Visit, get_account, name_id
from carnet.services.accounts.registry import Account
from carnet.services.principals import Principal, Role, Standing
from carnet.types import Millis
from carnet.vault.store import Connection

TOUCH_MS: Final = MINUTE_MS
"""A session that was seen less long ago is not written again."""

MAX_SESSIONS: Final = 20
"""How many one account has; the one that was idle longest goes first."""


class Limits(NamedTuple):
    """How long a session lives without a request, and at all."""

    idle_ms: Millis
    absolute_ms: Millis


LIMITS: Final = {
    Standing.HOLDER: Limits(14 * DAY_MS, 60 * DAY_MS),
    Standing.STAFF: Limits(2 * HOUR_MS, 12 * HOUR_MS),
    Standing.OPERATOR: Limits(30 * MINUTE_MS, 12 * HOUR_MS),
}


class Session(NamedTuple):
    """One session, for its owner's list: a public id, how and on which device it began, and when it was last seen."""

    id: str
    how: str
    device: str
    created_at: Millis
    seen_at: Millis
    until: Millis
    is_this: bool


def begin_session(
    connection: Connection, office: Office, account: Account, visit: Visit, how: str, replaced: str | None = None
) -> str:
    """A session for an account, confirmed now; its token. The token that the browser had before, `replaced`, ends, so
    that nobody who knew that one is signed in (session fixation). Within the transaction of the sign-in."""
    now = office.clock()
    if replaced:
        connection.execute("DELETE FROM session WHERE digest = ?", (_digest(office, replaced),))
    token = office.make_token()
    connection.execute(
        "INSERT INTO session (digest, account, how, device, created_ms, seen_ms, confirmed_ms, until_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            _digest(office, token),
            account.id,
            how,
            visit.device[:60],
            now,
            now,
            now,
            now + LIMITS[account.standing].absolute_ms,
        ),
    )
    query = "SELECT digest FROM session WHERE account = ? ORDER BY seen_ms DESC, digest"
    rows = connection.execute(query, (account.id,)).fetchall()
    for (digest,) in rows[MAX_SESSIONS:]:
        connection.execute("DELETE FROM session WHERE digest = ?", (digest,))
    return token


def find_principal(office: Office, token: str) -> Principal | None:
    """Who is signed in with this token; None where nobody is, or no longer is."""
    digest, now = _digest(office, token), office.clock()
    query = (
        "SELECT s.account, s.created_ms, s.seen_ms, s.confirmed_ms, s.until_ms, s.how, a.standing, a.member, a.role"
        " FROM session s JOIN account a ON a.id = s.account WHERE s.digest = ? AND a.ended_ms IS NULL"
    )
    with office.people.look_up() as connection:
        row = connection.execute(query, (digest,)).fetchone()
    if row is None:
        return None
    account, created, seen, confirmed, until, how, standing, member, role = row
    limits = LIMITS[Standing(standing)]
    if now >= until or now >= seen + limits.idle_ms:
        with office.people.note() as connection:
            connection.execute("DELETE FROM session WHERE digest = ?", (digest,))
        return None
    if now >= seen + TOUCH_MS:
        with office.people.note() as connection:
            connection.execute("UPDATE session SET seen_ms = ? WHERE digest = ?", (now, digest))
    return Principal(
        Standing(standing),
        account=name_id("acc", bytes(account)),
        member=None if member is None else bytes(member),
        role=None if role is None else Role(role),
        signed_in_at=created,
        confirmed_at=confirmed,
        is_demo=how == "demo",
    )


def sign_out(office: Office, token: str) -> None:
    """End the session of this token in the store; nothing where there is none."""
    digest = _digest(office, token)
    with office.people.write() as connection:
        row = connection.execute("SELECT account FROM session WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            return
        connection.execute("DELETE FROM session WHERE digest = ?", (digest,))
        record(connection, office, Action.SIGNED_OUT, name_id("acc", bytes(row[0])))


def confirm_session(connection: Connection, office: Office, account: Account, token: str) -> str:
    """The same session, confirmed now, under a new token. Raises Refused(NOT_SIGNED_IN) if it is no session of this
    account."""
    renewed = office.make_token()
    changed = connection.execute(
        "UPDATE session SET digest = ?, confirmed_ms = ?, seen_ms = ? WHERE digest = ? AND account = ?",
        (_digest(office, renewed), office.clock(), office.clock(), _digest(office, token), account.id),
    ).rowcount
    if changed != 1:
        raise Refused(Reason.NOT_SIGNED_IN, "this session has ended: sign in again")
    return renewed


def list_sessions(office: Office, principal: Principal, token: str) -> Sequence[Session]:
    """The sessions of the caller's account, the latest seen first."""
    now, digest = office.clock(), _digest(office, token)
    idle_ms = LIMITS[principal.standing].idle_ms
    query = (
        "SELECT digest, how, device, created_ms, seen_ms, until_ms FROM session"
        " WHERE account = ? AND until_ms > ? AND seen_ms > ? ORDER BY seen_ms DESC, digest"
    )
    with office.people.read() as connection:
        rows = connection.execute(query, (get_account(principal), now, now - idle_ms)).fetchall()
    return [
        Session(_name(bytes(found)), how, device, created, seen, until, bytes(found) == digest)
        for found, how, device, created, seen, until in rows
    ]


def end_session(office: Office, principal: Principal, session: str) -> None:
    """End one of the caller's sessions, by its public id. Raises Refused(UNKNOWN_ACCOUNT) if it is none of theirs."""
    account = get_account(principal)
    with office.people.change() as connection:
        rows = connection.execute("SELECT digest FROM session WHERE account = ?", (account,)).fetchall()
        wanted = [bytes(digest) for (digest,) in rows if _name(bytes(digest)) == session]
        if not wanted:
            raise Refused(Reason.UNKNOWN_ACCOUNT, "you have no such session: it may have ended already")
        connection.execute("DELETE FROM session WHERE digest = ?", (wanted[0],))
        record(connection, office, Action.SESSION_ENDED, name_id("acc", account), about=name_id("acc", account))


def end_other_sessions(office: Office, principal: Principal, token: str) -> int:
    """End all sessions of the caller's account but this one; how many there were."""
    account = get_account(principal)
    with office.people.change() as connection:
        return end_others(connection, office, account, token)


def end_others(connection: Connection, office: Office, account: bytes, token: str) -> int:
    """The same within a transaction."""
    query = "DELETE FROM session WHERE account = ? AND digest <> ?"
    ended = int(connection.execute(query, (account, _digest(office, token))).rowcount)
    if ended:
        record(connection, office, Action.SESSION_ENDED, name_id("acc", account), why="others")
    return ended


def _digest(office: Office, token: str) -> bytes:
    return office.digest("session", token.encode("utf-8", "replace"))


def _name(digest: bytes) -> str:
    """The public id of a session: the first half of its digest."""
    return name_id("ses", digest[:16])
