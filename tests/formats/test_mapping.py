"""The general importer: what a mapping document may say, what each cell becomes, and what is refused by name."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.formats.delimited import read_cells
from carnet.formats.faults import Fault
from carnet.formats.mapping import read_mapped, read_objects
from carnet.formats.mapping_document import Mapping, read_mapping
from carnet.formats.rows import Row
from carnet.types import Subject
from tests.formats.streams import NOW, cut, split, told
from tests.shared import shared_file

VIN = "WVWZZZ1KZ7P123456"


def document(**changes: Any) -> dict[str, Any]:
    whole = {
        "reader": {"type": "delimited", "separator": ";"},
        "kind": "vehicle.odometer/1",
        "subject": {"scheme": "vin", "column": "vin"},
        "occurred": {"column": "date", "form": "dd/mm/yyyy"},
        "odometer": {"column": "km", "unit": "km", "number": {"group": " ", "suffix": "km"}},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def read(text: str | bytes, **changes: Any) -> tuple[list[Row], list[Fault]]:
    data = text.encode() if isinstance(text, str) else text
    return split(read_mapped(cut(data, 7), read_mapping(document(**changes)), NOW))


# ---- real files


def test_read_mapped__real_inspections_as_csv() -> None:
    mapping = read_mapping(
        {
            "reader": {"type": "delimited"},
            "kind": "vehicle.inspection/1",
            "subject": {"scheme": "histovec", "column": "vehicle"},
            "occurred": {"column": "date", "time_column": "start", "zone": "Europe/Paris"},
            "odometer": {"column": "km", "unit": "km"},
            "fields": [
                {"read": "text", "field": "centre", "column": "centre"},
                {"read": "text", "field": "end_time", "column": "end"},
                {"read": "text", "field": "nature", "column": "nature"},
                {"read": "text", "field": "result", "column": "result"},
            ],
        }
    )
    data = shared_file("data", "histovec", "dev", "odometer_readings.csv").read_bytes()
    rows, faults = split(read_mapped(cut(data, 65_536), mapping, NOW))
    assert faults == []
    assert len(rows) == 5_275
    assert len({row.subject for row in rows}) == 845
    assert Counter(row.fields["odometer_state"] for row in rows) == {"read": 5_250, "not_stated": 25}
    assert Counter(row.fields["occurred"]["precision"] for row in rows) == {"second": 3_943, "day": 1_332}


def test_read_mapped__real_mot_tests_in_miles_and_kilometres() -> None:
    mapping = read_mapping(
        {
            "reader": {"type": "delimited"},
            "kind": "vehicle.inspection/1",
            "subject": {"scheme": "mot_sample", "column": "vehicle"},
            "occurred": {"column": "test_date"},
            "odometer": {"column": "odometer", "unit_column": "unit", "units": {"mi": "mi", "km": "km"}},
            "fields": [{"read": "text", "field": "result", "column": "result"}],
        }
    )
    data = shared_file("data", "inspections", "uk_mot_vehicles", "mot_histories_transcribed.csv").read_bytes()
    rows, faults = split(read_mapped([data], mapping, NOW))
    assert faults == []
    assert len(rows) == 58
    assert len({row.subject for row in rows}) == 6
    assert sum(row.fields["odometer_mi"] is not None for row in rows) + sum(
        row.fields["odometer_km"] is not None for row in rows
    ) == sum(row.fields["odometer_state"] == "read" for row in rows)
    assert {row.fields["result"] for row in rows} == {"PASSED", "FAILED"}


# ---- cells


def test_read_mapped__each_cell_in_its_writing() -> None:
    rows, faults = read(f"vin;date;km\n{VIN};4/5/2021;123 456 km\n{VIN};31/12/2020;7\n{VIN};;\n")
    assert faults == []
    assert [row.fields["odometer_km"] for row in rows] == [123_456, 7, None]
    assert [row.fields["odometer_state"] for row in rows] == ["read", "read", "not_stated"]
    assert [row.fields["occurred"]["at"] for row in rows] == ["2021-05-04", "2020-12-31", None]
    assert {row.subject for row in rows} == {Subject("vin", VIN)}
    assert [(row.line, row.row) for row in rows] == [(2, 1), (3, 2), (4, 3)]


@pytest.mark.parametrize(
    "number,cell,value",
    [
        ({}, "123456", 123_456),
        ({}, "123456.0", 123_456),
        ({"group": ","}, "123,456", 123_456),
        ({"group": "."}, "123.456", 123_456),
        ({"group": "'"}, "1'234'567", 1_234_567),
        ({"group": " "}, "123\u00a0456", 123_456),
        ({"group": " "}, "123\u202f456", 123_456),
        ({"group": ".", "decimal": ","}, "12.345,00", 12_345),
        ({"suffix": "km"}, "123456 KM", 123_456),
        ({"suffix": "km"}, "123456", 123_456),
    ],
)
def test_read_mapped__numbers(number: dict[str, str], cell: str, value: int) -> None:
    rows, faults = read(f"vin;date;km\n{VIN};;{cell}\n", odometer={"column": "km", "unit": "km", "number": number})
    assert faults == []
    assert rows[0].fields["odometer_km"] == value


def test_read_mapped__factor_must_come_out_whole() -> None:
    power = {"read": "integer", "field": "power_w", "column": "kw", "factor": 1000, "number": {"decimal": ","}}
    changes: dict[str, Any] = {"kind": "vehicle.identity/1", "odometer": ..., "occurred": ..., "fields": [power]}
    rows, faults = read(f"vin;kw\n{VIN};3,1\n{VIN};3,00001\n", **changes)
    assert told(rows[0]) == {"power_w": 3_100}
    assert [(fault.rule, fault.column) for fault in faults] == [(Reason.VALUE_OUT_OF_RANGE, "kw")]


def test_read_mapped__words_days_flags_and_constants() -> None:
    fields = [
        {
            "read": "choice",
            "field": "severity",
            "column": "how",
            "values": {"A": "light", "B": "heavy"},
            "empty": ["-"],
        },
        {"read": "flag", "field": "economically_irreparable", "column": "dead", "yes": ["OUI"], "no": ["NON"]},
        {"read": "day", "field": "first_report", "column": "seen", "form": "dd.mm.yyyy"},
        {"read": "constant", "field": "procedure", "value": "opened"},
        {"read": "text", "field": "note", "column": "said"},
    ]
    text = f'vin;how;dead;seen;said\n{VIN};A;OUI;03.02.2021;"one; ""two""\nthree"\n{VIN};-;;;\n{VIN};C;;;\n'
    rows, faults = read(text, kind="vehicle.accident/1", odometer=..., occurred=..., fields=fields)
    assert [(fault.row, fault.rule, fault.column) for fault in faults] == [(3, Reason.NOT_IN_LIST, "how")]
    assert told(rows[0]) == {
        "economically_irreparable": True,
        "first_report": "2021-02-03",
        # A line's end is no character of an entry's text.
        "note": 'one; "two" three',
        "procedure": "opened",
        "severity": "light",
    }


def test_read_mapped__encodings_say_the_same() -> None:
    text = f"vin;libellé;date;km\n{VIN};été;;5\n"
    fields = [{"read": "text", "field": "establishment", "column": "libellé"}]
    found = []
    for encoding, named in (("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("cp1252", "cp1252"), ("utf-16", "utf-16")):
        reader = {"type": "delimited", "separator": ";", "encoding": named}
        found.append(read(text.encode(encoding), reader=reader, fields=fields))
        assert all(row.origin is not None and row.origin.header.startswith(b"vin;") for row in found[-1][0])
    same = [[row._replace(origin=None) for row in rows] for rows, _ in found]
    assert all(each == same[0] for each in same)
    assert found[0][0][0].fields["establishment"] == "été"


def test_read_mapped__without_a_header_columns_are_numbers() -> None:
    changes: dict[str, Any] = {
        "reader": {"type": "delimited", "separator": ";", "header": False},
        "subject": {"scheme": "vin", "column": "1"},
        "occurred": {"column": "2", "form": "yyyymmdd"},
        "odometer": {"column": "3", "unit": "mi"},
    }
    rows, faults = read(f"{VIN};20210504;7\n{VIN};20210505;8\n", **changes)
    assert faults == []
    assert [row.fields["odometer_mi"] for row in rows] == [7, 8]


def test_read_mapped__json_lines_and_arrays_say_the_same() -> None:
    objects = [{"car": {"vin": VIN}, "at": "2021-05-04T10:00:00Z", "km": 5.0}, {"car": {"vin": VIN}, "km": "6"}]
    changes: dict[str, Any] = {
        "reader": {"type": "json"},
        "subject": {"scheme": "vin", "column": "car.vin"},
        "occurred": {"column": "at"},
        "odometer": {"column": "km", "unit": "km"},
    }
    lines, faults = read("\n".join(map(json.dumps, objects)), **changes)
    array, _ = read(json.dumps(objects), **changes)
    assert faults == []
    assert [row.fields for row in lines] == [row.fields for row in array]
    assert [row.source_bytes for row in lines] == [row.source_bytes for row in array]
    assert [row.fields["odometer_km"] for row in lines] == [5, 6]
    assert lines[0].fields["occurred"] == {"at": "2021-05-04T10:00:00", "precision": "second", "zone": "UTC"}


def test_read_objects__typed_rows_of_another_reader() -> None:
    mapping = read_mapping(document(reader={"type": "rows"}, occurred={"column": "date"}))
    moment = datetime.datetime(2021, 5, 4, 10, 0)
    given: list[dict[str, object]] = [
        {"vin": VIN, "date": datetime.date(2021, 5, 4), "km": 5},
        {"vin": VIN, "date": moment, "km": 6.0},
        {"vin": VIN, "date": None, "km": Decimal("7")},
        {"vin": VIN, "date": [], "km": 7},
    ]
    rows, faults = split(read_objects(given, mapping, NOW))
    assert [row.fields["odometer_km"] for row in rows] == [5, 6, 7]
    assert [row.fields["occurred"]["at"] for row in rows] == ["2021-05-04", "2021-05-04T10:00:00", None]
    assert [(fault.rule, fault.column) for fault in faults] == [(Reason.WRONG_TYPE, "date")]


def test_read_mapped__source_of_a_row_is_all_of_its_cells() -> None:
    text = f"vin;date;km;more\n{VIN};;5;a\n{VIN};;5;b\n{VIN};;5;a\n"
    rows, _ = read(text)
    assert rows[0].source_bytes == rows[2].source_bytes != rows[1].source_bytes
    again, _ = read(text, kind="vehicle.service/1")
    assert again[0].source_bytes != rows[0].source_bytes


# ---- rows that are not good


@pytest.mark.parametrize(
    "line,reason,column",
    [
        ("WVWZZZ1KZ7P12345O;04/05/2021;5", Reason.INVALID_VIN, "vin"),
        (";04/05/2021;5", Reason.MISSING_FIELD, "vin"),
        (f"{VIN};05-04-2021;5", Reason.INVALID_TIME, "date"),
        (f"{VIN};31/02/2021;5", Reason.INVALID_TIME, "date"),
        (f"{VIN};01/01/2077;5", Reason.TIME_IN_FUTURE, "date"),
        (f"{VIN};01/01/2021;many", Reason.WRONG_TYPE, "km"),
        (f"{VIN};01/01/2021;1.5", Reason.VALUE_OUT_OF_RANGE, "km"),
        (f"{VIN};01/01/2021;-5", Reason.VALUE_OUT_OF_RANGE, "km"),
        (f"{VIN};01/01/2021;12 34", Reason.WRONG_TYPE, "km"),
        (f"{VIN};01/01/2021;{'9' * 5000}", Reason.WRONG_TYPE, "km"),
        (f"{VIN};01/01/2021", Reason.MISSING_FIELD, None),
        (f"{VIN};01/01/2021;5;6", Reason.UNKNOWN_FIELD, None),
        (f'{VIN};01/01/2021;"5', Reason.WRONG_TYPE, None),
        (f'{VIN};01/01/2021;"5"6', Reason.WRONG_TYPE, None),
    ],
)
def test_read_mapped__refused_row_loses_no_good_one(line: str, reason: Reason, column: str | None) -> None:
    good = f"{VIN};04/05/2021;5"
    rows, faults = read(f"vin;date;km\n{good}\n{line}\n{good}\n{good}")
    assert [(fault.line, fault.row, fault.rule, fault.column) for fault in faults] == [(3, 2, reason, column)]
    assert faults[0].raw.startswith(line[:40])
    assert len(rows) == 3
    assert column is None or column in faults[0].message


def test_read_mapped__two_stray_quotes_lose_no_row_between() -> None:
    good = f"{VIN};04/05/2021;5"
    rows, faults = read("\n".join(["vin;date;km", f'{VIN};04/05/2021;"5', good, good, f'{VIN};04/05/2021;5"', good]))
    assert len(rows) == 3
    assert [fault.row for fault in faults] == [1, 4]


def test_read_mapped__refused_row_that_is_not_utf_8() -> None:
    data = f"vin;date;km\n{VIN};;5\n".encode() + b"\xe9;;5\n" + f"{VIN};;6\n".encode()
    rows, faults = read(data)
    assert [row.fields["odometer_km"] for row in rows] == [5, 6]
    assert [(fault.line, fault.rule) for fault in faults] == [(3, Reason.TEXT_NOT_ALLOWED)]


@pytest.mark.parametrize(
    "header,reason,column",
    [("vin;date", Reason.MISSING_FIELD, "km"), ("vin;date;km;km", Reason.DUPLICATE_KEY, "km")],
)
def test_read_mapped__refused_header_is_one_fault(header: str, reason: Reason, column: str) -> None:
    rows, faults = read(f"{header}\n{VIN};;5\n{VIN};;6\n")
    assert rows == []
    assert [(fault.rule, fault.column) for fault in faults] == [(reason, column)]


@pytest.mark.parametrize("data", ["vin;date;km".encode("utf-16"), b"\x1f\x8b\x08\x00"])
def test_read_mapped__refused_file_that_is_no_text(data: bytes) -> None:
    _, faults = read(data)
    assert len(faults) == 1
    assert faults[0].rule in (Reason.WRONG_ENCODING, Reason.UNREADABLE_FILE)


def test_read_cells__refused_utf_16_that_breaks_off() -> None:
    data = "vin;km\na;5\n".encode("utf-16")[:-1]
    found = list(read_cells([data], encoding="utf-16", separator=";", quote='"'))
    assert found[0].cells == ["vin", "km"]
    assert found[-1].refused is not None
    assert found[-1].refused.reason is Reason.UNREADABLE_FILE


# ---- the document


def test_read_mapping__writes_and_reads_itself() -> None:
    mapping = read_mapping(document(fields=[{"read": "constant", "field": "method", "value": "dash"}]))
    assert read_mapping(json.loads(json.dumps(mapping.to_json()))) == mapping
    assert mapping.columns() == ["vin", "date", "km"]


@pytest.mark.parametrize(
    "changes,reason,field",
    [
        ({"kind": "vehicle.odometr/1"}, Reason.UNKNOWN_KIND, "kind"),
        ({"colour": "red"}, Reason.WRONG_TYPE, None),
        ({"format": 2}, Reason.WRONG_TYPE, None),
        ({"reader": {"type": "parquet"}}, Reason.WRONG_TYPE, None),
        ({"reader": {"type": "delimited", "separator": '"'}}, Reason.FIELDS_CONFLICT, "reader.quote"),
        ({"subject": {"scheme": "vin"}}, Reason.MISSING_FIELD, "subject"),
        ({"subject": {"scheme": "vin", "column": "a", "value": "b"}}, Reason.FIELDS_CONFLICT, "subject"),
        ({"subject": {"scheme": "VIN", "column": "a"}}, Reason.VALUE_OUT_OF_RANGE, "subject.scheme"),
        ({"subject": {"scheme": "plate", "column": "a"}}, Reason.FIELDS_CONFLICT, "subject.country"),
        (
            {"subject": {"scheme": "plate", "column": "a", "country": "fr"}},
            Reason.VALUE_OUT_OF_RANGE,
            "subject.country",
        ),
        ({"occurred": {"column": "a", "form": "dd/mm"}}, Reason.INVALID_TIME, "form"),
        ({"occurred": {"column": "a", "zone": "Z"}}, Reason.INVALID_TIME, "occurred"),
        ({"odometer": ...}, Reason.MISSING_FIELD, "odometer_state"),
        ({"odometer": {"column": "km"}}, Reason.FIELDS_CONFLICT, "odometer.unit"),
        ({"odometer": {"column": "km", "unit_column": "u"}}, Reason.FIELDS_CONFLICT, "odometer.units"),
        ({"kind": "vehicle.part/1"}, Reason.UNKNOWN_FIELD, "odometer"),
        ({"fields": [{"read": "text", "field": "colour", "column": "a"}]}, Reason.UNKNOWN_FIELD, "colour"),
        (
            {"fields": [{"read": "integer", "field": "establishment", "column": "a"}]},
            Reason.WRONG_TYPE,
            "establishment",
        ),
        ({"fields": [{"read": "constant", "field": "odometer_km", "value": 5}]}, Reason.FIELDS_CONFLICT, "odometer_km"),
        ({"plate": {"column": "p", "country": "France"}}, Reason.VALUE_OUT_OF_RANGE, "plate.country"),
        (
            {
                "plate": {"column": "p", "country": "FR"},
                "subject": {"scheme": "plate", "column": "q", "country": "FR"},
            },
            Reason.FIELDS_CONFLICT,
            "plate",
        ),
        (
            {"fields": [{"read": "choice", "field": "method", "column": "a", "values": {"x": "y"}}]},
            Reason.NOT_IN_LIST,
            "method",
        ),
    ],
)
def test_read_mapping__refused(changes: dict[str, Any], reason: Reason, field: str | None) -> None:
    with pytest.raises(Refused) as refused:
        read_mapping(document(**changes))
    assert refused.value.reason is reason
    assert refused.value.facts.get("field") == field


def test_read_mapped__rows_of_a_table_may_come_as_objects_too() -> None:
    # Faulty rows of an XLSX file are copied as objects, mended, and read again under the same mapping.
    mapping: Mapping = read_mapping(document(reader={"type": "rows"}, occurred={"column": "a.b"}))
    line = json.dumps({"vin": VIN, "a.b": "2020-02-29", "km": 12}).encode()
    rows, faults = split(read_mapped([line], mapping, NOW))
    assert faults == []
    assert (rows[0].fields["occurred"]["at"], told(rows[0])["odometer_km"]) == ("2020-02-29", 12)


def test_read_objects__refused_mapping_of_a_text() -> None:
    with pytest.raises(Refused) as refused:
        list(read_objects([], read_mapping(document()), NOW))
    assert refused.value.reason is Reason.WRONG_TYPE


def test_read_mapped__plate_beside_the_vin() -> None:
    given = document(plate={"column": "plate", "country": "FR", "empty": ["?"]})
    text = f"vin;plate;date;km\n{VIN};ab123cd;01/02/2020;5\n{VIN};?;01/02/2020;6\n{VIN};12;01/02/2020;7\n"
    rows, faults = split(read_mapped([text.encode()], read_mapping(given), NOW))
    assert [row.plate for row in rows] == [Subject("plate", "AB-123-CD", "FR"), None]
    assert [(fault.column, fault.rule) for fault in faults] == [("plate", Reason.INVALID_PLATE)]
    # What is compared is not written: the entry is about the VIN.
    assert rows[0].fields["subject"] == {"scheme": "vin", "value": VIN}
