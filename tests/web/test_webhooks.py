"""A member's admin looks after webhooks on a page, without script: adds, tries, sends again, gives a new key, ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from carnet.node.home import Home
from carnet.outbound.posting import Outcome, Trouble
from carnet.services.filing.records import Files
from carnet.services.principals import Role
from carnet.services.webhooks.endpoints import list_endpoints
from carnet.services.webhooks.following import Follower, Pace
from carnet.services.webhooks.messages import list_messages, note_outcome
from carnet.types import Basis
from carnet.web.policy import FRESH_MS
from tests.node.home import new_passport
from tests.receivers import answering, receiving
from tests.services.accounts.ground import OPERATOR
from tests.web.lodge import Lodge, lodging, post_form, visiting
from tests.web.test_organisation import HTML, sign_in

PAGE = "/organisation/webhooks"
URL = "https://hooks.example.org/carnet"


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path, network="test.example") as made:
        yield made


@pytest.fixture
def client(lodge: Lodge) -> Iterator[TestClient[Litestar]]:
    with visiting(lodge) as made:
        made.headers["Accept-Language"] = "en"
        yield made


def add(lodge: Lodge, client: TestClient[Litestar], **fields: Any) -> str:
    answer = post_form(client, PAGE, PAGE, **{"url": URL, **fields})
    assert answer.status_code == 303, answer.text
    lodge.node.clock.now += 10
    return str(answer.headers["location"])


def tell(lodge: Lodge) -> None:
    """Something happens, and a message of it is made."""
    lodge.node.writers[0].append(lodge.node.operator.id, Basis.REPORTED, [new_passport(77, 10)])
    follower = Follower(
        lodge.office, Files(Home(lodge.node.path), lodge.node.clock, lodge.node.dice), Pace(lambda: 0.0)
    )
    with lodge.node.read() as reader:
        assert follower.follow(reader) == 1


def test_webhooks__added_shown_and_ended(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    assert "No address is told yet" in client.get(PAGE, headers=HTML).text
    where = add(lodge, client, note="The workshop", event=["file.done", "entry.sealed"])
    page = client.get(where, headers=HTML)
    assert page.status_code == 200
    assert URL in page.text
    assert re.search(r"whpk_[A-Za-z0-9+/]{43}=", page.text)
    (endpoint,) = list_endpoints(lodge.office, OPERATOR)
    assert (endpoint.kinds, endpoint.note) == (("entry.sealed", "file.done"), "The workshop")
    assert where in client.get(PAGE, headers=HTML).text
    assert post_form(client, where, f"{where}/rotate").status_code == 303
    assert len(set(re.findall(r"whpk_[A-Za-z0-9+/]{43}=", client.get(where, headers=HTML).text))) == 2
    assert post_form(client, where, f"{where}/end").headers["location"] == PAGE
    assert client.get(where, headers=HTML).status_code == 404
    assert where not in client.get(PAGE, headers=HTML).text


def test_webhooks__a_form_sent_twice_tells_an_address_once_and_keeps_the_key_that_receivers_know(
    lodge: Lodge, client: TestClient[Litestar]
) -> None:
    sign_in(lodge, client, Role.ADMIN)
    where = {add(lodge, client, note="The workshop", once="1" * 32) for _ in range(2)}
    assert len(where) == 1
    (place,) = where
    assert len(list_endpoints(lodge.office, OPERATOR)) == 1

    def list_keys() -> list[str]:
        return re.findall(r"whpk_[A-Za-z0-9+/]{43}=", client.get(place, headers=HTML).text)

    (known,) = list_keys()
    for _ in range(2):
        assert post_form(client, place, f"{place}/rotate", generation="1").status_code == 303
    newest, before = list_keys()
    assert (before, newest != known) == (known, True)


def test_webhooks__a_refusal_keeps_what_was_typed(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    for url in ("http://hooks.example.org/", "https://192.168.1.9/hook", "nonsense"):
        answer = post_form(client, PAGE, PAGE, url=url, note="Mine", event="file.failed")
        assert answer.status_code == 422
        assert "Give an https address that everybody could reach" in answer.text
        assert f'value="{url}"' in answer.text
        assert 'value="file.failed" checked' in answer.text
    assert post_form(client, PAGE, PAGE, url=URL, event="entry.read").status_code == 422
    assert list_endpoints(lodge.office, OPERATOR) == []


def test_webhooks__for_admins_and_changed_by_those_who_are_there(lodge: Lodge, client: TestClient[Litestar]) -> None:
    for role in (Role.CLERK, Role.READER, Role.AUDITOR):
        sign_in(lodge, client, role)
        assert client.get(PAGE, headers=HTML).status_code == 403
    sign_in(lodge, client, Role.ADMIN)
    where = add(lodge, client)
    lodge.node.clock.now += FRESH_MS + 1000
    page = client.get(where, headers=HTML).text
    assert "Confirm first" in page
    assert f"{where}/end" not in page
    for act in (PAGE, f"{where}/rotate", f"{where}/end"):
        answer = post_form(client, where, act, url=URL)
        assert answer.status_code in (303, 403)
        assert "/confirm" in answer.headers.get("location", "/confirm")
    (endpoint,) = list_endpoints(lodge.office, OPERATOR)
    assert (endpoint.generation, endpoint.state) == (1, "active")


def test_webhooks__of_another_member_are_as_if_they_did_not_exist(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    where = add(lodge, client)
    tell(lodge)
    other = lodge.node.writers[0].enrol_member("The insurer", "insurer")
    sign_in(lodge, client, Role.ADMIN, other.id)
    assert where not in client.get(PAGE, headers=HTML).text
    for path in (where, PAGE + "/whk_" + "0" * 32):
        assert client.get(path, headers=HTML).status_code == 404
        for act in ("test", "start", "rotate", "end"):
            assert post_form(client, PAGE, f"{path}/{act}").status_code == 404, act
        assert post_form(client, PAGE, f"{path}/replay", days="30").status_code == 404


def test_test__shows_what_was_sent_and_what_came_back(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    with receiving(answering(200, body=b"<b>merci</b>")) as receiver:
        # A network for trying things that serves this machine alone may call this machine.
        where = add(lodge, client, url=receiver.url)
        answer = post_form(client, where, f"{where}/test")
        (taken,) = receiver.taken
    assert re.search(r"Taken: it answered 200 after \d+ ms\.", answer.text)
    assert "&lt;b&gt;merci&lt;/b&gt;" in answer.text
    for name in ("webhook-id", "webhook-timestamp"):
        assert f"{name}: {taken.headers[name]}" in answer.text
    assert "Nobody answers at this address." in post_form(client, where, f"{where}/test").text
    page = client.get(where, headers=HTML).text
    assert page.count("webhook.test") >= 2
    assert "It is told what happens." in page


def test_messages__are_shown_with_their_tries_and_sent_again(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    where = add(lodge, client)
    tell(lodge)
    (endpoint,) = list_endpoints(lodge.office, OPERATOR)

    def get() -> Any:
        return list_messages(lodge.office, OPERATOR, endpoint.public_id)[0][0]

    note_outcome(lodge.office, get(), Outcome(503, Trouble.ANSWERED, b"", 42))
    page = client.get(where, headers=HTML).text
    assert "It answered 503, which is no success." in page
    assert "(42 ms)" in page
    assert "Next try:" in page
    assert "It does not take what it is told." in page
    while get().state == "waiting":
        note_outcome(lodge.office, get(), Outcome(None, Trouble.NOT_REACHED, b"", 1))
    assert "Not delivered" in client.get(where, headers=HTML).text
    again = post_form(client, where, f"{where}/replay", message=get().public_id)
    assert "1 message is sent again." in again.text
    assert get().state == "waiting"
    assert "0 messages are sent again." in post_form(client, where, f"{where}/replay", days="3").text
    assert post_form(client, where, f"{where}/replay", days="4000").status_code == 422
    note_outcome(lodge.office, get(), Outcome(410, Trouble.ANSWERED, b"", 1))
    stopped = client.get(where, headers=HTML).text
    assert "it answered that it is gone for good" in stopped
    assert post_form(client, where, f"{where}/replay", days="3").status_code == 422
    assert post_form(client, where, f"{where}/start").status_code == 303
    assert "It is told what happens." in client.get(where, headers=HTML).text
    assert "1 message is sent again." in post_form(client, where, f"{where}/replay", days="3").text
