"""`/v1/webhooks`: a program manages its member's addresses, sees what they were told, and nobody else's."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carnet.node.home import Home
from carnet.sdk.webhooks import verify
from carnet.services.filing.records import Files
from carnet.services.webhooks.events import EVENTS, NAMES
from carnet.services.webhooks.following import Follower, Pace
from carnet.web.api.webhooks import find_text
from tests.receivers import answering, find_closed_port, receiving, sending
from tests.web.town import WebTown, serving_town

URL = "https://hooks.example.org/carnet"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with serving_town(tmp_path, origin="http://127.0.0.1:8140") as town:
        yield town


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTown]:
    """A town of a live network, from which this machine is not reached either; for what is refused."""
    with serving_town(tmp_path_factory.mktemp("live"), origin="http://127.0.0.1:8140") as town:
        town.service.desk.shelf["office"] = type(town.office)(
            town.office.people, town.office.key, "example.org", town.office.clock, town.office.random_bytes
        )
        yield town


def add(town: WebTown, who: str = "garage", url: str = URL, **more: Any) -> Any:
    answer = town.call(who, "POST", "/v1/webhooks", {"url": url, **more})
    assert answer.status_code == 201, answer.text
    town.service.node.clock.now += 10
    return answer.json()


def follow(town: WebTown) -> int:
    node = town.service.node
    follower = Follower(town.office, Files(Home(node.path), node.clock, node.dice), Pace(lambda: 0.0))
    with node.read() as reader:
        return follower.follow(reader)


def test_webhook__is_changed_as_it_was_seen_and_once(town: WebTown) -> None:
    """A rotation that is sent again, because its answer was lost, ended at once the key that the receiver knew."""
    made = add(town)
    path = f"/v1/webhooks/{made['id']}"
    seen = town.call("garage", "GET", path)
    tag = seen.headers["etag"]
    assert town.call("garage", "GET", path, headers={"If-None-Match": tag}).status_code == 304
    listed = town.call("garage", "GET", "/v1/webhooks").headers["etag"]
    assert town.call("garage", "GET", "/v1/webhooks", headers={"If-None-Match": listed}).status_code == 304

    rotated = town.call("garage", "POST", f"{path}/rotate", headers={"If-Match": tag})
    assert (rotated.status_code, rotated.json()["keys"][-1:]) == (200, seen.json()["keys"])
    for method, what in (("POST", "/rotate"), ("POST", "/start"), ("DELETE", "")):
        refused = town.call("garage", method, path + what, headers={"If-Match": tag})
        assert (refused.status_code, refused.json()["code"]) == (412, "changed_since")
    assert town.call("garage", "GET", path).json()["keys"] == rotated.json()["keys"]
    tag = town.call("garage", "GET", path).headers["etag"]
    assert town.call("garage", "DELETE", path, headers={"If-Match": tag}).status_code == 204
    assert town.call("garage", "GET", "/v1/webhooks", headers={"If-None-Match": listed}).status_code == 200


def test_webhook__from_its_beginning_to_its_end(town: WebTown) -> None:
    made = add(town, note="the workshop")
    assert made["id"].startswith("whk_")
    assert (made["state"], made["events"], made["note"], made["url"]) == ("active", list(NAMES), "the workshop", URL)
    (key,) = made["keys"]
    assert key.startswith("whpk_")
    assert len(b64decode(key.removeprefix("whpk_"))) == 32
    path = f"/v1/webhooks/{made['id']}"
    assert town.call("garage's admin", "GET", path).json() == made
    assert town.call("garage", "GET", "/v1/webhooks").json()["data"] == [made]
    rotated = town.call("garage", "POST", f"{path}/rotate").json()
    assert rotated["keys"][1:] == [key]
    assert town.call("garage", "POST", f"{path}/start").json()["state"] == "active"
    assert town.call("garage", "DELETE", path).status_code == 204
    assert town.call("garage", "GET", path).status_code == 404
    assert town.call("garage", "GET", "/v1/webhooks").json()["data"] == []


def test_webhook__is_its_members_alone(town: WebTown) -> None:
    """Everything of another member is as if it did not exist."""
    made = add(town)
    town.open()
    town.record("garage")
    assert follow(town) == 1
    (message,) = town.call("garage", "GET", f"/v1/webhooks/{made['id']}/messages").json()["data"]
    own = add(town, "insurer")
    absent = "whk_" + "0" * 32
    for who in ("insurer", "insurer's admin"):
        assert [one["id"] for one in town.call(who, "GET", "/v1/webhooks").json()["data"]] == [own["id"]]
    for method, rest, body in (
        ("GET", "", None), ("DELETE", "", None), ("POST", "/rotate", None), ("POST", "/start", None),
        ("POST", "/test", None), ("POST", "/replay", {"message": message["id"]}), ("GET", "/messages", None),
        ("GET", f"/messages/{message['id']}", None),
    ):  # fmt: skip
        there = town.call("insurer", method, f"/v1/webhooks/{made['id']}{rest}", body)
        gone = town.call("insurer", method, f"/v1/webhooks/{absent}{rest}", body)
        assert (there.status_code, there.json()["code"]) == (404, "unknown_webhook"), (method, rest)
        blank = {"request_id": ""}
        assert there.json() | blank == gone.json() | blank
    cross = town.call("insurer", "GET", f"/v1/webhooks/{own['id']}/messages/{message['id']}")
    assert cross.status_code == 404


def test_webhook__changed_by_programs_with_the_scope_and_in_the_page(town: WebTown) -> None:
    for who, status in (("garage, no scope", 403), ("garage's admin", 403), ("garage's clerk", 403), ("holder", 403),
                        ("operator", 403), ("visitor", 401)):  # fmt: skip
        assert town.call(who, "POST", "/v1/webhooks", {"url": URL}).status_code == status, who
    assert town.call("garage's clerk", "GET", "/v1/webhooks").status_code == 403


@pytest.mark.parametrize(
    "body, code",
    [
        ({"url": "http://hooks.example.org/"}, "url_not_allowed"),
        ({"url": "https://10.0.0.1/"}, "url_not_allowed"),
        ({"url": "http://127.0.0.1/"}, "url_not_allowed"),
        ({"url": URL, "events": ["entry.read"]}, "not_in_list"),
        ({"url": URL, "secret": "x"}, "unknown_field"),
        ({"events": []}, "missing_field"),
    ],
)
def test_add__refused(live: WebTown, body: dict[str, Any], code: str) -> None:
    answer = live.call("garage", "POST", "/v1/webhooks", body)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_test__shows_what_was_sent_and_what_came_back(town: WebTown) -> None:
    with receiving(answering(202, body=b"merci")) as receiver:
        made = add(town, url=receiver.url)
        shown = town.call("garage", "POST", f"/v1/webhooks/{made['id']}/test").json()
        (taken,) = receiver.taken
    assert (shown["status"], shown["body"], shown["trouble"]) == (202, "merci", None)
    assert shown["message"]["payload"] == json.loads(taken.body)
    event = verify(taken.body, taken.headers, made["keys"][0], now=int(shown["headers"]["webhook-timestamp"]))
    assert (event.type, event.data) == ("webhook.test", {"webhook": made["id"]})
    for name in ("webhook-id", "webhook-signature"):
        assert shown["headers"][name] == taken.headers[name]


def test_test__of_an_address_that_fails(town: WebTown) -> None:
    made = add(town, url=f"http://127.0.0.1:{find_closed_port()}/")
    shown = town.call("garage", "POST", f"/v1/webhooks/{made['id']}/test").json()
    assert (shown["status"], shown["trouble"], shown["message"]["state"]) == (None, "not_reached", "dead")
    with receiving(sending(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\xfd\xfc")) as receiver:
        binary = add(town, url=receiver.url)
        shown = town.call("garage", "POST", f"/v1/webhooks/{binary['id']}/test").json()
    assert (shown["status"], shown["body"], b64decode(shown["body_base64"])) == (200, None, b"\xff\xfe\xfd\xfc")


def test_messages__are_paged_filtered_and_sent_again(town: WebTown) -> None:
    made = add(town)
    town.open()
    for km in range(6):
        town.record("garage", 1000 + km)
    assert follow(town) == 6
    path = f"/v1/webhooks/{made['id']}/messages"
    whole = town.call("garage", "GET", path).json()
    assert (len(whole["data"]), whole["has_more"]) == (6, False)
    found, last = [], ""
    while True:
        page = town.call("garage", "GET", f"{path}?limit=4{last}").json()
        found += page["data"]
        if not page["has_more"]:
            break
        last = f"&starting_after={found[-1]['id']}"
    assert found == whole["data"]
    assert town.call("garage", "GET", f"{path}?in_state=waiting").json()["data"] == whole["data"]
    assert town.call("garage", "GET", f"{path}?in_state=dead").json()["data"] == []
    assert town.call("garage", "GET", f"{path}?in_state=lost").status_code == 422
    assert town.call("garage", "GET", f"{path}?limit=0").status_code == 422
    first = whole["data"][0]
    assert town.call("garage", "GET", f"{path}/{first['id']}").json() == first
    replay = f"/v1/webhooks/{made['id']}/replay"
    assert town.call("garage", "POST", replay, {"message": first["id"]}).json()["count"] == 1
    assert town.call("garage", "POST", replay, {"since": "2023-01-01T00:00:00Z"}).json()["count"] == 0
    for body, code in (
        ({}, "missing_field"), ({"since": "yesterday"}, "invalid_time"), ({"since": "2023-01-01"}, "invalid_time"),
        ({"message": "msg_1"}, "value_out_of_range"), ({"since": "0001-01-01T00:00:00+23:59"}, "invalid_time"),
        ({"since": "9999-12-31T23:59:59-23:59"}, "invalid_time"),
    ):  # fmt: skip
        answer = town.call("garage", "POST", replay, body)
        assert answer.json()["code"] == code, answer.text
    # A list that cannot go on is no webhook that is gone.
    for cursor in ("msg_1", f"msg_{'0' * 32}", made["id"]):
        answer = town.call("garage", "GET", f"{path}?starting_after={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (422, "value_out_of_range")


def test_openapi__has_every_event_with_an_example(town: WebTown) -> None:
    import jsonschema_rs

    document = town.call("visitor", "GET", "/v1/openapi.json").json()
    assert set(document["webhooks"]) == {event.name for event in EVENTS}
    for name, found in document["webhooks"].items():
        content = found["post"]["requestBody"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        assert list(jsonschema_rs.Draft202012Validator(schema).iter_errors(content["example"])) == [], name


def test_openapi__what_is_sent_has_the_shape_that_is_promised(town: WebTown) -> None:
    import jsonschema_rs

    document = town.call("visitor", "GET", "/v1/openapi.json").json()
    made = add(town)
    town.open()
    town.record("garage")
    assert follow(town) == 1
    for message in town.call("garage", "GET", f"/v1/webhooks/{made['id']}/messages").json()["data"]:
        content = document["webhooks"][message["type"]]["post"]["requestBody"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        assert list(jsonschema_rs.Draft202012Validator(schema).iter_errors(message["payload"])) == []


@pytest.mark.parametrize(
    "body, text",
    [(b"", ""), (b"ok", "ok"), ("é".encode()[:1], None), (b"a" + "é".encode()[:1], "a"), (b"\xffab", None)],
)
def test_find_text__cut_amid_a_character_is_text_all_the_same(body: bytes, text: str | None) -> None:
    assert find_text(body) == text
