"""`carnet account`, `client` and `claim` as a person at the node's terminal uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from carnet.node.home import Home
from carnet.services.accounts.callers import find_caller
from carnet.services.accounts.office import Visit, office_at
from carnet.services.accounts.passkeys import begin_sign_up, finish_sign_up
from carnet.services.accounts.sessions import find_principal
from carnet.services.claims import claim
from carnet.services.principals import Role, Scope, Standing
from tests.cli.run import carnet, make_env, make_inspection, make_line
from tests.services.accounts.authenticator import Authenticator

SITE = "http://localhost:8140"
VISIT = Visit("192.0.2.1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people")
    rows = path / "rows.jsonl"
    rows.write_bytes(make_line("HV" + "0" * 40, make_inspection()))
    made = path / "home"
    assert carnet("init", "--name", "cars.example", "--operator", "Fleet Data", home=made).code == 0
    assert carnet("import", "histovec", rows, home=made).code == 0
    assert carnet("member", "add", "--kind", "garage", "--name", "Tilleuls", home=made).code == 0
    return made


def join(home: Path, code: str, name: str = "Camille") -> str:
    """Make the account of an invitation; the session's token."""
    with office_at(Home(home)) as (office, _):
        authenticator = Authenticator(SITE)
        options = begin_sign_up(office, SITE, VISIT, name, code)
        return finish_sign_up(office, SITE, VISIT, authenticator.create(options)).token


def test_add_operator__prints_a_link_that_makes_one(home: Path) -> None:
    shown = carnet("account", "add-operator", home=home)
    assert shown.code == 0
    link = next(line.strip() for line in shown.out.splitlines() if "/join#" in line)
    assert link.startswith(f"{SITE}/join#")
    token = join(home, link.partition("#")[2], "The operator")
    with office_at(Home(home)) as (office, _):
        principal = find_principal(office, token)
    assert principal is not None
    assert principal.standing is Standing.OPERATOR
    other = carnet(
        "account", "add-operator", "--json", home=home, env=make_env(home, CARNET_ORIGIN="https://cars.example")
    )
    assert other.json["link"].startswith("https://cars.example/join#")


def test_invite__staff_of_a_member_and_holders(home: Path) -> None:
    made = carnet("account", "invite", "--member", "Tilleuls", "--role", "clerk", "--json", home=home).json
    token = join(home, made["code"], "The clerk")
    with office_at(Home(home)) as (office, _):
        principal = find_principal(office, token)
    assert principal is not None
    assert principal.role is Role.CLERK
    listed = carnet("account", "list", "--json", home=home).json_lines
    clerk = next(one for one in listed if one["name"] == "The clerk")
    assert (clerk["standing"], clerk["role"]) == ("staff", "clerk")
    assert "Tilleuls" in carnet("account", "list", home=home).out
    asked = carnet("account", "end", clerk["id"], home=home)
    assert (asked.code, "The clerk: staff clerk" in asked.out, "--yes" in asked.err) == (2, True, True)
    assert not next(
        one for one in carnet("account", "list", "--json", home=home).json_lines if one["id"] == clerk["id"]
    )["ended_at"]
    assert carnet("account", "end", clerk["id"], "--yes", home=home).code == 0
    again = carnet("account", "end", clerk["id"], "--yes", home=home)
    assert (again.code, "unknown_account" in again.err) == (1, True)
    assert "carnet account list" in again.err
    assert carnet("account", "invite", "--holder", home=home).code == 0
    for wrong in ((), ("--member", "Tilleuls"), ("--holder", "--role", "clerk")):
        assert carnet("account", "invite", *wrong, home=home).code == 2
    assert "account.ended" in carnet("account", "events", home=home).out
    events = carnet("account", "events", "--about", clerk["id"], "--json", home=home).json_lines
    assert [event["action"] for event in events] == ["account.ended", "account.created"]


def test_client__added_listed_rotated_revoked(home: Path) -> None:
    words = ["--member", "Tilleuls", "--name", "Workshop", "--scope", "entries:append", "--scope", "claims:issue"]
    made = carnet("client", "add", *words, "--valid", "90d", "--json", home=home).json
    key, client = made["key"], made["client"]
    assert key.startswith("ck_live_")
    assert made["until"] > 0
    with office_at(Home(home)) as (office, _):
        found = find_caller(office, VISIT, session=None, bearer=key)
        assert found.scopes == {Scope.ENTRIES_APPEND, Scope.CLAIMS_ISSUE}
        second = carnet("client", "rotate", client, "--overlap", "1h", "--json", home=home).json["key"]
        assert find_caller(office, VISIT, session=None, bearer=second).client == client
    shown = carnet("client", "list", home=home).out
    assert key[:14] in shown
    assert key not in shown
    assert second not in shown
    assert carnet("client", "revoke", client, key[:14], home=home).code == 0
    assert carnet("client", "revoke", client, "--all", home=home).code == 0
    listed = next(one for one in carnet("client", "list", "--json", home=home).json_lines if one["client"] == client)
    assert listed["ended_at"] is not None
    assert all(one["revoked_at"] is not None for one in listed["keys"])
    again = carnet("client", "rotate", client, home=home)
    assert (again.code, "unknown_client" in again.err) == (1, True)
    assert carnet("client", "revoke", client, home=home).code == 2


def test_client__with_a_public_key(home: Path, tmp_path: Path) -> None:
    file, key = tmp_path / "fleet.jwk", OKPKey.generate_key("Ed25519")
    words = ["client", "add", "--member", "Tilleuls", "--name", "Fleet", "--scope", "files", "--public-key", file]
    file.write_text(json.dumps(key.as_dict(private=True)))
    private = carnet(*words, home=home)
    assert (private.code, "not_private" in private.err) == (1, True)
    file.write_text(json.dumps(key.as_dict(private=False)))
    made = carnet(*words, "--json", home=home).json
    assert carnet("client", "revoke", made["client"], made["kid"], home=home).code == 0


def test_claim__code_contest_and_decision(home: Path) -> None:
    vehicle = "histovec:HV" + "0" * 40
    codes = [carnet("claim", "code", vehicle, "--member", "Fleet Data", "--json", home=home).json for _ in range(2)]
    assert codes[0]["code"] != codes[1]["code"]
    spare = carnet("claim", "code", vehicle, "--member", "Fleet Data", "--json", home=home).json["id"]
    assert carnet("claim", "revoke", spare, "--member", "Tilleuls", home=home).code == 1
    assert carnet("claim", "revoke", spare, "--member", "Fleet Data", home=home).code == 0
    lines = carnet("claim", "codes", "--member", "Fleet Data", "--json", home=home).json_lines
    assert sorted(one["state"] for one in lines) == ["in_force", "in_force", "revoked"]
    assert "in force" in carnet("claim", "codes", "--member", "Fleet Data", home=home).out
    foreign = carnet("claim", "code", vehicle, "--member", "Tilleuls", home=home)
    assert (foreign.code, "unknown_passport" in foreign.err) == (1, True)
    people = [join(home, carnet("account", "invite", "--holder", "--json", home=home).json["code"]) for _ in range(2)]
    with office_at(Home(home)) as (office, reader):
        done = []
        for token, code in zip(people, codes, strict=True):
            principal = find_principal(office, token)
            assert principal is not None
            done.append(claim(office, reader, principal, VISIT, code["code"], vehicle))
    assert [one.is_held for one in done] == [True, False]
    listed = carnet("claim", "contests", "--json", home=home).json_lines
    assert [(one["id"], one["state"]) for one in listed] == [(done[1].contest, "open")]
    assert carnet("claim", "decide", listed[0]["id"], "--grant", home=home).code == 0
    assert "granted" in carnet("claim", "contests", home=home).out
    again = carnet("claim", "decide", listed[0]["id"], "--dismiss", home=home)
    assert (again.code, "contest_decided" in again.err) == (1, True)


def test_member_retire__ends_its_people_and_programs(home: Path) -> None:
    assert carnet("member", "add", "--kind", "garage", "--name", "Closing", home=home).code == 0
    key = carnet(
        "client", "add", "--member", "Closing", "--name", "Last", "--scope", "files", "--json", home=home
    ).json["key"]
    token = join(
        home, carnet("account", "invite", "--member", "Closing", "--role", "admin", "--json", home=home).json["code"]
    )
    assert carnet("member", "retire", "Closing", "--yes", home=home).code == 0
    for verb in (
        ("account", "invite", "--role", "admin"),
        ("client", "add", "--name", "Late", "--scope", "files"),
        ("webhook", "add", "https://hooks.example/late"),
    ):
        late = carnet(*verb, "--member", "Closing", home=home)
        assert (late.code, "member_retired" in late.err) == (1, True), late.err
    with office_at(Home(home)) as (office, _):
        assert find_principal(office, token) is None
        with pytest.raises(Exception, match="lets nobody in"):
            find_caller(office, VISIT, session=None, bearer=key)
