"""Whether this thread may wait: for a disk, a lock, a server, or another process.

The one thread of an event loop serves everybody, so what it does itself must not wait. It tries under `at_once`;
whatever would have to wait says so by `check_may_wait` before it begins, and all of it is done again in a thread that
may. A page of a file that the system has not in memory is no waiting in this sense. It refuses to know what is done.

What the loop does in one turn was asked for before the turn began. So all of it may see one moment of a store, that of
the first look in this turn (`at_end_of_turn`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class WouldWaitError(Exception):
    """What was tried has to wait for something. Nothing was changed: it may be done again where one may wait."""


class _Thread(threading.local):
    may_wait = True


_thread = _Thread()


class at_once:  # noqa: N801 - a context manager, called like a function
    """Within the block this thread does not wait: what would have to raises WouldWaitError."""

    # A class, since a generator would take longer than much of what is done within.
    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before, _thread.may_wait = _thread.may_wait, False

    def __exit__(self, *_: object) -> None:
        _thread.may_wait = self._before


def may_wait() -> bool:
    """Whether this thread may wait now."""
    return _thread.may_wait


def check_may_wait() -> None:
    """Raise WouldWaitError within `at_once`; said before anything is changed."""
    if not _thread.may_wait:
        raise WouldWaitError


def find_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def at_end_of_turn(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Do it when this turn of the loop is over: before anything that comes in from now on has its own."""
    loop.call_soon(act)
