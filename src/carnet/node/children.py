"""Child processes and the signals that ask to end: a terminal or a service manager sends them to all, and they are for
the parent alone, which ends its children in order.

What a thread starts inherits the signals that it holds back, so that a child never sees them, not even while it loads.
It refuses to know what the children do.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def hold_signals_back() -> None:
    """From here on whatever this thread starts does not see them; nor does the thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    # The process that looks after semaphores lets some of them through again in the thread that starts it.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """The same for the length of a block; a signal that comes meanwhile is heard at its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    hold_signals_back()
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
