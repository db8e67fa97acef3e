"""The writer through a real store: what is acknowledged is there, proves, and what is refused has left nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.ledger.batch import compute_receipt
from carnet.ledger.commands import AccreditMember, RetireMember
from carnet.ledger.rules.document import ClassLine, Rules
from carnet.ledger.rules.members import Key, Member, compute_enrolment
from carnet.node.found import found_node
from carnet.node.fsck import check_home
from carnet.node.jobs import Group, Prepared
from carnet.node.placing import Outcome, tally_receipts
from carnet.node.pool import Ready
from carnet.node.writer import MAX_CLOCK_STEP_MS, Writer, open_writer
from carnet.services.founding import find_member
from carnet.signing import Signer, verify
from carnet.types import Basis, Custody, KeyRole, Mark, Subject
from carnet.vault.tables import metadata
from tests.node.home import (
    START_MS,
    TestNode,
    change_behind,
    is_good,
    make_item,
    more,
    new_passport,
    opening,
    reading,
    vin_subject,
)

REPORTED = Basis.REPORTED
PLATE = Subject("plate", "AB-123-CD", "FR")


def refused_reason(outcome: Outcome) -> list[Reason]:
    return [refusal.reason for refusal in outcome.refusals]


def count_rows(writer: Writer) -> dict[str, int]:
    connection = writer._connection
    return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in metadata.tables}


def test_append__round_trip(checked: TestNode) -> None:
    writer = checked.open()
    outcome = writer.append(checked.operator.id, REPORTED, [new_passport(1, 1000, 2000), new_passport(2)])
    assert [(r.place, r.seq, r.seal) for r in outcome.receipts] == [(0, 0, 3), (1, 1, 3), (2, 2, 3), (3, 0, 3)]
    writer.take_census()
    with checked.read() as reader:
        listed = list(reader.list_passports())
        assert [(p.subject, p.entry_count) for p in listed] == [
            (vin_subject(1).to_json(), 3),
            (vin_subject(2).to_json(), 1),
        ]
        chain = reader.get(f"histovec:{vin_subject(1).value}")
        assert chain == reader.get(chain.hex()) == outcome.receipts[0].chain16
        entries = list(reader.read_entries(chain))
        assert [e.fields and e.fields.get("odometer_km") for e in entries] == [None, 1000, 2000]
        assert {e.member for e in entries} == {checked.operator.id}
        assert (reader.count_entries(), reader.count_passports()) == (4, 2)
    assert all(is_good(checked.prove(p.chain16)) for p in listed)


def test_append__later_entries_and_censuses_prove(checked: TestNode) -> None:
    writer = checked.open()
    writer.append(checked.operator.id, REPORTED, [new_passport(n, 10) for n in range(5)])
    writer.take_census()
    for round_ in range(3):
        for number in (0, 3):
            ref = writer.find_chain(vin_subject(number))
            writer.append(checked.operator.id, REPORTED, [more(ref, reading(vin_subject(number), 100 + round_))])
        assert is_good(checked.prove(writer.find_chain(vin_subject(3)).chain16))  # type: ignore[union-attr]
        writer.append(checked.operator.id, REPORTED, [new_passport(100 + round_)])
        if round_ != 1:
            writer.take_census()
    with checked.read() as reader:
        chains = [p.chain16 for p in reader.list_passports()]
    assert len(chains) == 8
    assert all(is_good(checked.prove(chain)) for chain in chains)


def test_append__bad_item_never_loses_a_good_one(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    bad = [
        reading(subject, -5),
        make_item("vehicle.nothing/1", subject),
        make_item("vehicle.odometer/1", subject, odometer_state="read", odometer_km=1, wheels=4),
        make_item("vehicle.odometer/1", subject, mark=Mark.CONTESTS, odometer_state="not_stated"),
        opening(subject),
    ]
    outcome = writer.append(
        checked.operator.id,
        REPORTED,
        [Group([opening(subject), bad[0], reading(subject, 5), *bad[1:], reading(subject, 6)])],
    )
    assert [receipt.place for receipt in outcome.receipts] == [0, 2, 7]
    assert refused_reason(outcome) == [
        Reason.VALUE_OUT_OF_RANGE,
        Reason.UNKNOWN_KIND,
        Reason.UNKNOWN_FIELD,
        Reason.WRONG_MARK,
        Reason.WRONG_CHAIN,
    ]


def test_append__refused_subject_taken(checked: TestNode) -> None:
    writer = checked.open()
    first = writer.append(checked.operator.id, REPORTED, [new_passport(1, 10)])
    again = writer.append(checked.operator.id, REPORTED, [new_passport(1, 20), new_passport(2)])
    assert refused_reason(again) == [Reason.SUBJECT_TAKEN] * 2
    assert again.refusals[0].facts["passport"] == first.receipts[0].chain16.hex()
    assert [receipt.place for receipt in again.receipts] == [2]
    twice = writer.append(checked.operator.id, REPORTED, [new_passport(3), new_passport(3)])
    assert refused_reason(twice) == [Reason.SUBJECT_TAKEN]


def test_append__refused_subject_is_plate(checked: TestNode) -> None:
    outcome = checked.open().append(checked.operator.id, REPORTED, [Group([opening(PLATE), reading(PLATE, 1)])])
    assert refused_reason(outcome) == [Reason.SUBJECT_MISMATCH] * 2
    assert outcome.receipts == []


def test_append__alias_holds_in_its_interval_only(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    authority = writer.enrol_member("Registry", "registration_authority")
    alias = {"from": "2023-01-01", "subject": PLATE.to_json(), "until": "2024-01-01"}
    declared = make_item("vehicle.identity/1", subject, alias=alias)
    writer.append(authority.id, Basis.HOSTED, [Group([opening(subject), declared])])
    ref = writer.find_chain(subject)
    inside = make_item("vehicle.odometer/1", PLATE, odometer_state="not_stated", day="2023-06-01")
    outside = make_item("vehicle.odometer/1", PLATE, odometer_state="not_stated", day="2024-01-01")
    other = Subject("plate", "ZZ-999-ZZ", "FR")
    unknown = make_item("vehicle.odometer/1", other, odometer_state="not_stated")
    outcome = writer.append(authority.id, Basis.HOSTED, [more(ref, inside, outside, unknown)])
    assert [receipt.place for receipt in outcome.receipts] == [0]
    assert refused_reason(outcome) == [Reason.NOT_ALIAS, Reason.SUBJECT_MISMATCH]
    writer.take_census()
    assert is_good(checked.prove(outcome.receipts[0].chain16))


def test_append__refused_alias_only_reported(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    alias = {"from": "2023-01-01", "subject": PLATE.to_json(), "until": None}
    items = [
        opening(subject),
        make_item("vehicle.identity/1", subject, alias=alias),
        make_item("vehicle.odometer/1", PLATE, odometer_state="not_stated"),
    ]
    outcome = writer.append(checked.operator.id, REPORTED, [Group(items)])
    assert refused_reason(outcome) == [Reason.NOT_ALIAS]


def test_append__refused_targets(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    receipts = writer.append(checked.operator.id, REPORTED, [new_passport(1, 10)]).receipts
    ref = writer.find_chain(subject)
    outcome = writer.append(
        checked.operator.id,
        REPORTED,
        [
            more(
                ref,
                make_item("passport.corrected/1", subject, Mark.SUPERSEDES, receipts[0].sid, reason="other"),
                make_item("passport.corrected/1", subject, Mark.SUPERSEDES, b"\x01" * 32, reason="other"),
                make_item("passport.corrected/1", subject, Mark.SUPERSEDES, receipts[1].sid, reason="other"),
            )
        ],
    )
    assert refused_reason(outcome) == [Reason.TARGET_IS_OPENING, Reason.UNKNOWN_TARGET]
    assert [receipt.place for receipt in outcome.receipts] == [2]
    writer.take_census()
    assert is_good(checked.prove(receipts[0].chain16))


def test_append__refused_after_a_move_in_the_same_submission(node: TestNode) -> None:
    """Not even a statement of a kind that was looked at before, nor one of another part about the same passport."""
    subject, other = vin_subject(1), vin_subject(2)
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [Group([opening(subject)]), Group([opening(other)])])
        target = writer.node_id[::-1] + bytes(16)
        moved = make_item("passport.moved/1", subject, Mark.MOVE, target, new_home=target[:16].hex())
        ref = writer.find_chain(subject)
        groups = [
            more(ref, reading(subject, 1), moved, reading(subject, 2)),
            more(ref, reading(subject, 3)),
            more(writer.find_chain(other), reading(other, 4)),
        ]
        outcome = writer.append(node.operator.id, Basis.HOSTED, groups)
        assert refused_reason(outcome) == [Reason.PASSPORT_CLOSED] * 2
        assert [refusal.place for refusal in outcome.refusals] == [2, 3]
        assert [receipt.place for receipt in outcome.receipts] == [0, 1, 4]


def test_append__refused_passport_closed(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    authority = writer.enrol_member("Registry", "registration_authority")
    closing = make_item("passport.closed/1", subject, reason="destroyed")
    odometer = make_item("vehicle.odometer/1", subject, odometer_state="not_stated")
    outcome = writer.append(authority.id, Basis.HOSTED, [Group([opening(subject), closing, odometer])])
    assert refused_reason(outcome) == [Reason.PASSPORT_CLOSED]
    ref = writer.find_chain(subject)
    undo = make_item("passport.corrected/1", subject, Mark.SUPERSEDES, outcome.receipts[1].sid, reason="other")
    again = writer.append(authority.id, Basis.HOSTED, [more(ref, odometer, undo, odometer)])
    assert refused_reason(again) == [Reason.PASSPORT_CLOSED]
    assert [receipt.place for receipt in again.receipts] == [1, 2]


def test_append__classes_never_go_back_in_one_chain(checked: TestNode) -> None:
    writer = checked.open()
    authority = writer.enrol_member("Registry", "registration_authority")

    def group(number: int) -> Group:
        subject = vin_subject(number)
        odometer = make_item("vehicle.odometer/1", subject, odometer_state="not_stated")
        title = make_item("passport.closed/1", subject, reason="other")
        return Group([opening(subject), odometer, title])

    first = writer.append(authority.id, Basis.HOSTED, [group(1), group(2)])
    seals = [receipt.seal for receipt in first.receipts]
    start = seals[0]
    assert seals == [start, start, start + 1, start, start, start + 1]
    undo = [
        more(
            writer.find_chain(vin_subject(n)),
            make_item(
                "passport.corrected/1", vin_subject(n), Mark.SUPERSEDES, first.receipts[3 * n - 1].sid, reason="other"
            ),
            make_item("vehicle.odometer/1", vin_subject(n), odometer_state="not_stated"),
            make_item("passport.closed/1", vin_subject(n), reason="other"),
        )
        for n in (1, 2)
    ]
    second = writer.append(authority.id, Basis.HOSTED, undo)
    first_seal = second.receipts[0].seal
    assert [receipt.seal - first_seal for receipt in second.receipts] == [0, 1, 2, 0, 1, 2]
    writer.take_census()
    assert is_good(checked.prove(first.receipts[0].chain16))


def test_append__refused_by_writer_table_and_accreditation(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    garage = writer.enrol_member("Garage", "garage")
    outcome = writer.append(garage.id, Basis.HOSTED, [Group([opening(subject), reading(subject, 1)])])
    assert refused_reason(outcome) == [Reason.MAY_NOT_WRITE] * 2
    writer.append(checked.operator.id, REPORTED, [new_passport(1)])
    ref = writer.find_chain(subject)
    assert writer.append(garage.id, Basis.HOSTED, [more(ref, reading(subject, 1))]).refusals == []
    writer.accredit(garage.id, [])
    assert refused_reason(writer.append(garage.id, Basis.HOSTED, [more(ref, reading(subject, 1))])) == [
        Reason.NOT_ACCREDITED
    ]


def test_append__refused_key_revoked(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    garage = writer.enrol_member("Garage", "garage")
    writer.append(checked.operator.id, REPORTED, [new_passport(1)])
    ref = writer.find_chain(subject)
    job = writer.make_job(garage.id, Basis.HOSTED, [more(ref, reading(subject, 1))])
    prepared = writer.prepare(job)
    writer.append(garage.id, Basis.HOSTED, [more(ref, reading(subject, 2))])
    writer.revoke_key(garage.id, garage.keys[0].digest, disputed_since=4)
    refused = writer.commit([prepared])[0].refused
    assert refused is not None
    assert refused.reason is Reason.KEY_REVOKED
    with pytest.raises(Refused) as caught:
        writer.make_job(garage.id, Basis.HOSTED, [])
    assert caught.value.reason is Reason.KEY_REVOKED
    writer.add_key(garage.id)
    assert writer.append(garage.id, Basis.HOSTED, [more(ref, reading(subject, 3))]).refusals == []
    writer.retire(garage.id)
    with pytest.raises(Refused) as caught:
        writer.append(garage.id, Basis.HOSTED, [more(ref, reading(subject, 3))])
    assert caught.value.reason is Reason.MEMBER_RETIRED
    writer.take_census()
    assert is_good(checked.prove(ref.chain16))  # type: ignore[union-attr]


def test_append__own_key_signs_elsewhere(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    own, member_id = Signer(b"\x07" * 32), b"\x05" * 16
    role, custody = KeyRole.AUTHOR, Custody.OWN
    key = Key(own.public, role, custody, own.sign(compute_enrolment(writer.state.net, member_id, role, custody)))
    garage = writer.enrol_member("Garage", "garage", member_id=member_id, key=key)
    writer.append(checked.operator.id, REPORTED, [new_passport(1)])
    ref = writer.find_chain(subject)
    job = writer.make_job(garage.id, Basis.OWN_KEY, [more(ref, reading(subject, 1))], public=own.public)
    unsigned = writer.prepare(job)
    forged = unsigned.with_signature(bytes(64))
    for wrong, reason in (
        (unsigned, Reason.BAD_SIGNATURE),
        (unsigned.with_signature(b""), Reason.BAD_SIGNATURE),
        (forged, Reason.BAD_SIGNATURE),
    ):
        refused = writer.commit([wrong])[0].refused
        assert refused is not None
        assert refused.reason is reason
    signed = unsigned.with_signature(own.sign(unsigned.submission))
    outcome = writer.commit([signed])[0]
    assert len(outcome.receipts) == 1
    assert refused_reason(writer.commit([signed])[0]) == [Reason.STATEMENT_LINKED]
    hosted = writer.prepare(job._replace(basis=Basis.HOSTED))
    refused = writer.commit([hosted.with_signature(own.sign(hosted.submission))])[0].refused
    assert refused is not None
    assert refused.reason is Reason.WRONG_CUSTODY
    writer.take_census()
    assert is_good(checked.prove(outcome.receipts[0].chain16))


def test_append__source_row_known_again(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    writer.append(checked.operator.id, REPORTED, [Group([opening(subject), reading(subject, 1, source=b"a" * 16)])])
    ref = writer.find_chain(subject)
    assert ref is not None
    assert writer.find_sources({ref.id: [b"a" * 16, b"b" * 16]}) == {ref.id: {b"a" * 16}}
    # Many rows of one chain, and few of another, are asked for in different ways.
    many = [bytes([at]) * 16 for at in range(90, 110)]
    assert writer.find_sources({ref.id: many, ref.id + 1: [b"a" * 16]}) == {ref.id: {b"a" * 16}, ref.id + 1: set()}
    rows = [
        reading(subject, 1, source=b"a" * 16),
        reading(subject, 2, source=b"b" * 16),
        reading(subject, 3, source=b"b" * 16),
    ]
    outcome = writer.append(checked.operator.id, REPORTED, [more(ref, *rows)])
    assert refused_reason(outcome) == [Reason.ALREADY_SEALED] * 2
    assert [receipt.place for receipt in outcome.receipts] == [1]


def test_append__source_rows_of_a_passport_just_opened_are_known(checked: TestNode) -> None:
    """Whether the writer has its head at hand, has kept more rows than it does of one, or was opened again."""
    writer, subject = checked.open(), vin_subject(1)
    sources = [bytes((number,)) * 16 for number in range(40)]
    first = [reading(subject, number, source=one) for number, one in enumerate(sources[:3])]
    writer.append(checked.operator.id, REPORTED, [Group([opening(subject), *first])])
    for kept in (3, 40):
        ref = writer.find_chain(subject)
        assert ref is not None
        rows = [reading(subject, number, source=one) for number, one in enumerate(sources[:kept])]
        outcome = writer.append(checked.operator.id, REPORTED, [more(ref, *rows)])
        assert len(outcome.receipts) == (0 if kept == 3 else 37)
    # A correction that was read from a file is known again too.
    sid = outcome.receipts[0].sid
    marked = make_item("passport.corrected/1", subject, Mark.SUPERSEDES, sid, reason="other")
    marked = marked._replace(source=b"m" * 16)
    for is_again in (False, True):
        assert bool(writer.append(checked.operator.id, REPORTED, [more(ref, marked)]).receipts) is not is_again
    writer.close()
    writer = checked.open()
    again = writer.append(checked.operator.id, REPORTED, [more(ref, reading(subject, 1, source=sources[39]), marked)])
    assert refused_reason(again) == [Reason.ALREADY_SEALED] * 2


def prepare(node: TestNode, writer: Writer, *groups: Group) -> Prepared:
    return writer.prepare(writer.make_job(node.operator.id, REPORTED, groups))


def test_start_commit__is_durable_when_it_answers(checked: TestNode) -> None:
    writer = checked.open()
    started = [writer.start_commit(Ready(prepare(checked, writer, new_passport(number, 1)))) for number in range(20)]
    for number, future in enumerate(started):
        first, _ = future.result().receipts
        with checked.read() as reader:
            assert reader.find_subject(vin_subject(number)) == first.chain16
    writer.take_census()
    with checked.read() as reader:
        assert (reader.count_entries(), reader.count_passports()) == (40, 20)


def test_commit__quiet_tells_how_many_and_no_receipts(checked: TestNode) -> None:
    writer, source, subject = checked.open(), b"s" * 16, vin_subject(1)
    writer.append(checked.operator.id, REPORTED, [new_passport(1)])
    ref = writer.find_chain(subject)
    assert ref is not None
    told = list[Outcome]()
    for is_quiet in (False, True):
        known = reading(subject, 2, source=bytes([is_quiet]) * 16)
        writer.append(checked.operator.id, REPORTED, [more(ref, known)])
        late = [more(ref, reading(subject, 3), known, reading(subject, 4, source=source[: 15 + is_quiet])),
                new_passport(1), new_passport(10 + is_quiet, 5, 6), new_passport(20 + is_quiet)]  # fmt: skip
        told += writer.commit([prepare(checked, writer, *late)], is_quiet=is_quiet)
        alone = writer.start_commit(Ready(prepare(checked, writer, *late[:1], late[1])), is_quiet=is_quiet).result()
        told.append(alone)
    loud, loud_alone, quiet, quiet_alone = told
    assert [len(one.receipts) for one in told] == [6, 1, 0, 0]
    assert [one.tally[:2] for one in told] == [(6, 2), (1, 0)] * 2
    for one, subject in ((loud, vin_subject(10)), (quiet, vin_subject(11))):
        opened = writer.find_chain(subject)
        assert opened is not None
        assert one.tally.first_opened == opened.chain16
    assert tally_receipts(loud.receipts) == loud.tally
    assert tally_receipts(loud_alone.receipts) == loud_alone.tally == quiet_alone.tally
    assert [refused_reason(one) for one in told[:2]] == [refused_reason(one) for one in told[2:]]
    assert refused_reason(quiet) == [Reason.ALREADY_SEALED, Reason.SUBJECT_TAKEN]


def test_start_commit__whatever_is_asked_next_waits_for_it(checked: TestNode) -> None:
    writer = checked.open()
    for number in range(10):
        future = writer.start_commit(Ready(prepare(checked, writer, new_passport(number, 1))))
        assert writer.find_chain(vin_subject(number)) is not None
        assert future.done()
    last = writer.start_commit(Ready(prepare(checked, writer, new_passport(99))))
    writer.close()
    assert last.result().receipts


def test_start_commit__refused_leaves_nothing(checked: TestNode) -> None:
    writer = checked.open()
    good = prepare(checked, writer, new_passport(1))
    before = count_rows(writer)
    checked.clock.now -= 10 * MAX_CLOCK_STEP_MS
    with pytest.raises(Refused) as caught:
        writer.start_commit(Ready(good))
    assert caught.value.reason is Reason.TIME_WENT_BACK
    checked.clock.now += 10 * MAX_CLOCK_STEP_MS
    assert count_rows(writer) == before
    assert writer.start_commit(Ready(good)).result().receipts


def test_reading__sees_one_moment(checked: TestNode) -> None:
    writer = checked.open()
    with writer.reading():
        assert writer.find_chains([vin_subject(1)]) == {}
        # Another thread, as an import's commit is.
        committing = threading.Thread(
            target=writer.append, args=(checked.operator.id, REPORTED, [new_passport(1)]), daemon=True
        )
        committing.start()
        committing.join(30)
        assert not committing.is_alive()
        assert writer.find_chains([vin_subject(1)]) == {}
        assert writer.find_sources({1: [b"a" * 16]}) == {1: set()}
    with writer.reading():
        assert list(writer.find_chains([vin_subject(1)])) == [vin_subject(1)]
    assert writer.find_chain(vin_subject(1)) is not None


def test_commit__a_submission_of_an_earlier_commit_is_known_behind_new_ones(checked: TestNode) -> None:
    writer = checked.open()
    writer.append(checked.operator.id, REPORTED, [new_passport(1), new_passport(2)])

    def prepare(number: int, km: int) -> Prepared:
        subject = vin_subject(number)
        groups = [more(writer.find_chain(subject), reading(subject, km))]
        return writer.prepare(writer.make_job(checked.operator.id, REPORTED, groups))

    first, second = prepare(1, 1), prepare(2, 1)
    writer.commit([first, second])
    outcomes = writer.commit([prepare(1, 2), second, prepare(2, 2), first])
    assert [len(outcome.receipts) for outcome in outcomes] == [1, 0, 1, 0]
    assert refused_reason(outcomes[1]) == refused_reason(outcomes[3]) == [Reason.STATEMENT_LINKED]


def test_commit__same_submission_twice_is_linked_once(checked: TestNode) -> None:
    """In each of its chains, also within one transaction."""
    writer, subjects = checked.open(), [vin_subject(number) for number in range(5)]
    writer.append(checked.operator.id, REPORTED, [new_passport(number) for number in range(5)])
    groups = [more(writer.find_chain(subject), reading(subject, 1)) for subject in subjects]
    prepared = writer.prepare(writer.make_job(checked.operator.id, REPORTED, groups))
    outcomes = writer.commit([prepared, prepared])
    assert len(outcomes[0].receipts) == 5
    assert refused_reason(outcomes[1]) == 5 * [Reason.STATEMENT_LINKED]


def test_commit__rolls_back_everything(checked: TestNode) -> None:
    writer = checked.open()
    writer.append(checked.operator.id, REPORTED, [new_passport(1, 10)])
    writer.keep_checkpoint()
    before, state = count_rows(writer), writer.state
    prepared = writer.prepare(writer.make_job(checked.operator.id, REPORTED, [new_passport(2, 10)]))
    other = writer.prepare(writer.make_job(checked.operator.id, REPORTED, [new_passport(3)]))
    broken = other._replace(created_ms=object())  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"type|bind"):
        writer.commit([prepared, broken])
    assert count_rows(writer) == before
    assert writer.state is state
    with pytest.raises(Refused) as caught:
        writer.commit([prepared])
    assert caught.value.reason is Reason.NODE_DAMAGED
    writer.close()
    with checked.open() as again:
        # What could be sent again at the last height is not remembered: the next height is later than its expiry.
        assert again.state == replace(state, sealed={})
        assert len(again.commit([prepared])[0].receipts) == 2


def test_commit__refused_time_went_back(checked: TestNode) -> None:
    writer = checked.open()
    checked.clock.now -= 30_000
    assert writer.append(checked.operator.id, REPORTED, [new_passport(1)]).receipts[0].accepted_ms == writer.state.at
    checked.clock.now -= 100_000
    with pytest.raises(Refused) as caught:
        writer.append(checked.operator.id, REPORTED, [new_passport(2)])
    assert caught.value.reason is Reason.TIME_WENT_BACK
    assert caught.value.could_retry
    checked.clock.now += 200_000


def test_submit__eight_threads_share_commits(checked: TestNode) -> None:
    writer = checked.open()
    jobs = [writer.make_job(checked.operator.id, REPORTED, [new_passport(n, n)]) for n in range(160)]
    futures: list[Future[Outcome]] = []

    def work(part: int) -> None:
        for job in jobs[part::8]:
            futures.append(writer.submit(writer.prepare(job)))  # noqa: PERF401

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    receipts = [receipt for future in futures for receipt in future.result(60).receipts]
    assert len({receipt.sid for receipt in receipts}) == 320
    assert len({receipt.seal for receipt in receipts}) < 160
    writer.take_census()
    assert is_good(checked.prove(receipts[-1].chain16))


def test_submit__whole_refusal_reaches_its_own_caller(checked: TestNode) -> None:
    writer = checked.open()
    good = writer.prepare(writer.make_job(checked.operator.id, REPORTED, [new_passport(1)]))
    stranger = good._replace(member=b"\x09" * 16)
    futures = [writer.submit(good), writer.submit(stranger)]
    assert len(futures[0].result(60).receipts) == 1
    with pytest.raises(Refused) as caught:
        futures[1].result(60)
    assert caught.value.reason is Reason.UNKNOWN_MEMBER


def test_sign_receipt__verifies(checked: TestNode) -> None:
    writer = checked.open()
    receipt = writer.append(checked.operator.id, REPORTED, [new_passport(1)]).receipts[0]
    node = writer.state.members.get(writer.node_id).keys[0]
    message = compute_receipt(
        writer.state.net, node.digest, receipt.signed, receipt.accepted_ms, receipt.accepted_ms + 1000
    )
    assert verify(node.key, message, writer.sign_receipt(receipt, receipt.accepted_ms + 1000))


def test_open_writer__refused_writer_busy(node: TestNode) -> None:
    node.open()
    code = (
        "import sys; from pathlib import Path; from carnet.errors import Refused\n"
        "from carnet.node.writer import open_writer\n"
        "try: open_writer(Path(sys.argv[1]), clock=lambda: 0, random_bytes=bytes)\n"
        "except Refused as r: print(r.reason, r.facts['pid'], r.facts['command'])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(node.path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"writer_busy {os.getpid()} a test\n"
    with pytest.raises(Refused) as caught:
        node.open()
    assert caught.value.reason is Reason.WRITER_BUSY


def test_open_writer__refused_no_node(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        open_writer(tmp_path, clock=lambda: 0, random_bytes=bytes)
    assert caught.value.reason is Reason.NO_NODE


@pytest.mark.parametrize(
    "damage",
    [
        f"UPDATE log_node SET hash = x'{'00' * 32}' WHERE level = 0 AND idx = 3",
        "UPDATE log_record SET leaf = leaf || x'20' WHERE idx = 3",
        f"UPDATE seal SET leaves = x'{'00' * 64}'",
        "DELETE FROM seal",
        "UPDATE checkpoint SET note = substr(note, 1, length(note) - 10) || 'AAAAAAAAA='",
        "UPDATE rules_line SET bytes = '{}' WHERE line = 0",
        "UPDATE member_leaf SET leaf = x'00' WHERE member = 1",
        "DELETE FROM entry WHERE seq = 1",
        "DELETE FROM log_record WHERE idx = 3",
    ],
)
def test_open_writer__refused_node_damaged(node: TestNode, damage: str) -> None:
    with node.open() as writer:
        writer.append(node.operator.id, REPORTED, [new_passport(1, 10)])
    assert change_behind(node, damage) > 0
    with pytest.raises(Refused) as caught:
        node.open()
    assert caught.value.reason is Reason.NODE_DAMAGED
    assert "carnet fsck" in caught.value.message
    assert check_home(node.path)
    # The lock was given back: nobody is told to wait for a writer that is not there.
    with pytest.raises(Refused) as caught:
        node.open()
    assert caught.value.reason is Reason.NODE_DAMAGED


def test_read__while_a_writer_runs(checked: TestNode) -> None:
    writer = checked.open()
    writer.append(checked.operator.id, REPORTED, [new_passport(1)])
    writer.take_census()
    with checked.read() as reader:
        writer.append(
            checked.operator.id,
            REPORTED,
            [new_passport(2), more(writer.find_chain(vin_subject(1)), reading(vin_subject(1), 5))],
        )
        assert reader.count_entries() == 1
        reader.refresh()
        assert reader.count_entries() == 3
        with pytest.raises(Refused) as caught:
            reader.get_links(reader.get(f"histovec:{vin_subject(2).value}"))
        assert caught.value.reason is Reason.NOTHING_SEALED
        assert len(reader.get_links(reader.get(f"histovec:{vin_subject(1).value}"))) == 1


def test_found__refused_node_exists(node: TestNode) -> None:
    with pytest.raises(Refused) as caught:
        found_node(
            node.path,
            name="example.org",
            operator_name="The test's data service",
            operator_kind="data_service",
            now=START_MS,
            random_bytes=os.urandom,
        )
    assert caught.value.reason is Reason.NODE_EXISTS


def test_found__files_are_private(node: TestNode) -> None:
    assert (node.path.stat().st_mode & 0o777, (node.path / "keys.json").stat().st_mode & 0o777) == (0o700, 0o600)


def test_change_rules__prepared_under_older_ones_is_refused(checked: TestNode) -> None:
    writer = checked.open()
    prepared = writer.prepare(writer.make_job(checked.operator.id, REPORTED, [new_passport(1)]))
    rules = writer.state.rules
    writer.change_rules(Rules.of([*rules.lines, ClassLine(class_=9, endorsements=1)]))
    refused = writer.commit([prepared])[0].refused
    assert refused is not None
    assert refused.reason is Reason.RULES_NOT_IN_FORCE
    assert writer.append(checked.operator.id, REPORTED, [new_passport(1)]).refusals == []


def test_transact__our_own_bug_stops_the_writer(node: TestNode) -> None:
    writer = node.open()

    def fail(_at: int) -> None:
        raise InvariantBroken("a bug")

    with pytest.raises(InvariantBroken):
        writer._transact(fail)
    with pytest.raises(Refused) as caught:
        writer.append(node.operator.id, REPORTED, [new_passport(1)])
    assert caught.value.reason is Reason.NODE_DAMAGED


def test_accredit__for_the_same_again_changes_nothing_and_checks_clean(checked: TestNode) -> None:
    writer = checked.open()
    garage = writer.enrol_member("Garage", "garage")
    before = writer.state
    writer.accredit(garage.id, garage.accreditations)
    assert writer.state.members.tree.root == before.members.tree.root
    assert writer.state.size == before.size + 1


def test_write_block__refuses_what_the_store_would_not_keep(checked: TestNode) -> None:
    writer = checked.open()
    garage = writer.enrol_member("Garage", "garage")
    size = writer.state.size
    twice = [AccreditMember(garage.id, ()), RetireMember(garage.id)]
    with pytest.raises(InvariantBroken, match="twice"):
        writer._transact(lambda at: writer._write_block(at, twice))
    assert writer.state.size == size


def test_enrol_member__refused_member_exists__of_two_at_the_same_instant(node: TestNode) -> None:
    """Each was planned against a ledger without the name; the writer lets one in, and keeps no key for the other."""
    writer, ready, refused = node.open(), threading.Barrier(4), list[Reason]()

    def enrol() -> None:
        ready.wait(10)
        try:
            writer.enrol_member("Garage des Tilleuls", "garage")
        except Refused as found:
            refused.append(found.reason)

    before = len(writer.ring.authors)
    threads = [threading.Thread(target=enrol) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert refused == [Reason.MEMBER_EXISTS] * 3
    assert sum(member.name == "Garage des Tilleuls" for member in writer.state.members.all) == 1
    assert len(writer.ring.authors) == before + 1


@pytest.mark.parametrize(
    "name", ["garage DES tilleuls", " Garage  des\u00a0Tilleuls ", "\uff27arage des Tilleuls", "Garage des Tilleuls"]
)
def test_enrol_member__refused_member_exists__for_a_name_that_nobody_can_tell_from_another(
    node: TestNode, name: str
) -> None:
    with node.open() as writer:
        garage = writer.enrol_member("Garage des Tilleuls", "garage")
        with pytest.raises(Refused, match="a member is called 'Garage des Tilleuls' already") as caught:
            writer.enrol_member(name, "garage")
        assert caught.value.reason is Reason.MEMBER_EXISTS
        writer.enrol_member("Garage du Tilleul", "garage")
        # Whoever has left keeps no name from others.
        writer.retire(garage.id)
        writer.enrol_member(name, "garage")


@pytest.mark.parametrize("name", ["  ", "Garage\ndes Tilleuls", "Gara\u200bge", "Garage\u202e", "\x1b[2J"])
def test_enrol_member__refused_value_out_of_range__for_a_name_that_is_not_seen(node: TestNode, name: str) -> None:
    with node.open() as writer, pytest.raises(Refused) as caught:
        writer.enrol_member(name, "garage")
    assert caught.value.reason is Reason.VALUE_OUT_OF_RANGE


def test_find_member__whose_name_another_has_in_other_capitals() -> None:
    """They may have been enrolled before such a name was refused."""
    one, other = Member(b"1" * 16, "A", "garage", bytes(16)), Member(b"2" * 16, "a", "garage", bytes(16))
    assert find_member((one, other), "A") is one
    assert find_member((one, other), "a") is other
    with pytest.raises(Refused, match="2 members are called"):
        find_member((one, other), " a ")
