"""When several reasons apply, the first of the list is given – and whatever is refused has changed nothing.

Each operation has a table of faults. A fault spoils a good command in one way; any set of them together must be refused
for the reason that stands first in `Reason`. Spec: docs/reasons.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.errors import Reason
from carnet.ledger.census import compute_census_message
from carnet.ledger.commands import (
    AccreditMember,
    AddKey,
    Command,
    EnrolMember,
    RetireMember,
    RevokeKey,
    SealBatch,
    TakeCensus,
)
from carnet.ledger.records import Endorsement
from carnet.ledger.rules.members import Key, Member
from carnet.signing import Signer
from tests.ledger.ground import Ground, Peer

ORDER = list(Reason)

BEYOND = ("vehicle.title/1", 2, 2)


@dataclass
class Draft:
    """A command in the making: what the faults spoil before it is signed."""

    ground: Ground
    changes: dict[str, Any] = field(default_factory=dict)
    signer: Signer | None = None
    by: tuple[Peer, ...] = ()
    spoil_sig: bool = False
    again: bool = False
    member: bytes = b""
    accreditations: tuple[tuple[str, int, int], ...] = ()
    key: dict[str, Any] = field(default_factory=dict)
    digest: bytes = b""
    disputed: int | None = None


Fault = tuple[Reason, Callable[[Draft], None]]


def put(**values: Any) -> Callable[[Draft], None]:
    """A fault that sets fields of the draft."""

    def spoil(draft: Draft) -> None:
        for name, value in values.items():
            setattr(draft, name, value)

    return spoil


def change(**values: Any) -> Callable[[Draft], None]:
    """A fault that changes what is signed."""
    return lambda draft: draft.changes.update(values)


def make_ground() -> Ground:
    """A network with a retired node (peer 0), a node whose key is revoked (peer 1), two good ones, and class 2 asking
    for an endorsement."""
    ground = Ground(peers=4)
    ground.ask_endorsements(2, 1)
    ground.accept(RetireMember(ground.peers[0].id))
    ground.accept(RevokeKey(ground.peers[1].id, ground.peers[1].signer.digest, None))
    return ground


# --- a batch

SEAL: list[Fault] = [
    (Reason.VALUE_OUT_OF_RANGE, change(count=0)),
    (Reason.WRONG_NETWORK, change(net=bytes(32))),
    (Reason.UNKNOWN_MEMBER, change(home=bytes(16))),
    (Reason.MEMBER_RETIRED, lambda draft: draft.__setattr__("by", (*draft.by, draft.ground.peers[0]))),
    (
        Reason.UNKNOWN_KEY,
        lambda draft: draft.__setattr__("by", (*draft.by, Peer(draft.ground.home, Signer(bytes(32))))),
    ),
    (Reason.KEY_REVOKED, lambda draft: draft.__setattr__("by", (*draft.by, draft.ground.peers[1]))),
    (Reason.BAD_SIGNATURE, put(spoil_sig=True)),
    (Reason.BATCH_EXPIRED, change(expires=0)),
    (Reason.RULES_NOT_IN_FORCE, change(rules=1)),
    (Reason.UNKNOWN_CLASS, change(class_=77)),
    (Reason.NOT_ENOUGH_ENDORSEMENTS, lambda draft: draft.changes.setdefault("class_", 2)),
    (Reason.ALREADY_SEALED, put(again=True)),
]


def make_seal(draft: Draft) -> Command:
    ground = draft.ground
    if draft.again:
        root = b"\x05" * 32
        good = ground.seal(root=root)
        ground.accept(good)
        draft.changes["root"] = root
    command = ground.seal(by=draft.by, **draft.changes)
    return replace(command, sig=bytes(64)) if draft.spoil_sig else command


# --- a census

CENSUS: list[Fault] = [
    (Reason.WRONG_TYPE, change(root=bytes(5))),
    (Reason.VALUE_OUT_OF_RANGE, change(erased=-1)),
    (Reason.UNKNOWN_MEMBER, change(home=bytes(16))),
    (Reason.MEMBER_RETIRED, lambda draft: draft.__setattr__("by", (*draft.by, draft.ground.peers[0]))),
    (Reason.KEY_REVOKED, lambda draft: draft.__setattr__("by", (*draft.by, draft.ground.peers[1]))),
    (Reason.BAD_SIGNATURE, put(spoil_sig=True)),
    (Reason.CENSUS_NOT_AFTER, change(covers=3)),
    (Reason.CENSUS_COUNT_FELL, change(count=0)),
]


def make_census(draft: Draft) -> Command:
    ground = draft.ground
    ground.accept(ground.census(count=3))
    command = ground.census(**draft.changes)
    message = compute_census_message(ground.net, command.census.to_document())
    sig = bytes(64) if draft.spoil_sig else command.sig
    return TakeCensus(command.census, command.key, sig, tuple(peer.endorse(message) for peer in draft.by))


# --- an enrolment

ENROL: list[Fault] = [
    (Reason.TEXT_NOT_ALLOWED, change(name="\u202e")),
    (Reason.UNKNOWN_KIND, lambda draft: draft.__setattr__("accreditations", (("a.b/1", 1, 1), *draft.accreditations))),
    (Reason.NOT_IN_LIST, lambda draft: draft.key.update(custody=9)),
    (Reason.FIELDS_CONFLICT, change(retired=3)),
    (Reason.UNKNOWN_MEMBER, change(host=bytes(16))),
    (Reason.MEMBER_RETIRED, lambda draft: draft.changes.setdefault("host", draft.ground.peers[0].id)),
    (Reason.MAY_NOT_WRITE, lambda draft: draft.__setattr__("accreditations", (*draft.accreditations, BEYOND))),
    (Reason.BAD_SIGNATURE, lambda draft: draft.key.update(sig=bytes(64))),
    (Reason.MEMBER_EXISTS, lambda draft: draft.changes.update(id=draft.ground.garage.id)),
    (Reason.KEY_EXISTS, put(again=True)),
]


def make_enrolment(draft: Draft) -> Command:
    ground = draft.ground
    member = replace(ground.make_member(), accreditations=draft.accreditations)
    member = replace(member, **draft.changes)
    signer = ground.centre.author if draft.again else Signer(b"\x07" * 32)
    key = replace(ground.world.make_key(member.id, signer, 1, 2), **draft.key)
    return EnrolMember(replace(member, keys=(key,)))


# --- what is done to a member

ACCREDIT: list[Fault] = [
    (Reason.UNKNOWN_KIND, lambda draft: draft.__setattr__("accreditations", (*draft.accreditations, ("z.z/1", 1, 1)))),
    (
        Reason.FIELDS_CONFLICT,
        lambda draft: draft.__setattr__("accreditations", (("vehicle.odometer/1", 2, 3), *draft.accreditations)),
    ),
    (Reason.UNKNOWN_MEMBER, put(member=bytes(16))),
    (Reason.MEMBER_RETIRED, lambda draft: draft.__setattr__("member", draft.member or draft.ground.peers[0].id)),
    (Reason.MAY_NOT_WRITE, lambda draft: draft.__setattr__("accreditations", (*draft.accreditations, BEYOND))),
]


def make_accreditation(draft: Draft) -> Command:
    return AccreditMember(draft.member or draft.ground.garage.id, tuple(draft.accreditations))


ADD_KEY: list[Fault] = [
    (Reason.WRONG_TYPE, lambda draft: draft.key.update(sig=b"")),
    (Reason.NOT_IN_LIST, lambda draft: draft.key.update(role=9)),
    (Reason.FIELDS_CONFLICT, lambda draft: draft.key.update(revoked=4)),
    (Reason.UNKNOWN_MEMBER, put(member=bytes(16))),
    (Reason.MEMBER_RETIRED, lambda draft: draft.__setattr__("member", draft.member or draft.ground.peers[0].id)),
    (Reason.BAD_SIGNATURE, put(spoil_sig=True)),
    (Reason.KEY_EXISTS, put(again=True)),
]


def make_added_key(draft: Draft) -> Command:
    ground = draft.ground
    member = draft.member or ground.garage.id
    signer = ground.centre.author if draft.again else Signer(b"\x07" * 32)
    key = ground.world.make_key(member, signer, 1, 2)
    if draft.spoil_sig:
        key = replace(key, sig=bytes(64))
    return AddKey(member, replace(key, **draft.key))


REVOKE: list[Fault] = [
    (Reason.VALUE_OUT_OF_RANGE, put(disputed=-1)),
    (Reason.UNKNOWN_MEMBER, put(member=bytes(16))),
    (Reason.UNKNOWN_KEY, put(digest=bytes(32))),
    (
        Reason.KEY_REVOKED,
        lambda draft: (
            draft.__setattr__("member", draft.member or draft.ground.peers[1].id),
            draft.__setattr__("digest", draft.digest or draft.ground.peers[1].signer.digest),
        )[0],
    ),
]


def make_revocation(draft: Draft) -> Command:
    ground = draft.ground
    return RevokeKey(draft.member or ground.garage.id, draft.digest or ground.garage.author.digest, draft.disputed)


OPERATIONS: dict[str, tuple[list[Fault], Callable[[Draft], Command]]] = {
    "seal_batch": (SEAL, make_seal),
    "take_census": (CENSUS, make_census),
    "enrol_member": (ENROL, make_enrolment),
    "accredit_member": (ACCREDIT, make_accreditation),
    "add_key": (ADD_KEY, make_added_key),
    "revoke_key": (REVOKE, make_revocation),
}


def check_refusal(operation: str, chosen: list[int]) -> None:
    faults, make = OPERATIONS[operation]
    draft = Draft(make_ground())
    for index in chosen:
        faults[index][1](draft)
    command = make(draft)
    if not chosen:
        draft.ground.accept(command)
        draft.ground.check()
        return
    wanted = min((faults[index][0] for index in chosen), key=ORDER.index)
    draft.ground.refuse(command, wanted)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_refusals__each_fault_alone(operation: str) -> None:
    faults, _ = OPERATIONS[operation]
    check_refusal(operation, [])
    for index in range(len(faults)):
        check_refusal(operation, [index])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_refusals__each_pair_of_faults_gives_the_first_reason(operation: str) -> None:
    faults, _ = OPERATIONS[operation]
    for first in range(len(faults)):
        for second in range(first + 1, len(faults)):
            check_refusal(operation, [first, second])


@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=25)
@given(data=st.data())
def test_refusals__any_set_of_faults_gives_the_first_reason(operation: str, data: st.DataObject) -> None:
    faults, _ = OPERATIONS[operation]
    check_refusal(
        operation, data.draw(st.lists(st.sampled_from(range(len(faults))), min_size=3, unique=True).map(sorted))
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_refusals__tables_stand_in_the_order_of_reasons(operation: str) -> None:
    found = [ORDER.index(reason) for reason, _ in OPERATIONS[operation][0]]
    assert found == sorted(found)


# --- refused, and nothing changed: also for bytes that nobody would write

BYTES = st.binary(max_size=70)
NUMBERS = st.integers(-(2**70), 2**70)


@settings(max_examples=60)
@given(
    command=st.one_of(
        st.builds(SealBatch, BYTES, BYTES),
        st.builds(SealBatch, BYTES, BYTES, st.tuples(st.builds(Endorsement, BYTES, BYTES, BYTES))),
        st.builds(
            EnrolMember,
            st.builds(
                Member,
                BYTES,
                st.text(),
                st.text(),
                BYTES,
                keys=st.tuples(st.builds(Key, BYTES, NUMBERS, NUMBERS, BYTES)),
            ),
        ),
        st.builds(AccreditMember, BYTES, st.tuples(st.tuples(st.text(), NUMBERS, NUMBERS))),
        st.builds(AddKey, BYTES, st.builds(Key, BYTES, NUMBERS, NUMBERS, BYTES)),
        st.builds(RevokeKey, BYTES, BYTES, NUMBERS),
        st.builds(RetireMember, BYTES),
    )
)
def test_apply__nonsense_is_refused_and_never_crashes(command: Command) -> None:
    ground = Ground()
    before = ground.state
    result = ground.try_command(command)
    assert not isinstance(result, tuple), command
    assert ground.state is before
