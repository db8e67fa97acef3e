"""Accounts: one office of one person. Made by invitation, or for oneself as a holder; ended, never reused.

It refuses to know how somebody shows who they are (`passkeys`, `recovery`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.node.lookup import ask_many
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, get_account, name_caller, name_id, read_id
from carnet.services.principals import Principal, Role, Standing
from carnet.types import MemberId, Millis, is_plain_text
from carnet.vault.store import Connection

MAX_NAME: Final = 80

_COLUMNS: Final = "id, standing, member, role, name, handle, is_demo, created_ms, ended_ms"


class Account(NamedTuple):
    """An account as it is stored. `handle` is what passkeys call it; times are ms."""

    id: bytes
    standing: Standing
    member: MemberId | None
    role: Role | None
    name: str
    handle: bytes
    is_demo: bool
    created_at: Millis
    ended_at: Millis | None

    @property
    def public_id(self) -> str:
        """`acc_…`."""
        return name_id("acc", self.id)


class Post(NamedTuple):
    """Which office an account is for: its standing, and for staff the member and the role."""

    standing: Standing
    member: MemberId | None = None
    role: Role | None = None


HOLDER: Final = Post(Standing.HOLDER)
OPERATOR: Final = Post(Standing.OPERATOR)


def check_name(text: str) -> str:
    """A person's or a program's name for people to read, in normal form. Raises Refused(MISSING_FIELD, TEXT_TOO_LONG,
    TEXT_NOT_ALLOWED)."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise Refused(Reason.MISSING_FIELD, "a name is needed", field="name")
    if len(name) > MAX_NAME:
        raise Refused(Reason.TEXT_TOO_LONG, f"a name has at most {MAX_NAME} characters", field="name")
    if not is_plain_text(name):
        raise Refused(
            Reason.TEXT_NOT_ALLOWED, "a name has letters and spaces only, no control characters", field="name"
        )
    return name


def insert_account(connection: Connection, office: Office, post: Post, name: str, handle: bytes) -> Account:
    """A new account, within a transaction."""
    account = Account(
        office.random_bytes(16),
        post.standing,
        post.member,
        post.role,
        name,
        handle,
        office.is_demo,
        office.clock(),
        None,
    )
    connection.execute(
        f"INSERT INTO account ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",  # noqa: S608 - our own words
        (
            account.id,
            account.standing.value,
            account.member,
            None if account.role is None else account.role.value,
            account.name,
            account.handle,
            int(account.is_demo),
            account.created_at,
        ),
    )
    return account


def find_account(connection: Connection, account: bytes) -> Account | None:
    """An account that was not ended."""
    query = f"SELECT {_COLUMNS} FROM account WHERE id = ? AND ended_ms IS NULL"  # noqa: S608 - our own words
    row = connection.execute(query, (account,)).fetchone()
    return None if row is None else _to_account(row)


def get_account_by_id(office: Office, text: str) -> Account:
    """The account `acc_…`, if it was not ended. Raises Refused(UNKNOWN_ACCOUNT)."""
    with office.people.read() as connection:
        found = find_account(connection, read_id("acc", text, Reason.UNKNOWN_ACCOUNT))
    if found is None:
        raise Refused(Reason.UNKNOWN_ACCOUNT, "there is no such account")
    return found


def list_accounts(office: Office, principal: Principal, member: MemberId | None = None) -> Sequence[Account]:
    """The accounts that a caller administers, oldest first: an operator all, or those of the `member` that is named, a
    member's admin those of the member. Raises Refused(NOT_PERMITTED)."""
    if principal.standing is not Standing.OPERATOR:
        check_administers(principal, principal.member)
        member = principal.member
    where, values = ("1 = 1", tuple[object, ...]()) if member is None else ("member = ?", (member,))
    query = f"SELECT {_COLUMNS} FROM account WHERE {where} ORDER BY created_ms, id"  # noqa: S608 - our own words
    with office.people.read() as connection:
        return [_to_account(row) for row in connection.execute(query, values).fetchall()]


def find_names(office: Office, principal: Principal, accounts: Iterable[str]) -> dict[str, str]:
    """How the people behind these names (`acc_…`; others are passed by) are called, those who have left too: for
    operators, and no more than is shown, since a network has many holders. Raises Refused(NOT_PERMITTED)."""
    if principal.standing is not Standing.OPERATOR:
        raise Refused(Reason.NOT_PERMITTED, "only an operator may do this")
    wanted = []
    for name in dict.fromkeys(accounts):
        with suppress(Refused):
            wanted.append(read_id("acc", name, Reason.UNKNOWN_ACCOUNT))
    with office.people.read() as connection:
        rows = list(ask_many(connection, "SELECT id, name FROM account WHERE id IN (?)", wanted))
    return {name_id("acc", bytes(id_)): name for id_, name in rows}


def list_names(office: Office, principal: Principal) -> dict[str, str]:
    """How the people of the caller's member are called, by account, those who have left too: for its admins and
    auditors. Raises Refused(NOT_PERMITTED)."""
    if principal.standing is not Standing.STAFF or principal.role not in (Role.ADMIN, Role.AUDITOR):
        raise Refused(Reason.NOT_PERMITTED, "only a member's admins and auditors may do this")
    with office.people.read() as connection:
        rows = connection.execute("SELECT id, name FROM account WHERE member = ?", (principal.member,)).fetchall()
    return {name_id("acc", bytes(id_)): name for id_, name in rows}


def end_account(office: Office, principal: Principal, account: str) -> None:
    """End an account, with its sessions, passkeys, codes, holdings and open claims, at once, and the invitations of
    staff and operators that it has made: whoever is sent away opens no door that they left ajar.

    One ends one's own, a member's admin those of the member, an operator any. Raises Refused(UNKNOWN_ACCOUNT), also
    for one that the caller may not see.
    """
    wanted = read_id("acc", account, Reason.UNKNOWN_ACCOUNT)
    with office.people.write() as connection:
        principal = with_present_role(connection, principal)
        found = find_account(connection, wanted)
        if found is None or not _may_end(principal, found):
            raise Refused(Reason.UNKNOWN_ACCOUNT, "there is no such account, or it is not yours to end")
        _end(connection, office, principal, found)


def end_accounts_of(office: Office, principal: Principal, member: MemberId) -> int:
    """End every account of a member that has left, and the invitations to its staff, at one moment, so that nobody
    comes in between; how many accounts there were."""
    query = f"SELECT {_COLUMNS} FROM account WHERE member = ? AND ended_ms IS NULL"  # noqa: S608 - our own words
    with office.people.write() as connection:
        now = office.clock()
        connection.execute(
            "UPDATE invitation SET until_ms = ? WHERE member = ? AND used_ms IS NULL AND until_ms > ?",
            (now, member, now),
        )
        found = [_to_account(row) for row in connection.execute(query, (member,)).fetchall()]
        for account in found:
            _end(connection, office, principal, account)
    return len(found)


def change_role(office: Office, principal: Principal, account: str, role: Role) -> None:
    """Give somebody of a member's staff another role, at once, also where they are signed in. Nobody changes their own,
    so that a member is never left without an admin.

    Raises Refused(UNKNOWN_ACCOUNT, also for one that the caller does not administer; NOT_PERMITTED for one's own).
    """
    wanted = read_id("acc", account, Reason.UNKNOWN_ACCOUNT)
    with office.people.write() as connection:
        principal = with_present_role(connection, principal)
        found = find_account(connection, wanted)
        if found is None or found.standing is not Standing.STAFF or not _may_end(principal, found):
            raise Refused(Reason.UNKNOWN_ACCOUNT, "there is no such account, or it is not yours to change")
        if principal.account == found.public_id:
            raise Refused(Reason.NOT_PERMITTED, "another admin, or an operator, changes your role")
        if found.role is role:
            return
        connection.execute("UPDATE account SET role = ? WHERE id = ?", (role.value, found.id))
        record(
            connection, office, Action.ROLE_CHANGED, name_caller(principal),
            about=found.public_id, member=found.member, why=role.value,
        )  # fmt: skip


def list_last_seen(office: Office, principal: Principal) -> dict[str, Millis]:
    """When each account that the caller administers was last seen, of those that are signed in somewhere. Raises
    Refused(NOT_PERMITTED)."""
    names = [account.id for account in list_accounts(office, principal)]
    query = "SELECT account, max(seen_ms) FROM session GROUP BY account"
    with office.people.read() as connection:
        seen = {bytes(account): at for account, at in connection.execute(query).fetchall()}
    return {name_id("acc", name): seen[name] for name in names if name in seen}


def with_present_role(connection: Connection, principal: Principal) -> Principal:
    """The caller as they are now, within the transaction of what they do: another may have ended their account or
    program, revoked its key, or changed their role, since their request was let in. Raises Refused NOT_SIGNED_IN for an
    account that was ended, SIGN_IN_FAILED for a program that was, or whose key or token was."""
    if principal.client is not None:
        _check_is_let_in(connection, principal.client, principal.signed_in_at)
    if principal.account is None:
        return principal
    found = find_account(connection, get_account(principal))
    if found is None:
        raise Refused(Reason.NOT_SIGNED_IN, "this account was ended")
    return replace(principal, role=found.role)


def _check_is_let_in(connection: Connection, client: str, since: Millis | None) -> None:
    """Refuse a program that was ended, and the key or token of this moment (ms) that is in force no more."""
    query = (
        "SELECT 1 FROM client WHERE id = ? AND ended_ms IS NULL AND ("
        "EXISTS (SELECT 1 FROM api_key WHERE client = client.id AND created_ms = ? AND revoked_ms IS NULL)"
        " OR EXISTS (SELECT 1 FROM access_token WHERE client = client.id AND created_ms = ?))"
    )
    id_ = read_id("cli", client, Reason.SIGN_IN_FAILED)
    if connection.execute(query, (id_, since, since)).fetchone() is None:
        raise Refused(Reason.SIGN_IN_FAILED, "this program was ended, or its key or token revoked, a moment ago")


def check_administers(principal: Principal, member: MemberId | None) -> None:
    """Raise Refused(NOT_PERMITTED) unless the caller is an operator or an admin of this member."""
    is_admin = principal.standing is Standing.STAFF and principal.role is Role.ADMIN and principal.member == member
    if principal.standing is not Standing.OPERATOR and not is_admin:
        raise Refused(Reason.NOT_PERMITTED, "only an operator, or an admin of that member, may do this")


def _end(connection: Connection, office: Office, principal: Principal, found: Account) -> None:
    now = office.clock()
    connection.execute("UPDATE account SET ended_ms = ? WHERE id = ?", (now, found.id))
    connection.execute("UPDATE holding SET until_ms = ? WHERE account = ? AND until_ms IS NULL", (now, found.id))
    connection.execute("UPDATE app_view SET ended_ms = ? WHERE account = ? AND ended_ms IS NULL", (now, found.id))
    # Whoever is gone can be given nothing, and what they could still open with a link of their own is nobody's.
    query = "UPDATE contest SET state = 'dismissed', decided_ms = ? WHERE claimant = ? AND decided_ms IS NULL"
    connection.execute(query, (now, found.id))
    # A holder's invitation gives no right of others: the customer who has the paper goes on.
    query = (
        "UPDATE invitation SET until_ms = ? WHERE made_by = ? AND standing <> ? AND used_ms IS NULL AND until_ms > ?"
    )
    connection.execute(query, (now, found.public_id, Standing.HOLDER.value, now))
    for table in ("session", "passkey", "recovery_code", "ceremony"):
        connection.execute(f"DELETE FROM {table} WHERE account = ?", (found.id,))  # noqa: S608 - our own words
    record(connection, office, Action.ACCOUNT_ENDED, name_caller(principal), about=found.public_id, member=found.member)


def _may_end(principal: Principal, account: Account) -> bool:
    if principal.standing is Standing.OPERATOR or principal.account == account.public_id:
        return True
    is_admin = principal.standing is Standing.STAFF and principal.role is Role.ADMIN
    return is_admin and account.member is not None and account.member == principal.member


def _to_account(row: Any) -> Account:
    id_, standing, member, role, name, handle, is_demo, created, ended = row
    return Account(
        bytes(id_),
        Standing(standing),
        None if member is None else bytes(member),
        None if role is None else Role(role),
        name,
        bytes(handle),
        bool(is_demo),
        created,
        ended,
    )
