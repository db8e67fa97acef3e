"""Turns: how many requests of one member a worker is at at once, while it serves others too.

A worker takes what comes in the order in which it comes. A member that keeps sixty requests on their way would have
each request of the others stand behind sixty of its own. So while others are there, all but a few of a member's wait
among themselves. Alone, a member waits for nothing. It refuses to know what is asked. Design: security 34.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from carnet.services.principals import Principal

AT_ONCE: Final = 4
"""Requests of one member that are worked on at once while others are there."""

NEAR_S: Final = 2.0
"""Others are there if one of them asked within this time."""

PATIENCE_S: Final = 2.0
"""So long a request waits at most: those before it may be uploads over a slow line, which cost nothing."""


@dataclass(slots=True)
class _Line:
    """The requests of one name: how many are at work, who waits, and when the last one came."""

    at_work: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    came_s: float = 0.0


class Turns:
    """For one event loop, and called in it alone. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], patience_s: float = PATIENCE_S) -> None:
        self._clock, self._patience_s = clock, patience_s
        self._lines: dict[bytes, _Line] = {}

    def taken(self, name: bytes) -> _Taken:
        """Within the block a request of this name is worked on; before it, it may wait for its turn."""
        return _Taken(self, name)

    async def begin(self, name: bytes) -> _Line:
        """The line of this name, in which a request is at work until it is given to `end`."""
        now = self._clock()
        line = self._lines.get(name)
        if line is None:
            self._forget(now)
            line = self._lines[name] = _Line()
        line.came_s = now
        if (line.waiting or line.at_work >= AT_ONCE) and self._has_others(line, now):
            await _wait(line, self._patience_s)
        line.at_work += 1
        return line

    @staticmethod
    def end(line: _Line) -> None:
        """The request was answered: whoever waits in its line is next."""
        line.at_work -= 1
        _call_next(line)

    def _has_others(self, own: _Line, now: float) -> bool:
        return any(line is not own and (line.at_work or now - line.came_s < NEAR_S) for line in self._lines.values())

    def _forget(self, now: float) -> None:
        """Names that are not there any more, whenever a new one comes."""
        gone = [name for name, line in self._lines.items() if not line.at_work and now - line.came_s >= NEAR_S]
        for name in gone:
            if not self._lines[name].waiting:
                del self._lines[name]


class _Taken:
    """One turn: a class, since each of a worker's requests takes one, and a generator would take longer."""

    __slots__ = ("_line", "_name", "_turns")

    def __init__(self, turns: Turns, name: bytes) -> None:
        self._turns, self._name = turns, name

    async def __aenter__(self) -> None:
        self._line = await self._turns.begin(self._name)

    async def __aexit__(self, *_: object) -> None:
        self._turns.end(self._line)


async def _wait(line: _Line, patience_s: float) -> None:
    turn = asyncio.get_running_loop().create_future()
    line.waiting.append(turn)
    try:
        await asyncio.wait((turn,), timeout=patience_s)
    except asyncio.CancelledError:
        if turn.done():
            # It was called as it left: the next one has its turn.
            _call_next(line)
        raise
    finally:
        if not turn.done():
            line.waiting.remove(turn)


def _call_next(line: _Line) -> None:
    if line.waiting and line.at_work < AT_ONCE:
        line.waiting.popleft().set_result(None)


def find_name(principal: Principal) -> bytes | None:
    """Under whose name a request waits: a member's people and programs under one, a holder under their own; visitors
    have no name and do not wait, since who they are is not known."""
    return principal.member or (None if principal.account is None else principal.account.encode())
