"""Tokens and programs over HTTP, on a service with real accounts."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from litestar import Litestar
from litestar.testing import TestClient

from carnet.errors import Reason
from carnet.services.accounts.auditing import Action, list_events
from carnet.services.accounts.clients import add_client
from carnet.services.accounts.oauth import ASSERTION_TYPE, add_public_key
from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import Post, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.accounts.throttling import LIMITS, Attempt
from carnet.services.principals import Role, Scope, Standing
from carnet.web.policy import FRESH_MS
from tests.postgres import Cluster
from tests.services.accounts.ground import OPERATOR
from tests.web.lodge import Lodge, lodging, read_form_token, visiting

PATH = "/v1/oauth/token"


@pytest.fixture(scope="module")
def lodge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lodge]:
    path: Path = tmp_path_factory.mktemp("lodge")
    with lodging(path) as made:
        yield made


@pytest.fixture
def client(lodge: Lodge) -> Iterator[TestClient[Litestar]]:
    with lodge.office.people.write() as connection:
        connection.execute("DELETE FROM throttle")
    with visiting(lodge) as made:
        yield made


def ask(client: TestClient[Litestar], **fields: str) -> Any:
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, **fields}
    return client.post(PATH, data={name: value for name, value in form.items() if value})


def make_assertion(lodge: Lodge, name: str, key: OKPKey, **changed: Any) -> str:
    now = lodge.node.clock() // 1000
    claims = {"iss": name, "sub": name, "aud": lodge.origin + PATH, "exp": now + 60, "jti": str(lodge.node.clock())}
    return jwt.encode({"alg": "Ed25519"}, claims | changed, key, algorithms=["Ed25519"])


def test_token__lets_a_program_in_and_errors_are_both_kinds_of_document(
    lodge: Lodge, client: TestClient[Litestar]
) -> None:
    key = OKPKey.generate_key("Ed25519")
    scopes = frozenset({Scope.PASSPORTS_READ, Scope.FILES})
    name = add_client(lodge.office, OPERATOR, lodge.node.operator.id, "Fleet", scopes, "oauth").public_id
    add_public_key(lodge.office, OPERATOR, name, key.as_dict(private=False))
    answer = ask(client, client_assertion=make_assertion(lodge, name, key), scope="passports:read")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json()
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 900, "passports:read")
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert client.get(f"/v1/passports/pas_{lodge.passports[0].hex()}", headers=headers).status_code == 200
    assert client.get("/v1/me", headers=headers).json()["scopes"] == ["passports:read"]
    used = make_assertion(lodge, name, key)
    assert ask(client, client_assertion=used).status_code == 200
    scoped = [make_assertion(lodge, name, key) for _ in range(2)]
    for fields, status, error, code in (
        ({"client_assertion": used}, 401, "invalid_client", Reason.SIGN_IN_FAILED),
        ({"client_assertion": "a.b.c"}, 401, "invalid_client", Reason.SIGN_IN_FAILED),
        ({"client_assertion": scoped[0], "scope": "all"}, 422, "invalid_scope", Reason.NOT_IN_LIST),
        ({"client_assertion": scoped[1], "scope": "claims:issue"}, 403, "invalid_scope", Reason.NOT_PERMITTED),
        ({"grant_type": "password"}, 422, "unsupported_grant_type", Reason.VALUE_OUT_OF_RANGE),
        ({"client_assertion": ""}, 422, "invalid_request", Reason.MISSING_FIELD),
    ):  # fmt: skip
        answer = ask(client, **fields)
        assert answer.headers["content-type"] == "application/problem+json"
        document = answer.json()
        assert (answer.status_code, document["error"], document["code"]) == (status, error, code.value)


def test_token__of_half_a_character_is_refused_as_any_other(lodge: Lodge, client: TestClient[Litestar]) -> None:
    payload = urlsafe_b64encode(rb'{"iss":"\ud800"}').decode().rstrip("=")
    answer = ask(client, client_assertion=f"e30.{payload}.AA")
    assert (answer.status_code, answer.json()["code"]) == (401, Reason.SIGN_IN_FAILED.value)


def test_token__guessing_is_throttled(lodge: Lodge, client: TestClient[Litestar]) -> None:
    answers = [ask(client, client_assertion="a.b.c") for _ in range(LIMITS[Attempt.ASSERTION_BY_ADDRESS].attempts + 1)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0


def sign_in(lodge: Lodge, client: TestClient[Litestar], role: Role, member: bytes) -> dict[str, str]:
    """A session of a member's staff in this browser; the header that its writes need."""
    with lodge.office.people.write() as connection:
        account = insert_account(
            connection, lodge.office, Post(Standing.STAFF, member, role), "Staff", lodge.office.random_bytes(32)
        )
        token = begin_session(connection, lodge.office, account, Visit("192.0.2.1"), "passkey")
    client.cookies.set("__Host-carnet_session", token, domain="carnet.example")
    form = read_form_token(client.get("/account", headers={"Accept": "text/html"}).text)
    return {"X-Form-Token": form, "Sec-Fetch-Site": "same-origin"}


def test_clients__are_managed_by_the_members_admin(lodge: Lodge, client: TestClient[Litestar]) -> None:
    headers = sign_in(lodge, client, Role.ADMIN, lodge.node.operator.id)
    body = {"name": "Workshop", "scopes": ["entries:append", "passports:read"], "valid_days": 90}
    made = client.post("/v1/clients", json=body, headers=headers)
    assert made.status_code == 201, made.text
    key, name = made.json()["key"], made.json()["id"]
    bearer = {"Authorization": f"Bearer {key}"}
    # A key in the header goes before whatever the browser has.
    assert client.get("/v1/me", headers=bearer).json()["client"] == name
    listed = client.get("/v1/clients").json()["data"]
    (shown,) = [one for one in listed if one["id"] == name]
    assert shown["key"] is None
    assert shown["keys"][0]["last_used"] is not None
    rotated = client.post(f"/v1/clients/{name}/rotate", headers=headers)
    assert rotated.json()["key"] != key
    assert client.delete(f"/v1/clients/{name}/keys/{key[:14]}", headers=headers).status_code == 200
    assert client.get("/v1/me", headers=bearer).status_code == 401
    assert client.delete(f"/v1/clients/{name}", headers=headers).status_code == 200
    assert client.delete(f"/v1/clients/{name}", headers=headers).status_code == 404
    lodge.node.clock.now += FRESH_MS + 1000
    assert client.post("/v1/clients", json=body, headers=headers).json()["code"] == "confirmation_needed"
    assert client.get("/v1/clients").status_code == 200
    headers = sign_in(lodge, client, Role.ADMIN, lodge.node.operator.id)
    private = OKPKey.generate_key("Ed25519").as_dict(private=True)
    refused = client.post(
        "/v1/clients", json={"name": "X", "scopes": ["files"], "public_key": private}, headers=headers
    )
    assert refused.json()["code"] == "not_private"
    public = {name: value for name, value in private.items() if name != "d"}
    made = client.post("/v1/clients", json={"name": "X", "scopes": ["files"], "public_key": public}, headers=headers)
    assert (made.status_code, made.json()["kind"], made.json()["key"]) == (201, "oauth", None)


@pytest.mark.parametrize("key", [{"kty": []}, {"kty": {}}, {"kty": "OKP", "crv": ["Ed25519"]}, {}])
def test_clients__with_what_is_no_key_are_not_made(
    lodge: Lodge, client: TestClient[Litestar], key: dict[str, Any]
) -> None:
    headers = sign_in(lodge, client, Role.ADMIN, lodge.node.operator.id)
    body = {"name": "No key", "scopes": ["files"], "public_key": key}
    answer = client.post("/v1/clients", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, Reason.WRONG_TYPE.value)
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/public_key"]
    left = [one["ended"] for one in client.get("/v1/clients").json()["data"] if one["name"] == "No key"]
    assert None not in left


def test_clients__over_a_database_a_key_of_no_text_is_an_unknown_one(tmp_path: Path, postgres: Cluster) -> None:
    with lodging(tmp_path, store_url=postgres.make_url()) as lodge, visiting(lodge) as client:
        headers = sign_in(lodge, client, Role.ADMIN, lodge.node.operator.id)
        body = {"name": "Workshop", "scopes": ["files"]}
        name = client.post("/v1/clients", json=body, headers=headers).json()["id"]
        answer = client.delete(f"/v1/clients/{name}/keys/%00", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_client")


def test_clients__are_nothing_to_a_clerk_or_another_member(lodge: Lodge, client: TestClient[Litestar]) -> None:
    scopes = frozenset({Scope.FILES})
    name = add_client(lodge.office, OPERATOR, lodge.node.operator.id, "Theirs", scopes).public_id
    headers = sign_in(lodge, client, Role.ADMIN, b"m" * 16)
    assert client.get("/v1/clients").json()["data"] == []
    assert client.delete(f"/v1/clients/{name}", headers=headers).status_code == 404
    assert client.post(f"/v1/clients/{name}/rotate", headers=headers).status_code == 404
    headers = sign_in(lodge, client, Role.CLERK, lodge.node.operator.id)
    assert client.get("/v1/clients").status_code == 403
    assert client.delete(f"/v1/clients/{name}", headers=headers).status_code == 403
    denied = [event.why for event in list_events(lodge.office, OPERATOR, limit=200) if event.action is Action.DENIED]
    assert denied == ["delete /v1/clients/client", "get /v1/clients"]
