"""Turns: how many requests of one member a worker is at at once, while it serves others too.

A worker takes what comes in the order in which it comes. A member that keeps sixty requests on their way would have
each request of the others stand behind sixty of its own. So while others are there, a member with many goes one at a
time, and lets those go ahead who have few. Alone, a member waits for nothing. It refuses to know what is asked. Design:
security 34; ADR 21.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from carnet.services.principals import Principal

FEW: Final = 4
"""Requests on their way with which a member waits for nobody: as many as a page asks for at once."""

NEAR_S: Final = 2.0
"""Others are there if one of them asked within this time."""

LINGER_S: Final = 0.005
"""Whoever has few is let go ahead for so long after an answer: most ask for something else at once."""

SLICE_S: Final = 0.02
"""As often as that a member with many goes on, however much those with few have to do."""

HASTE_S: Final = 0.25
"""What takes longer keeps nobody waiting: an upload over a slow line costs a worker nothing."""

PATIENCE_S: Final = 2.0
"""So long a request waits at most: those before it may be such uploads."""


@dataclass(slots=True, eq=False)
class _Line:
    """The requests of one name: how many are at work, who waits; when the last one came, and when one began."""

    at_work: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    came_s: float = 0.0
    began_s: float = 0.0

    def has_few(self) -> bool:
        return self.at_work + len(self.waiting) <= FEW


class Turns:
    """For one event loop, and called in it alone. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], patience_s: float = PATIENCE_S) -> None:
        self._clock, self._patience_s = clock, patience_s
        self._lines: dict[bytes, _Line] = {}
        # Those that are at work, or were a moment ago; and those of which some wait.
        self._active, self._waiting = set[_Line](), set[_Line]()
        self._is_timed = False

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
        if not line.waiting and self._may_start(line, line.at_work + 1, now):
            self._start(line, now)
        else:
            await self._wait(line)
        return line

    def end(self, line: _Line) -> None:
        """The request was answered: whoever waits may be next."""
        line.at_work -= 1
        if not line.at_work:
            if self._waiting and line.has_few():
                asyncio.get_running_loop().call_later(LINGER_S, self._leave, line)
            else:
                self._active.discard(line)
        if self._waiting:
            self._call_next()

    def _start(self, line: _Line, now: float) -> None:
        line.at_work += 1
        line.began_s = now
        self._active.add(line)

    def _leave(self, line: _Line) -> None:
        if not line.at_work:
            self._active.discard(line)
            self._call_next()

    def _call_next(self) -> None:
        """Give turns to those that wait, as far as there is room."""
        now = self._clock()
        for line in list(self._waiting):
            while line.waiting and self._may_start(line, line.at_work + len(line.waiting), now):
                line.waiting.popleft().set_result(None)
                self._start(line, now)
            if not line.waiting:
                self._waiting.discard(line)

    def _look_again(self) -> None:
        self._is_timed = False
        self._call_next()
        self._time()

    def _time(self) -> None:
        """While any wait, look again in a moment: nothing else may happen that would call them."""
        if self._waiting and not self._is_timed:
            self._is_timed = True
            asyncio.get_running_loop().call_later(SLICE_S, self._look_again)

    def _may_start(self, own: _Line, count: int, now: float) -> bool:
        """Whether one more of a line may begin that has so many on their way, this one included."""
        if count <= FEW or not self._has_others(own, now):
            return True
        if own.at_work:
            return False
        is_last = not any(line is not own and line.has_few() and now - line.came_s < HASTE_S for line in self._active)
        return is_last or now - own.began_s >= SLICE_S

    def _has_others(self, own: _Line, now: float) -> bool:
        return any(line is not own and (line.at_work or now - line.came_s < NEAR_S) for line in self._lines.values())

    async def _wait(self, line: _Line) -> None:
        turn = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        self._waiting.add(line)
        self._time()
        try:
            await asyncio.wait((turn,), timeout=self._patience_s)
        except asyncio.CancelledError:
            if turn.done():
                # It was called as it left: the next one has its turn.
                self.end(line)
            raise
        finally:
            if not turn.done():
                line.waiting.remove(turn)
        if not turn.done():
            self._start(line, self._clock())

    def _forget(self, now: float) -> None:
        """Names that are not there any more, whenever a new one comes."""
        for name, line in list(self._lines.items()):
            if not (line.at_work or line.waiting) and now - line.came_s >= NEAR_S:
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


def find_name(principal: Principal) -> bytes | None:
    """Under whose name a request waits: a member's people and programs under one, a holder under their own; visitors
    have no name and do not wait, since who they are is not known."""
    return principal.member or (None if principal.account is None else principal.account.encode())
