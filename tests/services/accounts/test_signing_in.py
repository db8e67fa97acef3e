"""Passkeys, sessions, recovery: how people get in, and how nobody else does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.authenticators import make_creation, make_request, read_assertion, read_attestation
from carnet.services.accounts.callers import find_caller
from carnet.services.accounts.invitations import VALID_MS, invite
from carnet.services.accounts.leaving import end_staff_of
from carnet.services.accounts.office import Visit
from carnet.services.accounts.passkeys import (
    CEREMONY_MS,
    begin_add,
    begin_confirm,
    begin_sign_in,
    begin_sign_up,
    finish_add,
    finish_confirm,
    finish_sign_in,
    finish_sign_up,
    list_passkeys,
    remove_passkey,
)
from carnet.services.accounts.recovery import CODES, count_codes, recover, renew_codes
from carnet.services.accounts.registry import HOLDER, Post, change_role, end_account, list_accounts
from carnet.services.accounts.registry import OPERATOR as OPERATOR_POST
from carnet.services.accounts.sessions import (
    LIMITS,
    MAX_SESSIONS,
    end_other_sessions,
    end_session,
    find_principal,
    list_sessions,
    sign_out,
)
from carnet.services.principals import VISITOR, Role, Standing
from carnet.vault.people.store import PeopleStore
from carnet.vault.store import Connection
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.ground import GARAGE, INSURER, OPERATOR, SITE, VISIT, Ground, Person


def refuse(reason: Reason, call: Any, *arguments: Any, **named: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        call(*arguments, **named)
    assert refused.value.reason is reason, refused.value
    return refused.value


# ---- signing up and in


def test_sign_up__makes_a_holder_who_is_signed_in(ground: Ground) -> None:
    person = ground.join()
    principal = person.principal
    assert principal.standing is Standing.HOLDER
    assert (principal.member, principal.role, principal.is_demo) == (None, None, False)
    assert principal.signed_in_at == principal.confirmed_at
    assert len(set(person.codes)) == CODES
    assert [account.name for account in list_accounts(ground.office, OPERATOR)] == ["Camille Durand"]
    assert len(ground.read_events(Action.ACCOUNT_CREATED)) == 1


def test_sign_up__refused_not_permitted_where_invitations_are_asked_for(ground: Ground) -> None:
    closed = replace(ground.office, is_open=False)
    refuse(Reason.NOT_PERMITTED, begin_sign_up, closed, SITE, VISIT, "Camille")
    code = invite(closed, OPERATOR, HOLDER).code
    options = begin_sign_up(closed, SITE, VISIT, "Camille", code)
    assert finish_sign_up(closed, SITE, VISIT, Authenticator(SITE).create(options)).account.standing is Standing.HOLDER


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "Camille\nDurand", "Camille\u202edurand"])
def test_sign_up__refused_names_that_are_none(ground: Ground, name: str) -> None:
    with pytest.raises(Refused):
        begin_sign_up(ground.office, SITE, VISIT, name)


def test_sign_up__by_invitation_gives_the_office_of_the_invitation(ground: Ground) -> None:
    admin = ground.join_staff(Role.ADMIN)
    assert (admin.principal.standing, admin.principal.member, admin.principal.role) == ("staff", GARAGE, "admin")
    assert ground.join(OPERATOR_POST).principal.standing is Standing.OPERATOR


def test_invite__who_may_invite_whom(ground: Ground) -> None:
    admin, clerk, auditor = (ground.join_staff(role).principal for role in (Role.ADMIN, Role.CLERK, Role.AUDITOR))
    holder, office = ground.join().principal, ground.office
    staff, other = Post(Standing.STAFF, GARAGE, Role.CLERK), Post(Standing.STAFF, INSURER, Role.CLERK)
    before = len(ground.read_events(Action.ACCOUNT_INVITED))
    for principal, post in ((OPERATOR, staff), (admin, staff), (admin, HOLDER), (clerk, HOLDER), (OPERATOR, HOLDER)):
        assert invite(office, principal, post).code
    assert len(ground.read_events(Action.ACCOUNT_INVITED)) == before + 5
    for principal, post in (
        (admin, other), (admin, OPERATOR_POST), (clerk, staff), (auditor, HOLDER), (holder, HOLDER), (VISITOR, HOLDER),
        (holder, staff), (VISITOR, OPERATOR_POST),
    ):  # fmt: skip
        refuse(Reason.NOT_PERMITTED, invite, office, principal, post)
    refuse(Reason.MISSING_FIELD, invite, office, OPERATOR, Post(Standing.STAFF, GARAGE))


def test_invitation__refused_code_not_valid__alike_whether_used_run_out_or_invented(ground: Ground) -> None:
    used = invite(ground.office, OPERATOR, HOLDER).code
    options = begin_sign_up(ground.office, SITE, VISIT, "One", used)
    also = begin_sign_up(ground.office, SITE, VISIT, "Two", used.lower().replace("-", " "))
    finish_sign_up(ground.office, SITE, VISIT, Authenticator(SITE).create(options))
    # Both were begun; one person gets the account.
    refuse(Reason.CODE_NOT_VALID, finish_sign_up, ground.office, SITE, VISIT, Authenticator(SITE).create(also))
    old = invite(ground.office, OPERATOR, HOLDER).code
    ground.wait(VALID_MS)
    said = {
        refuse(Reason.CODE_NOT_VALID, begin_sign_up, ground.office, SITE, VISIT, "Three", code).message
        for code in (used, old, "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA", "x")
    }
    assert len(said) == 1
    assert len(list_accounts(ground.office, OPERATOR)) == 1


def test_sign_in__with_either_kind_of_key(ground: Ground) -> None:
    for is_edwards in (False, True):
        authenticator = Authenticator(SITE, is_edwards=is_edwards)
        done = finish_sign_up(
            ground.office, SITE, VISIT, authenticator.create(begin_sign_up(ground.office, SITE, VISIT, "Camille"))
        )
        person = Person(ground.office, authenticator, done.token, list(done.codes))
        token = person.sign_in()
        assert find_caller(ground.office, VISIT, session=token, bearer=None).account == person.account
    assert len(ground.read_events(Action.SIGNED_IN)) == 4


def test_sign_in__options_name_nobody(ground: Ground) -> None:
    before = begin_sign_in(ground.office, SITE, VISIT)
    ground.join()
    after = begin_sign_in(ground.office, SITE, VISIT)
    assert before["challenge"] != after["challenge"]
    assert len(before["challenge"]) == 43
    without = [{name: value for name, value in one.items() if name != "challenge"} for one in (before, after)]
    assert without[0] == without[1]
    assert not before.get("allowCredentials")


def break_answers(ground: Ground, person: Person) -> list[tuple[str, dict[str, Any]]]:
    """Answers to a fresh challenge that must sign nobody in."""
    authenticator, elsewhere = person.authenticator, Authenticator("https://evil.example")
    elsewhere.keys = authenticator.keys

    def ask() -> Any:
        return begin_sign_in(ground.office, SITE, VISIT)

    stolen = ask()
    known = list(authenticator.keys)[-1]
    unknown = Authenticator(SITE)
    forged = Authenticator(SITE)
    forged.keys[known] = unknown.keys[unknown.make_unknown()]
    unseen = Authenticator(SITE, flags=1)
    unseen.keys = authenticator.keys
    other_type = authenticator.get(ask(), type="webauthn.create")
    no_signature = authenticator.get(ask())
    no_signature["response"].pop("signature")
    return [
        ("an unknown passkey", unknown.get(ask())),
        ("a known passkey, another key", forged.get(ask())),
        ("another site", elsewhere.get(ask())),
        ("a challenge of their own", authenticator.get({"rpId": "carnet.example", "challenge": "A" * 43})),
        ("nobody was asked for their finger", unseen.get(ask())),
        ("another ceremony", other_type),
        ("another challenge", authenticator.get(ask(), challenge="B" * 43)),
        ("no signature", no_signature),
        ("another host", authenticator.get({**stolen, "rpId": "example"})),
        ("nothing", {}),
        ("no object", {"response": 5}),
    ]


def test_sign_in__refused_sign_in_failed__alike_whatever_was_wrong(ground: Ground) -> None:
    person = ground.join()
    said = set()
    for what, answer in break_answers(ground, person):
        refused = refuse(Reason.SIGN_IN_FAILED, finish_sign_in, ground.office, SITE, VISIT, answer)
        said.add((refused.message, json.dumps(refused.facts)))
        assert what
    assert len(said) == 1
    end_account(ground.office, OPERATOR, person.account)
    refused = refuse(Reason.SIGN_IN_FAILED, person.sign_in)
    assert refused.message in {message for message, _ in said}
    # One answer for each, and nobody's name with it.
    assert {event.who for event in ground.read_events(Action.SIGN_IN_FAILED)} == {"visitor"}


def test_sign_in__does_the_same_work_for_an_unknown_passkey(ground: Ground) -> None:
    person = ground.join()
    known = list(person.authenticator.keys)[-1]
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    for turn in range(24):
        for name in ("known", "unknown") if turn % 2 else ("unknown", "known"):
            stranger = Authenticator(SITE)
            unknown = stranger.make_unknown()
            if name == "known":
                stranger.keys = {known: stranger.keys[unknown]}
            answer = stranger.get(begin_sign_in(ground.office, SITE, VISIT))
            # Of this thread's processor: what else the machine does says nothing of the work.
            began = time.thread_time()
            with pytest.raises(Refused):
                finish_sign_in(ground.office, SITE, VISIT, answer)
            times[name].append(time.thread_time() - began)
        ground.wait(10 * 60_000)
    fastest = {name: sorted(taken)[len(taken) // 4] for name, taken in times.items()}
    assert 0.6 < fastest["known"] / fastest["unknown"] < 1.67, fastest


def test_assertion__of_an_unknown_passkey_has_a_signature_checked_too() -> None:
    """By itself, since what the store takes for either hides it from the test above."""
    authenticator, challenge = Authenticator(SITE), bytes(32)
    made = authenticator.create(make_creation(SITE, challenge, b"handle", "A", ()))
    attested = read_attestation(SITE, challenge, made)
    assert attested is not None
    stored = bytes(16), attested.credential, 0
    answer = authenticator.get(make_request(SITE, challenge))
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(80):
        is_known = turn % 2 == 0
        began = time.thread_time()
        asserted = read_assertion(SITE, challenge, answer, lambda _, is_known=is_known: stored if is_known else None)
        times[is_known].append(time.thread_time() - began)
        assert (asserted is not None) == is_known
    known, unknown = (sorted(times[is_known])[10] for is_known in (True, False))
    # Without the check it takes less than half as long.
    assert 0.7 < unknown / known < 1.5, (known, unknown)


def test_sign_in__an_answer_is_good_once_and_for_a_while(ground: Ground) -> None:
    person = ground.join()
    answer = person.authenticator.get(begin_sign_in(ground.office, SITE, VISIT))
    assert finish_sign_in(ground.office, SITE, VISIT, answer).account.public_id == person.account
    refuse(Reason.SIGN_IN_FAILED, finish_sign_in, ground.office, SITE, VISIT, answer)
    late = person.authenticator.get(begin_sign_in(ground.office, SITE, VISIT))
    ground.wait(CEREMONY_MS)
    refuse(Reason.SIGN_IN_FAILED, finish_sign_in, ground.office, SITE, VISIT, late)


def test_sign_in__an_answer_to_one_purpose_is_none_to_another(ground: Ground) -> None:
    person = ground.join()
    principal = person.principal
    confirming = person.authenticator.get(begin_confirm(ground.office, SITE, principal))
    refuse(Reason.SIGN_IN_FAILED, finish_sign_in, ground.office, SITE, VISIT, confirming)
    signing = person.authenticator.get(begin_sign_in(ground.office, SITE, VISIT))
    refuse(Reason.SIGN_IN_FAILED, finish_confirm, ground.office, SITE, principal, person.token, signing)
    joining = Authenticator(SITE).create(begin_sign_up(ground.office, SITE, VISIT, "Camille"))
    refuse(Reason.SIGN_IN_FAILED, finish_add, ground.office, SITE, principal, joining, "Mine")


def test_sign_in__a_copied_passkey_is_refused_and_noted(ground: Ground) -> None:
    person = ground.join()
    person.authenticator.counter = 5
    person.sign_in()
    person.authenticator.counter = 3
    refuse(Reason.SIGN_IN_FAILED, person.sign_in)
    assert len(ground.read_events(Action.PASSKEY_COPIED)) == 1


# ---- sessions


def test_session__token_is_random_and_nowhere_in_the_store(ground: Ground) -> None:
    person = ground.join()
    tokens = {person.sign_in() for _ in range(5)}
    assert len(tokens) == 5
    assert all(len(token) == 49 for token in tokens)
    with ground.office.people.read() as connection:
        rows = connection.execute("SELECT * FROM session").fetchall()
    stored = b"|".join(
        bytes(cell) if isinstance(cell, (bytes, memoryview)) else str(cell).encode() for row in rows for cell in row
    )
    assert not any(token.encode() in stored for token in tokens)


def test_session__sign_in_replaces_what_the_browser_had(ground: Ground) -> None:
    """Session fixation: a token that somebody planted is no session, and what was one before is none after."""
    person = ground.join()
    planted = person.token
    token = person.sign_in(replaced=planted)
    assert token != planted
    assert find_principal(ground.office, planted) is None
    assert find_principal(ground.office, token) is not None
    other = person.sign_in(replaced="not-a-session-at-all")
    assert other != "not-a-session-at-all"
    assert find_principal(ground.office, "not-a-session-at-all") is None


def test_sign_out__ends_it_in_the_store(ground: Ground) -> None:
    person = ground.join()
    other = person.sign_in()
    sign_out(ground.office, person.token)
    assert find_caller(ground.office, VISIT, session=person.token, bearer=None) == VISITOR
    assert find_principal(ground.office, other) is not None
    sign_out(ground.office, person.token)
    assert len(ground.read_events(Action.SIGNED_OUT)) == 1


@pytest.mark.parametrize("standing", [Standing.HOLDER, Standing.STAFF, Standing.OPERATOR])
def test_session__ends_when_idle_and_in_any_case(ground: Ground, standing: Standing) -> None:
    post = Post(standing, GARAGE, Role.CLERK) if standing is Standing.STAFF else Post(standing)
    person, limits = ground.join(post), LIMITS[standing]
    ground.wait(limits.idle_ms + 1000)
    assert find_principal(ground.office, person.token) is None
    person.token, began = person.sign_in(), ground.clock.now
    while ground.clock.now < began + limits.absolute_ms - limits.idle_ms:
        ground.wait(limits.idle_ms // 2)
        assert find_principal(ground.office, person.token) is not None
    ground.wait(began + limits.absolute_ms - ground.clock.now)
    assert find_principal(ground.office, person.token) is None


def test_sessions__are_listed_and_ended_one_by_one_or_all_others(ground: Ground) -> None:
    person, stranger = ground.join(), ground.join()
    tokens = [person.sign_in(Visit("192.0.2.8", f"Phone {n}")) for n in range(3)]
    listed = list_sessions(ground.office, person.principal, person.token)
    assert [one.device for one in listed if not one.is_this] == ["Phone 2", "Phone 1", "Phone 0"]
    assert sum(one.is_this for one in listed) == 1
    wanted = next(one.id for one in listed if one.device == "Phone 1")
    refuse(Reason.UNKNOWN_ACCOUNT, end_session, ground.office, stranger.principal, wanted)
    end_session(ground.office, person.principal, wanted)
    assert [find_principal(ground.office, token) is not None for token in tokens] == [True, False, True]
    assert end_other_sessions(ground.office, person.principal, person.token) == 2
    assert [find_principal(ground.office, token) for token in tokens] == [None] * 3
    assert find_principal(ground.office, stranger.token) is not None
    assert len(ground.read_events(Action.SESSION_ENDED)) == 2


def test_sessions__of_one_account_are_not_endless(ground: Ground) -> None:
    person = ground.join()
    for _ in range(MAX_SESSIONS + 3):
        ground.wait(60 * 60_000)
        person.token = person.sign_in()
    assert len(list_sessions(ground.office, person.principal, person.token)) == MAX_SESSIONS


# ---- confirming, and dangerous acts


def test_confirm__renews_the_token_and_the_moment(ground: Ground) -> None:
    person = ground.join()
    before = person.principal
    ground.wait(20 * 60_000)
    assert person.principal.confirmed_at == before.confirmed_at
    answer = person.authenticator.get(begin_confirm(ground.office, SITE, person.principal))
    old = person.token
    person.token = finish_confirm(ground.office, SITE, person.principal, old, answer)
    assert find_principal(ground.office, old) is None
    assert len(ground.read_events(Action.CONFIRMED)) == 1
    assert (person.principal.confirmed_at or 0) > (before.confirmed_at or 0) + 20 * 60_000
    assert person.principal.signed_in_at == before.signed_in_at


def test_confirm__refused_sign_in_failed_with_anothers_passkey(ground: Ground) -> None:
    person, other = ground.join(), ground.join()
    answer = other.authenticator.get(begin_confirm(ground.office, SITE, person.principal))
    refuse(Reason.SIGN_IN_FAILED, finish_confirm, ground.office, SITE, person.principal, person.token, answer)
    answer = other.authenticator.get(begin_confirm(ground.office, SITE, other.principal))
    refuse(Reason.SIGN_IN_FAILED, finish_confirm, ground.office, SITE, person.principal, person.token, answer)


def test_confirm__refused_not_signed_in_once_the_session_has_ended(ground: Ground) -> None:
    person = ground.join()
    principal = person.principal
    answer = person.authenticator.get(begin_confirm(ground.office, SITE, principal))
    sign_out(ground.office, person.token)
    refuse(Reason.NOT_SIGNED_IN, finish_confirm, ground.office, SITE, principal, person.token, answer)


def test_passkeys__several_and_never_none(ground: Ground) -> None:
    person, stranger = ground.join(), ground.join()
    principal, phone = person.principal, Authenticator(SITE)
    first = list_passkeys(ground.office, principal)[0]
    refuse(Reason.LAST_PASSKEY, remove_passkey, ground.office, principal, first.id, person.token)
    finish_add(ground.office, SITE, principal, phone.create(begin_add(ground.office, SITE, principal)), "My phone")
    assert [one.name for one in list_passkeys(ground.office, principal)] == ["Firefox on Linux", "My phone"]
    refuse(Reason.UNKNOWN_ACCOUNT, remove_passkey, ground.office, stranger.principal, first.id, stranger.token)
    thief = person.sign_in()
    remove_passkey(ground.office, principal, first.id, person.token)
    assert find_principal(ground.office, thief) is None
    assert find_principal(ground.office, person.token) is not None
    refuse(Reason.SIGN_IN_FAILED, person.sign_in)
    person.authenticator = phone
    assert find_principal(ground.office, person.sign_in()) is not None
    assert len(ground.read_events(Action.PASSKEY_ADDED)) == len(ground.read_events(Action.PASSKEY_REMOVED)) == 1


def test_add__excludes_what_is_there_and_has_an_end(ground: Ground) -> None:
    person = ground.join()
    for count in range(1, 10):
        options = begin_add(ground.office, SITE, person.principal)
        assert len(options["excludeCredentials"]) == count
        finish_add(ground.office, SITE, person.principal, person.authenticator.create(options), f"Key {count}")
    refuse(Reason.TOO_MANY_KEYS, begin_add, ground.office, SITE, person.principal)


# ---- recovery


def test_recover__opens_the_account_once(ground: Ground) -> None:
    person = ground.join()
    account = person.account
    done = recover(ground.office, VISIT, person.codes[0].lower().replace("-", ""), person.token)
    assert done.account.public_id == account
    recovered = find_principal(ground.office, done.token)
    assert recovered is not None
    assert recovered.account == done.account.public_id
    assert find_principal(ground.office, person.token) is None
    assert count_codes(ground.office, recovered) == CODES - 1
    refuse(Reason.SIGN_IN_FAILED, recover, ground.office, VISIT, person.codes[0])
    assert len(ground.read_events(Action.RECOVERED)) == 1


def test_recover__refused_sign_in_failed__alike_whatever_was_wrong(ground: Ground) -> None:
    person, gone = ground.join(), ground.join()
    recover(ground.office, VISIT, person.codes[1])
    end_account(ground.office, OPERATOR, gone.account)
    said = {
        refuse(Reason.SIGN_IN_FAILED, recover, ground.office, VISIT, code).message
        for code in (person.codes[1], gone.codes[0], "AAAAA-AAAAA-AAAAA-AAAAA", "", "é" * 500)
    }
    assert len(said) == 1


def test_renew_codes__ends_those_before(ground: Ground) -> None:
    person = ground.join()
    codes = renew_codes(ground.office, person.principal)
    assert not set(codes) & set(person.codes)
    refuse(Reason.SIGN_IN_FAILED, recover, ground.office, VISIT, person.codes[0])
    assert recover(ground.office, VISIT, codes[0]).account.public_id == person.account
    assert len(ground.read_events(Action.CODES_RENEWED)) == 1


# ---- ending


def test_end_account__ends_everything_at_once(ground: Ground) -> None:
    person, admin, clerk = ground.join(), ground.join_staff(Role.ADMIN), ground.join_staff(Role.CLERK)
    other = ground.join_staff(Role.ADMIN, INSURER)
    account = clerk.account
    for principal in (person.principal, other.principal):
        refuse(Reason.UNKNOWN_ACCOUNT, end_account, ground.office, principal, account)
    end_account(ground.office, admin.principal, account)
    assert find_principal(ground.office, clerk.token) is None
    refuse(Reason.SIGN_IN_FAILED, recover, ground.office, VISIT, clerk.codes[0])
    refuse(Reason.UNKNOWN_ACCOUNT, end_account, ground.office, admin.principal, account)
    end_account(ground.office, person.principal, person.account)
    assert find_principal(ground.office, person.token) is None
    assert len(ground.read_events(Action.ACCOUNT_ENDED)) == 2


def test_end_account__ends_the_invitations_to_staff_that_it_made(ground: Ground) -> None:
    """Whoever is sent away has no way back by a link that they kept."""
    admin, other = ground.join_staff(Role.ADMIN), ground.join_staff(Role.ADMIN)
    post, kept = Post(Standing.STAFF, GARAGE, Role.ADMIN), admin.principal
    theirs, customers = invite(ground.office, kept, post).code, invite(ground.office, kept, HOLDER).code
    others = invite(ground.office, other.principal, post).code
    begun = begin_sign_up(ground.office, SITE, VISIT, "Back again", theirs)
    end_account(ground.office, other.principal, admin.account)
    refuse(Reason.CODE_NOT_VALID, begin_sign_up, ground.office, SITE, VISIT, "Back again", theirs)
    refuse(Reason.CODE_NOT_VALID, finish_sign_up, ground.office, SITE, VISIT, Authenticator(SITE).create(begun))
    refuse(Reason.NOT_SIGNED_IN, invite, ground.office, kept, post)
    for code in (customers, others):
        assert begin_sign_up(ground.office, SITE, VISIT, "New", code)


def test_retirement__ends_the_invitations_of_the_member(ground: Ground) -> None:
    clerk = ground.join_staff(Role.CLERK)
    codes = [invite(ground.office, OPERATOR, Post(Standing.STAFF, own, Role.ADMIN)).code for own in (GARAGE, INSURER)]
    assert end_staff_of(ground.office, OPERATOR, GARAGE) == 1
    assert find_principal(ground.office, clerk.token) is None
    refuse(Reason.CODE_NOT_VALID, begin_sign_up, ground.office, SITE, VISIT, "Late", codes[0])
    assert begin_sign_up(ground.office, SITE, VISIT, "Other", codes[1])


def test_sign_in__refused_sign_in_failed__with_a_passkey_that_is_removed_meanwhile(ground: Ground) -> None:
    """Between the look at the signature and the session its owner has removed it: nobody is signed in by it."""
    person, phone = ground.join(), Authenticator(SITE)
    principal, stolen = person.principal, list_passkeys(ground.office, person.principal)[0].id
    finish_add(ground.office, SITE, principal, phone.create(begin_add(ground.office, SITE, principal)), "My phone")
    answer = person.authenticator.get(begin_sign_in(ground.office, SITE, VISIT))
    before = len(list_sessions(ground.office, principal, person.token))

    class Removing(PeopleStore):
        """The owner's own request, between the two transactions of the other."""

        @contextmanager
        def look_up(self) -> Iterator[Connection]:
            with super().look_up() as connection:
                yield connection
            remove_passkey(ground.office, principal, stolen, person.token)

    with Removing(ground.address) as people:
        refuse(Reason.SIGN_IN_FAILED, finish_sign_in, replace(ground.office, people=people), SITE, VISIT, answer)
    assert len(list_sessions(ground.office, principal, person.token)) == before


def test_change_role__two_admins_at_the_same_instant_leave_one(ground: Ground) -> None:
    """Both requests were let in; whoever comes second is an admin no more."""
    first, second = ground.join_staff(Role.ADMIN), ground.join_staff(Role.ADMIN)
    both = [(first.principal, second.account), (second.principal, first.account)]
    change_role(ground.office, *both[0], Role.READER)
    refuse(Reason.UNKNOWN_ACCOUNT, change_role, ground.office, *both[1], Role.READER)
    refuse(Reason.UNKNOWN_ACCOUNT, end_account, ground.office, *both[1])
    refuse(Reason.NOT_PERMITTED, invite, ground.office, both[1][0], Post(Standing.STAFF, GARAGE, Role.ADMIN))
    assert first.principal.role is Role.ADMIN
