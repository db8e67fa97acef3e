"""HTTP as it comes off the line: uvicorn's own protocol, with an end to what a client may send and how slowly.

A request's address and headers have a size and a time; a body has a pace. Whoever is slower is hung up on, since each
such client would hold a place that others need. Design: security 16, 36.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from carnet.encoding import encode_trusted
from carnet.errors import Reason

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 100
PACE_BYTES: Final = 15_000

STATUSES: Final = {400: "Bad Request", 431: "Request Header Fields Too Large"}


class LimitedProtocol(HttpToolsProtocol):
    """One connection. `head_s` is how long the address and the headers of a request may take; in each `pace_s` at least
    `PACE_BYTES` of a body come, or the rest of it."""

    head_s = 20.0
    pace_s = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_size = self._body_size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing has no more time than one that begins."""
        super().connection_made(transport)
        self._set_timer(self.head_s, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._clear_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_size = self._body_size = 0
        self._set_timer(self.head_s, self._hang_up)

    def on_url(self, url: bytes) -> None:
        """A part of its address."""
        if self._counts(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of it."""
        if self._counts(len(name) + len(value)):
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """It is known what is asked: from here on a body may come."""
        if not self._is_over:
            self._set_timer(self.pace_s, self._check_pace)
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of its body; without a request, of nothing."""
        if not self._is_over:
            self._body_size += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is here. What comes next on this line is uvicorn's to wait for."""
        if not self._is_over:
            self._clear_timer()
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a problem document like everything else; `msg` is for nobody."""
        self._refuse(400, Reason.MALFORMED_REQUEST, "this is no HTTP request")

    def _counts(self, size: int) -> bool:
        self._head_size += size
        if self._is_over:
            return False
        if self._head_size <= MAX_HEAD_BYTES and len(self.headers) < MAX_HEADERS:
            return True
        self._refuse(431, Reason.REQUEST_TOO_LARGE, "the address and the headers are longer than is read")
        return False

    def _refuse(self, status: int, reason: Reason, detail: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        title = reason.value.replace("_", " ").capitalize()
        body = encode_trusted(
            {
                "code": reason.value,
                "detail": detail,
                "errors": [],
                "request_id": "",
                "status": status,
                "title": title,
                "type": f"/problems/{reason.value}",
            }
        )
        head = (
            f"HTTP/1.1 {status} {STATUSES[status]}",
            "content-type: application/problem+json",
            f"content-length: {len(body)}",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "connection: close",
        )
        self.transport.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        self.transport.close()

    # ---- time

    def _check_pace(self) -> None:
        if self._body_size < PACE_BYTES:
            self._hang_up()
            return
        self._body_size = 0
        self._set_timer(self.pace_s, self._check_pace)

    def _hang_up(self) -> None:
        self._is_over = True
        self.transport.close()

    def _set_timer(self, seconds: float, act: Any) -> None:
        self._clear_timer()
        self._timer = self.loop.call_later(seconds, act)

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
