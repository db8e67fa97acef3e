"""Erasure, tested as an attack: every file of the home and the key-encryption key are in the attacker's hands.

The bytes that were stored are noted before, found in the files, and looked for afterwards: a plaintext would prove
nothing, since contents are encrypted.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from carnet.encoding import encode
from carnet.errors import Reason, Refused, Unverified
from carnet.node.erasing import ErasureJournal
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.jobs import Group, Item
from carnet.node.people import open_people
from carnet.node.searching import find_files_with
from carnet.node.writer import Writer
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.proof.verify import Verdict, verify_bundle
from carnet.tlog.policy import parse_policy
from carnet.types import Basis, Mark, Subject
from carnet.vault.erasing import SignedErasure, read_traces
from carnet.vault.mover import LogMover
from carnet.vault.people.store import FILE
from carnet.vault.sealing import unwrap
from tests.cli.run import start_victim
from tests.node.conftest import ON_FILE
from tests.node.home import (
    TestNode,
    change_behind,
    is_good,
    make_item,
    make_node,
    more,
    new_passport,
    opening,
    reading,
    vin_subject,
)

REPORTED = Basis.REPORTED


def sourced(number: int, *kms: int) -> Group:
    """A passport whose readings come from rows of a file."""
    subject = vin_subject(number)
    return Group([opening(subject), *(reading(subject, km, source=make_source(number, km)) for km in kms)])


def make_source(number: int, km: int) -> bytes:
    return sha256(b"%d %d" % (number, km)).digest()[:16]


def fill(node: TestNode, writer: Writer) -> list[bytes]:
    """Three passports that share submissions and batches; their ids."""
    receipts = writer.append(node.operator.id, REPORTED, [sourced(n, 10, 20, 30) for n in range(3)]).receipts
    writer.take_census()
    return [receipts[4 * n].chain16 for n in range(3)]


def note_traces(writer: Writer, chain16: bytes, seqs: list[int] | None) -> list[bytes]:
    ref = writer.find_chain_by_id(chain16)
    assert ref is not None
    traces = read_traces(writer._connection, ref.id, seqs)
    assert len(traces) >= 2
    return traces


def find_in_files(home: Path, traces: list[bytes]) -> set[bytes]:
    data = b"\n".join(file.read_bytes() for file in sorted(home.iterdir()) if file.is_file())
    return {trace for trace in traces if trace in data}


def get_report(verdict: Verdict) -> dict[str, Any]:
    report: Any = verdict.to_document()["report"]
    return dict(report)


def refused_reasons(writer: Writer, node: TestNode, group: Group) -> list[Reason]:
    return [refusal.reason for refusal in writer.append(node.operator.id, REPORTED, [group]).refusals]


@ON_FILE
@pytest.mark.parametrize("seqs", [[2], [1, 3], None], ids=["one entry", "two entries", "the passport"])
def test_erase__nothing_of_it_is_in_any_file(checked: TestNode, seqs: list[int] | None) -> None:
    writer = checked.open()
    chains = fill(checked, writer)
    traces = note_traces(writer, chains[1], seqs)
    others = note_traces(writer, chains[0], None)
    assert find_in_files(checked.path, traces) == set(traces)
    _, found = writer.erase(chains[1], seqs, "holder_request")
    # What is deleted is overwritten where it stood: a store of any size need not be written anew for it.
    assert (found.is_gone, found.is_rewritten) == (True, False)
    assert find_in_files(checked.path, traces) == set()
    assert find_in_files(checked.path, others) == set(others)
    writer.append(checked.operator.id, REPORTED, [new_passport(9, 5)])
    writer.close()
    assert find_in_files(checked.path, traces) == set()


@ON_FILE
@pytest.mark.parametrize("is_merged", [False, True], ids=["new", "merged"])
def test_erase__blind_index_is_in_no_table(checked: TestNode, is_merged: bool) -> None:
    """Its first bytes stand in an index of their own, in one of two tables, and are looked for in the files, too."""
    with checked.open() as writer:
        receipts = writer.append(checked.operator.id, REPORTED, [sourced(n, 10) for n in range(60)]).receipts
        if is_merged:
            writer.take_census()
        connection = writer._connection
        (blind,) = connection.execute("SELECT blind FROM chain WHERE id = 31").fetchone()
        tables = ["chain_name", "new_chain_name"]
        names = [(is_blind, name) for is_blind, name in ((0, receipts[60].chain16), (1, blind))]
        for is_blind, name in names:
            query = "SELECT count(*) FROM {} WHERE is_blind = ? AND name = substr(?, 1, 8) AND chain = 31"
            found = [connection.execute(query.format(table), (is_blind, name)).fetchone()[0] for table in tables]
            assert found == ([1, 0] if is_merged else [0, 1])
        assert find_in_files(checked.path, [blind, blind[:8]]) == {blind, blind[:8]}
        _, traces = writer.erase(receipts[60].chain16, None, "holder_request")
        assert traces.is_gone
        for table in tables:
            assert connection.execute(f"SELECT count(*) FROM {table} WHERE chain = 31").fetchone() == (0,)
        assert find_in_files(checked.path, [blind, blind[:8]]) == set()
    assert find_in_files(checked.path, [blind, blind[:8]]) == set()


@ON_FILE
@pytest.mark.parametrize("seqs", [[2], None], ids=["an entry", "the passport"])
def test_erase__older_copy_put_back_is_erased_again(checked: TestNode, tmp_path: Path, seqs: list[int] | None) -> None:
    with checked.open() as writer:
        chains = fill(checked, writer)
        traces = note_traces(writer, chains[1], seqs)
    shutil.copy(checked.path / "node.db", tmp_path / "old.db")
    with checked.open() as writer:
        writer.append(checked.operator.id, REPORTED, [new_passport(7, 1)])
        writer.erase(chains[1], seqs, "holder_request")
    shutil.copy(tmp_path / "old.db", checked.path / "node.db")
    assert find_in_files(checked.path, traces) == set(traces)
    assert {finding.table for finding in check_home(checked.path)} >= {"erasure"}
    with checked.open() as writer:
        size = writer.state.size
        assert find_in_files(checked.path, traces) == set()
        assert refused_reasons(writer, checked, sourced(1, 20)) != []
    assert find_in_files(checked.path, traces) == set()
    assert size == 5, "merely opening an older copy writes nothing into its log"


@ON_FILE
def test_erase__older_copy_from_before_the_passport_keeps_its_tombstone(checked: TestNode, tmp_path: Path) -> None:
    with checked.open() as writer:
        writer.append(checked.operator.id, REPORTED, [new_passport(8, 1)])
        writer.take_census()
    shutil.copy(checked.path / "node.db", tmp_path / "old.db")
    with checked.open() as writer:
        writer.erase(fill(checked, writer)[1], None, "holder_request")
    shutil.copy(tmp_path / "old.db", checked.path / "node.db")
    with checked.open() as writer:
        assert refused_reasons(writer, checked, sourced(1, 20)) == [Reason.ERASED] * 2
        assert not writer.is_census_owed


@ON_FILE
def test_erase__with_the_key_encryption_key_nothing_opens(checked: TestNode) -> None:
    writer = checked.open()
    chains = fill(checked, writer)
    ref = writer.find_chain_by_id(chains[1])
    assert ref is not None
    writer.erase(chains[1], None, "holder_request")
    kept = [row[0] for row in writer._connection.execute("SELECT wrapped FROM passport_key")]
    assert len(kept) == 2
    assert ref.key not in [unwrap(writer.ring.kek, wrapped) for wrapped in kept]
    # Every 40 bytes of every file, tried as the wrapped key.
    for file in checked.path.iterdir():
        if file.name == "node.db":
            data = file.read_bytes()
            at = data.find(kept[0])
            for start in range(max(0, at - 400), at + 400):
                try:
                    assert unwrap(writer.ring.kek, data[start : start + 40]) != ref.key
                except Unverified:
                    continue


@pytest.mark.parametrize("seqs", [[2], [1, 2, 3], None], ids=["an entry", "all but the opening", "the passport"])
def test_erase__everything_else_is_proved(checked: TestNode, seqs: list[int] | None) -> None:
    writer = checked.open()
    chains = fill(checked, writer)
    with checked.read() as reader:
        policy = parse_policy(reader.get_policy())
        before = assemble_bundle(reader, chains[1], Selection())
    writer.erase(chains[1], seqs, "holder_request")
    for chain in (chains[0], chains[2]):
        verdict = checked.prove(chain)
        assert verdict.exit_code == 0
        assert is_good(verdict)
    assert verify_bundle(before, policy, checked.clock()).exit_code == 0
    if seqs is None:
        with checked.read() as reader, pytest.raises(Refused) as caught:
            reader.get(chains[1].hex())
        assert caught.value.reason is Reason.ERASED
        with checked.read() as reader, pytest.raises(Refused) as caught:
            reader.get(f"histovec:{vin_subject(1).value}")
        assert caught.value.reason is Reason.ERASED
        return
    verdict = checked.prove(chains[1])
    assert verdict.exit_code == 0
    report = get_report(verdict)
    assert (report["links"], report["shown"], report["withheld"]) == (4, 4 - len(seqs), len(seqs))


def test_erase__census_counts_the_passport(checked: TestNode) -> None:
    writer = checked.open()
    chains = fill(checked, writer)
    size = writer.state.size
    writer.erase(chains[1], [1], "holder_request")
    assert writer.state.size == size, "an entry keeps its link, so nothing new is to be counted"
    writer.erase(chains[1], None, "holder_request")
    assert writer.state.size == size + 1
    writer.erase(chains[2], None, "unlawful")
    with checked.read() as reader:
        census = reader.get_record(reader.get_census_index())["census"]
    assert (census["count"], census["erased"]) == (1, 2)  # type: ignore[index]


def test_erase__erased_correction_still_judges(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    receipts = writer.append(checked.operator.id, REPORTED, [new_passport(1, 10, 20)]).receipts
    chain = receipts[0].chain16
    fix = make_item(
        "vehicle.odometer/1", subject, Mark.SUPERSEDES, receipts[1].sid, odometer_km=11, odometer_state="read"
    )
    writer.append(checked.operator.id, REPORTED, [more(writer.find_chain(subject), fix, reading(subject, 30))])
    writer.take_census()
    writer.erase(chain, [3], "holder_request")
    verdict = checked.prove(chain)
    assert verdict.exit_code == 0
    entries = {entry["seq"]: entry for entry in get_report(verdict)["entries"]}
    assert sorted(entries) == [0, 1, 2, 4]
    assert (entries[1]["state"], entries[1]["superseded_by"]) == ("superseded", 3)
    # The corrected one erased as well: nothing is left for the correction to judge.
    writer.erase(chain, [1], "holder_request")
    verdict = checked.prove(chain)
    assert verdict.exit_code == 0
    assert [entry["seq"] for entry in get_report(verdict)["entries"]] == [0, 2, 4]


def test_erase__entries_under_an_erased_alias_are_withheld(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    plate = Subject("plate", "AB-123-CD", "FR")
    authority = writer.enrol_member("Registry", "registration_authority")
    alias = {"from": "2023-01-01", "subject": plate.to_json(), "until": "2024-01-01"}
    items: list[Item] = [
        opening(subject),
        make_item("vehicle.identity/1", subject, alias=alias),
        make_item("vehicle.odometer/1", plate, odometer_state="not_stated"),
        make_item("vehicle.odometer/1", subject, odometer_state="not_stated"),
    ]
    receipts = writer.append(authority.id, Basis.HOSTED, [Group(items)]).receipts
    writer.take_census()
    writer.erase(receipts[0].chain16, [1], "holder_request")
    verdict = checked.prove(receipts[0].chain16)
    assert verdict.exit_code == 0
    assert [entry["seq"] for entry in get_report(verdict)["entries"]] == [0, 3]


def test_erase__source_row_does_not_come_back(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    chains = fill(checked, writer)
    writer.erase(chains[1], [2], "holder_request")
    ref = writer.find_chain(subject)
    again = [reading(subject, km, source=make_source(1, km)) for km in (10, 20, 40)]
    outcome = writer.append(checked.operator.id, REPORTED, [more(ref, *again)])
    assert [refusal.reason for refusal in outcome.refusals] == [Reason.ALREADY_SEALED, Reason.ERASED]
    assert [receipt.place for receipt in outcome.receipts] == [2]


def test_erase__subject_does_not_come_back_unless_opened_anew(checked: TestNode) -> None:
    writer, subject = checked.open(), vin_subject(1)
    chains = fill(checked, writer)
    ref = writer.find_chain(subject)
    writer.erase(chains[1], None, "holder_request")
    assert writer.find_chain(subject) is None
    assert refused_reasons(writer, checked, sourced(1, 10, 50)) == [Reason.ERASED] * 3
    assert refused_reasons(writer, checked, more(ref, reading(subject, 60))) == [Reason.ERASED]
    anew = make_item("passport.opened/1", subject, occasion="file", after_erasure=True)
    rows = [reading(subject, km, source=make_source(1, km)) for km in (10, 50)]
    outcome = writer.append(checked.operator.id, REPORTED, [Group([anew, *rows])])
    assert [refusal.reason for refusal in outcome.refusals] == [Reason.ERASED]
    assert [receipt.place for receipt in outcome.receipts] == [0, 2]
    writer.take_census()
    assert checked.prove(outcome.receipts[0].chain16).exit_code == 0
    # And it may be erased again.
    writer.erase(outcome.receipts[0].chain16, None, "other")
    assert refused_reasons(writer, checked, sourced(1, 50)) == [Reason.ERASED] * 2


@ON_FILE
@pytest.mark.parametrize(
    "seqs,reason,wanted",
    [
        ([0], "other", Reason.TARGET_IS_OPENING),
        ([1, 0], "other", Reason.TARGET_IS_OPENING),
        ([9], "other", Reason.UNKNOWN_TARGET),
        ([], "other", Reason.UNKNOWN_TARGET),
        ([2], "because", Reason.NOT_IN_LIST),
        ([3], "other", Reason.ERASED),
    ],
)
def test_erase__refused(checked: TestNode, seqs: list[int], reason: str, wanted: Reason) -> None:
    writer = checked.open()
    chains = fill(checked, writer)
    writer.erase(chains[0], [3], "other")
    before, size = (checked.path / "node.db").read_bytes(), (checked.path / "node.db-wal").stat().st_size
    with pytest.raises(Refused) as caught:
        writer.erase(chains[0], seqs, reason)
    assert caught.value.reason is wanted
    assert (checked.path / "node.db").read_bytes() == before
    assert (checked.path / "node.db-wal").stat().st_size == size
    assert len(ErasureJournal(checked.path / "erasures.journal").read()) == 1


def test_erase__refused_unknown_and_erased_passport(checked: TestNode) -> None:
    writer = checked.open()
    chains = fill(checked, writer)
    with pytest.raises(Refused) as caught:
        writer.erase(bytes(16), None, "other")
    assert caught.value.reason is Reason.UNKNOWN_PASSPORT
    writer.erase(chains[0], None, "other")
    with pytest.raises(Refused) as caught:
        writer.erase(chains[0], None, "other")
    assert caught.value.reason is Reason.ERASED


@ON_FILE
def test_erase__copy_left_by_a_page_split_is_found_and_goes(checked: TestNode) -> None:
    """SQLite overwrites what is deleted, but a page split may leave behind a copy of what it moved. This store has
    one."""
    writer, chance = checked.open(), random.Random(3)
    subjects = [vin_subject(n) for n in range(600)]
    writer.append(checked.operator.id, REPORTED, [Group([opening(subject)]) for subject in subjects])
    for _ in range(8):
        chance.shuffle(subjects)
        for at in range(0, len(subjects), 100):
            groups = [
                more(
                    writer.find_chain(subject),
                    make_item("vehicle.battery/1", subject, note="x" * chance.choice((1, 30, 400, 999))),
                )
                for subject in subjects[at : at + 100]
            ]
            assert writer.append(checked.operator.id, REPORTED, groups).refusals == []
    writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = (checked.path / "node.db").read_bytes()
    rows = writer._connection.execute(
        "SELECT chain16, seq, content FROM entry JOIN chain ON chain.id = chain"
    ).fetchall()
    twice = [(chain16, seq) for chain16, seq, content in rows if seq and data.count(content) > 1]
    assert twice, "no page split left a copy: choose another seed"
    chain16, seq = twice[0]
    traces = note_traces(writer, chain16, [seq])
    _, found = writer.erase(chain16, [seq], "test_data")
    assert (found.is_rewritten, found.is_gone) == (True, True)
    assert find_in_files(checked.path, traces) == set()


@ON_FILE
def test_erase__waits_until_a_log_that_is_on_its_way_is_moved(checked: TestNode) -> None:
    """Pages of an older moment may not come into the store's file behind the search."""
    writer = checked.open()
    chains = fill(checked, writer)
    traces = note_traces(writer, chains[1], None)
    writer._mover.close()
    begun, may_go_on = threading.Event(), threading.Event()

    class SlowMover(LogMover):
        def _move(self, path: Path) -> None:
            begun.set()
            assert may_go_on.wait(20)
            super()._move(path)

    writer._mover = SlowMover(writer._home.address, writer._connection, max_pages=1_000)
    writer._mover._begin(checked.path / "node.db")
    assert begun.wait(20)
    found: list[bool] = []
    erasing = threading.Thread(target=lambda: found.append(writer.erase(chains[1], None, "holder_request")[1].is_gone))
    erasing.start()
    erasing.join(1.0)
    assert erasing.is_alive()
    may_go_on.set()
    erasing.join(20)
    assert found == [True]
    assert find_in_files(checked.path, traces) == set()


@ON_FILE
def test_erase__reader_that_holds_the_log_is_told_and_the_next_writer_finishes(checked: TestNode) -> None:
    writer = checked.open()
    chains = fill(checked, writer)
    traces = note_traces(writer, chains[1], None)
    reader = checked.read()
    assert len(list(reader.read_entries(chains[1]))) == 4
    _, found = writer.erase(chains[1], None, "holder_request")
    assert not found.is_gone
    assert not found.is_log_empty
    reader.refresh()
    with pytest.raises(Refused) as caught:
        list(reader.read_entries(chains[1]))
    assert caught.value.reason is Reason.UNKNOWN_PASSPORT
    reader.close()
    writer.close()
    with checked.open():
        pass
    assert find_in_files(checked.path, traces) == set()


@ON_FILE
def test_erase__is_not_said_to_be_gone_by_the_search_for_another(checked: TestNode) -> None:
    """A reader held the first back; when the second is searched for, nobody knows any more what the first was."""
    writer = checked.open()
    chains = fill(checked, writer)
    query = "SELECT cleared FROM erasure ORDER BY id"
    with checked.read() as reader:
        assert len(list(reader.read_entries(chains[1]))) == 4
        assert not writer.erase(chains[1], None, "holder_request")[1].is_gone
    assert writer.erase(chains[0], None, "holder_request")[1].is_gone
    assert writer._connection.execute(query).fetchall() == [(0,), (1,)]
    writer.finish_erasures()
    assert writer._connection.execute(query).fetchall() == [(1,), (1,)]


# ---- killed in the middle


@ON_FILE
def test_open_writer__finishes_what_was_begun(checked: TestNode, tmp_path: Path) -> None:
    """The journal has its line, the store has nothing yet: the state after a kill between the two."""
    with checked.open() as writer:
        chains = fill(checked, writer)
        traces = note_traces(writer, chains[1], None)
    shutil.copytree(checked.path, tmp_path / "copy")
    with checked.open() as writer:
        writer.erase(chains[1], None, "holder_request")
    shutil.copy(tmp_path / "copy" / "node.db", checked.path / "node.db")
    with checked.open() as writer:
        assert find_in_files(checked.path, traces) == set()
        assert not writer.is_census_owed, "it is not an older copy: its census is taken as well"
    assert checked.prove(chains[0]).exit_code == 0


@ON_FILE
@pytest.mark.parametrize("cut", [1, 40, 300])
def test_open_writer__line_that_was_cut_was_never_begun(checked: TestNode, tmp_path: Path, cut: int) -> None:
    with checked.open() as writer:
        chains = fill(checked, writer)
        writer.erase(chains[0], [1], "other")
    shutil.copytree(checked.path, tmp_path / "copy")
    with checked.open() as writer:
        writer.erase(chains[1], None, "holder_request")
    line = (checked.path / "erasures.journal").read_bytes().splitlines(keepends=True)[1]
    shutil.copy(tmp_path / "copy" / "node.db", checked.path / "node.db")
    first = (tmp_path / "copy" / "erasures.journal").read_bytes()
    (checked.path / "erasures.journal").write_bytes(first + line[:-cut])
    checked.check()
    with checked.open() as writer:
        assert writer.find_chain_by_id(chains[1]) is not None
        writer.erase(chains[1], [2], "other")
    assert len(ErasureJournal(checked.path / "erasures.journal").read()) == 2


def test_open_writer__lost_journal_is_written_again(checked: TestNode) -> None:
    with checked.open() as writer:
        chains = fill(checked, writer)
        writer.erase(chains[0], [1], "other")
    journal = checked.path / "erasures.journal"
    assert journal.stat().st_mode & 0o777 == 0o600
    data = journal.read_bytes()
    journal.unlink()
    assert [finding.table for finding in check_home(checked.path)] == ["erasures.journal"]
    checked.open().close()
    assert journal.read_bytes() == data


@pytest.mark.parametrize("line", [b"{}\n", b"x\n"], ids=["no erasure", "no object"])
def test_open_writer__refused_damaged_journal(node: TestNode, line: bytes) -> None:
    with node.open() as writer:
        writer.erase(fill(node, writer)[0], [1], "other")
    journal = node.path / "erasures.journal"
    journal.write_bytes(line + journal.read_bytes())
    with pytest.raises(Refused) as caught:
        node.open()
    assert caught.value.reason is Reason.NODE_DAMAGED
    assert [finding.table for finding in check_home(node.path)] == ["erasures.journal"]


def test_open_writer__refused_erasure_of_a_stranger(node: TestNode, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_node(tmp_path / "other", seed=b"another")
    with other.open() as writer:
        writer.erase(fill(other, writer)[0], None, "other")
    with node.open() as writer:
        chains = fill(node, writer)
    shutil.copy(other.path / "erasures.journal", node.path / "erasures.journal")
    with pytest.raises(Unverified):
        node.open()
    (node.path / "erasures.journal").unlink()
    with node.open() as writer:
        assert writer.find_chain_by_id(chains[0]) is not None
    node.check()


KILLED = """
import sys, time
from pathlib import Path
from carnet.node.writer import open_writer
import os
writer = open_writer(Path(sys.argv[1]), clock=lambda: time.time_ns() // 10**6, random_bytes=os.urandom)
print("ready", flush=True)
sys.stdin.readline()
for chain in sys.argv[2:]:
    writer.erase(bytes.fromhex(chain), None, "holder_request")
"""


def test_erase__killed_anywhere_is_not_begun_or_finished(tmp_path: Path) -> None:
    chance = random.Random(11)
    node = make_node(tmp_path)
    rounds = int(os.environ.get("CARNET_ERASURE_KILLS", "12"))
    with node.open() as writer:
        receipts = writer.append(node.operator.id, REPORTED, [sourced(n, 10, 20) for n in range(4 * rounds)]).receipts
        writer.take_census()
        chains = [receipt.chain16 for receipt in receipts if receipt.seq == 0]
        traces = {chain: note_traces(writer, chain, None) for chain in chains}
    states = set()
    limit_s = 0.04
    for round_ in range(rounds):
        wanted = chains[4 * round_ : 4 * round_ + 4]
        victim = start_victim(KILLED, node.path, *(chain.hex() for chain in wanted))
        assert victim.stdout.readline() == b"ready\n"
        victim.stdin.write(b"\n")
        time.sleep(chance.uniform(0, limit_s))
        victim.kill()
        begun = {signed.document for signed in ErasureJournal(node.path / "erasures.journal").read()}
        node.clock.now = time.time_ns() // 10**6
        with node.open() as writer:
            is_here = [writer.find_chain_by_id(chain) is not None for chain in wanted]
        assert is_here == sorted(is_here), "they are erased in order"
        for chain, here in zip(wanted, is_here, strict=True):
            assert here == (not any(chain.hex().encode() in document for document in begun))
            assert find_in_files(node.path, traces[chain]) == (set(traces[chain]) if here else set())
        states.add(sum(is_here))
        # A busy machine begins later: kills that come before much has happened say little.
        limit_s *= 2 if sum(is_here) > 2 else 0.7 if not any(is_here) else 1
        node.check()
    assert len(states) > 1, "every kill came too early, or too late"


# ---- what fsck makes of it


@pytest.mark.parametrize(
    "change,table",
    [
        ("UPDATE entry SET content = NULL, secret = NULL WHERE chain = 1 AND seq = 2", "entry"),
        ("UPDATE entry SET content = NULL WHERE chain = 1 AND seq = 2", "entry"),
        ("DELETE FROM entry WHERE chain = 1 AND seq = 3", "chain"),
        ("DELETE FROM entry WHERE chain = 1", "entry"),
        ("UPDATE entry SET content = x'00', secret = x'00' WHERE chain = 1 AND seq = 1", "erased_entry"),
        ("DELETE FROM erased_entry", "erased_entry"),
        ("DELETE FROM erased_link WHERE position = 4", "entry"),
        ("UPDATE erased_link SET position = 0 WHERE position = 4", "erased_link"),
        ("INSERT INTO erased_link SELECT seal, 0, erasure FROM erased_link LIMIT 1", "erased_link"),
        ("INSERT INTO erased_entry SELECT 1, 2, erasure, fields_root FROM erased_entry", "erased_entry"),
        ("DELETE FROM tombstone WHERE digest = (SELECT digest FROM tombstone ORDER BY digest LIMIT 1)", "tombstone"),
        ("INSERT INTO tombstone VALUES (x'01', 1)", "tombstone"),
        ("DELETE FROM erasure WHERE id = 1", "erasure"),
    ],
)
def test_check_home__holes_that_no_erasure_explains(node: TestNode, change: str, table: str) -> None:
    with node.open() as writer:
        chains = fill(node, writer)
        writer.erase(chains[0], [1], "other")
        writer.erase(chains[1], None, "other")
    node.check()
    assert change_behind(node, change) > 0
    assert table in {finding.table for finding in check_home(node.path)}


WRITE_BESIDE = """
import sys
from pysqlite3 import dbapi2 as sqlite
connection = sqlite.connect(sys.argv[1])
connection.execute("INSERT INTO beside VALUES ('theirs')")
connection.commit()
print([row[0] for row in connection.execute("SELECT who FROM beside")])
connection.close()
"""


def test_erase__keeps_the_locks_of_the_process_that_searches(tmp_path: Path) -> None:
    """A process that opened its own store's files to search them would lose its locks on them with that: the next one
    that closes them would remove the write-ahead log, and what either writes afterwards would be lost."""
    node = make_node(tmp_path)

    def write_beside(people: Path) -> str:
        command = [sys.executable, "-c", WRITE_BESIDE, str(people)]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    with node.open() as writer, open_people(Home(node.path)).store as store:
        passports = fill(node, writer)
        with store.write() as connection:
            connection.execute("CREATE TABLE beside (who TEXT)")
        before = list_locks()
        writer.erase(passports[0], None, "holder_request")
        assert before <= list_locks()
        assert write_beside(node.path / FILE) == "['theirs']"
        with store.write() as connection:
            connection.execute("INSERT INTO beside VALUES ('ours')")
        with store.read() as connection:
            found = [row[0] for row in connection.execute("SELECT who FROM beside").fetchall()]
        assert found == ["theirs", "ours"]
        assert write_beside(node.path / FILE) == "['theirs', 'ours', 'theirs']"


def list_locks() -> set[str]:
    """The files on which this process has POSIX locks, as the kernel lists them."""
    lines = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    return {line[5] for line in lines if line[1] == "POSIX" and line[4] == str(os.getpid())}


def test_find_files_with__finds_across_pieces_and_passes_over_what_has_gone(tmp_path: Path) -> None:
    trace = b"what was erased"
    inside, outside, empty = tmp_path / "inside", tmp_path / "outside", tmp_path / "empty"
    inside.write_bytes(b"\0" * (16 * 1024 * 1024 - 5) + trace)
    outside.write_bytes(b"\0" * 100)
    empty.write_bytes(b"")
    assert find_files_with([inside, outside, empty, tmp_path / "gone"], [trace]) == {inside}
    assert find_files_with([inside, outside], []) == set()
    with pytest.raises(IsADirectoryError):
        find_files_with([tmp_path, inside], [trace])


def test_journal__of_two_writers_has_the_lines_of_both(tmp_path: Path) -> None:
    """The journal beside the backups is written by a backup and by an erasure, which know nothing of each other."""
    path = tmp_path / "erasures.journal"
    sets = [
        [SignedErasure(encode({"number": number * 1_000 + at}), bytes(64)) for at in range(25)] for number in range(4)
    ]
    barrier = threading.Barrier(len(sets))

    def write(own: list[SignedErasure]) -> None:
        barrier.wait()
        for one in own:
            ErasureJournal(path).append([one])

    threads = [threading.Thread(target=write, args=(own,)) for own in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.document for one in ErasureJournal(path).read()} == {one.document for own in sets for one in own}
