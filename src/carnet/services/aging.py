"""Keys that want attention: signing keys that are old, and keys of programs that end soon, have not been used, or have
no end.

No signing key ends by itself; how old one may be is a matter of custom, and the limit here is a year. It refuses to
change anything.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from carnet.ledger.rules.members import Key, Member
from carnet.node.glance import Glance
from carnet.services.accounts.clients import ApiKey, Client, list_clients
from carnet.services.accounts.office import DAY_MS, Office
from carnet.services.principals import Principal
from carnet.types import KeyRole, Millis

OLD_MS: Final = 365 * DAY_MS
SOON_MS: Final = 30 * DAY_MS


class SigningKey(NamedTuple):
    """A signing key in force: whose, for what, and since when it is listed (ms); whether it is older than a year."""

    member: Member
    key: Key
    listed_at: Millis
    is_old: bool

    @property
    def is_nodes(self) -> bool:
        """Whether the node seals with it."""
        return self.key.role == KeyRole.NODE


class ProgramKey(NamedTuple):
    """A key of a program that is in force; `why` it wants attention: ending, unused (for a year) or endless; else
    None."""

    client: Client
    key: ApiKey
    why: str | None


def list_signing_keys(seen: Glance, now: Millis) -> list[SigningKey]:
    """The signing keys in force of members that take part, the oldest first."""
    found = [
        SigningKey(one.member, one.key, one.listed_at, now - one.listed_at > OLD_MS)
        for one in seen.keys
        if one.key.revoked is None and one.member.retired is None
    ]
    return sorted(found, key=lambda one: one.listed_at)


def list_program_keys(office: Office, principal: Principal) -> list[ProgramKey]:
    """The keys of programs that are in force, those first that want attention. Raises Refused(NOT_PERMITTED)."""
    now = office.clock()
    found = [
        ProgramKey(client, key, _judge(key, now))
        for client, keys in list_clients(office, principal)
        if client.ended_at is None
        for key in keys
        if key.is_in_force(now)
    ]
    return sorted(found, key=lambda one: (one.why is None, one.key.created_at))


def _judge(key: ApiKey, now: Millis) -> str | None:
    if key.until is not None and key.until - now <= SOON_MS:
        return "ending"
    if now - (key.used_at or key.created_at) > OLD_MS:
        return "unused"
    return "endless" if key.until is None and now - key.created_at > OLD_MS else None
