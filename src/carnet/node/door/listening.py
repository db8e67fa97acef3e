"""The writer's side of the door: one thread that takes what has come in, commits it together, and answers.

There is no lock: whatever arrives while a commit is on its way to the disk waits in the sockets, and is the next group.
One alone is committed at once; many at once share one transaction and one flush. What takes long (the parts of a file,
a census) goes by itself, one between two looks at the door and a moment after the last group, so that nobody with a
single entry stands behind more than one of them, and it behind no more than a few groups. It refuses to know what is in
a submission. Design: security 34.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.door.place import find_place, is_same_user, listen_at
from carnet.node.door.wire import (
    SIGNED_RECEIPTS,
    Answer,
    Ask,
    AskHealth,
    Commit,
    Failed,
    Frames,
    Given,
    Health,
    KeepCheckpoint,
    KeepsKey,
    Perform,
    Refusing,
    Reply,
    Request,
    Sealed,
    Signed,
    SignReceipt,
    SignReceipts,
    TakeCensus,
    describe,
    frame,
    read_request,
    say,
)
from carnet.node.home import Home
from carnet.node.jobs import Prepared
from carnet.node.placing import Outcome
from carnet.node.writer import Writer

READ_BYTES: Final = 1 << 20
"""More than a part of a file mostly has."""

MAX_GROUP: Final = 512
"""Submissions in one commit; the others are in the next one."""

MAX_QUICK: Final = 64
"""Statements of one request that are sealed together with those of others; with more it goes by itself."""

NEAR_S: Final = 5.0
"""Others are there if one of them had something sealed within this time."""

REST_S: Final = 0.003
"""So long after something quick nothing that takes long is begun,"""

HOLD_S: Final = 0.005
"""but what takes long waits no longer than this for its turn."""

MAX_UNSENT: Final = 64 * 1024 * 1024
"""Bytes of answers that one connection may leave unread before it is closed: others must not wait for it."""


class _Waiting(NamedTuple):
    connection: _Connection
    request: Request


class _Connection:
    """One other process."""

    def __init__(self, socket_: socket.socket) -> None:
        self.socket = socket_
        self.frames = Frames()
        self.unsent = bytearray()


class Door:
    """Listens beside the lock of a home whose writer this process holds. Only its own thread may call it."""

    def __init__(self, home: Home, writer: Writer) -> None:
        self._writer = writer
        self._place = find_place(home)
        self._listening = listen_at(self._place)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ, None)
        self._connections: set[_Connection] = set()
        self._commits = self._submissions = self._entries = self._largest = 0
        self._seconds = 0.0
        self._quick, self._long = deque[_Waiting](), deque[_Waiting]()
        self._hasty_s = -NEAR_S
        self._quick_s = self._long_s = 0.0

    def watch(self, descriptor: int, notice: Callable[[], None]) -> None:
        """Call `notice` whenever this descriptor can be read (signals, children)."""
        self._selector.register(descriptor, selectors.EVENT_READ, notice)

    def serve_once(self, timeout_s: float) -> None:
        """Wait for something to come in, at most so long; answer all of it, but of what takes long one request."""
        pause_s = min(timeout_s, self._find_pause()) if self._long else timeout_s
        for key, events in self._selector.select(pause_s):
            if key.data is None:
                self._accept()
            elif isinstance(key.data, _Connection):
                self._serve_connection(key.data, events)
            else:
                key.data()
        if self._quick:
            while self._quick:
                self._answer_some()
            self._quick_s = time.monotonic()
        if self._long and not self._find_pause():
            self._answer_one(self._long.popleft())
            self._long_s = time.monotonic()

    def _find_pause(self) -> float:
        """How long what takes long still waits: whoever had an entry sealed mostly asks for something else at once, and
        would come in the middle of it."""
        return max(0.0, min(self._quick_s + REST_S, self._long_s + HOLD_S) - time.monotonic())

    def close(self) -> None:
        """Stop listening and say goodbye; whoever waits for an answer looks for it in the store. Idempotent."""
        with suppress(KeyError, ValueError):
            self._selector.unregister(self._listening)
        self._listening.close()
        self._place.unlink(missing_ok=True)
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()

    def get_health(self) -> Health:
        """How the writer fares."""
        failure, cause = None, ""
        try:
            self._writer.check_alive()
        except Refused as refused:
            named = "" if refused.reason is Reason.NODE_DAMAGED else refused.reason.value
            failure, cause = refused.message, str(refused.facts.get("cause", named))
        return Health(
            failure,
            self._writer.state.size,
            self._commits,
            self._submissions,
            self._entries,
            len(self._quick) + len(self._long),
            self._seconds,
            self._largest,
            self._is_shared(),
            cause,
        )

    # ---- connections

    def _accept(self) -> None:
        with suppress(BlockingIOError, ConnectionError):
            accepted, _ = self._listening.accept()
            if not is_same_user(accepted):
                accepted.close()
                return
            accepted.setblocking(False)
            connection = _Connection(accepted)
            self._connections.add(connection)
            self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _serve_connection(self, connection: _Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(connection)
        if not events & selectors.EVENT_READ or connection not in self._connections:
            return
        try:
            data = connection.socket.recv(READ_BYTES)
            requests = [read_request(one) for one in connection.frames.feed(data)]
        except BlockingIOError:
            return
        except (OSError, ValueError, msgspec.MsgspecError):
            data, requests = b"", []
        for request in requests:
            self._take(_Waiting(connection, request))
        if not data:
            self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._selector.unregister(connection.socket)
            connection.socket.close()

    def _send(self, connection: _Connection, number: int, answer: Answer) -> None:
        if connection not in self._connections:
            return
        connection.unsent += frame(Reply(number, answer))
        self._flush(connection)

    def _flush(self, connection: _Connection) -> None:
        """Send what can be sent; a slow reader gets the rest later, and one that never reads is dropped."""
        try:
            sent = connection.socket.send(connection.unsent) if connection.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(connection)
            return
        was_waiting = self._selector.get_key(connection.socket).events & selectors.EVENT_WRITE
        del connection.unsent[:sent]
        if len(connection.unsent) > MAX_UNSENT:
            self._drop(connection)
        elif bool(connection.unsent) != bool(was_waiting):
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
            self._selector.modify(connection.socket, events, connection)

    # ---- requests

    def _take(self, waiting: _Waiting) -> None:
        ask = waiting.request.ask
        if _takes_long(ask):
            if not self._long:
                self._long_s = max(self._long_s, time.monotonic())
            self._long.append(waiting)
            return
        if isinstance(ask, Commit):
            self._hasty_s = time.monotonic()
        self._quick.append(waiting)

    def _is_shared(self) -> bool:
        return time.monotonic() - self._hasty_s < NEAR_S

    def _answer_some(self) -> None:
        """Commit the submissions at the head of what waits, in their order, or answer the one other request there."""
        group: list[_Waiting] = []
        size = 0
        while self._quick and isinstance(ask := self._quick[0].request.ask, Commit) and size < MAX_GROUP:
            group.append(self._quick.popleft())
            size += len(ask.prepared)
        if group:
            self._commit(group)
        else:
            self._answer_one(self._quick.popleft())

    def _answer_one(self, waiting: _Waiting) -> None:
        if isinstance(waiting.request.ask, Commit):
            self._commit([waiting])
        else:
            self._send(waiting.connection, waiting.request.number, self._answer(waiting.request))

    def _commit(self, group: Sequence[_Waiting]) -> None:
        asked = [waiting.request.ask for waiting in group if isinstance(waiting.request.ask, Commit)]
        started = time.monotonic()
        answers: list[Answer]
        try:
            is_quiet = all(ask.is_quiet for ask in asked)
            outcomes = iter(self._seal([one for ask in asked for one in self._complete(ask)], is_quiet))
            state = self._writer.state
            answers = [
                Sealed(
                    # In this order: zip takes no outcome more than there are submissions.
                    [
                        describe(outcome, self._sign_few(outcome))
                        for _, outcome in zip(ask.prepared, outcomes, strict=False)
                    ],
                    state.rules_ref.index,
                    state.members_ref.index,
                    self._is_shared(),
                )
                for ask in asked
            ]
        except Refused as refused:
            answers = [Refusing(say(refused))] * len(group)
        except Exception as error:
            # The writer judges for itself whether it may go on; here every waiter is told.
            answers = [Failed(type(error).__name__)] * len(group)
        self._seconds += time.monotonic() - started
        for waiting, answer in zip(group, answers, strict=True):
            waiting.connection.unsent += frame(Reply(waiting.request.number, answer))
        # All that goes to one process goes together: each sending wakes it.
        for connection in {waiting.connection for waiting in group}:
            if connection in self._connections:
                self._flush(connection)

    def _complete(self, ask: Commit) -> list[Prepared]:
        completed = [self._writer.complete(one) for one in ask.prepared]
        # As one from elsewhere, of which nothing is taken for granted.
        return [one._replace(is_signed_here=False) for one in completed] if ask.is_again else completed

    def _seal(self, prepared: Sequence[Prepared], is_quiet: bool) -> list[Outcome]:
        outcomes = self._writer.commit(prepared, is_quiet=is_quiet)
        self._commits += 1
        self._submissions += len(prepared)
        self._entries += sum(outcome.tally.sealed for outcome in outcomes)
        self._largest = max(self._largest, len(prepared))
        return outcomes

    def _sign_few(self, outcome: Outcome) -> list[bytes]:
        if len(outcome.receipts) > SIGNED_RECEIPTS:
            return []
        return [self._writer.sign_receipt(receipt, receipt.accepted_ms) for receipt in outcome.receipts]

    def _answer(self, request: Request) -> Answer:
        ask, writer = request.ask, self._writer
        try:
            if isinstance(ask, SignReceipts):
                return Signed(writer.sign_receipts(ask.receipts))
            if isinstance(ask, SignReceipt):
                return Given(writer.sign_receipt(ask.receipt, ask.deadline_ms))
            if isinstance(ask, TakeCensus):
                return Given(writer.take_census().index)
            if isinstance(ask, KeepCheckpoint):
                writer.keep_checkpoint()
                return Given(None)
            if isinstance(ask, KeepsKey):
                return Given(writer.keeps_key(ask.digest))
            if isinstance(ask, Perform):
                return writer.perform(ask.act)
            if isinstance(ask, AskHealth):
                return self.get_health()
            return Failed("unknown request")
        except Refused as refused:
            return Refusing(say(refused))
        except Exception as error:
            return Failed(type(error).__name__)


def _takes_long(ask: Ask) -> bool:
    if isinstance(ask, Commit):
        return ask.is_patient or sum([one.statement_count for one in ask.prepared]) > MAX_QUICK
    return isinstance(ask, (SignReceipts, TakeCensus))
