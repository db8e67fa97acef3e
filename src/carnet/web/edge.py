"""The edge of the service: what is true of every request and answer, before and after any route.

A request gets an id, and is turned away if it names a host that we are not, or if too many are at work. An answer gets
the headers that keep a browser safe. It refuses to know routes. Design: security 6, 16, 33, 36.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from carnet.encoding import encode_trusted
from carnet.errors import Reason, Refused
from carnet.services.settings import Settings
from carnet.web.headers import get_request_id, make_headers
from carnet.web.observing import note_request
from carnet.web.problems import MEDIA_TYPE, Problem, make_problem


class Edge:
    """The outermost layer of the app. It also measures and logs each request (`observing`)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._limit, self._in_flight = settings.max_connections, 0
        self._hosts = frozenset(host.encode() for host in settings.list_hosts())
        self._headers = make_headers(settings)
        self._names = frozenset(name for name, _ in self._headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != ScopeType.HTTP:
            # No route here speaks over a web socket.
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        started = time.perf_counter()
        request_id = get_request_id(scope)
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._complete(message["headers"], request_id)
            await send(message)

        # Whoever asks for the head alone is answered as one who reads (RFC 9110 §9.3.2); the line leaves the body out.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        self._in_flight += 1
        try:
            self._check(scope)
            await self._app(asked, receive, send_with_headers)
        except Refused as refused:
            await _answer(make_problem(refused, request_id), send_with_headers)
        finally:
            self._in_flight -= 1
            asked["method"] = scope["method"]
            note_request(asked, status, time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        """What is asked before any route: what the host claims to be goes into no page."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        # Of two that are named each reader may take another one.
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise Refused(
                Reason.WRONG_HOST, "this service is not known by that host; use the address that it was announced with"
            )
        if self._in_flight > self._limit:
            raise Refused(
                Reason.TOO_MANY_REQUESTS,
                "too many requests are being answered already: try again in a moment",
                could_retry=True,
                retry_after_s=1,
            )

    def _complete(self, given: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
        headers = list(given)
        names = {name.lower() for name, _ in headers}
        if names.isdisjoint(self._names):
            headers += self._headers
        else:
            if any(name.lower() == b"content-security-policy" and _is_framed(value) for name, value in headers):
                # The older header knows no list of origins: a page that may be framed goes without it.
                names.add(b"x-frame-options")
            headers += [pair for pair in self._headers if pair[0] not in names]
        headers.append((b"x-request-id", request_id.encode()))
        return headers


def _is_framed(policy: bytes) -> bool:
    return b"frame-ancestors" in policy and b"frame-ancestors 'none'" not in policy


async def _answer(problem: Problem, send: Send) -> None:
    body = encode_trusted(problem.to_document())
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if problem.could_retry:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
