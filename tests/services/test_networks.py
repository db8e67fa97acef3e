"""Test and live are other networks: other names, other keys, other stores. What one proves is nothing to the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from carnet.node.home import Home
from carnet.proof.verify import CANNOT_TELL, GENUINE, Verdict, verify_bundle
from carnet.services.accounts.office import is_test_network, office_at
from carnet.services.exporting import Wanted, export_proof
from carnet.services.founding import found, now_ms, open_writer_at
from carnet.services.reading import open_reader
from carnet.tlog.policy import parse_policy
from carnet.types import Basis
from tests.node.home import new_passport, vin_subject


def make_network(path: Path, name: str) -> Home:
    home = Home(path)
    operator = found(home, name=name).operator
    with open_writer_at(home, None, "a test") as writer:
        writer.append(operator.id, Basis.REPORTED, [new_passport(1, 61_000)])
        writer.take_census()
    return home


def judge(proof: bytes, home: Home) -> Verdict:
    """Under the policy of this network."""
    with open_reader(home) as reader:
        return verify_bundle(proof, parse_policy(reader.get_policy()), now_ms())


@pytest.mark.parametrize("test_name", ["test.cars.example", "demo.cars.example"])
def test_proof__of_a_test_network_never_verifies_under_a_live_policy(tmp_path: Path, test_name: str) -> None:
    live, test = make_network(tmp_path / "live", "cars.example"), make_network(tmp_path / "test", test_name)
    proofs = {home: export_proof(home, str(vin_subject(1)), Wanted()).data for home in (live, test)}
    for home, other in ((live, test), (test, live)):
        assert judge(proofs[home], home).exit_code == GENUINE
        foreign = judge(proofs[home], other)
        assert foreign.exit_code == CANNOT_TELL
        assert foreign.authority.state == "cannot_tell"


def test_network__says_by_its_name_in_the_genesis_which_it_is(tmp_path: Path) -> None:
    home = make_network(tmp_path / "home", "test.cars.example")
    with office_at(home) as (office, reader):
        assert office.is_test
        assert reader.state.genesis.origin.startswith("test.cars.example/")
    assert [is_test_network(name) for name in ("cars.example", "contest.example", "testing.example")] == [False] * 3
