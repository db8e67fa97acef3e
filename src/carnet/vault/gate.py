"""How many threads of this process are at work with a database at once: a server gives out few connections, and has to
serve more processes than this one.

A thread that is in may go in again, so that one request that needs two connections never waits for itself. It refuses
to know what a connection is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from carnet.errors import Reason, Refused

PLACES: Final = 16
"""Threads at work with a database at once, unless it is set otherwise."""

PATIENCE_S: Final = 5.0
"""How long a thread waits for a place."""


class Gate:
    """So many `places`; whoever gets none within `patience_s` is refused."""

    def __init__(self, places: int = PLACES, patience_s: float = PATIENCE_S) -> None:
        self._free = threading.BoundedSemaphore(places)
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._depths: dict[int, int] = {}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in, within the block. Raises Refused(STORE_BUSY) if all places stay taken."""
        thread = threading.get_ident()
        with self._lock:
            is_in = thread in self._depths
        if not is_in and not self._free.acquire(timeout=self._patience_s):
            raise Refused(
                Reason.STORE_BUSY,
                "all connections to the database are at work: try again in a moment",
                could_retry=True,
                retry_after_s=1,
            )
        with self._lock:
            self._depths[thread] = self._depths.get(thread, 0) + 1
        try:
            yield
        finally:
            # What was begun in one thread may be ended in another: its place is that of the one that began.
            with self._lock:
                self._depths[thread] -= 1
                is_last = not self._depths[thread]
                if is_last:
                    del self._depths[thread]
            if is_last:
                self._free.release()


class _Process:
    gate = Gate()


def limit_places(places: int) -> None:
    """Set how many threads of this process are at work with a database at once; before the first one is."""
    _Process.gate = Gate(places)


def get_gate() -> Gate:
    """The gate of this process, for every connection to a database that its threads share."""
    return _Process.gate
