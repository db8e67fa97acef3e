"""An answer whose bytes are made already, on its way out: no header is written twice, and nothing of it is looked at
again.

Litestar's own `Response` asks at each answer what kind of value it has to write, and in which encoding; that takes as
long as a look into the store. It refuses to write anything but bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Response
from litestar.datastructures import Cookie
from litestar.types import Receive, Scope, Send


class Made(Response[bytes]):
    """`status`, headers and cookies as they are; `media_type` says what the bytes are."""

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        cookies: Sequence[Cookie] = (),
    ) -> None:
        # Nothing of the class above is used but that it is known as an answer.
        self._body, self._status = body, status
        self._head = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()
        ]
        self._head += [cookie.to_encoded_header() for cookie in cookies]
        if status not in (204, 304):
            kind = f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
            self._head += [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]

    def to_asgi_response(self, app: Any, request: Any, **more: Any) -> Any:
        """What sends it; a route adds nothing to it."""
        return self.send

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self._status, "headers": self._head})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})
