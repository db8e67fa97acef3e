"""Asking again without doing twice: replayed, refused, told to wait; also when a worker died in between."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from carnet.errors import Reason, Refused
from carnet.services.idempotency import (
    KEPT_MS,
    LEASE_MS,
    Answered,
    Idempotency,
    Started,
    Told,
    make_finished,
)
from carnet.services.principals import Principal, Standing
from carnet.services.together import Together
from carnet.vault.people.store import open_people_store
from carnet.vault.store import Error
from tests.web.town import VIN, WebTown, make_reading, serving_town

pytestmark = pytest.mark.apart

KEY = "a5f1c0de-0001"
WHO = Principal(Standing.MACHINE, client="key", member=bytes(16))
OTHER = Principal(Standing.MACHINE, client="other key", member=bytes(16))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with serving_town(tmp_path) as town:
        yield town


@pytest.fixture
def records(town: WebTown) -> Idempotency:
    return Idempotency(town.office.people, town.office.key)


def headers(key: str = KEY) -> dict[str, Any]:
    return {"headers": {"Idempotency-Key": key}}


def start(records: Idempotency, asked: bytes = b"asked", now: int = 1_000, who: Principal = WHO) -> Started | Answered:
    return records.start(who, KEY, asked, now)


def count_entries(town: WebTown) -> int:
    with town.service.node.read() as reader:
        return reader.count_entries()


def test_start__replays_after_the_end_and_also_after_a_restart(town: WebTown, records: Idempotency) -> None:
    begun = start(records)
    assert isinstance(begun, Started)
    records.finish(begun, 201, b"{}", 1_001)
    assert start(records) == Answered(201, b"{}")
    again = Idempotency(town.office.people, town.office.key)
    assert start(again, now=1_000 + 24 * 3_600_000) == Answered(201, b"{}")
    assert isinstance(start(again, now=1_002 + KEPT_MS), Started)


def test_start__refused_idempotency_key_reused__for_another_body(records: Idempotency) -> None:
    begun = start(records)
    assert isinstance(begun, Started)
    with pytest.raises(Refused) as caught:
        start(records, b"something else")
    assert caught.value.reason is Reason.IDEMPOTENCY_KEY_REUSED
    assert isinstance(start(records, who=OTHER), Started), "a key is one client's"


def test_start__refused_request_at_work__until_its_lease_ends(records: Idempotency) -> None:
    begun = start(records)
    with pytest.raises(Refused) as caught:
        start(records, now=1_000 + LEASE_MS - 1)
    assert caught.value.reason is Reason.REQUEST_AT_WORK
    assert caught.value.facts["retry_after_s"] == 1
    assert start(records, now=1_001 + LEASE_MS) == begun, "the same seed and the same moment"


def test_abandon__lets_the_same_be_tried_at_once(records: Idempotency) -> None:
    begun = start(records)
    assert isinstance(begun, Started)
    records.abandon(begun)
    assert isinstance(start(records), Started)


@pytest.mark.parametrize("key", ["short", "x" * 129, "with a blank", "ü" * 10])
def test_start__refused_value_out_of_range__for_what_is_no_key(records: Idempotency, key: str) -> None:
    with pytest.raises(Refused) as caught:
        records.start(WHO, key, b"", 1_000)
    assert caught.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_write__judges_each_of_a_group_as_if_it_came_alone(records: Idempotency) -> None:
    done, other = start(records), records.ask(OTHER, KEY, b"asked", 1_000)
    assert isinstance(done, Started)
    first, again = (records.ask(WHO, KEY, b"asked", 1_001) for _ in range(2))
    new = [records.ask(WHO, f"another-{number}", b"asked", 1_001) for number in range(150)]
    told = [first, make_finished(done, 201, b"{}", 1_001), other, *new, records.ask(OTHER, KEY, b"x", 1_001), again]
    found = records.write(told)
    # What ended is known to whoever asks in the same moment.
    assert found[0] == found[-1] == Answered(201, b"{}")
    assert found[1] is None
    assert isinstance(found[2], Started)
    begun = [one for one in found[3:153] if isinstance(one, Started)]
    assert len({one.seed for one in begun}) == 150
    # One that asks for the same as another of its group comes after it.
    assert isinstance(found[153], Refused)
    assert found[153].reason is Reason.IDEMPOTENCY_KEY_REUSED
    ended: list[Told] = [make_finished(one, 201, one.seed, 1_002) for one in begun]
    assert records.write([*ended, records.ask(OTHER, KEY, b"asked", 1_002)])[-1].reason is Reason.REQUEST_AT_WORK  # type: ignore[union-attr]
    assert records.write(new) == [Answered(201, one.seed) for one in begun]
    assert records.write([]) == []


@pytest.mark.parametrize("is_the_same", [True, False])
def test_write__on_a_server_one_that_another_worker_begins_spoils_no_other(
    request: pytest.FixtureRequest, is_the_same: bool
) -> None:
    with open_people_store(request.getfixturevalue("postgres").make_url()) as people, ThreadPoolExecutor(1) as pool:
        records = Idempotency(people, bytes(32))
        same, other = (records.ask(WHO, f"key-of-{number}", b"asked", 1_000) for number in range(2))
        with people.note() as connection:
            body = same.body if is_the_same else other.body[::-1]
            row = (same.digest, body, None, None, 1_000, 1_000 + LEASE_MS)
            connection.execute("INSERT INTO idempotency VALUES (?,?,?,?,?,?)", row)
            # The other worker sees nothing of it yet, and waits for its end at the latest.
            answered = pool.submit(records.write, [same, other])
            time.sleep(0.3)
        first, second = answered.result(20)
        assert isinstance(first, Refused)
        assert first.reason is (Reason.REQUEST_AT_WORK if is_the_same else Reason.IDEMPOTENCY_KEY_REUSED)
        assert isinstance(second, Started)
        records.finish(second, 201, b"{}", 1_001)
        assert records.write([other]) == [Answered(201, b"{}")]


@pytest.mark.parametrize("is_answered", [False, True], ids=["lease ended", "answer out of date"])
def test_start__is_taken_over_by_one_of_two_processes(request: pytest.FixtureRequest, is_answered: bool) -> None:
    """On a server the second one reads the record before the first one takes it over, and writes afterwards."""
    with open_people_store(request.getfixturevalue("postgres").make_url()) as people, ThreadPoolExecutor(1) as pool:
        records, late = Idempotency(people, bytes(32)), 1_001 + KEPT_MS + LEASE_MS
        old, same = (records.ask(WHO, f"key-of-{number}", b"asked", 1_000) for number in range(2))
        begun = records.write([old, same])[1]
        assert isinstance(begun, Started)
        if is_answered:
            records.finish(begun, 201, b"{}", 1_001)
        old, same = (replace(one, now=late) for one in (old, same))
        with people.note() as connection:
            # The second one has read both records, and cannot go on with the other one yet.
            connection.execute("UPDATE idempotency SET body = body WHERE digest = ?", (old.digest,))
            second = pool.submit(records.write, [old, same])
            time.sleep(0.5)
            (first,) = records.write([same])
            assert isinstance(first, Started)
        other, refused = second.result(20)
        assert isinstance(other, Started)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.REQUEST_AT_WORK
        records.finish(first, 201, b"{}", late)
        assert records.write([same]) == [Answered(201, b"{}")]


def test_together__many_at_once_each_get_their_own(records: Idempotency) -> None:
    together = Together(records)

    async def ask(number: int) -> bytes:
        asked = records.ask(WHO, f"key-of-{number // 2}", b"asked", 1_000)
        try:
            begun = await together.start(asked)
        except Refused as refused:
            return refused.reason.value.encode()
        assert isinstance(begun, Started)
        await together.finish(make_finished(begun, 201, begun.seed, 1_001))
        again = await together.start(asked)
        assert isinstance(again, Answered)
        assert again.body == begun.seed
        return begun.seed

    async def run() -> list[bytes]:
        return await asyncio.gather(*(ask(number) for number in range(100)))

    found = asyncio.run(run())
    # Of two that ask for the same at once one begins, and the other is told to wait.
    assert found.count(b"request_at_work") == 50
    assert len(set(found)) == 51


def test_together__tells_all_of_a_group_that_the_store_failed(town: WebTown, records: Idempotency) -> None:
    with town.office.people.write() as connection:
        connection.execute("ALTER TABLE idempotency RENAME TO away")

    together = Together(records)

    async def ask(number: int) -> Any:
        return await together.start(records.ask(WHO, f"key-of-{number}", b"asked", 1_000))

    async def run() -> list[Any]:
        return await asyncio.gather(*(ask(number) for number in range(5)), return_exceptions=True)

    assert all(isinstance(one, Error) for one in asyncio.run(run()))
    with town.office.people.write() as connection:
        connection.execute("ALTER TABLE away RENAME TO idempotency")
    assert isinstance(start(records), Started)


def test_append__replays_answer_and_refusal(town: WebTown) -> None:
    town.open()
    first, again = (town.record("garage", 7, **headers()) for _ in range(2))
    assert (first.status_code, again.status_code, first.content) == (201, 201, again.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert count_entries(town) == 2
    for _ in range(2):
        refused = town.record("insurer", 7, **headers("key-of-a-refusal"))
        assert refused.status_code == 201
    bad = make_reading(-5)
    answers = [town.call("garage", "POST", "/v1/entries", bad, **headers("key-of-a-fault")) for _ in range(2)]
    assert [one.status_code for one in answers] == [422, 422]
    assert answers[0].json()["request_id"] == answers[1].json()["request_id"]
    other = town.call("garage", "POST", "/v1/entries", make_reading(8), **headers())
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_append__a_worker_that_died_after_the_commit_left_the_same_receipt(town: WebTown) -> None:
    """What was begun and never answered is taken over: the statement is found, not made again."""
    town.open()
    path, body = "/v1/entries", make_reading(7)
    first = town.call("garage", "POST", path, body, **headers())
    _lose_answers(town)
    again = town.call("garage", "POST", path, body, **headers())
    assert (again.status_code, again.json()["code"]) == (409, "request_at_work")
    assert int(again.headers["retry-after"]) >= 1
    town.service.node.clock.now += LEASE_MS
    late = town.call("garage", "POST", path, body, **headers())
    assert late.json()["entry"] == first.json()["entry"]
    assert late.json()["receipt"]["record"] == first.json()["receipt"]["record"]
    assert count_entries(town) == 2


def test_open__a_worker_that_died_after_the_commit_left_the_same_passport(town: WebTown) -> None:
    first = town.open(**headers())
    _lose_answers(town)
    town.service.node.clock.now += LEASE_MS
    assert town.open(**headers()) == first
    again = town.call("dealer", "POST", "/v1/passports",
                      {"subject": {"scheme": "vin", "value": VIN}, "occasion": "first_registration"})  # fmt: skip
    assert again.json()["code"] == "subject_taken"


def test_append__of_duplicates_at_once_one_is_done(town: WebTown) -> None:
    town.open()
    gate = threading.Barrier(6)

    def send(_: int) -> Any:
        gate.wait()
        return town.record("garage", 7, **headers())

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    good = [one for one in answers if one.status_code == 201]
    assert len({one.json()["entry"] for one in good}) == 1
    assert {one.status_code for one in answers} <= {201, 409}
    assert count_entries(town) == 2


def _lose_answers(town: WebTown) -> None:
    """As if each worker had died between the commit and the note of its answer."""
    now = town.service.node.clock.now
    with town.office.people.write() as connection:
        connection.execute("UPDATE idempotency SET status = NULL, answer = NULL, until_ms = ?", (now + LEASE_MS,))
        assert msgspec.json.encode(connection.execute("SELECT count(*) FROM idempotency").fetchone()[0]) != b"0"


def test_append__what_was_answered_is_in_no_file_after_an_erasure(town: WebTown) -> None:
    """Whoever has every file of the node and its keys: the answer held the entry's proof, with what opens it."""
    passport = town.open()
    wanted = town.call("garage", "POST", "/v1/entries?proof=1", make_reading(41_777), **headers())
    assert wanted.status_code == 201
    bundle = wanted.json()["bundle"]
    # A field's salt and its value, as the proof shows them.
    (salt,) = re.findall(r'"odometer_km":\["([^"]+)",41777\]', bundle)
    home = town.service.desk.home.path
    chain = bytes.fromhex(passport.removeprefix("pas_"))
    town.service.node.writers[0].erase(chain, [wanted.json()["seq"]], "holder_request")
    for file in home.rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        assert not [trace for trace in (salt, "41777") if trace.encode() in data], file
    # Whoever asked has the proof anyway, and is answered as before.
    again = town.call("garage", "POST", "/v1/entries?proof=1", make_reading(41_777), **headers())
    assert (again.content, again.headers["idempotent-replayed"]) == (wanted.content, "true")
