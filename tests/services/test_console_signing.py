"""Writing with a member's own key: one entry or many are prepared, signed elsewhere, checked and sealed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key, Member, compute_enrolment
from carnet.node.writer import Writer
from carnet.services.appending import NewEntry
from carnet.services.console.signing import (
    Unsigned,
    Wanted,
    get_own_key,
    make_unsigned,
    name_own_keys,
    read_unsigned,
    seal_signed,
    write_unsigned,
)
from carnet.services.console.writing import get_basis
from carnet.signing import Signer
from carnet.types import Basis, Custody, KeyRole
from tests.node.home import TestNode, make_node, new_passport, occurred, vin_subject

SIGNER, STRANGER = Signer(b"k" * 32), Signer(b"s" * 32)


@dataclass
class Desk:
    node: TestNode
    writer: Writer
    garage: Member
    key: Key
    passports: list[bytes]

    def prepare(self, *kms: int, **more: object) -> Unsigned:
        wanted = [Wanted(self.passports[at % 2], make_new(km, **more)) for at, km in enumerate(kms)]
        with self.node.read() as reader:
            return make_unsigned(reader, self.garage, self.key, wanted, self.node.clock(), self.node.dice)


def make_new(km: int, kind: str = "vehicle.odometer/1", **more: object) -> NewEntry:
    fields = {"odometer_km": km, "odometer_state": "read"} if kind == "vehicle.odometer/1" else {}
    return NewEntry(kind=kind, occurred=occurred(), fields=fields, **more)  # type: ignore[arg-type]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    node = make_node(tmp_path)
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(n, 1) for n in (0, 1)])
        id_ = b"g" * 16
        enrolment = compute_enrolment(writer.state.net, id_, KeyRole.AUTHOR, Custody.OWN)
        key = Key(SIGNER.public, KeyRole.AUTHOR, Custody.OWN, SIGNER.sign(enrolment))
        garage = writer.enrol_member("A garage", "garage", member_id=id_, key=key)
        with node.read() as reader:
            passports = [reader.get(str(vin_subject(n))) for n in (0, 1)]
        yield Desk(node, writer, garage, key, passports)
    node.check()


def test_seal_signed__one_entry_and_many(desk: Desk) -> None:
    for kms in ((2,), tuple(range(3, 60))):
        unsigned = read_unsigned(write_unsigned(desk.prepare(*kms)))
        done = seal_signed(desk.writer, unsigned, SIGNER.sign(unsigned.message), desk.garage.id)
        assert (done.sealed_count, done.turned) == (len(kms), [])
        again = seal_signed(desk.writer, unsigned, SIGNER.sign(unsigned.message), desk.garage.id)
        assert again.sealed_count == 0
        assert {one.sid for one in again.receipts} == {one.sid for one in done.receipts}
    with desk.node.read() as reader:
        bases = [one.basis for one in reader.read_entries(desk.passports[0]) if one.member == desk.garage.id]
    assert set(bases) == {Basis.OWN_KEY}


def test_seal_signed__refused_for_any_other_signature_or_word(desk: Desk) -> None:
    unsigned = desk.prepare(70)
    other = desk.prepare(71)
    for signature in (STRANGER.sign(unsigned.message), SIGNER.sign(other.message), bytes(64)):
        with pytest.raises(Refused) as refused:
            seal_signed(desk.writer, unsigned, signature, desk.garage.id)
        assert refused.value.reason is Reason.BAD_SIGNATURE
    # The fields are those that were signed, or nothing is sealed.
    (stated,) = unsigned.statements
    forged = unsigned._replace(statements=(stated._replace(fields={**stated.fields, "odometer_km": 7}),))
    with pytest.raises(Refused) as refused:
        seal_signed(desk.writer, forged, SIGNER.sign(unsigned.message), desk.garage.id)
    assert refused.value.reason is Reason.FIELDS_MISMATCH
    with pytest.raises(Refused) as refused:
        seal_signed(desk.writer, unsigned, SIGNER.sign(unsigned.message), desk.node.operator.id)
    assert refused.value.reason is Reason.NOT_PERMITTED


def test_make_unsigned__says_which_entry_cannot_be_made(desk: Desk) -> None:
    cases = [
        (make_new(-1), Reason.VALUE_OUT_OF_RANGE),
        (make_new(0, "vehicle.inspection/1"), Reason.MAY_NOT_WRITE),
        (make_new(0, "passport.opened/1"), Reason.WRONG_CHAIN),
        (make_new(0, "passport.contested/1"), Reason.WRONG_MARK),
    ]
    for new, reason in cases:
        wanted = [Wanted(desk.passports[0], make_new(5)), Wanted(desk.passports[0], new)]
        with desk.node.read() as reader, pytest.raises(Refused) as refused:
            make_unsigned(reader, desk.garage, desk.key, wanted, desk.node.clock(), desk.node.dice)
        assert (refused.value.reason, refused.value.facts["place"]) == (reason, 1)
    with desk.node.read() as reader, pytest.raises(Refused) as refused:
        make_unsigned(reader, desk.garage, desk.key, [], desk.node.clock(), desk.node.dice)
    assert refused.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_own_keys__those_in_force(desk: Desk) -> None:
    assert get_own_key(desk.garage) == desk.key
    assert name_own_keys(desk.garage) == desk.key.digest.hex()
    assert get_basis(desk.garage, desk.writer.node_id) == Basis.OWN_KEY
    with pytest.raises(Refused) as refused:
        get_own_key(desk.garage, "0" * 64)
    assert refused.value.reason is Reason.UNKNOWN_KEY
    hosted = desk.writer.enrol_member("Another", "garage")
    assert get_basis(hosted, desk.writer.node_id) == Basis.HOSTED
    with pytest.raises(Refused) as refused:
        get_own_key(hosted)
    assert refused.value.reason is Reason.UNKNOWN_KEY


def test_read_unsigned__refused_for_what_is_signed_already(desk: Desk) -> None:
    data = write_unsigned(desk.prepare(9))
    zeros = b'"sig":"' + b"A" * 86 + b"=="
    assert zeros in data
    for wrong in (data.replace(zeros, b'"sig":"B' + b"A" * 85 + b"=="), data[:-9], b""):
        with pytest.raises(Refused) as refused:
            read_unsigned(wrong)
        assert refused.value.reason is Reason.UNREADABLE_FILE
