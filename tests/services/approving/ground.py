"""Operators of a real node, each with an account, its office, and its writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.people import open_people
from carnet.node.writer import Writer
from carnet.services.accounts.auditing import Event, list_events
from carnet.services.accounts.office import OPERATOR_HERE, Office
from carnet.services.accounts.registry import OPERATOR, Post, insert_account
from carnet.services.members import plan_enrolment
from carnet.services.principals import Principal, Role, Standing
from tests.node.home import TestNode, make_node


@dataclass
class Ground:
    """The node, its office and its operators."""

    node: TestNode
    office: Office
    writer: Writer
    operators: list[Principal] = field(default_factory=list)

    def add_operator(self) -> Principal:
        self.operators.append(self.add(OPERATOR))
        return self.operators[-1]

    def add(self, post: Post) -> Principal:
        with self.office.people.write() as connection:
            account = insert_account(connection, self.office, post, "Somebody", self.office.random_bytes(32))
        return Principal(post.standing, account.public_id, member=post.member, role=post.role)

    def add_staff(self, member: bytes) -> Principal:
        return self.add(Post(Standing.STAFF, member, Role.ADMIN))

    def enrol(self, name: str = "Tilleuls") -> bytes:
        act = plan_enrolment(self.writer.state, name, "garage")
        self.writer.perform(act)
        return act.member

    def wait(self, ms: int) -> None:
        self.node.clock.now += ms

    def list_events(self) -> list[Event]:
        """All of them, the oldest first."""
        return list(reversed(list_events(self.office, OPERATOR_HERE, limit=200)))


@contextmanager
def refusing(reason: Reason) -> Iterator[None]:
    """The block is refused for this reason."""
    with pytest.raises(Refused) as refused:
        yield
    assert refused.value.reason is reason, refused.value


@contextmanager
def open_ground(path: Path, operators: int = 2, store_url: str | None = None) -> Iterator[Ground]:
    node = make_node(path, store_url=store_url)
    writer = node.open()
    node.lay_people()
    opened = open_people(Home(node.path))
    ground = Ground(node, Office(opened.store, opened.key, "example.org", node.clock, node.dice), writer)
    try:
        for _ in range(operators):
            ground.add_operator()
        yield ground
    finally:
        opened.store.close()
        node.close()
