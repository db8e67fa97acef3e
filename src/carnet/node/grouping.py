"""Group commit: submissions that wait together share one transaction and one flush, whichever threads they come from.

Whoever waits for an answer commits what waits, unless somebody else is at it: two threads that share the interpreter,
one to hand over and one to commit, lose it to each other every few statements of SQL. A thread of our own commits for
those who do not wait, or not without a limit, and for those who came while somebody else was at it. Whoever commits
waits while company is on its way: as long as submissions keep coming, until as many wait as were answered the last
time. One alone is committed at once. It refuses to know what is committed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

from carnet.node.jobs import Prepared
from carnet.node.placing import Outcome

MAX_GROUP: Final = 512
"""Submissions that one group commit gathers."""

PAUSE_S: Final = 0.001
"""Nothing came for so long: nobody is on the way."""

PATIENCE_S: Final = 0.02
"""How long the first of a group waits for company at most."""


class _Waiters(list[Any]):
    """Whom a future tells of its outcome. `concurrent.futures.wait` and `as_completed` put something of their own in
    here, and say nothing else to a future: should a version of Python do it otherwise, they are answered when nothing
    has come for a while."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.is_asked = False

    def append(self, waiter: Any) -> None:
        super().append(waiter)
        self.ask()

    def ask(self) -> None:
        """Somebody waits who does not commit: our own thread is to."""
        self.is_asked = True
        self._wake()


class _Awaited(Future[Outcome]):
    """The outcome of one submission. Whoever asks for it and has time commits it, if nobody else is about to."""

    def __init__(self, ask: Callable[[_Awaited, bool], None], wake: Callable[[], None]) -> None:
        super().__init__()
        self._ask = ask
        self.waiters = self._waiters = _Waiters(wake)

    def cancel(self) -> bool:
        """False: what was handed over is not taken back."""
        return False

    def is_answered(self) -> bool:
        """As `done`, by somebody who does not wait for it."""
        return super().done()

    def done(self) -> bool:
        if not self.is_answered():
            self._ask(self, False)
        return self.is_answered()

    def result(self, timeout: float | None = None) -> Outcome:
        if not self.is_answered():
            self._ask(self, timeout is None)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if not self.is_answered():
            self._ask(self, timeout is None)
        return super().exception(timeout)

    def add_done_callback(self, callback: Callable[[Future[Outcome]], object]) -> None:
        super().add_done_callback(callback)
        if not self.is_answered():
            self._ask(self, False)


_Waiting = tuple[Prepared, _Awaited]


class Grouping:
    """Gathers for `commit`, which seals many in one transaction. `submit` may be called from any thread."""

    def __init__(self, commit: Callable[[Sequence[Prepared]], list[Outcome]]) -> None:
        self._commit = commit
        self._waiting: deque[_Waiting] = deque()
        self._committing = threading.Lock()
        self._wake = threading.Event()
        self._is_idle = False
        self._expected = 1
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, prepared: Prepared) -> Future[Outcome]:
        """Hand over one submission; its outcome, or the refusal of all of it, comes once it is durable."""
        future = _Awaited(self._ask, self._wake.set)
        if self._thread is None:
            self._start()
        self._waiting.append((prepared, future))
        # Looked at first: to wake a thread that is awake takes longer than to see that it is.
        if self._is_idle:
            self._wake.set()
        return future

    def close(self) -> None:
        """Commit what waits, and end; idempotent."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._is_closing = True
            self._wake.set()
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._is_closing = False
                self._thread = threading.Thread(target=self._run, name="carnet-writer", daemon=True)
                self._thread.start()

    def _ask(self, future: _Awaited, has_time: bool) -> None:
        """Somebody wants this answer: he commits what waits until he has it, if he has time and nobody is at it."""
        has_committed = False
        while has_time and not future.is_answered() and self._commit_some():
            has_committed = True
        if not future.is_answered():
            future.waiters.ask()
        elif has_committed and self._waiting:
            # Others who came meanwhile have found somebody at it.
            self._wake.set()

    def _run(self) -> None:
        newest: _Waiting | None = None
        while self._waiting or not self._is_closing:
            self._wake.clear()
            # First said, then looked at: whoever hands over meanwhile does it the other way round.
            self._is_idle = True
            waiting = list(self._waiting)
            self._is_idle = not waiting
            # Of what has waited for so long while nothing came, nobody may ask in a way that we are told of.
            before, newest = newest, waiting[-1] if waiting else None
            is_due = newest is before or self._is_closing or any(future.waiters.is_asked for _, future in waiting)
            if waiting and is_due and self._commit_some():
                continue
            self._wake.wait(PATIENCE_S if waiting else None)

    def _commit_some(self) -> bool:
        """Commit a group of what waits; False if another thread is at it."""
        if not self._committing.acquire(blocking=False):
            return False
        try:
            self._wait_for_company()
            taken = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
            if taken:
                self._expected = len(taken)
                self._answer(taken)
        finally:
            self._committing.release()
        return True

    def _wait_for_company(self) -> None:
        """Until as many wait as were answered together the last time, or nobody else comes."""
        waiting, expected = self._waiting, self._expected
        until = time.monotonic() + PATIENCE_S
        before = 0
        while before < len(waiting) < expected and not self._is_closing and time.monotonic() < until:
            before = len(waiting)
            time.sleep(PAUSE_S)

    def _answer(self, group: Sequence[_Waiting]) -> None:
        try:
            outcomes = self._commit([prepared for prepared, _ in group])
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if outcome.refused is not None:
                    future.set_exception(outcome.refused)
                else:
                    future.set_result(outcome)
        except BaseException as error:
            for _, future in group:
                if not future.is_answered():
                    future.set_exception(error)
