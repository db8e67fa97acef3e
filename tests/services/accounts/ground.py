"""A service's people on a real store: an office with a clock of its own, and persons with authenticators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from carnet.node.keyring import KeyRing
from carnet.node.people import compute_people_key
from carnet.services.accounts.auditing import Action, Event, list_events
from carnet.services.accounts.invitations import invite
from carnet.services.accounts.office import Office, Visit
from carnet.services.accounts.passkeys import begin_sign_in, begin_sign_up, finish_sign_in, finish_sign_up
from carnet.services.accounts.registry import Post, insert_account
from carnet.services.accounts.sessions import find_principal
from carnet.services.principals import Principal, Role, Standing
from carnet.vault.people.store import open_people_store
from carnet.vault.store import Connection
from tests.node.home import Clock, Dice
from tests.services.accounts.authenticator import Authenticator
from tests.templates import lay_people

SITE = "https://carnet.example"
VISIT = Visit("192.0.2.7", "Firefox on Linux")
OPERATOR = Principal(Standing.OPERATOR)
"""Whoever sits at the node's own terminal."""

GARAGE, INSURER = bytes.fromhex("a1" * 16), bytes.fromhex("b2" * 16)


@dataclass
class Person:
    """Somebody with an account, their authenticator, and the token of their session."""

    office: Office
    authenticator: Authenticator
    token: str
    codes: list[str]

    @property
    def principal(self) -> Principal:
        """Who they are to services now."""
        found = find_principal(self.office, self.token)
        assert found is not None
        return found

    @property
    def account(self) -> str:
        account = self.principal.account
        assert account is not None
        return account

    def sign_in(self, visit: Visit = VISIT, replaced: str | None = None) -> str:
        """Sign in; the new session's token."""
        options = begin_sign_in(self.office, SITE, visit)
        return finish_sign_in(self.office, SITE, visit, self.authenticator.get(options), replaced).token


@dataclass
class Ground:
    """The office, and its clock."""

    office: Office
    clock: Clock
    address: Path | str
    people: list[Person] = field(default_factory=list)

    def with_network(self, name: str) -> Office:
        return replace(self.office, network=name)

    def join(self, post: Post | None = None, name: str = "Camille Durand", visit: Visit = VISIT) -> Person:
        """A new account: by invitation for this office, or a holder's own."""
        code = None if post is None else invite(self.office, OPERATOR, post).code
        authenticator = Authenticator(SITE)
        options = begin_sign_up(self.office, SITE, visit, name, code)
        done = finish_sign_up(self.office, SITE, visit, authenticator.create(options))
        person = Person(self.office, authenticator, done.token, list(done.codes))
        self.people.append(person)
        return person

    def join_staff(self, role: Role, member: bytes = GARAGE) -> Person:
        return self.join(Post(Standing.STAFF, member, role), f"The {role}")

    def wait(self, ms: int) -> None:
        self.clock.now += ms

    def read_events(self, action: Action) -> list[Event]:
        return [event for event in list_events(self.office, OPERATOR, limit=200) if event.action is action]


def lay_caller(connection: Connection, office: Office, principal: Principal) -> Principal:
    """Write the account, or the program with a key, of a caller whom a test made up; the caller, let in by it."""
    now, scopes = office.clock(), " ".join(sorted(principal.scopes))
    if principal.account is not None:
        id_ = bytes.fromhex(principal.account.removeprefix("acc_"))
        post = Post(principal.standing, principal.member, principal.role)
        insert_account(connection, replace(office, random_bytes=lambda _: id_), post, "Somebody", id_ + b"handle")
    if principal.client is not None:
        id_ = bytes.fromhex(principal.client.removeprefix("cli_"))
        connection.execute(
            "INSERT INTO client (id, kind, member, name, scopes, made_by, created_ms) VALUES (?, 'key', ?, ?, ?, ?, ?)",
            (id_, principal.member, "A program", scopes, "node", now),
        )
        connection.execute(
            "INSERT INTO api_key (digest, client, hint, created_ms) VALUES (?, ?, 'ck_live_', ?)", (id_ * 2, id_, now)
        )
        return replace(principal, signed_in_at=now)
    return principal


@contextmanager
def open_ground(address: Path | str) -> Iterator[Ground]:
    clock, dice = Clock(), Dice()
    key = compute_people_key(KeyRing.of(dice))
    lay_people(address)
    with open_people_store(address) as store:
        yield Ground(Office(store, key, "example.org", clock, dice), clock, address)
