"""Group commit: who waits together is committed together, who is alone does not wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed, wait

import pytest

from carnet.node import grouping as grouping_module
from carnet.node.grouping import MAX_GROUP, Grouping
from carnet.node.jobs import Prepared
from carnet.node.placing import Outcome
from tests.node.conftest import ON_FILE
from tests.node.home import TestNode, new_passport

SUBMISSION = Prepared(b"", b"", b"", b"", 3, 0, 0, b"", b"", b"", [], [], 0, True, 0)


class Sealed:
    """A commit that takes as long as a disk does, and notes how many came together."""

    def __init__(self, seconds: float = 0.002) -> None:
        self.sizes: list[int] = []
        self._seconds = seconds

    def __call__(self, prepared: Sequence[Prepared]) -> list[Outcome]:
        self.sizes.append(len(prepared))
        time.sleep(self._seconds)
        return [Outcome([], []) for _ in prepared]


def test_submit__one_alone_does_not_wait_for_company() -> None:
    sealed = Sealed(0)
    grouping = Grouping(sealed)
    taken = []
    for _ in range(30):
        started = time.perf_counter()
        grouping.submit(SUBMISSION).result(10)
        taken.append(time.perf_counter() - started)
    grouping.close()
    assert sealed.sizes == [1] * 30
    assert sorted(taken)[15] < 0.005


def test_submit__those_in_flight_together_are_committed_together() -> None:
    sealed = Sealed()
    grouping = Grouping(sealed)

    def work() -> None:
        for _ in range(20):
            grouping.submit(SUBMISSION).result(10)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    grouping.close()
    assert sum(sealed.sizes) == 640
    assert max(sealed.sizes) > 16
    assert len(sealed.sizes) < 160


def test_result__whoever_waits_without_a_limit_commits_what_waits() -> None:
    committing: list[tuple[int, int]] = []

    def commit(prepared: Sequence[Prepared]) -> list[Outcome]:
        committing.append((threading.get_ident(), len(prepared)))
        return [Outcome([], []) for _ in prepared]

    grouping = Grouping(commit)
    for _ in range(20):
        waiting = [grouping.submit(SUBMISSION) for _ in range(MAX_GROUP + 8)]
        # The last one needs two groups.
        waiting[-1].result()
        assert all(one.done() for one in waiting)
    grouping.close()
    assert sum(count for _, count in committing) == 20 * (MAX_GROUP + 8)
    own = [count for thread, count in committing if thread == threading.get_ident()]
    # Whether our own thread was quicker once is up to the machine.
    assert len(own) > 20


def test_result__those_who_wait_while_another_commits_are_answered() -> None:
    sealed = Sealed()
    grouping = Grouping(sealed)

    def work() -> None:
        for at in range(40):
            future = grouping.submit(SUBMISSION)
            if at % 2:
                assert future.exception() is None
            else:
                future.result()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(32)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert time.monotonic() - started < 20
    grouping.close()
    assert sum(sealed.sizes) == 1280
    assert len(sealed.sizes) < 320


def test_result__who_came_while_another_committed_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only when our own thread looks again, which would be too late here."""
    monkeypatch.setattr(grouping_module, "PATIENCE_S", 60)
    is_begun, may_end = threading.Event(), threading.Event()

    def commit(prepared: Sequence[Prepared]) -> list[Outcome]:
        is_begun.set()
        assert may_end.wait(20)
        return [Outcome([], []) for _ in prepared]

    grouping = Grouping(commit)
    first = threading.Thread(target=grouping.submit(SUBMISSION).result)
    first.start()
    assert is_begun.wait(20)
    second = grouping.submit(SUBMISSION)
    waiting = threading.Thread(target=second.result, daemon=True)
    waiting.start()
    # Until it waits: it has found that another commits, and our own thread has too.
    time.sleep(0.2)
    may_end.set()
    waiting.join(20)
    assert second.done()
    first.join()
    grouping.close()


@pytest.mark.parametrize("count", [1, 5])
def test_submit__what_nobody_asks_for_is_committed_too(count: int) -> None:
    sealed = Sealed(0)
    grouping = Grouping(sealed)
    waiting = [grouping.submit(SUBMISSION) for _ in range(count)]
    assert not wait(waiting, 10).not_done
    told = threading.Event()
    grouping.submit(SUBMISSION).add_done_callback(lambda _: told.set())
    assert told.wait(10)
    grouping.close()
    assert sum(sealed.sizes) == count + 1


def _look_until_done(future: Future[Outcome]) -> None:
    while not future.done():
        time.sleep(0.001)


def _be_called_back(future: Future[Outcome]) -> None:
    is_told = threading.Event()
    future.add_done_callback(lambda _: is_told.set())
    assert is_told.wait(20)


async def _await(future: Future[Outcome]) -> None:
    await asyncio.wait_for(asyncio.wrap_future(future), 20)


WAYS_TO_WAIT: dict[str, Callable[[Future[Outcome]], object]] = {
    "result": lambda future: future.result(),
    "result, with a limit": lambda future: future.result(20),
    "exception": lambda future: future.exception(),
    "exception, with a limit": lambda future: future.exception(20),
    "done": _look_until_done,
    "add_done_callback": _be_called_back,
    "wait": lambda future: wait([future], 20),
    "as_completed": lambda future: list(as_completed([future], 20)),
    "await": lambda future: asyncio.run(_await(future)),
}


@pytest.mark.parametrize("way", WAYS_TO_WAIT)
def test_submit__whoever_waits_in_any_way_is_answered_at_once(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only when our own thread looks again, which would be too late here."""
    monkeypatch.setattr(grouping_module, "PATIENCE_S", 60)
    grouping = Grouping(Sealed(0))
    # Our own thread has begun, and has seen that one came and that nobody asks.
    future = grouping.submit(SUBMISSION)
    time.sleep(0.02)
    waiting = threading.Thread(target=WAYS_TO_WAIT[way], args=[future], daemon=True)
    waiting.start()
    waiting.join(10)
    assert not waiting.is_alive()
    grouping.close()


def test_submit__what_was_handed_over_is_not_taken_back() -> None:
    grouping = Grouping(Sealed(0))
    future = grouping.submit(SUBMISSION)
    assert not future.cancel()
    assert future.result() == Outcome([], [])
    grouping.close()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("timeout", [10, None])
def test_submit__a_commit_that_fails_is_told_to_each(error: type[BaseException], timeout: float | None) -> None:
    def fail(prepared: Sequence[Prepared]) -> list[Outcome]:
        raise error

    grouping = Grouping(fail)
    waiting = [grouping.submit(SUBMISSION) for _ in range(5)]
    for one in waiting:
        with pytest.raises(error):
            one.result(timeout)
    grouping.close()


def test_submit__one_who_was_not_told_when_an_answer_failed_is_told_that() -> None:
    grouping = Grouping(lambda prepared: [Outcome([], [])])
    waiting = [grouping.submit(SUBMISSION) for _ in range(2)]
    assert waiting[0].result() == Outcome([], [])
    with pytest.raises(ValueError, match="shorter"):
        waiting[1].result()
    grouping.close()


def test_close__commits_what_waits_in_groups_of_a_size() -> None:
    sealed = Sealed(0.05)
    grouping = Grouping(sealed)
    waiting: list[Future[Outcome]] = [grouping.submit(SUBMISSION) for _ in range(2 * MAX_GROUP)]
    grouping.close()
    assert all(one.done() for one in waiting)
    assert sum(sealed.sizes) == 2 * MAX_GROUP
    assert max(sealed.sizes) <= MAX_GROUP
    grouping.close()


@ON_FILE
def test_submit__a_writer_can_be_handed_more_after_a_pause(checked: TestNode) -> None:
    with checked.open() as writer:
        for number in range(3):
            job = writer.make_job(checked.operator.id, 3, [new_passport(number, 5)])
            assert len(writer.submit(writer.prepare(job)).result(20).receipts) == 2
            time.sleep(0.01)
