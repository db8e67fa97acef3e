"""A town whose members have webhooks: its node, its office, and who follows and sends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from carnet.node.home import Home
from carnet.node.reader import Reader
from carnet.outbound.addresses import Reach
from carnet.outbound.posting import Poster
from carnet.services.accounts.office import Office, name_id, open_office
from carnet.services.accounts.registry import Post, insert_account
from carnet.services.filing.records import Files
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.services.webhooks.endpoints import Endpoint, add_endpoint
from carnet.services.webhooks.following import Follower, Pace
from carnet.services.webhooks.messages import Message, list_messages
from carnet.services.webhooks.sending import Sender
from tests.services.accounts.ground import OPERATOR, lay_caller
from tests.services.town import Town, make_town

LOCAL = Reach(is_local=True)
SOMEWHERE = "https://hooks.example.org/carnet"


@dataclass
class Ground:
    """`clock` of the pace stands still unless a test turns it: then every look is due."""

    town: Town
    office: Office
    files: Files
    follower: Follower
    programs: dict[str, Principal]
    senders: list[Sender] = field(default_factory=list)

    def admin(self, name: str = "garage") -> Principal:
        return replace(self.town.staff(name, Role.ADMIN), account=name_id("acc", self.town.members[name].id))

    def program(self, name: str = "garage") -> Principal:
        return self.programs[name]

    def add(self, name: str = "garage", url: str = SOMEWHERE, *kinds: str) -> Endpoint:
        made = add_endpoint(self.office, self.admin(name), self.town.members[name].id, url, kinds=kinds, reach=LOCAL)
        # What happens in the same moment is not told: the tests' clock has few of them.
        self.wait(10)
        return made

    def follow(self) -> int:
        return self.follower.follow(self.town.read())

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        with self.town.node.read() as reader:
            yield reader

    def sender(self, timeout_s: float = 5.0, **more: Any) -> Sender:
        made = Sender(self.office, self.reading, Poster(LOCAL, timeout_s), **more)
        self.senders.append(made)
        return made

    def list(self, endpoint: Endpoint, **more: Any) -> list[Message]:
        return list(list_messages(self.office, OPERATOR, endpoint.public_id, **more)[0])

    def told(self, endpoint: Endpoint) -> list[tuple[str, dict[str, Any]]]:
        """(type, data) of what it is told, oldest first."""
        found = [msgspec.json.decode(message.payload) for message in reversed(self.list(endpoint))]
        return [(one["type"], one["data"]) for one in found]

    def wait(self, ms: int) -> None:
        self.town.node.clock.now += ms


@contextmanager
def open_ground(path: Path, store_url: str | None = None) -> Iterator[Ground]:
    town = make_town(path, store_url)
    clock, home = town.node.clock, Home(town.node.path)
    town.node.lay_people()
    office = replace(open_office(home, "test.example"), clock=clock)
    files = Files(home, clock, os.urandom)
    ground = Ground(town, office, files, Follower(office, files, Pace(lambda: 0.0)), {})
    with office.people.change() as connection:
        for name, member in town.members.items():
            insert_account(
                connection,
                replace(office, random_bytes=lambda _, id_=member.id: id_),
                Post(Standing.STAFF, member.id, Role.ADMIN),
                name,
                member.id,
            )
            program = replace(town.machine(name, Scope.WEBHOOKS), client=name_id("cli", member.id))
            ground.programs[name] = lay_caller(connection, office, program)
    try:
        yield ground
    finally:
        for sender in ground.senders:
            sender.close()
        office.people.close()
        town.close()
