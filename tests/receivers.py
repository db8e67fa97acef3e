"""Receivers of what we send out: real sockets of this machine that answer well, badly, slowly, or not at all."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PATIENCE_S = 30.0
Behave = Callable[[socket.socket, int], None]
"""What is done with the n-th connection (from 0) whose request was read."""


@dataclass(frozen=True)
class Taken:
    """A request as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Listens until its block ends, and hangs up then; keeps what was sent."""

    address: str
    port: int
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}/hook"

    def wait_for(self, count: int, patience_s: float = PATIENCE_S) -> list[Taken]:
        until = time.monotonic() + patience_s
        while len(self.taken) < count:
            assert time.monotonic() < until, f"{len(self.taken)} of {count} requests came"
            time.sleep(0.02)
        return self.taken


def answering(*statuses: int, body: bytes = b"ok", headers: str = "") -> Behave:
    """These statuses in turn, the last one for ever."""

    def behave(connection: socket.socket, number: int) -> None:
        status = statuses[min(number, len(statuses) - 1)]
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        connection.sendall(head.encode() + body)

    return behave


def sending(data: bytes, pause_s: float = 0.0) -> Behave:
    """These bytes, at once or one by one."""

    def behave(connection: socket.socket, number: int) -> None:
        if not pause_s:
            connection.sendall(data)
            return
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            time.sleep(pause_s)

    return behave


def silent(connection: socket.socket, number: int) -> None:
    """Nothing, until the other side hangs up."""
    connection.settimeout(PATIENCE_S)
    connection.recv(1)


@contextmanager
def receiving(
    behave: Behave, *, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """A receiver at this address, on a port that the system chose."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address, port))
    listening.listen(50)
    receiver, threads = Receiver(address, listening.getsockname()[1]), list[threading.Thread]()
    answered = set[socket.socket]()

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=answer, args=(connection, receiver.connections), daemon=True))
            receiver.connections += 1
            threads[-1].start()

    def answer(connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):
            connection.settimeout(PATIENCE_S)
            if tls is None:
                answered.add(connection)
                receiver.taken.append(_read(connection))
                behave(connection, number)
                return
            with tls.wrap_socket(connection, server_side=True) as secure:
                receiver.taken.append(_read(secure))
                behave(secure, number)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
        # Whoever waits for an answer has waited long enough; a connection that was closed has nothing to shut down.
        for connection in answered:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def find_closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _read(connection: socket.socket) -> Taken:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            raise OSError("hung up")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    return Taken(line, headers, body)
