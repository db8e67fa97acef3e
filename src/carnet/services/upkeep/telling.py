"""How telling members' programs goes, for operators: of each webhook whose it is, on which host, whether it is reached,
and how many messages wait or could not be delivered.

It refuses to show an address whole, which may hold a secret of the member's, and what a message says.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from carnet.services.accounts.office import Office
from carnet.services.principals import Principal
from carnet.services.webhooks.endpoints import list_endpoints
from carnet.types import MemberId


class Telling(NamedTuple):
    """A webhook. `state`: active, failing or stopped; the counts are of messages that wait and that are dead."""

    member: MemberId
    host: str
    state: str
    waiting: int
    dead: int


def list_telling(office: Office, principal: Principal) -> list[Telling]:
    """The webhooks of all members that were not ended. Raises Refused(NOT_PERMITTED)."""
    endpoints = list_endpoints(office, principal)
    query = "SELECT webhook, state, count(*) FROM webhook_message WHERE state != 'delivered' GROUP BY webhook, state"
    with office.people.read() as connection:
        counts = {(bytes(row[0]), row[1]): int(row[2]) for row in connection.execute(query).fetchall()}
    return [
        Telling(
            one.member,
            urlsplit(one.url).hostname or "",
            one.state,
            counts.get((one.id, "waiting"), 0),
            counts.get((one.id, "dead"), 0),
        )
        for one in endpoints
    ]
