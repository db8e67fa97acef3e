"""Worker processes that prepare jobs in parallel, and give them back in the order in which they came.

Knows processes; refuses to know what is in a job. A worker holds the storage keys in its memory and touches no file.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType

from carnet.node.prepare import Context, Job, Prepared, Preparer

_worker: Preparer | None = None


def look_for_cycles_rarely() -> tuple[int, int, int]:
    """Tell the collector that this process makes many objects and hardly a cycle; gives the thresholds to go back to.

    A job is tens of thousands of small objects that all die with it: looking for cycles among them took a tenth of an
    import.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    return before


def _start(context: Context) -> None:
    global _worker  # noqa: PLW0603 - one process, one preparer
    _worker = Preparer(context)
    look_for_cycles_rarely()


def _prepare(job: Job) -> Prepared:
    if _worker is None:
        raise RuntimeError("this process was not started as a worker")
    return _worker.prepare(job)


class PreparePool:
    """`worker_count` processes, or with 0 the caller's own. Processes are started from a clean server, never by
    forking a process that has threads, locks and an open database."""

    def __init__(self, context: Context, worker_count: int = 1) -> None:
        self._inline = Preparer(context) if worker_count == 0 else None
        self._window = 2 * worker_count + 1
        self._executor = (
            None
            if worker_count == 0
            else ProcessPoolExecutor(
                worker_count, mp_context=get_context("forkserver"), initializer=_start, initargs=(context,)
            )
        )

    def submit(self, job: Job) -> Future[Prepared]:
        """Prepare one job."""
        if self._executor is not None:
            return self._executor.submit(_prepare, job)
        future: Future[Prepared] = Future()
        if self._inline is not None:
            future.set_result(self._inline.prepare(job))
        return future

    def map(self, jobs: Iterable[Job]) -> Iterator[Prepared]:
        """Prepare a stream of jobs, in order. Only a few are in flight, so memory stays flat whatever the stream's
        length."""
        waiting: deque[Future[Prepared]] = deque()
        for job in jobs:
            waiting.append(self.submit(job))
            if len(waiting) >= self._window:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        """Stop the workers; what is in flight is finished first."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def __enter__(self) -> PreparePool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
