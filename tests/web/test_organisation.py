"""A member's admin looks after its people and programs on a page, without script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from carnet.services.accounts.callers import find_caller
from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import Post, insert_account, list_accounts
from carnet.services.accounts.sessions import begin_session, find_principal
from carnet.services.principals import Role, Scope, Standing
from carnet.web.policy import FRESH_MS
from tests.services.accounts.ground import OPERATOR
from tests.web.lodge import Lodge, lodging, post_form, visiting

HTML = {"Accept": "text/html", "Accept-Language": "en"}
PAGE = "/organisation"


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        yield made


@pytest.fixture
def client(lodge: Lodge) -> Iterator[TestClient[Litestar]]:
    with visiting(lodge) as made:
        yield made


def sign_in(lodge: Lodge, client: TestClient[Litestar], role: Role, member: bytes | None = None) -> str:
    post = Post(Standing.STAFF, member or lodge.node.operator.id, role)
    with lodge.office.people.write() as connection:
        account = insert_account(connection, lodge.office, post, f"The {role}", lodge.office.random_bytes(32))
        token = begin_session(connection, lodge.office, account, Visit("192.0.2.1"), "passkey")
    client.cookies.set("__Host-carnet_session", token, domain="carnet.example")
    return token


def test_organisation__invites_people_and_ends_their_accounts(lodge: Lodge, client: TestClient[Litestar]) -> None:
    clerk = sign_in(lodge, client, Role.CLERK)
    assert client.get(PAGE, headers=HTML).status_code == 403
    sign_in(lodge, client, Role.ADMIN)
    page = client.get(PAGE, headers=HTML)
    assert page.status_code == 200
    assert "Fleet Data" in page.text
    made = post_form(client, PAGE, f"{PAGE}/invitations", role="reader")
    link = re.search(r"https://carnet\.example/join#[0-9A-Z-]{29}", made.text)
    assert link is not None
    assert link[0] not in client.get(PAGE, headers=HTML).text
    assert post_form(client, PAGE, f"{PAGE}/invitations", role="operator").status_code == 422
    found = find_principal(lodge.office, clerk)
    assert found is not None
    assert post_form(client, PAGE, f"{PAGE}/people/{found.account}/end").status_code == 303
    assert find_principal(lodge.office, clerk) is None


def test_organisation__an_invitation_sent_twice_is_one_link(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    once = re.search(r'name="once" value="([0-9a-f]{32})"', client.get(PAGE, headers=HTML).text)
    assert once is not None

    def invite(role: str, **fields: str) -> str:
        text = post_form(client, PAGE, f"{PAGE}/invitations", role=role, **fields).text
        (link,) = re.findall(r"https://carnet\.example/join#[0-9A-Z-]{29}", text)
        return str(link)

    link = invite("clerk", once=once[1])
    assert invite("clerk", once=once[1]) == link
    assert len({link, invite("clerk"), invite("reader", once=once[1])}) == 3
    with lodge.office.people.read() as connection:
        assert connection.execute("SELECT count(*) FROM invitation").fetchone()[0] == 3


def test_organisation__gives_programs_keys_once(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    made = post_form(client, PAGE, f"{PAGE}/programs", name="Workshop", scope=["files", "entries:append"])
    (key,) = set(re.findall(r"ck_live_[0-9A-Za-z]{49}", made.text))
    found = find_caller(lodge.office, Visit("192.0.2.1"), session=None, bearer=key)
    assert found.scopes == {Scope.FILES, Scope.ENTRIES_APPEND}
    page = client.get(PAGE, headers=HTML).text
    assert key not in page
    assert key[:14] in page
    assert post_form(client, PAGE, f"{PAGE}/programs", name="Nothing").status_code == 422
    rotated = post_form(client, PAGE, f"{PAGE}/programs/{found.client}/rotate")
    assert set(re.findall(r"ck_live_[0-9A-Za-z]{49}", rotated.text)) - {key}
    assert post_form(client, PAGE, f"{PAGE}/programs/{found.client}/rotate").status_code == 422
    assert post_form(client, PAGE, f"{PAGE}/programs/{found.client}/end").status_code == 303
    assert post_form(client, PAGE, f"{PAGE}/programs/{found.client}/end").status_code == 404


def test_organisation__a_form_sent_twice_makes_one_program_and_one_key(
    lodge: Lodge, client: TestClient[Litestar]
) -> None:
    """The first answer of a double click is never seen: a key in it that is in force would be nobody's."""
    sign_in(lodge, client, Role.ADMIN)

    def list_keys(path: str, **fields: Any) -> list[str]:
        made = [post_form(client, PAGE, path, once="1" * 32, **fields).text for _ in range(2)]
        (first,), (second,) = (set(re.findall(r"ck_live_[0-9A-Za-z]{49}", text)) for text in made)
        assert first == second
        return [first]

    (key,) = list_keys(f"{PAGE}/programs", name="Workshop", scope="files")
    (program,) = set(re.findall(r"/programs/(cli_[0-9a-f]{32})/rotate", client.get(PAGE, headers=HTML).text))
    (newer,) = list_keys(f"{PAGE}/programs/{program}/rotate")
    assert newer != key
    for secret in (key, newer):
        assert find_caller(lodge.office, Visit("192.0.2.1"), session=None, bearer=secret).client == program
    # The number is the form's: whoever gives another name or another right makes another program.
    other = post_form(client, PAGE, f"{PAGE}/programs", once="1" * 32, name="Counter", scope="files").text
    assert not set(re.findall(r"ck_live_[0-9A-Za-z]{49}", other)) & {key, newer}
    assert post_form(client, PAGE, f"{PAGE}/programs/{program}/end").status_code == 303
    assert post_form(client, PAGE, f"{PAGE}/programs", once="1" * 32, name="Workshop", scope="files").status_code == 422


def test_organisation__of_others_is_out_of_reach_and_acts_are_confirmed(
    lodge: Lodge, client: TestClient[Litestar]
) -> None:
    with lodge.node.writers[0] as writer:
        other = writer.enrol_member("Another", "garage").id
        theirs = sign_in(lodge, client, Role.CLERK, other)
        account = find_principal(lodge.office, theirs)
        assert account is not None
        sign_in(lodge, client, Role.ADMIN)
        assert post_form(client, PAGE, f"{PAGE}/people/{account.account}/end").status_code == 404
        lodge.node.clock.now += FRESH_MS + 1000
        count = len(list_accounts(lodge.office, OPERATOR))
        for path in ("/invitations", "/programs", f"/people/{account.account}/end"):
            assert post_form(client, PAGE, PAGE + path, role="reader", name="X", scope="files").status_code == 403
        assert len(list_accounts(lodge.office, OPERATOR)) == count


def test_organisation__of_many_people_comes_page_by_page(lodge: Lodge, client: TestClient[Litestar]) -> None:
    post = Post(Standing.STAFF, lodge.node.operator.id, Role.READER)
    with lodge.office.people.write() as connection:
        for number in range(120):
            insert_account(connection, lodge.office, post, f"Reader {number:03}", lodge.office.random_bytes(32))
    sign_in(lodge, client, Role.ADMIN)
    pages = [client.get(f"{PAGE}?after={after}", headers=HTML).text for after in (0, 50, 100)]
    assert "after=50" in pages[0]
    assert all(len(page.encode()) < 100_000 for page in pages)
    found = [name for page in pages for name in re.findall(r'<th scope="row" class="wide">(Reader \d{3})', page)]
    assert found == [f"Reader {number:03}" for number in range(120)]
