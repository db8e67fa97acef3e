"""Ending before the end: Ctrl-C, a polite kill, a terminal that was closed.

The first signal is raised where the verb is, so that what it began is put in order on the way out. Those that come
right behind it are the same wish (a key pressed twice, a signal to a process and to its group); a later one ends the
process at once, which nothing is lost by. It refuses to know how a verb puts things in order: each says only how to go
on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType

ENDED_BY_SIGNAL = 128
"""Exit codes above it are a signal's."""

SAME_WISH_S = 1.0
"""How long after the first signal another one means nothing more."""

_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_GOING_ON = {
    "import": "What was sealed stays sealed; the same command goes on from there.",
    "watch": "What was sealed stays sealed; the same command goes on from there.",
    "submit": "Run it again: what was sealed is not sealed twice.",
    "backup": "No half of a backup is left; run it again.",
    "restore": "No half of a node is left; run it again.",
    "drill": "The copy is removed; run it again.",
    "export": "No half of a proof is left; run it again.",
    "erase": "An erasure that had begun is finished by the next command that writes; `carnet show` tells.",
    "move": "The same command finishes the move, or begins anew.",
    "demo": "Run it again; what it made in a folder of --home is still there.",
    "init": "The same command goes on from there.",
    "census": "Run it again.",
}


class Stopped(KeyboardInterrupt):
    """Somebody asked the process to end."""


class Signals:
    """What asked the process to end: `number` is None as long as nothing did."""

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self._since = 0.0
        self._is_put_off = False

    @property
    def first(self) -> signal.Signals:
        """The signal that came first; Ctrl-C where the terminal's own prompt took it."""
        return signal.SIGINT if self.number is None else self.number

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Raise `Stopped` for the first one; end the process for one that comes much later."""
        if self.number is None:
            self.number, self._since = signal.Signals(number), time.monotonic()
            if "logging" in sys.modules:
                # What is open is closed on the way out, and a library would tell that this was interrupted.
                import logging

                logging.lastResort = None
            if not self._is_put_off:
                raise Stopped
            return
        if time.monotonic() - self._since > SAME_WISH_S:
            os.write(2, b"\nEnded at once.\n")
            os._exit(to_exit_code(number))

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """What is in the block is done to its end: `Stopped` for a signal that comes meanwhile is raised behind it. A
        later one still ends the process at once."""
        before, self._is_put_off = self.number, True
        try:
            yield
        finally:
            self._is_put_off = False
        if before is None and self.number is not None:
            raise Stopped


_heeding: Signals | None = None


def stop_put_off() -> AbstractContextManager[None]:
    """`Signals.put_off` of those that this process heeds, if it does."""
    return nullcontext() if _heeding is None else _heeding.put_off()


@contextmanager
def heed_signals() -> Iterator[Signals]:
    """Turn signals that ask to end into `Stopped`; those that the caller was told to ignore (nohup, `&`) stay so."""
    global _heeding  # noqa: PLW0603 - signals are the process's own
    signals, heeded = Signals(), []
    if threading.current_thread() is threading.main_thread():
        heeded = [number for number in _NUMBERS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = [(number, signal.signal(number, signals.stop)) for number in heeded]
    _heeding = signals
    try:
        yield signals
    finally:
        _heeding = None
        # Once one has come, those right behind it change nothing any more, not even the exit code.
        for number, handler in before if signals.number is None else ():
            signal.signal(number, handler)


def stop_heeding(code: int) -> None:
    """All is said and done: what Python still does on its way out may be cut short, without a word. Of a verb that a
    signal has ended, not even that: its exit code says which."""
    if code > ENDED_BY_SIGNAL:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def to_exit_code(number: int) -> int:
    """What a shell says of a process that a signal ended: 130 for Ctrl-C, 143 for a polite kill."""
    return ENDED_BY_SIGNAL + number


def describe_stop(verb: str | None) -> str:
    """What is said to a person: what became of it, and how to go on."""
    return " ".join(("Interrupted.", _GOING_ON.get(verb or "", ""))).strip()
