"""Getting in over HTTP: cookies, forms, redirects; what an answer tells, and what a session is after it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.demo_links import make_demo_links, sign_in_to_demo
from carnet.services.accounts.invitations import invite
from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import HOLDER
from carnet.services.accounts.sessions import find_principal
from carnet.services.accounts.throttling import LIMITS, Attempt
from carnet.services.claims import claim, issue_code
from carnet.services.principals import Standing
from carnet.web.policy import FRESH_MS
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.ground import OPERATOR
from tests.web.lodge import HTTPS, Lodge, find_port, lodging, post_form, read_form_token, serving, visiting

SESSION = "__Host-carnet_session"
HTML = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}

Client = TestClient[Litestar]


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        yield made


@pytest.fixture
def client(lodge: Lodge) -> Iterator[Client]:
    with visiting(lodge) as made:
        yield made


def ask(client: Client, path: str, page: str, **body: Any) -> Any:
    """Options for the authenticator, asked for from a page."""
    token = read_form_token(client.get(page, headers=HTML).text)
    return client.post(path, json=body, headers={"X-Form-Token": token, "Sec-Fetch-Site": "same-origin"})


def join(client: Client, name: str = "Camille Durand", code: str = "") -> Authenticator:
    authenticator = Authenticator(HTTPS)
    options = ask(client, "/ceremonies/join", "/join", name=name, code=code).json()
    page = post_form(client, "/join", "/join", answer=json.dumps(authenticator.create(options)))
    assert page.status_code == 200, page.text
    return authenticator


def sign_in(client: Client, authenticator: Authenticator, back: str = "") -> Any:
    options = ask(client, "/ceremonies/sign-in", "/sign-in").json()
    answer = json.dumps(authenticator.get(options))
    return post_form(client, "/sign-in", "/sign-in", answer=answer, back=back)


def confirm(client: Client, authenticator: Authenticator) -> Any:
    options = ask(client, "/ceremonies/confirm", "/confirm").json()
    return post_form(client, "/confirm", "/confirm", answer=json.dumps(authenticator.get(options)), back="/account")


# ---- in and out


def test_join__shows_the_codes_once_and_signs_in(lodge: Lodge, client: Client) -> None:
    authenticator = Authenticator(HTTPS)
    options = ask(client, "/ceremonies/join", "/join", name="Camille", code="").json()
    page = post_form(client, "/join", "/join", answer=json.dumps(authenticator.create(options)))
    codes = re.findall(r'<li class="mono">([0-9A-Z-]{23})</li>', page.text)
    assert len(codes) == 10
    themed = {"form_token": read_form_token(page.text), "theme": "dark", "back": "/account"}
    assert client.post("/preferences", data=themed, headers=HTML, follow_redirects=False).status_code == 303
    assert page.headers["cache-control"] == "no-store"
    account = client.get("/account", headers=HTML)
    assert account.status_code == 200
    assert "Camille" in account.text
    assert not any(code in account.text for code in codes)


def test_session_cookie__is_host_bound_and_out_of_reach_of_scripts(lodge: Lodge, client: Client) -> None:
    authenticator = join(client)
    said = sign_in(client, authenticator).headers["set-cookie"]
    assert said.startswith(f"{SESSION}=")
    for word in ("HttpOnly", "Secure", "Path=/", "SameSite=lax", "Max-Age="):
        assert word in said
    assert "Domain" not in said


def test_sign_in__goes_where_one_wanted_to_and_never_elsewhere(lodge: Lodge, client: Client) -> None:
    authenticator = join(client)
    for back, goes in (
        ("/account", "/account"), ("", "/vehicles"), ("https://evil.example", "/vehicles"),
        ("//evil.example", "/vehicles"), ("/\\evil.example", "/vehicles"),
    ):  # fmt: skip
        answer = sign_in(client, authenticator, back)
        assert (answer.status_code, answer.headers["location"]) == (303, goes)


def test_sign_in__gives_a_new_token_and_ends_the_old_session(lodge: Lodge, client: Client) -> None:
    """Session fixation: neither a planted token nor the one before is good afterwards."""
    authenticator = join(client)
    before = client.cookies[SESSION]
    sign_in(client, authenticator)
    after = client.cookies[SESSION]
    assert before != after
    assert find_principal(lodge.office, before) is None
    client.cookies.clear()
    client.cookies.set(SESSION, "planted-by-somebody-else", domain="carnet.example")
    sign_in(client, authenticator)
    assert find_principal(lodge.office, "planted-by-somebody-else") is None
    client.cookies.clear()
    client.cookies.set(SESSION, after, domain="carnet.example")
    assert client.get("/account", headers=HTML).status_code in (200, 401)


def test_sign_out__kills_the_session_in_the_store(lodge: Lodge, client: Client) -> None:
    join(client)
    token = client.cookies[SESSION]
    answer = post_form(client, "/account", "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert SESSION not in client.cookies
    client.cookies.set(SESSION, token, domain="carnet.example")
    assert client.get("/account", headers=HTML).status_code == 401
    assert find_principal(lodge.office, token) is None


def test_get__never_signs_out_or_in(lodge: Lodge, client: Client) -> None:
    join(client)
    token = client.cookies[SESSION]
    for path in ("/sign-out", "/ceremonies/sign-in", "/account/end", "/account/codes"):
        assert client.get(path, headers=HTML).status_code == 405
    assert find_principal(lodge.office, token) is not None


def test_forms__of_another_site_do_nothing(lodge: Lodge, client: Client) -> None:
    """Every form of the account's pages without its token, and from elsewhere."""
    authenticator = join(client)
    confirm(client, authenticator)
    token = client.cookies[SESSION]
    paths = [
        "/sign-out",
        "/account/end",
        "/account/codes",
        "/account/sessions/end-others",
        "/confirm",
        "/recover",
        "/join",
    ]
    paths += ["/account/passkeys", "/sign-in"]
    for path in paths:
        assert client.post(path, data={"answer": "{}"}, headers={"Accept": "text/html"}).status_code == 403, path
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        assert client.post(path, data={"answer": "{}"}, headers=headers).status_code == 403, path
    assert find_principal(lodge.office, token) is not None


# ---- what an answer tells


def strip(answer: Any) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    """All of an answer but what is another in each: its id and the time."""
    kept = sorted((name, value) for name, value in answer.headers.items() if not name.endswith(("request-id", "date")))
    return answer.status_code, re.sub(r"req_[0-9a-f]+", "", answer.text), tuple(kept)


def test_sign_in__failures_are_the_same_bytes(lodge: Lodge, client: Client) -> None:
    authenticator = join(client)
    client.cookies.clear()
    stranger, forged = Authenticator(HTTPS), Authenticator(HTTPS)
    unknown = stranger.make_unknown()
    forged.keys[next(iter(authenticator.keys))] = stranger.keys[unknown]
    pages = set()
    for guess in (stranger, forged):
        options = ask(client, "/ceremonies/sign-in", "/sign-in").json()
        pages.add(strip(post_form(client, "/sign-in", "/sign-in", answer=json.dumps(guess.get(options)))))
    for answer in ("{}", "not json", "[]", "x" * 30_000):
        pages.add(strip(post_form(client, "/sign-in", "/sign-in", answer=answer)))
    assert len(pages) == 1
    assert next(iter(pages))[0] == 422


def test_sign_in__is_throttled_with_retry_after(lodge: Lodge, client: Client) -> None:
    for _ in range(LIMITS[Attempt.RECOVERY_BY_ADDRESS].attempts):
        assert post_form(client, "/recover", "/recover", code="AAAAA-AAAAA-AAAAA-AAAAA").status_code == 422
    page = post_form(client, "/recover", "/recover", code="AAAAA-AAAAA-AAAAA-AAAAA")
    assert page.status_code == 429
    assert 0 < int(page.headers["retry-after"]) <= 3600


def test_bearer__guessing_is_throttled(lodge: Lodge, client: Client) -> None:
    statuses = [
        client.get("/v1/passports", headers={"Authorization": "Bearer ck_live_guess"}).status_code
        for _ in range(LIMITS[Attempt.TOKEN_BY_ADDRESS].attempts + 2)
    ]
    assert set(statuses[:-2]) == {401}
    assert statuses[-1] == 429


# ---- dangerous acts


def test_dangerous_acts__ask_for_a_confirmation(lodge: Lodge, client: Client) -> None:
    authenticator = join(client)
    lodge.node.clock.now += FRESH_MS + 1000
    account = client.get("/account", headers=HTML).text
    assert "/confirm?back=/account%23passkeys" in account
    for path in ("/account/codes", "/account/end", "/account/passkeys", "/account/passkeys/psk_0/remove"):
        answer = post_form(client, "/account", path)
        assert answer.status_code == 403, path
    answer = confirm(client, authenticator)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert post_form(client, "/account", "/account/codes").status_code == 200
    assert client.get("/account", headers=HTML).status_code == 200


def test_recover__signs_in_without_script_and_asks_for_a_passkey(lodge: Lodge, client: Client) -> None:
    authenticator = Authenticator(HTTPS)
    options = ask(client, "/ceremonies/join", "/join", name="Camille", code="").json()
    page = post_form(client, "/join", "/join", answer=json.dumps(authenticator.create(options)))
    code = re.findall(r'<li class="mono">([0-9A-Z-]{23})</li>', page.text)[0]
    client.cookies.clear()
    answer = post_form(client, "/recover", "/recover", code=code.lower())
    assert answer.headers["location"] == "/account?recovered"
    phone = Authenticator(HTTPS)
    options = ask(client, "/ceremonies/passkey", "/account").json()
    done = post_form(client, "/account", "/account/passkeys", answer=json.dumps(phone.create(options)), name="Phone")
    assert done.status_code == 303
    client.cookies.clear()
    assert sign_in(client, phone).status_code == 303


def test_account__sessions_and_contests_are_on_the_page(lodge: Lodge, client: Client) -> None:
    join(client, "The holder")
    holder = find_principal(lodge.office, client.cookies[SESSION])
    assert holder is not None
    with lodge.node.read() as reader:
        operator = lodge.node.operator.id
        codes = [issue_code(lodge.office, reader, OPERATOR, lodge.passports[0], member=operator).code for _ in range(2)]
        claim(lodge.office, reader, holder, Visit("192.0.2.1"), codes[0])
        mine = dict(client.cookies)
        client.cookies.clear()
        join(client, "The claimant")
        claimant = find_principal(lodge.office, client.cookies[SESSION])
        assert claimant is not None
        contest = claim(lodge.office, reader, claimant, Visit("192.0.2.2"), codes[1]).contest
    assert "/object" not in client.get("/account", headers=HTML).text
    client.cookies.clear()
    for name, value in mine.items():
        client.cookies.set(name, value, domain="carnet.example")
    page = client.get("/account", headers=HTML).text
    assert f"/account/contests/{contest}/object" in page
    assert post_form(client, "/account", f"/account/contests/{contest}/object").status_code == 303
    assert f"/account/contests/{contest}/object" not in client.get("/account", headers=HTML).text
    path = f"/vehicles/pas_{lodge.passports[0].hex()}/give-up"
    assert post_form(client, "/account", path).status_code == 303
    assert post_form(client, "/account", path).status_code == 404


def test_invitation__code_travels_in_no_address(lodge: Lodge, client: Client) -> None:
    invitation = invite(lodge.office, OPERATOR, HOLDER)
    link = urlsplit(invitation.make_link(HTTPS))
    assert (link.path, link.query, link.fragment) == ("/join", "", invitation.code)
    join(client, code=invitation.code)
    again = ask(client, "/ceremonies/join", "/join", name="Two", code=invitation.code)
    assert (again.status_code, again.json()["code"]) == (422, "code_not_valid")


# ---- the demonstration's links


def test_demo_links__sign_in_three_offices_and_say_so(tmp_path: Path) -> None:
    port = find_port()
    origin = f"http://localhost:{port}"
    with lodging(tmp_path, origin, network="demo.carnet.example", is_demo=True) as lodge, serving(lodge, port):
        links = make_demo_links(
            lodge.office, origin, [(lodge.passports[0], 0)], lodge.node.operator.id, lodge.node.operator.id
        )
        for link, standing, home in (
            (links.holder, Standing.HOLDER, "/vehicles"),
            (links.developer, Standing.STAFF, "/console"),
            (links.operator, Standing.OPERATOR, "/operator"),
        ):
            with httpx2.Client(base_url=origin, headers=HTML) as client:
                page = client.get(link)
                assert page.status_code == 200
                assert "carnet_session" not in client.cookies
                query = dict(part.split("=") for part in urlsplit(link).query.split("&"))
                answer = post_form(client, link, "/demo/sign-in", **query)
                assert (answer.status_code, answer.headers["location"]) == (303, home)
                principal = find_principal(lodge.office, client.cookies["carnet_session"])
                assert principal is not None
                assert (principal.standing, principal.is_demo) == (standing, True)
                assert client.get(home).status_code == 200
                wrong = post_form(client, link, "/demo/sign-in", account=query["account"], secret="0" * 64)
                assert wrong.status_code == 401
        events = list_events(lodge.office, OPERATOR, limit=200)
        assert sum(event.action is Action.DEMO_SIGNED_IN for event in events) == 3
        with httpx2.Client(base_url=origin, headers={"Authorization": f"Bearer {links.api_key}"}) as machine:
            assert machine.get(f"/v1/passports/pas_{lodge.passports[0].hex()}").status_code == 200


def test_demo_links__work_on_their_own_machine_only(tmp_path: Path) -> None:
    with lodging(tmp_path, network="demo.carnet.example", is_demo=True) as lodge, visiting(lodge) as client:
        links = make_demo_links(lodge.office, lodge.origin, [], lodge.node.operator.id, lodge.node.operator.id)
        assert client.get(links.holder, headers=HTML).status_code == 403
        query = dict(part.split("=") for part in urlsplit(links.holder).query.split("&"))
        with pytest.raises(Refused) as refused:
            sign_in_to_demo(lodge.office, Visit("192.0.2.9"), query["account"], query["secret"])
        assert refused.value.reason is Reason.NOT_PERMITTED
        assert sign_in_to_demo(lodge.office, Visit("127.0.0.1"), query["account"], query["secret"]).token


def test_demo_links__do_not_exist_anywhere_else(lodge: Lodge, client: Client) -> None:
    assert client.get("/demo/sign-in", headers=HTML).status_code == 404
    assert client.post("/demo/sign-in", data={}, headers=HTML).status_code in (404, 405)
    assert not any("demo" in route.path for route in lodge.app.routes)
    with pytest.raises(Refused) as refused:
        make_demo_links(lodge.office, lodge.origin, [], lodge.node.operator.id, lodge.node.operator.id)
    assert refused.value.reason is Reason.NOT_PERMITTED
