"""A COMMIT whose reply is lost: the process dies with the commit done and nothing said, and whoever waited asks again.

The retry gets the same outcome and nothing stands twice. Each verb dies twice: with its commit lost, and with its
commit done and its reply lost.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from carnet.errors import Reason
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.reader import open_reader
from carnet.services.founding import found, get_operator, open_writer_at
from carnet.types import Basis
from tests.cli.run import carnet
from tests.faults.oracle import Oracle, check_resumed, make_source
from tests.faults.tracing import Traced, needs_strace, run_traced
from tests.node.home import more, new_passport, reading, vin_subject

ROWS_EACH, VEHICLES = 300, 5
ROWS = ROWS_EACH * VEHICLES


class Ground:
    """A founded home, and verbs that die on it at a chosen call."""

    def __init__(self, path: Path) -> None:
        self.path, self.home = path, path / "home"
        found(Home(self.home))

    def die(self, inject: str, file: Path, *arguments: str | Path) -> None:
        """Run a verb until its first such call on this file."""
        ran: Traced = run_traced(arguments, self.home, self.path / "trace", inject=inject, watched=[file])
        assert ran.code in (-signal.SIGKILL, 128 + signal.SIGKILL), ran

    def count_records(self) -> int:
        with open_reader(self.home) as reader:
            return reader.state.size


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@needs_strace
@pytest.mark.parametrize("is_done", [False, True], ids=["lost", "done"])
def test_import__that_died_at_its_commit_is_resumed(ground: Ground, is_done: bool) -> None:
    source = make_source(ground.path / "source.jsonl", VEHICLES, ROWS_EACH)
    receipts, oracle = ground.path / "receipts", Oracle()
    command = ("import", "histovec", source, "--receipts", receipts, "--workers", "0")
    before = ground.count_records()
    # The first receipt is written when the first commit has returned; a commit begins at the log's header.
    if is_done:
        ground.die("write:signal=KILL:when=1", receipts, *command)
    else:
        ground.die("pwrite64:signal=KILL:when=12", ground.home / "node.db-wal", *command)
    assert receipts.read_bytes() == b""
    summary = check_resumed(ground.home, source, oracle, ROWS, VEHICLES)
    # Four vehicles fill a batch of a thousand rows.
    assert (summary.duplicate, summary.sealed) == ((1_200, 300) if is_done else (0, ROWS))
    assert ground.count_records() > before
    again = check_resumed(ground.home, source, oracle, ROWS, VEHICLES)
    assert (again.duplicate, again.sealed) == (ROWS, 0)


@needs_strace
@pytest.mark.parametrize("is_done", [False, True], ids=["lost", "done"])
def test_member__that_was_enrolled_without_an_answer_is_not_enrolled_twice(ground: Ground, is_done: bool) -> None:
    command = ("member", "add", "--name", "A garage", "--kind", "garage", "--json")
    if is_done:
        # The answer is the last thing that is written, to the standard output.
        out = ground.path / "out"
        ran = run_traced(
            command, ground.home, ground.path / "trace", inject="write:signal=KILL:when=1", watched=[out], out=out
        )
        assert ran.code in (-signal.SIGKILL, 128 + signal.SIGKILL), ran
        assert out.read_bytes() == b""
    else:
        # The key is kept by then, and belongs to nobody.
        ground.die("rename:signal=KILL:when=1", ground.home / "keys.json.new", *command)
    again = carnet(*command, home=ground.home)
    if is_done:
        assert again.code == 1
        assert again.json_error["error"] == Reason.MEMBER_EXISTS
    else:
        assert again.code == 0
    members = carnet("member", "list", "--json", home=ground.home).json_lines
    assert sum(member["name"] == "A garage" for member in members) == 1
    assert check_home(ground.home) == []


@needs_strace
@pytest.mark.parametrize("is_done", [False, True], ids=["lost", "done"])
def test_erase__that_died_has_happened_once(ground: Ground, is_done: bool) -> None:
    """From its line in the journal on it has begun: the next writer finishes it, and a retry is told so."""
    with open_writer_at(Home(ground.home), None, "a test") as writer:
        passport = writer.append(get_operator(writer).id, Basis.REPORTED, [new_passport(7, 1, 2)]).receipts[0].chain16
        writer.take_census()
    command = ("erase", passport.hex(), "--reason", "test_data", "--yes", "--json")
    if is_done:
        # Its line is written, and nothing is carried out yet.
        ground.die("fsync:signal=KILL:when=1", ground.home / "erasures.journal", *command)
    else:
        ground.die("write:signal=KILL:when=1", ground.home / "erasures.journal", *command)
    again = carnet(*command, home=ground.home)
    if is_done:
        assert again.code == 1
        assert again.json_error["error"] == Reason.ERASED
    else:
        assert again.code == 0
    assert check_home(ground.home) == []
    with open_reader(ground.home) as reader:
        assert reader.count_passports() == 0


def test_commit__of_a_submission_that_is_handed_over_again_adds_nothing(ground: Ground) -> None:
    """The very submission, prepared once: whoever got no answer sends the same bytes to the next writer."""
    subject = vin_subject(9)
    with open_writer_at(Home(ground.home), None, "a test") as writer:
        member = get_operator(writer).id
        opened = writer.prepare(writer.make_job(member, Basis.REPORTED, [new_passport(9, 10, 20)]))
        assert len(writer.commit([opened])[0].receipts) == 3
        grown = more(writer.find_chain(subject), reading(subject, 30), reading(subject, 40))
        added = writer.prepare(writer.make_job(member, Basis.REPORTED, [grown]))
        assert len(writer.commit([added])[0].receipts) == 2
        # Nobody heard it; the process ends.
    for prepared, reasons in ((opened, [Reason.SUBJECT_TAKEN] * 3), (added, [Reason.STATEMENT_LINKED] * 2)):
        with open_writer_at(Home(ground.home), None, "a test") as writer:
            again = writer.commit([prepared])[0]
        assert again.receipts == []
        assert [refusal.reason for refusal in again.refusals] == reasons
    with open_reader(ground.home) as reader:
        assert (reader.count_passports(), reader.count_entries()) == (1, 5)
    assert check_home(ground.home) == []
