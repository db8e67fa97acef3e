"""Passkeys: WebAuthn ceremonies, each a challenge that is answered once within ten minutes.

The browser is asked for any passkey of this site, so a sign-in names no account and no answer can reveal one. Source:
W3C WebAuthn 3 §7; design: security 1, 2, 7. It refuses to know what the browser's pages look like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.authenticators import (
    Asserted,
    Attested,
    get_credential_id,
    make_creation,
    make_request,
    read_assertion,
    read_attestation,
    read_challenge,
)
from carnet.services.accounts.invitations import digest_invitation, find_post, not_valid, use_invitation
from carnet.services.accounts.office import MINUTE_MS, Office, Visit, get_account, name_id
from carnet.services.accounts.recovery import SignedIn, make_codes
from carnet.services.accounts.registry import HOLDER, Account, check_name, find_account, insert_account
from carnet.services.accounts.sessions import begin_session, confirm_session, end_others
from carnet.services.accounts.throttling import Attempt, count_attempt, forget_attempts
from carnet.services.principals import Principal
from carnet.types import Millis
from carnet.vault.store import Connection

CEREMONY_MS: Final = 10 * MINUTE_MS
MAX_PASSKEYS: Final = 10

SIGN_IN, SIGN_UP, ADD, CONFIRM = "sign in", "sign up", "add", "confirm"

Options = Mapping[str, Any]
"""What a browser's `navigator.credentials` takes, as JSON."""

Answer = Mapping[str, Any]
"""What it gave, as JSON (`PublicKeyCredential.toJSON`)."""


class SignedUp(NamedTuple):
    """A new account, the token of its first session, and its recovery codes, which are shown once."""

    account: Account
    token: str
    codes: Sequence[str]


class Passkey(NamedTuple):
    """One passkey, for its owner's list."""

    id: str
    name: str
    created_at: Millis
    used_at: Millis | None


class _Ceremony(NamedTuple):
    account: bytes | None
    invitation: bytes | None
    name: str


# ---- signing in


def begin_sign_in(office: Office, site: str, visit: Visit) -> Options:
    """What to ask the browser's authenticator; the same for everybody but for the challenge."""
    count_attempt(office, Attempt.CEREMONY_BY_ADDRESS, visit.address)
    return make_request(site, _begin(office, SIGN_IN))


def finish_sign_in(office: Office, site: str, visit: Visit, answer: Answer, replaced: str | None = None) -> SignedIn:
    """Sign in with an authenticator's answer. Raises Refused(SIGN_IN_FAILED), the same in words and in work whatever
    was wrong; TOO_MANY_REQUESTS."""
    count_attempt(office, Attempt.SIGN_IN_BY_ADDRESS, visit.address)
    asserted = _read(office, site, answer, SIGN_IN)
    with office.people.write() as connection:
        account = None if asserted is None else find_account(connection, asserted.account)
        if asserted is not None and account is not None and _note_use(connection, office, asserted, account):
            token = begin_session(connection, office, account, visit, "passkey", replaced)
            record(connection, office, Action.SIGNED_IN, account.public_id, member=account.member, why="passkey")
        else:
            account, token = None, ""
            record(connection, office, Action.SIGN_IN_FAILED, "visitor", why="passkey")
    if account is None or asserted is None:
        raise _failed()
    forget_attempts(office, Attempt.SIGN_IN_BY_PASSKEY, asserted.credential_id)
    return SignedIn(account, token)


# ---- signing up


def begin_sign_up(office: Office, site: str, visit: Visit, name: str, invitation: str | None = None) -> Options:
    """What to ask an authenticator for a new account. Without an invitation it is a holder's, if the setting allows
    it. Raises Refused(CODE_NOT_VALID, NOT_PERMITTED, TOO_MANY_REQUESTS) and as `check_name`."""
    count_attempt(office, Attempt.SIGN_UP_BY_ADDRESS, visit.address)
    name = check_name(name)
    digest = None if not invitation else digest_invitation(office, invitation)
    if digest is None and not office.is_open:
        raise Refused(Reason.NOT_PERMITTED, "this service takes new accounts by invitation only")
    if digest is not None:
        with office.people.look_up() as connection:
            if find_post(connection, office, digest) is None:
                raise not_valid()
    challenge = _begin(office, SIGN_UP, invitation=digest, name=name)
    return make_creation(site, challenge, _make_handle(office, challenge), name, ())


def finish_sign_up(office: Office, site: str, visit: Visit, answer: Answer, replaced: str | None = None) -> SignedUp:
    """Make the account, with this passkey, and sign in. Raises Refused(SIGN_IN_FAILED, CODE_NOT_VALID)."""
    count_attempt(office, Attempt.SIGN_IN_BY_ADDRESS, visit.address)
    challenge = read_challenge(answer)
    ceremony = _end(office, SIGN_UP, challenge)
    attested = None if ceremony is None else read_attestation(site, challenge, answer)
    if ceremony is None or attested is None:
        raise _failed()
    with office.people.write() as connection:
        digest = ceremony.invitation
        post = HOLDER if digest is None else use_invitation(connection, office, digest)
        account = insert_account(connection, office, post, ceremony.name, _make_handle(office, challenge))
        if not _insert_passkey(connection, office, account.id, attested, visit.device):
            raise _failed()
        codes = make_codes(connection, office, account.id)
        token = begin_session(connection, office, account, visit, "passkey", replaced)
        why = f"{post.standing} {post.role or ''}".strip()
        record(
            connection,
            office,
            Action.ACCOUNT_CREATED,
            account.public_id,
            about=account.public_id,
            member=account.member,
            why=why,
        )
        record(connection, office, Action.SIGNED_IN, account.public_id, member=account.member, why="passkey")
    return SignedUp(account, token, codes)


# ---- one's own passkeys


def begin_add(office: Office, site: str, principal: Principal) -> Options:
    """What to ask an authenticator for one more passkey. The route asks for a confirmation first."""
    account = get_account(principal)
    count_attempt(office, Attempt.CONFIRM_BY_ACCOUNT, account)
    with office.people.read() as connection:
        found = find_account(connection, account)
        known = [bytes(row[0]) for row in _read_passkeys(connection, account)]
    if found is None:
        raise Refused(Reason.NOT_SIGNED_IN, "this account was ended")
    if len(known) >= MAX_PASSKEYS:
        raise Refused(Reason.TOO_MANY_KEYS, f"an account has at most {MAX_PASSKEYS} passkeys: remove one first")
    return make_creation(site, _begin(office, ADD, account=account), found.handle, found.name, known)


def finish_add(office: Office, site: str, principal: Principal, answer: Answer, name: str) -> None:
    """Keep one more passkey for the caller's account. Raises Refused(SIGN_IN_FAILED, TOO_MANY_KEYS)."""
    account, name, challenge = get_account(principal), check_name(name), read_challenge(answer)
    ceremony = _end(office, ADD, challenge)
    attested = None if ceremony is None else read_attestation(site, challenge, answer)
    if ceremony is None or attested is None or ceremony.account != account:
        raise _failed()
    with office.people.change() as connection:
        if find_account(connection, account) is None:
            raise Refused(Reason.NOT_SIGNED_IN, "this account was ended")
        if len(_read_passkeys(connection, account)) >= MAX_PASSKEYS:
            raise Refused(Reason.TOO_MANY_KEYS, f"an account has at most {MAX_PASSKEYS} passkeys: remove one first")
        if not _insert_passkey(connection, office, account, attested, name):
            raise _failed()
        record(connection, office, Action.PASSKEY_ADDED, name_id("acc", account), member=principal.member)


def list_passkeys(office: Office, principal: Principal) -> Sequence[Passkey]:
    """The caller's passkeys, oldest first."""
    with office.people.read() as connection:
        rows = _read_passkeys(connection, get_account(principal))
    return [Passkey(_name(office, bytes(id_)), name, created, used) for id_, name, created, used in rows]


def remove_passkey(office: Office, principal: Principal, passkey: str, token: str) -> None:
    """Remove one of the caller's passkeys, and end all their sessions but that of `token`: whoever has the phone that
    was lost is signed in no more. Raises Refused(LAST_PASSKEY),
    UNKNOWN_ACCOUNT if it is none of theirs. The route asks for a confirmation first."""
    account = get_account(principal)
    with office.people.change() as connection:
        rows = _read_passkeys(connection, account)
        wanted = [bytes(row[0]) for row in rows if _name(office, bytes(row[0])) == passkey]
        if not wanted:
            raise Refused(Reason.UNKNOWN_ACCOUNT, "you have no such passkey")
        if len(rows) == 1:
            raise Refused(Reason.LAST_PASSKEY, "this is your last passkey: add another one before you remove it")
        connection.execute("DELETE FROM passkey WHERE id = ?", (wanted[0],))
        end_others(connection, office, account, token)
        record(connection, office, Action.PASSKEY_REMOVED, name_id("acc", account), member=principal.member)


# ---- showing again that one is there


def begin_confirm(office: Office, site: str, principal: Principal) -> Options:
    """What to ask an authenticator so that its owner shows again that they are there."""
    account = get_account(principal)
    count_attempt(office, Attempt.CONFIRM_BY_ACCOUNT, account)
    with office.people.read() as connection:
        known = [bytes(row[0]) for row in _read_passkeys(connection, account)]
    return make_request(site, _begin(office, CONFIRM, account=account), known)


def finish_confirm(office: Office, site: str, principal: Principal, token: str, answer: Answer) -> str:
    """Confirm the caller's session; its new token. Raises Refused(SIGN_IN_FAILED, NOT_SIGNED_IN)."""
    account = get_account(principal)
    asserted = _read(office, site, answer, CONFIRM, account)
    with office.people.write() as connection:
        found = find_account(connection, account)
        is_theirs = asserted is not None and asserted.account == account and found is not None
        if asserted is not None and found is not None and is_theirs and _note_use(connection, office, asserted, found):
            renewed = confirm_session(connection, office, found, token)
            record(connection, office, Action.CONFIRMED, found.public_id, member=found.member)
            return renewed
        record(connection, office, Action.SIGN_IN_FAILED, name_id("acc", account), why="confirm")
    raise _failed()


# ---- the challenge and its answer


def _begin(
    office: Office, purpose: str, *, account: bytes | None = None, invitation: bytes | None = None, name: str = ""
) -> bytes:
    challenge = office.random_bytes(32)
    with office.people.note() as connection:
        connection.execute(
            "INSERT INTO ceremony (digest, purpose, account, invitation, name, until_ms) VALUES (?, ?, ?, ?, ?, ?)",
            (_digest(office, challenge), purpose, account, invitation, name, office.clock() + CEREMONY_MS),
        )
    return challenge


def _end(office: Office, purpose: str, challenge: bytes) -> _Ceremony | None:
    """The ceremony of this challenge, which is over: no answer comes twice."""
    with office.people.write() as connection:
        row = connection.execute(
            "DELETE FROM ceremony WHERE digest = ? RETURNING purpose, account, invitation, name, until_ms",
            (_digest(office, challenge),),
        ).fetchone()
    if row is None or row[0] != purpose or row[4] <= office.clock():
        return None
    account, invitation = (None if value is None else bytes(value) for value in row[1:3])
    return _Ceremony(account, invitation, row[3])


def _read(office: Office, site: str, answer: Answer, purpose: str, account: bytes | None = None) -> Asserted | None:
    """Whose passkey signed the challenge; None if nobody's did, or if another account was asked. It does the same work
    for a passkey that is unknown."""
    challenge = read_challenge(answer)
    ceremony = _end(office, purpose, challenge)

    def find_credential(credential_id: bytes) -> tuple[bytes, bytes, int] | None:
        count_attempt(office, Attempt.SIGN_IN_BY_PASSKEY, credential_id)
        query = "SELECT account, credential, sign_count FROM passkey WHERE id = ?"
        with office.people.look_up() as connection:
            row = connection.execute(query, (credential_id,)).fetchone()
        return None if row is None else (bytes(row[0]), bytes(row[1]), row[2])

    asserted = read_assertion(site, challenge, answer, find_credential)
    return None if ceremony is None or ceremony.account != account else asserted


def _note_use(connection: Connection, office: Office, asserted: Asserted, account: Account) -> bool:
    """Note that a passkey was used; False if it was removed meanwhile, was made for another account (WebAuthn 3 §7.2,
    step 6), or, with an entry, if its counter shows that there are two of it."""
    count, wanted = asserted.sign_count, (asserted.credential_id, account.id)
    row = connection.execute("SELECT sign_count FROM passkey WHERE id = ? AND account = ?", wanted).fetchone()
    if row is None or asserted.handle not in (None, account.handle):
        return False
    # Looked at again: two that sign at once were both compared with the count from before.
    if asserted.is_copied or (count <= row[0] and (count or row[0])):
        who = name_id("acc", asserted.account)
        record(connection, office, Action.PASSKEY_COPIED, who, about=who)
        return False
    connection.execute(
        "UPDATE passkey SET sign_count = ?, used_ms = ? WHERE id = ?", (count, office.clock(), asserted.credential_id)
    )
    return True


def _insert_passkey(connection: Connection, office: Office, account: bytes, attested: Attested, name: str) -> bool:
    """Keep a passkey; False if its id is somebody's already. Source: WebAuthn 3 §7.1, step 26."""
    credential = attested.credential
    made = connection.execute(
        "INSERT INTO passkey (id, account, credential, sign_count, name, created_ms, used_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (id) DO NOTHING",
        (get_credential_id(credential), account, credential, attested.sign_count, name or "Passkey", office.clock()),
    ).rowcount
    return bool(made == 1)


def _read_passkeys(connection: Connection, account: bytes) -> list[Any]:
    query = "SELECT id, name, created_ms, used_ms FROM passkey WHERE account = ? ORDER BY created_ms, id"
    return list(connection.execute(query, (account,)).fetchall())


def _make_handle(office: Office, challenge: bytes) -> bytes:
    return office.digest("handle", challenge)


def _name(office: Office, credential_id: bytes) -> str:
    return name_id("psk", office.digest("passkey", credential_id)[:16])


def _digest(office: Office, challenge: bytes) -> bytes:
    return office.digest("ceremony", challenge)


def _failed() -> Refused:
    return Refused(Reason.SIGN_IN_FAILED, "that did not sign you in: try again, or use a recovery code")
