"""A line so slow that a page comes in pieces, and the browser paints between them.

A browser on a busy machine does the same with a page that came at once: it stops reading wherever its time is up. It
refuses to know what a page is for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from carnet.web.app import make_app
from tests.web.lodge import find_port, serving
from tests.web.street import Street

FIRST_PAUSE_S = 0.1
PAUSE_S = 0.03
PIECES = 16
PIECE_ENDS = re.compile(rb"</(?:a|p|li|td|th|h1|h2|span|div|dt|dd|summary|section|nav|header|main|b|form)>")
HOLDS_BACK = b'<link rel="expect" href="#end" blocking="render">'
HOLDS_NOTHING = HOLDS_BACK.replace(b"expect", b"notice")


@dataclass
class _SlowWire:
    app: Any
    host: str
    is_held_back: bool

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        kept = [(name, value) for name, value in scope["headers"] if name not in (b"host", b"accept-encoding")]
        heard: list[Any] = []

        async def hear(message: Any) -> None:
            heard.append(message)

        await self.app(scope | {"headers": [*kept, (b"host", self.host.encode())]}, receive, hear)
        start, body = heard[0], b"".join(message.get("body", b"") for message in heard[1:])
        is_page = dict(start["headers"]).get(b"content-type", b"").startswith(b"text/html")
        await send(start)
        if is_page:
            assert HOLDS_BACK in body, scope["path"]
            await self._send_slowly(send, body if self.is_held_back else body.replace(HOLDS_BACK, HOLDS_NOTHING))
        else:
            await send({"type": "http.response.body", "body": body})

    async def _send_slowly(self, send: Any, page: bytes) -> None:
        begins = page.index(b"<body")
        ends = [found.end() for found in PIECE_ENDS.finditer(page, begins)]
        sent = 0
        # The end in the smallest pieces: the dock of a phone is there, in the window from the first.
        for end in sorted({begins, *ends[:: max(1, len(ends) // PIECES)], *ends[-8:]}):
            await send({"type": "http.response.body", "body": page[sent:end], "more_body": True})
            await asyncio.sleep(PAUSE_S if sent else FIRST_PAUSE_S)
            sent = end
        await send({"type": "http.response.body", "body": page[sent:]})


@contextmanager
def slowly(street: Street, *, is_held_back: bool = True) -> Iterator[Street]:
    """The same street at the end of a slow line; `is_held_back` False: for a browser that shows a page as it comes."""
    port = find_port()
    wire = _SlowWire(make_app(street.desk), street.address.removeprefix("http://"), is_held_back)
    with serving(SimpleNamespace(app=wire), port):  # type: ignore[arg-type]
        yield replace(street, address=f"http://127.0.0.1:{port}")
