"""`client.webhooks` against a service: what is added is tried, looked at, sent again and ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.sdk import Client, Conflict, Invalid, NotFound
from carnet.sdk.webhooks import verify
from tests.receivers import answering, receiving
from tests.sdk.server import Served, serving_on_socket


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving_on_socket(tmp_path) as served:
        yield served


def test_webhooks__from_adding_to_ending(served: Served) -> None:
    with receiving(answering(200, body=b"thanks")) as receiver, Client(served.address, "garage") as carnet:
        made = carnet.webhooks.add(receiver.url, ["entry.sealed"], note="ERP")
        assert (made.state, made.events, made.note) == ("active", ["entry.sealed"], "ERP")
        assert [one.id for one in carnet.webhooks.list()] == [made.id]
        tested = carnet.webhooks.test(made.id)
        assert (tested.status, tested.body) == (200, "thanks")
        (taken,) = receiver.taken
        now_s = int(tested.headers["webhook-timestamp"])
        assert verify(taken.body, taken.headers, made.keys[0], now=now_s).id == tested.message.id
        (message,) = carnet.webhooks.messages(made.id)
        assert [one.status for one in message.tries] == [200]
        assert list(carnet.webhooks.messages(made.id, in_state="dead")) == []
        assert carnet.webhooks.replay(made.id, message=message.id) == 1
        assert carnet.webhooks.replay(made.id, since="2023-01-01T00:00:00Z") == 0
        assert carnet.webhooks.rotate(made.id).keys[1:] == made.keys
        assert carnet.webhooks.start(made.id).state == "active"
        carnet.webhooks.end(made.id)
        with pytest.raises(NotFound):
            carnet.webhooks.get(made.id)
        with pytest.raises(Invalid) as refused:
            carnet.webhooks.add("http://hooks.example.org/")
        assert refused.value.code == "url_not_allowed"


def test_add__asked_twice_under_one_key_is_one_webhook(served: Served) -> None:
    with Client(served.address, "garage") as carnet:
        made = [carnet.webhooks.add("https://hooks.example.org/", idempotency_key="once-and-again") for _ in range(2)]
        assert made[0] == made[1]
        assert len(carnet.webhooks.list()) == 1


def test_webhooks__changed_only_as_they_were_seen(served: Served) -> None:
    with Client(served.address, "garage") as carnet:
        made = carnet.webhooks.add("https://hooks.example.org/")
        seen = carnet.webhooks.get(made.id)
        rotated = carnet.webhooks.rotate(made.id, seen=seen)
        # Asked again, as after a lost answer, the key that the receiver knows still signs.
        for change in (carnet.webhooks.rotate, carnet.webhooks.start, carnet.webhooks.end):
            with pytest.raises(Conflict) as refused:
                change(made.id, seen=seen)
            assert refused.value.code == "changed_since"
        assert carnet.webhooks.get(made.id).keys == rotated.keys == [rotated.keys[0], *made.keys]
        with pytest.raises(ValueError, match="get"):
            carnet.webhooks.end(made.id, seen=carnet.webhooks.list()[0])
        assert carnet.webhooks.start(made.id, seen=carnet.webhooks.get(made.id)).state == "active"
        carnet.webhooks.end(made.id, seen=carnet.webhooks.get(made.id))
        assert carnet.webhooks.list() == []
