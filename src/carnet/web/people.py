"""What a worker's desk has of the service of accounts: who calls, who holds what, how a vehicle is claimed.

    desk = Desk(…, callers=OfficeCallers(office), shelf=make_shelf(office))

It refuses to decide anything: `services.accounts` does.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from litestar.connection import ASGIConnection

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.node.reader import Reader
from carnet.services.accounts.auditing import Action, record_alone
from carnet.services.accounts.callers import find_caller
from carnet.services.accounts.devices import describe_device
from carnet.services.accounts.office import Office, Visit, shorten_address
from carnet.services.accounts.sessions import find_principal
from carnet.services.claims import claim
from carnet.services.holdings import Holdings
from carnet.services.idempotency import Idempotency
from carnet.services.principals import Principal
from carnet.types import ChainId
from carnet.vault.waiting import at_end_of_turn, find_loop, may_wait
from carnet.web.desk import Desk

UNKNOWN_ADDRESS: Final = "unknown"


class OfficeCallers:
    """See `carnet.web.principal.Callers`."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._of_turn: dict[tuple[str, str], Principal] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def find_by_session(self, token: str) -> Principal | None:
        """Who signed in in this browser."""
        return find_principal(self._office, token)

    def find_by_bearer(self, token: str, address: str = UNKNOWN_ADDRESS) -> Principal | None:
        """Whose key or token it is. Raises Refused(TOO_MANY_REQUESTS) for an address that guesses, WRONG_NETWORK for a
        test key on a live network and the other way round."""
        known = self._of_turn.get((token, address)) if not may_wait() else None
        if known is not None:
            return known
        try:
            found = find_caller(self._office, Visit(shorten_address(address)), session=None, bearer=token)
        except Refused as refused:
            if refused.reason is not Reason.SIGN_IN_FAILED:
                raise
            return None
        if not may_wait():
            self._keep_for_turn(token, address, found)
        return found

    def _keep_for_turn(self, token: str, address: str, found: Principal) -> None:
        """All that the loop asks in one turn sees one moment of people's rows: the same key is the same caller's."""
        loop = find_loop()
        if loop is None:
            return
        if self._loop is not loop:
            self._loop = loop
            at_end_of_turn(loop, self._end_turn)
        self._of_turn[token, address] = found

    def _end_turn(self) -> None:
        self._loop = None
        self._of_turn.clear()


def make_shelf(office: Office) -> dict[str, Any]:
    """What features find on the desk's shelf, by the names that they ask for."""

    def claim_vehicle(
        reader: Reader, principal: Principal, address: str, code: str, vehicle: str
    ) -> tuple[ChainId, bool]:
        done = claim(office, reader, principal, Visit(address), code, vehicle)
        return done.passport, done.is_held

    return {
        "claim": claim_vehicle,
        "holdings": Holdings(office),
        "idempotency": Idempotency(office.people, office.key),
        "office": office,
        "people": office.people,
    }


def get_office(desk: Desk) -> Office:
    """The office of this worker. Raises Refused(NOT_PERMITTED) where the service has no accounts."""
    found = desk.shelf.get("office")
    if found is None:
        raise Refused(Reason.NOT_PERMITTED, "this service has no accounts")
    if not isinstance(found, Office):
        raise InvariantBroken("what stands on the shelf as the office is none")
    return found


def note_denial(desk: Desk, principal: Principal, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Leave an entry that somebody asked for what is not theirs to ask: the route's template, never the address."""
    office = desk.shelf.get("office")
    if isinstance(office, Office) and not principal.is_visitor:
        method, route = connection.scope.get("method", ""), connection.scope.get("path_template", "")
        why = re.sub(r"[^a-z0-9_.:/ -]", "", f"{method} {route}".lower())[:80]
        record_alone(office, Action.DENIED, principal, why=why)


def get_visit(connection: ASGIConnection[Any, Any, Any, Any]) -> Visit:
    """Where a request comes from."""
    return Visit(get_address(connection), describe_device(connection.headers.get("user-agent", "")))


def get_address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The address of whoever asks, as attempts are counted by it."""
    return UNKNOWN_ADDRESS if connection.client is None else shorten_address(connection.client.host)
