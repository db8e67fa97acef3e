"""Batches: what the ledger seals, and each reason for which it does not. Spec: 3.5 to 3.7."""

from __future__ import annotations

import json
from dataclasses import replace

from carnet.encoding import b64
from carnet.errors import Reason
from carnet.ledger.commands import AddKey, Block, ChangeRules, RetireMember, RevokeKey
from carnet.ledger.records import MAX_RECORD_BYTES
from carnet.ledger.transition import apply
from carnet.signing import Signer
from tests.ledger.ground import Ground, with_endorsements


def test_seal_batch__is_logged_as_it_was_signed() -> None:
    ground = Ground()
    command = ground.seal()
    size, members, rules = ground.state.size, ground.state.members_ref, ground.state.rules_ref
    (logged,) = ground.accept(command)
    record = json.loads(logged.leaf.split(b"\n", 1)[1])
    assert logged.index == size
    assert record == {
        "at": ground.state.at,
        "batch": b64(command.batch),
        "endorsements": [],
        "height": ground.state.height,
        "members": {"count": len(ground.state.members.all), "index": members.index, "root": b64(members.root)},
        "rules": {"count": len(ground.state.rules.lines), "index": rules.index, "root": b64(rules.root)},
        "sig": b64(command.sig),
        "type": "seal",
    }
    ground.check()


def test_seal_batch__keeps_rules_and_members_as_they_are() -> None:
    ground = Ground()
    before = ground.state
    ground.accept(ground.seal())
    after = ground.state
    assert (after.rules_ref, after.members_ref, after.censuses) == (
        before.rules_ref,
        before.members_ref,
        before.censuses,
    )
    assert after.size == before.size + 1


def test_seal_batch__with_the_endorsements_that_its_class_asks_for() -> None:
    ground = Ground(peers=3)
    ground.ask_endorsements(2, 2)
    ground.accept(ground.seal(class_=2, by=tuple(ground.peers[:2])))
    ground.accept(ground.seal(class_=2, by=tuple(ground.peers)))
    ground.accept(ground.seal(class_=1))
    ground.check()


def test_seal_batch__at_the_height_at_which_it_expires() -> None:
    ground = Ground()
    ground.accept(ground.seal(expires=ground.state.height + 1))
    ground.check()


def test_seal_batch__with_a_new_node_key_after_the_old_one_is_revoked() -> None:
    ground = Ground()
    old, new = ground.world.node_signer, Signer(ground.world.draw(32))
    ground.accept(AddKey(ground.home, ground.world.make_key(ground.home, new, 3, 2)))
    ground.accept(ground.seal())
    ground.accept(ground.seal(signer=new, key_digest=new.digest))
    ground.accept(RevokeKey(ground.home, old.digest, None))
    ground.accept(ground.seal(signer=new, key_digest=new.digest))
    ground.check()


def test_seal_batch__refused_wrong_type() -> None:
    ground = Ground()
    good = ground.seal()
    for data in (b"", good.batch[:-1], good.batch + b"\0", b"x" * 148, good.batch[:-8] + b"\xff" * 8):
        ground.refuse(replace(good, batch=data), Reason.WRONG_TYPE)


def test_seal_batch__refused_value_out_of_range() -> None:
    ground = Ground()
    ground.refuse(ground.seal(count=0), Reason.VALUE_OUT_OF_RANGE, count=0)


def test_seal_batch__refused_wrong_network() -> None:
    ground, other = Ground(), Ground(seed="another network")
    assert ground.net != other.net
    ground.refuse(other.seal(), Reason.WRONG_NETWORK)


def test_seal_batch__refused_unknown_member() -> None:
    ground = Ground()
    ground.refuse(ground.seal(home=bytes(16)), Reason.UNKNOWN_MEMBER, member="00" * 16)


def test_seal_batch__refused_member_retired() -> None:
    ground = Ground(peers=1)
    peer = ground.peers[0]
    command = ground.seal(home=peer.id, signer=peer.signer, key_digest=peer.signer.digest)
    ground.accept(RetireMember(peer.id))
    ground.refuse(command, Reason.MEMBER_RETIRED, member="Peer 0")
    ground.check()


def test_seal_batch__refused_unknown_key() -> None:
    ground = Ground(peers=1)
    ground.refuse(ground.seal(key_digest=bytes(32)), Reason.UNKNOWN_KEY)
    # A key of another node, and a key of the member that is no node key.
    ground.refuse(ground.seal(key_digest=ground.peers[0].signer.digest), Reason.UNKNOWN_KEY)
    author = ground.garage.author
    ground.refuse(
        ground.seal(home=ground.garage.id, signer=author, key_digest=author.digest), Reason.UNKNOWN_KEY, member="Garage"
    )


def test_seal_batch__refused_key_revoked() -> None:
    ground = Ground()
    command = ground.seal()
    index = ground.accept(RevokeKey(ground.home, ground.world.node_signer.digest, None))[0].index
    ground.refuse(command, Reason.KEY_REVOKED, since=index)


def test_seal_batch__refused_bad_signature() -> None:
    ground = Ground(peers=1)
    good = ground.seal(by=tuple(ground.peers))
    ground.refuse(replace(good, sig=bytes(64)), Reason.BAD_SIGNATURE)
    ground.refuse(replace(good, sig=good.sig[:-1]), Reason.BAD_SIGNATURE)
    ground.refuse(replace(good, batch=ground.seal().batch), Reason.BAD_SIGNATURE)
    wrong = (replace(good.endorsements[0], sig=bytes(64)),)
    ground.refuse(replace(good, endorsements=wrong), Reason.BAD_SIGNATURE, member=ground.peers[0].id.hex())
    # An endorsement of another batch, and the bare header signed instead of the endorsement of it.
    ground.refuse(replace(good, endorsements=ground.seal(by=tuple(ground.peers)).endorsements), Reason.BAD_SIGNATURE)
    bare = (replace(good.endorsements[0], sig=ground.peers[0].signer.sign(good.batch)),)
    ground.refuse(replace(good, endorsements=bare), Reason.BAD_SIGNATURE)


def test_seal_batch__refused_batch_expired() -> None:
    ground = Ground()
    ground.refuse(ground.seal(expires=ground.state.height), Reason.BATCH_EXPIRED, expires=ground.state.height)


def test_seal_batch__refused_rules_not_in_force() -> None:
    ground = Ground()
    command = ground.seal()
    old = ground.state.rules_ref.index
    ground.accept(ChangeRules(with_endorsements(ground.state.rules, 3, 0)))
    in_force = ground.state.rules_ref.index
    assert not ground.refuse(command, Reason.RULES_NOT_IN_FORCE, rules=old, in_force=in_force).could_retry
    # Rules that are still to come: the same batch may succeed when they have.
    assert ground.refuse(ground.seal(rules=in_force + 9), Reason.RULES_NOT_IN_FORCE).could_retry


def test_seal_batch__refused_unknown_class() -> None:
    ground = Ground()
    ground.refuse(ground.seal(class_=0), Reason.UNKNOWN_CLASS, class_=0)
    ground.refuse(ground.seal(class_=200), Reason.UNKNOWN_CLASS, class_=200)


def test_seal_batch__refused_not_enough_endorsements() -> None:
    ground = Ground(peers=2)
    one, two = ground.peers
    ground.ask_endorsements(1, 2)
    refusal = ground.refuse(ground.seal(by=(one,)), Reason.NOT_ENOUGH_ENDORSEMENTS, wanted=2, given=1)
    assert refusal.could_retry
    ground.refuse(ground.seal(), Reason.NOT_ENOUGH_ENDORSEMENTS, wanted=2, given=0)
    ground.refuse(ground.seal(by=(one, one)), Reason.NOT_ENOUGH_ENDORSEMENTS)
    ground.refuse(ground.seal(by=(two, one)), Reason.NOT_ENOUGH_ENDORSEMENTS)


def test_seal_batch__refused_endorsed_by_its_home() -> None:
    ground = Ground(peers=2)
    home = type(ground.peers[0])(ground.home, ground.world.node_signer)
    by = tuple(sorted((home, ground.peers[0]), key=lambda peer: peer.id))
    ground.refuse(ground.seal(by=by), Reason.NOT_ENOUGH_ENDORSEMENTS)


def test_seal_batch__refused_endorsed_by_one_without_a_node_key_in_force() -> None:
    ground = Ground(peers=1)
    peer = ground.peers[0]
    command = ground.seal(by=(peer,))
    (endorsement,) = command.endorsements
    stranger = replace(endorsement, member=bytes(16))
    ground.refuse(replace(command, endorsements=(stranger,)), Reason.UNKNOWN_MEMBER)
    hosted = replace(endorsement, member=ground.garage.id, key=ground.garage.author.digest)
    ground.refuse(replace(command, endorsements=(hosted,)), Reason.UNKNOWN_KEY)
    ground.accept(RevokeKey(peer.id, peer.signer.digest, None))
    ground.refuse(command, Reason.KEY_REVOKED)
    ground.accept(RetireMember(peer.id))
    ground.refuse(command, Reason.MEMBER_RETIRED)


def test_seal_batch__refused_already_sealed() -> None:
    ground = Ground()
    root = ground.world.draw(32)
    ground.accept(ground.seal(root=root))
    # The same links under another header are the same batch: what counts is home and root.
    ground.refuse(ground.seal(root=root, expires=ground.state.height + 9, count=4), Reason.ALREADY_SEALED)
    ground.check()


def test_seal_batch__the_same_links_by_another_home_are_another_batch() -> None:
    ground = Ground(peers=1)
    (peer,) = ground.peers
    root = ground.world.draw(32)
    ground.accept(ground.seal(root=root))
    ground.accept(ground.seal(root=root, home=peer.id, signer=peer.signer, key_digest=peer.signer.digest))
    ground.check()


def test_seal_batch__twice_in_one_block_is_sealed_once() -> None:
    ground = Ground()
    command = ground.seal()
    state, (first, second) = apply(ground.state, Block(ground.state.height + 1, ground.state.at, (command, command)))
    assert isinstance(first, tuple)
    assert second.reason == Reason.ALREADY_SEALED  # type: ignore[union-attr]
    assert state.size == ground.state.size + 1


def test_seal_batch__is_remembered_until_it_expires_and_refused_for_it_afterwards() -> None:
    ground = Ground()
    command = ground.seal(expires=ground.state.height + 3)
    ground.accept(command)
    ground.accept()
    ground.refuse(command, Reason.ALREADY_SEALED)
    assert len(ground.state.sealed) == 1
    ground.accept()
    ground.refuse(command, Reason.BATCH_EXPIRED)
    ground.accept()
    assert len(ground.state.sealed) == 0
    ground.check()


def test_seal_batch__refused_record_too_large() -> None:
    ground = Ground()
    peers = sorted((ground.enrol_node(f"Node {number}") for number in range(330)), key=lambda peer: peer.id)
    size = ground.refuse(ground.seal(by=tuple(peers)), Reason.RECORD_TOO_LARGE, limit=MAX_RECORD_BYTES).facts["size"]
    assert isinstance(size, int)
    assert size > MAX_RECORD_BYTES
    (logged,) = ground.accept(ground.seal(by=tuple(peers[:300])))
    assert 55_000 < len(logged.leaf) <= MAX_RECORD_BYTES
    ground.check()
