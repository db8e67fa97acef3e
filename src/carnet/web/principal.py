"""From a request to the one who asks: by session cookie, or by key or token in `Authorization: Bearer`.

It only knows where the two stand in a request; whose they are it asks `Callers`, which `services.accounts` is. A bad
key is refused; a session that has ended makes its browser a visitor.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from litestar.connection import ASGIConnection

from carnet.errors import Reason, Refused
from carnet.services.principals import VISITOR, Principal
from carnet.web.cookies import Cookies
from carnet.web.headers import find_header, find_text

MAX_CREDENTIAL = 4096
AUTHORIZATION: Final = (b"authorization",)


class Callers(Protocol):
    """Who is behind a credential. Asked for every request, from threads: what was ended a moment ago is unknown now."""

    def find_by_session(self, token: str) -> Principal | None:
        """The account that signed in in this browser; None if the session has ended or never was."""

    def find_by_bearer(self, token: str, address: str = "") -> Principal | None:
        """The machine client of an API key or access token; None if it is unknown, revoked or has expired. Who guesses
        from one `address` is slowed down: Refused(TOO_MANY_REQUESTS)."""


class VisitorsOnly:
    """A service without accounts: nobody is known."""

    def find_by_session(self, token: str) -> Principal | None:
        """Nobody."""
        return None

    def find_by_bearer(self, token: str, address: str = "") -> Principal | None:
        """Nobody."""
        return None


def find_principal(connection: ASGIConnection[Any, Any, Any, Any], callers: Callers, cookies: Cookies) -> Principal:
    """Who asks. Raises Refused NOT_SIGNED_IN for a bearer credential that is not in force, MALFORMED_REQUEST for one
    that is none."""
    header = find_text(connection.scope, *AUTHORIZATION)
    if header is not None:
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > MAX_CREDENTIAL or not token.isascii():
            raise Refused(Reason.MALFORMED_REQUEST, "write `Authorization: Bearer KEY`")
        found = callers.find_by_bearer(token, connection.client.host if connection.client else "")
        if found is None:
            raise Refused(Reason.NOT_SIGNED_IN, "this key or token is unknown, was revoked, or has expired")
        return found
    session = connection.cookies.get(cookies.session)
    if not session or len(session) > MAX_CREDENTIAL:
        return VISITOR
    return callers.find_by_session(session) or VISITOR


def has_credential(connection: ASGIConnection[Any, Any, Any, Any], cookies: Cookies) -> bool:
    """Whether the request brings anything that could say who asks."""
    return find_header(connection.scope, AUTHORIZATION) is not None or cookies.session in connection.cookies
