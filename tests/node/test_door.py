"""The node's door: what goes through it is sealed once, is signed where the keys are, and is found again."""

from __future__ import annotations

import socket
import stat
import struct
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Key, compute_enrolment
from carnet.node.door import Door, listening
from carnet.node.door.place import find_place
from carnet.node.door.remote import RemoteWriter, without_signing_keys
from carnet.node.door.wire import (
    Ask,
    AskHealth,
    Commit,
    Frames,
    Health,
    Reply,
    Request,
    Sealed,
    ask_to_seal,
    frame,
    read_reply,
    read_request,
)
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.jobs import Group, Prepared
from carnet.node.keyring import load_key_ring
from carnet.node.made import encode_prepared
from carnet.node.pool import Ready
from carnet.node.writer import Writer
from carnet.node.writing import Writing
from carnet.passport.subject import encode_subject
from carnet.services.importing import HISTOVEC, import_file
from carnet.signing import Signer
from carnet.types import Basis, Custody, KeyRole, Mark
from tests.cli.run import make_inspection, make_line
from tests.node.conftest import ON_FILE
from tests.node.door import ServedDoor, open_door
from tests.node.home import TestNode, is_good, make_item, make_node, more, new_passport, reading, vin_subject

REPORTED = Basis.REPORTED


def is_writing(writer: Writing) -> bool:
    """Both sides are the same to whoever writes: the type checker holds them to it."""
    return all(hasattr(writer, name) for name in vars(Writing) if not name.startswith("_"))


def test_door__both_sides_are_one_surface(node: TestNode) -> None:
    with open_door(node) as served, served.reach() as remote:
        assert is_writing(served.writer)
        assert is_writing(remote)
        assert remote.state.size == served.writer.state.size
        assert (remote.node_id, remote.node_key) == (served.writer.node_id, served.writer.node_key)
        assert remote.index_key == served.writer.index_key
        assert remote.context() == served.writer.context()


def test_append__through_the_door_is_sealed_and_proves(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:
        outcome = remote.append(checked.operator.id, REPORTED, [new_passport(1, 1_000, 2_000)])
        assert len(outcome.receipts) == 3
        # Acknowledged is there for the next look.
        chain = remote.find_chain(vin_subject(1))
        assert chain is not None
        grown = remote.append(checked.operator.id, REPORTED, [more(chain, reading(vin_subject(1), 3_000))])
        assert [receipt.seq for receipt in grown.receipts] == [3]
        assert served.writer.find_chain(vin_subject(1)) == chain
        assert remote.find_chains([vin_subject(1), vin_subject(2)]) == {vin_subject(1): chain}
        assert remote.find_chain_by_id(chain.chain16) == chain
        receipt = grown.receipts[0]
        assert remote.find_receipt(receipt.place, receipt.chain16, receipt.sid) == receipt
        sig = remote.sign_receipt(receipt, receipt.accepted_ms)
        assert sig == served.writer.sign_receipt(receipt, receipt.accepted_ms)
        assert remote.count_changed() == 1
        remote.take_census()
        assert remote.count_changed() == 0
        assert remote.find_census() == served.writer.find_census()
    assert is_good(checked.prove(chain.chain16))


def test_sign_receipts__of_many_are_those_of_each(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:
        outcome = remote.append(checked.operator.id, REPORTED, [new_passport(1, *range(1_000, 1_300))])
        sigs = remote.sign_receipts(outcome.receipts)
        assert len(sigs) == len(outcome.receipts) == 301
        assert sigs == [served.writer.sign_receipt(one, one.accepted_ms) for one in outcome.receipts]
        assert remote.sign_receipts([]) == []


def test_append__is_signed_by_the_writer_alone(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:
        job = remote.make_job(checked.operator.id, REPORTED, [new_passport(1, 1_000)])
        prepared = remote.prepare(job)
        assert job.seed is None
        assert (prepared.sig, prepared.signed) == (b"", b"")
        (outcome,) = remote.commit([prepared])
        assert len(outcome.receipts) == 2
        ring = load_key_ring(Home(checked.path).keys)
        kept = without_signing_keys(ring)
        secrets = (ring.log, ring.node, *ring.authors.values())
        assert not any(secret in repr(vars(kept)).encode() or secret in (kept.log, kept.node) for secret in secrets)
        assert kept.authors == {}
        assert served.writer.keeps_key(Signer(next(iter(ring.authors.values()))).digest)
        assert remote.keeps_key(Signer(next(iter(ring.authors.values()))).digest)
        assert not remote.keeps_key(bytes(32))


def forge(prepared: Prepared, sig: bytes) -> Prepared:
    return prepared.with_signature(sig)._replace(is_signed_here=True)


@ON_FILE
def test_commit__refused_bad_signature(checked: TestNode) -> None:
    """Whoever reaches the door cannot claim that something was signed here."""
    with open_door(checked) as served, served.reach() as remote:
        prepared = remote.prepare(remote.make_job(checked.operator.id, REPORTED, [new_passport(1, 1_000)]))
        (outcome,) = remote.commit([forge(prepared, bytes(64))])
        assert outcome.refused is not None
        assert outcome.refused.reason is Reason.BAD_SIGNATURE
        assert served.writer.find_chain(vin_subject(1)) is None


@ON_FILE
def test_commit__refused_unknown_key(checked: TestNode) -> None:
    """An own key's submission without its signature is signed by nobody."""
    with open_door(checked) as served:
        own, member = Signer(bytes(range(32))), bytes(16)
        state = served.writer.state
        enrolment = compute_enrolment(state.net, member, KeyRole.AUTHOR, Custody.OWN)
        key = Key(own.public, KeyRole.AUTHOR, Custody.OWN, own.sign(enrolment))
        served.writer.enrol_member("Garage", "garage", member_id=member, key=key)
        with served.reach() as remote:
            job = remote.make_job(member, Basis.OWN_KEY, [new_passport(1, 1_000)], public=own.public)
            with pytest.raises(Refused) as caught:
                remote.commit([remote.prepare(job)])
            assert caught.value.reason is Reason.UNKNOWN_KEY
            with pytest.raises(Refused) as caught:
                remote.make_job(member, Basis.HOSTED, [new_passport(1, 1_000)])
            assert caught.value.reason is Reason.UNKNOWN_KEY


def test_commit__one_bad_submission_spoils_no_other(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:
        remote.append(checked.operator.id, REPORTED, [new_passport(1, 1_000)])
        jobs = [remote.make_job(checked.operator.id, REPORTED, [new_passport(number, 5)]) for number in (2, 1, 3)]
        outcomes = remote.commit([remote.prepare(job) for job in jobs])
        assert [len(outcome.receipts) for outcome in outcomes] == [2, 0, 2]
        assert {one.reason for one in outcomes[1].refusals} == {Reason.SUBJECT_TAKEN}
        assert served.door.get_health().submissions == 4


def test_append__under_new_rules_is_prepared_again(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:
        remote.append(checked.operator.id, REPORTED, [new_passport(1, 1_000)])
        served.writer.change_rules(served.writer.state.rules)
        outcome = remote.append(checked.operator.id, REPORTED, [new_passport(2, 1_000)])
        assert len(outcome.receipts) == 2


def test_append__many_at_once_share_commits(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote, ThreadPoolExecutor(32) as pool:
        # A connection that is held up lets others come: they are committed together.
        made = list(
            pool.map(
                lambda number: remote.append(checked.operator.id, REPORTED, [new_passport(number, 1_000)]), range(200)
            )
        )
        assert sum(len(outcome.receipts) for outcome in made) == 400
        health = remote.get_health()
        assert health.submissions == 200
        assert health.entries == 400
        assert health.commits < 200
        assert health.largest_group > 1
        assert {outcome.receipts[0].chain16 for outcome in made} == {
            chain.chain16 for chain in remote.find_chains([vin_subject(number) for number in range(200)]).values()
        }


def test_import__through_the_door_gives_what_the_writer_itself_would(tmp_path: Path, checked: TestNode) -> None:
    lines = [make_line(f"HV{number:040x}", make_inspection(), make_inspection(km=62_000, date="2016-03-04"))
             for number in range(40)]  # fmt: skip
    with open_door(checked) as served, served.reach() as remote:
        first = import_file(remote, checked.operator, HISTOVEC, lines, checked.clock())
        again = import_file(remote, checked.operator, HISTOVEC, lines, checked.clock())
        assert (first.sealed, first.duplicate, first.opened, first.passports) == (80, 0, 40, 40)
        assert (again.sealed, again.duplicate, again.opened, again.passports) == (0, 80, 0, 40)
        size = served.writer.state.size
    alone = make_node(tmp_path / "alone")
    with alone.open() as writer:
        assert import_file(writer, alone.operator, HISTOVEC, lines, alone.clock()).sealed == 80
        assert writer.state.size == size
    alone.close()


# ---- whose turn it is


def ask_together(node: TestNode, writer: Writer, asks: list[Ask], served: Callable[[Door], None]) -> list[Reply]:
    """What a door answers to requests that came in together, in the order of its answers."""
    door = Door(Home(node.path), writer)
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(find_place(Home(node.path))))
            line.settimeout(10)
            line.sendall(b"".join(frame(Request(number, ask)) for number, ask in enumerate(asks)))
            door.serve_once(1)
            served(door)
            frames, replies = Frames(), list[Reply]()
            while len(replies) < len(asks):
                replies += [read_reply(data) for data in frames.feed(line.recv(1 << 16))]
            return replies
    finally:
        door.close()


def make_commit(node: TestNode, writer: Writer, number: int, *, count: int = 1, is_patient: bool = False) -> Commit:
    job = writer.make_job(node.operator.id, REPORTED, [new_passport(number, *range(1_000, 1_000 + count))])
    return ask_to_seal([writer.prepare(job)], is_patient=is_patient)


def test_door__parts_of_a_file_let_those_with_one_entry_go_first(checked: TestNode) -> None:
    """Each by itself, and one between two looks at the door."""
    with checked.open() as writer:
        asks: list[Ask] = [
            make_commit(checked, writer, 1, is_patient=True),
            make_commit(checked, writer, 2, count=100),
            make_commit(checked, writer, 3),
            make_commit(checked, writer, 4, is_patient=True),
            make_commit(checked, writer, 5),
            AskHealth(),
        ]

        def serve(door: Door) -> None:
            commits = [0]
            while commits[-1] < 4:
                door.serve_once(0)
                commits.append(door.get_health().commits)
            # All that come in one read are there after the first look: those with one entry share a commit, and at most
            # one part goes with them, or between two looks.
            assert commits[1] in (1, 2)
            assert all(after - before <= 1 for before, after in pairwise(commits[1:]))

        replies = ask_together(checked, writer, asks, serve)
        assert [reply.number for reply in replies] == [2, 4, 5, 0, 1, 3]
        assert all(isinstance(reply.answer, Sealed | Health) for reply in replies)


@pytest.mark.parametrize("hold_s, order", [(60.0, [1, 2, 0]), (0.0, [1, 0, 2])])
def test_door__what_takes_long_waits_a_moment_after_something_quick_and_no_longer(
    checked: TestNode, monkeypatch: pytest.MonkeyPatch, hold_s: float, order: list[int]
) -> None:
    """Whoever had an entry sealed mostly asks for something else at once."""
    monkeypatch.setattr(listening, "REST_S", 60.0)
    monkeypatch.setattr(listening, "HOLD_S", hold_s)
    with checked.open() as writer:
        part, quick, later = (make_commit(checked, writer, at, is_patient=at == 1) for at in (1, 2, 3))
        door = Door(Home(checked.path), writer)
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(find_place(Home(checked.path))))
        line.settimeout(20)
        line.sendall(frame(Request(0, part)) + frame(Request(1, quick)))
        while door.get_health().commits < (1 if hold_s else 2):
            door.serve_once(0.02)
        line.sendall(frame(Request(2, later)))
        while door.get_health().commits < 2 + (not hold_s):
            door.serve_once(0.02)
        monkeypatch.setattr(listening, "REST_S", 0.0)
        while door.get_health().commits < 3:
            door.serve_once(0.02)
        frames, replies = Frames(), list[Reply]()
        while len(replies) < 3:
            replies += [read_reply(one) for one in frames.feed(line.recv(1 << 16))]
        line.close()
        door.close()
        assert [reply.number for reply in replies] == order


def test_door__tells_whether_others_have_asked_lately(checked: TestNode) -> None:
    """A file by itself is not told so, however it is divided."""
    with open_door(checked) as served, served.reach() as remote, served.reach() as other:
        assert not remote.is_shared
        for number in (1, 2):
            job = remote.make_job(checked.operator.id, REPORTED, [new_passport(number, 1_000)])
            remote.start_commit(Ready(remote.prepare(job))).result()
            remote.check_alive()
            assert not remote.is_shared
        other.append(checked.operator.id, REPORTED, [new_passport(3, 1_000)])
        remote.check_alive()
        assert remote.is_shared
        assert not served.writer.is_shared, "whoever has the writer in its own process has it alone"


def test_import__beside_others_is_handed_in_in_small_parts(checked: TestNode) -> None:
    lines = [make_line(f"HV{number:040x}", make_inspection(), make_inspection(km=62_000, date="2016-03-04"))
             for number in range(200)]  # fmt: skip
    with open_door(checked) as served, served.reach() as remote, served.reach() as other:
        alone = import_file(remote, checked.operator, HISTOVEC, lines[:100], checked.clock())
        before = served.door.get_health().commits
        other.append(checked.operator.id, REPORTED, [new_passport(1, 1_000)])
        beside = import_file(remote, checked.operator, HISTOVEC, lines[100:], checked.clock())
        assert (alone.sealed, beside.sealed, before) == (200, 200, 1)
        assert served.door.get_health().commits == before + 1 + 13, "16 rows in each"
        again = import_file(remote, checked.operator, HISTOVEC, lines, checked.clock())
        assert (again.sealed, again.duplicate) == (0, 400)


# ---- what goes wrong


class Cutting:
    """Between one side and the door: passes the request on, and cuts the line instead of passing the answer back, or
    (not `is_answered`) before there is one."""

    def __init__(self, served: ServedDoor, remote: object, place: Path, *, is_answered: bool = True) -> None:
        self.place, self.target = place, find_place(Home(served.node.path))
        self._remote, self._is_answered = remote, is_answered
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(place))
        self._listening.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        remote._place = place  # type: ignore[attr-defined]

    def _run(self) -> None:
        inner, _ = self._listening.accept()
        # Whoever is cut off finds the door itself.
        self._remote._place = self.target  # type: ignore[attr-defined]
        outer = socket.socket(socket.AF_UNIX)
        outer.connect(str(self.target))
        frames = Frames()
        while not frames.feed(data := inner.recv(1 << 16)):
            outer.sendall(data)
        outer.sendall(data)
        if self._is_answered:
            # The answer comes: the commit is on the disk. Then the line is cut.
            assert outer.recv(1 << 16)
        outer.close()
        inner.close()
        self._listening.close()

    def join(self) -> None:
        self._thread.join()


def test_commit__whose_answer_was_lost_is_found_again(checked: TestNode, tmp_path: Path) -> None:
    with open_door(checked) as served, served.reach() as remote:
        remote._hang_up()
        cutting = Cutting(served, remote, tmp_path / "cut.sock")
        outcome = remote.append(checked.operator.id, REPORTED, [new_passport(1, 1_000)])
        cutting.join()
        assert len(outcome.receipts) == 2
        health = served.door.get_health()
        # Handed in twice, sealed once.
        assert (health.submissions, health.entries) == (2, 2)
        receipt = outcome.receipts[1]
        assert served.writer.find_receipt(receipt.place, receipt.chain16, receipt.sid) == receipt


def test_start_commit__quiet_brings_no_receipts_but_how_many(checked: TestNode, tmp_path: Path) -> None:
    """Also where the answer was lost, and what became of it is found in the store."""
    with open_door(checked) as served, served.reach() as remote:
        for number, is_cut in ((1, False), (2, True)):
            job = remote.make_job(checked.operator.id, REPORTED, [new_passport(number, 1_000)])
            if is_cut:
                cutting = Cutting(served, remote, tmp_path / "cut.sock")
                remote._ahead.close()
            outcome = remote.start_commit(Ready(remote.prepare(job)), is_quiet=True).result()
            opened = remote.find_chain(vin_subject(number))
            assert opened is not None
            assert outcome.tally == (2, 1, opened.chain16)
            assert bool(outcome.receipts) is is_cut, "what was looked for in the store brings them along"
        cutting.join()
        assert served.door.get_health().entries == 4


def test_start_commit__whose_answers_were_lost_are_found_out_in_their_order(checked: TestNode, tmp_path: Path) -> None:
    """Three under way, and the line is cut behind the first answer: each is sealed once, none overtakes another."""
    with open_door(checked) as served, served.reach() as remote:
        (opened,) = remote.append(checked.operator.id, REPORTED, [new_passport(1)]).receipts
        ref = remote.get_chain_by_id(opened.chain16)
        jobs = [
            remote.make_job(checked.operator.id, REPORTED, [more(ref, *[reading(vin_subject(1), day)] * 40)])
            for day in (5, 6, 7)
        ]
        remote._hang_up()
        cutting = Cutting(served, remote, tmp_path / "cut.sock")
        handed = [remote.start_commit(Ready(remote.prepare(job))) for job in jobs]
        cutting.join()
        outcomes = [one.result() for one in handed]
        assert [[receipt.seq for receipt in outcome.receipts] for outcome in outcomes] == [
            list(range(1, 41)), list(range(41, 81)), list(range(81, 121)),
        ]  # fmt: skip
        later = remote.start_commit(Ready(remote.prepare(jobs[0]._replace(randomness=bytes(32 * 40))))).result()
        assert [receipt.seq for receipt in later.receipts] == list(range(121, 161))
        assert served.door.get_health().entries == 161


class Held:
    """The writer lives, and holds what it has taken until the same is being handed in again."""

    def __init__(self, served: ServedDoor, remote: RemoteWriter, monkeypatch: pytest.MonkeyPatch) -> None:
        again = threading.Event()
        seal, call_again = served.door._seal, remote._call_again

        def seal_later(prepared: list[Prepared], is_quiet: bool) -> object:
            assert again.wait(20)
            return seal(prepared, is_quiet)

        def call(ask: Commit) -> object:
            again.set()
            return call_again(ask)

        monkeypatch.setattr(served.door, "_seal", seal_later)
        monkeypatch.setattr(remote, "_call_again", call)


def test_start_commit__whose_line_is_cut_while_the_writer_lives_is_sealed_once(
    checked: TestNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The requests are in its queue, and nothing is in the store yet. Of each submission some statements are sealed, in
    two passports, and one is refused: whoever handed it in learns of all three."""
    with open_door(checked) as served, served.reach() as remote:
        opened = remote.append(checked.operator.id, REPORTED, [new_passport(1), new_passport(2)]).receipts
        one, other = [remote.get_chain_by_id(receipt.chain16) for receipt in opened]
        lost = make_item("passport.corrected/1", vin_subject(1), Mark.SUPERSEDES, b"\x01" * 32, reason="other")
        jobs = [
            remote.make_job(
                checked.operator.id,
                REPORTED,
                [more(one, lost, reading(vin_subject(1), day)), more(other, reading(vin_subject(2), day))],
            )
            for day in (5, 6)
        ]
        remote._hang_up()
        cutting = Cutting(served, remote, tmp_path / "cut.sock", is_answered=False)
        Held(served, remote, monkeypatch)
        handed = [remote.start_commit(Ready(remote.prepare(jobs[0])))]
        cutting.join()
        handed.append(remote.start_commit(Ready(remote.prepare(jobs[1]))))
        outcomes = [one.result() for one in handed]
        assert [[(receipt.place, receipt.seq) for receipt in outcome.receipts] for outcome in outcomes] == [
            [(1, 1), (2, 1)], [(1, 2), (2, 2)],
        ]  # fmt: skip
        for outcome in outcomes:
            assert [(refusal.place, refusal.reason) for refusal in outcome.refusals] == [(0, Reason.UNKNOWN_TARGET)]
        assert served.door.get_health().entries == 6
    assert check_home(checked.path) == []


def test_commit__that_opens_passports_and_is_cut_while_the_writer_lives_is_sealed_once(
    checked: TestNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_door(checked) as served, served.reach() as remote:
        remote._hang_up()
        cutting = Cutting(served, remote, tmp_path / "cut.sock", is_answered=False)
        Held(served, remote, monkeypatch)
        outcome = remote.append(checked.operator.id, REPORTED, [new_passport(1, 5), new_passport(2, 5, 6)])
        cutting.join()
        places = [(receipt.place, receipt.seq) for receipt in outcome.receipts]
        assert places == [(0, 0), (1, 1), (2, 0), (3, 1), (4, 2)]
        assert outcome.refusals == []
        assert served.door.get_health().entries == 5


@pytest.mark.parametrize("is_sealed", [False, True])
def test_commit__whose_writer_is_gone_for_good_tells_what_is_sealed(checked: TestNode, is_sealed: bool) -> None:
    """Nobody answers any more: what is sealed is told, and of the rest that nobody is there; if it is nothing, that."""
    with open_door(checked) as served, served.reach() as remote:
        (opened,) = remote.append(checked.operator.id, REPORTED, [new_passport(1)]).receipts
        ref = remote.get_chain_by_id(opened.chain16)
        lost = make_item("passport.corrected/1", vin_subject(1), Mark.SUPERSEDES, b"\x01" * 32, reason="other")
        job = remote.make_job(checked.operator.id, REPORTED, [more(ref, lost, reading(vin_subject(1), 5))])
        prepared = remote.prepare(job)
        if is_sealed:
            remote.commit([prepared])
        served.stop()
        if not is_sealed:
            with pytest.raises(Refused) as caught:
                remote._find_or_seal([prepared], ask_to_seal([prepared]))
            assert caught.value.reason is Reason.WRITER_AWAY
            return
        (outcome,) = remote._find_or_seal([prepared], ask_to_seal([prepared]))
        assert [receipt.place for receipt in outcome.receipts] == [1]
        assert [(one.place, one.reason) for one in outcome.refusals] == [(0, Reason.WRITER_AWAY)]


def test_start_commit__to_a_writer_that_went_away_is_told(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:
        job = remote.make_job(checked.operator.id, REPORTED, [new_passport(1, 5)])
        assert len(remote.start_commit(Ready(remote.prepare(job))).result().receipts) == 2
        served.stop()
        # The same once more is found in the store, whoever is there.
        assert len(remote.start_commit(Ready(remote.prepare(job))).result().receipts) == 2
        job = remote.make_job(checked.operator.id, REPORTED, [new_passport(2, 5)])
        remote._hang_up()
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                remote.start_commit(Ready(remote.prepare(job))).result()
            assert (caught.value.reason, caught.value.could_retry) == (Reason.WRITER_AWAY, True)


def test_commit__outlives_the_writer_that_was_started_again(checked: TestNode) -> None:
    with open_door(checked) as served, served.reach() as remote:
        remote.append(checked.operator.id, REPORTED, [new_passport(1, 1_000)])
        served.stop()
        with pytest.raises(Refused) as caught:
            remote.append(checked.operator.id, REPORTED, [new_passport(2, 1_000)])
        assert caught.value.reason is Reason.WRITER_AWAY
        assert caught.value.could_retry
        with pytest.raises(Refused) as caught:
            remote.check_alive()
        assert caught.value.reason is Reason.WRITER_AWAY
        # Reading goes on.
        assert remote.find_chain(vin_subject(1)) is not None
        with open_door(checked):
            remote.check_alive()
            assert len(remote.append(checked.operator.id, REPORTED, [new_passport(2, 1_000)]).receipts) == 2
        with open_door(checked):
            # The line that the last writer has left is no reason to fail.
            assert len(remote.append(checked.operator.id, REPORTED, [new_passport(3, 1_000)]).receipts) == 2


def test_connect__refused_writer_away(node: TestNode) -> None:
    with node.open(), pytest.raises(Refused) as caught:
        ServedDoor.reach(_served_by_nobody(node))
    assert caught.value.reason is Reason.WRITER_AWAY


@ON_FILE
def test_connect__told_to_stop_closes_what_it_has_opened(node: TestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[socket.socket]()

    def stop(connected: socket.socket, _: object) -> None:
        opened.append(connected)
        raise KeyboardInterrupt

    with open_door(node) as served, served.reach() as remote:
        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "connect", stop)
            with pytest.raises(KeyboardInterrupt):
                remote._connect()
        assert [one.fileno() for one in opened] == [-1]


def _served_by_nobody(node: TestNode) -> ServedDoor:
    nobody = ServedDoor.__new__(ServedDoor)
    nobody.node = node
    return nobody


@ON_FILE
def test_connect__refused_node_damaged(node: TestNode) -> None:
    with open_door(node) as served:
        served.writer.close()
        with pytest.raises(Refused) as caught:
            served.reach()
        assert caught.value.reason is Reason.NODE_DAMAGED


@ON_FILE
def test_door__is_its_owners_alone_and_goes_with_the_writer(node: TestNode) -> None:
    place = find_place(Home(node.path))
    assert place == node.path.resolve() / "node.sock"
    with open_door(node):
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert not place.exists()


def test_door__of_a_long_path_has_a_short_name_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not under pytest's own folder, whose name may itself be too long.
    runtime = Path(tempfile.mkdtemp(prefix="c"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    node = make_node(tmp_path / ("long" * 25))
    place = find_place(Home(node.path))
    assert place.parent == runtime
    with open_door(node) as served, served.reach() as remote:
        assert len(remote.append(node.operator.id, REPORTED, [new_passport(1, 5)]).receipts) == 2
    assert not place.exists()
    # A folder that others may write to is no place to listen.
    runtime.chmod(0o777)
    with pytest.raises(Refused) as caught:
        ServedDoor(node)
    assert caught.value.reason is Reason.NOT_PRIVATE
    node.close()
    runtime.rmdir()


@ON_FILE
@pytest.mark.parametrize(
    "sent", [b"\xff\xff\xff\xff", struct.pack(">I", 3) + b"abc", frame(Request(1, AskHealth()))[:-1] + b"\xc1"]
)
def test_door__what_is_no_request_ends_its_own_line_only(node: TestNode, sent: bytes) -> None:
    with open_door(node) as served, served.reach() as remote, socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(find_place(Home(node.path))))
        stranger.settimeout(10)
        stranger.sendall(sent)
        assert stranger.recv(10) == b""
        remote.check_alive()


@ON_FILE
def test_door__several_requests_are_under_way_on_one_line(node: TestNode) -> None:
    with open_door(node) as served, socket.socket(socket.AF_UNIX) as line:
        line.connect(str(find_place(Home(node.path))))
        line.settimeout(10)
        writer = served.writer
        prepared = writer.prepare(writer.make_job(node.operator.id, REPORTED, [new_passport(1, 5)]))
        requests = [Request(7, ask_to_seal([prepared])), Request(8, AskHealth()), Request(9, AskHealth())]
        whole = b"".join(map(frame, requests))
        # In pieces, as a stream may come.
        for at in range(0, len(whole), 100):
            line.sendall(whole[at : at + 100])
        frames, replies = Frames(), list[Reply]()
        while len(replies) < 3:
            replies += [read_reply(data) for data in frames.feed(line.recv(1 << 16))]
        assert [reply.number for reply in replies] == [7, 8, 9]


@ON_FILE
def test_wire__keeps_every_part_of_a_submission(node: TestNode) -> None:
    with node.open() as writer:
        prepared = writer.prepare(writer.make_job(node.operator.id, REPORTED, [new_passport(1, 5, 6), Group([])]))
    (data,) = Frames().feed(frame(Request(1, ask_to_seal([prepared]))))
    back = read_request(data)
    assert isinstance(back.ask, Commit)
    assert [encode_prepared(one) for one in back.ask.prepared] == [encode_prepared(prepared)]
    with pytest.raises(msgspec.ValidationError):
        read_request(msgspec.msgpack.encode([1, ["no_such_ask"]]))


def test_reading__passports_of_one_moment_and_the_state_in_force(node: TestNode) -> None:
    subject = vin_subject(1)
    encoded = encode_subject(subject)
    with open_door(node) as served, served.reach() as far:
        assert served.writer.state == far.state
        with far.reading():
            assert far.find_chain(subject) is None
            served.writer.append(node.operator.id, REPORTED, [new_passport(1)])
            member = served.writer.enrol_member("Garage Neuf", "garage")
            # The same moment for passports, and none for what a job is made under.
            assert far.find_chain(subject) is None
            assert far.find_numbers([encoded]) == [None]
            assert far.state.members.get(member.id) == member
            assert len(far.append(node.operator.id, REPORTED, [new_passport(2)]).receipts) == 1
        other = encode_subject(vin_subject(3))
        assert far.find_numbers([other, encoded]) == [None, 1]
        assert far.find_chains_by_numbers([1], [encoded]) == {encoded: far.find_chain(subject)}
        # The beginning of a blind index may be another passport's: then it is looked for by its subject.
        assert far.find_chains_by_numbers([1], [other]) == {}
        with far.reading():
            assert {chain.id for chain in far.find_chains([subject, vin_subject(2)]).values()} == {1, 2}
