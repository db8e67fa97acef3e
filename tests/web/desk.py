"""A service over a real node: the desk of one worker, whose writer is in the same process, and a client of its app."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from carnet.node.home import Home
from carnet.node.reader import Reader
from carnet.services.principals import Principal
from carnet.services.settings import Settings
from carnet.web.app import Composed, make_app
from carnet.web.desk import Desk
from tests.node.home import TestNode, make_node

ORIGIN = "https://carnet.example"


@dataclass
class KnownCallers:
    """Callers that a test names: what stands in a cookie or in a bearer header is looked up here."""

    sessions: dict[str, Principal] = field(default_factory=dict)
    bearers: dict[str, Principal] = field(default_factory=dict)

    def find_by_session(self, token: str) -> Principal | None:
        return self.sessions.get(token)

    def find_by_bearer(self, token: str, address: str = "") -> Principal | None:
        return self.bearers.get(token)


@dataclass
class TestService:
    """A node, the desk of a worker over it, and its app."""

    __test__ = False

    node: TestNode
    desk: Desk
    app: Litestar
    client: TestClient[Litestar]
    callers: KnownCallers


_idle: defaultdict[tuple[bool, int], list[Composed]] = defaultdict(list)
"""Apps that wait for a desk: most of a short test would be the making of its app."""


@contextmanager
def seated(desk: Desk, more: Sequence[Any] = ()) -> Iterator[Litestar]:
    """The app of this desk, which another test's desk had before; made anew for routes of the test's own."""
    if more:
        yield make_app(desk, more)
        return
    idle = _idle[desk.is_demo, desk.settings.max_body_bytes]
    composed = idle.pop() if idle else Composed(is_demo=desk.is_demo, max_body_bytes=desk.settings.max_body_bytes)
    try:
        yield composed.seat(desk)
    finally:
        idle.append(composed)


@contextmanager
def serving(
    path: Path,
    more: Sequence[Any] = (),
    *,
    network: str = "example.org",
    store_url: str | None = None,
    reader_type: type[Reader] = Reader,
    **settings: Any,
) -> Iterator[TestService]:
    """The service of a new node in this folder; `more` are routes of the test's own. A node in a database asks under
    its policies, as a worker does."""
    node, callers = make_node(path, network=network, store_url=store_url), KnownCallers()
    writer = node.open()
    chosen = Settings(**{"origin": ORIGIN, **settings})
    readers = node.open_readers(reader_type)
    desk = Desk(Home(node.path), readers, writer, node.clock, node.dice, chosen, callers)
    try:
        # Whatever fails must be answered as it would be outside, not raised into the test.
        with (
            seated(desk, more) as app,
            TestClient(app, base_url=chosen.public_address, raise_server_exceptions=False) as client,
        ):
            yield TestService(node, desk, app, client, callers)
    finally:
        readers.close()
        node.close()
