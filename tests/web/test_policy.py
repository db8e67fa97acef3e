"""Who is let in, by office, role, scope and freshness; and which writes are our own. Design: security 5, 7, 8."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest
from litestar import Router, get, post
from litestar.params import JSONBody, URLEncodedBody

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.services.principals import VISITOR, Principal, Role, Scope, Standing
from carnet.web.cookies import compute_form_token, make_secret
from carnet.web.desk import ThePrincipal
from carnet.web.inputs import Input
from carnet.web.policy import FRESH_MS, HARMLESS, OPEN, Policy, holder, machine, operator, signed_in, staff
from tests.node.home import START_MS
from tests.web.desk import ORIGIN, TestService, serving

HOLDER = Principal(Standing.HOLDER, f"acc_{1:032x}", confirmed_at=START_MS)
OPERATOR = Principal(Standing.OPERATOR, f"acc_{2:032x}", confirmed_at=START_MS)
STAFF = {role: Principal(Standing.STAFF, f"acc_{3:032x}", role=role, confirmed_at=START_MS) for role in Role}
MACHINES = {scope: Principal(Standing.MACHINE, client="key_1", scopes=frozenset({scope})) for scope in Scope}
EVERYBODY = (VISITOR, HOLDER, OPERATOR, *STAFF.values(), *MACHINES.values())


def list_let_in(policy: Policy) -> set[Principal]:
    return {principal for principal in EVERYBODY if policy.is_let_in(principal)}


def test_policies__let_in_whom_they_name_and_nobody_else() -> None:
    everyone, people = set(EVERYBODY), {HOLDER, OPERATOR, *STAFF.values()}
    assert list_let_in(OPEN) == everyone
    assert list_let_in(HARMLESS) == everyone
    assert list_let_in(signed_in()) == people
    assert list_let_in(holder()) == {HOLDER}
    assert list_let_in(operator()) == {OPERATOR}
    assert list_let_in(staff()) == set(STAFF.values())
    assert list_let_in(staff(Role.ADMIN, Role.CLERK)) == {STAFF[Role.ADMIN], STAFF[Role.CLERK]}
    assert list_let_in(machine(Scope.FILES)) == {MACHINES[Scope.FILES], *STAFF.values()}
    assert list_let_in(machine(Scope.FILES, Role.CLERK)) == {MACHINES[Scope.FILES], STAFF[Role.CLERK]}


def test_policies__joined_let_in_whom_either_does() -> None:
    policies = [holder(), operator(), staff(Role.ADMIN), staff(Role.CLERK), machine(Scope.FILES, Role.READER)]
    for one, other in product(policies, policies):
        if None in (one.scope, other.scope) or one == other:
            assert list_let_in(one | other) >= list_let_in(one) | list_let_in(other)
    assert list_let_in(holder() | machine(Scope.FILES, Role.READER)) == {
        HOLDER,
        MACHINES[Scope.FILES],
        STAFF[Role.READER],
    }
    with pytest.raises(InvariantBroken):
        machine(Scope.FILES) | machine(Scope.CLAIMS_ISSUE)
    with pytest.raises(InvariantBroken):
        holder(fresh=True) | operator()


def test_check__refused_not_signed_in() -> None:
    with pytest.raises(Refused) as caught:
        holder().check(VISITOR, START_MS)
    assert caught.value.reason is Reason.NOT_SIGNED_IN


@pytest.mark.parametrize(
    "policy, principal",
    [
        (holder(), OPERATOR),
        (operator(), HOLDER),
        (staff(Role.ADMIN), STAFF[Role.READER]),
        (machine(Scope.FILES), MACHINES[Scope.PASSPORTS_READ]),
    ],
)
def test_check__refused_not_permitted(policy: Policy, principal: Principal) -> None:
    with pytest.raises(Refused) as caught:
        policy.check(principal, START_MS)
    assert caught.value.reason is Reason.NOT_PERMITTED


def test_check__refused_confirmation_needed() -> None:
    policy = holder(fresh=True)
    policy.check(HOLDER, START_MS + FRESH_MS)
    never = Principal(Standing.HOLDER, "acc_3")
    for principal, now in ((HOLDER, START_MS + FRESH_MS + 1), (never, START_MS)):
        with pytest.raises(Refused) as caught:
            policy.check(principal, now)
        assert caught.value.reason is Reason.CONFIRMATION_NEEDED


class Note(Input):
    text: str


WRITTEN: list[str] = []


@get("/whoami", opt={"policy": OPEN}, sync_to_thread=False)
def get_whoami(principal: ThePrincipal) -> str:
    return principal.standing.value


@get("/v1/for-machines", opt={"policy": machine(Scope.FILES)}, sync_to_thread=False)
def get_for_machines(principal: ThePrincipal) -> str:
    return principal.client or principal.account or ""


@post("/note", opt={"policy": signed_in()}, sync_to_thread=False)
def post_note(data: URLEncodedBody[dict[str, str]]) -> None:
    WRITTEN.append(data["text"])


@post("/v1/note", opt={"policy": OPEN}, sync_to_thread=False)
def post_note_document(data: JSONBody[Note]) -> None:
    WRITTEN.append(data.text)


@post("/v1/check", opt={"policy": HARMLESS, "media_types": ("text/plain",)}, sync_to_thread=False)
def post_check() -> str:
    return "checked"


ROUTES: list[Any] = [get_whoami, get_for_machines, post_note, post_note_document, post_check]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def sign_in(service: TestService) -> dict[str, str]:
    """A signed-in browser: its cookies, as one header."""
    service.callers.sessions["s3cret"] = HOLDER
    secret = make_secret(service.node.dice)
    cookies = service.desk.cookies
    return {
        "Cookie": f"{cookies.session}=s3cret; {cookies.form}={secret}",
        "token": compute_form_token(secret, "s3cret"),
    }


def test_turns__are_a_callers_over_all_addresses(tmp_path: Path) -> None:
    """Of a guard there is one for each address, and turns of its own would let a member have as many as addresses."""
    begun, goes_on = Semaphore(0), Event()

    def make(path: str) -> Any:
        @get(path, opt={"policy": OPEN}, sync_to_thread=True)
        def wait() -> str:
            begun.release()
            assert goes_on.wait(10)
            return "done"

        return wait

    with serving(tmp_path, [make("/one"), make("/other")]) as service, ThreadPoolExecutor(2) as pool:
        cookies = {"Cookie": sign_in(service)["Cookie"]}
        answers = [pool.submit(service.client.get, path, headers=cookies) for path in ("/one", "/other")]
        assert all(begun.acquire(timeout=10) for _ in answers)
        line = service.app.state.turns._lines[str(HOLDER.account).encode()]
        at_work = line.at_work
        goes_on.set()
        assert [answer.result(10).text for answer in answers] == ["done", "done"]
    assert (at_work, line.at_work) == (2, 0)


def test_principal__comes_from_cookie_or_bearer(tmp_path: Path) -> None:
    with serving(tmp_path, ROUTES) as service:
        cookies = {"Cookie": sign_in(service)["Cookie"]}
        assert service.client.get("/whoami").text == "visitor"
        assert service.client.get("/whoami", headers=cookies).text == "holder"
        # A session that has ended makes a visitor; a key that is not in force is refused.
        ended = {"Cookie": f"{service.desk.cookies.session}=ended"}
        assert service.client.get("/whoami", headers=ended).text == "visitor"
        service.callers.bearers["k"] = MACHINES[Scope.FILES]
        assert service.client.get("/v1/for-machines", headers={"Authorization": "Bearer k"}).text == "key_1"
        unknown = service.client.get("/whoami", headers={"Authorization": "Bearer unknown"})
        assert (unknown.status_code, unknown.json()["code"]) == (401, Reason.NOT_SIGNED_IN.value)
        assert unknown.headers["www-authenticate"].startswith("Bearer")
        for header in ("Basic eDp5", "Bearer", "Bearer ", "k", "Bearer " + "x" * 5_000):
            answer = service.client.get("/whoami", headers={"Authorization": header})
            assert (answer.status_code, answer.json()["code"]) == (400, Reason.MALFORMED_REQUEST.value), header
        nobody = service.client.get("/v1/for-machines")
        assert (nobody.status_code, nobody.json()["code"]) == (401, Reason.NOT_SIGNED_IN.value)
        wrong = service.client.get("/v1/for-machines", headers=cookies)
        assert (wrong.status_code, wrong.json()["code"]) == (403, Reason.NOT_PERMITTED.value)


def test_guard__comes_before_those_of_a_router_which_know_who_asks(tmp_path: Path) -> None:
    seen: list[Standing] = []

    def look(connection: Any, handler: Any) -> None:
        seen.append(connection.scope["state"]["principal"].standing)

    with serving(tmp_path, [Router("/below", route_handlers=[get_whoami], guards=[look])]) as service:
        assert service.client.get("/below/whoami", headers={"Cookie": sign_in(service)["Cookie"]}).text == "holder"
    assert seen == [Standing.HOLDER]


def test_form__with_its_token_is_our_own(tmp_path: Path) -> None:
    WRITTEN.clear()
    with serving(tmp_path, ROUTES) as service:
        signed = sign_in(service)
        headers = {"Cookie": signed["Cookie"], **FORM}
        sent = service.client.post("/note", content=f"text=a&form_token={signed['token']}", headers=headers)
        assert sent.status_code == 201, sent.text
        by_script = {**headers, "X-Form-Token": signed["token"], "Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
        assert service.client.post("/note", content="text=b", headers=by_script).status_code == 201
    assert WRITTEN == ["a", "b"]


def test_form__refused_form_expired(tmp_path: Path) -> None:
    WRITTEN.clear()
    with serving(tmp_path, ROUTES) as service:
        signed = sign_in(service)
        headers, token = {"Cookie": signed["Cookie"], **FORM}, signed["token"]
        other_session = compute_form_token(signed["Cookie"].rpartition("=")[2], "another")
        without_cookie = {"Cookie": f"{service.desk.cookies.session}=s3cret", **FORM}
        cases = [
            ("text=x", headers),
            ("text=x&form_token=", headers),
            (f"text=x&form_token={other_session}", headers),
            (f"text=x&form_token={token}", without_cookie),
            (f"text=x&form_token={token}", {**headers, "Sec-Fetch-Site": "cross-site"}),
            (f"text=x&form_token={token}", {**headers, "Sec-Fetch-Site": "same-site"}),
            (f"text=x&form_token={token}", {**headers, "Origin": "https://evil.example"}),
            (f"text=x&form_token={token}", {**headers, "Origin": "null"}),
        ]
        for body, sent in cases:
            answer = service.client.post("/note", content=body, headers=sent)
            assert (answer.status_code, answer.json()["code"]) == (403, Reason.FORM_EXPIRED.value), (body, sent)
        # A document with a session is a write by cookie too; so is what a foreign page could send without one.
        document = service.client.post("/v1/note", json={"text": "x"}, headers={"Cookie": signed["Cookie"]})
        plain = service.client.post("/v1/note", content=b'{"text":"x"}', headers={"Content-Type": "text/plain"})
        foreign = service.client.post("/v1/note", json={"text": "x"}, headers={"Origin": "https://evil.example"})
        for answer in (document, plain, foreign):
            assert (answer.status_code, answer.json()["code"]) == (403, Reason.FORM_EXPIRED.value)
    assert WRITTEN == []


def test_write__by_key_or_by_nobody_needs_no_token(tmp_path: Path) -> None:
    WRITTEN.clear()
    with serving(tmp_path, ROUTES) as service:
        service.callers.bearers["k"] = MACHINES[Scope.FILES]
        by_key = service.client.post("/v1/note", json={"text": "a"}, headers={"Authorization": "Bearer k"})
        by_nobody = service.client.post("/v1/note", json={"text": "b"})
        checked = service.client.post("/v1/check", content=b"x", headers={"Content-Type": "text/plain"})
    assert [answer.status_code for answer in (by_key, by_nobody, checked)] == [201, 201, 201]
    assert WRITTEN == ["a", "b"]
