"""Group commit: submissions that wait together share one transaction and one flush, whichever threads they come from.

The thread that commits shares the interpreter with those that hand over. Woken for each submission, it would commit one
or two at a time and lose every few statements of SQL to another thread. So it waits while company is on its way: as
long as submissions keep coming, until as many wait as were answered the last time. One alone is committed at once. It
refuses to know what is committed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from carnet.node.jobs import Prepared
from carnet.node.placing import Outcome

MAX_GROUP: Final = 512
"""Submissions that one group commit gathers."""

PAUSE_S: Final = 0.001
"""Nothing came for so long: nobody is on the way."""

PATIENCE_S: Final = 0.02
"""How long the first of a group waits for company at most."""

Waiting = tuple[Prepared, "Future[Outcome]"]


class Grouping:
    """Gathers for `commit`, which seals many in one transaction. `submit` may be called from any thread."""

    def __init__(self, commit: Callable[[Sequence[Prepared]], list[Outcome]]) -> None:
        self._commit = commit
        self._waiting: deque[Waiting] = deque()
        self._has_some = threading.Event()
        self._expected = 1
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, prepared: Prepared) -> Future[Outcome]:
        """Hand over one submission; its outcome, or the refusal of all of it, comes once it is durable."""
        future: Future[Outcome] = Future()
        if self._thread is None:
            self._start()
        self._waiting.append((prepared, future))
        # Looked at first: to wake a thread that is awake takes longer than to see that it is.
        if not self._has_some.is_set():
            self._has_some.set()
        return future

    def close(self) -> None:
        """Commit what waits, and end; idempotent."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._is_closing = True
            self._has_some.set()
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._is_closing = False
                self._thread = threading.Thread(target=self._run, name="carnet-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._has_some.wait()
            self._has_some.clear()
            while self._waiting:
                self._wait_for_company()
                taken = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
                self._expected = len(taken)
                self._answer(taken)
            if self._is_closing and not self._waiting:
                return

    def _wait_for_company(self) -> None:
        """Until as many wait as were answered together the last time, or nobody else comes."""
        waiting, expected = self._waiting, self._expected
        until = time.monotonic() + PATIENCE_S
        before = 0
        while before < len(waiting) < expected and not self._is_closing and time.monotonic() < until:
            before = len(waiting)
            time.sleep(PAUSE_S)

    def _answer(self, group: Sequence[Waiting]) -> None:
        try:
            outcomes = self._commit([prepared for prepared, _ in group])
        except BaseException as error:
            for _, future in group:
                future.set_exception(error)
            return
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if outcome.refused is not None:
                future.set_exception(outcome.refused)
            else:
                future.set_result(outcome)
