"""Censuses: each follows its home's latest, covers more, and accounts for no fewer chains. Spec: 3.8."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from carnet.encoding import MAX_INTEGER
from carnet.errors import Reason
from carnet.ledger.commands import RetireMember, RevokeKey, TakeCensus
from carnet.ledger.state import CensusMark
from tests.ledger.ground import Ground, Peer


def test_take_census__is_the_latest_of_its_home() -> None:
    ground = Ground()
    index = ground.accept(ground.census(count=4, erased=1))[0].index
    assert ground.state.censuses == {ground.home: CensusMark(index, index, 5)}
    following = ground.accept(ground.census(count=2, erased=3))[0].index
    assert ground.state.censuses == {ground.home: CensusMark(following, following, 5)}
    ground.check()


def test_take_census__of_several_homes_do_not_meet() -> None:
    ground = Ground(peers=1)
    (peer,) = ground.peers
    ground.accept(ground.census())
    covers = ground.state.size - 2
    ground.accept(ground.census(home=peer.id, signer=peer.signer, previous=None, covers=covers, count=0))
    assert set(ground.state.censuses) == {ground.home, peer.id}
    ground.check()


def test_take_census__of_no_chain_and_no_record() -> None:
    ground = Ground()
    ground.accept(ground.census(covers=0, count=0))
    ground.check()


def test_take_census__with_the_endorsements_that_class_0_asks_for() -> None:
    ground = Ground(peers=2)
    ground.ask_endorsements(0, 2)
    ground.accept(ground.census(by=tuple(ground.peers)))
    ground.check()


def test_take_census__refused_not_enough_endorsements() -> None:
    ground = Ground(peers=1)
    ground.ask_endorsements(0, 1)
    ground.refuse(ground.census(), Reason.NOT_ENOUGH_ENDORSEMENTS, wanted=1, given=0)
    by_home = (Peer(ground.home, ground.world.node_signer),)
    ground.refuse(ground.census(by=by_home), Reason.NOT_ENOUGH_ENDORSEMENTS)
    ground.refuse(ground.census(by=(*ground.peers, *ground.peers)), Reason.NOT_ENOUGH_ENDORSEMENTS)


def test_take_census__refused_wrong_type() -> None:
    ground = Ground()
    ground.refuse(ground.census(root=bytes(31)), Reason.WRONG_TYPE, size=31, wanted=32)


@pytest.mark.parametrize("field", ["covers", "count", "erased"])
@pytest.mark.parametrize("number", [-1, MAX_INTEGER + 1])
def test_take_census__refused_value_out_of_range(field: str, number: int) -> None:
    ground = Ground()
    good = ground.census()
    changes: dict[str, Any] = {field: number}
    ground.refuse(replace(good, census=replace(good.census, **changes)), Reason.VALUE_OUT_OF_RANGE)


def test_take_census__refused_unknown_member() -> None:
    ground = Ground()
    ground.refuse(ground.census(home=bytes(16)), Reason.UNKNOWN_MEMBER)


def test_take_census__refused_member_retired() -> None:
    ground = Ground()
    command = ground.census()
    ground.accept(RetireMember(ground.home))
    ground.refuse(command, Reason.MEMBER_RETIRED)


def test_take_census__refused_unknown_key() -> None:
    ground = Ground()
    author = ground.garage.author
    ground.refuse(ground.census(signer=author), Reason.UNKNOWN_KEY)
    ground.refuse(ground.census(home=ground.garage.id, signer=author), Reason.UNKNOWN_KEY)


def test_take_census__refused_key_revoked() -> None:
    ground = Ground()
    command = ground.census()
    ground.accept(RevokeKey(ground.home, ground.world.node_signer.digest, None))
    ground.refuse(command, Reason.KEY_REVOKED)


def test_take_census__refused_bad_signature() -> None:
    ground = Ground(peers=1)
    good = ground.census(by=tuple(ground.peers))
    ground.refuse(replace(good, sig=bytes(64)), Reason.BAD_SIGNATURE)
    ground.refuse(replace(good, census=replace(good.census, count=6)), Reason.BAD_SIGNATURE)
    wrong = (replace(good.endorsements[0], sig=bytes(64)),)
    ground.refuse(replace(good, endorsements=wrong), Reason.BAD_SIGNATURE)
    # A batch's endorsement is none of a census.
    sealed = ground.seal(by=tuple(ground.peers)).endorsements
    ground.refuse(replace(good, endorsements=sealed), Reason.BAD_SIGNATURE)


def test_take_census__refused_census_not_after() -> None:
    ground = Ground()
    ground.refuse(ground.census(previous=2), Reason.CENSUS_NOT_AFTER, previous=2, latest=None)
    ground.refuse(ground.census(covers=ground.state.size + 1), Reason.CENSUS_NOT_AFTER, covers=ground.state.size + 1)
    first = ground.census()
    index = ground.accept(first)[0].index
    ground.refuse(first, Reason.CENSUS_NOT_AFTER, previous=None, latest=index)
    ground.refuse(ground.census(previous=None), Reason.CENSUS_NOT_AFTER)
    ground.refuse(ground.census(previous=index - 1), Reason.CENSUS_NOT_AFTER)
    for covers in (first.census.covers, first.census.covers - 1, 0):
        ground.refuse(ground.census(covers=covers), Reason.CENSUS_NOT_AFTER, covers=covers)
    ground.check()


def test_take_census__refused_census_count_fell() -> None:
    ground = Ground()
    ground.accept(ground.census(count=5, erased=2))
    ground.refuse(ground.census(count=4, erased=2), Reason.CENSUS_COUNT_FELL, known=7, accounted=6)
    ground.accept(ground.census(count=0, erased=7))
    ground.check()


def test_take_census__a_refused_one_is_no_predecessor() -> None:
    ground = Ground()
    ground.refuse(ground.census(count=0, previous=7), Reason.CENSUS_NOT_AFTER)
    command = ground.census(count=0)
    assert isinstance(command, TakeCensus)
    ground.accept(command)
