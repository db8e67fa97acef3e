"""Readers of the store for the requests of one worker: kept open, made to see the present, and let go in between.

A reader is for one thread at a time and sees one moment. Each request takes one, which first looks whether anything
was written since; afterwards it lets go of its moment, so that the store's log can be moved on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from carnet.errors import Refused, Unverified
from carnet.node.reader import Reader
from carnet.vault.store import Error
from carnet.vault.waiting import WouldWaitError, may_wait


class Readers:
    """Open readers by need, at most as many as there are threads that ask at once."""

    def __init__(self, open_one: Callable[[], Reader]) -> None:
        self._open_one = open_one
        self._idle: list[Reader] = []
        self._latest: Reader | None = None
        self._lock = Lock()
        self._is_closed = False

    @contextmanager
    def reading(self, *, is_glance: bool = False) -> Iterator[Reader]:
        """A reader that sees all that was committed before this call. For a glance, rules and members may be of a
        moment ago, which is quicker beside a busy writer. Whoever may not wait gets one that is open, of a file."""
        with self._lock:
            reader = self._idle.pop() if self._idle else None
        if not may_wait() and (reader is None or not reader.connection.is_file):
            if reader is not None:
                self._give_back(reader)
            raise WouldWaitError
        if reader is None:
            latest = self._latest
            reader = self._latest = self._open_one() if latest is None else latest.open_another()
        try:
            if is_glance:
                reader.glance()
            else:
                reader.refresh_if_changed()
            try:
                yield reader
            finally:
                reader.rest()
        except (Refused, Unverified, WouldWaitError):
            # Refused is an answer like any other: as quick as one, so that its time tells nothing either.
            self._give_back(reader)
            raise
        except BaseException as error:
            # What went wrong may be the connection itself: the next request opens another.
            reader.close()
            if isinstance(error, Error) and not may_wait():
                raise WouldWaitError from None
            raise
        self._give_back(reader)

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
