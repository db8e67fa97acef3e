"""Blocks: time, good and bad commands together, and the same answer in every process. Spec: 3.7."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from carnet.encoding import MAX_INTEGER
from carnet.errors import Reason, Refused
from carnet.ledger.commands import AccreditMember, Block, EnrolMember, RetireMember
from carnet.ledger.records import MAX_RECORD_BYTES, compute_record_leaf
from carnet.ledger.transition import apply
from carnet.signing import Signer
from tests.ledger.ground import Ground
from tests.shared import ROOT


def refuse_block(ground: Ground, height: int, at: int, reason: Reason) -> Refused:
    with pytest.raises(Refused) as refusal:
        apply(ground.state, Block(height, at, (ground.seal(),)))
    assert refusal.value.reason == reason
    return refusal.value


def test_apply__time_may_stand_still_but_height_may_not() -> None:
    ground = Ground()
    before = ground.state
    state, _ = apply(before, Block(before.height + 1, before.at, ()))
    assert (state.height, state.at, state.size) == (before.height + 1, before.at, before.size)
    state, _ = apply(before, Block(before.height + 100, before.at + 1, ()))
    assert (state.height, state.at) == (before.height + 100, before.at + 1)


def test_apply__refused_time_went_back() -> None:
    ground = Ground()
    height, at = ground.state.height, ground.state.at
    for wrong in ((height, at + 1), (height - 1, at + 1), (height + 1, at - 1), (0, 0)):
        refusal = refuse_block(ground, *wrong, Reason.TIME_WENT_BACK)
        assert refusal.facts == {"height": height, "at": at}
        assert refusal.could_retry


def test_apply__refused_value_out_of_range() -> None:
    ground = Ground()
    refuse_block(ground, MAX_INTEGER + 1, ground.state.at, Reason.VALUE_OUT_OF_RANGE)
    refuse_block(ground, ground.state.height + 1, MAX_INTEGER + 1, Reason.VALUE_OUT_OF_RANGE)
    refuse_block(ground, ground.state.height + 1, -1, Reason.VALUE_OUT_OF_RANGE)


def test_apply__the_last_height_and_time_that_can_be_written() -> None:
    ground = Ground()
    state, (result,) = apply(ground.state, Block(MAX_INTEGER, MAX_INTEGER, (ground.seal(expires=MAX_INTEGER),)))
    assert isinstance(result, tuple)
    assert (state.height, state.at) == (MAX_INTEGER, MAX_INTEGER)


def test_apply__good_and_refused_commands_in_one_block() -> None:
    ground = Ground()
    member = ground.make_member()
    sealed, census = ground.seal(), ground.census()
    commands = (
        sealed,
        AccreditMember(bytes(16), ()),
        EnrolMember(member),
        sealed,
        ground.census(covers=ground.state.size + 99),
        census,
        RetireMember(member.id),
        AccreditMember(member.id, ()),
    )
    before = ground.state
    state, results = apply(before, Block(before.height + 1, before.at + 1, commands))
    answers = [result.reason if isinstance(result, Refused) else [one.index for one in result] for result in results]
    size = before.size
    assert answers == [
        [size],
        Reason.UNKNOWN_MEMBER,
        [size + 1],
        Reason.ALREADY_SEALED,
        Reason.CENSUS_NOT_AFTER,
        [size + 2],
        [size + 3],
        Reason.MEMBER_RETIRED,
    ]
    assert state.size == size + 4
    # Without its refused commands the block leads to the very same state and leaves.
    good = tuple(command for command, result in zip(commands, results, strict=True) if isinstance(result, tuple))
    alone, alone_results = apply(before, Block(before.height + 1, before.at + 1, good))
    assert alone == state
    assert alone_results == [result for result in results if isinstance(result, tuple)]


def test_apply__a_later_command_of_a_block_sees_what_an_earlier_one_did() -> None:
    ground = Ground()
    member = ground.make_member()
    odometer = (("vehicle.odometer/1", 2, 1),)
    commands = (EnrolMember(member), AccreditMember(member.id, odometer), RetireMember(member.id))
    state, results = apply(ground.state, Block(ground.state.height + 1, ground.state.at, commands))
    assert all(isinstance(result, tuple) for result in results)
    assert state.members.get(member.id) == replace(member, accreditations=odometer, retired=ground.state.size + 2)


def test_apply__changes_nothing_of_the_state_that_it_was_given() -> None:
    ground = Ground()
    before = ground.state
    copy = (dict(before.sealed), dict(before.censuses), before.size, before.members, before.rules)
    apply(before, Block(before.height + 1, before.at, (ground.seal(), ground.census(), RetireMember(ground.garage.id))))
    assert copy == (dict(before.sealed), dict(before.censuses), before.size, before.members, before.rules)


def test_compute_record_leaf__refused_record_too_large() -> None:
    record = {"at": 1, "height": 1, "type": "x", "z": ""}
    room = MAX_RECORD_BYTES - len(compute_record_leaf(record))
    assert len(compute_record_leaf({**record, "z": "a" * room})) == MAX_RECORD_BYTES
    with pytest.raises(Refused) as refusal:
        compute_record_leaf({**record, "z": "a" * (room + 1)})
    assert refusal.value.reason == Reason.RECORD_TOO_LARGE
    assert refusal.value.facts == {"size": MAX_RECORD_BYTES + 1, "limit": MAX_RECORD_BYTES}


# --- the same in every process


def compute_fingerprint() -> str:
    """Roots, leaves and a bundle of a busy little network."""
    ground = Ground(peers=2)
    world = ground.world
    ground.ask_endorsements(2, 1)
    chain = world.open(ground.centre)
    for km in (1, 2, 3):
        world.append(chain, ground.garage, "vehicle.odometer/1", {"odometer_km": km, "odometer_state": "read"})
    bundle = world.bundle(chain)
    ground.accept(ground.seal(class_=2, by=tuple(ground.peers)))
    ground.accept(EnrolMember(ground.make_member(accreditations=(("vehicle.odometer/1", 2, 1),))))
    ground.check()
    parts = [
        *world.leaves,
        bundle,
        ground.state.members.tree.root,
        ground.state.rules.tree.root,
        world.get_checkpoint()[1],
    ]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@pytest.mark.parametrize("seed", ["0", "1", "424242"])
def test_apply__gives_the_same_bytes_under_another_hash_seed(seed: str) -> None:
    script = "from tests.ledger.test_blocks import compute_fingerprint; print(compute_fingerprint())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == compute_fingerprint()


def test_signer__is_deterministic() -> None:
    assert Signer(bytes(32)).sign(b"x") == Signer(bytes(32)).sign(b"x")
