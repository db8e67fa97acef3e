"""HTTP off the line: what is too long, too slow or no HTTP at all, with a worker's own protocol over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from litestar import Litestar, Request, post

from carnet.services.settings import Settings
from carnet.web.wire import LimitedProtocol
from carnet.web.worker import make_server

pytestmark = pytest.mark.apart


@post("/echo", sync_to_thread=None)
async def post_echo(request: Request) -> str:  # type: ignore[type-arg]
    return str(len(await request.body()))


class Impatient(LimitedProtocol):
    head_s = 1.0
    pace_s = 1.0


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """A server with a worker's own settings, and less patience."""
    app = Litestar([post_echo], openapi_config=None, logging_config=None)
    server: uvicorn.Server = make_server(app, Settings(), Impatient)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    yield listening.getsockname()
    server.should_exit = True
    thread.join()
    listening.close()


def talk(address: tuple[str, int], *parts: bytes, pause_s: float = 0) -> bytes:
    """Send the parts, and read until the other side hangs up."""
    with socket.create_connection(address) as line:
        line.settimeout(10)
        try:
            for part in parts:
                line.sendall(part)
                threading.Event().wait(pause_s)
        except OSError:
            pass
        found = b""
        try:
            while data := line.recv(65_536):
                found += data
        except ConnectionError:
            pass
        return found


def test_request__in_order_is_answered(address: tuple[str, int]) -> None:
    body = b"x" * 100_000
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n" + body
    assert talk(address, request).endswith(b"100000")
    # Slowly, but at a pace.
    pieces = [request[at : at + 20_000] for at in range(0, len(request), 20_000)]
    assert talk(address, *pieces, pause_s=0.4).endswith(b"100000")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 500 + b"\r\n",
    ],
)
def test_head__refused_request_too_large(address: tuple[str, int], head: bytes) -> None:
    answer = talk(address, head)
    assert answer.startswith(b"HTTP/1.1 431 ")
    document = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (document["code"], document["status"]) == ("request_too_large", 431)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x00\xa5\x01", b"NOT HTTP AT ALL\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n"]
)
def test_line__refused_malformed_request(address: tuple[str, int], sent: bytes) -> None:
    answer = talk(address, sent)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "malformed_request"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc",
    ],
)
def test_line__that_is_too_slow_is_hung_up(address: tuple[str, int], sent: bytes) -> None:
    # No answer, and no waiting for ever: the read would time out.
    assert talk(address, sent) == b""
