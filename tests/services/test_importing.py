"""What the importing service promises below the command line: counting, order of receipts, refusals of the ledger."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.formats.rows import Row
from carnet.node.home import Home
from carnet.node.jobs import Group, Item
from carnet.node.pool import PreparePool
from carnet.node.writer import Writer
from carnet.services.exporting import is_census_due
from carnet.services.founding import found, get_operator, now_ms, open_writer_at
from carnet.services.import_run import Run
from carnet.services.importing import HISTOVEC, Sinks, Summary, import_file
from carnet.services.reading import open_reader
from carnet.services.receipts import KeptReceipts
from carnet.services.regrouping import Batch, Regrouping
from carnet.types import Basis, Subject
from tests.cli.run import make_inspection, make_line

VEHICLES = 60


def make_rows(years: range) -> list[bytes]:
    return [
        make_line(f"HV{vehicle:04x}", *(make_inspection(date=f"{year}-03-04", pv=f"{year}") for year in years))
        for vehicle in range(VEHICLES)
    ]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    found(made, name="services.example")
    return made


def run(writer: Writer, lines: list[bytes], sinks: Sinks | None = None, batch_rows: int = 50) -> Summary:
    return import_file(
        writer, get_operator(writer), HISTOVEC, lines, now_ms(), sinks=sinks or Sinks(), batch_rows=batch_rows
    )


def test_import__counts_a_passport_once_however_often_it_comes(home: Home) -> None:
    with open_writer_at(home, None, "test") as writer:
        first = run(writer, make_rows(range(2001, 2003)) + make_rows(range(2003, 2005)))
        assert (first.sealed, first.opened, first.passports) == (4 * VEHICLES, VEHICLES, VEHICLES)
        # Old passports and new ones, old rows and new ones, twice over.
        newer = make_line("HVffff", make_inspection())
        second = run(writer, [*make_rows(range(2004, 2006)), newer, newer, *make_rows(range(2004, 2006))])
        assert (second.sealed, second.duplicate) == (VEHICLES + 1, 3 * VEHICLES + 1)
        assert (second.opened, second.passports) == (1, VEHICLES + 1)
        assert second.rows_read == second.sealed + second.duplicate + second.faulty
    with open_reader(home) as reader:
        assert not is_census_due(reader)


def test_import__writes_a_receipt_only_after_its_commit(home: Home) -> None:
    with open_writer_at(home, None, "test") as writer:
        sealed: list[int] = []

        class Witness(io.BytesIO):
            """Reads the store, as another process would, whenever receipts are flushed."""

            def flush(self) -> None:
                with open_reader(home) as reader:
                    for line in self.getvalue().splitlines()[len(sealed) :]:
                        receipt = json.loads(line)
                        entries = list(reader.read_entries(bytes.fromhex(receipt["passport"])))
                        assert entries[receipt["seq"]].sid.hex() == receipt["statement"]
                        sealed.append(receipt["row"])

        receipts = Witness()
        run(writer, make_rows(range(2001, 2004)), Sinks(receipts=receipts))
        assert sealed == list(range(1, 3 * VEHICLES + 1))


def test_import__a_stop_between_commits_loses_only_what_was_not_acknowledged(home: Home) -> None:
    class Stop(Exception):
        pass

    def lines() -> list[bytes]:
        return make_rows(range(2001, 2004))

    class Flaky(io.BytesIO):
        """Fails when the second batch's receipts are written: done, but not acknowledged."""

        count = 0

        def flush(self) -> None:
            self.count += 1
            if self.count == 2:
                raise Stop

    with open_writer_at(home, None, "test") as writer, pytest.raises(Stop):
        run(writer, lines(), Sinks(receipts=Flaky()))
    with open_writer_at(home, None, "test") as writer:
        again = run(writer, lines())
    assert (again.sealed + again.duplicate, again.faulty) == (3 * VEHICLES, 0)
    assert again.duplicate > 0
    with open_reader(home) as reader:
        assert reader.count_entries() == 4 * VEHICLES


def check_receipts(home: Home, receipts: bytes, row_count: int) -> None:
    """Each row has one receipt, of a statement that stands where it says; each statement has one."""
    told = [json.loads(line) for line in receipts.splitlines()]
    assert sorted(one["row"] for one in told) == list(range(1, row_count + 1))
    assert len({one["statement"] for one in told}) == row_count
    with open_reader(home) as reader:
        for one in told:
            entries = list(reader.read_entries(bytes.fromhex(one["passport"])))
            assert (entries[one["seq"]].sid.hex(), entries[one["seq"]].seal) == (one["statement"], one["record"])


@pytest.mark.parametrize("is_grouped", [True, False])
@pytest.mark.parametrize("stopped_at", [1, 49, 120, 3 * VEHICLES])
def test_import__gives_the_receipts_that_a_stop_kept_from_it(home: Home, is_grouped: bool, stopped_at: int) -> None:
    class Stop(Exception):
        pass

    class Stopping(io.BytesIO):
        """Ends with a receipt that is durable, and not acknowledged."""

        count = 0

        def flush(self) -> None:
            self.count += 1
            if self.count == stopped_at:
                raise Stop

    if is_grouped:
        lines = make_rows(range(2001, 2004))
    else:
        lines = [line for year in range(2001, 2004) for line in make_rows(range(year, year + 1))]
    receipts = Stopping()
    with open_writer_at(home, None, "test") as writer, pytest.raises(Stop):
        run(writer, lines, Sinks(receipts=receipts, kept=KeptReceipts()))
    assert len(receipts.getvalue().splitlines()) == stopped_at
    for is_again in (False, True):
        kept = KeptReceipts(receipts.getvalue().splitlines())
        with open_writer_at(home, None, "test") as writer:
            after = run(writer, lines, Sinks(receipts=receipts, kept=kept))
        assert (after.sealed + after.duplicate, after.faulty) == (3 * VEHICLES, 0)
        assert after.sealed == 0 or not is_again
        check_receipts(home, receipts.getvalue(), 3 * VEHICLES)


def test_import__a_row_that_stands_twice_gets_its_receipt_twice(home: Home) -> None:
    lines, receipts = make_rows(range(2001, 2002)), io.BytesIO()
    with open_writer_at(home, None, "test") as writer:
        run(writer, [*lines, *lines], Sinks(receipts=receipts, kept=KeptReceipts()))
    told = {one["row"]: one for one in map(json.loads, receipts.getvalue().splitlines())}
    assert sorted(told) == list(range(1, 2 * VEHICLES + 1))
    for number in range(1, VEHICLES + 1):
        assert told[number] == told[number + VEHICLES] | {"row": number}


def test_import__gives_nobody_receipts_of_anothers_rows(home: Home) -> None:
    receipts = io.BytesIO()
    with open_writer_at(home, None, "test") as writer:
        other = writer.enrol_member("The centre", "inspection_centre")
        sinks = Sinks(receipts=receipts, kept=KeptReceipts())
        run(writer, make_rows(range(2001, 2002)))
        lines = make_rows(range(2001, 2003))
        known = import_file(writer, other, HISTOVEC, lines, now_ms(), sinks=sinks, basis=Basis.HOSTED)
    assert (known.sealed, known.duplicate) == (VEHICLES, VEHICLES)
    assert len(receipts.getvalue().splitlines()) == VEHICLES


def test_kept_receipts__of_a_file_that_is_not_whole() -> None:
    sid = bytes(range(32))
    line = json.dumps({"row": 7, "sig": "s", "statement": sid.hex()}).encode()
    torn = [line[:-3], b"", bytes(40), b'{"row": 7}', line.replace(b": 7", b': "7"'), line.replace(b"00", b"zz")]
    assert not KeptReceipts(torn).has(7, sid)
    kept = KeptReceipts([*torn, line])
    assert kept.has(7, sid)
    assert not kept.has(8, sid)
    assert not kept.has(7, sid[::-1])


def test_append__refused_subject_mismatch_for_a_plate_that_is_another_vehicles(home: Home) -> None:
    with open_writer_at(home, None, "test") as writer:
        run(writer, make_rows(range(2001, 2002)))
        chain = writer.find_chain(Subject("histovec", "HV0001"))
        fields = {
            "kind": "vehicle.inspection/1",
            "occurred": {"at": "2020-02-02", "precision": "day", "zone": None},
            "odometer_state": "not_stated",
            "subject": {"country": "FR", "scheme": "plate", "value": "AB-123-CD"},
        }
        before = writer.state.size
        outcome = writer.append(get_operator(writer).id, Basis.REPORTED, [Group([Item(fields["kind"], fields)], chain)])
        assert [refusal.reason for refusal in outcome.refusals] == [Reason.SUBJECT_MISMATCH]
        assert (outcome.receipts, writer.state.size) == ([], before)


def test_get_operator__refused_unknown_member(home: Home) -> None:
    with open_writer_at(home, None, "test") as writer, pytest.raises(Refused) as refused:
        get_operator(writer, "nobody")
    assert refused.value.reason is Reason.UNKNOWN_MEMBER


@pytest.mark.parametrize("is_sorted", [False, True])
def test_import__goes_into_a_passport_that_another_opened_meanwhile(home: Home, is_sorted: bool) -> None:
    """Two members' files at once, about the same new vehicles: no good row is told as faulty."""
    lines = [make_line(f"HV{number:04x}", make_inspection(pv="mine")) for number in range(20)]
    others = [make_line(f"HV{number:04x}", make_inspection(pv="theirs")) for number in range(20)]
    items = [item for item in HISTOVEC.read(lines, now_ms()) if isinstance(item, Row)]
    with open_writer_at(home, None, "test") as writer, PreparePool(writer.context(), 0) as pool:
        other = writer.enrol_member("The centre", "inspection_centre")
        mine = Run(writer, get_operator(writer), pool, now_ms(), Sinks(), lambda _: None, None, 3, window=5)
        batch = Batch(items)
        if is_sorted:
            regrouping = Regrouping(mine.find_numbers, writer.index_key, lambda: 100)
            (batch,) = [*regrouping.add(items), *regrouping.drain()]
        mine.add(batch)
        # It has found no passports, and is on its way.
        theirs = import_file(writer, other, HISTOVEC, others[:15], now_ms(), basis=Basis.HOSTED)
        mine.drain()
        assert (theirs.sealed, theirs.opened) == (15, 15)
        assert (mine.summary.sealed, mine.summary.faulty, mine.summary.duplicate) == (20, 0, 0)
        assert (mine.summary.opened, mine.summary.passports) == (5, 20)
    with open_reader(home) as reader:
        assert (reader.count_passports(), reader.count_entries()) == (20, 20 + 35)
