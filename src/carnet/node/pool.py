"""Worker processes that prepare jobs in parallel, and give them back in the order in which they came.

Each is fed by a thread of its own: one job at a time over a pipe of its own, so that one that is killed takes no other
one with it. Knows processes; refuses to know what is in a job. A worker holds the storage keys in its memory and
touches no file.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from types import TracebackType
from typing import Final, NamedTuple, cast

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.children import hold_signals_back
from carnet.node.jobs import ChainRef, Context, Item, Job, Prepared, Refusal
from carnet.node.made import encode_prepared, read_prepared
from carnet.node.prepare import Preparer
from carnet.passport.statement import NO_TARGET
from carnet.types import Mark

_Answer = tuple[bytes, list[Refusal]]

PRELOADED: Final = ["__main__", __name__]
"""Modules that are loaded once for all workers: each by itself would take as long as some thousands of rows."""

_encoder = msgspec.msgpack.Encoder()


# A job as it crosses: what the fields are is read once, by their own schema.
class _SentItem(NamedTuple):
    kind: str
    fields: msgspec.Raw
    source: bytes | None = None
    mark: int = Mark.NONE
    target: bytes = NO_TARGET
    is_elsewhere: bool = False


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


_decode_job = msgspec.msgpack.Decoder(_SentJob).decode
_decode_item = msgspec.msgpack.Decoder(_SentItem).decode


def _read_items(job: Job) -> Job:
    """A job with its items as prepare takes them in this process."""
    groups = [group._replace(items=[_read_item(item) for item in group.items]) for group in job.groups]
    return job._replace(groups=groups)


def _read_item(item: object) -> Item:
    return cast("Item", _decode_item(item) if isinstance(item, msgspec.Raw) else item)


def look_for_cycles_rarely() -> tuple[int, int, int]:
    """Tell the collector that this process makes many objects and hardly a cycle; gives the thresholds to go back to.

    A job is tens of thousands of small objects that all die with it: looking for cycles among them took a tenth of an
    import.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    return before


def end_with_parent() -> None:
    """From now on. A parent that is killed says no goodbye, and its children would wait for ever with the storage keys
    in memory."""
    threading.Thread(target=_wait_for_parent, name="carnet-parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(context: Context, pipe: Connection) -> None:
    """What a worker does, until the other end of its pipe is closed."""
    end_with_parent()
    preparer = Preparer(context)
    look_for_cycles_rarely()
    while True:
        try:
            sent = pipe.recv_bytes()
        except EOFError:
            return
        answer: _Answer | Exception
        try:
            answer = encode_prepared(preparer.prepare(cast("Job", _decode_job(sent))))
        except Exception as error:
            answer = error
        pipe.send(answer)


class Preparing:
    """A job on its way."""

    def __init__(self, sent: Future[_Answer]) -> None:
        self._sent = sent

    def result(self) -> Prepared:
        """What it became; waits for it, and raises what preparing it raised."""
        return read_prepared(*self._sent.result())

    @property
    def is_done(self) -> bool:
        """Whether `result` waits for nothing."""
        return self._sent.done()

    def encoded(self) -> tuple[bytes, list[Refusal]]:
        """The same as it came from the worker (`read_prepared`), and the refusals apart from it."""
        return self._sent.result()


class Ready(Preparing):
    """A job that was prepared at once, in this process."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def result(self) -> Prepared:
        """What it became."""
        return self._prepared

    def encoded(self) -> tuple[bytes, list[Refusal]]:
        """As a worker would have sent it."""
        return encode_prepared(self._prepared)

    @property
    def is_done(self) -> bool:
        """It was before it came."""
        return True


class PreparePool:
    """`worker_count` processes, or with 0 the caller's own. Processes are started from a clean server, never by
    forking a process that has threads, locks and an open database; and beside the caller, who need not wait for them
    before the first of its jobs are made."""

    def __init__(self, context: Context, worker_count: int = 1) -> None:
        self._context = context
        self._window = 2 * worker_count + 1
        self._inline = Preparer(context) if worker_count == 0 else None
        self._waiting = SimpleQueue[tuple[bytes, Future[_Answer]] | None]()
        self._starting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._feed, name=f"carnet-feed-{number}", daemon=True)
            for number in range(worker_count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> Preparing:
        """Prepare one job. Any of its items may be MessagePack already."""
        if self._inline is not None:
            return Ready(self._inline.prepare(_read_items(job)))
        future: Future[_Answer] = Future()
        self._waiting.put((_encoder.encode(job), future))
        return Preparing(future)

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
        """Stop the workers; what they have begun is finished first, and the rest is dropped. Idempotent."""
        while not self._waiting.empty():
            self._waiting.get()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _feed(self) -> None:
        """One worker's thread: starts it, and hands it one job after the other."""
        hold_signals_back()
        try:
            worker, pipe = self._start()
        except Exception as error:
            # Whoever waits for a job is told.
            while (waiting := self._waiting.get()) is not None:
                waiting[1].set_exception(error)
            return
        while (waiting := self._waiting.get()) is not None:
            sent, future = waiting
            try:
                pipe.send_bytes(sent)
                answer: _Answer | Exception = pipe.recv()
            except (EOFError, OSError):
                saying = "a process that prepares rows has ended: what is sealed stays sealed; run it again"
                answer = Refused(Reason.WRITER_AWAY, saying, could_retry=True, is_ours=True)
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        pipe.close()
        worker.join()

    def _start(self) -> tuple[BaseProcess, Connection]:
        with self._starting:
            server = get_context("forkserver")
            server.set_forkserver_preload(PRELOADED)
            ours, theirs = server.Pipe()
            with theirs:
                worker = server.Process(target=_work, args=(self._context, theirs), name="carnet-prepare", daemon=True)
                worker.start()
            return worker, ours

    def __enter__(self) -> PreparePool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
