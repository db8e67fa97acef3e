"""API keys and OAuth clients: what lets a program in, and what does not."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from carnet.errors import Reason, Refused
from carnet.services.accounts import oauth
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.callers import find_caller
from carnet.services.accounts.clients import (
    OVERLAP_MS,
    Issued,
    add_client,
    end_client,
    find_by_key,
    issue_key,
    list_clients,
    parse_scopes,
    revoke_key,
    rotate_key,
)
from carnet.services.accounts.leaving import end_staff_of
from carnet.services.accounts.office import Office, Visit, is_test_network, is_token
from carnet.services.accounts.registry import change_role, end_account, with_present_role
from carnet.services.accounts.sessions import find_principal
from carnet.services.accounts.throttling import LIMITS, Attempt
from carnet.services.principals import VISITOR, Principal, Role, Scope, Standing
from tests.services.accounts.ground import GARAGE, INSURER, OPERATOR, VISIT, Ground
from tests.services.accounts.test_signing_in import refuse

SCOPES = frozenset({Scope.PASSPORTS_READ, Scope.ENTRIES_APPEND})
AUDIENCE = "https://carnet.example/v1/oauth/token"
AUDIENCES = frozenset({AUDIENCE, "https://carnet.example"})


def make_key(ground: Ground, office: Office | None = None, **named: Any) -> Issued:
    office = office or ground.office
    client = add_client(office, OPERATOR, GARAGE, "Workshop software", SCOPES)
    return issue_key(office, OPERATOR, client.public_id, **named)


def is_let_in(office: Office, secret: str) -> bool:
    try:
        return find_caller(office, VISIT, session=None, bearer=secret) is not VISITOR
    except Exception:
        return False


# ---- API keys


def test_key__makes_a_machine_of_its_member_with_its_scopes(ground: Ground) -> None:
    issued = make_key(ground)
    assert issued.secret.startswith("ck_live_")
    found = find_caller(ground.office, VISIT, session=None, bearer=issued.secret)
    assert found == Principal(
        Standing.MACHINE,
        client=issued.client.public_id,
        member=GARAGE,
        scopes=SCOPES,
        signed_in_at=found.signed_in_at,
    )
    with ground.office.people.read() as connection:
        rows = connection.execute("SELECT hint, digest FROM api_key").fetchall()
    assert rows[0][0] == issued.secret[: len("ck_live_") + 6]
    assert issued.secret.encode() not in bytes(rows[0][1])


def test_key__check_letters_tell_a_slip_without_the_store(ground: Ground) -> None:
    secret = make_key(ground).secret
    assert is_token(secret, "ck_live_")
    for at in range(len(secret)):
        other = "A" if secret[at] != "A" else "B"
        assert not is_token(secret[:at] + other + secret[at + 1 :], "ck_live_")
    assert not is_token(secret + "A", "ck_live_")
    assert not is_token("", "ck_live_")


def test_key__refused_sign_in_failed__alike_whatever_was_wrong(ground: Ground) -> None:
    office = ground.office
    short = make_key(ground, valid_ms=1000)
    revoked, ended = make_key(ground), make_key(ground)
    hint = revoked.secret[:14]
    revoke_key(office, OPERATOR, revoked.client.public_id, hint)
    end_client(office, OPERATOR, ended.client.public_id)
    ground.wait(1000)
    wrong = (short.secret, revoked.secret, ended.secret, office.make_token("ck_live_"), "ck_live_", "ck_live_é")
    said = {refuse(Reason.SIGN_IN_FAILED, find_by_key, office, VISIT, secret).message for secret in wrong}
    said |= {
        refuse(Reason.SIGN_IN_FAILED, find_caller, office, VISIT, session=None, bearer=secret).message
        for secret in ("", "something else", "ct_live_nothing")
    }
    assert len(said) == 1
    assert len(ground.read_events(Action.KEY_REFUSED)) == len(wrong) + 1
    recorded = (Action.CLIENT_CREATED, Action.KEY_ISSUED, Action.KEY_REVOKED, Action.CLIENT_ENDED)
    assert [len(ground.read_events(action)) for action in recorded] == [3, 3, 1, 1]


def test_key__refused_wrong_network__test_and_live_are_apart(ground: Ground) -> None:
    live, test = ground.office, ground.with_network("test.example.org")
    assert (live.is_test, test.is_test) == (False, True)
    assert [is_test_network(name) for name in ("demo.carnet.example", "testing.org", "example.test")] == [
        True,
        False,
        False,
    ]
    live_key, test_key = make_key(ground, live).secret, make_key(ground, test).secret
    assert (live_key[:8], test_key[:8]) == ("ck_live_", "ck_test_")
    assert is_let_in(live, live_key)
    assert is_let_in(test, test_key)
    refuse(Reason.WRONG_NETWORK, find_by_key, live, VISIT, test_key)
    refuse(Reason.WRONG_NETWORK, find_by_key, test, VISIT, live_key)


def test_rotate__two_keys_overlap_and_then_one_is_left(ground: Ground) -> None:
    office, first = ground.office, make_key(ground)
    client = first.client.public_id
    second = rotate_key(office, OPERATOR, client)
    assert [is_let_in(office, key.secret) for key in (first, second)] == [True, True]
    refuse(Reason.TOO_MANY_KEYS, rotate_key, office, OPERATOR, client)
    refuse(Reason.TOO_MANY_KEYS, issue_key, office, OPERATOR, client)
    ground.wait(OVERLAP_MS)
    assert [is_let_in(office, key.secret) for key in (first, second)] == [False, True]
    third = rotate_key(office, OPERATOR, client)
    revoke_key(office, OPERATOR, client, second.secret[:14])
    assert [is_let_in(office, key.secret) for key in (second, third)] == [False, True]
    refuse(Reason.UNKNOWN_CLIENT, revoke_key, office, OPERATOR, client, second.secret[:14])


def test_clients__of_an_admin_who_is_none_any_more_are_out_of_their_reach(ground: Ground) -> None:
    """The request was let in before: another one has ended the account, or given it another role, meanwhile."""
    office, scopes = ground.office, frozenset({Scope.FILES})
    gone, demoted = ground.join_staff(Role.ADMIN), ground.join_staff(Role.ADMIN)
    client = add_client(office, gone.principal, GARAGE, "Workshop", scopes).public_id
    before = [gone.principal, demoted.principal]
    end_account(office, OPERATOR, gone.account)
    change_role(office, OPERATOR, demoted.account, Role.CLERK)
    for caller, reasons in zip(
        before,
        [(Reason.NOT_SIGNED_IN, Reason.NOT_SIGNED_IN), (Reason.NOT_PERMITTED, Reason.UNKNOWN_CLIENT)],
        strict=True,
    ):
        refuse(reasons[0], add_client, office, caller, GARAGE, "Late", scopes)
        refuse(reasons[1], issue_key, office, caller, client)
        refuse(reasons[1], rotate_key, office, caller, client)
        refuse(reasons[1], end_client, office, caller, client)
    assert [one.name for one, _ in list_clients(office, OPERATOR)] == ["Workshop"]


def test_present_role__of_a_program_whose_key_was_revoked_is_none(ground: Ground) -> None:
    """The request was let in before; another key of the same program is still in force."""
    office, first = ground.office, make_key(ground)
    client = first.client.public_id
    ground.wait(1)
    second = rotate_key(office, OPERATOR, client)
    revoked, kept = (find_by_key(office, VISIT, one.secret) for one in (first, second))
    for caller in (revoked, kept):
        assert ask_present(ground, caller) == caller
    revoke_key(office, OPERATOR, client, first.secret[:14])
    refuse(Reason.SIGN_IN_FAILED, ask_present, ground, revoked)
    assert ask_present(ground, kept) == kept
    end_client(office, OPERATOR, client)
    refuse(Reason.SIGN_IN_FAILED, ask_present, ground, kept)


def ask_present(ground: Ground, caller: Principal) -> Principal:
    with ground.office.people.write() as connection:
        return with_present_role(connection, caller)


def test_rotate__never_lengthens_the_life_of_the_old_key(ground: Ground) -> None:
    first = make_key(ground, valid_ms=1000)
    rotate_key(ground.office, OPERATOR, first.client.public_id)
    ground.wait(1000)
    assert not is_let_in(ground.office, first.secret)


def test_key__shows_when_it_was_last_used(ground: Ground) -> None:
    issued = make_key(ground)
    assert list_clients(ground.office, OPERATOR)[0][1][0].used_at is None
    find_by_key(ground.office, VISIT, issued.secret)
    first = list_clients(ground.office, OPERATOR)[0][1][0].used_at
    assert first is not None
    find_by_key(ground.office, VISIT, issued.secret)
    # Not more than once a minute: a request must not become a write.
    assert list_clients(ground.office, OPERATOR)[0][1][0].used_at == first
    ground.wait(60_000)
    find_by_key(ground.office, VISIT, issued.secret)
    assert (list_clients(ground.office, OPERATOR)[0][1][0].used_at or 0) >= first + 60_000


def test_clients__of_one_member_are_nothing_to_another(ground: Ground) -> None:
    office, issued = ground.office, make_key(ground)
    admin, other = ground.join_staff(Role.ADMIN).principal, ground.join_staff(Role.ADMIN, INSURER).principal
    client = issued.client.public_id
    assert [one.public_id for one, _ in list_clients(office, admin)] == [client]
    assert list_clients(office, other) == []
    for call in (issue_key, rotate_key, end_client):
        refuse(Reason.UNKNOWN_CLIENT, call, office, other, client)
    refuse(Reason.UNKNOWN_CLIENT, revoke_key, office, other, client, issued.secret[:14])
    refuse(Reason.NOT_PERMITTED, add_client, office, other, GARAGE, "Mine now", SCOPES)
    machine = find_by_key(office, VISIT, issued.secret)
    clerk, holder = ground.join_staff(Role.CLERK).principal, ground.join().principal
    for principal in (machine, clerk, holder, VISITOR):
        refuse(Reason.NOT_PERMITTED, list_clients, office, principal)
        refuse(Reason.UNKNOWN_CLIENT, issue_key, office, principal, client)
    for name in ("cli_", "acc_" + "0" * 32, "cli_" + "0" * 32, "x"):
        refuse(Reason.UNKNOWN_CLIENT, issue_key, office, OPERATOR, name)
    assert add_client(office, admin, GARAGE, "Second", SCOPES).made_by == admin.account


def test_parse_scopes__refused_what_is_none() -> None:
    assert parse_scopes(["files", "claims:issue"]) == {Scope.FILES, Scope.CLAIMS_ISSUE}
    refuse(Reason.NOT_IN_LIST, parse_scopes, ["files", "everything"])
    refuse(Reason.MISSING_FIELD, parse_scopes, [])


def test_end_staff_of__ends_people_and_programs_of_a_member_that_left(ground: Ground) -> None:
    issued, clerk, other = make_key(ground), ground.join_staff(Role.CLERK), ground.join_staff(Role.CLERK, INSURER)
    assert end_staff_of(ground.office, OPERATOR, GARAGE) == 1
    assert not is_let_in(ground.office, issued.secret)
    assert find_principal(ground.office, clerk.token) is None
    assert find_principal(ground.office, other.token) is not None


# ---- OAuth


def make_oauth(ground: Ground, key: OKPKey | ECKey | None = None) -> tuple[str, Any]:
    key = key or OKPKey.generate_key("Ed25519")
    client = add_client(ground.office, OPERATOR, GARAGE, "Fleet system", SCOPES, "oauth").public_id
    oauth.add_public_key(ground.office, OPERATOR, client, key.as_dict(private=False))
    return client, key


def make_assertion(ground: Ground, client: str, key: Any, alg: str = "Ed25519", **changed: Any) -> str:
    now = ground.clock.now // 1000
    claims = {"iss": client, "sub": client, "aud": AUDIENCE, "exp": now + 120, "iat": now, "jti": str(ground.clock.now)}
    claims |= changed
    ground.clock()
    with warnings.catch_warnings():
        # `EdDSA` is the older name of the same, which clients still use.
        warnings.simplefilter("ignore", SecurityWarning)
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": alg}, kept, key, algorithms=[alg])


def ask(ground: Ground, assertion: str, scope: str | None = None) -> oauth.Granted:
    return oauth.grant_token(ground.office, VISIT, AUDIENCES, assertion, scope)


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519", "ES256"])
def test_token__for_who_signed_the_assertion(ground: Ground, alg: str) -> None:
    key: OKPKey | ECKey = OKPKey.generate_key("Ed25519") if alg != "ES256" else ECKey.generate_key("P-256")
    client, _ = make_oauth(ground, key)
    granted = ask(ground, make_assertion(ground, client, key, alg))
    assert (granted.expires_in_s, granted.scopes) == (900, SCOPES)
    found = find_caller(ground.office, VISIT, session=None, bearer=granted.access_token)
    assert (found.standing, found.client, found.member, found.scopes) == (Standing.MACHINE, client, GARAGE, SCOPES)
    assert len(ground.read_events(Action.TOKEN_ISSUED)) == 1
    ground.wait(oauth.TOKEN_MS)
    refuse(Reason.SIGN_IN_FAILED, oauth.find_by_token, ground.office, VISIT, granted.access_token)


def test_token__fewer_scopes_and_never_more(ground: Ground) -> None:
    client, key = make_oauth(ground)
    assert ask(ground, make_assertion(ground, client, key), "passports:read").scopes == {Scope.PASSPORTS_READ}
    refuse(Reason.NOT_PERMITTED, ask, ground, make_assertion(ground, client, key), "passports:read files")
    refuse(Reason.NOT_IN_LIST, ask, ground, make_assertion(ground, client, key), "root")


def test_token__refused_sign_in_failed__alike_whatever_was_wrong(ground: Ground) -> None:
    client, key = make_oauth(ground)
    other, other_key = make_oauth(ground)
    by_key = make_key(ground).client.public_id
    replayed = make_assertion(ground, client, key)
    ask(ground, replayed)
    now = ground.clock.now // 1000
    wrong = [
        replayed,
        make_assertion(ground, client, other_key),
        make_assertion(ground, client, key, iss=other),
        make_assertion(ground, client, key, sub=other),
        make_assertion(ground, by_key, key),
        make_assertion(ground, "cli_" + "0" * 32, key),
        make_assertion(ground, client, key, aud="https://elsewhere.example"),
        make_assertion(ground, client, key, aud=None),
        make_assertion(ground, client, key, aud=5),
        make_assertion(ground, client, key, exp=now - 1),
        make_assertion(ground, client, key, exp=now + 3600),
        make_assertion(ground, client, key, exp=None),
        make_assertion(ground, client, key, exp=True),
        make_assertion(ground, client, key, iat=now + 3600),
        make_assertion(ground, client, key, nbf=now + 3600),
        make_assertion(ground, client, key, jti=None),
        make_assertion(ground, client, key, jti=""),
        make_assertion(ground, client, key, jti="x" * 200),
        make_assertion(ground, client, key)[:-8] + "AAAAAAAA",
        "not.a.token",
        "",
        "a.b",
        "x" * 10_000,
    ]
    said = set()
    for assertion in wrong:
        said.add(refuse(Reason.SIGN_IN_FAILED, ask, ground, assertion).message)
        with ground.office.people.write() as connection:
            connection.execute("DELETE FROM throttle")
    assert len(said) == 1
    assert len(ground.read_events(Action.TOKEN_REFUSED)) == len(wrong)


def test_token__refused_algorithms_that_are_not_the_keys(ground: Ground) -> None:
    """No `none`, no HMAC with the public key as its secret, no RSA. Source: RFC 8725 §2.1."""
    client, key = make_oauth(ground)
    public = json.dumps(key.as_dict(private=False)).encode()
    with_rsa = make_assertion(ground, client, RSAKey.generate_key(2048), "RS256")
    refuse(Reason.SIGN_IN_FAILED, ask, ground, with_rsa)
    confused = make_assertion(ground, client, OctKey.import_key(public), "HS256")
    refuse(Reason.SIGN_IN_FAILED, ask, ground, confused)
    head, body, _ = make_assertion(ground, client, key).split(".")
    none = "eyJhbGciOiJub25lIn0"
    assert head != none
    for assertion in (f"{none}.{body}.", f"{none}.{body}.AA"):
        refuse(Reason.SIGN_IN_FAILED, ask, ground, assertion)


def test_token__nobody_else_uses_up_the_attempts_of_a_client(ground: Ground) -> None:
    """A client's id is no secret: it stands in the answers of the API, in logs, and in what others are shown."""
    client, key = make_oauth(ground)
    stranger, there = OKPKey.generate_key("Ed25519"), Visit("198.51.100.7")
    reasons = set()
    for _ in range(LIMITS[Attempt.ASSERTION_BY_ADDRESS].attempts + 1):
        with pytest.raises(Refused) as refused:
            oauth.grant_token(ground.office, there, AUDIENCES, make_assertion(ground, client, stranger))
        reasons.add(refused.value.reason)
    assert reasons == {Reason.SIGN_IN_FAILED, Reason.TOO_MANY_REQUESTS}
    assert ask(ground, make_assertion(ground, client, key)).scopes == SCOPES


def test_present_role__of_a_program_whose_token_was_ended_is_none(ground: Ground) -> None:
    client, key = make_oauth(ground)
    caller = oauth.find_by_token(ground.office, VISIT, ask(ground, make_assertion(ground, client, key)).access_token)
    assert ask_present(ground, caller) == caller
    kid = oauth.list_public_keys(ground.office, OPERATOR, client)[0][0]
    oauth.revoke_public_key(ground.office, OPERATOR, client, kid)
    refuse(Reason.SIGN_IN_FAILED, ask_present, ground, caller)


def test_token__ends_with_its_key_and_its_client(ground: Ground) -> None:
    client, key = make_oauth(ground)
    first = ask(ground, make_assertion(ground, client, key)).access_token
    kid = oauth.list_public_keys(ground.office, OPERATOR, client)[0][0]
    oauth.revoke_public_key(ground.office, OPERATOR, client, kid)
    assert not is_let_in(ground.office, first)
    refuse(Reason.SIGN_IN_FAILED, ask, ground, make_assertion(ground, client, key))
    second = ECKey.generate_key("P-256")
    oauth.add_public_key(ground.office, OPERATOR, client, second.as_dict(private=False))
    token = ask(ground, make_assertion(ground, client, second, "ES256")).access_token
    assert is_let_in(ground.office, token)
    end_client(ground.office, OPERATOR, client)
    assert not is_let_in(ground.office, token)


def test_add_public_key__refused_what_is_no_public_key(ground: Ground) -> None:
    office, (client, key) = ground.office, make_oauth(ground)
    refuse(
        Reason.NOT_PRIVATE,
        oauth.add_public_key,
        office,
        OPERATOR,
        client,
        OKPKey.generate_key("Ed25519").as_dict(private=True),
    )
    refuse(Reason.KEY_EXISTS, oauth.add_public_key, office, OPERATOR, client, key.as_dict(private=False))
    for document in (
        {},
        {"kty": "RSA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": 5, "y": None},
    ):
        refuse(Reason.WRONG_TYPE, oauth.add_public_key, office, OPERATOR, client, document)
    oauth.add_public_key(office, OPERATOR, client, ECKey.generate_key("P-256").as_dict(private=False))
    third = ECKey.generate_key("P-256").as_dict(private=False)
    refuse(Reason.TOO_MANY_KEYS, oauth.add_public_key, office, OPERATOR, client, third)
    other = ground.join_staff(Role.ADMIN, INSURER).principal
    refuse(Reason.UNKNOWN_CLIENT, oauth.add_public_key, office, other, client, third)
    refuse(Reason.UNKNOWN_CLIENT, oauth.list_public_keys, office, other, client)
    refuse(Reason.UNKNOWN_CLIENT, oauth.revoke_public_key, office, OPERATOR, client, "nothing")
