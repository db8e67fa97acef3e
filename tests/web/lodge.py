"""A service with accounts over a real node, on a real port of this machine where a browser is to visit it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar
from litestar.testing import TestClient

from carnet.node.home import Home
from carnet.node.people import open_people
from carnet.services.accounts.office import Office
from carnet.services.settings import Settings
from carnet.types import Basis
from carnet.web.desk import Desk
from carnet.web.people import OfficeCallers, make_shelf
from tests.node.home import TestNode, make_node, new_passport, vin_subject
from tests.web.desk import seated

HTTPS = "https://carnet.example"


@dataclass
class Lodge:
    """A node with three passports, and the service over it."""

    node: TestNode
    office: Office
    desk: Desk
    app: Litestar
    passports: list[bytes]

    @property
    def origin(self) -> str:
        return self.desk.origin


@contextmanager
def lodging(
    path: Path,
    origin: str = HTTPS,
    *,
    network: str = "example.org",
    is_demo: bool = False,
    store_url: str | None = None,
) -> Iterator[Lodge]:
    node = make_node(path, store_url=store_url)
    writer = node.open()
    writer.append(node.operator.id, Basis.REPORTED, [new_passport(n, 10 + n) for n in range(3)])
    home = Home(node.path)
    node.lay_people()
    opened = open_people(home)
    office = Office(opened.store, opened.key, network, node.clock, node.dice, is_demo=is_demo)
    readers = node.open_readers()
    settings = Settings(origin=origin)
    # What the tests do themselves they do as the node; the service asks as a worker does.
    inside = replace(office, people=node.open_people())
    desk = Desk(
        home, readers, writer, node.clock, node.dice, settings, OfficeCallers(inside), is_demo, make_shelf(inside)
    )
    with node.read() as reader:
        passports = [reader.get(str(vin_subject(n))) for n in range(3)]
    try:
        with seated(desk) as app:
            yield Lodge(node, office, desk, app, passports)
    finally:
        readers.close()
        inside.people.close()
        opened.store.close()
        node.close()


@contextmanager
def visiting(lodge: Lodge) -> Iterator[TestClient[Litestar]]:
    """A client without a browser."""
    with TestClient(lodge.app, base_url=lodge.origin, raise_server_exceptions=False) as client:
        yield client


@contextmanager
def serving(lodge: Lodge, port: int) -> Iterator[None]:
    server = uvicorn.Server(
        uvicorn.Config(lodge.app, host="127.0.0.1", port=port, log_config=None, lifespan="off", access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(20)


def find_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def read_form_token(page: str) -> str:
    """The token of the forms of a page."""
    return page.partition('name="form_token" value="')[2].partition('"')[0]


def post_form(client: TestClient[Litestar], page: str, path: str, **fields: Any) -> Any:
    """Open a page, and send a form from it, as a browser does."""
    token = read_form_token(client.get(page, headers={"Accept": "text/html"}).text)
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    return client.post(path, data={"form_token": token, **fields}, headers=headers, follow_redirects=False)
