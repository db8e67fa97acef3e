"""A submission signed elsewhere, on both kinds of store: sealed once, its receipts found again, its key counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key, compute_enrolment
from carnet.node.ownkey import OwnKey
from carnet.node.placing.placing import MAX_AHEAD_MS
from carnet.node.writer import Writer
from carnet.passport.draft import make_draft
from carnet.passport.kinds import get_schema
from carnet.passport.submission import write_submission
from carnet.services.signing import sign_drafts
from carnet.services.submitting import IN_TURN_BYTES, _turn, submit
from carnet.types import Basis, Custody, KeyRole
from tests.node.home import TestNode, is_good, new_passport, vin_subject

MEMBER = b"\x05" * 16


def make_drafts(origin: str, chains: list[bytes], kms: list[int]) -> bytes:
    """Readings, one draft on a line; passports take turns."""
    from carnet.encoding import encode

    schema, lines = get_schema("vehicle.odometer/1"), []
    for at, km in enumerate(kms):
        number = at % len(chains)
        subject = vin_subject(number + 1).to_json()
        draft = make_draft(schema, passport=chains[number], subject=subject, class_=1, network=origin)
        draft["fields"] = {"odometer_km": km, "odometer_state": "read"}
        draft["occurred"] = {"at": "2023-05-04", "precision": "day", "zone": None}
        lines.append(encode(draft) + b"\n")
    return b"".join(lines)


def enrol(node: TestNode, writer: Writer) -> tuple[OwnKey, list[bytes]]:
    """A garage that keeps its key itself, and two passports that it may write in."""
    own = OwnKey(b"\x07" * 32).enrolled(writer.state.genesis.origin, MEMBER)
    signer, role, custody = own.signer, KeyRole.AUTHOR, Custody.OWN
    sig = signer.sign(compute_enrolment(writer.state.net, MEMBER, role, custody))
    writer.enrol_member("Garage", "garage", member_id=MEMBER, key=Key(signer.public, role, custody, sig))
    opened = writer.append(node.operator.id, Basis.REPORTED, [new_passport(1, 10), new_passport(2, 10)])
    return own, list(dict.fromkeys(receipt.chain16 for receipt in opened.receipts))


def test_submit__large_ones_are_read_one_after_the_other_and_small_ones_pass(checked: TestNode) -> None:
    writer = checked.open()
    own, chains = enrol(checked, writer)

    def sign(first: int, count: int) -> bytes:
        kms = list(range(first, first + count))
        return write_submission(sign_drafts(make_drafts(own.network or "", chains, kms), own, checked.clock()))

    large, small = [sign(1_000 * number, 150) for number in (1, 2, 3)], sign(9_000, 2)
    assert all(len(data) in IN_TURN_BYTES for data in large)
    assert len(small) not in IN_TURN_BYTES
    with ThreadPoolExecutor(3) as pool:
        with _turn:
            waiting = [pool.submit(submit, writer, data) for data in large]
            assert submit(writer, small).sealed_count == 2
            assert not wait(waiting, timeout=0.2).done
        assert [one.result().sealed_count for one in waiting] == [150] * 3
    # One that is refused lets the next one go.
    with pytest.raises(Refused) as caught:
        submit(writer, large[0].replace(b'"odometer_km":1000,', b'"odometer_km":1001,'))
    assert caught.value.reason is Reason.FIELDS_MISMATCH
    assert submit(writer, large[0]).sealed_count == 0
    writer.take_census()
    assert is_good(checked.prove(chains[0]))


def test_submit__is_sealed_once_and_its_receipts_are_found_again(checked: TestNode) -> None:
    writer = checked.open()
    own, chains = enrol(checked, writer)
    signer = own.signer
    kms = [11, 12, 13, 14, 15]
    data = write_submission(sign_drafts(make_drafts(own.network or "", chains, kms), own, checked.clock()))

    first = submit(writer, data)
    assert (first.sealed_count, first.turned) == (5, [])
    assert [(receipt.place, receipt.seq) for receipt in first.receipts] == [(0, 2), (1, 2), (2, 3), (3, 3), (4, 4)]
    size = writer.state.size
    assert submit(writer, data) == first.__class__(first.member, first.receipts, 0, [])
    # The node signs with another key by now; what it has accepted stays accepted.
    writer.rotate_key(writer.node_id, writer.node_key)
    assert submit(writer, data).receipts == first.receipts
    assert writer.state.size == size + 2
    writer.take_census()
    for chain in chains:
        assert is_good(checked.prove(chain))

    with checked.read() as reader:
        origins, seal = reader.read_key_origins(), first.receipts[0].seal
        assert reader.count_signed(signer.digest) == reader.count_signed(signer.digest, seal) == 5
        assert reader.count_signed(signer.digest, seal + 1) == 0
        assert origins[signer.digest] == 3
        assert origins[writer.node_key] == size
        assert reader.find_first_record(0) == 0
        assert reader.find_first_record(first.receipts[0].accepted_ms) == seal
        assert reader.find_first_record(checked.clock() + 10**6) == reader.state.size
        entries = list(reader.read_entries(chains[0]))
        assert [(entry.basis, entry.key_digest == signer.digest) for entry in entries[2:]] == [(1, True)] * 3


def test_submit__refused_value_out_of_range__for_a_time_that_is_more_than_a_day_ahead(node: TestNode) -> None:
    """It would be sealed for ever, and a passport whose entries say a time that no calendar has could not be shown."""
    writer = node.open()
    own, chains = enrol(node, writer)

    def hand_in(km: int, created_ms: int) -> list[Reason]:
        drafts = make_drafts(own.network or "", chains, [km])
        done = submit(writer, write_submission(sign_drafts(drafts, own, created_ms)))
        assert done.sealed_count == 1 - len(done.turned)
        return [one.refused.reason for one in done.turned]

    now = node.clock()
    assert hand_in(11, 2**53 - 1) == [Reason.VALUE_OUT_OF_RANGE]
    assert hand_in(12, now + 2 * MAX_AHEAD_MS) == [Reason.VALUE_OUT_OF_RANGE]
    assert hand_in(13, now + MAX_AHEAD_MS) == []
    assert hand_in(14, now - 10 * MAX_AHEAD_MS) == []
    node.check()
