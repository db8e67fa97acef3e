"""The founding of a network: genesis, rules and members, and what is no network. Spec: 1.9, 3.7."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from carnet.encoding import b64, encode
from carnet.errors import InvariantBroken, Reason, Refused
from carnet.ledger.commands import Block, EnrolMember, FoundNetwork
from carnet.ledger.network import Founder, Genesis
from carnet.ledger.rules.document import Rules
from carnet.ledger.rules.members import NODE_KIND, Key, Member, compute_enrolment
from carnet.ledger.transition import apply, process
from carnet.signing import Signer
from tests.ledger.ground import Ground
from tests.ledger.test_rules import without
from tests.world import World

AT = 1_700_000_000_000


class Founding:
    """The parts of a founding, each of which a test may change; keys sign for the genesis as it is in the end."""

    def __init__(self) -> None:
        self.node = Signer(bytes([1]) * 32)
        self.home = bytes([2]) * 16
        self.rules = World("founding").state.rules  # type: ignore[union-attr]
        self.genesis = Genesis(
            "a.example",
            bytes(32),
            Signer(bytes([3]) * 32).public,
            (Founder(self.home, self.node.public),),
            self.rules.tree.root,
        )

    def member(self, **changes: Any) -> Member:
        sig = self.node.sign(compute_enrolment(self.genesis.net, self.home, 3, 1))
        return replace(
            Member(self.home, "Home", NODE_KIND, self.home, (), (Key(self.node.public, 3, 1, sig),)), **changes
        )

    def command(self, **genesis: Any) -> FoundNetwork:
        self.genesis = replace(self.genesis, **genesis)
        return FoundNetwork(self.genesis, self.rules, (self.member(),))


def found(command: FoundNetwork) -> Any:
    return apply(None, Block(1, AT, (command,)))


def refuse(command: FoundNetwork, reason: Reason) -> Refused:
    with pytest.raises(Refused) as refusal:
        found(command)
    assert refusal.value.reason == reason, refusal.value.message
    return refusal.value


def test_found_network__writes_records_0_1_and_2() -> None:
    founding = Founding()
    command = founding.command()
    state, (logged,) = found(command)
    records = [json.loads(one.leaf.split(b"\n", 1)[1]) for one in logged]
    assert [one.index for one in logged] == [0, 1, 2]
    assert records == [
        {"at": AT, "genesis": founding.genesis.to_document(), "height": 1, "type": "genesis"},
        {
            "at": AT,
            "count": len(founding.rules.lines),
            "height": 1,
            "root": b64(founding.rules.tree.root),
            "type": "rules",
        },
        {"at": AT, "count": 1, "height": 1, "root": b64(state.members.tree.root), "type": "members"},
    ]
    assert (state.size, state.net, state.rules_ref.index, state.members_ref.index) == (3, founding.genesis.net, 1, 2)
    assert state.genesis.origin == f"a.example/{state.net.hex()}"


@pytest.mark.parametrize("change", ["name", "nonce", "log_key", "founders", "rules_root"])
def test_genesis__another_one_is_another_network(change: str) -> None:
    genesis = Founding().genesis
    other: dict[str, Any] = {
        "name": "b.example",
        "nonce": bytes([9]) * 32,
        "log_key": bytes([9]) * 32,
        "founders": (*genesis.founders, *genesis.founders),
        "rules_root": bytes([9]) * 32,
    }
    assert replace(genesis, **{change: other[change]}).net != genesis.net


def test_found_network__with_several_founders_and_hosted_members() -> None:
    founding = Founding()
    second = Signer(bytes([7]) * 32)
    founding.command(founders=(*founding.genesis.founders, Founder(bytes([8]) * 16, second.public)))
    sig = second.sign(compute_enrolment(founding.genesis.net, bytes([8]) * 16, 3, 1))
    other = Member(bytes([8]) * 16, "Second", NODE_KIND, bytes([8]) * 16, (), (Key(second.public, 3, 1, sig),))
    hosted = Member(bytes([9]) * 16, "Hosted", "garage", other.id)
    # A member may stand before the node that hosts it: they are founded together.
    state, _ = found(FoundNetwork(founding.genesis, founding.rules, (hosted, founding.member(), other)))
    assert state.members_ref.count == 3


def test_found_network__refused_node_exists() -> None:
    ground = Ground()
    refusal = ground.try_command(Founding().command())
    assert isinstance(refusal, Refused)
    assert refusal.reason == Reason.NODE_EXISTS


@pytest.mark.parametrize("name", ["", "a" * 64, "A.example", "a/b", "a b", "é"])
def test_found_network__refused_text_not_allowed(name: str) -> None:
    refuse(Founding().command(name=name), Reason.TEXT_NOT_ALLOWED)


@pytest.mark.parametrize("name", ["a", "a" * 63, "0.-", "test.carnet.example"])
def test_found_network__names(name: str) -> None:
    assert found(Founding().command(name=name))[0].genesis.name == name


@pytest.mark.parametrize("part", ["nonce", "log_key", "rules_root"])
def test_found_network__refused_wrong_type(part: str) -> None:
    refuse(Founding().command(**{part: bytes(31)}), Reason.WRONG_TYPE)


def test_found_network__refused_missing_field() -> None:
    refuse(Founding().command(founders=()), Reason.MISSING_FIELD)


def test_found_network__refused_unknown_member() -> None:
    founding = Founding()
    refuse(founding.command(founders=(Founder(bytes(16), founding.node.public),)), Reason.UNKNOWN_MEMBER)
    founding = Founding()
    founding.command()
    hosted = Member(bytes([9]) * 16, "Hosted", "garage", bytes([4]) * 16)
    refuse(FoundNetwork(founding.genesis, founding.rules, (founding.member(), hosted)), Reason.UNKNOWN_MEMBER)


def test_found_network__refused_unknown_key() -> None:
    founding = Founding()
    refuse(founding.command(founders=(Founder(founding.home, bytes(32)),)), Reason.UNKNOWN_KEY)


def test_found_network__refused_founder_that_is_no_node() -> None:
    founding = Founding()
    author = Signer(bytes([7]) * 32)
    founding.command(founders=(*founding.genesis.founders, Founder(bytes([9]) * 16, author.public)))
    sig = author.sign(compute_enrolment(founding.genesis.net, bytes([9]) * 16, 1, 1))
    hosted = Member(bytes([9]) * 16, "Hosted", "garage", founding.home, (), (Key(author.public, 1, 1, sig),))
    refuse(FoundNetwork(founding.genesis, founding.rules, (founding.member(), hosted)), Reason.UNKNOWN_KEY)


def test_found_network__refused_rules_not_in_force() -> None:
    refuse(Founding().command(rules_root=bytes(32)), Reason.RULES_NOT_IN_FORCE)


def test_found_network__refused_unknown_class() -> None:
    founding = Founding()
    founding.rules = without(founding.rules, "class", 0)
    refuse(founding.command(rules_root=founding.rules.tree.root), Reason.UNKNOWN_CLASS)


def test_found_network__refused_rules_out_of_order() -> None:
    founding = Founding()
    founding.rules = Rules(founding.rules.lines[::-1])
    refuse(founding.command(rules_root=founding.rules.tree.root), Reason.FIELDS_CONFLICT)


def test_found_network__refused_bad_signature() -> None:
    founding = Founding()
    command = founding.command()
    # The node's key signed its enrolment for the network as it was before its nonce changed.
    refuse(replace(command, genesis=replace(command.genesis, nonce=bytes([9]) * 32)), Reason.BAD_SIGNATURE)


def test_found_network__refused_member_exists() -> None:
    founding = Founding()
    command = founding.command()
    refuse(replace(command, members=(*command.members, replace(command.members[0], keys=()))), Reason.MEMBER_EXISTS)


def test_found_network__refused_key_exists() -> None:
    founding = Founding()
    command = founding.command()
    other = bytes([9]) * 16
    sig = founding.node.sign(compute_enrolment(founding.genesis.net, other, 3, 1))
    again = Member(other, "Again", NODE_KIND, other, (), (Key(founding.node.public, 3, 1, sig),))
    refuse(replace(command, members=(*command.members, again)), Reason.KEY_EXISTS)


def test_found_network__refused_record_too_large() -> None:
    founding = Founding()
    refuse(founding.command(founders=founding.genesis.founders * 900), Reason.RECORD_TOO_LARGE)


def test_apply__a_network_is_founded_first() -> None:
    founding = Founding()
    member = replace(founding.member(), keys=())
    with pytest.raises(InvariantBroken):
        apply(None, Block(1, AT, ()))
    with pytest.raises(InvariantBroken):
        apply(None, Block(1, AT, (EnrolMember(member),)))
    with pytest.raises(InvariantBroken):
        process(None, EnrolMember(member), Block(1, AT, ()))


def test_apply__a_refused_founding_says_why_whatever_follows_it() -> None:
    founding = Founding()
    wrong = founding.command(name="Wrong")
    with pytest.raises(Refused) as refusal:
        apply(None, Block(1, AT, (wrong, EnrolMember(replace(founding.member(), keys=())))))
    assert refusal.value.reason == Reason.TEXT_NOT_ALLOWED


def test_genesis__document_is_what_is_hashed() -> None:
    genesis = Founding().genesis
    assert encode(genesis.to_document()).startswith(b'{"founders":[{"key":"')
