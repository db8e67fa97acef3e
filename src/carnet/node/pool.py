"""Worker processes that prepare jobs in parallel, and give them back in the order in which they came.

Knows processes; refuses to know what is in a job. A worker holds the storage keys in its memory and touches no file.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import NamedTuple, cast

import msgspec

from carnet.errors import InvariantBroken
from carnet.node.jobs import ChainRef, Context, Job, Prepared, PreparedGroup, Refusal, Row
from carnet.node.prepare import Preparer

_Answer = tuple[bytes, list[Refusal]]

_worker: Preparer | None = None
_encoder = msgspec.msgpack.Encoder()


# What was prepared as it comes back: the bytes that go to the store as what the store takes (`vault.store.Blob`), which
# they would have to be copied into otherwise.
class _MadeRow(Row, frozen=True, gc=False, array_like=True):
    secret: bytearray  # type: ignore[assignment]
    content: bytearray | None  # type: ignore[assignment]


class _MadeGroup(PreparedGroup):
    __slots__ = ()
    rows: list[_MadeRow]  # type: ignore[assignment]


class _Made(Prepared):
    __slots__ = ()
    groups: list[_MadeGroup]  # type: ignore[assignment]


_decoder = msgspec.msgpack.Decoder(_Made)


# A job as it crosses: what the fields are is read once, by their own schema.
class _SentItem(NamedTuple):
    kind: str
    fields: msgspec.Raw
    mark: int
    target: bytes
    source: bytes | None
    is_elsewhere: bool


class _SentGroup(NamedTuple):
    items: list[_SentItem]
    chain: ChainRef | None


class _SentJob(NamedTuple):
    member: bytes
    public: bytes
    seed: bytes | None
    basis: int
    created_ms: int
    groups: list[_SentGroup]
    randomness: bytes


_job_decoder = msgspec.msgpack.Decoder(_SentJob)


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
    threading.Thread(target=_end_with_parent, name="carnet-parent", daemon=True).start()
    _worker = Preparer(context)
    look_for_cycles_rarely()


def _end_with_parent() -> None:
    """A parent that is killed says no goodbye, and its workers would wait for ever with the storage keys in memory."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare(sent: bytes) -> _Answer:
    if _worker is None:
        raise RuntimeError("this process was not started as a worker")
    prepared = _worker.prepare(cast("Job", _job_decoder.decode(sent)))
    # Refusals are few, and their facts may be anything; the rest is thousands of rows of known types.
    return _encoder.encode(prepared._replace(refusals=[])), prepared.refusals


class Preparing:
    """A job on its way."""

    def __init__(self, sent: Future[_Answer]) -> None:
        self._sent = sent

    def result(self) -> Prepared:
        """What it became; waits for it, and raises what preparing it raised."""
        return self._read(self._sent.result())

    @property
    def is_done(self) -> bool:
        """Whether `result` waits for nothing."""
        return self._sent.done()

    def _read(self, answer: _Answer) -> Prepared:
        data, refusals = answer
        prepared: Prepared = _decoder.decode(data)
        return prepared._replace(refusals=refusals)

    def cancel(self) -> None:
        """Forget it, if it has not begun."""
        self._sent.cancel()


class Waiting(Preparing):
    """A job that waits until there are workers."""

    def __init__(self, sending: Future[Future[_Answer]]) -> None:
        self._sending = sending

    def result(self) -> Prepared:
        """What it became; raises also what kept the workers from starting."""
        return self._read(self._sending.result().result())

    @property
    def is_done(self) -> bool:
        """Whether `result` waits for nothing; it may have the cause to tell why there are no workers."""
        sending = self._sending
        return sending.done() and (sending.cancelled() or sending.exception() is not None or sending.result().done())

    def cancel(self) -> None:
        """Forget it, if it has not begun."""
        if not self._sending.cancel() and self._sending.exception() is None:
            self._sending.result().cancel()


class Ready(Preparing):
    """A job that was prepared at once, in this process."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def result(self) -> Prepared:
        """What it became."""
        return self._prepared

    @property
    def is_done(self) -> bool:
        """It was before it came."""
        return True

    def cancel(self) -> None:
        """Nothing is left to cancel."""


def _do_nothing() -> None:
    pass


class PreparePool:
    """`worker_count` processes, or with 0 the caller's own. Processes are started from a clean server, never by
    forking a process that has threads, locks and an open database; and beside the caller, who need not wait for them
    before the first of its jobs are made."""

    def __init__(self, context: Context, worker_count: int = 1) -> None:
        self._window = 2 * worker_count + 1
        self._inline = Preparer(context) if worker_count == 0 else None
        # Even one that is never asked starts a process, which looks after its semaphores.
        self._executor: ProcessPoolExecutor | None = None
        if worker_count > 0:
            server = get_context("forkserver")
            # Loaded once, and shared by all: each by itself would take as long as some thousands of rows.
            server.set_forkserver_preload(["__main__", __name__])
            self._executor = ProcessPoolExecutor(
                worker_count, mp_context=server, initializer=_start, initargs=(context,)
            )
            self._starter = ThreadPoolExecutor(1, "carnet-start")
            self._started = self._starter.submit(self._executor.submit, _do_nothing)

    def submit(self, job: Job) -> Preparing:
        """Prepare one job."""
        if self._inline is not None:
            return Ready(self._inline.prepare(job))
        if self._executor is None:
            raise InvariantBroken("a pool without workers prepares in its own process")
        sent = _encoder.encode(job)
        if not self._started.done():
            return Waiting(self._starter.submit(self._executor.submit, _prepare, sent))
        return Preparing(self._executor.submit(_prepare, sent))

    def map(self, jobs: Iterable[Job]) -> Iterator[Prepared]:
        """Prepare a stream of jobs, in order. Only a few are in flight, so memory stays flat whatever the stream's
        length."""
        waiting: deque[Preparing] = deque()
        for job in jobs:
            waiting.append(self.submit(job))
            if len(waiting) >= self._window:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        """Stop the workers; what is in flight is finished first."""
        if self._executor is not None:
            self._starter.shutdown(cancel_futures=True)
            self._executor.shutdown(cancel_futures=True)

    def __enter__(self) -> PreparePool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
