"""A node with the members, the holder and the vehicle that the service's tests are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carnet.ledger.rules.members import Member
from carnet.node.jobs import Group, Item
from carnet.node.reader import Reader
from carnet.node.writer import Writer
from carnet.services.access import View, get_view
from carnet.services.appending import NewEntry, Sealed, append, enrol_speaker, open_passport
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.types import Basis, Subject
from tests.node.home import TestNode, make_node, occurred

VIN = Subject("vin", "WVWZZZ1KZ7P123456")
OTHER_VIN = Subject("vin", "WVWZZZ1KZ7P123457")


@dataclass
class Held:
    """Who holds what, by hand: the accounts' own store has tests of its own."""

    holders: dict[bytes, str] = field(default_factory=dict)

    def find_holder(self, chain16: bytes, epoch: int | None = None) -> str | None:
        return self.holders.get(chain16)

    def list_held(self, account: str) -> Sequence[bytes]:
        return [chain for chain, holder in self.holders.items() if holder == account]


@dataclass
class Town:
    node: TestNode
    writer: Writer
    held: Held
    members: dict[str, Member]
    readers: list[Reader] = field(default_factory=list)

    def read(self) -> Reader:
        """A reader that sees all that was sealed before now."""
        reader = self.node.read()
        self.readers.append(reader)
        return reader

    def staff(self, name: str, role: Role = Role.CLERK) -> Principal:
        return Principal(Standing.STAFF, account=f"acc_{name}", member=self.members[name].id, role=role)

    def machine(self, name: str, *scopes: Scope) -> Principal:
        return Principal(Standing.MACHINE, client="key", member=self.members[name].id, scopes=frozenset(scopes))

    def open(self, by: str = "dealer", subject: Subject = VIN) -> bytes:
        sealed = open_passport(
            self.writer, self.read(), self.staff(by), subject, "first_registration", self.node.clock()
        )
        return bytes.fromhex(sealed.passport.removeprefix("pas_"))

    def append(self, who: Principal, new: NewEntry, **where: Any) -> Sealed:
        where = {"passport": None, "subject": None} | where
        return append(self.writer, self.read(), self.held, who, new, now=self.node.clock(), **where)

    def view(self, who: Principal, passport: bytes) -> View:
        return get_view(self.read(), self.held, who, passport)

    def erase(self, passport: bytes, reason: str = "holder_request") -> None:
        # A reader that still sees it is waited for.
        self.close_readers()
        self.writer.erase(passport, None, reason)

    def close_readers(self) -> None:
        while self.readers:
            self.readers.pop().close()

    def close(self) -> None:
        self.close_readers()
        self.node.close()
        self.node.check()


HOLDER = Principal(Standing.HOLDER, account="acc_holder")
STRANGER = Principal(Standing.HOLDER, account="acc_stranger")
OPERATOR = Principal(Standing.OPERATOR, account="acc_operator")


def make_town(path: Path, store_url: str | None = None) -> Town:
    node = make_node(path, store_url=store_url)
    writer = node.open()
    kinds = {"dealer": "dealer", "garage": "garage", "centre": "inspection_centre", "insurer": "insurer"}
    members = {name: writer.enrol_member(f"The {name}", kind) for name, kind in kinds.items()}
    members["operator"] = node.operator
    enrol_speaker(writer)
    return Town(node, writer, Held(), members)


def close_passport(writer: Writer, passport: bytes) -> None:
    """Close it, as an authority does whose vehicle was destroyed."""
    registry = writer.enrol_member("Registry", "registration_authority")
    ref = writer.find_chain_by_id(passport)
    assert ref is not None
    fields = {"kind": "passport.closed/1", "occurred": occurred(), "reason": "destroyed", "subject": ref.subject}
    outcome = writer.append(registry.id, Basis.HOSTED, [Group([Item("passport.closed/1", fields)], ref)])
    assert (outcome.refused, outcome.refusals) == (None, [])


def reading(km: int, day: str = "2023-05-04") -> NewEntry:
    fields = {"odometer_km": km, "odometer_state": "read"}
    return NewEntry(kind="vehicle.odometer/1", occurred=occurred(day), fields=fields)


def sid_of(sealed: Sealed) -> bytes:
    return bytes.fromhex(sealed.entry.removeprefix("ent_"))
