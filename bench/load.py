"""Load over HTTP: many connections in one thread, each with one request in flight, and how long each answer took.

Requests are made beforehand, so that the sender costs the machine as little as it can.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """Requests answered in a second, the 99th percentile of their times in ms, and how often each status came."""

    per_second: float
    p99_ms: float
    statuses: dict[int, int]


class _Line:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.buffer, self.sent_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> int | None:
        """The status of the answer, once all of it is here."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the service closed a connection")
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return None
        found = _LENGTH.search(self.buffer, 0, head + 2)
        if found is None:
            raise ValueError("an answer without its length")
        return int(self.buffer[9:12]) if len(self.buffer) >= head + 4 + int(found[1]) else None


def run_load(origin: str, requests: Sequence[bytes], connection_count: int) -> Load:
    """Send every request once, with so many in flight."""
    parts = urlsplit(origin)
    address = (parts.hostname or "", parts.port or 80)
    selector = selectors.DefaultSelector()
    lines = [_Line(address) for _ in range(min(connection_count, len(requests)))]
    waiting = iter(requests)
    times: list[float] = []
    statuses: dict[int, int] = {}
    started = time.perf_counter()
    for line in lines:
        selector.register(line.socket, selectors.EVENT_READ, line)
        line.send(next(waiting))
    while len(times) < len(requests):
        for key, _ in selector.select(30):
            line = key.data
            status = line.read()
            if status is None:
                continue
            times.append(time.perf_counter() - line.sent_at)
            statuses[status] = statuses.get(status, 0) + 1
            following = next(waiting, None)
            if following is not None:
                line.send(following)
    seconds = time.perf_counter() - started
    for line in lines:
        line.socket.close()
    selector.close()
    return Load(len(requests) / seconds, sorted(times)[int(len(times) * 0.99)] * 1000, statuses)


def make_request(origin: str, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a request; `headers` with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(origin).netloc}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
