"""The holder's pages under a member's name: they wear its look, lead back to it, and lose nothing with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from carnet.services.accounts.leaving import end_staff_of
from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import HOLDER, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.appearance.looks import Look, remove_look, set_look
from carnet.services.claims import issue_code
from carnet.services.holdings import begin_holding
from carnet.services.principals import Role
from carnet.web.pages.vehicle import SECTIONS
from tests.node.home import vin_subject
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.ground import OPERATOR
from tests.web.lodge import HTTPS, Lodge, lodging, post_form, visiting
from tests.web.test_organisation import HTML, sign_in
from tests.web.test_signing_in import ask


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        yield made


@pytest.fixture
def client(lodge: Lodge) -> Iterator[TestClient[Litestar]]:
    with visiting(lodge) as made:
        yield made


@pytest.fixture
def look(lodge: Lodge) -> Look:
    return dress(lodge)


def dress(lodge: Lodge, member: bytes | None = None, *origins: str, name: str = "Les Tilleuls") -> Look:
    whose = member or lodge.node.operator.id
    return set_look(lodge.office, OPERATOR, whose, name=name, ink="#7a1f3d", paper="#fbe9d7", origins=origins)


def join(lodge: Lodge, client: TestClient[Litestar], *held: bytes) -> str:
    """Be a holder of these passports; the account."""
    with lodge.office.people.write() as connection:
        account = insert_account(connection, lodge.office, HOLDER, "Camille", lodge.office.random_bytes(32))
        token = begin_session(connection, lodge.office, account, Visit("192.0.2.1"), "passkey")
        for passport in held:
            begin_holding(connection, lodge.office, passport, 0, account.id, "claim")
    client.cookies.set("__Host-carnet_session", token, domain="carnet.example")
    return account.public_id


def get(client: TestClient[Litestar], path: str) -> Any:
    return client.get(path, headers=HTML, follow_redirects=False)


def test_pages__wear_the_look_and_show_what_the_holder_sees(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    join(lodge, client, lodge.passports[0])
    base, own = f"/with/{look.public_id}", f"/vehicles/pas_{lodge.passports[0].hex()}"
    assert get(client, base).headers["location"] == f"{base}/vehicles"
    cards = get(client, f"{base}/vehicles")
    assert f'href="{base}{own}"' in cards.text
    assert "Les Tilleuls" in cards.text
    for section in SECTIONS:
        place = f"{own}/{section}".rstrip("/")
        dressed, plain = get(client, base + place), get(client, place)
        assert (dressed.status_code, plain.status_code) == (200, 200), section
        assert f"{base}/{look.changed_at}/look.css" in dressed.text
        assert "look.css" not in plain.text
        assert dressed.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in dressed.headers["content-security-policy"]
        # The facts are the same: what differs are the frame, and links that stay under the name.
        body = dressed.text.partition("<main")[2].partition("</main>")[0].replace(base, "")
        assert body == plain.text.partition("<main")[2].partition("</main>")[0], section
    for rest in ("/add", "/documents", "/proof", "/looks", "/entries/1"):
        assert get(client, base + own + rest).headers["location"] == own + rest


def test_events__drawn_under_a_name_are_not_shown_without_it(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    """What a worker keeps of an entry as it was drawn has links in it: it is kept for each address."""
    join(lodge, client, lodge.passports[0])
    own = f"/vehicles/pas_{lodge.passports[0].hex()}/history"
    base = f"/with/{look.public_id}"
    assert f"{base}/vehicles" in get(client, base + own).text
    assert base not in get(client, own).text


def test_visitor__signs_in_or_joins_in_the_look_and_comes_back(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    base, own = f"/with/{look.public_id}", f"/vehicles/pas_{lodge.passports[0].hex()}"
    assert "Les Tilleuls" in get(client, base).text
    sent = get(client, f"{base}{own}/history?group=odometer")
    assert sent.status_code == 303
    where = sent.headers["location"]
    assert where.startswith("/sign-in?back=%2Fwith%2Fmem_")
    for page in (where, where.replace("/sign-in", "/join"), where.replace("/sign-in", "/recover")):
        shown = get(client, page)
        assert "look.css" in shown.text
        assert f'name="back" value="{base}{own}/history?group=odometer"' in shown.text
        assert "look.css" not in get(client, page.partition("?")[0]).text
    failed = post_form(client, where, "/sign-in", answer="{}", back=f"{base}{own}")
    assert failed.status_code == 422
    assert f'name="back" value="{base}{own}"' in failed.text
    add = get(client, f"{base}/vehicles/add")
    assert (add.status_code, f"/join?back={base}/vehicles/add" in add.text) == (200, True)


def test_claim__under_the_name_goes_on_under_it(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    join(lodge, client)
    base = f"/with/{look.public_id}"
    with lodge.node.read() as reader:
        issued = issue_code(lodge.office, reader, OPERATOR, lodge.passports[1], member=look.member)
    page = f"{base}/vehicles/add"
    vin = str(vin_subject(1))
    wrong = post_form(client, page, page, vehicle=vin, code="0000-0000-0000-0000")
    assert (wrong.status_code, "look.css" in wrong.text) == (422, True)
    done = post_form(client, page, page, vehicle=vin, code=issued.code)
    assert done.headers["location"] == f"{base}/vehicles/pas_{lodge.passports[1].hex()}?new"
    assert "look.css" in get(client, done.headers["location"]).text


def test_leaving__the_holder_loses_nothing(lodge: Lodge, client: TestClient[Litestar]) -> None:
    """The member has no look any more, or has left: each address leads to our own, which shows all that it did."""
    writer = lodge.node.writers[0]
    other = writer.enrol_member("Another", "garage").id
    join(lodge, client, lodge.passports[0])
    own = f"/vehicles/pas_{lodge.passports[0].hex()}"
    before = get(client, own).text
    assert before.count("odometer") > 0
    for end in (
        lambda member: remove_look(lodge.office, OPERATOR, member),
        lambda member: end_staff_of(lodge.office, OPERATOR, member),
        writer.retire,
    ):
        look = dress(lodge, other)
        base = f"/with/{look.public_id}"
        assert "look.css" in get(client, base + own).text
        end(other)
        for path in ("/vehicles", own, f"{own}/history", f"{own}/entries/1", "/vehicles/add"):
            assert get(client, base + path).headers["location"] == path
        assert get(client, base).headers["location"] == "/"
        form = "form_token"
        now = get(client, own).text
        assert [line for line in now.splitlines() if form not in line] == [
            line for line in before.splitlines() if form not in line
        ]
        assert own in get(client, "/vehicles").text


def test_pages__of_others_are_as_if_they_did_not_exist(lodge: Lodge, client: TestClient[Litestar], look: Look) -> None:
    join(lodge, client, lodge.passports[0])
    base = f"/with/{look.public_id}"
    there, absent = (get(client, f"{base}/vehicles/pas_{one}") for one in (lodge.passports[1].hex(), "0" * 32))
    assert there.status_code == absent.status_code == 404
    sign_in(lodge, client, Role.ADMIN)
    for path in ("/vehicles", f"/vehicles/pas_{lodge.passports[0].hex()}"):
        assert get(client, base + path).status_code == 403, "a member's people see nothing under its own name either"


@pytest.mark.parametrize(
    "path",
    [
        "/with/mem_zz/vehicles", "/with//vehicles", "/with/mem_" + "0" * 32 + "/vehicles//evil.example",
        "/with/mem_" + "0" * 32 + "/vehicles/evil.example/add", "/with/%2F%2Fevil.example/vehicles",
    ],
)  # fmt: skip
def test_addresses__lead_nowhere_else(lodge: Lodge, client: TestClient[Litestar], path: str) -> None:
    join(lodge, client)
    answer = get(client, path)
    where = answer.headers.get("location", "")
    assert answer.status_code == 404 or where in ("/", "/vehicles"), (answer.status_code, where)


def test_join__under_the_name_shows_the_codes_in_it_and_goes_back(
    lodge: Lodge, client: TestClient[Litestar], look: Look
) -> None:
    """A new account from a member's page: its codes, once, and on to where it wanted to; signing in does the same."""
    authenticator, back = Authenticator(HTTPS), f"/with/{look.public_id}/vehicles/add"
    page = f"/join?back={back}"
    options = ask(client, "/ceremonies/join", page, name="Camille", code="").json()
    codes = post_form(client, page, "/join", answer=json.dumps(authenticator.create(options)), back=back)
    assert codes.status_code == 200
    assert "look.css" in codes.text
    assert f'href="{back}"' in codes.text
    assert get(client, back).status_code == 200
    client.cookies.clear()
    options = ask(client, "/ceremonies/sign-in", f"/sign-in?back={back}").json()
    answer = json.dumps(authenticator.get(options))
    assert post_form(client, f"/sign-in?back={back}", "/sign-in", answer=answer, back=back).headers["location"] == back
