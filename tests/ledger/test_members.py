"""Members: enrolment, accreditation, keys, revocation, retirement, and each reason to refuse them. Spec: 3.3, 3.4."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carnet.errors import Reason
from carnet.ledger.commands import AccreditMember, AddKey, EnrolMember, RetireMember, RevokeKey
from carnet.ledger.rules.members import (
    NODE_KIND,
    Key,
    Member,
    Members,
    check_custody,
    compute_member_leaf,
    roles_for,
)
from carnet.signing import Signer
from carnet.tlog.tree import compute_root_of
from carnet.types import MemberKind
from tests.ledger.ground import Ground

ODOMETER = ("vehicle.odometer/1", 2, 1)
SERVICE = ("vehicle.service/1", 2, 1)


def changed_key(member: Member, **changes: object) -> Member:
    return replace(member, keys=(replace(member.keys[0], **changes),))  # type: ignore[arg-type]


# --- enrolment


def test_enrol_member__is_the_last_leaf_of_the_tree() -> None:
    ground = Ground()
    member = ground.make_member(accreditations=(ODOMETER, SERVICE))
    count = len(ground.state.members.all)
    ground.accept(EnrolMember(member))
    members = ground.state.members
    assert members.all[-1] == member
    assert members.find_index(member.id) == count
    assert ground.state.members_ref.root == compute_root_of([compute_member_leaf(found) for found in members.all])
    assert ground.state.members_ref.count == count + 1
    ground.check()


@pytest.mark.parametrize("kind", list(MemberKind))
def test_enrol_member__of_each_kind(kind: str) -> None:
    ground = Ground()
    ground.accept(EnrolMember(ground.make_member(kind)))
    ground.check()


def test_enrol_member__without_a_key_and_later_with_one() -> None:
    ground = Ground()
    member = ground.make_member()
    ground.accept(EnrolMember(replace(member, keys=())))
    ground.accept(AddKey(member.id, member.keys[0]))
    assert ground.state.members.get(member.id) == member
    ground.check()


def test_enrol_member__refused_text_not_allowed() -> None:
    ground = Ground()
    for text in ("a\u202eb", "a\nb", "\ud800"):
        ground.refuse(EnrolMember(ground.make_member(name=text)), Reason.TEXT_NOT_ALLOWED)
    ground.refuse(EnrolMember(replace(ground.make_member(), kind="gar\u0000age")), Reason.TEXT_NOT_ALLOWED)


def test_enrol_member__refused_unknown_kind() -> None:
    ground = Ground()
    member = ground.make_member(accreditations=(("vehicle.flight/1", 2, 1),))
    ground.refuse(EnrolMember(member), Reason.UNKNOWN_KIND, kind="vehicle.flight/1")


def test_enrol_member__refused_wrong_type() -> None:
    ground = Ground()
    member = ground.make_member()
    ground.refuse(EnrolMember(replace(member, id=bytes(15))), Reason.WRONG_TYPE, size=15)
    ground.refuse(EnrolMember(replace(member, host=bytes(17))), Reason.WRONG_TYPE, size=17)
    ground.refuse(EnrolMember(changed_key(member, key=bytes(31))), Reason.WRONG_TYPE, size=31)
    ground.refuse(EnrolMember(changed_key(member, sig=bytes(65))), Reason.WRONG_TYPE, size=65)


@pytest.mark.parametrize("role, custody", [(0, 1), (4, 1), (1, 0), (1, 3), (256, 1)])
def test_enrol_member__refused_not_in_list(role: int, custody: int) -> None:
    ground = Ground()
    member = changed_key(ground.make_member(), role=role, custody=custody)
    ground.refuse(EnrolMember(member), Reason.NOT_IN_LIST, role=role, custody=custody)


def test_enrol_member__refused_fields_conflict() -> None:
    ground = Ground()
    member = ground.make_member()
    conflicts = [
        replace(member, retired=1),
        changed_key(member, revoked=1),
        changed_key(member, disputed_since=1),
        replace(member, host=ground.garage.id),
        replace(member, host=member.id),
        replace(ground.make_member(NODE_KIND), host=ground.home),
        replace(member, accreditations=(SERVICE, ODOMETER)),
        replace(member, accreditations=(ODOMETER, ODOMETER)),
        replace(member, accreditations=(("vehicle.odometer/1", 2, 2),)),
    ]
    for conflict in conflicts:
        ground.refuse(EnrolMember(conflict), Reason.FIELDS_CONFLICT)
    ground.accept(EnrolMember(member))


def test_enrol_member__refused_node_key_of_one_that_is_no_node() -> None:
    """Otherwise a home would endorse its own batches through the members that it hosts."""
    ground = Ground()
    member = ground.make_member()
    key = ground.world.make_key(member.id, Signer(ground.world.draw(32)), 3, 1)
    ground.refuse(EnrolMember(replace(member, keys=(key,))), Reason.FIELDS_CONFLICT)
    ground.refuse(
        AddKey(ground.garage.id, ground.world.make_key(ground.garage.id, Signer(bytes(32)), 3, 1)),
        Reason.FIELDS_CONFLICT,
    )


def test_enrol_member__refused_unknown_member() -> None:
    ground = Ground()
    ground.refuse(EnrolMember(ground.make_member(host=bytes(16))), Reason.UNKNOWN_MEMBER, member="00" * 16)


def test_enrol_member__refused_member_retired() -> None:
    ground = Ground(peers=1)
    ground.accept(RetireMember(ground.peers[0].id))
    ground.refuse(EnrolMember(ground.make_member(host=ground.peers[0].id)), Reason.MEMBER_RETIRED, member="Peer 0")


def test_enrol_member__refused_may_not_write() -> None:
    ground = Ground()
    beyond = (("vehicle.inspection/1", 2, 1),)
    ground.refuse(
        EnrolMember(ground.make_member(accreditations=beyond)),
        Reason.MAY_NOT_WRITE,
        member_kind="garage",
        kind="vehicle.inspection/1",
    )
    reported = (("vehicle.odometer/1", 3, 1),)
    ground.refuse(EnrolMember(ground.make_member(accreditations=reported)), Reason.MAY_NOT_WRITE, basis=3)


def test_enrol_member__refused_bad_signature() -> None:
    """Nobody enrols another's key: its own signature names network, member, role and custody."""
    ground, other = Ground(), Ground(seed="another network")
    member = ground.make_member()
    signer = Signer(ground.world.draw(32))
    for key in (
        ground.world.make_key(bytes(16), signer, 1, 2),
        other.world.make_key(member.id, signer, 1, 2),
        replace(ground.world.make_key(member.id, signer, 2, 2), role=1),
        replace(ground.world.make_key(member.id, signer, 1, 1), custody=2),
        replace(ground.world.make_key(member.id, signer, 1, 2), key=Signer(bytes(32)).public),
        Key(signer.public, 1, 2, bytes(64)),
    ):
        ground.refuse(EnrolMember(replace(member, keys=(key,))), Reason.BAD_SIGNATURE)
    ground.accept(EnrolMember(replace(member, keys=(ground.world.make_key(member.id, signer, 1, 2),))))


def test_enrol_member__refused_member_exists() -> None:
    ground = Ground()
    again = replace(ground.make_member(), id=ground.garage.id, keys=())
    ground.refuse(EnrolMember(again), Reason.MEMBER_EXISTS, member=ground.garage.id.hex())
    ground.accept(RetireMember(ground.garage.id))
    ground.refuse(EnrolMember(again), Reason.MEMBER_EXISTS)


def test_enrol_member__refused_key_exists() -> None:
    ground = Ground()
    member = ground.make_member()
    signer = Signer(ground.world.draw(32))
    twice = (ground.world.make_key(member.id, signer, 1, 2), ground.world.make_key(member.id, signer, 2, 2))
    ground.refuse(EnrolMember(replace(member, keys=twice)), Reason.KEY_EXISTS)
    # The garage itself agrees to be enrolled a second time: its key has one place, for ever, even when it is revoked.
    author = ground.garage.author
    again = replace(member, keys=(ground.world.make_key(member.id, author, 1, 2),))
    ground.refuse(EnrolMember(again), Reason.KEY_EXISTS)
    ground.accept(RevokeKey(ground.garage.id, author.digest, None), RetireMember(ground.garage.id))
    ground.refuse(EnrolMember(again), Reason.KEY_EXISTS)


# --- accreditation


def test_accredit_member__replaces_what_it_was_accredited_for() -> None:
    ground = Ground()
    before = ground.member(ground.garage)
    ground.accept(AccreditMember(ground.garage.id, (ODOMETER,)))
    assert ground.member(ground.garage) == replace(before, accreditations=(ODOMETER,))
    ground.accept(AccreditMember(ground.garage.id, ()))
    assert ground.member(ground.garage).accreditations == ()
    ground.check()


def test_accredit_member__for_what_it_has_already_changes_only_the_log() -> None:
    ground = Ground()
    root, size = ground.state.members_ref.root, ground.state.size
    ground.accept(AccreditMember(ground.garage.id, ground.member(ground.garage).accreditations))
    assert (ground.state.members_ref.root, ground.state.members_ref.index) == (root, size)
    ground.check()


def test_accredit_member__refused_unknown_kind() -> None:
    ground = Ground()
    ground.refuse(AccreditMember(ground.garage.id, (("vehicle.flight/1", 2, 1),)), Reason.UNKNOWN_KIND)


def test_accredit_member__refused_fields_conflict() -> None:
    ground = Ground()
    for wrong in ((SERVICE, ODOMETER), (ODOMETER, ODOMETER), (("vehicle.odometer/1", 2, 3),)):
        ground.refuse(AccreditMember(ground.garage.id, wrong), Reason.FIELDS_CONFLICT)


def test_accredit_member__refused_unknown_member() -> None:
    ground = Ground()
    ground.refuse(AccreditMember(bytes(16), ()), Reason.UNKNOWN_MEMBER)


def test_accredit_member__refused_member_retired() -> None:
    ground = Ground()
    ground.accept(RetireMember(ground.garage.id))
    ground.refuse(AccreditMember(ground.garage.id, ()), Reason.MEMBER_RETIRED, member="Garage")


def test_accredit_member__refused_may_not_write() -> None:
    ground = Ground()
    title = ("vehicle.title/1", 2, 2)
    ground.refuse(AccreditMember(ground.garage.id, (title,)), Reason.MAY_NOT_WRITE, kind="vehicle.title/1")


def test_check_accredited__refused_not_accredited() -> None:
    ground = Ground()
    ground.accept(AccreditMember(ground.garage.id, (ODOMETER,)))
    member = ground.member(ground.garage)
    member.check_accredited(*ODOMETER)
    for kind, basis, class_ in (SERVICE, ("vehicle.odometer/1", 1, 1), ("vehicle.odometer/1", 2, 2)):
        with pytest.raises(Exception, match="not accredited") as refused:
            member.check_accredited(kind, basis, class_)
        assert refused.value.reason == Reason.NOT_ACCREDITED  # type: ignore[attr-defined]
        assert refused.value.facts == {"member": "Garage", "kind": kind, "basis": basis}  # type: ignore[attr-defined]


# --- keys


def test_add_key__stands_after_the_others() -> None:
    ground = Ground()
    key = ground.world.make_key(ground.garage.id, Signer(ground.world.draw(32)), 2, 1)
    old = ground.member(ground.garage).keys
    ground.accept(AddKey(ground.garage.id, key))
    assert ground.member(ground.garage).keys == (*old, key)
    ground.check()


def test_add_key__refused_wrong_type() -> None:
    ground = Ground()
    key = ground.world.make_key(ground.garage.id, Signer(bytes(32)), 1, 1)
    ground.refuse(AddKey(ground.garage.id, replace(key, key=b"")), Reason.WRONG_TYPE)


def test_add_key__refused_not_in_list() -> None:
    ground = Ground()
    key = ground.world.make_key(ground.garage.id, Signer(bytes(32)), 7, 1)
    ground.refuse(AddKey(ground.garage.id, key), Reason.NOT_IN_LIST, role=7)


def test_add_key__refused_fields_conflict() -> None:
    ground = Ground()
    key = ground.world.make_key(ground.garage.id, Signer(bytes(32)), 1, 1)
    ground.refuse(AddKey(ground.garage.id, replace(key, revoked=3)), Reason.FIELDS_CONFLICT)
    ground.refuse(AddKey(ground.garage.id, replace(key, disputed_since=3)), Reason.FIELDS_CONFLICT)


def test_add_key__refused_unknown_member() -> None:
    ground = Ground()
    ground.refuse(AddKey(bytes(16), ground.world.make_key(bytes(16), Signer(bytes(32)), 1, 1)), Reason.UNKNOWN_MEMBER)


def test_add_key__refused_member_retired() -> None:
    ground = Ground()
    ground.accept(RetireMember(ground.garage.id))
    key = ground.world.make_key(ground.garage.id, Signer(bytes(32)), 1, 1)
    ground.refuse(AddKey(ground.garage.id, key), Reason.MEMBER_RETIRED)


def test_add_key__refused_bad_signature() -> None:
    ground = Ground()
    key = ground.world.make_key(ground.centre.id, Signer(bytes(32)), 1, 1)
    ground.refuse(AddKey(ground.garage.id, key), Reason.BAD_SIGNATURE)


def test_add_key__refused_key_exists() -> None:
    ground = Ground()
    for signer in (ground.garage.author, ground.centre.author, ground.world.node_signer):
        key = ground.world.make_key(ground.garage.id, signer, 1, 1)
        ground.refuse(AddKey(ground.garage.id, key), Reason.KEY_EXISTS)
        # A key in another role is the same key.
        ground.refuse(
            AddKey(ground.garage.id, ground.world.make_key(ground.garage.id, signer, 2, 1)), Reason.KEY_EXISTS
        )


# --- revocation and dispute


@pytest.mark.parametrize("disputed", [None, 0, 3])
def test_revoke_key__acts_from_its_own_record_on(disputed: int | None) -> None:
    ground = Ground()
    before = ground.member(ground.garage)
    index = ground.state.size
    ground.accept(RevokeKey(ground.garage.id, ground.garage.author.digest, disputed))
    (key,) = ground.member(ground.garage).keys
    assert key == replace(before.keys[0], revoked=index, disputed_since=disputed)
    ground.check()


def test_revoke_key__of_a_retired_member_still_may_be_disputed() -> None:
    ground = Ground()
    ground.accept(RetireMember(ground.garage.id))
    ground.accept(RevokeKey(ground.garage.id, ground.garage.author.digest, 3))
    ground.check()


def test_revoke_key__refused_value_out_of_range() -> None:
    ground = Ground()
    digest = ground.garage.author.digest
    for since in (-1, ground.state.size + 1, 2**60):
        ground.refuse(RevokeKey(ground.garage.id, digest, since), Reason.VALUE_OUT_OF_RANGE, disputed_since=since)
    ground.accept(RevokeKey(ground.garage.id, digest, ground.state.size))
    ground.check()


def test_revoke_key__refused_unknown_member() -> None:
    ground = Ground()
    ground.refuse(RevokeKey(bytes(16), ground.garage.author.digest, None), Reason.UNKNOWN_MEMBER)


def test_revoke_key__refused_unknown_key() -> None:
    ground = Ground()
    ground.refuse(RevokeKey(ground.garage.id, ground.centre.author.digest, None), Reason.UNKNOWN_KEY, member="Garage")


def test_revoke_key__refused_key_revoked() -> None:
    ground = Ground()
    command = RevokeKey(ground.garage.id, ground.garage.author.digest, None)
    index = ground.accept(command)[0].index
    ground.refuse(command, Reason.KEY_REVOKED, since=index)


def test_retire_member__acts_from_its_own_record_on() -> None:
    ground = Ground()
    index = ground.state.size
    before = ground.member(ground.garage)
    ground.accept(RetireMember(ground.garage.id))
    assert ground.member(ground.garage) == replace(before, retired=index)
    ground.check()


def test_retire_member__refused_unknown_member() -> None:
    ground = Ground()
    ground.refuse(RetireMember(bytes(16)), Reason.UNKNOWN_MEMBER)


def test_retire_member__refused_member_retired() -> None:
    ground = Ground()
    ground.accept(RetireMember(ground.garage.id))
    ground.refuse(RetireMember(ground.garage.id), Reason.MEMBER_RETIRED, member="Garage")


# --- what a key may sign


def test_get_signing_key__refused_unknown_key() -> None:
    ground = Ground()
    member = ground.member(ground.garage)
    assert member.get_signing_key(ground.garage.author.digest, (1,)).role == 1
    for digest, roles in ((ground.garage.author.digest, (2, 3)), (bytes(32), (1, 2, 3))):
        with pytest.raises(Exception, match="no such key") as refused:
            member.get_signing_key(digest, roles)
        assert refused.value.reason == Reason.UNKNOWN_KEY  # type: ignore[attr-defined]


def test_check_custody__refused_wrong_custody() -> None:
    own, node = (Key(bytes(32), 1, custody, bytes(64)) for custody in (1, 2))
    allowed = {(basis, custody) for basis in (1, 2, 3, 4) for custody in (1, 2)} - {(1, 2), (2, 1)}
    for basis in (1, 2, 3, 4):
        for key in (own, node):
            if (basis, key.custody) in allowed:
                check_custody(basis, key)
                continue
            with pytest.raises(Exception, match="custody") as refused:
                check_custody(basis, key)
            assert refused.value.reason == Reason.WRONG_CUSTODY  # type: ignore[attr-defined]


def test_roles_for__holder_authors_sign_basis_4_and_nobody_else() -> None:
    assert [roles_for(basis) for basis in (1, 2, 3, 4)] == [(1,), (1,), (1,), (2,)]


def test_members__an_index_is_never_reused() -> None:
    ground = Ground()
    index = ground.state.members.find_index(ground.garage.id)
    ground.accept(EnrolMember(ground.make_member()), RetireMember(ground.garage.id))
    assert ground.state.members.find_index(ground.garage.id) == index
    assert Members(()).find_index(ground.garage.id) is None
