"""Delivering: a success is noted, a failure tried again on the schedule, and what may not be told is not told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import pytest

from carnet.errors import Reason
from carnet.outbound.posting import Outcome, Poster, Trouble
from carnet.sdk.webhooks import verify
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.office import DAY_MS, HOUR_MS, MINUTE_MS
from carnet.services.accounts.throttling import LIMITS, Attempt
from carnet.services.webhooks.endpoints import FAILING, GONE, Endpoint, list_endpoints, rotate
from carnet.services.webhooks.keys import get_public_key
from carnet.services.webhooks.messages import (
    JITTER,
    MAX_FAILING_MS,
    PAUSES_MS,
    find_pause,
    get_message,
    note_outcome,
    replay,
)
from carnet.services.webhooks.sending import filter_payload, send_test
from tests.receivers import Behave, answering, find_closed_port, receiving, silent
from tests.services.accounts.ground import OPERATOR
from tests.services.town import OTHER_VIN, VIN, reading
from tests.services.webhooks.ground import LOCAL, SOMEWHERE, Ground
from tests.services.webhooks.test_endpoints import refuse

FAILED = Outcome(500, Trouble.ANSWERED)


def make_message(ground: Ground, url: str = SOMEWHERE) -> Endpoint:
    """An address for which one message waits."""
    endpoint = ground.add("garage", url)
    ground.town.open("dealer")
    ground.town.append(ground.town.staff("garage"), reading(1000), subject=VIN)
    assert ground.follow() == 1
    return endpoint


def get_now(ground: Ground, endpoint: Endpoint) -> Endpoint:
    return next(one for one in list_endpoints(ground.office, OPERATOR) if one.id == endpoint.id)


def test_deliver__is_signed_and_noted(ground: Ground) -> None:
    with receiving(answering(204, body=b"")) as receiver:
        endpoint = make_message(ground, receiver.url)
        assert ground.sender().deliver_next(endpoint.id) is True
        (taken,) = receiver.taken
    (message,) = ground.list(endpoint)
    assert (message.state, message.tries, message.status, message.trouble) == ("delivered", 1, 204, None)
    assert [(one.status, one.trouble) for one in message.history] == [(204, None)]
    assert taken.headers["webhook-id"] == message.public_id
    now_s = int(taken.headers["webhook-timestamp"])
    event = verify(taken.body, taken.headers, get_public_key(ground.office, endpoint), now=now_s)
    assert (event.id, event.type) == (message.public_id, "entry.sealed")
    assert taken.body == message.payload
    assert ground.sender().deliver_next(endpoint.id) is None


@pytest.mark.parametrize("behave", [answering(500), answering(301, headers="Location: https://x.example/\r\n")])
def test_deliver__a_failure_waits_for_its_next_try(ground: Ground, behave: Behave) -> None:
    with receiving(behave) as receiver:
        endpoint = make_message(ground, receiver.url)
        assert ground.sender().deliver_next(endpoint.id) is False
    (message,) = ground.list(endpoint)
    assert (message.state, message.tries) == ("waiting", 1)
    assert message.next_at is not None
    assert message.tried_at is not None
    assert 4_500 <= message.next_at - message.tried_at <= 5_500
    assert get_now(ground, endpoint).state == "failing"


def test_schedule__ten_tries_over_three_days(ground: Ground) -> None:
    """With the clock turned to each next try: the pauses of the table, a tenth shorter or longer, then the end."""
    endpoint, sender = make_message(ground, f"http://127.0.0.1:{find_closed_port()}/"), ground.sender()
    clock, times = ground.town.node.clock, list[int]()
    while (message := ground.list(endpoint)[0]).state == "waiting":
        assert message.next_at is not None
        clock.now = max(clock.now, message.next_at)
        sender.deliver_next(endpoint.id)
        times.append(clock.now)
    assert len(times) == len(PAUSES_MS) + 1
    for pause, before, after in zip(PAUSES_MS, times, times[1:], strict=False):
        assert abs(after - before - pause) <= pause * JITTER // 100 + 20
    assert 2.7 * DAY_MS < times[-1] - times[0] < 3.6 * DAY_MS
    assert (message.state, message.trouble, message.next_at) == ("dead", "not_reached", None)
    assert len(message.history) == 10


def test_find_pause__stays_within_its_jitter() -> None:
    for tries, pause in enumerate(PAUSES_MS):
        draws = [find_pause(tries, number.to_bytes(2, "big")) or 0 for number in range(0, 0x10000, 257)]
        assert min(draws) == pause - pause // JITTER
        assert max(draws) == pause + pause // JITTER
        assert len(set(draws)) > 100
    assert find_pause(len(PAUSES_MS), b"\0\0") is None
    assert PAUSES_MS[1] == 5 * MINUTE_MS
    assert PAUSES_MS[-1] == 24 * HOUR_MS


def test_gone__stops_the_address_at_once(ground: Ground) -> None:
    with receiving(answering(410)) as receiver:
        endpoint = make_message(ground, receiver.url)
        ground.sender().deliver_next(endpoint.id)
    found = get_now(ground, endpoint)
    assert (found.state, found.stopped_why) == ("stopped", GONE)
    (message,) = ground.list(endpoint)
    assert (message.state, message.status, message.next_at) == ("dead", 410, None)
    (event,) = [one for one in list_events(ground.office, OPERATOR) if one.action is Action.WEBHOOK_STOPPED]
    assert (event.who, event.about, event.why) == ("node", endpoint.public_id, GONE)
    refuse(Reason.FIELDS_CONFLICT, replay, ground.office, ground.admin(), endpoint.public_id, since=0)


def test_failing__for_five_days_stops_the_address(ground: Ground) -> None:
    endpoint = make_message(ground)
    (message,) = ground.list(endpoint)
    note_outcome(ground.office, message, FAILED)
    ground.wait(MAX_FAILING_MS - 1000)
    note_outcome(ground.office, ground.list(endpoint)[0], FAILED)
    assert get_now(ground, endpoint).state == "failing"
    ground.wait(2000)
    note_outcome(ground.office, ground.list(endpoint)[0], FAILED)
    found = get_now(ground, endpoint)
    assert (found.state, found.stopped_why) == ("stopped", FAILING)


def test_failing__ends_with_a_success(ground: Ground) -> None:
    endpoint = make_message(ground)
    note_outcome(ground.office, ground.list(endpoint)[0], FAILED)
    ground.wait(4 * DAY_MS)
    note_outcome(ground.office, ground.list(endpoint)[0], Outcome(200, None))
    assert get_now(ground, endpoint).state == "active"
    note_outcome(ground.office, ground.list(endpoint)[0], FAILED)
    ground.wait(2 * DAY_MS)
    note_outcome(ground.office, ground.list(endpoint)[0], FAILED)
    assert get_now(ground, endpoint).state == "failing"


def test_replay__sends_again_under_the_same_id(ground: Ground) -> None:
    with receiving(answering(500, 200)) as receiver:
        endpoint, sender = make_message(ground, receiver.url), ground.sender()
        (message,) = ground.list(endpoint)
        while ground.list(endpoint)[0].state == "waiting":
            note_outcome(ground.office, ground.list(endpoint)[0], FAILED)
        assert replay(ground.office, ground.admin(), endpoint.public_id, since=message.created_at + 1) == 0
        assert replay(ground.office, ground.admin(), endpoint.public_id, since=0) == 1
        sender.deliver_next(endpoint.id)
        assert ground.list(endpoint)[0].state == "waiting"
        ground.wait(MINUTE_MS)
        sender.deliver_next(endpoint.id)
        delivered = ground.list(endpoint)[0]
        assert (delivered.state, delivered.id) == ("delivered", message.id)
        # One that was delivered is sent again when it is named, and not with those that are dead.
        assert replay(ground.office, ground.admin(), endpoint.public_id, since=0) == 0
        assert replay(ground.office, ground.admin(), endpoint.public_id, message=message.public_id) == 1
        assert sender.deliver_next(endpoint.id) is True
        assert {taken.headers["webhook-id"] for taken in receiver.taken} == {message.public_id}
        assert len(receiver.taken) == 3
    assert any(one.action is Action.WEBHOOK_REPLAYED for one in list_events(ground.office, OPERATOR))
    refuse(Reason.MISSING_FIELD, replay, ground.office, ground.admin(), endpoint.public_id)
    other = ground.add("insurer")
    who = ground.admin("insurer")
    refuse(Reason.UNKNOWN_WEBHOOK, replay, ground.office, who, other.public_id, message=message.public_id)
    refuse(Reason.UNKNOWN_WEBHOOK, get_message, ground.office, who, other.public_id, message.public_id)


def test_test__shows_what_was_sent_and_answered_and_is_tried_once(ground: Ground) -> None:
    with receiving(answering(200, 410, body=b"thanks")) as receiver:
        endpoint = ground.add("garage", receiver.url, "file.done")
        tested = send_test(ground.office, ground.admin(), endpoint.public_id, Poster(LOCAL, 5.0))
        assert (tested.outcome.status, tested.outcome.body, tested.message.state) == (200, b"thanks", "delivered")
        assert tested.headers["webhook-id"] == tested.message.public_id
        assert msgspec.json.decode(receiver.taken[0].body)["type"] == "webhook.test"
        failed = send_test(ground.office, ground.program(), endpoint.public_id, Poster(LOCAL, 5.0))
        assert (failed.message.state, failed.message.status) == ("dead", 410)
    assert get_now(ground, endpoint).state == "active"
    assert any(one.action is Action.WEBHOOK_TESTED for one in list_events(ground.office, OPERATOR))
    refuse(Reason.UNKNOWN_WEBHOOK, send_test, ground.office, ground.admin("insurer"), endpoint.public_id, Poster(LOCAL))
    refused = ground.add("garage", SOMEWHERE)
    with ground.office.people.write() as connection:
        url = "https://192.168.7.7/inner"
        connection.execute("UPDATE webhook SET url = ? WHERE id = ?", (url, refused.id))
    inner = send_test(ground.office, ground.admin(), refused.public_id, Poster(LOCAL, 5.0))
    assert inner.outcome.trouble is Trouble.ADDRESS_REFUSED
    for _ in range(LIMITS[Attempt.WEBHOOK_TESTS_BY_CALLER].attempts - 2):
        send_test(ground.office, ground.admin(), refused.public_id, Poster(LOCAL, 5.0))
    refuse(Reason.TOO_MANY_REQUESTS, send_test, ground.office, ground.admin(), refused.public_id, Poster(LOCAL))


def test_rotation__a_receiver_takes_either_key_meanwhile(ground: Ground) -> None:
    with receiving(answering(200)) as receiver:
        endpoint = make_message(ground, receiver.url)
        old = get_public_key(ground.office, endpoint)
        new = get_public_key(ground.office, rotate(ground.office, ground.admin(), endpoint.public_id))
        ground.sender().deliver_next(endpoint.id)
        (taken,) = receiver.taken
    now_s = int(taken.headers["webhook-timestamp"])
    for key in (old, new):
        assert verify(taken.body, taken.headers, key, now=now_s).type == "entry.sealed"


# ---- what may not be told any more


def test_access__what_was_erased_since_is_left_out(ground: Ground) -> None:
    operator = ground.town.members["operator"]
    endpoint = make_message(ground)
    passport = ground.town.open("dealer", OTHER_VIN)
    ground.town.append(ground.town.staff("garage"), reading(5, "2023-05-05"), subject=OTHER_VIN)
    ground.follow()
    first, second = reversed(ground.list(endpoint))
    garage = ground.town.members["garage"].id
    with ground.reading() as reader:
        assert filter_payload(reader, garage, first.payload) == first.payload
        assert filter_payload(reader, garage, second.payload) == second.payload
        assert filter_payload(reader, ground.town.members["insurer"].id, first.payload) is None
        both = msgspec.json.decode(first.payload)
        both["data"]["entries"] += msgspec.json.decode(second.payload)["data"]["entries"]
        both["data"]["entry_count"] = 2
    ground.town.erase(passport, "test_data")
    with ground.reading() as reader:
        assert filter_payload(reader, garage, second.payload) is None
        kept = filter_payload(reader, garage, msgspec.json.encode(both))
        assert kept is not None
        assert msgspec.json.decode(kept)["data"] == msgspec.json.decode(first.payload)["data"]
        assert filter_payload(reader, operator.id, first.payload) is None
    with receiving(answering(200)) as receiver:
        with ground.office.people.write() as connection:
            connection.execute("UPDATE webhook SET url = ?", (receiver.url,))
        sender = ground.sender()
        while sender.deliver_next(endpoint.id) is not None:
            pass
        (taken,) = receiver.taken
    assert taken.body == first.payload
    states = [(one.state, one.trouble) for one in ground.list(endpoint)]
    assert states == [("dead", "not_permitted"), ("delivered", None)]


def test_access__a_member_that_has_left_is_told_nothing(ground: Ground) -> None:
    """Also where its webhooks were not ended with it."""
    with receiving(answering(200)) as receiver:
        endpoint = make_message(ground, receiver.url)
        ground.town.writer.retire(endpoint.member)
        ground.sender().deliver_next(endpoint.id)
        assert receiver.connections == 0
    assert ground.list(endpoint)[0].trouble == "not_permitted"


# ---- many at once


def wait_until(check: Callable[[], bool], patience_s: float = 20.0) -> None:
    until = time.monotonic() + patience_s
    while not check():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_sender__a_slow_address_holds_up_nobody_else(ground: Ground) -> None:
    """A receiver that never answers has one message at a time; the other one gets all of its own meanwhile."""
    with receiving(silent) as slow, receiving(answering(200)) as quick:
        first, second = ground.add("garage", slow.url), ground.add("garage", quick.url)
        ground.town.open("dealer")
        for number in range(8):
            ground.town.append(ground.town.staff("garage"), reading(1 + number, f"2023-05-0{number + 1}"), subject=VIN)
        assert ground.follow() == 16
        sender = ground.sender(timeout_s=8.0)
        began = time.monotonic()
        assert sender.start_due() == 2
        wait_until(lambda: len(quick.taken) == 8)
        assert time.monotonic() - began < 6
        assert slow.connections == 1
        assert sender.start_due() == 0
        wait_until(lambda: {one.state for one in ground.list(second)} == {"delivered"})
        assert {one.state for one in ground.list(first)} == {"waiting"}


def test_sender__a_member_with_many_slow_addresses_holds_up_no_other(ground: Ground) -> None:
    with receiving(silent) as slow, receiving(answering(200)) as quick:
        for _ in range(6):
            ground.add("garage", slow.url)
        other = ground.add("dealer", quick.url)
        ground.town.open("dealer")
        ground.town.append(ground.town.staff("garage"), reading(1), subject=VIN)
        assert ground.follow() == 7
        sender = ground.sender(timeout_s=8.0, at_once=4, of_member=3)
        assert sender.start_due() == 4
        wait_until(lambda: {one.state for one in ground.list(other)} == {"delivered"}, 6.0)
        wait_until(lambda: slow.connections == 3, 6.0)
        assert sender.start_due() == 0
        assert slow.connections == 3


def test_sender__one_that_is_slow_and_takes_all_gives_others_their_turn(ground: Ground) -> None:
    """It succeeds each time, so it never rests: with fifty messages of 14 seconds it kept its place for twelve minutes,
    and four members with four such addresses kept all sixteen."""

    def drag(connection: object, number: int) -> None:
        time.sleep(0.4)
        answering(200)(connection, number)  # type: ignore[arg-type]

    with receiving(drag) as slow, receiving(answering(200)) as quick:
        first, second = ground.add("garage", slow.url), ground.add("garage", slow.url)
        ground.town.open("dealer")
        for number in range(6):
            ground.town.append(ground.town.staff("garage"), reading(1 + number, f"2023-05-0{number + 1}"), subject=VIN)
        assert ground.follow() == 12
        other = ground.add("dealer", quick.url)
        ground.town.append(ground.town.staff("dealer"), reading(9, "2023-05-09"), subject=VIN)
        assert ground.follow() == 1
        sender = ground.sender(at_once=1, turn_s=0.5)

        def is_told(endpoint: Endpoint) -> bool:
            sender.start_due()
            return {one.state for one in ground.list(endpoint)} == {"delivered"}

        wait_until(lambda: is_told(other))
        # Each of the others had one turn before.
        assert len(slow.taken) <= 5
        assert {one.state for one in ground.list(second)} == {"delivered", "waiting"}
        wait_until(lambda: is_told(first) and is_told(second), 20.0)


def test_sender__one_that_fails_rests_whatever_waits_for_it(ground: Ground) -> None:
    with receiving(answering(503)) as receiver:
        endpoint = ground.add("garage", receiver.url)
        ground.town.open("dealer")
        for number in range(5):
            ground.town.append(ground.town.staff("garage"), reading(1 + number, f"2023-05-0{number + 1}"), subject=VIN)
        ground.follow()
        sender = ground.sender()
        for _ in range(10):
            sender.start_due()
            time.sleep(0.05)
        assert receiver.connections == 1
    assert len([one for one in ground.list(endpoint) if one.tries]) == 1


def test_sender__keeps_within_its_bound(ground: Ground) -> None:
    at_once, most, lock = [0], [0], threading.Lock()

    def behave(connection: object, number: int) -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.2)
        with lock:
            at_once[0] -= 1
        answering(200)(connection, number)  # type: ignore[arg-type]

    with receiving(behave) as receiver:
        endpoints = [ground.add("garage", receiver.url) for _ in range(6)]
        ground.town.open("dealer")
        ground.town.append(ground.town.staff("garage"), reading(1), subject=VIN)
        assert ground.follow() == 6
        sender = ground.sender(at_once=2)

        def is_done() -> bool:
            sender.start_due()
            return all(one.state == "delivered" for each in endpoints for one in ground.list(each))

        wait_until(is_done)
    assert most[0] == 2
