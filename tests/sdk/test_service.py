"""The client and a real `carnet serve`, with a real API key: from a key to a proof, and over a restart."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from carnet.node.home import Home
from carnet.proof.verify import verify_bundle
from carnet.sdk import Client, NotSignedIn
from carnet.services.accounts.clients import add_client, issue_key
from carnet.services.accounts.office import Office, open_office
from carnet.services.founding import found, now_ms, open_writer_at
from carnet.services.principals import Principal, Scope, Standing
from carnet.tlog.policy import parse_policy
from carnet.types import MemberId
from tests.cli.run import make_inspection, make_line
from tests.node.home import is_good
from tests.serving import serving_home, start

VIN = "VF1RFB00X56123456"
READING = {"odometer_km": 61_250, "odometer_state": "read"}
OPERATOR = Principal(Standing.OPERATOR)


@dataclass(frozen=True)
class Keys:
    home: Path
    dealer: str
    garage: str
    service: str


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A test network with a dealer, a garage and its operator, each with an API key."""
    home = Home(tmp_path / "home")
    founded = found(home, name="test.example")
    with open_writer_at(home, None, "a test") as writer:
        dealer, garage = (writer.enrol_member(f"The {kind}", kind).id for kind in ("dealer", "garage"))
    office = open_office(home, "test.example")
    try:
        made = [make_key(office, member) for member in (dealer, garage, founded.operator.id)]
    finally:
        office.people.close()
    return Keys(home.path, *made)


def make_key(office: Office, member: MemberId) -> str:
    client = add_client(office, OPERATOR, member, "a program", frozenset(Scope))
    return issue_key(office, OPERATOR, client.public_id).secret


def test_service__from_a_key_to_a_proof_and_a_file(keys: Keys, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(make_line("HV0abc", make_inspection(), make_inspection(pv="A2", km=-5)))
    with serving_home(keys.home, tmp_path / "log") as served:
        with Client(served.address, keys.dealer) as dealer:
            passport = dealer.passports.open(VIN, "first_registration").passport
        with Client(served.address, keys.garage) as garage:
            sealed = garage.entries.append_to(VIN, "vehicle.odometer/1", READING, at="2026-03-02")
            assert [one.id for one in garage.entries.timeline(passport)] == [sealed.entry]
            proof = garage.proofs.entry(passport, sealed.entry)
            assert is_good(verify_bundle(proof, parse_policy(garage.network.policy()), now_ms()))
        with Client(served.address, keys.service) as service:
            file = service.files.wait(service.files.send(rows, "histovec").id)
            assert (file.state, file.counts.sealed, file.counts.faulty) == ("done", 1, 1)
        with Client(served.address) as anybody:
            assert anybody.proofs.verify(proof).verdict == "genuine"
            with pytest.raises(NotSignedIn):
                anybody.passports.get(passport)
        assert VIN not in served.read_log()
        assert keys.garage not in served.read_log()
        assert served.stop() == 0


def test_service__the_same_key_gives_the_same_receipt_after_it_was_killed(keys: Keys, tmp_path: Path) -> None:
    served = start(keys.home, tmp_path / "log")
    again = None
    try:
        served.wait_until_ready()
        with Client(served.address, keys.dealer) as dealer:
            dealer.passports.open(VIN, "first_registration")
        with Client(served.address, keys.garage) as garage:
            first = garage.entries.append_to(
                VIN, "vehicle.odometer/1", READING, at="2026-03-02", idempotency_key="one-reading"
            )
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait()
        again = start(keys.home, tmp_path / "second log")
        again.wait_until_ready()
        with Client(again.address, keys.garage) as garage:
            second = garage.entries.append_to(
                VIN, "vehicle.odometer/1", READING, at="2026-03-02", idempotency_key="one-reading"
            )
            assert second == first
            assert len(list(garage.entries.timeline(first.passport))) == 1
    finally:
        for one in (served, again):
            if one is not None and one.process.poll() is None:
                one.process.kill()
                one.process.wait()
