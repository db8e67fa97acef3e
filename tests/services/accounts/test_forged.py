"""Answers of authenticators that somebody has made or changed by hand: each part that the standard says to look at, and
none of it lets anybody in. Source: W3C WebAuthn 3 §7.1 and §7.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fido2 import cbor
from fido2.cose import ES256, RS256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AuthenticatorData

from carnet.errors import Reason
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.passkeys import (
    begin_add,
    begin_confirm,
    begin_sign_in,
    begin_sign_up,
    finish_add,
    finish_confirm,
    finish_sign_in,
    finish_sign_up,
    list_passkeys,
)
from carnet.services.accounts.registry import end_account, list_accounts
from carnet.vault.people.store import PeopleStore
from carnet.vault.store import Connection
from tests.services.accounts.authenticator import PRESENT_AND_VERIFIED, Authenticator
from tests.services.accounts.ground import OPERATOR, SITE, VISIT, Ground
from tests.services.accounts.test_signing_in import refuse

FLAG = AuthenticatorData.FLAG
Answer = dict[str, Any]
Forge = Callable[[Answer], Answer]

GOOD = dict(ES256.from_cryptography_key(ec.derive_private_key(7, ec.SECP256R1()).public_key()))  # type: ignore[no-untyped-call]
SHORT = dict(RS256.from_cryptography_key(rsa.generate_private_key(65537, 1024).public_key()))  # type: ignore[no-untyped-call]


def put(answer: Answer, attestation: bytes) -> Answer:
    """Another attestation object."""
    return answer | {"response": answer["response"] | {"attestationObject": websafe_encode(attestation)}}


def change(answer: Answer, **parts: Any) -> Answer:
    """Other parts of it."""
    document: Any = cbor.decode(websafe_decode(answer["response"]["attestationObject"]))
    return put(answer, cbor.encode({**document, **parts}))


def with_key(answer: Answer, key: Mapping[int, Any], credential_id: bytes = b"i" * 32) -> Answer:
    """Another key, and its id."""
    data = sha256(b"carnet.example").digest() + bytes([PRESENT_AND_VERIFIED | FLAG.AT]) + bytes(4) + bytes(16)
    data += len(credential_id).to_bytes(2, "big") + credential_id + cbor.encode(dict(key))
    name = websafe_encode(credential_id)
    return change(answer, authData=data) | {"id": name, "rawId": name}


def rename(answer: Answer) -> Answer:
    name = websafe_encode(b"another credential" * 2)
    return answer | {"id": name, "rawId": name}


FORGED: dict[str, Forge] = {
    "a statement of none": lambda one: change(one, attStmt={"x5c": [b"extra"]}),
    "a part too many": lambda one: change(one, extra=b"more"),
    "bytes after it": lambda one: put(one, websafe_decode(one["response"]["attestationObject"]) + b"\0"),
    "as deep as it goes": lambda one: put(one, b"\x81" * 12_000),
    "a list without an end": lambda one: put(one, b"\x9b\x7f" + b"\xff" * 7),
    "bytes without an end": lambda one: put(one, b"\xa1\x63fmt\x5b\x7f" + b"\xff" * 7),
    "the name of another": rename,
    "of another type": lambda one: one | {"type": "password"},
    "a point off its curve": lambda one: with_key(one, GOOD | {-3: GOOD[-2]}),
    "half a point": lambda one: with_key(one, {name: GOOD[name] for name in (1, 3, -1, -2)}),
    "another curve": lambda one: with_key(one, GOOD | {-1: 2}),
    "another kind of key": lambda one: with_key(one, GOOD | {1: 1}),
    "an algorithm that nobody asked for": lambda one: with_key(one, GOOD | {3: -35}),
    "an Ed25519 key of small order": lambda one: with_key(one, {1: 1, 3: -8, -1: 6, -2: bytes(32)}),
    "a short Ed25519 key": lambda one: with_key(one, {1: 1, 3: -8, -1: 6, -2: b"short"}),
    "a short RSA key": lambda one: with_key(one, SHORT),
    "an RSA key that signs all": lambda one: with_key(one, {1: 3, 3: -257, -1: b"\xff" * 256, -2: b"\1"}),
    "an RSA key that takes long": lambda one: with_key(one, {1: 3, 3: -257, -1: b"\xff" * 1500, -2: b"\xff" * 1500}),
    "an id that is too long": lambda one: with_key(one, GOOD, b"i" * 1024),
    "no id": lambda one: with_key(one, GOOD, b""),
}


def test_with_key__of_a_good_one_is_taken(ground: Ground) -> None:
    """What the forgeries are made of."""
    options = begin_sign_up(ground.office, SITE, VISIT, "Camille")
    assert finish_sign_up(ground.office, SITE, VISIT, with_key(Authenticator(SITE).create(options), GOOD)).token


@pytest.mark.parametrize("what", FORGED)
def test_attestation__refused_sign_in_failed__when_it_is_forged(ground: Ground, what: str) -> None:
    before = len(list_accounts(ground.office, OPERATOR))
    options = begin_sign_up(ground.office, SITE, VISIT, "Camille")
    forged = FORGED[what](Authenticator(SITE).create(options))
    refuse(Reason.SIGN_IN_FAILED, finish_sign_up, ground.office, SITE, VISIT, forged)
    assert len(list_accounts(ground.office, OPERATOR)) == before


@pytest.mark.parametrize(
    "said",
    [
        {"crossOrigin": True},
        {"crossOrigin": "false"},
        {"crossOrigin": True, "topOrigin": "https://evil.example"},
        {"topOrigin": "https://evil.example"},
        {"origin": "https://x.carnet.example"},
        {"origin": "https://carnet.example:8443"},
        {"origin": "http://carnet.example"},
        {"origin": "https://carnet.example.evil.example"},
    ],
    ids=str,
)
def test_answer__refused_sign_in_failed__of_another_page_or_in_a_frame(ground: Ground, said: dict[str, Any]) -> None:
    """No page of ours asks for a passkey within a page of somebody else."""
    made = Authenticator(SITE).create(begin_sign_up(ground.office, SITE, VISIT, "Camille"), **said)
    refuse(Reason.SIGN_IN_FAILED, finish_sign_up, ground.office, SITE, VISIT, made)
    person = ground.join()
    answer = person.authenticator.get(begin_sign_in(ground.office, SITE, VISIT), **said)
    refuse(Reason.SIGN_IN_FAILED, finish_sign_in, ground.office, SITE, VISIT, answer)


def test_answer__refused_sign_in_failed__with_a_copy_that_cannot_be(ground: Ground) -> None:
    flags = PRESENT_AND_VERIFIED | FLAG.BS
    made = Authenticator(SITE, flags=flags).create(begin_sign_up(ground.office, SITE, VISIT, "Camille"))
    refuse(Reason.SIGN_IN_FAILED, finish_sign_up, ground.office, SITE, VISIT, made)
    person = ground.join()
    person.authenticator.flags = flags
    refuse(Reason.SIGN_IN_FAILED, person.sign_in)
    person.authenticator.flags = flags | FLAG.BE
    assert person.sign_in()


def test_sign_in__refused_sign_in_failed__for_the_handle_of_another_account(ground: Ground) -> None:
    person, other = ground.join(), ground.join()
    (own,), (handle,) = person.authenticator.keys, other.authenticator.handles.values()
    person.authenticator.handles[own] = handle
    refuse(Reason.SIGN_IN_FAILED, person.sign_in)
    answer = person.authenticator.get(begin_confirm(ground.office, SITE, person.principal))
    refuse(Reason.SIGN_IN_FAILED, finish_confirm, ground.office, SITE, person.principal, person.token, answer)
    del person.authenticator.handles[own]
    assert person.sign_in()


def test_confirm__refused_sign_in_failed__for_the_question_of_another_session(ground: Ground) -> None:
    """The right passkey, and a challenge that somebody else was given."""
    person, other = ground.join(), ground.join()
    asked = begin_confirm(ground.office, SITE, other.principal)
    answer = person.authenticator.get(asked)
    refuse(Reason.SIGN_IN_FAILED, finish_confirm, ground.office, SITE, person.principal, person.token, answer)
    asked = begin_add(ground.office, SITE, other.principal)
    made = person.authenticator.create(asked)
    refuse(Reason.SIGN_IN_FAILED, finish_add, ground.office, SITE, person.principal, made, "Mine")


def test_passkey__refused_sign_in_failed__with_an_id_that_is_somebodys(ground: Ground) -> None:
    """It ended in an error that nobody had meant, and with the id of another's it must not come to them."""
    person = ground.join()
    (known,) = person.authenticator.keys
    forged = with_key(Authenticator(SITE).create(begin_sign_up(ground.office, SITE, VISIT, "Thief")), GOOD, known)
    count = len(list_accounts(ground.office, OPERATOR))
    refuse(Reason.SIGN_IN_FAILED, finish_sign_up, ground.office, SITE, VISIT, forged)
    thief = ground.join()
    made = Authenticator(SITE).create(begin_add(ground.office, SITE, thief.principal))
    refuse(Reason.SIGN_IN_FAILED, finish_add, ground.office, SITE, thief.principal, with_key(made, GOOD, known), "Mine")
    assert len(list_accounts(ground.office, OPERATOR)) == count + 1
    assert len(list_passkeys(ground.office, thief.principal)) == 1
    assert person.sign_in()


def test_add__refused_not_signed_in__of_an_account_that_was_ended_meanwhile(ground: Ground) -> None:
    person = ground.join()
    principal = person.principal
    made = Authenticator(SITE).create(begin_add(ground.office, SITE, principal))

    class Ending(PeopleStore):
        """Another request ends the account before the passkey is kept."""

        @contextmanager
        def change(self) -> Iterator[Connection]:
            end_account(ground.office, OPERATOR, person.account)
            with super().change() as connection:
                yield connection

    with Ending(ground.address) as people:
        inside = replace(ground.office, people=people)
        refuse(Reason.NOT_SIGNED_IN, finish_add, inside, SITE, principal, made, "Late")
    with ground.office.people.read() as connection:
        assert connection.execute("SELECT count(*) FROM passkey").fetchone()[0] == 0


def test_sign_in__of_a_passkey_and_its_copy_at_once_lets_one_in(ground: Ground) -> None:
    """Both were compared with the counter from before either came in; the lower one set it back."""
    person = ground.join()
    person.authenticator.counter = 5
    person.sign_in()
    copy = Authenticator(SITE, counter=8, keys=person.authenticator.keys, handles=person.authenticator.handles)
    answers = [one.get(begin_sign_in(ground.office, SITE, VISIT)) for one in (copy, person.authenticator)]

    class Meanwhile(PeopleStore):
        """The copy signs in between the two looks at the other."""

        is_first = True

        @contextmanager
        def look_up(self) -> Iterator[Connection]:
            with super().look_up() as connection:
                yield connection
            if self.is_first:
                Meanwhile.is_first = False
                assert finish_sign_in(ground.office, SITE, VISIT, answers[0]).token

    with Meanwhile(ground.address) as people:
        inside = replace(ground.office, people=people)
        refuse(Reason.SIGN_IN_FAILED, finish_sign_in, inside, SITE, VISIT, answers[1])
    assert len(ground.read_events(Action.PASSKEY_COPIED)) == 1
    with ground.office.people.read() as connection:
        assert connection.execute("SELECT sign_count FROM passkey").fetchone()[0] == 9
