"""Handing in one submission after the other without waiting for the answer to the one before: whoever reads a large
file goes on reading while the writer seals.

All go over one connection, so they are sealed in their order. Of each its bytes are kept until the answer is there: one
that is lost is found out by whoever hands in, for all that are under way, before anything else is handed in. It refuses
to know what is in a submission, and what to do about a lost answer.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Final

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.door.soon import LostReplyError
from carnet.node.door.wire import Answer, Commit, Frames, Request, frame, read_reply
from carnet.node.jobs import Refusal
from carnet.node.placing import Outcome

READ_BYTES: Final = 1 << 18

ROOM_BYTES: Final = 4 << 20
"""What the socket is asked to hold, some ten submissions: the thread that sends needs the interpreter again between any
two pieces, and meanwhile the writer would wait for the rest. A system gives as much as it lets anybody have."""

Read = Callable[["Handed", Answer], Outcome]
"""What an answer means. Raises what it says."""

FindOut = Callable[["Handed"], Outcome]
"""What became of one whose answer was lost; hands it in again if nothing did."""


class Handed:
    """A submission that was handed in: as it crosses, with the refusals that stayed behind."""

    __slots__ = ("_line", "data", "failure", "is_quiet", "number", "outcome", "refusals", "sending")

    def __init__(self, line: Ahead, data: bytes, refusals: list[Refusal], is_quiet: bool) -> None:
        self._line = line
        self.data, self.refusals, self.is_quiet = data, refusals, is_quiet
        self.number = 0
        self.sending: Future[None] | None = None
        self.outcome: Outcome | None = None
        self.failure: Exception | None = None

    @property
    def ask(self) -> Commit:
        """The request: its submission was encoded before."""
        raw = msgspec.Raw(self.data)
        return Commit([raw], is_patient=True, is_quiet=self.is_quiet)  # type: ignore[list-item]

    def result(self) -> Outcome:
        """What became of it: waits for the answer, and raises what that says."""
        self._line.wait_for(self)
        if self.failure is not None:
            raise self.failure
        if self.outcome is None:
            raise RuntimeError("waited for, and still without an outcome")
        return self.outcome


class Ahead:
    """The connection, opened when it is first needed, and again after it was lost. May be used from any thread."""

    def __init__(self, open_: Callable[[], socket.socket], read: Read, find_out: FindOut) -> None:
        self._open, self._read, self._find_out = open_, read, find_out
        self._lock = threading.RLock()
        # Sending waits for the writer as soon as the socket is full.
        self._sender: ThreadPoolExecutor | None = None
        self._socket: socket.socket | None = None
        self._frames, self._numbers = Frames(), count(1)
        self._under_way = deque[Handed]()

    def hand_in(self, data: bytes, refusals: list[Refusal], *, is_quiet: bool = False) -> Handed:
        """Send a submission on its way; quiet, without wishing for receipts. Raises Refused(WRITER_AWAY), and what
        became of one before it that was lost."""
        handed = Handed(self, data, refusals, is_quiet)
        with self._lock:
            if self._socket is None:
                # Last: whoever is told to stop meanwhile leaves no connection behind that nobody closes.
                self._frames = Frames()
                self._socket = self._open()
                with suppress(OSError):
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM_BYTES)
            if self._sender is None:
                self._sender = ThreadPoolExecutor(1, "carnet-ahead")
            handed.number = next(self._numbers)
            handed.sending = self._sender.submit(self._socket.sendall, frame(Request(handed.number, handed.ask)))
            self._under_way.append(handed)
        return handed

    def wait_for(self, handed: Handed) -> None:
        """Until its outcome, or why there is none, is there. Answers come in the order of the requests."""
        with self._lock:
            while handed.outcome is None and handed.failure is None:
                try:
                    self._receive()
                except (OSError, ValueError, msgspec.MsgspecError, LostReplyError) as error:
                    self._lose(error)

    def close(self) -> None:
        """Hang up; idempotent. Whatever is under way may still be sealed."""
        with self._lock:
            self._hang_up()
            if self._sender is not None:
                self._sender.shutdown()
                self._sender = None
            self._under_way.clear()

    def _receive(self) -> None:
        first = self._under_way[0]
        if self._socket is None or first.sending is None:
            raise LostReplyError("the connection is closed")
        found: list[bytes] = []
        first.sending.result()
        while not found:
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise LostReplyError("the writer closed the connection")
            found = self._frames.feed(data)
        for one in found:
            reply, answered = read_reply(one), self._under_way.popleft()
            if reply.number != answered.number:
                raise LostReplyError("the writer answered another request")
            try:
                answered.outcome = self._read(answered, reply.answer)
            except Exception as error:
                answered.failure = error

    def _lose(self, error: Exception) -> None:
        """Find out what became of all that are under way, in their order: what comes after one goes on from it."""
        self._hang_up()
        under_way = list(self._under_way)
        self._under_way.clear()
        for at, handed in enumerate(under_way):
            if isinstance(error, TimeoutError):
                saying = "the writer does not answer in time; hand it in again later"
                handed.failure = Refused(Reason.WRITER_AWAY, saying, could_retry=True)
                continue
            try:
                handed.outcome = self._find_out(handed)
            except Exception as second:
                for other in under_way[at:]:
                    other.failure = second
                return

    def _hang_up(self) -> None:
        if self._socket is not None:
            # So that a thread that is sending notices.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
