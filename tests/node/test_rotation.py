"""Keys replaced and revoked on a real node: what was sealed before verifies, what comes after does not, and no kill
leaves the node without a key."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key
from carnet.node.fsck import check_home
from carnet.node.keyring import KeyRing, Rotation, load_key_ring, save_key_ring
from carnet.node.rotation import get_node_key
from carnet.node.writer import Writer, open_writer
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.verify import Verdict, verify_bundle
from carnet.signing import Signer
from carnet.tlog.policy import parse_policy
from carnet.types import Basis
from tests.node.conftest import ON_FILE
from tests.node.home import (
    START_MS,
    Clock,
    Dice,
    TestNode,
    is_good,
    make_node,
    more,
    new_passport,
    reading,
    vin_subject,
)
from tests.proof.javascript import make_job, run_batch

PASSPHRASE = "correct horse"
KILLED = 77


def judge_twice(node: TestNode, chain: bytes) -> Verdict:
    """The verdict of the Python verifier, after the JavaScript one gave the same bytes."""
    with node.read() as reader:
        bundle, policy = assemble_bundle(reader, chain, Selection()), reader.get_policy()
    now = node.clock()
    verdict = verify_bundle(bundle, parse_policy(policy), now)
    assert run_batch([make_job(bundle, policy, now)]) == [verdict.to_json().decode().rstrip("\n")]
    return verdict


def node_key(writer: Writer) -> Key:
    return get_node_key(writer.state.members.get(writer.node_id))


def test_rotate_key__of_the_node_keeps_history_verifiable(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    chain = writer.append(checked.operator.id, Basis.REPORTED, [new_passport(1, 10)]).receipts[0].chain16
    writer.take_census()
    old = node_key(writer)
    assert is_good(judge_twice(checked, chain))
    new = writer.rotate_key(writer.node_id, old.digest)
    assert node_key(writer) == new
    assert writer.ring.rotation is None
    assert Signer(writer.ring.node).digest == new.digest
    writer.append(checked.operator.id, Basis.REPORTED, [more(writer.find_chain(subject), reading(subject, 20))])
    writer.take_census()
    verdict = judge_twice(checked, chain)
    assert is_good(verdict)
    # A second one, in the same process and after a new start.
    writer.rotate_key(writer.node_id, new.digest)
    writer.close()
    writer = checked.open()
    writer.append(checked.operator.id, Basis.REPORTED, [more(writer.find_chain(subject), reading(subject, 30))])
    writer.take_census()
    assert is_good(judge_twice(checked, chain))
    assert [key.revoked is None for key in writer.state.members.get(writer.node_id).keys] == [False, False, True]


def test_rotate_key__of_a_hosted_member(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    garage = writer.enrol_member("Garage", "garage")
    chain = writer.append(checked.operator.id, Basis.REPORTED, [new_passport(1)]).receipts[0].chain16
    prepared = writer.prepare(
        writer.make_job(garage.id, Basis.HOSTED, [more(writer.find_chain(subject), reading(subject, 10))])
    )
    writer.append(garage.id, Basis.HOSTED, [more(writer.find_chain(subject), reading(subject, 11))])
    old = garage.keys[0]
    new = writer.rotate_key(garage.id, old.digest, disputed_since=writer.state.size)
    # What the old key has signed, and is not sealed yet, stays outside for ever.
    refused = writer.commit([prepared])[0].refused
    assert refused is not None
    assert refused.reason is Reason.KEY_REVOKED
    assert writer.ring.find_seed(old.digest) is not None
    assert writer.ring.find_seed(new.digest) is not None
    writer.append(garage.id, Basis.HOSTED, [more(writer.find_chain(subject), reading(subject, 20))])
    writer.take_census()
    verdict = judge_twice(checked, chain)
    assert is_good(verdict)
    assert [entry["disputed"] for entry in read_report(verdict)] == [False, False, False]


def test_rotate_key__disputed_entries_are_said_to_be(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    garage = writer.enrol_member("Garage", "garage")
    chain = writer.append(checked.operator.id, Basis.REPORTED, [new_passport(1)]).receipts[0].chain16
    for km in (10, 20):
        outcome = writer.append(garage.id, Basis.HOSTED, [more(writer.find_chain(subject), reading(subject, km))])
    writer.rotate_key(garage.id, garage.keys[0].digest, disputed_since=outcome.receipts[0].seal)
    writer.append(garage.id, Basis.HOSTED, [more(writer.find_chain(subject), reading(subject, 30))])
    writer.take_census()
    verdict = judge_twice(checked, chain)
    # Disputed is never altered: the proof is genuine, and says which of its entries are in doubt. Spec: 3.4, 5.10.
    assert is_good(verdict)
    assert verdict.exit_code == 0
    assert [entry["disputed"] for entry in read_report(verdict)] == [False, False, True, False]


def read_report(verdict: Verdict) -> list[dict[str, object]]:
    report = verdict.to_document()["report"]
    assert isinstance(report, dict)
    return sorted(report["entries"], key=lambda entry: entry["seq"])


def test_rotate_key__refused(checked: TestNode) -> None:
    writer = checked.open()
    garage, left = writer.enrol_member("Garage", "garage"), writer.enrol_member("Left", "garage")
    writer.retire(left.id)
    writer.rotate_key(garage.id, garage.keys[0].digest)
    new = writer.state.members.get(garage.id).keys[1].digest
    size, ring = writer.state.size, writer.ring
    for member, digest, disputed, reason in (
        (bytes(16), new, None, Reason.UNKNOWN_MEMBER),
        (garage.id, bytes(32), None, Reason.UNKNOWN_KEY),
        (garage.id, garage.keys[0].digest, None, Reason.KEY_REVOKED),
        (left.id, left.keys[0].digest, None, Reason.MEMBER_RETIRED),
        (garage.id, new, size + 1, Reason.VALUE_OUT_OF_RANGE),
    ):
        with pytest.raises(Refused) as caught:
            writer.rotate_key(member, digest, disputed)
        assert caught.value.reason is reason
    assert (writer.state.size, writer.ring) == (size, ring)


def test_revoke_key__refused_key_in_use(checked: TestNode) -> None:
    writer = checked.open()
    with pytest.raises(Refused) as caught:
        writer.revoke_key(writer.node_id, node_key(writer).digest)
    assert caught.value.reason is Reason.KEY_IN_USE
    writer.take_census()


# ---- kills


def die_at(calls: list[str], wanted: int) -> Callable[[str], None]:
    """Ends the process, as a kill would, at the call of this number; what was called before stands in `calls`."""

    def tick(name: str) -> None:
        calls.append(name)
        if len(calls) == wanted:
            os._exit(KILLED)

    return tick


def rotate_and_die(path: Path, target: str, at: int) -> None:
    """Rotate in this process, which ends at the `at`-th look at the clock or throw of the dice since the writer is
    open."""
    armed: list[Callable[[str], None]] = []
    clock, dice = Clock(START_MS + 1_000 * at), Dice(b"another process %d" % at)

    def look() -> int:
        for tick in armed:
            tick("clock")
        return clock()

    def throw(count: int) -> bytes:
        for tick in armed:
            tick("dice")
        return dice(count)

    writer = open_writer(path, clock=look, random_bytes=throw, passphrase=PASSPHRASE)
    member = next(
        one for one in writer.state.members.all if one.name == target or (target == "node" and one.host == one.id)
    )
    old = next(key.digest for key in reversed(member.keys) if key.revoked is None)
    armed.append(die_at([], at))
    writer.rotate_key(member.id, old, disputed_since=3)
    os._exit(0)


@pytest.mark.parametrize("target", ["node", "Fleet Data"])
def test_rotate_key__killed_at_each_step_is_finished_or_never_began(tmp_path: Path, target: str) -> None:
    node, spawn = make_node(tmp_path), multiprocessing.get_context("fork")
    keys = node.path / "keys.json"
    save_key_ring(load_key_ring(keys), keys, PASSPHRASE, node.dice)
    outcomes = []
    for at in range(1, 20):
        before = load_key_ring(keys, PASSPHRASE)
        process = spawn.Process(target=rotate_and_die, args=(node.path, target, at))
        process.start()
        process.join(timeout=60)
        assert process.exitcode in (0, KILLED)
        begun = load_key_ring(keys, PASSPHRASE)
        with open_writer(node.path, clock=node.clock, random_bytes=node.dice, passphrase=PASSPHRASE) as writer:
            ring = load_key_ring(keys, PASSPHRASE)
            assert ring.rotation is None
            member = writer.state.members.get(writer.node_id if target == "node" else node.operator.id)
            (current,) = [key.digest for key in member.keys if key.revoked is None]
            assert Signer(ring.node).digest == current if target == "node" else ring.find_seed(current) is not None
            has_rotated = ring != before
            outcomes.append((begun.rotation is not None, has_rotated))
            # It can sign and seal, whatever happened.
            writer.append(node.operator.id, Basis.REPORTED, [new_passport(at, at)])
            writer.take_census()
        assert keys.stat().st_mode & 0o777 == 0o600
        if process.exitcode == 0:
            break
    else:
        pytest.fail("the rotation asked the clock and the dice more often than the test foresees")
    # Before the ring has it there is no rotation; from then on it is finished by the next writer.
    assert outcomes[0] == (False, False)
    assert (True, True) in outcomes
    assert outcomes[-1] == (False, True)
    assert outcomes == sorted(outcomes, key=lambda one: (one[1], not one[0]))
    assert check_home(node.path, passphrase=PASSPHRASE) == []


def test_open_writer__refused_node_damaged_by_an_old_ring(checked: TestNode) -> None:
    """The ring of before a rotation cannot seal; the node key that is lost with the newer one is replaced."""
    keys = checked.path / "keys.json"
    old_ring = keys.read_bytes()
    with checked.open() as writer:
        writer.append(checked.operator.id, Basis.REPORTED, [new_passport(1, 10)])
        writer.rotate_key(writer.node_id, node_key(writer).digest)
        lost = node_key(writer)
    keys.write_bytes(old_ring)
    with pytest.raises(Refused) as caught:
        checked.open()
    assert caught.value.reason is Reason.NODE_DAMAGED
    assert "--lost" in caught.value.message
    assert [finding.table for finding in check_home(checked.path)] == ["keys.json"]
    with open_writer(checked.path, clock=checked.clock, random_bytes=checked.dice, is_node_key_lost=True) as writer:
        writer.replace_lost_node_key()
    with checked.open() as writer:
        subject = vin_subject(1)
        assert writer.state.members.get(writer.node_id).find_key(lost.digest).revoked is not None  # type: ignore[union-attr]
        ref = writer.find_chain(subject)
        writer.append(checked.operator.id, Basis.REPORTED, [more(ref, reading(subject, 20))])
        writer.take_census()
    assert ref is not None
    assert is_good(judge_twice(checked, ref.chain16))


@ON_FILE
def test_open_writer__an_older_store_with_a_newer_ring(node: TestNode) -> None:
    """A backup reads its keys after the moment of its store: a rotation in between must not cost it the node key."""
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(1, 10)])
    older = node.path.parent / "older"
    shutil.copytree(node.path, older)
    with node.open() as writer:
        for _ in range(2):
            writer.rotate_key(writer.node_id, node_key(writer).digest)
        operator = writer.state.members.get(node.operator.id)
        writer.rotate_key(operator.id, operator.keys[0].digest)
    shutil.copy(node.path / "keys.json", older / "keys.json")
    assert check_home(older) == []
    with open_writer(older, clock=node.clock, random_bytes=node.dice) as writer:
        assert Signer(writer.ring.node).digest == node_key(writer).digest
        assert len(writer.ring.old_nodes) == 2
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(2, 10)])
        writer.take_census()
    assert check_home(older) == []
    node.check()


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_load_key_ring__knows_a_rotation_again(tmp_path: Path, passphrase: str | None) -> None:
    dice, path = Dice(), tmp_path / "keys.json"
    plain = KeyRing.of(dice)
    for disputed in (None, 7):
        ring = replace(plain.with_node(dice(32)), rotation=Rotation(bytes(16), dice(32), dice(32), disputed))
        save_key_ring(ring, path, passphrase, dice)
        assert load_key_ring(path, passphrase) == ring
        assert b64(ring.rotation.seed) not in repr(ring)  # type: ignore[union-attr]
    save_key_ring(plain, path, None, dice)
    assert b"rotation" not in path.read_bytes()
    assert b"old_nodes" not in path.read_bytes()
