"""The door as an event loop asks it: many at once on one line, and what goes wrong there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from carnet.errors import Reason, Refused
from carnet.node.door import RemoteWriter
from carnet.node.door.soon import Soon
from carnet.node.door.wire import AskHealth
from carnet.node.jobs import Group, Prepared
from carnet.node.placing import Outcome
from carnet.types import Basis
from tests.node.door import open_door
from tests.node.home import TestNode, new_passport, vin_subject
from tests.node.test_door import Cutting

pytestmark = pytest.mark.apart

REPORTED = Basis.REPORTED
T = TypeVar("T")


def run(remote: RemoteWriter, coroutine: Coroutine[Any, Any, T]) -> T:
    async def work() -> T:
        try:
            return await asyncio.wait_for(coroutine, 60)
        finally:
            await remote.leave_loop()

    return asyncio.run(work())


def make(node: TestNode, remote: RemoteWriter, group: Group) -> Prepared:
    return remote.prepare(remote.make_job(node.operator.id, REPORTED, [group]))


def test_commit_soon__many_at_once_share_commits_and_each_gets_its_own(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:
        jobs = [make(checked, remote, new_passport(number, 1_000)) for number in range(100)]
        jobs.append(make(checked, remote, new_passport(7, 2_000)))

        async def ask() -> list[Outcome]:
            return await asyncio.gather(*(remote.commit_soon(job) for job in jobs))

        made = run(remote, ask())
        for job, outcome in zip(jobs[:-1], made, strict=False):
            assert [receipt.sid for receipt in outcome.receipts] == [row.sid for row in job.groups[0].rows]
            sig = remote.sign_receipt(outcome.receipts[0], outcome.receipts[0].accepted_ms)
            assert sig == served.writer.sign_receipt(outcome.receipts[0], outcome.receipts[0].accepted_ms)
        # One that is refused is refused alone.
        assert {refusal.reason for refusal in made[-1].refusals} == {Reason.SUBJECT_TAKEN}
        health = remote.get_health()
        assert (health.submissions, health.entries) == (101, 200)
        assert health.largest_group > 1
        # Another loop, as after a restart, has a line of its own.
        assert len(run(remote, remote.commit_soon(make(checked, remote, new_passport(200, 5)))).receipts) == 2


def test_commit_soon__whose_answer_was_lost_is_found_again(checked: TestNode, tmp_path: Path) -> None:
    with open_door(checked) as served, served.reach() as remote:
        job = make(checked, remote, new_passport(1, 1_000))
        cutting = Cutting(served, remote, tmp_path / "cut.sock")
        remote._soon = Soon(tmp_path / "cut.sock", 20)
        outcome = run(remote, remote.commit_soon(job))
        cutting.join()
        assert len(outcome.receipts) == 2
        health = served.door.get_health()
        # Handed in twice, sealed once.
        assert (health.submissions, health.entries) == (2, 2)
        receipt = outcome.receipts[1]
        assert served.writer.find_receipt(receipt.place, receipt.chain16, receipt.sid) == receipt


def test_commit_soon__outlives_the_writer_that_was_started_again(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:

        async def live_on() -> None:
            assert len((await remote.commit_soon(make(checked, remote, new_passport(1, 5)))).receipts) == 2
            await asyncio.to_thread(served.stop)
            for number in (2, 2):
                with pytest.raises(Refused) as caught:
                    await remote.commit_soon(make(checked, remote, new_passport(number, 5)))
                assert caught.value.reason is Reason.WRITER_AWAY
                assert caught.value.could_retry
            with open_door(checked):
                assert len((await remote.commit_soon(make(checked, remote, new_passport(2, 5)))).receipts) == 2

        run(remote, live_on())
        assert remote.find_chain(vin_subject(2)) is not None


def test_call__refused_writer_away__if_no_answer_comes_in_time(tmp_path: Path) -> None:
    place = tmp_path / "mute.sock"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(place))
        mute.listen()

        async def ask() -> None:
            soon = Soon(place, 0.2)
            with pytest.raises(Refused) as caught:
                await soon.call(AskHealth())
            assert caught.value.reason is Reason.WRITER_AWAY
            assert caught.value.could_retry
            soon.close()

        asyncio.run(ask())
