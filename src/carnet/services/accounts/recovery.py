"""Recovery codes: ten on paper, shown once at enrolment, each good for one way in without a passkey.

A code has 100 bits, and the store knows it by its keyed digest. Design: security 1, 2; OWASP ASVS 6.4, 6.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, Visit, get_account, name_id, read_paper_code
from carnet.services.accounts.registry import Account, find_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.accounts.throttling import Attempt, count_attempt
from carnet.services.principals import Principal
from carnet.vault.store import Connection

CODES: Final = 10


class SignedIn(NamedTuple):
    """Who is signed in now, and the token of the session (a secret)."""

    account: Account
    token: str


def make_codes(connection: Connection, office: Office, account: bytes) -> Sequence[str]:
    """New codes for an account; those that it had are good no more."""
    connection.execute("DELETE FROM recovery_code WHERE account = ?", (account,))
    codes = [office.make_paper_code(4, 5) for _ in range(CODES)]
    for code in codes:
        connection.execute(
            "INSERT INTO recovery_code (digest, account, created_ms, used_ms) VALUES (?, ?, ?, NULL)",
            (_digest(office, code), account, office.clock()),
        )
    return codes


def renew_codes(office: Office, principal: Principal) -> Sequence[str]:
    """New codes for the caller's account, to be shown now and never again. A dangerous act: the route asks for a
    confirmation."""
    account = get_account(principal)
    with office.people.change() as connection:
        codes = make_codes(connection, office, account)
        record(connection, office, Action.CODES_RENEWED, name_id("acc", account))
    return codes


def count_codes(office: Office, principal: Principal) -> int:
    """How many of the caller's codes are left."""
    query = "SELECT count(*) FROM recovery_code WHERE account = ? AND used_ms IS NULL"
    with office.people.read() as connection:
        return int(connection.execute(query, (get_account(principal),)).fetchone()[0])


def recover(office: Office, visit: Visit, code: str, replaced: str | None = None) -> SignedIn:
    """Sign in by a code, which is used up. Raises Refused(SIGN_IN_FAILED), the same for a code that never was, was
    used, or belongs to an account that was ended; TOO_MANY_REQUESTS."""
    count_attempt(office, Attempt.RECOVERY_BY_ADDRESS, visit.address)
    digest = _digest(office, code)
    with office.people.write() as connection:
        row = connection.execute(
            "UPDATE recovery_code SET used_ms = ? WHERE digest = ? AND used_ms IS NULL RETURNING account",
            (office.clock(), digest),
        ).fetchone()
        account = find_account(connection, b"" if row is None else bytes(row[0]))
        if account is not None:
            token = begin_session(connection, office, account, visit, "recovery", replaced)
            record(connection, office, Action.RECOVERED, account.public_id, member=account.member)
            return SignedIn(account, token)
        record(connection, office, Action.SIGN_IN_FAILED, "visitor", why="recovery")
    raise Refused(Reason.SIGN_IN_FAILED, "that did not sign you in: compare the code with your paper, and try again")


def _digest(office: Office, code: str) -> bytes:
    return office.digest("recovery", read_paper_code(code))
