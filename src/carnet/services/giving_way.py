"""Giving way: a process that nobody waits for has what processors the others leave.

A nice value alone is not enough. Where Linux groups processes by their sessions (`autogroup`), it weighs them within a
session only, and each session as much as any other; a process that was started in a session of its own, as ours are,
would have as much of a processor as those who answer. It refuses to know what the process does.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

MOST: Final = 10
"""Of a processor that one of the others wants too, a tenth: with less, a file would stand still on a busy machine."""

SOMEWHAT: Final = 5
"""A third of it: for what a person waits for, though not as for an answer."""

_SESSION: Final = Path("/proc/self/autogroup")
_TRIES: Final = 20
_PAUSE_S: Final = 0.05


def give_way(niceness: int = MOST) -> None:
    """Let this process, what it starts, and the session that it leads, come after everybody else, so far as the nice
    value says. It cannot be taken back."""
    niceness = os.nice(max(0, niceness - os.nice(0)))
    if hasattr(os, "SCHED_BATCH"):
        # Nobody who is at work is stopped because this one wakes.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if os.getsid(0) == os.getpid():
        # Only where the session is our own: another's may be that of those who answer.
        _weigh_session(niceness)


def _weigh_session(niceness: int) -> None:
    for _ in range(_TRIES):
        try:
            _SESSION.write_text(f"{niceness}\n", encoding="ascii")
        except BlockingIOError:
            # The system lets one process of all do so in a tenth of a second.
            time.sleep(_PAUSE_S)
        except OSError:
            # It does not group by sessions.
            return
        else:
            return
