"""Posting one request, and judging its answer: a status, the first bytes of a body, or what went wrong.

One connection for one request, to an address that was judged (`addresses`); TLS with the system's authorities; one
limit of time for all of it, so that an answer that drips holds nobody up; no redirect is followed. What goes wrong is
no error here: it is the outcome.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import httptools

from carnet.outbound.addresses import Reach, Resolve, Target, find_reached, resolve

TIMEOUT_S: Final = 15.0
MAX_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read at most: who sends more is not listened to."""

SHOWN_BYTES: Final = 512
"""The beginning of a body that is kept."""


class Trouble(StrEnum):
    """Why a delivery did not succeed."""

    NAME_UNKNOWN = "name_unknown"
    ADDRESS_REFUSED = "address_refused"
    NOT_REACHED = "not_reached"
    NOT_TRUSTED = "not_trusted"
    TIMED_OUT = "timed_out"
    NO_ANSWER = "no_answer"
    REDIRECTED = "redirected"
    ANSWERED = "answered"
    """With a status that is no success."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request went: `status` where there was an answer, `trouble` where it did not succeed, the beginning of
    the body, and how long it took (ms)."""

    status: int | None
    trouble: Trouble | None
    body: bytes = b""
    took_ms: int = 0

    @property
    def is_delivered(self) -> bool:
        """Whether it was taken: any status from 200 to 299."""
        return self.trouble is None


@dataclass(frozen=True, slots=True)
class Poster:
    """How requests are sent: how far, and for how long (seconds) at most. `resolve` looks names up; `trust` says whose
    certificates are believed."""

    reach: Reach = field(default_factory=Reach)
    timeout_s: float = TIMEOUT_S
    resolve: Resolve = resolve
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post a body. Never raises for what the other side does."""
        began = time.monotonic()
        status, trouble, head = self._post(target, _write(target, headers, body), began + self.timeout_s)
        return Outcome(status, trouble, head, round((time.monotonic() - began) * 1000))

    def _post(self, target: Target, request: bytes, until: float) -> tuple[int | None, Trouble | None, bytes]:
        try:
            texts = _look_up(self.resolve, target, until)
        except TimeoutError:
            return None, Trouble.TIMED_OUT, b""
        except (OSError, UnicodeError):
            return None, Trouble.NAME_UNKNOWN, b""
        addresses = find_reached(texts, self.reach)
        if not addresses:
            return None, Trouble.ADDRESS_REFUSED, b""
        try:
            with closing(self._connect(target, addresses, until)) as connection:
                connection.settimeout(_left(until))
                connection.sendall(request)
                return _judge(_listen(connection, until))
        except TimeoutError:
            return None, Trouble.TIMED_OUT, b""
        except ssl.SSLError:
            return None, Trouble.NOT_TRUSTED, b""
        except OSError:
            return None, Trouble.NOT_REACHED, b""

    def _connect(self, target: Target, addresses: list[str], until: float) -> socket.socket:
        """A connection to the first of the addresses that takes one; with TLS to the name, not to the address."""
        for place, address in enumerate(addresses):
            try:
                plain = socket.create_connection((address, target.port), timeout=_left(until))
                break
            except OSError:
                if place == len(addresses) - 1:
                    raise
        else:
            raise OSError("no address")
        if not target.is_secure:
            return plain
        try:
            plain.settimeout(_left(until))
            return self.trust.wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise


def _look_up(resolve: Resolve, target: Target, until: float) -> Sequence[str]:
    """What a name stands for. The system's own look-up cannot be given a time, so a thread of its own waits for it: a
    server of names that never answers holds nobody else up. Raises TimeoutError, and as `resolve` does."""
    found: Future[Sequence[str]] = Future()

    def look() -> None:
        try:
            found.set_result(resolve(target.host, target.port))
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=look, name="carnet-names", daemon=True).start()
    return found.result(_left(until))


class _Answer:
    """What has been read of an answer, filled by the parser."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status: int | None = None
        self.body = b""
        self.is_whole = False

    def on_message_complete(self) -> None:
        # An interim answer (1xx) announces another one.
        self.is_whole = self.parser.get_status_code() >= 200

    def on_headers_complete(self) -> None:
        code = self.parser.get_status_code()
        self.status = code if code >= 200 else None

    def on_body(self, part: bytes) -> None:
        self.body = (self.body + part[:SHOWN_BYTES])[:SHOWN_BYTES]


def _listen(connection: socket.socket, until: float) -> _Answer:
    """The answer, as far as it is wanted. Raises TimeoutError when its time is over before a status has come."""
    answer, size = _Answer(), 0
    while not answer.is_whole and size < MAX_ANSWER:
        try:
            connection.settimeout(_left(until))
            part = connection.recv(16 * 1024)
            if not part:
                break
            size += len(part)
            answer.parser.feed_data(part)
        except httptools.HttpParserError:
            break
        except (TimeoutError, ssl.SSLError, ConnectionError):
            if answer.status is None:
                raise
            # The status is what counts; who sends no end is not waited for.
            break
    return answer


def _judge(answer: _Answer) -> tuple[int | None, Trouble | None, bytes]:
    status = answer.status
    if status is None:
        return None, Trouble.NO_ANSWER, b""
    trouble = None if 200 <= status < 300 else Trouble.REDIRECTED if 300 <= status < 400 else Trouble.ANSWERED
    return status, trouble, answer.body


def _write(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = {"Host": target.authority, **headers, "Content-Length": str(len(body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
