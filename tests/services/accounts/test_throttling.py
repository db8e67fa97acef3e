"""Whoever guesses is slowed down, whichever way in they try; several workers count together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.services.accounts import oauth
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.callers import find_caller
from carnet.services.accounts.office import Office, Visit
from carnet.services.accounts.passkeys import (
    begin_add,
    begin_confirm,
    begin_sign_in,
    begin_sign_up,
    finish_sign_in,
    finish_sign_up,
)
from carnet.services.accounts.recovery import recover
from carnet.services.accounts.throttling import LIMITS, Attempt, count_attempt
from carnet.vault.people.store import open_people_store
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.conftest import ON_FILE
from tests.services.accounts.ground import SITE, Ground, Person
from tests.services.accounts.test_signing_in import refuse

HERE, THERE = Visit("192.0.2.1"), Visit("2001:db8::1")

Guess = Callable[[Office, Visit, Person], Any]


def guess_passkey(office: Office, visit: Visit, person: Person) -> None:
    stranger = Authenticator(SITE)
    stranger.make_unknown()
    finish_sign_in(office, SITE, visit, stranger.get({"rpId": "carnet.example", "challenge": "A" * 43}))


WAYS_IN: dict[str, Guess] = {
    "asking for a challenge": lambda office, visit, _: begin_sign_in(office, SITE, visit),
    "a passkey": guess_passkey,
    "an answer that is none": lambda office, visit, _: finish_sign_in(office, SITE, visit, {}),
    "signing up": lambda office, visit, _: begin_sign_up(office, SITE, visit, "Camille"),
    "an invitation": lambda office, visit, _: begin_sign_up(office, SITE, visit, "Camille", "AAAAA"),
    "a registration": lambda office, visit, _: finish_sign_up(office, SITE, visit, {}),
    "a recovery code": lambda office, visit, _: recover(office, visit, "AAAAA-AAAAA-AAAAA-AAAAA"),
    "an API key": lambda office, visit, _: find_caller(office, visit, session=None, bearer="ck_live_guess"),
    "an access token": lambda office, visit, _: find_caller(office, visit, session=None, bearer="ct_live_guess"),
    "any other token": lambda office, visit, _: find_caller(office, visit, session=None, bearer="guess"),
    "an assertion": lambda office, visit, _: oauth.grant_token(office, visit, frozenset(), "a.b.c"),
}
"""Every door that opens for a secret, by address."""

BY_ACCOUNT: dict[str, Guess] = {
    "a confirmation": lambda office, _, person: begin_confirm(office, SITE, person.principal),
    "another passkey": lambda office, _, person: begin_add(office, SITE, person.principal),
}
MOST = max(limit.attempts for limit in LIMITS.values() if limit.attempts < 1000) + 1


def guess(way: str, ground: Ground, visit: Visit, person: Person) -> Reason | None:
    try:
        WAYS_IN[way](ground.office, visit, person)
    except Refused as refused:
        return refused.reason
    return None


@ON_FILE
@pytest.mark.parametrize("way", WAYS_IN)
def test_guessing__refused_too_many_requests__by_address(ground: Ground, way: str) -> None:
    person = ground.join(visit=THERE)
    reasons = [guess(way, ground, HERE, person) for _ in range(MOST)]
    assert set(reasons) <= {None, Reason.SIGN_IN_FAILED, Reason.CODE_NOT_VALID, Reason.TOO_MANY_REQUESTS}
    assert reasons[:10].count(Reason.TOO_MANY_REQUESTS) == 0
    refused = refuse(Reason.TOO_MANY_REQUESTS, WAYS_IN[way], ground.office, HERE, person)
    wait_s = refused.facts["retry_after_s"]
    assert isinstance(wait_s, int)
    assert refused.could_retry
    assert len(ground.read_events(Action.THROTTLED)) == 1
    # Nobody else has to wait, and whoever waits gets a new try.
    assert guess(way, ground, THERE, person) is not Reason.TOO_MANY_REQUESTS
    ground.wait(wait_s * 1000)
    assert guess(way, ground, HERE, person) is not Reason.TOO_MANY_REQUESTS


@pytest.mark.parametrize("way", BY_ACCOUNT)
def test_guessing__refused_too_many_requests__by_account(ground: Ground, way: str) -> None:
    person, other = ground.join(), ground.join()
    for _ in range(LIMITS[Attempt.CONFIRM_BY_ACCOUNT].attempts):
        BY_ACCOUNT[way](ground.office, HERE, person)
    refuse(Reason.TOO_MANY_REQUESTS, BY_ACCOUNT[way], ground.office, HERE, person)
    BY_ACCOUNT[way](ground.office, HERE, other)


def test_guessing__one_passkey_from_many_addresses(ground: Ground) -> None:
    person = ground.join()
    known = list(person.authenticator.keys)[-1]
    forged = Authenticator(SITE)
    forged.keys[known] = forged.keys[forged.make_unknown()]
    for turn in range(LIMITS[Attempt.SIGN_IN_BY_PASSKEY].attempts):
        visit = Visit(f"192.0.2.{turn}")
        answer = forged.get(begin_sign_in(ground.office, SITE, visit), known)
        refuse(Reason.SIGN_IN_FAILED, finish_sign_in, ground.office, SITE, visit, answer)
    refuse(Reason.TOO_MANY_REQUESTS, person.sign_in, Visit("198.51.100.1"))
    ground.wait(LIMITS[Attempt.SIGN_IN_BY_PASSKEY].window_ms)
    person.sign_in()


def test_signing_in__is_not_counted_against_who_succeeds(ground: Ground) -> None:
    person = ground.join()
    for turn in range(3 * LIMITS[Attempt.SIGN_IN_BY_PASSKEY].attempts):
        person.sign_in(Visit(f"192.0.2.{turn}"))


def test_count_attempt__workers_and_restarts_count_together(tmp_path: Path, ground: Ground) -> None:
    path = tmp_path / "shared.sqlite"
    limit = LIMITS[Attempt.RECOVERY_BY_ADDRESS].attempts
    refusals = 0
    for _ in range(limit + 4):
        with open_people_store(path) as store:
            try:
                count_attempt(replace(ground.office, people=store), Attempt.RECOVERY_BY_ADDRESS, "192.0.2.1")
            except Refused:
                refusals += 1
    assert refusals == 4


def test_throttle__keeps_no_address(ground: Ground) -> None:
    with suppress(Refused):
        recover(ground.office, Visit("192.0.2.77"), "guess")
    with ground.office.people.read() as connection:
        rows = connection.execute("SELECT digest FROM throttle").fetchall()
    assert rows
    assert all(len(bytes(row[0])) == 32 and b"192.0.2" not in bytes(row[0]) for row in rows)


def test_attempts__each_has_its_limit() -> None:
    assert set(LIMITS) == set(Attempt)
