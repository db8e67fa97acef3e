"""Files as garages, insurers and centres make them: what could mean two things is never taken for one silently."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from carnet.errors import Reason, Refused
from carnet.formats.columns import find_meanings, make_column_mapping
from carnet.formats.faults import Fault, Origin
from carnet.formats.guess import Guess, guess, guess_rows
from carnet.formats.guess_plan import make_reading
from carnet.formats.mapping import RowPlan, read_mapped, read_objects, read_table
from carnet.formats.mapping_document import About, Constant, Delimited, Mapping, Quantity, When, read_mapping
from carnet.formats.mending import find_cells, list_cell_faults
from carnet.formats.rows import Place, Row
from carnet.formats.table import TableRow
from carnet.formats.xlsx import NoValue
from carnet.passport.kinds import get_schema
from carnet.services.faulty import FaultyRows
from tests.formats.streams import NOW, split

VINS = ("WVWZZZ1KZ7P100000", "WVWZZZ1KZ7P100001", "WVWZZZ1KZ7P100002")


def look(header: str, *cells: str, separator: str = ";") -> Guess:
    """What a file seems to be whose rows begin with a VIN."""
    rows = [f"{VINS[at % len(VINS)]}{separator}{cell}" for at, cell in enumerate(cells)]
    return guess("\n".join([f"VIN{separator}{header}", *rows, ""]).encode(), "list.csv", NOW)


def codes(found: Guess) -> list[str]:
    return [doubt.code for doubt in found.doubts]


def odometer(found: Guess) -> tuple[str, str | None]:
    assert found.mapping is not None
    assert found.mapping.odometer is not None
    return found.mapping.odometer.column, found.mapping.odometer.unit


NEEDED = {
    "vehicle.contract/1": tuple(
        Constant(field=field, value=value)
        for field, value in {
            "currency": "EUR",
            "provider": "Assurance du Pont",
            "state": "in_force",
            "type": "insurance",
        }.items()
    )
}
"""What a kind requires besides."""


# ---- kilometres or miles


@pytest.mark.parametrize(
    "heading,cell,unit,doubts",
    [
        ("Mileage (km)", "45003", "km", []),
        ("mileageKm", "45003", "km", []),
        ("Kilométrage", "45 003 km", "km", []),
        ("Odometer (miles)", "45003", "mi", []),
        ("Odometer", "45003 mi", "mi", []),
        ("Mileage", "45003", "mi", ["mileage_unit"]),
        ("Mileage", "45003 km", "km", []),
        ("Odometer", "45003", "km", ["either_unit"]),
        ("Odometer", "45003 M", "km", ["either_unit"]),
        ("Kilométrage", "45003 mi", "mi", ["two_units"]),
        ("Km / miles", "45003", "km", ["two_units"]),
    ],
)
def test_guess__unit_of_the_odometer(heading: str, cell: str, unit: str, doubts: list[str]) -> None:
    found = look(f"Date;{heading}", f"14/02/2020;{cell}", f"15/02/2020;{cell}")
    assert (odometer(found)[1], codes(found)) == (unit, doubts)


def test_guess__miles_in_a_template_of_kilometres_are_faulty() -> None:
    found = look("Date de l'entretien;Kilométrage (km)", *["14/02/2020;45003 mi"] * 3)
    assert all(isinstance(row, Fault) and row.rule is Reason.WRONG_TYPE for row in found.rows)
    assert "faulty_in" in codes(found)


def test_mend__miles_are_not_proposed_as_kilometres() -> None:
    found = look("Date;Km", *["14/02/2020;45 003 km"] * 3)
    assert found.mapping is not None
    for cell, proposal in (("9 000 miles", None), ("9000 kms.", "9000")):
        text = f"VIN;Date;Km\n{VINS[0]};14/02/2020;{cell}\n".encode()
        [fault] = split(read_mapped([text], found.mapping, NOW))[1]
        cells = {"VIN": VINS[0], "Date": "14/02/2020", "Km": cell}
        assert [one.proposal for one in list_cell_faults(fault, cells, found.mapping, NOW)] == [proposal]


# ---- which number, which day


@pytest.mark.parametrize(
    "other", ["Prochaine révision km", "Annual mileage", "Km/an", "CO2 (g/km)", "Vitesse km/h", "Garantie km"]
)
def test_guess__other_kilometres_are_no_odometer(other: str) -> None:
    assert odometer(look(f"{other};Date;Km", *["60000;14/02/2020;45003"] * 3)) == ("Km", "km")
    alone = look(f"Date;{other}", *["14/02/2020;12003"] * 3)
    assert alone.mapping is None or alone.mapping.odometer is None


def test_guess__two_odometers_are_doubtful() -> None:
    found = look("Date;Km arrivée;Km sortie", *["14/02/2020;45003;45010"] * 3)
    assert odometer(found)[0] == "Km arrivée"
    assert codes(found) == ["several_odometers"]
    assert found.confidence <= 60


@pytest.mark.parametrize(
    "other",
    ["Date 1ère MEC", "Date de 1ère mise en circulation", "Date of first registration", "EZ", "Prochain CT", "MOT due"],
)
def test_guess__another_day_is_not_the_day_of_the_row(other: str) -> None:
    found = look(f"{other};Date;Km", *["14/02/2011;14/02/2020;45003"] * 3)
    assert found.mapping is not None
    assert found.mapping.occurred.column == "Date"
    alone = look(f"{other};Km", *["14/02/2011;45003"] * 3)
    assert alone.mapping is not None
    assert (alone.mapping.occurred.column, codes(alone)) == (None, ["no_day"])


def test_guess__two_days_are_doubtful() -> None:
    found = look("Date facture;Date entrée;Km", *["14/02/2020;13/02/2020;45003"] * 3)
    assert codes(found) == ["several_days"]


def test_guess__a_few_days_above_12_tell_the_order_of_all() -> None:
    days = [f"0{at % 9 + 1}/0{at % 8 + 1}/2020" if at % 20 else "02/25/2020" for at in range(60)]
    found = look("Date;Km", *[f"{day};45003" for day in days])
    assert found.mapping is not None
    assert (found.mapping.occurred.form, codes(found)) == ("mm/dd/yyyy", [])
    assert not split(found.rows)[1]


@pytest.mark.parametrize(
    "days,form,doubts,first",
    [
        (("04-25-2020", "04-05-2020"), "mm-dd-yyyy", [], "2020-04-25"),
        (("25-04-2020", "05-04-2020"), "dd-mm-yyyy", [], "2020-04-25"),
        # Nothing tells 4 May from 5 April: the person is asked.
        (("05-04-2020", "06-04-2020"), "dd-mm-yyyy", ["either_order"], "2020-04-05"),
        (("04-25-2020 09:30", "04-05-2020 10:00"), "mm-dd-yyyy HH:MM", [], "2020-04-25T09:30"),
    ],
)
def test_guess__days_of_the_united_states_with_hyphens(
    days: tuple[str, ...], form: str, doubts: list[str], first: str
) -> None:
    found = look("Date;Km", *[f"{day};45003" for day in days * 2])
    assert found.mapping is not None
    assert (found.mapping.occurred.form, codes(found)) == (form, doubts)
    rows, faults = split(found.rows)
    assert rows[0].fields["occurred"]["at"].startswith(first)
    assert not faults


@pytest.mark.parametrize(
    "days,form",
    [
        (("14/02/2020 00:00:00", "15/02/2020 00:00:00"), "dd/mm/yyyy 00:00:00"),
        (("2020-02-14 00:00:00.000", "2020-02-15 00:00:00.000"), "yyyy-mm-dd 00:00:00"),
        (("2020-02-14T00:00:00", "2020-02-15T00:00:00"), "yyyy-mm-dd 00:00:00"),
        (("2020-02-14T00:00:00+00:00", "2020-02-15T00:00:00Z"), "yyyy-mm-dd 00:00:00"),
        (("02/14/2020 0:00", "02/15/2020 0:00"), "mm/dd/yyyy 00:00:00"),
    ],
)
def test_guess__days_that_were_written_as_midnights_are_days(days: tuple[str, ...], form: str) -> None:
    found = look("Date;Km", *[f"{day};45003" for day in days])
    assert found.mapping is not None
    assert (found.mapping.occurred.form, codes(found)) == (form, [])
    read = read_mapping(found.mapping.to_json())
    other = days[1].replace("00:00", "09:30") if "00:00" in days[1] else days[1].replace("0:00", "9:30")
    text = "\n".join(["VIN;Date;Km", *(f"{VINS[0]};{day};45003" for day in (*days, other))]).encode()
    rows, faults = split(read_mapped([text], read, NOW))
    occurred = [row.fields["occurred"] for row in rows]
    assert [(one["at"], one["precision"]) for one in occurred] == [("2020-02-14", "day"), ("2020-02-15", "day")]
    # A time of day is never dropped silently.
    assert [(fault.row, fault.column, fault.rule) for fault in faults] == [(3, "Date", Reason.INVALID_TIME)]


def test_guess__a_time_of_day_beside_midnights_keeps_all_times() -> None:
    found = look("Date;Km", "14/02/2020 00:00:00;45003", "15/02/2020 09:30:00;45004")
    assert found.mapping is not None
    assert found.mapping.occurred.form == "dd/mm/yyyy HH:MM:SS"
    apart = look("Date;Heure;Km", *["14/02/2020 00:00:00;09:30;45003"] * 2)
    assert apart.mapping is not None
    assert (apart.mapping.occurred.form, apart.mapping.occurred.time_column) == ("dd/mm/yyyy 00:00:00", "Heure")
    [row, _] = split(apart.rows)[0]
    assert row.fields["occurred"]["at"] == "2020-02-14T09:30"


def test_guess__short_years_have_two_orders_too() -> None:
    found = look("Date;Km", *["04/05/20;45003"] * 3)
    assert codes(found) == ["either_order"]
    american = look("Date;Km", "04/25/20;45003", "04/05/20;45004")
    assert american.mapping is not None
    assert american.mapping.occurred.form == "mm/dd/yy"
    assert [row.fields["occurred"]["at"] for row in american.rows if isinstance(row, Row)] == [
        "2020-04-25",
        "2020-04-05",
    ]


def test_mend__an_iso_day_is_proposed_in_the_order_of_the_file() -> None:
    for form, proposal in (("mm/dd/yyyy", "05/04/2020"), ("dd/mm/yyyy", "04/05/2020")):
        mapping = read_mapping(
            {
                "reader": {"type": "delimited", "separator": ";"},
                "kind": "vehicle.odometer/1",
                "subject": {"scheme": "vin", "column": "VIN"},
                "occurred": {"column": "Date", "form": form},
                "odometer": {"column": "Km", "unit": "km"},
            }
        )
        cells = {"VIN": VINS[0], "Date": "2020-05-04", "Km": "5"}
        fault = Fault(2, 1, "Date", Reason.INVALID_TIME, "", "", Origin(b""))
        assert [one.proposal for one in list_cell_faults(fault, cells, mapping, NOW)] == [proposal]


# ---- marks in numbers


def test_guess__a_mark_of_thousands_is_told() -> None:
    found = look("Date;Km", *["14/02/2020;45.003"] * 3)
    assert codes(found) == ["either_mark"]


@pytest.mark.parametrize("cells", [("12 345", "45.000", "123 000"), ("45.000", "123.5", "7.25")])
def test_guess__thousands_with_a_point_are_never_read_as_a_few_kilometres(cells: tuple[str, ...]) -> None:
    found = look("Date;Km", *[f"14/02/2020;{cell}" for cell in cells])
    assert not {row.fields["odometer_km"] for row in found.rows if isinstance(row, Row)} & {45}


def test_read__a_reading_that_could_be_thousands_is_refused() -> None:
    found = look("Date;Km", *["14/02/2020;45003"] * 3)
    assert found.mapping is not None
    text = "".join(f"{VINS[0]};14/02/2020;{cell}\n" for cell in ("45.000", "45000.000", "45.0"))
    rows, faults = split(read_mapped([f"VIN;Date;Km\n{text}".encode()], found.mapping, NOW))
    assert [row.fields["odometer_km"] for row in rows] == [45_000, 45]
    assert [(fault.column, fault.rule) for fault in faults] == [("Km", Reason.WRONG_TYPE)]
    assert "thousands" in faults[0].message


def test_guess__decimals_of_a_table_are_what_they_are() -> None:
    objects: list[dict[str, Any]] = [
        {"VIN": vin, "date": "2020-02-14", "km": Decimal(km)}
        for vin, km in zip(VINS, ("345.000", "123.000", "900.000"), strict=True)
    ]
    found = guess_rows([TableRow(at, row) for at, row in enumerate(objects, 1)], "list.parquet", NOW)
    assert found.mapping is not None
    rows, _ = split(read_objects(objects, found.mapping, NOW))
    assert [row.fields["odometer_km"] for row in rows] == [345, 123, 900]


# ---- fields


def test_guess__hours_are_no_minutes() -> None:
    found = look("Date entretien;Km;Durée", *["14/02/2020;45003;2"] * 3)
    assert found.mapping is not None
    assert found.mapping.fields == ()
    assert isinstance(found.mapping.reader, Delimited)


# ---- a template that somebody filled in otherwise


@pytest.mark.parametrize(
    "heading,cell,rule",
    [
        ("Date de l'entretien;Main-d'œuvre (minutes)", "14/02/2020;1h30", Reason.WRONG_TYPE),
        ("Date de l'entretien;Main-d'œuvre (minutes)", "14/02/2020;2 h", Reason.WRONG_TYPE),
        ("Date du contrôle;Résultat", "14/02/2020;favorable", Reason.NOT_IN_LIST),
        ("Date du contrôle;Valable jusqu'au", "14/02/2020;deux ans", Reason.INVALID_TIME),
    ],
)
def test_guess__a_template_filled_in_otherwise_has_faulty_rows(heading: str, cell: str, rule: Reason) -> None:
    found = look(heading, *[cell] * 3)
    assert found.mapping is not None
    assert [row.rule for row in found.rows if isinstance(row, Fault)] == [rule] * 3
    good = cell.partition(";")[0] + ";" + {"Résultat": "A"}.get(heading.partition(";")[2], "")
    text = f"VIN;{heading}\n{VINS[0]};{good}\n".encode()
    assert isinstance(next(read_mapped([text], found.mapping, NOW)), Row)


def test_guess__minutes_with_their_sign_are_read() -> None:
    found = look("Date de l'entretien;Main-d'œuvre (minutes)", *["14/02/2020;45 min"] * 3)
    assert [row.fields["labour_minutes"] for row in found.rows if isinstance(row, Row)] == [45] * 3


# ---- what programs add to a table


def test_guess__separators_at_the_end_of_lines_are_no_column() -> None:
    for header, end in (("Date;Km;", ";"), ("Date;Km", ";"), ("Date;Km;;", ";;"), ("Date;Km;;", ";")):
        found = look(header, *[f"14/02/2020;45003{end}"] * 3)
        assert odometer(found) == ("Km", "km"), header
        assert not split(found.rows)[1], header


def test_read__more_cells_than_columns_are_refused_where_they_say_something() -> None:
    found = look("Date;Km", *["14/02/2020;45003"] * 3)
    assert found.mapping is not None
    text = f"VIN;Date;Km\n{VINS[0]};14/02/2020;45003;;x\n{VINS[0]};14/02/2020\n".encode()
    assert [fault.rule for fault in split(read_mapped([text], found.mapping, NOW))[1]] == [
        Reason.UNKNOWN_FIELD,
        Reason.MISSING_FIELD,
    ]


def test_read__a_row_is_the_same_with_and_without_separators_at_its_end() -> None:
    found = look("Date;Km", *["14/02/2020;45003"] * 3)
    assert found.mapping is not None
    sources = set()
    for end in ("", ";", ";;"):
        text = f"sep=;\r\nVIN;Date;Km{end}\r\n{VINS[0]};14/02/2020;45003{end}\r\n;;{end}\r\n".encode()
        [row] = split(read_mapped([text], found.mapping, NOW))[0]
        sources.add(row.source_bytes)
    assert len(sources) == 1


def test_guess__the_line_that_tells_excel_the_separator_is_no_row() -> None:
    text = f"sep=;\r\nVIN;Date;Km\r\n{VINS[0]};14/02/2020;45003\r\n;;\r\n".encode()
    found = guess(text, "list.csv", NOW)
    assert odometer(found) == ("Km", "km")
    assert len(found.rows) == 1


def test_read__a_word_at_the_foot_is_no_chassis_number() -> None:
    found = look("Date;Km", *["14/02/2020;45003"] * 3)
    assert found.mapping is not None
    text = b"VIN;Date;Km\nSUMME;;135009\nVF1R7;14/02/2020;5\n"
    rows, faults = split(read_mapped([text], found.mapping, NOW))
    # A short number is as likely a VIN that lost its end: it would open the passport of another vehicle.
    assert not rows
    assert [(fault.column, fault.rule) for fault in faults] == [("VIN", Reason.INVALID_VIN)] * 2
    assert "no digit" in faults[0].message
    assert "subject.legacy" in faults[1].message
    old = msgspec.structs.replace(found.mapping, subject=About(scheme="vin", column="VIN", legacy=True))
    rows, faults = split(read_mapped([text], old, NOW))
    assert [row.subject.value for row in rows] == ["VF1R7"]
    assert len(faults) == 1


@pytest.mark.parametrize("cut", [slice(0, 16), slice(1, 17), slice(9, 17)])
def test_read__a_vin_that_lost_characters_becomes_no_other_vehicle(cut: slice) -> None:
    found = look("Date;Km", *["14/02/2020;45003"] * 3)
    assert found.mapping is not None
    text = f"VIN;Date;Km\n{VINS[0]};14/02/2020;5\n{VINS[0][cut]};14/02/2020;5\n{VINS[0]}7;14/02/2020;5\n".encode()
    rows, faults = split(read_mapped([text], found.mapping, NOW))
    assert [row.subject.value for row in rows] == [VINS[0]]
    assert [(fault.row, fault.column, fault.rule) for fault in faults] == [
        (2, "VIN", Reason.INVALID_VIN),
        (3, "VIN", Reason.INVALID_VIN),
    ]
    assert f"has {len(VINS[0][cut])} characters" in faults[0].message


TITLES = {
    "padded": "Garage du Pont;;\nRelevés de 2020;;\n;;\n",
    "short": "Garage du Pont\nMetz, le 12 février 2020\n\n",
    "half": "Garage du Pont;Metz\n",
    "many": "Garage du Pont\n\nTél. 03 87 00 00 00\nClient : Flotte, Est; Nord\n\n\n",
    "quote": '12" roues\n',
    "number": "2020;1;\n",
}


@pytest.mark.parametrize("rows", [2, 40])
@pytest.mark.parametrize("titles", sorted(TITLES))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_guess__titles_above_the_header(titles: str, encoding: str, rows: int) -> None:
    above = TITLES[titles]
    body = "".join(f"{VINS[at % 3]};{14 + at % 10}/02/2020;{45_003 + at}\n" for at in range(rows))
    data = f"{above}VIN;Date relevé;Km\n{body}".encode(encoding)
    found = guess(data, "list.csv", NOW)
    assert found.mapping is not None
    line = above.count("\n") + 1
    assert isinstance(found.mapping.reader, Delimited)
    assert found.mapping.reader.header == line
    assert [str(one) for one in found.grounds if one.code == "header_line"] == [
        f"line {line} names the columns; what stands above it is passed over"
    ]
    mapping = read_mapping(found.mapping.to_json())
    good, faults = split(read_mapped([data], mapping, NOW))
    assert not faults
    assert [(row.line, row.fields["odometer_km"]) for row in good] == [
        (line + 1 + at, 45_003 + at) for at in range(rows)
    ]


def test_read__the_line_that_is_said_to_name_the_columns_must_do_so() -> None:
    mapping = make_service({"type": "delimited", "header": 3})
    for text, saying in ((b"a\n\n\nVIN,Km,Atelier\n", "line 3 is blank"), (b"a\nb\nVIN,Km\n", "no column")):
        [fault] = list(read_mapped([text], mapping, NOW))
        assert isinstance(fault, Fault)
        assert fault.rule is Reason.MISSING_FIELD
        assert saying in fault.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_read__mended_rows_of_a_file_with_titles_are_read_by_the_same_mapping(encoding: Any) -> None:
    mapping = make_service({"type": "delimited", "encoding": encoding, "header": 3})
    text = f"Garage du Pont\n\nVIN,Km,Atelier\n{VINS[0]},4,Nord\n{VINS[1]},many,Sud\n".encode(encoding)
    rows, [fault] = split(read_mapped([text], mapping, NOW))
    assert (len(rows), fault.row, fault.line, fault.column) == (1, 2, 5, "Km")
    cells = find_cells(fault.origin, mapping.reader)
    assert cells == {"VIN": VINS[1], "Km": "many", "Atelier": "Sud"}
    listed, copied = io.BytesIO(), io.BytesIO()
    FaultyRows(listed, copied).add(fault)
    again, [same] = split(read_mapped([copied.getvalue()], mapping, NOW))
    assert (again, same.line, same.column) == ([], json.loads(listed.getvalue())["copied_to"], "Km")
    mended = copied.getvalue().decode(encoding).replace("many", "5").encode(encoding)
    [row] = split(read_mapped([mended], mapping, NOW))[0]
    assert row.fields["odometer_km"] == 5


@pytest.mark.parametrize("text", [b"", b"\n\n", b";;\n", "\ufeff".encode()])
def test_read__an_empty_file_is_no_file_without_rows(text: bytes) -> None:
    [fault] = list(read_mapped([text], make_service({"type": "delimited", "separator": ";"}), NOW))
    assert isinstance(fault, Fault)
    assert (fault.rule, "the file is empty" in fault.message) == (Reason.MISSING_FIELD, True)
    assert list(read_mapped([b"VIN;Km;Atelier\n"], make_service({"type": "delimited", "separator": ";"}), NOW)) == []


def test_read__a_row_of_another_encoding_is_a_fault_and_no_garbled_word() -> None:
    row = f"{VINS[0]},5,Établissement\n"
    for own, other in (("cp1252", "utf-8"), ("utf-8", "cp1252")):
        text = b"VIN,Km,Atelier\n" + row.encode(own) + row.replace("5", "6").encode(other)
        mapping = make_service({"type": "delimited", "encoding": own})
        rows, faults = split(read_mapped([text], mapping, NOW))
        assert [one.fields["establishment"] for one in rows] == ["Établissement"]
        assert [(fault.row, fault.rule) for fault in faults] == [(2, Reason.TEXT_NOT_ALLOWED)]


def make_service(reader: object = None, **changes: object) -> Mapping:
    """Services with a reading and a text, of a table unless another reader is named."""
    return read_mapping(
        {
            "reader": reader or {"type": "rows"},
            "kind": "vehicle.service/1",
            "subject": {"scheme": "vin", "column": "VIN"},
            "odometer": {"column": "Km", "unit": "km"},
            "fields": [{"read": "text", "field": "establishment", "column": "Atelier"}],
            **changes,
        }
    )


@pytest.mark.parametrize("column", ["Km", "Atelier", "VIN"])
def test_read__a_formula_without_its_value_is_a_fault_of_its_cell(column: str) -> None:
    mapping = make_service()
    good = {"VIN": VINS[0], "Km": 5, "Atelier": "Nord", "Total": NoValue("=B2")}
    rows, faults = split(read_objects([good, good | {column: NoValue("=A2*2")}], mapping, NOW))
    assert [row.row for row in rows] == [1]
    [fault] = faults
    assert (fault.row, fault.column, fault.rule) == (2, column, Reason.MISSING_FIELD)
    assert "=A2*2" in fault.message
    # At a desk its cell is shown, and blamed; imported again as it was copied, it is faulty again.
    cells = find_cells(fault.origin, mapping.reader)
    assert cells is not None
    assert cells[column] == "=A2*2"
    assert [one.column for one in list_cell_faults(fault, cells, mapping, NOW)] == [column]
    assert fault.origin is not None
    again = make_service({"type": "json"})
    assert [one.column for one in split(read_mapped([fault.origin.data], again, NOW))[1]] == [column]
    mended = read_table(
        [TableRow(2, good | {column: NoValue("=A2*2")})], mapping, NOW, {1: {column: str(good[column])}}
    )
    assert isinstance(next(mended), Row)


@pytest.mark.parametrize("column,scheme", [("Km", "vin"), ("Atelier", "vin"), ("VIN", "garage")])
def test_read__what_a_failed_formula_shows_is_no_value(column: str, scheme: str) -> None:
    subject = {"scheme": scheme, "column": "VIN"}
    row = {"VIN": VINS[0], "Km": 5, "Atelier": "Nord", column: "#N/A"}
    _, faults = split(read_objects([row], make_service(subject=subject), NOW))
    assert [fault.column for fault in faults] == [column]
    empty = [{"read": "text", "field": "establishment", "column": "Atelier", "empty": ["#N/A"]}]
    rows, _ = split(read_objects([row | {"VIN": VINS[0], "Km": 5}], make_service(fields=empty), NOW))
    assert len(rows) == 1


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("Infinity"), 1e300]
)
@pytest.mark.parametrize("column", ["Km", "Atelier"])
def test_read__a_number_that_is_none_is_a_fault(column: str, value: object) -> None:
    row = {"VIN": VINS[0], "Km": 5, "Atelier": "Nord", column: value}
    _, faults = split(read_objects([row], make_service(), NOW))
    assert [fault.column for fault in faults] == [column]
    # Its copy is as faulty, until somebody mends it.
    assert faults[0].origin is not None
    again = read_mapped([faults[0].origin.data], make_service({"type": "json"}), NOW)
    rows, faults = split(again)
    assert (len(rows), len(faults)) == (0, 1)
    odometer = {"column": "Km", "unit": "km", "empty": [str(value)]}
    fields = [{"read": "text", "field": "establishment", "column": "Atelier", "empty": [str(value)]}]
    _, faults = split(read_objects([row], make_service(odometer=odometer, fields=fields), NOW))
    assert len(faults) == (value == 1e300)


def test_columns__a_file_of_old_vehicles_says_so() -> None:
    text = b"Chassis;Date;Km\nR1095012345;14/02/2020;45003\nAN5L12345;15/02/2020;46003\n"
    columns = guess(text, "list.csv", NOW).columns
    meanings = {"Chassis": "legacy", "Date": "day", "Km": "odometer_km"}
    mapping = make_column_mapping(Delimited(separator=";"), columns, "vehicle.odometer/1", meanings)
    assert find_meanings(mapping) == meanings
    rows, faults = split(read_mapped([text], mapping, NOW))
    assert [row.subject.to_json() for row in rows] == [
        {"scheme": "vin", "value": "R1095012345"},
        {"scheme": "vin", "value": "AN5L12345"},
    ]
    assert not faults
    with pytest.raises(Refused) as refused:
        make_column_mapping(Delimited(), columns, "vehicle.odometer/1", meanings | {"Km": "vin"})
    assert refused.value.reason == Reason.FIELDS_CONFLICT


@pytest.mark.parametrize(
    "kind,field,cell,value",
    [
        ("vehicle.identity/1", "power_w", "75", 75_000),
        ("vehicle.identity/1", "power_w", "75,5 kW", 75_500),
        ("vehicle.identity/1", "power_w", "75000 W", 75_000),
        ("vehicle.identity/1", "power_w", "102 ch", None),
        ("vehicle.identity/1", "displacement_mm3", "1598", 1_598_000),
        ("vehicle.identity/1", "mass_g_kg", "1250 kg", 1_250),
        ("vehicle.contract/1", "price_cents", "84", 8_400),
        ("vehicle.contract/1", "price_cents", "84,50", 8_450),
        ("vehicle.service/1", "labour_minutes", "90", 90),
        ("vehicle.service/1", "labour_minutes", "2 h", None),
    ],
)
def test_columns__a_quantity_is_in_the_unit_of_papers(kind: str, field: str, cell: str, value: int | None) -> None:
    found = look("Date;Nombre", *[f"14/02/2020;{cell}"] * 3)
    column = found.columns[2]
    spec = next(spec for spec in get_schema(kind).fields if spec.name == field)
    reading = make_reading(field, column, spec)
    assert isinstance(reading, Quantity)
    mapping = Mapping(
        reader=Delimited(separator=";"),
        kind=kind,
        subject=About(scheme="vin", column="VIN"),
        occurred=When(),
        odometer=None,
        fields=(reading, *NEEDED.get(kind, ())),
    )
    read = RowPlan(mapping, ["VIN", "Date", "Nombre"], NOW)
    faults = read.list_faults([VINS[0], "14/02/2020", cell])
    assert [(name, refused.reason) for name, refused in faults] == (
        [] if value is not None else [("Nombre", Reason.WRONG_TYPE)]
    )
    if value is not None:
        item = read.make(Place(2, 1), [VINS[0], "14/02/2020", cell], b"")
        assert isinstance(item, Row), item
        assert item.fields[field] == value


# ---- the same file again


def test_read__a_row_is_the_same_when_its_columns_were_moved() -> None:
    found = look("Date;Km", *["14/02/2020;45003"] * 3)
    assert found.mapping is not None
    texts = (
        f"VIN;Date;Km;Note\n{VINS[0]};14/02/2020;45003;a\n",
        f"Km;Note;VIN;Date\n45003;a;{VINS[0]};14/02/2020\n",
        f'"Km" ; "Note";VIN;Date\n45003 ;a;"{VINS[0]}";14/02/2020\n'.replace('"Km" ; "Note"', "Km ; Note"),
    )
    rows = [split(read_mapped([text.encode()], found.mapping, NOW))[0][0] for text in texts]
    assert len({row.source_bytes for row in rows}) == 1
    other = f"VIN;Date;Km;Note\n{VINS[0]};14/02/2020;45003;b\n"
    [changed] = split(read_mapped([other.encode()], found.mapping, NOW))[0]
    assert changed.source_bytes != rows[0].source_bytes
