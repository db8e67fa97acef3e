"""Where the work of a request is done: on the event loop, if nothing has to be waited for; else in a thread.

To hand a request to a thread and back takes longer than most of them need, and the more threads are awake, the longer
each statement of SQL waits to have the interpreter back. It refuses to know what the work is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from litestar.concurrency import sync_to_thread

from carnet.vault.waiting import WouldWaitError, at_once

P = ParamSpec("P")
T = TypeVar("T")

in_thread: Final = sync_to_thread
"""Work that surely waits."""


async def promptly(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the work gives. It is tried here first, and then changes nothing before it finds that it would wait
    (`vault.waiting`)."""
    try:
        with at_once():
            return work(*args, **kwargs)
    except WouldWaitError:
        return await sync_to_thread(work, *args, **kwargs)
