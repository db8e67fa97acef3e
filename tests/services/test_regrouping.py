"""Rows of a file in an order that suits the store: nothing lost, no vehicle's rows out of order, nothing held long."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from carnet.formats.faults import Origin
from carnet.formats.rows import Row
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.passport.subject import encode_subject
from carnet.services.founding import found, get_operator, now_ms, open_writer_at
from carnet.services.importing import HISTOVEC, Sinks, import_file
from carnet.services.reading import open_reader
from carnet.services.regrouping import MAX_WAITING_ROWS, SPAN, Batch, Held, Regrouping, read_held
from carnet.types import Subject
from carnet.vault.sealing import compute_source_digests
from tests.cli.run import make_inspection, make_line

BATCH = 100
KNOWN = 20_000
"""Vehicles below this number have a passport, with this number."""


def make_row(vehicle: int, row: int, *, source: bytes = b"row", plate: Subject | None = None) -> Row:
    subject = Subject("histovec", f"HV{vehicle:06x}")
    return Row(row, row, subject, "vehicle.inspection/1", {"subject": subject.to_json()}, source, plate)


def get_vehicle(subject: bytes) -> int:
    value: str = msgspec.json.decode(subject)["value"]
    return int(value[2:], 16)


def find_numbers(subjects: Sequence[bytes]) -> list[int | None]:
    return [number if (number := get_vehicle(subject)) < KNOWN else None for subject in subjects]


def encode(row: Row | Held) -> bytes:
    return encode_subject(row.subject)


def list_rows(batch: Batch) -> list[Row | Held]:
    if batch.waited is None:
        return list(batch.rows)
    return [read_held(row, batch.waited.shapes) for row in batch.waited.rows]


def regroup(rows: list[Row]) -> Iterator[Batch]:
    regrouping = Regrouping(find_numbers, bytes(32), lambda: BATCH)
    for at in range(0, len(rows), BATCH):
        yield from regrouping.add(rows[at : at + BATCH])
    yield from regrouping.drain()


def make_scattered(count: int, vehicles: int) -> list[Row]:
    chance = random.Random(count)
    return [make_row(chance.randrange(vehicles), row) for row in range(count)]


@pytest.mark.parametrize("vehicles", [3 * KNOWN // 2, KNOWN // 100])
def test_regroup__gives_each_row_once_and_those_of_a_vehicle_in_their_order(vehicles: int) -> None:
    rows = make_scattered(MAX_WAITING_ROWS + 3_333, vehicles)
    given = [row for batch in regroup(rows) for row in list_rows(batch)]
    assert sorted(row.row for row in given) == [row.row for row in rows]
    last: dict[Subject, int] = {}
    for row in given:
        assert last.get(row.subject, -1) < row.row
        last[row.subject] = row.row


def test_regroup__brings_rows_of_neighbours_together() -> None:
    def count_spans(batches: Iterable[Sequence[Row | Held]]) -> float:
        spans = [len({get_vehicle(encode(row)) // SPAN for row in rows}) for rows in batches]
        return sum(spans) / len(spans)

    rows = make_scattered(2 * MAX_WAITING_ROWS, KNOWN)
    before = count_spans(rows[at : at + BATCH] for at in range(0, len(rows), BATCH))
    after = count_spans(list_rows(batch) for batch in regroup(rows))
    assert after < before / 20


def test_regroup__gives_rows_as_they_came() -> None:
    """What many rows share is kept once: their kinds, and the header and the frame of their origins."""
    chance = random.Random(5)
    origins = [None, *(Origin(b"", *common) for common in ((b"", "lines"), (b"a;b", "lines"), (b"a;b", "utf-16")))]
    rows = []
    for number, row in enumerate(make_scattered(6_000, 500)):
        origin, source = chance.choice(origins), b"source %d" % number
        odd = {"number": number, "text": "é" * chance.randrange(3), "nothing": None, "list": [{"a": 1.5}]}
        fields = row.fields | odd
        kind = chance.choice(["vehicle.inspection/1", "vehicle.odometer/1"])
        origin = None if origin is None else origin._replace(data=b"data %d" % number)
        rows.append(row._replace(kind=kind, content=fields, source_bytes=source, origin=origin, line=number + 7))
    given = {row.row: row for batch in regroup(rows) for row in list_rows(batch) if isinstance(row, Held)}
    digests = compute_source_digests(bytes(32), [row.source_bytes for row in rows])
    for row, digest in zip(rows, digests, strict=True):
        held = given[row.row]
        assert (held.line, held.subject, held.kind, held.origin) == (row.line, row.subject, row.kind, row.origin)
        assert msgspec.msgpack.decode(held.fields) == row.fields
        assert held.source == digest
        assert held.data == (row.source_bytes if row.origin is None else row.origin.data)


def test_regroup__says_the_numbers_that_were_found() -> None:
    for batch in regroup(make_scattered(5_000, 2 * KNOWN)):
        subjects, numbers, counts, rows, shapes = batch.waited or pytest.fail("no row of these had to wait")
        assert numbers == find_numbers(subjects)
        told = [subject for subject, count in zip(subjects, counts, strict=True) for _ in range(count)]
        assert [encode(read_held(row, shapes)) for row in rows] == told
        assert all(counts)


def test_regroup__gives_the_same_order_in_each_process() -> None:
    """A file that is read again is sealed in the same order, whichever numbers its vehicles hash to there."""
    rows = make_scattered(500, 2 * KNOWN)
    met = [subject for batch in regroup(rows) if batch.waited is not None for subject in batch.waited.subjects]
    first = {subject: place for place, subject in enumerate(dict.fromkeys(map(encode, rows)))}
    known = [one for one in met if get_vehicle(one) < KNOWN]
    assert known == sorted(known, key=lambda one: (get_vehicle(one) // SPAN, first[one]))
    new = [one for one in met if get_vehicle(one) >= KNOWN]
    assert new == sorted(new, key=first.__getitem__)


def test_regroup__holds_no_more_than_its_bounds() -> None:
    held = 0
    regrouping = Regrouping(find_numbers, bytes(32), lambda: BATCH)
    for at in range(0, 2 * MAX_WAITING_ROWS, BATCH):
        rows = [make_row((7919 * row) % KNOWN, row) for row in range(at, at + BATCH)]
        given = [len(list_rows(batch)) for batch in regrouping.add(rows)]
        held += BATCH - sum(given)
        assert held <= MAX_WAITING_ROWS
    long = [make_row((7919 * row) % KNOWN, row, source=bytes(1 << 20)) for row in range(BATCH)]
    given = [len(list_rows(batch)) for batch in regrouping.add(long)]
    assert held + BATCH - sum(given) < MAX_WAITING_ROWS // 2


def test_regroup__lets_a_file_pass_that_is_grouped() -> None:
    rows = [make_row(row // 6, row) for row in range(10 * BATCH)]
    assert [batch.rows for batch in regroup(rows)] == [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def test_regroup__no_row_with_a_plate_overtakes() -> None:
    plate = Subject("plate", "AB-123-CD", "FR")
    rows = make_scattered(3 * BATCH, KNOWN)
    rows[BATCH] = make_row(7, BATCH, plate=plate)
    rows[2 * BATCH] = rows[2 * BATCH]._replace(subject=plate)
    batches = [{row.row for row in list_rows(batch)} for batch in regroup(rows)]
    assert batches[:2] == [set(range(BATCH)), set(range(BATCH, 2 * BATCH))]
    assert set(range(2 * BATCH, 3 * BATCH)) in batches


def test_import__of_scattered_rows_seals_what_a_grouped_file_does(tmp_path: Path) -> None:
    vehicles, years = range(40), range(2001, 2006)
    lines = {(v, y): make_line(f"HV{v:04x}", make_inspection(date=f"{y}-03-04")) for v in vehicles for y in years}
    grouped = [lines[v, y] for v in vehicles for y in years]
    scattered = [lines[v, y] for y in years for v in random.Random(y).sample(vehicles, len(vehicles))]
    told: list[dict[str, list[str]]] = []
    for name, given in (("grouped", grouped), ("scattered", scattered)):
        home = Home(tmp_path / name)
        found(home, name="regrouping.example")
        with open_writer_at(home, None, "test") as writer:
            for part in (given[:60], given[60:]):
                summary = import_file(writer, get_operator(writer), HISTOVEC, part, now_ms(), batch_rows=16)
                assert (summary.sealed, summary.faulty, summary.duplicate) == (len(part), 0, 0)
            again = import_file(writer, get_operator(writer), HISTOVEC, given, now_ms(), batch_rows=16)
            assert again.duplicate == len(given)
        assert not check_home(home.path)
        with open_reader(home) as reader:
            told.append(
                {
                    str(passport.subject): [
                        str(entry.fields["occurred"])
                        for entry in reader.read_entries(passport.chain16)
                        if entry.fields is not None and entry.kind != "passport.opened/1"
                    ]
                    for passport in reader.list_passports()
                }
            )
    assert told[0] == told[1]
    assert all(moments == sorted(moments) and len(moments) == len(years) for moments in told[0].values())


def test_import__of_scattered_rows_tells_each_row_by_its_number(tmp_path: Path) -> None:
    """A receipt says the row of the file, and a fault what that row said; a row that stands twice is sealed once."""
    vehicles = range(60)
    lines = [make_line(f"HV{v:04x}", make_inspection(pv=str(v))) for v in vehicles]
    # These were sealed already, and wait again beside new ones of the same vehicles.
    again = [make_line(f"HV{v:04x}", make_inspection(pv=f"again {v}")) for v in vehicles]
    file = [*lines, *again, *again[:7]]
    random.Random(3).shuffle(file)
    home = Home(tmp_path / "home")
    found(home, name="regrouping.example")
    with open_writer_at(home, None, "test") as writer:
        assert import_file(writer, get_operator(writer), HISTOVEC, lines, now_ms()).sealed == len(lines)
        receipts = io.BytesIO()
        summary = import_file(writer, get_operator(writer), HISTOVEC, file, now_ms(), sinks=Sinks(receipts=receipts))
        assert (summary.sealed, summary.duplicate, summary.faulty) == (60, 67, 0)
        told = {line["statement"]: line["row"] for line in map(json.loads, receipts.getvalue().splitlines())}
        assert len(told) == 60
    with open_reader(home) as reader:
        for passport in reader.list_passports():
            for entry in reader.read_entries(passport.chain16):
                row = told.pop(entry.sid.hex(), None)
                if row is not None:
                    assert json.loads(file[row - 1])["inspections"][0]["pv"] == entry.fields["report_number"]
    assert not told
