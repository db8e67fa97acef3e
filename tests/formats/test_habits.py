"""What people and spreadsheets do to days, numbers of vehicles and headings: read where it can mean one thing only."""

from __future__ import annotations

import json
from datetime import date

import pytest

from carnet.errors import Reason, Refused
from carnet.formats.dates import get_date_reader
from carnet.formats.delimited import tell_apart
from carnet.formats.faults import Fault
from carnet.formats.guess import Guess, guess, guess_rows
from carnet.formats.mapping import read_mapped, read_table
from carnet.formats.mapping_document import About, Delimited, Mapping, Odometer, When
from carnet.formats.mending import list_cell_faults
from carnet.formats.rows import Row
from carnet.formats.table import TableRow
from carnet.types import Subject
from tests.formats.streams import NOW, split

VINS = ("WVWZZZ1KZ7P100000", "WVWZZZ1KZ7P100001", "WVWZZZ1KZ7P100002")


def look(*lines: str) -> Guess:
    return guess("\n".join([*lines, ""]).encode(), "list.csv", NOW)


def codes(found: Guess) -> list[str]:
    return [doubt.code for doubt in found.doubts]


def days(found: Guess) -> list[str | None]:
    return [item.fields["occurred"]["at"] for item in found.rows if isinstance(item, Row)]


# ---- days


@pytest.mark.parametrize(
    "text,form,day",
    [
        ("3 janv. 2020", "dd-month-yyyy", "2020-01-03"),
        ("1er août 2021", "dd-month-yyyy", "2021-08-01"),
        ("3. Dezember 2019", "dd-month-yyyy", "2019-12-03"),
        ("3 de mayo de 2022", "dd-month-yyyy", "2022-05-03"),
        ("12 maart 2020", "dd-month-yyyy", "2020-03-12"),
        ("7 OTT 2020", "dd-month-yyyy", "2020-10-07"),
        ("05-Mar-23", "dd-month-yy", "2023-03-05"),
        ("05-Mar-70", "dd-month-yy", "1970-03-05"),
        ("61", "serial", "1900-03-01"),
        ("45292", "serial", "2024-01-01"),
        ("03.04.23", "dd.mm.yy", "2023-04-03"),
        ("03-04-23", "dd-mm-yy", "2023-04-03"),
    ],
)
def test_get_date_reader__reads_days(text: str, form: str, day: str) -> None:
    found = get_date_reader(form)(text, None)
    assert (found.at, found.precision) == (day, "day")


def test_get_date_reader__a_fraction_of_a_counted_day_is_its_time() -> None:
    found = get_date_reader("serial")("45292.5", "Europe/Paris")
    assert (found.at, found.precision, found.zone) == ("2024-01-01T12:00:00", "second", "Europe/Paris")


@pytest.mark.parametrize(
    "text,form",
    [
        ("3 listopada 2020", "dd-month-yyyy"),
        ("31 févr. 2020", "dd-month-yyyy"),
        ("3 janv. 20", "dd-month-yyyy"),
        ("452920", "serial"),
        ("2024-01-01", "serial"),
        ("-5", "serial"),
    ],
)
def test_get_date_reader__refused(text: str, form: str) -> None:
    with pytest.raises(Refused) as caught:
        get_date_reader(form)(text, None)
    assert caught.value.reason is Reason.INVALID_TIME


@pytest.mark.parametrize(
    "cells,form,read",
    [
        (("3 janv. 2020", "14 févr. 2021"), "dd-month-yyyy", ["2020-01-03", "2021-02-14"]),
        (("05-Mar-23", "14-Dec-22"), "dd-month-yy", ["2023-03-05", "2022-12-14"]),
    ],
)
def test_guess__days_with_names_and_short_years(cells: tuple[str, ...], form: str, read: list[str]) -> None:
    found = look("VIN;Date;Km", *(f"{vin};{cell};45003" for vin, cell in zip(VINS, cells, strict=False)))
    assert found.mapping is not None
    assert (found.mapping.occurred.form, days(found)) == (form, read)


@pytest.mark.parametrize("mark", "-.")
def test_guess__a_short_day_that_may_begin_with_its_year_is_not_read(mark: str) -> None:
    """23-04-05 is 5 April in one country, and 23 April in the next."""
    found = look("VIN;Date;Km", *(f"{vin};23{mark}04{mark}0{at};45003" for at, vin in enumerate(VINS, 1)))
    assert codes(found) == ["no_day", "unread_day"]


def test_guess__days_that_a_spreadsheet_counted_are_days_where_the_heading_says_so() -> None:
    found = look("VIN;Date;Km", f"{VINS[0]};45292;45003", f"{VINS[1]};44927;45100")
    assert (codes(found), days(found)) == (["serial_days"], ["2024-01-01", "2023-01-01"])
    assert found.confidence <= 60
    found = look("VIN;Dossier;Km", f"{VINS[0]};45292;45003", f"{VINS[1]};44927;45100")
    assert (codes(found), days(found)) == (["no_day"], [None, None])
    # What an odometer showed at a day is no day, whatever its heading speaks of.
    found = look("VIN;Km à la date", f"{VINS[0]};45292", f"{VINS[1]};44927")
    assert [item.fields["odometer_km"] for item in found.rows if isinstance(item, Row)] == [45_292, 44_927]
    # One of the year 2173, and all of them are numbers of something else.
    found = look("VIN;Date;Km", f"{VINS[0]};45292;45003", f"{VINS[1]};99999;45100")
    assert codes(found) == ["no_day", "unread_day"]


def test_guess__days_and_texts_in_one_column_of_a_table_are_read_and_told() -> None:
    """A spreadsheet takes 03/04/2023 for a day of its own country, and leaves 14/04/2023 as the text that it was."""
    cells = (date(2023, 3, 4), "14/04/2023", "15/04/2023")
    rows = [TableRow(at, {"VIN": VINS[at - 2], "Date": cells[at - 2], "Km": 5_000 + at}) for at in (2, 3, 4)]
    found = guess_rows(rows, "list.xlsx", NOW)
    assert "mixed_days" in codes(found)
    assert found.confidence <= 50
    assert found.mapping is not None
    read, faults = split(read_table(rows, found.mapping, NOW))
    assert ([row.fields["occurred"]["at"] for row in read], faults) == (["2023-03-04", "2023-04-14", "2023-04-15"], [])


# ---- numbers


@pytest.mark.parametrize("cell", ["45\u2009003", "45\u202f003 km", "45'003", "45\u2019003"])
def test_guess__marks_between_thousands(cell: str) -> None:
    found = look("VIN;Date;Km", *(f"{vin};14/02/2020;{cell}" for vin in VINS))
    assert [item.fields["odometer_km"] for item in found.rows if isinstance(item, Row)] == [45_003] * 3


# ---- numbers of vehicles


@pytest.mark.parametrize("written", ["*WVWZZZ1KZ7P100000*", "'WVWZZZ1KZ7P100000", '="WVWZZZ1KZ7P100000"'])
def test_guess__a_vin_with_signs_around_it_is_that_vin(written: str) -> None:
    found = look("Châssis,Date,Km", *[f"{written},14/02/2020,45003"] * 3)
    assert codes(found) == []
    assert [item.subject for item in found.rows if isinstance(item, Row)] == [Subject("vin", VINS[0])] * 3


@pytest.mark.parametrize("written", ["WVW ZZZ 1KZ 7P 100000", "WVW-ZZZ1KZ7P-100000", "WVWZZZ1KZ7P10000-0"])
def test_guess__a_vin_with_gaps_is_a_cell_to_mend(written: str) -> None:
    """WVWZZZ1KZ7P10000-0 may well be the number of sixteen characters of another vehicle, and a suffix."""
    found = look("VIN;Date;Km", *[f"{written};14/02/2020;45003"] * 3)
    assert found.mapping is not None
    assert [item.rule for item in found.rows if isinstance(item, Fault)] == [Reason.INVALID_VIN] * 3
    cells = {"VIN": written, "Date": "14/02/2020", "Km": "45003"}
    [fault] = list_cell_faults(found.rows[0], cells, found.mapping, NOW)  # type: ignore[arg-type]
    assert (fault.column, fault.proposal) == ("VIN", VINS[0])


def make_mapping(**changes: object) -> Mapping:
    given: dict[str, object] = {
        "reader": Delimited(separator=";"),
        "kind": "vehicle.odometer/1",
        "subject": About(scheme="vin", column="VIN"),
        "occurred": When(column="Date", form="dd/mm/yyyy"),
        "odometer": Odometer(column="Km", unit="km"),
    }
    return Mapping(**(given | changes))  # type: ignore[arg-type]


def read(text: str, **changes: object) -> tuple[list[Row], list[Fault]]:
    return split(read_mapped([text.encode()], make_mapping(**changes), NOW))


@pytest.mark.parametrize(
    "written", ["WVW ZZZ 1KZ 7P 10000", "WVWZZZ1KZ7P10000 1", "WVWZZZ1KZ7P100000-1", "*WVWZZZ1KZ7P10000*"]
)
def test_read__a_number_that_is_no_vin_without_its_signs_is_no_vin(written: str) -> None:
    rows, faults = read(f"VIN;Date;Km\n{written};14/02/2020;45003\n")
    assert rows == []
    assert [fault.column for fault in faults] == ["VIN"]


def test_guess__a_letter_that_no_vin_has_is_a_cell_to_mend() -> None:
    found = look("VIN;Date;Km", *(f"{vin[:-1]}O;14/02/2020;45003" for vin in VINS), f"{VINS[0]};14/02/2020;45003")
    assert found.mapping is not None
    assert [item.rule for item in found.rows if isinstance(item, Fault)] == [Reason.INVALID_VIN] * 3


# ---- headings


def test_tell_apart__columns_of_one_name_have_their_letters() -> None:
    assert tell_apart(["VIN", "Date", "", "Date", ""]) == ["VIN", "Date (B)", "", "Date (D)", ""]
    assert tell_apart(["Date", "Date (A)", "Date"]) == ["Date (A) (A)", "Date (A)", "Date (C)"]


def test_read__columns_of_one_name_are_chosen_by_their_letters() -> None:
    text = f"VIN;Date;Km;Date\n{VINS[0]};14/02/2020;45003;15/02/2020\n"
    rows, _ = read(text, occurred=When(column="Date (D)", form="dd/mm/yyyy"))
    assert [row.fields["occurred"]["at"] for row in rows] == ["2020-02-15"]
    _, [fault] = read(text)
    assert (fault.rule, "Date (B) and Date (D)" in fault.message.replace('"', "")) == (Reason.DUPLICATE_KEY, True)


def test_read__a_row_under_a_doubled_heading_is_the_row_that_it_was() -> None:
    """As long as the mapping named neither of them, such a file could be read before."""
    rows, _ = read(f"VIN;Note;Date;Note;Km\n{VINS[0]};a;14/02/2020;b;45003\n")
    names = ["Date", "Km", "Note", "Note", "VIN"]
    cells = ["14/02/2020", "45003", "a", "b", VINS[0]]
    expected = json.dumps(["mapping", "vehicle.odometer/1", names], separators=(",", ":")).encode()
    assert rows[0].source_bytes.startswith(expected)
    assert json.dumps(cells, separators=(",", ":")).encode() in rows[0].source_bytes


def test_guess__a_heading_that_is_blank_or_stands_twice_is_a_heading_all_the_same() -> None:
    found = look("VIN;;Date;Km;Note;Note", *(f"{vin};x;14/02/2020;45003;a;b" for vin in VINS))
    assert found.mapping is not None
    assert [column.name for column in found.columns] == ["VIN", "Date", "Km", "Note (E)", "Note (F)"]
    assert days(found) == ["2020-02-14"] * 3
    assert found.head[0] == (2, {"VIN": VINS[0], "Date": "14/02/2020", "Km": "45003", "Note (E)": "a", "Note (F)": "b"})


@pytest.mark.parametrize(
    "header,kind",
    [
        ("Bastidor;Fecha;Kilómetros;Trabajos", "vehicle.service/1"),
        ("Telaio;Data;Chilometri;Lavori", "vehicle.service/1"),
        ("Numer VIN;Data;Przebieg;Serwis", "vehicle.service/1"),
        ("Chassisnummer;Datum;Tellerstand;Werkzaamheden", "vehicle.service/1"),
        ("Bastidor;Fecha;Kilometraje;ITV", "vehicle.inspection/1"),
    ],
)
def test_guess__headings_of_the_neighbours(header: str, kind: str) -> None:
    found = look(header, *(f"{vin};14/02/2020;45003;abc" for vin in VINS))
    assert found.mapping is not None
    assert found.mapping.kind == kind
    assert found.mapping.occurred.column == header.split(";")[1]
    assert found.mapping.odometer is not None
    assert found.mapping.odometer.column == header.split(";")[2]


def test_guess__a_list_of_models_is_no_list_of_events() -> None:
    """It has ids, and a heading that a workshop could have used."""
    found = look("id;pv;barrels;make", *(f"{at};0;15.{at};Alfa" for at in range(9)))
    assert (found.mapping, codes(found)[0]) == (None, "no_kind")
