"""The service over the town of the services' tests: each of its people and machines with a key that they send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from carnet.services.accounts.office import Office, open_office
from carnet.services.appending import enrol_speaker
from carnet.services.holdings import begin_holding
from carnet.services.principals import Principal, Role, Scope, Standing
from tests.services.accounts.ground import lay_caller
from tests.services.town import Held
from tests.web.desk import TestService, serving

VIN = "WVWZZZ1KZ7P123456"
OTHER_VIN = "WVWZZZ1KZ7P123457"
HOLDER, STRANGER = f"acc_{1:032x}", f"acc_{2:032x}"
ALWAYS = 2**50
"""Confirmed for as long as a test runs."""
MEMBERS = {"dealer": "dealer", "garage": "garage", "centre": "inspection_centre", "insurer": "insurer"}
MOST = frozenset(Scope)


@dataclass
class WebTown:
    """`call` sends a request as one of the people or machines named in `tests.web.town`; "visitor" sends no key."""

    service: TestService
    held: Held
    members: dict[str, bytes]
    office: Office

    def call(self, who: str, method: str, path: str, json: Any = None, **more: Any) -> Any:
        headers = dict(more.pop("headers", {}))
        if who != "visitor":
            headers["Authorization"] = f"Bearer {who}"
        if json is not None:
            more["json"] = json
        return self.service.client.request(method, path, headers=headers, **more)

    def add(self, name: str, member: bytes) -> None:
        """One more member, with its machine and staff."""
        self.members[name] = member
        self.admit(make_principals({name: member}))

    def admit(self, principals: dict[str, Principal]) -> None:
        """Let these in by their names; each has an account, or a program."""
        bearers = self.service.callers.bearers
        with self.office.people.write() as connection:
            for key, one in principals.items():
                if key in bearers:
                    bearers[key] = replace(one, signed_in_at=bearers[key].signed_in_at)
                else:
                    bearers[key] = lay_caller(connection, self.office, one)

    def open(self, who: str = "dealer", vin: str = VIN, **more: Any) -> str:
        body = {"subject": {"scheme": "vin", "value": vin}, "occasion": "first_registration"}
        answer = self.call(who, "POST", "/v1/passports", body, **more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["passport"])

    def hold(self, passport: str, account: str = HOLDER) -> None:
        chain = bytes.fromhex(passport.removeprefix("pas_"))
        self.held.holders[chain] = account
        # Where a database is the second filter it looks for the holder itself.
        with self.service.node.read() as reader, self.office.people.write() as connection:
            head = reader.find_head(chain)
            assert head is not None
            begin_holding(connection, self.office, chain, head[1], bytes.fromhex(account.removeprefix("acc_")), "claim")

    def record(self, who: str, km: int = 41_000, vin: str = VIN, **more: Any) -> Any:
        return self.call(who, "POST", "/v1/entries", make_reading(km, vin), **more)


def make_reading(km: int, vin: str | None = VIN) -> dict[str, Any]:
    body: dict[str, Any] = {
        "kind": "vehicle.odometer/1",
        "occurred": {"at": "2023-05-04", "precision": "day", "zone": None},
        "fields": {"odometer_km": km, "odometer_state": "read"},
    }
    return body if vin is None else body | {"subject": {"scheme": "vin", "value": vin}}


def name_of(prefix: str, *parts: str) -> str:
    """An id that is somebody's, the same in every run."""
    return f"{prefix}_{sha256(' '.join(parts).encode()).hexdigest()[:32]}"


def make_principals(members: dict[str, bytes]) -> dict[str, Principal]:
    """Everybody who asks in these tests, by the key that they send: offices, and members' machines and staff."""
    found = {
        "holder": Principal(Standing.HOLDER, account=HOLDER, confirmed_at=ALWAYS),
        "stranger": Principal(Standing.HOLDER, account=STRANGER, confirmed_at=ALWAYS),
        "operator": Principal(Standing.OPERATOR, account=f"acc_{3:032x}"),
    }
    for name, member in members.items():
        found[name] = Principal(Standing.MACHINE, client=name_of("cli", name), member=member, scopes=MOST)
        found[f"{name}, no scope"] = Principal(Standing.MACHINE, client=name_of("cli", name, "poor"), member=member)
        for role in Role:
            found[f"{name}'s {role.value}"] = Principal(
                Standing.STAFF, account=name_of("acc", name, role.value), member=member, role=role
            )
    return found


@contextmanager
def serving_town(path: Path, **settings: Any) -> Iterator[WebTown]:
    with serving(path, **settings) as service:
        writer = service.node.writers[0]
        members = {name: writer.enrol_member(f"The {name}", kind).id for name, kind in MEMBERS.items()}
        enrol_speaker(writer)
        held = Held()
        service.node.lay_people()
        office = replace(open_office(service.desk.home, "test.example"), clock=service.node.clock)
        service.desk.shelf["holdings"] = held
        service.desk.shelf["office"] = inside = replace(office, people=service.node.open_people())
        town = WebTown(service, held, members, office)
        town.admit(make_principals(members))
        try:
            yield town
        finally:
            inside.people.close()
            office.people.close()
    service.node.check()
