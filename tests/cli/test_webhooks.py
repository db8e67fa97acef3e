"""`carnet webhook` at the node's own terminal, and through a service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.node.home import Home
from carnet.outbound.posting import Outcome, Trouble
from carnet.sdk.webhooks import verify
from carnet.services.accounts.office import office_at
from carnet.services.webhooks.endpoints import find_by_id, list_endpoints
from carnet.services.webhooks.events import EVENTS, make_payload
from carnet.services.webhooks.messages import find_message, insert_message, note_outcome
from tests.cli.run import Ran, carnet
from tests.receivers import answering, find_closed_port, receiving
from tests.sdk.server import Served, serving_on_socket
from tests.services.accounts.ground import OPERATOR


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    assert carnet("init", "--name", "test.cars.example", home=made).code == 0
    assert carnet("member", "add", "--kind", "garage", "--name", "Tilleuls", home=made).code == 0
    return made


def test_webhook__from_adding_to_ending(home: Path) -> None:
    with receiving(answering(200, 500, body=b"thanks")) as receiver:
        added = carnet("webhook", "add", receiver.url, "--member", "Tilleuls", "--note", "ERP", "--json", home=home)
        assert added.code == 0, added.err
        webhook, key = added.json["id"], added.json["keys"][0]
        tested = carnet("webhook", "test", webhook, "--json", home=home)
        assert (tested.code, tested.json["status"], tested.json["body"]) == (0, 200, "thanks")
        (taken,) = receiver.taken
        assert verify(taken.body, taken.headers, key).id == tested.json["message"]["id"]
        failed = carnet("webhook", "test", webhook, home=home)
        assert failed.code == 1
        assert "not taken: answered 500" in failed.out
    (listed,) = carnet("webhook", "list", "--json", home=home).json_lines
    assert (listed["id"], listed["state"], listed["note"]) == (webhook, "active", "ERP")
    assert receiver.url in carnet("webhook", "list", home=home).out
    rotated = carnet("webhook", "rotate", webhook, "--json", home=home).json
    assert rotated["keys"][1:] == [key]
    shown = carnet("webhook", "deliveries", webhook, home=home)
    assert shown.out.count("webhook.test") == 2
    dead = carnet("webhook", "deliveries", webhook, "--state", "dead", "--json", home=home).json_lines
    assert [one["tries"][0]["status"] for one in dead] == [500]
    assert carnet("webhook", "start", webhook, home=home).code == 0
    assert carnet("webhook", "end", webhook, home=home).code == 0
    assert carnet("webhook", "list", "--json", home=home).json_lines == []


def test_replay__one_or_all_that_are_dead(home: Path) -> None:
    url = f"http://127.0.0.1:{find_closed_port()}/"
    webhook = carnet("webhook", "add", url, "--member", "Tilleuls", "--json", home=home).json["id"]
    with office_at(Home(home)) as (office, _):
        now, event = office.clock(), EVENTS[0]
        with office.people.write() as connection:
            (endpoint,) = list_endpoints(office, OPERATOR)
            payload = make_payload(event.name, now, event.example)
            insert_message(connection, b"m" * 16, endpoint, event.name, payload, now, next_ms=now)
        message = None
        while message is None or message.state == "waiting":
            with office.people.read() as connection:
                message = find_message(connection, b"m" * 16)
            assert message is not None
            message = note_outcome(office, message, Outcome(None, Trouble.NOT_REACHED))
        with office.people.read() as connection:
            assert find_by_id(connection, endpoint.id) is not None
    assert carnet("webhook", "replay", webhook, "--since", "1h", "--json", home=home).json["count"] == 1
    assert carnet("webhook", "replay", webhook, "--since", "1h", "--json", home=home).json["count"] == 0
    one = carnet("webhook", "replay", webhook, message.public_id, home=home)
    assert (one.code, one.out.startswith("1 sent again")) == (0, True)
    assert carnet("webhook", "replay", webhook, home=home).code == 2
    assert carnet("webhook", "replay", webhook, message.public_id, "--since", "1h", home=home).code == 2


def test_webhook__refused__says_what_to_do(home: Path) -> None:
    private = carnet("webhook", "add", "https://10.0.0.1/", "--member", "Tilleuls", home=home)
    assert private.code != 0
    assert "CARNET_WEBHOOK_NETWORKS" in private.err
    unknown = carnet("webhook", "test", "whk_" + "0" * 32, home=home)
    assert unknown.code != 0
    assert "carnet webhook list" in unknown.err
    wrong = carnet(
        "webhook", "add", "https://hooks.example.org/", "--member", "Tilleuls", "--event", "entry.read", home=home
    )
    assert "entry.sealed" in wrong.err
    assert carnet("webhook", "add", "https://hooks.example.org/", home=home).code == 2


# ---- through a service


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving_on_socket(tmp_path / "served") as served:
        yield served


def test_server__a_members_key_reaches_its_own_alone(served: Served, tmp_path: Path) -> None:
    def run(who: str, *arguments: str) -> Ran:
        key = tmp_path / f"{who}.key"
        key.write_text(who + "\n")
        os.chmod(key, 0o600)
        return carnet("--server", served.address, "--key-file", key, "webhook", *arguments, home=tmp_path / "none")

    with receiving(answering(200)) as receiver:
        added = run("garage", "add", receiver.url, "--json")
        assert added.code == 0, added.err
        webhook = added.json["id"]
        assert run("garage", "test", webhook).code == 0
    assert [one["id"] for one in run("garage", "list", "--json").json_lines] == [webhook]
    assert run("insurer", "list", "--json").json_lines == []
    assert run("insurer", "end", webhook).code != 0
    assert len(run("garage", "deliveries", webhook, "--json").json_lines) == 1
    assert run("garage", "replay", webhook, "--since", "30d", "--json").json["count"] == 0
    assert run("garage", "add", "https://x.example/", "--member", "Tilleuls").code == 2
    assert run("garage", "end", webhook).code == 0
