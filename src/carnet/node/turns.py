"""Whose turn it is at the one connection of the writer: one thread at a time, and nobody before the commit that is
still on its way to the disk.

While the disk is waited for, the thread that wrote may do other work; whoever wants the connection next waits. It
refuses to know what is written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Turns:
    """A lock that may be taken again by the thread that has it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pending: Future[Any] | None = None
        self._finisher: ThreadPoolExecutor | None = None

    def finish_later(self, finish: Callable[[], T]) -> Future[T]:
        """Run the end of what this thread began in another one; to be called last before the turn is given up. The
        next turn begins when it is over, however it ended."""
        if self._finisher is None:
            self._finisher = ThreadPoolExecutor(1, "carnet-commit")
        pending = self._finisher.submit(finish)
        self._pending = pending
        return pending

    def close(self) -> None:
        """End the other thread; within a turn."""
        if self._finisher is not None:
            self._finisher.shutdown()
            self._finisher = None

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            if self._pending is not None:
                wait((self._pending,))
                self._pending = None
        except BaseException:
            self._lock.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()
