"""Readers of the store for the requests of one worker: kept open, made to see the present, and let go in between.

A reader is for one thread at a time and sees one moment. Each request takes one, which first looks whether anything
was written since; afterwards it lets go of its moment, so that the store's log can be moved on. Of readers of a server
there are as many as its gate lets in; one whose server was gone meanwhile is closed, and another opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock

from carnet.errors import Refused, Unverified
from carnet.node.reader import Reader
from carnet.vault.gate import get_gate
from carnet.vault.store import Error, make_lost
from carnet.vault.waiting import WouldWaitError, at_end_of_turn, find_loop, may_wait


class _Turn:
    """A reader, and the loop in whose turn it sees one moment."""

    def __init__(self, reader: Reader, loop: asyncio.AbstractEventLoop | None) -> None:
        self.reader, self.loop = reader, loop
        self.is_used = self.is_over = self.is_lost = False
        self._has_begun = self._is_fresh = False

    def look(self, is_glance: bool) -> None:
        """See to it that the reader sees a moment of this turn, with the rules and members of it unless for a
        glance."""
        if not is_glance and not self._is_fresh:
            self.reader.refresh_if_changed()
            self._is_fresh = True
        elif not self._has_begun:
            self.reader.glance()
        self._has_begun = True


class Readers:
    """Open readers by need, at most as many as there are threads that ask at once."""

    def __init__(self, open_one: Callable[[], Reader]) -> None:
        self._open_one = open_one
        self._idle: list[Reader] = []
        self._latest: Reader | None = None
        self._turn: _Turn | None = None
        self._lock = Lock()
        self._is_closed = False

    def reading(self, *, is_glance: bool = False) -> AbstractContextManager[Reader]:
        """A reader that sees all that was committed before this call. For a glance, rules and members may be of a
        moment ago, which is quicker beside a busy writer. Whoever may not wait gets one that is open, of a file; what
        an event loop reads in one turn is of one moment."""
        return self._wait_for_one(is_glance) if may_wait() else self._share_turn(is_glance)

    @contextmanager
    def _wait_for_one(self, is_glance: bool) -> Iterator[Reader]:
        latest = self._latest
        # A file is for everybody; of a server's connections there are few.
        with get_gate().entered() if latest is None or not latest.connection.is_file else nullcontext():
            yield from self._lend(is_glance)

    def _lend(self, is_glance: bool) -> Iterator[Reader]:
        reader = self._find_idle() or self._open()
        try:
            if is_glance:
                reader.glance()
            else:
                reader.refresh_if_changed()
            try:
                yield reader
            finally:
                reader.rest()
        except (Refused, Unverified):
            # Refused is an answer like any other: as quick as one, so that its time tells nothing either.
            self._give_back(reader)
            raise
        except BaseException as error:
            is_lost = isinstance(error, Error) and reader.connection.is_lost
            # What went wrong may be the connection itself: the next request opens another.
            reader.close()
            if is_lost:
                raise make_lost(error) from error
            raise
        self._give_back(reader)

    def _open(self) -> Reader:
        latest = self._latest
        self._latest = reader = self._open_one() if latest is None else latest.open_another()
        return reader

    def _find_idle(self) -> Reader | None:
        while True:
            with self._lock:
                reader = self._idle.pop() if self._idle else None
            if reader is None or reader.connection.is_usable():
                return reader
            reader.close()

    @contextmanager
    def _share_turn(self, is_glance: bool) -> Iterator[Reader]:
        turn, loop = self._turn, find_loop()
        if turn is not None and (turn.loop is not loop or turn.is_used):
            turn = None
        if turn is None:
            turn = self._begin_turn(loop)
        turn.is_used = True
        try:
            turn.look(is_glance)
            yield turn.reader
        except (Refused, Unverified, WouldWaitError):
            raise
        except BaseException as error:
            turn.is_lost = True
            if isinstance(error, Error):
                # Whatever it is, a reader that may wait finds it too, and says it.
                raise WouldWaitError from None
            raise
        finally:
            turn.is_used = False
            if turn.is_lost or turn is not self._turn:
                self._end_turn(turn)

    def _begin_turn(self, loop: asyncio.AbstractEventLoop | None) -> _Turn:
        with self._lock:
            reader = self._idle.pop() if self._idle else None
        if reader is None:
            raise WouldWaitError
        turn = _Turn(reader, loop)
        if not reader.connection.is_file:
            self._end_turn(turn)
            raise WouldWaitError
        if loop is not None and (self._turn is None or self._turn.loop is not loop):
            if self._turn is not None:
                self._end_turn(self._turn)
            self._turn = turn
            at_end_of_turn(loop, lambda: self._end_turn(turn))
        return turn

    def _end_turn(self, turn: _Turn) -> None:
        """Let go of its moment; the reader is for others again. Idempotent."""
        if self._turn is turn:
            self._turn = None
        if turn.is_over:
            return
        turn.is_over = True
        if turn.is_lost:
            turn.reader.close()
        else:
            turn.reader.rest()
            self._give_back(turn.reader)

    def _give_back(self, reader: Reader) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(reader)
                return
        reader.close()

    def close(self) -> None:
        """Close those that nobody uses, and the others as they come back."""
        with self._lock:
            self._is_closed, idle = True, self._idle
            self._idle = []
        for reader in idle:
            reader.close()
