"""Requests for approval: one operator asks, or a member's admin about the member's own keys, and another one, an
operator, grants or refuses within seven days, once.

    open ──grant──▶ granted ──carried out──▶ done
      │                 └────refused by the ledger──▶ failed
      ├──refuse──▶ refused      ├──withdraw──▶ withdrawn      └──seven days──▶ (open, and past its end)

What was granted and not yet carried out, because the writer was away or a process died, is carried out later, and not
twice: `resume`. Nobody decides their own request. It refuses to let the command line grant: whoever has the machine
acts directly, and the audit trail says so. Design: security 13; ADR 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.node.acts import AddKey, RevokeKey
from carnet.node.writing import Writing
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.invitations import Invitation, find_invitation, invite_approved
from carnet.services.accounts.office import DAY_MS, MINUTE_MS, Office, get_account, name_caller, name_id, read_id
from carnet.services.accounts.registry import OPERATOR, find_account, with_present_role
from carnet.services.approving.wishes import (
    NAMES,
    InviteOperator,
    Kept,
    Wish,
    check_possible,
    find_listed,
    find_member_id,
    has_happened,
    is_same,
    keep,
    read,
)
from carnet.services.governing import note_done
from carnet.services.principals import Principal, Role, Standing
from carnet.types import Custody, Millis
from carnet.vault.store import Connection

VALID_MS: Final = 7 * DAY_MS
UNDER_WAY_MS: Final = MINUTE_MS
"""So long whoever granted is given to carry it out before another process does."""

LINK_TAKEN: Final = "link_taken"

_TRANSIENT: Final = frozenset(
    {
        Reason.WRITER_AWAY,
        Reason.WRITER_BUSY,
        Reason.NODE_DAMAGED,
        Reason.DISK_FULL,
        Reason.DISK_FAILED,
        Reason.TIME_WENT_BACK,
        Reason.STORE_UNREACHABLE,
    }
)
"""Refusals that say nothing of the act: it is carried out when they have passed."""

_COLUMNS: Final = "id, act, document, state, asked_by, asked_ms, until_ms, decided_by, decided_ms, outcome"


class Approval(NamedTuple):
    """A request. `state`: open, expired, granted (not carried out yet), done, refused, withdrawn, failed; `outcome` is
    the reason of a failure; times are ms."""

    id: bytes
    act: str
    kept: Kept
    state: str
    asked_by: str
    asked_at: Millis
    until: Millis
    decided_by: str | None
    decided_at: Millis | None
    outcome: str | None

    @property
    def public_id(self) -> str:
        """`apr_…`."""
        return name_id("apr", self.id)


def ask(office: Office, writer: Writing, principal: Principal, wish: Wish) -> Approval:
    """Ask the other operators for an act. What was asked already by the same person and is open is given again.

    A member's admin asks for its own keys, which an operator then decides alone. Raises Refused NOT_PERMITTED for
    whoever else is no operator with an account, NOT_SIGNED_IN for an account that was ended, and whatever refusal the
    act would meet.
    """
    _check_may_ask(principal, wish)
    state = writer.state
    document = keep(state, wish)
    kept = read(document)
    check_possible(state, kept)
    name, who, now = NAMES[type(wish)], name_caller(principal), office.clock()
    with office.people.write() as connection:
        _check_may_ask(with_present_role(connection, principal), wish)
        query = f"SELECT {_COLUMNS} FROM approval WHERE act = ? AND asked_by = ? AND state = 'open' AND until_ms > ?"  # noqa: S608
        for row in connection.execute(query, (name, who, now)).fetchall():
            if is_same(read(row[2]), kept):
                return _read(row, now)
        made = office.random_bytes(16)
        connection.execute(
            "INSERT INTO approval (id, act, document, state, asked_by, asked_ms, until_ms) VALUES (?,?,?,'open',?,?,?)",
            (made, name, document, who, now, now + VALID_MS),
        )
        _note(connection, office, Action.APPROVAL_ASKED, who, made, wish)
        return _get(connection, made, now)


def grant(office: Office, writer: Writing, principal: Principal, approval: str) -> Approval:
    """Grant a request of somebody else, and carry it out; what became of it. The caller has seen to it that the person
    was just confirmed.

    Raises Refused UNKNOWN_APPROVAL, APPROVAL_DECIDED (also for one that is past its end), SECOND_OPERATOR_NEEDED for
    one's own, NOT_PERMITTED. A refusal of the act itself is its outcome.
    """
    found = _decide(office, principal, approval, "granted", Action.APPROVAL_GRANTED)
    return _carry_out(office, writer, principal, found)


def refuse(office: Office, principal: Principal, approval: str) -> Approval:
    """Refuse a request of somebody else. Raises as `grant`."""
    return _decide(office, principal, approval, "refused", Action.APPROVAL_REFUSED)


def withdraw(office: Office, principal: Principal, approval: str) -> Approval:
    """Take one's own request back; at the node's own terminal, anybody's. Raises Refused UNKNOWN_APPROVAL,
    APPROVAL_DECIDED, NOT_PERMITTED for somebody else's."""
    return _decide(office, principal, approval, "withdrawn", Action.APPROVAL_WITHDRAWN)


def resume(office: Office, writer: Writing) -> int:
    """Carry out what was granted and is not done: because the writer was away, or a process died in between. How many
    came to an end."""
    now = office.clock()
    query = f"SELECT {_COLUMNS} FROM approval WHERE state = 'granted' AND decided_ms <= ?"  # noqa: S608 - our own words
    with office.people.read() as connection:
        waiting = [_read(row, now) for row in connection.execute(query, (now - UNDER_WAY_MS,)).fetchall()]
    ended = 0
    for one in waiting:
        decided_by = Principal(Standing.OPERATOR, account=one.decided_by)
        act = one.kept.act
        if not isinstance(act, InviteOperator) and has_happened(writer.state, one.kept):
            note_done(office, decided_by, act, find_listed(writer.state, act))
            _end(office, decided_by, one, "done", None)
            ended += 1
        else:
            ended += _carry_out(office, writer, decided_by, one).state != "granted"
    return ended


def take_link(office: Office, principal: Principal, approval: str, seed: bytes | None = None) -> Invitation:
    """The invitation of an operator whose admission was granted: for whoever asked, once. The same `seed` (32 secret
    bytes) gives the same one again as long as nobody has used it.

    Raises Refused UNKNOWN_APPROVAL, NOT_PERMITTED, APPROVAL_DECIDED if it was taken already, CODE_NOT_VALID,
    NOT_SIGNED_IN for an account that was ended.
    """
    _check_operator(principal)
    with office.people.write() as connection:
        _check_operator(with_present_role(connection, principal))
        found = _get(connection, _parse(approval), office.clock())
        if found.asked_by != name_caller(principal):
            raise Refused(Reason.NOT_PERMITTED, "the link is for whoever asked for it")
        if not isinstance(found.kept.act, InviteOperator) or found.state != "done":
            raise _decided(found)
        if found.outcome is not None:
            # A second click: the answer to the first one was never seen.
            again = None if seed is None else find_invitation(connection, office, OPERATOR, seed)
            if again is None:
                raise _decided(found)
            return again
        connection.execute("UPDATE approval SET outcome = ? WHERE id = ?", (LINK_TAKEN, found.id))
        return invite_approved(connection, office, principal, seed)


def list_approvals(
    office: Office, principal: Principal, *, is_open_only: bool = False, limit: int = 100, skip: int = 0
) -> list[Approval]:
    """The requests, those that wait first, then the newest, without the first `skip`. Raises Refused(NOT_PERMITTED)."""
    _check_standing(principal)
    now = office.clock()
    where, values = "1 = 1", tuple[object, ...]()
    if is_open_only:
        where, values = "(state = 'granted' OR (state = 'open' AND until_ms > ?))", (now,)
    waits = "CASE WHEN state = 'granted' OR (state = 'open' AND until_ms > ?) THEN 0 ELSE 1 END"
    # Those that wait first also among thousands: nobody hides one by asking for a hundred others and taking them back.
    query = f"SELECT {_COLUMNS} FROM approval WHERE {where} ORDER BY {waits}, asked_ms DESC, id LIMIT ? OFFSET ?"  # noqa: S608
    with office.people.read() as connection:
        return [_read(row, now) for row in connection.execute(query, (*values, now, limit, skip)).fetchall()]


def count_approvals(office: Office, principal: Principal) -> int:
    """How many there are. Raises Refused(NOT_PERMITTED)."""
    _check_standing(principal)
    with office.people.read() as connection:
        return int(connection.execute("SELECT count(*) FROM approval").fetchone()[0])


def list_asked(office: Office, principal: Principal, limit: int = 20) -> list[Approval]:
    """What the caller's account has asked for, the newest first. Raises Refused(NOT_SIGNED_IN)."""
    who, now = name_id("acc", get_account(principal)), office.clock()
    query = f"SELECT {_COLUMNS} FROM approval WHERE asked_by = ? ORDER BY asked_ms DESC, id LIMIT ?"  # noqa: S608
    with office.people.read() as connection:
        return [_read(row, now) for row in connection.execute(query, (who, limit)).fetchall()]


def get_approval(office: Office, principal: Principal, approval: str) -> Approval:
    """The request `apr_…`. Raises Refused(UNKNOWN_APPROVAL, NOT_PERMITTED)."""
    _check_standing(principal)
    with office.people.read() as connection:
        return _get(connection, _parse(approval), office.clock())


# ---- deciding


def _decide(office: Office, principal: Principal, approval: str, state: str, action: Action) -> Approval:
    _check_standing(principal)
    is_withdrawal = state == "withdrawn"
    with office.people.write() as connection:
        now = office.clock()
        found, who = _get(connection, _parse(approval), now), name_caller(principal)
        if found.state != "open":
            raise _decided(found)
        if is_withdrawal and principal.account is not None and who != found.asked_by:
            raise Refused(Reason.NOT_PERMITTED, "only whoever asked takes a request back; refuse it instead")
        if not is_withdrawal:
            _check_second(connection, principal, found)
        query = "UPDATE approval SET state = ?, decided_by = ?, decided_ms = ? WHERE id = ?"
        connection.execute(query, (state, who, now, found.id))
        _note(connection, office, action, who, found.id, found.kept.act)
        return _get(connection, found.id, now)


def _check_second(connection: Connection, principal: Principal, found: Approval) -> None:
    """Raise Refused unless this is an operator who has an account, and another one than whoever asked."""
    _check_operator(principal)
    account = find_account(connection, get_account(principal))
    if account is None or account.standing is not Standing.OPERATOR:
        raise Refused(Reason.NOT_PERMITTED, "a request is decided by an operator")
    if account.public_id == found.asked_by:
        raise Refused(Reason.SECOND_OPERATOR_NEEDED, "another operator decides what you have asked for")
    asker = find_account(connection, read_id("acc", found.asked_by, Reason.UNKNOWN_ACCOUNT))
    if asker is None or asker.standing is not Standing.OPERATOR:
        _check_did_not_invite(connection, account.public_id, found)


def _check_did_not_invite(connection: Connection, operator: str, found: Approval) -> None:
    """Raise Refused(SECOND_OPERATOR_NEEDED) for an operator who has let people of this member in: one who could be its
    admin as well would be both."""
    member = find_member_id(found.kept.act)
    query = "SELECT count(*) FROM event WHERE who = ? AND action = ? AND member = ?"
    values = (operator, Action.ACCOUNT_INVITED.value, "" if member is None else name_id("mem", member))
    if connection.execute(query, values).fetchone()[0]:
        saying = "you have invited people of this member: another operator decides what they ask for"
        raise Refused(Reason.SECOND_OPERATOR_NEEDED, saying)


def _carry_out(office: Office, writer: Writing, principal: Principal, found: Approval) -> Approval:
    act = found.kept.act
    if isinstance(act, InviteOperator):
        return _end(office, principal, found, "done", None)
    try:
        check_possible(writer.state, found.kept)
        done = writer.perform(act)
    except Refused as refused:
        if refused.reason in _TRANSIENT:
            return found
        return _end(office, principal, found, "failed", refused.reason.value)
    # Before it is marked as done: after a crash here it is noted twice, and what it ends is ended.
    note_done(office, principal, act, done.key)
    return _end(office, principal, found, "done", None)


def _end(office: Office, principal: Principal, found: Approval, state: str, outcome: str | None) -> Approval:
    action = Action.APPROVAL_DONE if state == "done" else Action.APPROVAL_FAILED
    with office.people.write() as connection:
        query = "UPDATE approval SET state = ?, outcome = ? WHERE id = ? AND state = 'granted'"
        if connection.execute(query, (state, outcome, found.id)).rowcount:
            _note(connection, office, action, name_caller(principal), found.id, found.kept.act, outcome)
        return _get(connection, found.id, office.clock())


def _note(
    connection: Connection,
    office: Office,
    action: Action,
    who: str,
    approval: bytes,
    wish: Wish,
    more: str | None = None,
) -> None:
    why = NAMES[type(wish)] + (f": {more}" if more else "")
    record(connection, office, action, who, about=name_id("apr", approval), member=find_member_id(wish), why=why)


# ---- the rest


def _check_standing(principal: Principal) -> None:
    if principal.standing is not Standing.OPERATOR:
        raise Refused(Reason.NOT_PERMITTED, "requests for approval are for operators")


def _check_may_ask(principal: Principal, wish: Wish) -> None:
    if not _is_about_own_key(principal, wish):
        _check_operator(principal)


def _is_about_own_key(principal: Principal, wish: Wish) -> bool:
    """Whether a member's admin asks that a key which it keeps itself be listed, or that a key of its own be ended."""
    if principal.standing is not Standing.STAFF or principal.role is not Role.ADMIN or principal.account is None:
        return False
    if isinstance(wish, AddKey):
        return wish.member == principal.member and wish.key is not None and wish.key.custody == Custody.OWN
    return isinstance(wish, RevokeKey) and wish.member == principal.member and wish.disputed_since is None


def _check_operator(principal: Principal) -> None:
    _check_standing(principal)
    if principal.account is None:
        saying = "this is for operators who have an account; at the node's own terminal the act itself has its verb"
        raise Refused(Reason.NOT_PERMITTED, saying)


def _parse(approval: str) -> bytes:
    return read_id("apr", approval, Reason.UNKNOWN_APPROVAL)


def _get(connection: Connection, approval: bytes, now: Millis) -> Approval:
    query = f"SELECT {_COLUMNS} FROM approval WHERE id = ?"  # noqa: S608 - our own words
    row = connection.execute(query, (approval,)).fetchone()
    if row is None:
        raise Refused(Reason.UNKNOWN_APPROVAL, "there is no such request")
    return _read(row, now)


def _read(row: Sequence[Any], now: Millis) -> Approval:
    own, act, document, state, asked_by, asked, until, decided_by, decided, outcome = row
    if state == "open" and until <= now:
        state = "expired"
    return Approval(bytes(own), act, read(document), state, asked_by, asked, until, decided_by, decided, outcome)


def _decided(found: Approval) -> Refused:
    saying = f"this request is {found.state}: it is decided once"
    return Refused(Reason.APPROVAL_DECIDED, saying, state=found.state)
