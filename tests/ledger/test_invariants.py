"""The invariants themselves: each one broken on purpose is found, in a state, in a history and in a replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from carnet.encoding import b64, encode, tag, unb64
from carnet.errors import InvariantBroken
from carnet.ledger.batch import parse_batch
from carnet.ledger.commands import AccreditMember, AddKey, ChangeRules, EnrolMember, RetireMember, RevokeKey
from carnet.ledger.invariants import (
    check_history,
    check_replayed,
    check_state,
    find_members_command,
    parse_record,
    replay,
)
from carnet.ledger.records import Ref
from carnet.ledger.rules.document import Rules
from carnet.ledger.rules.members import Member, Members
from carnet.ledger.state import CensusMark, State
from carnet.signing import Signer
from tests.ledger.ground import Ground, with_endorsements
from tests.ledger.test_rules import without


def make_ground() -> Ground:
    """A network with every type of record and every change of a member."""
    ground = Ground(peers=1)
    member = ground.make_member(accreditations=(("vehicle.odometer/1", 2, 1),))
    for command in (
        EnrolMember(member),
        AccreditMember(member.id, ()),
        AccreditMember(member.id, ()),
        AddKey(member.id, ground.world.make_key(member.id, Signer(ground.world.draw(32)), 2, 1)),
        ground.seal(by=tuple(ground.peers)),
        ground.census(),
        ChangeRules(with_endorsements(ground.state.rules, 3, 1)),
        RevokeKey(member.id, member.keys[0].digest, 4),
        RetireMember(member.id),
    ):
        ground.accept(command)
    ground.accept(ground.census(covers=9))
    # After the change of rules, the batch names the new ones.
    ground.accept(ground.seal())
    return ground


GROUND = make_ground()


def test_invariants__hold_of_a_network_that_did_everything() -> None:
    GROUND.check()
    replayed = replay(GROUND.world.leaves, GROUND.world.rules_at.__getitem__, GROUND.world.members_at.__getitem__)
    assert replayed == GROUND.state
    history = check_history(GROUND.world.leaves)
    assert history.genesis == GROUND.state.genesis
    assert (history.size, history.at, history.height) == (GROUND.state.size, GROUND.state.at, GROUND.state.height)
    assert (history.rules_ref, history.members_ref) == (GROUND.state.rules_ref, GROUND.state.members_ref)
    assert history.censuses == GROUND.state.censuses


# --- a state


def with_members(change: Callable[[Member], Member]) -> Callable[[State], State]:
    """The state with its garage changed, and a reference that fits."""

    def edit(state: State) -> State:
        members = Members(tuple(change(m) if m.name == "Garage" else m for m in state.members.all))
        return replace(
            state, members=members, members_ref=Ref(state.members_ref.index, members.tree.root, len(members.all))
        )

    return edit


def with_rules(rules: Callable[[Rules], Rules]) -> Callable[[State], State]:
    def edit(state: State) -> State:
        changed = rules(state.rules)
        return replace(
            state, rules=changed, rules_ref=Ref(state.rules_ref.index, changed.tree.root, len(changed.lines))
        )

    return edit


def with_key(**changes: Any) -> Callable[[State], State]:
    return with_members(lambda m: replace(m, keys=(replace(m.keys[0], **changes),)))


def with_two_garages(state: State) -> State:
    members = Members((*state.members.all, state.members.get(GROUND.garage.id)))
    return replace(
        state, members=members, members_ref=Ref(state.members_ref.index, members.tree.root, len(members.all))
    )


BROKEN_STATES: dict[str, Callable[[State], State]] = {
    "another network": lambda s: replace(s, net=bytes(32)),
    "no log": lambda s: replace(s, size=2),
    "negative height": lambda s: replace(s, height=-1),
    "negative time": lambda s: replace(s, at=-1),
    "rules root": lambda s: replace(s, rules_ref=replace(s.rules_ref, root=bytes(32))),
    "rules count": lambda s: replace(s, rules_ref=replace(s.rules_ref, count=1)),
    "rules beyond the log": lambda s: replace(s, rules_ref=replace(s.rules_ref, index=s.size)),
    "members root": lambda s: replace(s, members_ref=replace(s.members_ref, root=bytes(32))),
    "members beyond the log": lambda s: replace(s, members_ref=replace(s.members_ref, index=s.size)),
    "rules unsorted": with_rules(lambda rules: Rules(rules.lines[::-1])),
    "no class 0": with_rules(lambda rules: without(rules, "class", 0)),
    "beyond the table": with_rules(lambda rules: without(rules, "writer", "garage", "vehicle.odometer/1")),
    "member twice": with_two_garages,
    "key twice": with_members(lambda m: replace(m, keys=(*m.keys, *m.keys))),
    "key of another member": with_members(
        lambda m: replace(m, keys=(GROUND.state.members.get(GROUND.centre.id).keys[0],))
    ),
    "accredited beyond": with_members(lambda m: replace(m, accreditations=(("vehicle.title/1", 2, 2),))),
    "accreditations unsorted": with_members(lambda m: replace(m, accreditations=m.accreditations[::-1])),
    "hosted by a garage": with_members(lambda m: replace(m, host=m.id)),
    "hosted by nobody": with_members(lambda m: replace(m, host=bytes(16))),
    "hosted by a member": with_members(lambda m: replace(m, host=GROUND.centre.id)),
    "left in the future": with_members(lambda m: replace(m, retired=GROUND.state.size)),
    "short id": with_members(lambda m: replace(m, id=bytes(15))),
    "revoked in the future": with_key(revoked=GROUND.state.size),
    "disputed but in force": with_key(disputed_since=3),
    "disputed after revocation": with_key(revoked=5, disputed_since=6),
    "role": with_key(role=2),
    "node key": with_key(role=3),
    "custody": with_key(custody=1),
    "key": with_key(key=bytes(32)),
    "founder gone": lambda s: replace(
        s, genesis=replace(s.genesis, founders=()), net=replace(s.genesis, founders=()).net
    ),
    "census in the future": lambda s: replace(s, censuses={GROUND.home: CensusMark(s.size, 3, 1)}),
    "census covers itself": lambda s: replace(s, censuses={GROUND.home: CensusMark(5, 6, 1)}),
    "census of nobody": lambda s: replace(s, censuses={bytes(16): CensusMark(5, 4, 1)}),
    "batch beyond its expiry": lambda s: replace(s, sealed={(GROUND.home, bytes(32)): s.height - 1}),
    "batch of nobody": lambda s: replace(s, sealed={(bytes(16), bytes(32)): s.height}),
}


@pytest.mark.parametrize("name", BROKEN_STATES)
def test_check_state__finds(name: str) -> None:
    check_state(GROUND.state)
    with pytest.raises(InvariantBroken):
        check_state(BROKEN_STATES[name](GROUND.state))


@pytest.mark.parametrize(
    "change",
    [
        {"size": 4},
        {"censuses": {}},
        {"height": 1},
        {"at": 1},
        {"sealed": {(bytes(16), bytes(32)): 99}},
        {"rules": Rules(())},
        {"members": Members(())},
    ],
    ids=lambda change: next(iter(change)),
)
def test_check_replayed__finds(change: dict[str, Any]) -> None:
    check_replayed(GROUND.state, GROUND.state)
    with pytest.raises(InvariantBroken):
        check_replayed(replace(GROUND.state, **change), GROUND.state)


def test_check_replayed__a_node_may_be_later_and_may_have_forgotten_batches() -> None:
    state = GROUND.state
    check_replayed(replace(state, height=state.height + 1, at=state.at + 1, sealed={}), state)


# --- a history and a replay


def edit_leaf(type_: str, change: Callable[[dict[str, Any]], object]) -> list[bytes]:
    """The log with the last record of a type changed."""
    leaves = list(GROUND.world.leaves)
    index = max(at for at, leaf in enumerate(leaves) if parse_record(leaf)["type"] == type_)
    record = parse_record(leaves[index])
    change(record)
    leaves[index] = tag("record") + encode(record)
    return leaves


def edit_batch(**changes: Any) -> Callable[[dict[str, Any]], object]:
    def edit(record: dict[str, Any]) -> None:
        record["batch"] = b64(structs.replace(parse_batch(unb64(record["batch"])), **changes).to_bytes())

    return edit


def edit_census(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda record: record["census"].update(changes)


HISTORIES: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "surplus member": ("seal", lambda record: record.update(x=1)),
    "missing member": ("seal", lambda record: record.pop("sig")),
    "unknown type": ("seal", lambda record: record.update(type="rumour")),
    "time goes back": ("seal", lambda record: record.update(at=0)),
    "height goes back": ("seal", lambda record: record.update(height=0)),
    "time is no number": ("seal", lambda record: record.update(at=True)),
    "members not in force": ("seal", lambda record: record["members"].update(index=2)),
    "members of another root": ("seal", lambda record: record["members"].update(root=b64(bytes(32)))),
    "rules of another count": ("seal", lambda record: record["rules"].update(count=1)),
    "batch that is none": ("seal", lambda record: record.update(batch="AAAA")),
    "batch of another network": ("seal", edit_batch(net=bytes(32))),
    "batch under other rules": ("seal", edit_batch(rules=1)),
    "batch expired": ("seal", edit_batch(expires=0)),
    "batch empty": ("seal", edit_batch(count=0)),
    "batch of class 0": ("seal", edit_batch(class_=0)),
    "endorsed by its home": (
        "seal",
        lambda record: record.update(
            endorsements=[{"key": b64(bytes(32)), "member": b64(GROUND.home), "sig": b64(bytes(64))}]
        ),
    ),
    "census of another predecessor": ("census", edit_census(previous=2)),
    "census covers itself": ("census", edit_census(covers=10_000)),
    "census covers less": ("census", edit_census(covers=0)),
    "census counts less": ("census", edit_census(count=0)),
    "census counts below zero": ("census", edit_census(erased=-1, count=99)),
    "census with a truth for a number": ("census", edit_census(erased=True, count=99)),
    "census with a surplus member": ("census", edit_census(x=1)),
    "rules of genesis": ("genesis", lambda record: record["genesis"].update(rules_root=b64(bytes(32)))),
    "members root": ("members", lambda record: record.update(root=b64(bytes(32)))),
    "members root of the wrong size": ("members", lambda record: record.update(root=b64(bytes(31)))),
    "members count": ("members", lambda record: record.update(count=0)),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_check_history__finds(name: str) -> None:
    with pytest.raises(InvariantBroken):
        check_history(edit_leaf(*HISTORIES[name]))


def test_check_history__finds_leaves_that_are_none() -> None:
    leaves = GROUND.world.leaves
    for wrong in (
        [],
        leaves[:2],
        leaves[1:],
        [*leaves, b""],
        [*leaves, leaves[-1] + b" "],
        [*leaves, tag("record") + b"[]"],
        [*leaves, tag("record") + encode({"z": "a" * 60_000})],
        [leaves[0], leaves[2], leaves[1], *leaves[3:]],
        [*leaves[:3], leaves[0]],
    ):
        with pytest.raises(InvariantBroken):
            check_history(wrong)


def replay_leaves(leaves: list[bytes]) -> State:
    return replay(leaves, GROUND.world.rules_at.__getitem__, GROUND.world.members_at.__getitem__)


@pytest.mark.parametrize("name", HISTORIES)
def test_replay__finds(name: str) -> None:
    with pytest.raises(InvariantBroken):
        replay_leaves(edit_leaf(*HISTORIES[name]))


@pytest.mark.parametrize(
    "type_, change",
    [
        ("seal", lambda record: record.update(sig=b64(bytes(64)))),
        ("seal", edit_batch(count=77)),
        ("seal", edit_batch(class_=200)),
        ("seal", edit_batch(key_digest=bytes(32))),
        ("census", lambda record: record.update(sig=b64(bytes(64)))),
        ("census", edit_census(root=b64(bytes(32)))),
        ("census", lambda record: record.update(key=b64(bytes(32)))),
        ("genesis", lambda record: record["genesis"].update(name="other.example")),
    ],
)
def test_replay__finds_what_only_keys_and_rules_can_tell(
    type_: str, change: Callable[[dict[str, Any]], object]
) -> None:
    leaves = edit_leaf(type_, change)
    if type_ != "genesis":
        check_history(leaves)
    with pytest.raises(InvariantBroken):
        replay_leaves(leaves)


def test_replay__finds_a_record_left_out_or_put_in_twice() -> None:
    leaves = GROUND.world.leaves
    for wrong in (leaves[:2], [*leaves[:-3], *leaves[-2:]], [*leaves, leaves[-1]], [*leaves, leaves[0]]):
        with pytest.raises(InvariantBroken):
            replay_leaves(wrong)


def test_replay__finds_other_rules_and_members_than_the_log_names() -> None:
    world = GROUND.world
    indices = sorted(world.members_at)
    swapped = {**world.members_at, indices[-1]: world.members_at[indices[0]]}
    with pytest.raises(InvariantBroken):
        replay(world.leaves, world.rules_at.__getitem__, swapped.__getitem__)
    rules = {index: Rules(found.lines[1:]) for index, found in world.rules_at.items()}
    with pytest.raises(InvariantBroken):
        replay(world.leaves, rules.__getitem__, world.members_at.__getitem__)
    with pytest.raises(InvariantBroken):
        replay(world.leaves, {}.__getitem__, world.members_at.__getitem__)


def test_find_members_command__refuses_what_no_command_does() -> None:
    before = GROUND.state.members
    garage, centre = (before.get(actor.id) for actor in (GROUND.garage, GROUND.centre))
    for after in (
        before.with_member(replace(garage, name="Other")),
        before.with_member(replace(garage, name="Other", retired=3)),
        before.with_member(replace(garage, retired=3)).with_member(replace(centre, retired=3)),
        Members(before.all[:-1]),
        Members((*before.all, GROUND.make_member(), GROUND.make_member())),
        Members((GROUND.make_member(), *before.all)),
    ):
        with pytest.raises(InvariantBroken):
            find_members_command(before, after)
