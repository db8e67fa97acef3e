"""Proofs through the door: the holder's whole, the member's own entries, judged by the verifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.proof.verify import Verdict, verify_bundle
from carnet.services.principals import Principal
from carnet.services.proving import CENSUS_PAUSE_MS, prove
from carnet.tlog.policy import parse_policy
from tests.node.home import is_good
from tests.services.town import HOLDER, VIN, Town, make_town, reading, sid_of


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = make_town(tmp_path)
    yield town
    town.close()


def judge(town: Town, who: Principal, passport: bytes, entry: bytes | None = None) -> Verdict:
    reader = town.read()
    town.node.clock.now += CENSUS_PAUSE_MS
    proved = prove(town.writer, reader, town.view(who, passport), town.node.clock(), entry=entry)
    return verify_bundle(proved.data, parse_policy(reader.get_policy()), town.node.clock())


def shown(verdict: Verdict) -> list[tuple[int, str]]:
    assert is_good(verdict)
    assert verdict.evidence is not None
    found = [(seq, entry) for seq, _, entry in verdict.evidence.entries if entry.is_shown]
    return [(seq, str(entry.get_shown("kind"))) for seq, entry in found]


def test_prove__whole_for_the_holder_and_own_entries_for_a_member(town: Town) -> None:
    passport = town.open()
    town.append(town.staff("garage"), reading(1), subject=VIN)
    last = town.append(town.staff("centre"), reading(2), subject=VIN)
    town.held.holders[passport] = "acc_holder"
    opening = (0, "passport.opened/1")
    assert shown(judge(town, HOLDER, passport)) == [opening, (1, "vehicle.odometer/1"), (2, "vehicle.odometer/1")]
    assert shown(judge(town, town.staff("garage"), passport)) == [opening, (1, "vehicle.odometer/1")]
    assert shown(judge(town, HOLDER, passport, sid_of(last))) == [opening, (2, "vehicle.odometer/1")]
    with pytest.raises(Refused) as caught:
        judge(town, town.staff("garage"), passport, sid_of(last))
    assert caught.value.reason is Reason.UNKNOWN_PASSPORT


def test_prove__refused_nothing_sealed__when_a_census_was_taken_a_moment_ago(town: Town) -> None:
    passport = town.open()
    garage = town.staff("garage")
    town.append(garage, reading(1), subject=VIN)
    judge(town, garage, passport)
    entry = sid_of(town.append(garage, reading(2), subject=VIN))
    with pytest.raises(Refused) as caught:
        prove(town.writer, town.read(), town.view(garage, passport), town.node.clock(), entry=entry)
    assert (caught.value.reason, caught.value.could_retry) == (Reason.NOTHING_SEALED, True)
    assert len(shown(judge(town, garage, passport, entry))) == 2
