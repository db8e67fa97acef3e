"""The audit trail: who did what about whom, when, and on which ground. Design: security 26; OWASP ASVS 16.2.

Only names of our own making get in: an action of the catalogue, ids, and a ground from a small alphabet. No value of an
attribute can be written, by mistake or by an attacker, because none has the shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.services.accounts.office import Office, get_account, name_caller, name_id, read_id
from carnet.services.principals import Principal, Role, Standing
from carnet.types import MemberId, Millis
from carnet.vault.store import Connection

PAGE: Final = 50
MAX_PAGE: Final = 200

_NAME: Final = re.compile(r"(visitor|operator|node|[a-z]{3}_[0-9a-f]{32})?", re.ASCII)
_WHY: Final = re.compile(r"[a-z0-9_.:/ -]{0,80}", re.ASCII)


class Action(StrEnum):
    """Everything that leaves an entry."""

    ACCOUNT_INVITED = "account.invited"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_ENDED = "account.ended"
    ROLE_CHANGED = "account.role_changed"
    SIGNED_IN = "session.signed_in"
    DEMO_SIGNED_IN = "session.demo_signed_in"
    SIGN_IN_FAILED = "session.sign_in_failed"
    SIGNED_OUT = "session.signed_out"
    SESSION_ENDED = "session.ended"
    CONFIRMED = "session.confirmed"
    PASSKEY_ADDED = "passkey.added"
    PASSKEY_REMOVED = "passkey.removed"
    PASSKEY_COPIED = "passkey.copied"
    RECOVERED = "recovery.used"
    CODES_RENEWED = "recovery.renewed"
    CLIENT_CREATED = "client.created"
    CLIENT_ENDED = "client.ended"
    KEY_ISSUED = "client.key_issued"
    KEY_REVOKED = "client.key_revoked"
    KEY_REFUSED = "client.key_refused"
    TOKEN_ISSUED = "client.token_issued"
    TOKEN_REFUSED = "client.token_refused"
    CODE_ISSUED = "claim.code_issued"
    CODE_REVOKED = "claim.code_revoked"
    CLAIMED = "claim.claimed"
    CLAIM_REFUSED = "claim.refused"
    CONTESTED = "claim.contested"
    CONTEST_OBJECTED = "claim.objected"
    CONTEST_DECIDED = "claim.decided"
    GIVEN_UP = "holding.given_up"
    HOLDING_ENDED = "holding.ended"
    MEMBER_ENROLLED = "member.enrolled"
    MEMBER_ACCREDITED = "member.accredited"
    MEMBER_RETIRED = "member.retired"
    SIGNING_KEY_LISTED = "signing_key.listed"
    SIGNING_KEY_REVOKED = "signing_key.revoked"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    PASSPORT_ERASED = "passport.erased"
    FILE_CERTIFIED = "file.certified"
    FILE_LOOKED_AT = "file.looked_at"
    MAPPING_SAVED = "mapping.saved"
    MAPPING_RENAMED = "mapping.renamed"
    MAPPING_REMOVED = "mapping.removed"
    WEBHOOK_ADDED = "webhook.added"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_REPLAYED = "webhook.replayed"
    WEBHOOK_STOPPED = "webhook.stopped"
    WEBHOOK_STARTED = "webhook.started"
    WEBHOOK_ENDED = "webhook.ended"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_GRANTED = "approval.granted"
    APPROVAL_REFUSED = "approval.refused"
    APPROVAL_WITHDRAWN = "approval.withdrawn"
    APPROVAL_DONE = "approval.done"
    APPROVAL_FAILED = "approval.failed"
    APPEARANCE_CHANGED = "appearance.changed"
    APPEARANCE_REMOVED = "appearance.removed"
    CUSTOMERS_INVITED = "claim.customers_invited"
    VIEW_GRANTED = "view.granted"
    VIEW_ENDED = "view.ended"
    AUDIT_EXPORTED = "audit.exported"
    BACKUP_TAKEN = "backup.taken"
    BACKUP_FAILED = "backup.failed"
    BACKUP_DRILLED = "backup.drilled"
    CENSUS_TAKEN = "census.taken"
    NODE_CHECKED = "node.checked"
    QUOTA_SET = "quota.set"
    THROTTLED = "access.throttled"
    DENIED = "access.denied"


class Event(NamedTuple):
    """One entry: `at` in ms since 1970 (UTC), `who` and `about` as ids, `member` whose matter it is."""

    id: str
    at: Millis
    action: Action
    who: str
    about: str
    member: str
    why: str


def record(
    connection: Connection,
    office: Office,
    action: Action,
    who: str,
    *,
    about: str = "",
    member: MemberId | None = None,
    why: str = "",
) -> None:
    """Write an entry, within the transaction of what it tells: there is no act without it. What an account of a
    member's staff did is the member's matter, if nothing else is said. Raises InvariantBroken for a name or a ground of
    another shape."""
    if member is None and who.startswith("acc_"):
        member = _find_member(connection, who)
    named = "" if member is None else name_id("mem", member)
    if not all(map(_NAME.fullmatch, (who, about, named))) or not _WHY.fullmatch(why):
        raise InvariantBroken(f"the audit trail takes names and grounds only ({action})")
    at = office.clock()
    event_id = at.to_bytes(6, "big") + office.random_bytes(10)
    connection.execute(
        "INSERT INTO event (id, at_ms, action, who, about, member, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (event_id, at, action.value, who, about, named, why),
    )


def _find_member(connection: Connection, account: str) -> MemberId | None:
    """Whose staff an account is; None for a holder's, an operator's, and one that is not known."""
    row = connection.execute("SELECT member FROM account WHERE id = ?", (bytes.fromhex(account[4:]),)).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])


def record_alone(office: Office, action: Action, principal: Principal, *, about: str = "", why: str = "") -> None:
    """Write an entry that belongs to no transaction of ours: a denial, a read."""
    with office.people.note() as connection:
        record(connection, office, action, name_caller(principal), about=about, member=principal.member, why=why)


def list_events(
    office: Office, principal: Principal, *, about: str | None = None, before: str | None = None, limit: int = PAGE
) -> Sequence[Event]:
    """The entries that a caller may see, newest first, `limit` of them, older than the event `before`.

    An operator sees all, a member's admins and auditors what concerns the member, everybody else what they did
    themselves or what was done to their account. Raises Refused(NOT_SIGNED_IN, NOT_PERMITTED, VALUE_OUT_OF_RANGE).
    """
    if not 1 <= limit <= MAX_PAGE:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"a page has 1 to {MAX_PAGE} events", limit=limit)
    where, values = limit_to(principal)
    if about is not None:
        where, values = f"{where} AND about = ?", [*values, about]
    if before is not None:
        where, values = f"{where} AND id < ?", [*values, read_id("evt", before, Reason.VALUE_OUT_OF_RANGE)]
    query = f"SELECT id, at_ms, action, who, about, member, why FROM event WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608
    with office.people.read() as connection:
        rows = connection.execute(query, (*values, limit)).fetchall()
    return [read_event(row) for row in rows]


def read_event(row: Sequence[Any]) -> Event:
    """An entry from its row: id, at_ms, action, who, about, member, why."""
    return Event(name_id("evt", bytes(row[0])), row[1], Action(row[2]), *row[3:])


def limit_to(principal: Principal) -> tuple[str, list[object]]:
    """Which entries a caller may see, as a condition and its values. Raises Refused(NOT_SIGNED_IN, NOT_PERMITTED)."""
    if principal.standing is Standing.OPERATOR:
        return "1 = 1", []
    if principal.standing is Standing.STAFF and principal.role in (Role.ADMIN, Role.AUDITOR):
        return "member = ?", [name_id("mem", principal.member or b"")]
    if principal.standing is Standing.MACHINE:
        raise Refused(Reason.NOT_PERMITTED, "the audit trail is for people")
    name = name_id("acc", get_account(principal))
    return "(who = ? OR about = ?)", [name, name]
