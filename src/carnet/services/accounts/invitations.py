"""Invitations: a code that lets one person make one account of a given office.

An operator invites a member's admins, an admin the member's staff, any of a member's people a customer as a holder;
another operator is invited at the node's own terminal, or when two have approved it. The code travels in the fragment
of a link, which no server sees or logs.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import DAY_MS, Office, name_caller, name_id, read_paper_code
from carnet.services.accounts.registry import HOLDER, OPERATOR, Post, check_administers, with_present_role
from carnet.services.principals import Principal, Role, Standing
from carnet.types import Millis
from carnet.vault.store import Connection

VALID_MS: Final = 7 * DAY_MS


class Invitation(NamedTuple):
    """A new invitation: its id, the code (shown now and never again), for which office, and until when (ms)."""

    id: str
    code: str
    post: Post
    until: Millis

    def make_link(self, origin: str) -> str:
        """The link to hand over; the code stands in its fragment."""
        return f"{origin}/join#{self.code}"


def invite(
    office: Office, principal: Principal, post: Post, *, valid_ms: Millis = VALID_MS, seed: bytes | None = None
) -> Invitation:
    """An invitation to make one account of this office. With `seed` (32 secret bytes) it is made of them: the same seed
    gives the same invitation.

    Raises Refused(NOT_PERMITTED), NOT_SIGNED_IN for an account that was ended, MISSING_FIELD for a member's staff
    without a member or a role, CODE_NOT_VALID for a seed whose invitation is in force no more.
    """
    _check_may_invite(principal, post)
    with office.people.write() as connection:
        _check_may_invite(with_present_role(connection, principal), post)
        again = None if seed is None else find_invitation(connection, office, post, seed)
        return again or _insert(connection, office, principal, post, valid_ms, seed)


def invite_approved(
    connection: Connection, office: Office, principal: Principal, seed: bytes | None = None
) -> Invitation:
    """The same for one more operator, whom two operators have approved; within the transaction of that."""
    return _insert(connection, office, principal, OPERATOR, VALID_MS, seed)


def find_invitation(connection: Connection, office: Office, post: Post, seed: bytes) -> Invitation | None:
    """The invitation that was made of a seed, None where none was. Raises Refused(CODE_NOT_VALID) for one that is in
    force no more."""
    code = _make_code(office, seed)
    query = "SELECT id, until_ms, used_ms FROM invitation WHERE digest = ?"
    row = connection.execute(query, (digest_invitation(office, code),)).fetchone()
    if row is None:
        return None
    id_, until, used = row
    if used is not None or until <= office.clock():
        raise Refused(Reason.CODE_NOT_VALID, "this link was used, or has run out, since it was made: make a new one")
    return Invitation(name_id("inv", bytes(id_)), code, post, until)


def _make_code(office: Office, seed: bytes | None) -> str:
    return office.make_paper_code(5, 5, seed)


def _make_id(office: Office, seed: bytes | None) -> bytes:
    if seed is None:
        return office.random_bytes(16)
    return blake2b(seed, digest_size=16, person=b"carnet/invite-id").digest()


def _insert(
    connection: Connection, office: Office, principal: Principal, post: Post, valid_ms: Millis, seed: bytes | None
) -> Invitation:
    code, invitation_id = _make_code(office, seed), _make_id(office, seed)
    until = office.clock() + valid_ms
    connection.execute(
        "INSERT INTO invitation (digest, id, standing, member, role, made_by, created_ms, until_ms, used_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            digest_invitation(office, code),
            invitation_id,
            post.standing.value,
            post.member,
            None if post.role is None else post.role.value,
            name_caller(principal),
            office.clock(),
            until,
        ),
    )
    about = name_id("inv", invitation_id)
    # Whose matter it is: the invited staff's member, or the inviter's.
    member = post.member or principal.member
    why = f"{post.standing} {post.role or ''}".strip()
    record(connection, office, Action.ACCOUNT_INVITED, name_caller(principal), about=about, member=member, why=why)
    return Invitation(about, code, post, until)


def find_post(connection: Connection, office: Office, digest: bytes) -> Post | None:
    """The office of an invitation that is in force."""
    query = "SELECT standing, member, role FROM invitation WHERE digest = ? AND used_ms IS NULL AND until_ms > ?"
    row = connection.execute(query, (digest, office.clock())).fetchone()
    if row is None:
        return None
    standing, member, role = row
    return Post(Standing(standing), None if member is None else bytes(member), None if role is None else Role(role))


def use_invitation(connection: Connection, office: Office, digest: bytes) -> Post:
    """The office of an invitation, which is used from now on. Raises Refused(CODE_NOT_VALID)."""
    post = find_post(connection, office, digest)
    if post is None:
        raise not_valid()
    connection.execute("UPDATE invitation SET used_ms = ? WHERE digest = ?", (office.clock(), digest))
    return post


def digest_invitation(office: Office, code: str) -> bytes:
    """The digest by which an invitation is known."""
    return office.digest("invitation", read_paper_code(code))


def not_valid() -> Refused:
    """One answer for every invitation that is not in force, whatever the cause."""
    return Refused(Reason.CODE_NOT_VALID, "this invitation is not in force: ask whoever sent it for a new one")


def _check_may_invite(principal: Principal, post: Post) -> None:
    if post == HOLDER:
        if principal.standing not in (Standing.OPERATOR, Standing.STAFF):
            raise Refused(Reason.NOT_PERMITTED, "a holder is invited by an operator or by a member's people")
        if principal.role is Role.AUDITOR:
            raise Refused(Reason.NOT_PERMITTED, "an auditor looks on, and invites nobody")
        return
    if post.standing is Standing.STAFF:
        if post.member is None or post.role is None:
            raise Refused(Reason.MISSING_FIELD, "a member's staff needs a member and a role", field="role")
        check_administers(principal, post.member)
        return
    if post.standing is not Standing.OPERATOR or principal.standing is not Standing.OPERATOR:
        raise Refused(Reason.NOT_PERMITTED, "only an operator invites an operator")
    if principal.account is not None:
        # One who could make accounts of this kind alone would be two people whenever two are asked for.
        raise Refused(Reason.NOT_PERMITTED, "one more operator is admitted by two of them: ask for approval")
