"""Appending through the service: in whose name, about which vehicle, and what an outsider learns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.encoding import unb64
from carnet.errors import Reason, Refused
from carnet.ledger.batch import compute_receipt
from carnet.services.appending import NewEntry, append, enrol_speaker, find_speaker, open_passport
from carnet.services.principals import VISITOR, Principal, Role, Standing
from carnet.signing import Signer, verify
from tests.node.door import open_door
from tests.node.home import make_node, occurred
from tests.services.town import (
    HOLDER,
    OPERATOR,
    OTHER_VIN,
    STRANGER,
    VIN,
    Held,
    Town,
    close_passport,
    make_town,
    reading,
    sid_of,
)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = make_town(tmp_path)
    yield town
    town.close()


@pytest.fixture
def passport(town: Town) -> bytes:
    passport = town.open()
    town.held.holders[passport] = "acc_holder"
    return passport


def note(text: str = "washed") -> NewEntry:
    return NewEntry(kind="vehicle.declared/1", occurred=occurred(), fields={"type": "note", "note": text})


def test_append__by_the_vehicle_gives_a_receipt_that_the_node_signed(town: Town, passport: bytes) -> None:
    sealed = town.append(town.staff("garage"), reading(41_000), subject=VIN)
    assert (sealed.state, sealed.passport, sealed.seq) == ("sealed", f"pas_{passport.hex()}", 1)
    receipt = sealed.receipt
    message = compute_receipt(
        town.writer.state.net, unb64(receipt.key, 32), unb64(receipt.signed, 32), receipt.accepted_ms,
        receipt.deadline_ms,
    )  # fmt: skip
    assert verify(Signer(town.writer.ring.node).public, message, unb64(receipt.sig, 64))
    assert receipt.statement == sid_of(sealed).hex()


def test_append__by_the_passport_once_one_has_written_in_it(town: Town, passport: bytes) -> None:
    with pytest.raises(Refused) as caught:
        town.append(town.staff("garage"), reading(1), passport=passport)
    assert caught.value.reason is Reason.UNKNOWN_PASSPORT
    town.append(town.staff("garage"), reading(1), passport=passport, subject=VIN)
    assert town.append(town.staff("garage"), reading(2), passport=passport).seq == 2


def test_append__a_closed_passport_is_told_of_to_those_alone_who_may_know_it(town: Town, passport: bytes) -> None:
    town.append(town.staff("centre"), reading(40_000), subject=VIN)
    close_passport(town.writer, passport)

    def refuse(who: Principal, new: NewEntry, **where: object) -> tuple[Reason, str, dict[str, object]]:
        with pytest.raises(Refused) as caught:
            town.append(who, new, **where)
        return caught.value.reason, caught.value.message, dict(caught.value.facts)

    contest = NewEntry(kind="vehicle.odometer/1", occurred=occurred(), fields=reading(1).fields, corrects=bytes(32))
    for new in (reading(41_000), contest):
        closed = refuse(town.staff("garage"), new, subject=VIN)
        unknown = refuse(town.staff("garage"), new, subject=OTHER_VIN)
        closed[2].pop("target", None)
        unknown[2].pop("target", None)
        assert closed == unknown
    assert refuse(town.staff("garage"), reading(1), subject=VIN)[0] is Reason.UNKNOWN_PASSPORT
    for who in ("centre", "dealer"):
        assert refuse(town.staff(who), reading(41_000), subject=VIN)[0] is Reason.PASSPORT_CLOSED
    assert refuse(HOLDER, note(), passport=passport)[0] is Reason.PASSPORT_CLOSED


def test_append__holder_speaks_by_the_operator(town: Town, passport: bytes) -> None:
    town.append(HOLDER, note(), passport=passport)
    last = list(town.read().read_entries(passport))[-1]
    assert (last.basis, last.member) == (4, town.members["operator"].id)


def test_append__corrects_and_contests(town: Town, passport: bytes) -> None:
    wrong = town.append(town.staff("garage"), reading(99), subject=VIN)
    fields = {"odometer_km": 9, "odometer_state": "read"}
    right = NewEntry(kind="vehicle.odometer/1", occurred=occurred(), fields=fields, corrects=sid_of(wrong))
    town.append(town.staff("garage"), right, passport=passport)
    contest = NewEntry(
        kind="passport.contested/1", occurred=occurred(), fields={"reason": "wrong_value"}, contests=sid_of(wrong)
    )
    town.append(HOLDER, contest, passport=passport)
    marks = [(link.mark, link.target) for link in town.read().read_entries(passport)]
    assert marks[2:] == [(1, sid_of(wrong)), (2, sid_of(wrong))]


@pytest.mark.parametrize(
    "who, new, reason",
    [
        ("insurer", NewEntry(kind="vehicle.inspection/1", occurred=occurred(), fields={}), Reason.MAY_NOT_WRITE),
        ("garage", NewEntry(kind="vehicle.nothing/1", occurred=occurred(), fields={}), Reason.UNKNOWN_KIND),
        ("garage", NewEntry(kind="passport.opened/1", occurred=occurred(), fields={}), Reason.WRONG_CHAIN),
        ("garage", NewEntry(kind="journal.accessed/1", occurred=occurred(), fields={}), Reason.WRONG_CHAIN),
        ("garage", reading(1, "2033-05-04"), Reason.TIME_IN_FUTURE),
        ("garage", NewEntry(kind="vehicle.odometer/1", occurred=occurred(), fields={"kind": "x"}),
         Reason.UNKNOWN_FIELD),
        ("garage", NewEntry(kind="vehicle.odometer/1", occurred=occurred(), fields={"odometer_km": -1}),
         Reason.MISSING_FIELD),
    ],
)  # fmt: skip
def test_append__refused(town: Town, passport: bytes, who: str, new: NewEntry, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        town.append(town.staff(who), new, subject=VIN)
    assert caught.value.reason is reason


def test_append__refused_wrong_mark__both(town: Town, passport: bytes) -> None:
    new = NewEntry(kind="vehicle.odometer/1", occurred=occurred(), fields={}, corrects=bytes(32), contests=bytes(32))
    with pytest.raises(Refused) as caught:
        town.append(town.staff("garage"), new, subject=VIN)
    assert caught.value.reason is Reason.WRONG_MARK


def test_append__holder_of_another_vehicle_learns_nothing(town: Town, passport: bytes) -> None:
    refusals = []
    for where in ({"passport": passport}, {"passport": bytes(16)}, {"subject": VIN}, {"subject": OTHER_VIN}):
        with pytest.raises(Refused) as caught:
            town.append(STRANGER, note(), **where)
        refusals.append((caught.value.reason, caught.value.message))
    assert len(set(refusals)) == 1


def test_append__a_passport_and_another_vehicle(town: Town, passport: bytes) -> None:
    """Only whoever knows the passport is told that the two do not agree."""
    town.append(town.staff("garage"), reading(1), subject=VIN)
    for who, reason in (("garage", Reason.SUBJECT_MISMATCH), ("centre", Reason.UNKNOWN_PASSPORT)):
        with pytest.raises(Refused) as caught:
            town.append(town.staff(who), reading(2), passport=passport, subject=OTHER_VIN)
        assert caught.value.reason is reason
    with pytest.raises(Refused) as caught:
        town.append(HOLDER, note(), passport=passport, subject=OTHER_VIN)
    assert caught.value.reason is Reason.SUBJECT_MISMATCH


def test_append__operator_and_visitor_have_no_member(town: Town, passport: bytes) -> None:
    for who in (OPERATOR, VISITOR):
        with pytest.raises(Refused) as caught:
            town.append(who, reading(1), subject=VIN)
        assert caught.value.reason is Reason.UNKNOWN_MEMBER


def test_append__no_sale_by_the_holder_alone(town: Town, passport: bytes) -> None:
    sale = NewEntry(kind="passport.transferred/1", occurred=occurred(), fields={"reason": "sale"})
    with pytest.raises(Refused) as caught:
        town.append(HOLDER, sale, passport=passport)
    assert caught.value.reason is Reason.MAY_NOT_WRITE


def test_open__a_second_time_points_to_the_first(town: Town, passport: bytes) -> None:
    with pytest.raises(Refused) as caught:
        town.open("centre")
    assert caught.value.reason is Reason.SUBJECT_TAKEN
    assert caught.value.facts == {"passport": f"pas_{passport.hex()}"}


def test_open__tells_the_unentitled_nothing(town: Town, passport: bytes) -> None:
    answers = set()
    for subject in (VIN, OTHER_VIN):
        with pytest.raises(Refused) as caught:
            open_passport(town.writer, town.read(), town.staff("garage"), subject, "service", town.node.clock())
        answers.add((caught.value.reason, caught.value.message, str(caught.value.facts)))
    assert len(answers) == 1
    assert next(iter(answers))[0] is Reason.NOT_ACCREDITED


def test_enrol_speaker__once(town: Town) -> None:
    first = find_speaker(town.writer.state)
    assert first is not None
    assert enrol_speaker(town.writer) == first
    assert sum(key.role == 2 for key in first.keys) == 1


def test_append__through_the_door_after_the_members_key_was_replaced(tmp_path: Path) -> None:
    """A worker that still knows the old key makes the statement again, and nobody is refused for a rotation."""
    node, held = make_node(tmp_path), Held()
    with open_door(node) as served, served.reach() as remote:
        dealer = served.writer.enrol_member("The dealer", "dealer")
        who = Principal(Standing.STAFF, account="acc_dealer", member=dealer.id, role=Role.CLERK)

        def seal(km: int, seed: bytes | None) -> int:
            with node.read() as reader:
                new, now = reading(km), node.clock()
                return append(
                    remote, reader, held, who, new, passport=None, subject=VIN, now=now, seed=seed
                ).seq  # fmt: skip

        with node.read() as reader:
            open_passport(remote, reader, who, VIN, "import", node.clock())
        assert seal(1, None) == 1
        served.writer.rotate_key(dealer.id, dealer.keys[0].digest)
        assert seal(2, b"s" * 32) == 2
        assert seal(2, b"s" * 32) == 2, "the same seed, the same receipt"
    node.close()
    node.check()
