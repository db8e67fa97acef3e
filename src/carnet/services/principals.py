"""Who asks: the one record of a caller that services decide by.

It refuses to know how somebody signed in (`accounts`), and what a request looks like (`web`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from carnet.types import MemberId, Millis


class Standing(StrEnum):
    """In which office somebody asks. An account has one of them; a visitor has no account."""

    VISITOR = "visitor"
    HOLDER = "holder"
    STAFF = "staff"
    MACHINE = "machine"
    OPERATOR = "operator"


class Role(StrEnum):
    """What a member's staff may do: an admin all; a clerk read and write; a reader read; an auditor the audit trail
    too."""

    ADMIN = "admin"
    CLERK = "clerk"
    READER = "reader"
    AUDITOR = "auditor"


class Scope(StrEnum):
    """What a machine client may do, each given to it by name."""

    PASSPORTS_READ = "passports:read"
    PASSPORTS_OPEN = "passports:open"
    ENTRIES_APPEND = "entries:append"
    CLAIMS_ISSUE = "claims:issue"
    FILES = "files"
    WEBHOOKS = "webhooks"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller.

    `account` is `acc_…`; `client` names a machine's key or OAuth client; `member` is whose staff or machine it is.
    `role` is for staff alone, `scopes` for machines alone. Times are ms since 1970: `confirmed_at` is when a passkey
    was last used, for acts that ask for it again.
    """

    standing: Standing
    account: str | None = None
    client: str | None = None
    member: MemberId | None = None
    role: Role | None = None
    scopes: frozenset[Scope] = frozenset()
    signed_in_at: Millis | None = None
    confirmed_at: Millis | None = None
    is_demo: bool = False

    @property
    def is_visitor(self) -> bool:
        """Whether nobody has signed in."""
        return self.standing is Standing.VISITOR


VISITOR = Principal(Standing.VISITOR)
