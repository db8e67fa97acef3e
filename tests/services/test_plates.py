"""Rows about plates: they find the vehicle that had the plate on the day, and one that contradicts it is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.formats.mapping_document import read_mapping
from carnet.node.jobs import Group
from carnet.services.importers import make_dvsa, make_mapped, make_rdw
from carnet.services.importing import Format, Sinks, Summary, import_file
from carnet.services.plates import Plates
from carnet.services.receipts import KeptReceipts
from carnet.types import Basis, Mark, Subject
from tests.node.home import TestNode, make_item, make_node, opening

OLD, NEW = Subject("plate", "AB-123-CD", "FR"), Subject("plate", "EF-456-GH", "FR")
FIRST, SECOND = Subject("vin", "WVWZZZ1KZ7P100000"), Subject("vin", "WVWZZZ1KZ7P100001")
DUTCH = Subject("plate", "11-ZKZ-3", "NL")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TestNode]:
    """An authority has declared: the first car had OLD in 2020 and has had NEW since; the second has had OLD since
    2022."""
    made = make_node(tmp_path)
    writer = made.open()
    authority = writer.enrol_member("Registry", "registration_authority")
    writer.append(
        authority.id,
        Basis.HOSTED,
        [
            Group([opening(FIRST), declare(FIRST, OLD, "2020-01-01", "2021-01-01"), declare(FIRST, NEW, "2021-01-01")]),
            Group([opening(SECOND), declare(SECOND, OLD, "2022-01-01")]),
        ],
    )
    yield made
    made.close()
    made.check()


def declare(subject: Subject, plate: Subject, since: str, until: str | None = None) -> Any:
    return make_item("vehicle.identity/1", subject, alias={"from": since, "subject": plate.to_json(), "until": until})


def import_rows(node: TestNode, format_: Format, data: bytes) -> Summary:
    return import_file(node.writers[0], node.operator, format_, [data], node.clock())


def map_rows(**changes: Any) -> Format:
    document = {
        "reader": {"type": "delimited"},
        "kind": "vehicle.odometer/1",
        "subject": {"scheme": "vin", "column": "vin"},
        "occurred": {"column": "date"},
        "odometer": {"column": "km", "unit": "km"},
    }
    return make_mapped(read_mapping(document | changes), None)


def plates_only(rows: str) -> tuple[Format, bytes]:
    format_ = map_rows(subject={"scheme": "plate", "column": "plate", "country": "FR"})
    return format_, ("plate,date,km\n" + rows).encode()


def tell(summary: Summary) -> list[tuple[int, Reason]]:
    return [(fault.row, fault.rule) for fault in summary.first_faults]


def count_entries(node: TestNode, subject: Subject) -> int:
    with node.read() as reader:
        chain = reader.find_subject(subject)
        return 0 if chain is None else len(list(reader.read_entries(chain)))


def test_import__rows_about_a_plate_find_its_vehicle_of_that_day(node: TestNode) -> None:
    rows = "AB-123-CD,2020-06-01,1000\nef456gh,2021-06-01,2000\nAB-123-CD,2022-06-01,50\n"
    before = count_entries(node, FIRST), count_entries(node, SECOND)
    summary = import_rows(node, *plates_only(rows))
    assert (summary.sealed, summary.faulty, summary.passports, summary.opened) == (3, 0, 2, 0)
    assert (count_entries(node, FIRST), count_entries(node, SECOND)) == (before[0] + 2, before[1] + 1)
    again = import_rows(node, *plates_only(rows))
    assert (again.sealed, again.duplicate) == (0, 3)


def test_import__gives_rows_about_a_plate_their_receipts_again(node: TestNode) -> None:
    """Also where the writer finds that they are sealed, since the batch before had nothing that was."""
    format_, data = plates_only("EF-456-GH,2021-06-01,2000\n")
    assert import_rows(node, format_, data).sealed == 1
    receipts = BytesIO()
    sinks = Sinks(receipts=receipts, kept=KeptReceipts())
    format_, data = plates_only("AB-123-CD,2020-06-01,1000\nEF-456-GH,2021-06-01,2000\nAB-123-CD,2020-06-01,1000\n")
    summary = import_file(
        node.writers[0], node.operator, format_, [data], node.clock(), sinks=sinks, batch_rows=1, worker_count=0
    )
    assert (summary.sealed, summary.duplicate) == (1, 2)
    told = {one["row"]: one for one in map(json.loads, receipts.getvalue().splitlines())}
    assert sorted(told) == [1, 2, 3]
    assert told[3] == told[1] | {"row": 3}


def test_import__refused_rows_about_a_plate_that_names_no_vehicle(node: TestNode) -> None:
    rows = "ZZ-999-ZZ,2020-06-01,1\nAB-123-CD,2021-06-01,2\nAB-123-CD,2019-12-31,3\nAB-123-CD,,4\n"
    summary = import_rows(node, *plates_only(rows))
    assert (summary.sealed, summary.opened) == (0, 0)
    assert tell(summary) == [(1, Reason.UNKNOWN_PASSPORT), *((row, Reason.NOT_ALIAS) for row in (2, 3, 4))]
    assert "no passport here has the plate ZZ-999-ZZ (FR)" in summary.first_faults[0].message


def test_import__refused_subject_mismatch_where_vin_and_plate_contradict_each_other(node: TestNode) -> None:
    format_ = map_rows(plate={"column": "plate", "country": "FR"})
    rows = [
        (FIRST, "AB-123-CD", "2020-06-01"),  # as declared
        (FIRST, "EF-456-GH", "2020-06-01"),  # it had another one then
        (FIRST, "AB-123-CD", "2022-06-01"),  # that of the second car by then
        (FIRST, "ZZ-999-ZZ", "2019-06-01"),  # nobody knows what it had then
        (FIRST, "ZZ-999-ZZ", "2021-06-01"),  # somebody does
        (SECOND, "EF-456-GH", "2021-06-01"),  # the first car's
        (Subject("vin", "WVWZZZ1KZ7P100002"), "EF-456-GH", "2021-06-01"),  # a car that is new here
        (Subject("vin", "WVWZZZ1KZ7P100003"), "ZZ-999-ZZ", "2021-06-01"),  # both are new
        (FIRST, "ZZ-999-ZZ", ""),  # no day: it never had this one
        (FIRST, "AB-123-CD", ""),  # it had, at some time
    ]
    text = "vin,plate,date,km\n" + "".join(
        f"{vin.value},{plate},{day},{at}\n" for at, (vin, plate, day) in enumerate(rows)
    )
    summary = import_rows(node, format_, text.encode())
    assert tell(summary) == [(row, Reason.SUBJECT_MISMATCH) for row in (2, 3, 5, 6, 7, 9)]
    assert summary.sealed == 4
    said = summary.first_faults[0].message
    assert said.startswith("plate and vin contradict each other: WVWZZZ1KZ7P100000 had AB-123-CD on 2020-06-01")
    assert said.endswith("and the row gives EF-456-GH")
    assert "EF-456-GH was another vehicle's on 2021-06-01" in summary.first_faults[3].message


def test_import__an_alias_that_was_superseded_or_only_reported_says_nothing(node: TestNode) -> None:
    writer = node.writers[0]
    authority = next(member for member in writer.state.members.all if member.name == "Registry")
    third, plate = Subject("vin", "WVWZZZ1KZ7P100004"), Subject("plate", "GG-111-GG", "FR")
    outcome = writer.append(authority.id, Basis.HOSTED, [Group([opening(third), declare(third, plate, "2020-01-01")])])
    chain = writer.find_chain(third)
    correction = make_item(
        "passport.corrected/1", third, Mark.SUPERSEDES, outcome.receipts[1].sid, reason="typing_error"
    )
    assert writer.append(authority.id, Basis.HOSTED, [Group([correction], chain)]).refusals == []
    other = Subject("plate", "HH-222-HH", "FR")
    writer.append(node.operator.id, Basis.REPORTED, [Group([declare(third, other, "2020-01-01")], chain)])
    plates = Plates(writer)
    for known in (plate, other):
        assert not plates.is_known(known)
        with pytest.raises(Refused) as refused:
            plates.get_passport(known, "2020-06-01")
        assert refused.value.reason is Reason.UNKNOWN_PASSPORT
    # Nor does it contradict a row.
    plates.check_agreement(third, Subject("plate", "KK-333-KK", "FR"), "2020-06-01")


def test_import__refused_plate_that_two_passports_claim(node: TestNode) -> None:
    writer = node.writers[0]
    authority = next(member for member in writer.state.members.all if member.name == "Registry")
    claim = declare(SECOND, NEW, "2021-06-01")
    writer.append(authority.id, Basis.HOSTED, [Group([claim], writer.find_chain(SECOND))])
    summary = import_rows(node, *plates_only("EF-456-GH,2021-07-01,1\nEF-456-GH,2021-05-01,2\n"))
    assert tell(summary) == [(1, Reason.SUBJECT_MISMATCH)]
    assert summary.sealed == 1


def test_import__dutch_number_that_nobody_knows_opens_a_passport_of_the_register(node: TestNode) -> None:
    record = {
        "kenteken": "11ZKZ3",
        "merk": "SKODA",
        "tellerstandoordeel": "Logisch",
        "datum_tenaamstelling": "20211104",
    }
    data = json.dumps(record).encode()
    summary = import_rows(node, make_rdw(None, "rdw"), data)
    assert (summary.sealed, summary.opened, summary.faulty) == (3, 1, 0)
    assert count_entries(node, Subject("rdw", "11-ZKZ-3")) == 4


def test_import__dutch_number_that_a_passport_knows_opens_none(node: TestNode) -> None:
    writer = node.writers[0]
    authority = next(member for member in writer.state.members.all if member.name == "Registry")
    writer.append(authority.id, Basis.HOSTED, [Group([declare(FIRST, DUTCH, "2021-01-01")], writer.find_chain(FIRST))])
    record = {"kenteken": "11ZKZ3", "merk": "SKODA", "datum_tenaamstelling": "20211104"}
    data = json.dumps(record).encode()
    summary = import_rows(node, make_rdw(None, "rdw"), data)
    # The change of holder has a day; the identity has none, and a plate names a vehicle for a while only.
    assert (summary.sealed, summary.opened) == (1, 0)
    assert tell(summary) == [(1, Reason.NOT_ALIAS)]
    # Whoever knows which vehicle it is says so.
    named = import_rows(node, make_rdw(FIRST, "rdw"), data)
    assert (named.sealed, named.faulty) == (2, 0)
    wrong = import_rows(node, make_rdw(SECOND, "rdw"), data)
    assert tell(wrong) == [(2, Reason.SUBJECT_MISMATCH)]


def test_import__mark_of_a_test_record_is_compared_with_its_vin(node: TestNode) -> None:
    writer = node.writers[0]
    authority = next(member for member in writer.state.members.all if member.name == "Registry")
    mark = Subject("plate", "AB12 CDE", "GB")
    writer.append(authority.id, Basis.HOSTED, [Group([declare(FIRST, mark, "2012-01-01")], writer.find_chain(FIRST))])
    record = {
        "vin": FIRST.value,
        "vrm": "AB12CDE",
        "testStartTimestamp": "2021-01-14T10:36:33.987Z",
        "testTypes": [{"testResult": "pass", "testCode": "aas"}],
    }
    good = import_rows(node, make_dvsa(None, None), json.dumps(record).encode())
    assert (good.sealed, good.faulty) == (1, 0)
    other = import_rows(node, make_dvsa(None, None), json.dumps(record | {"vrm": "AB12CDF"}).encode())
    assert tell(other) == [(1, Reason.SUBJECT_MISMATCH)]
    # A French plate says nothing against a British one.
    trailer = import_rows(node, make_dvsa(None, None), json.dumps(record | {"vrm": None, "trailerId": "C1"}).encode())
    assert trailer.faulty == 0
