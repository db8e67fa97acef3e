"""A look at an unknown file: what it proposes is what was written, and what it cannot know it says."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.formats.guess import HEAD_BYTES, Guess, guess
from carnet.formats.mapping import read_mapped
from carnet.formats.mapping_document import Delimited, Json, read_mapping
from carnet.formats.rows import Row
from carnet.passport.vin import VIN_LENGTH
from carnet.types import Subject
from tests.formats.streams import NOW, split
from tests.shared import shared_file

FORMS = {
    "yyyy-mm-dd": "%Y-%m-%d",
    "dd/mm/yyyy": "%d/%m/%Y",
    "mm/dd/yyyy": "%m/%d/%Y",
    "mm-dd-yyyy": "%m-%d-%Y",
    "dd.mm.yyyy": "%d.%m.%Y",
}
vins = st.text("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", min_size=14, max_size=14).map(lambda end: f"WVW{end}")


def write_number(value: int, writing: str) -> str:
    grouped = f"{value:,}"
    return {
        "plain": str(value),
        "km": f"{grouped.replace(',', ' ')} km",
        "comma": f"{value},0",
        "german": f"{grouped.replace(',', '.')},00",
    }[writing]


def write_csv(header: list[str], rows: list[list[str]], separator: str, encoding: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerows([header, *rows])
    return text.getvalue().encode(encoding)


@settings(max_examples=60)
@given(data=st.data())
def test_guess__then_map_gives_back_the_values(data: st.DataObject) -> None:
    form, written = data.draw(st.sampled_from(sorted(FORMS.items())))
    writing = data.draw(st.sampled_from(["plain", "km", "comma", "german"]))
    separator, encoding = (
        data.draw(st.sampled_from([",", ";", "\t"])),
        data.draw(st.sampled_from(["utf-8", "cp1252", "utf-16"])),
    )
    entries = data.draw(
        st.lists(
            st.tuples(vins, st.dates(date(1990, 1, 1), date(2026, 1, 1)), st.integers(0, 999_999)),
            min_size=1,
            max_size=30,
        )
    )
    # A day above 12 tells days from months; without one both fit, and the guess says so.
    entries.append(("WVWZZZ1KZ7P123456", date(2020, 3, 31), 123_456))
    rows = [[vin, day.strftime(written), write_number(km, writing)] for vin, day, km in entries]
    head = write_csv(["VIN", "Date relevé", "Kilométrage"], rows, separator, encoding)
    found = guess(head, "relevés.csv", NOW)
    assert found.mapping is not None
    assert found.mapping.occurred.form == form
    again = read_mapping(found.mapping.to_json())
    read, faults = split(read_mapped([head], again, NOW))
    assert faults == []
    assert [(r.subject.value, r.fields["occurred"]["at"], r.fields["odometer_km"]) for r in read] == [
        (vin, day.isoformat(), km) for vin, day, km in entries
    ]
    assert found.rows == tuple(read[:10])
    assert found.confidence >= 60
    assert all(len(vin) == VIN_LENGTH for vin, _, _ in entries)


def confess(found: Guess) -> str:
    return "\n".join(map(str, found.reasons))


# ---- what a garage's own list looks like


def test_guess__plates_only_in_windows_1252() -> None:
    text = (
        "Immatriculation;Date d’entrée;Kilométrage;Libellé\r\n"
        "AB-123-CD;04/05/2021;123 456 km;Vidange été\r\n"
        "BC-234-DE;14/05/2021;23 400 km;Pneus\r\n"
    )
    found = guess(text.encode("cp1252"), "garage.csv", NOW)
    assert found.mapping is not None
    assert isinstance(found.mapping.reader, Delimited)
    assert (found.mapping.reader.encoding, found.mapping.reader.separator) == ("cp1252", ";")
    assert found.mapping.kind == "vehicle.service/1"
    assert (found.mapping.subject.scheme, found.mapping.subject.country) == ("plate", "FR")
    assert "plates only" in confess(found)
    assert found.confidence <= 60
    first = found.rows[0]
    assert isinstance(first, Row)
    assert (first.fields["odometer_km"], first.fields["invoice_text"]) == (123_456, "Vidange été")
    assert first.fields["occurred"]["at"] == "2021-05-04"


def test_guess__says_that_a_day_has_two_readings() -> None:
    found = guess(b"vin,date,km\nWVWZZZ1KZ7P123456,04/05/2021,5\n", "a.csv", NOW)
    assert found.mapping is not None
    assert found.mapping.occurred.form == "dd/mm/yyyy"
    assert "both fit" in str(found.reasons[0])
    assert found.confidence <= 60


@pytest.mark.parametrize("day", ["3 studenog 2020", "438310", "2020w03"])
def test_guess__says_which_column_may_be_the_day(day: str) -> None:
    """In a form that nobody here reads: the entries would have no day, and it stands in the file."""
    found = guess(f"vin;Date;km\nWVWZZZ1KZ7P123456;{day};41000\n".encode(), "x", NOW)
    assert "Date seems by its name to be the day" in confess(found)
    assert found.confidence <= 40


@pytest.mark.parametrize("name", ["vehicleType", "Prix véhicule", "Vehicle Speed [km/h]", "DESTRUCTION_VEHICULE"])
def test_guess__what_many_vehicles_have_alike_is_no_id(name: str) -> None:
    """All of a type would be one passport."""
    rows = "".join(f"{kind};2020-01-{day:02};{day}1000\n" for day, kind in enumerate(("suv", "bus", "van") * 3, 1))
    found = guess(f"{name};date;km\n{rows}".encode(), "x", NOW)
    assert found.mapping is None
    assert "no column says which vehicle" in confess(found)
    found = guess(f"{name};N° de véhicule;date;km\n{rows.replace(';2020', ';A1;2020')}".encode(), "x", NOW)
    assert found.mapping is not None
    assert found.mapping.subject.column == "N° de véhicule"


def test_guess__says_that_a_unit_is_not_told() -> None:
    found = guess(b"vin,date,odometer\nWVWZZZ1KZ7P123456,2021-05-04,5000\n", "a.csv", NOW)
    assert found.mapping is not None
    assert "kilometres or miles" in confess(found)
    assert found.confidence <= 50


def test_guess__tells_how_many_rows_would_be_faulty() -> None:
    lines = ["vin,date,km", *["WVWZZZ1KZ7P123456,2021-05-31,5"] * 19, "WVWZZZ1KZ7P12345O,2021-05-31,5"]
    found = guess("\n".join(lines).encode(), "a.csv", NOW)
    assert str(found.reasons[0]).startswith("1 of 20 rows would be faulty, most often for invalid_vin")
    assert len(found.rows) == 10


def test_guess__without_a_header() -> None:
    found = guess(b"WVWZZZ1KZ7P123456;31/05/2021;15000 km\nWVWZZZ1KZ7P123457;30/05/2021;25000 km\n", "a.csv", NOW)
    assert found.mapping is not None
    assert isinstance(found.mapping.reader, Delimited)
    assert not found.mapping.reader.header
    assert [row.fields["odometer_km"] for row in found.rows if isinstance(row, Row)] == [15_000, 25_000]


def test_guess__json_lines() -> None:
    lines = b'{"car": {"vin": "WVWZZZ1KZ7P123456"}, "date": "2021-05-31", "mileage": 5000}\n' * 3
    found = guess(lines, "a.ndjson", NOW)
    assert found.mapping is not None
    assert isinstance(found.mapping.reader, Json)
    assert found.mapping.subject.column == "car.vin"
    assert found.mapping.odometer is not None
    assert found.mapping.odometer.unit == "mi"


# ---- real files


@pytest.mark.parametrize(
    "parts,kind,subject,unit",
    [
        (("histovec", "dev", "odometer_readings.csv"), "vehicle.inspection/1", "vehicle", "km"),
        (("inspections", "uk_mot_vehicles", "mot_histories_transcribed.csv"), "vehicle.inspection/1", "vehicle", None),
        (
            ("inspections", "uk_mot_vehicles", "dft_test_result_2020_head9.csv"),
            "vehicle.inspection/1",
            "vehicle_id",
            "mi",
        ),
    ],
)
def test_guess__real_file_reads_without_a_fault(parts: Any, kind: str, subject: str, unit: str | None) -> None:
    data = shared_file("data", *parts).read_bytes()
    found = guess(data[:HEAD_BYTES], parts[-1], NOW)
    assert found.mapping is not None
    assert (found.mapping.kind, found.mapping.subject.column) == (kind, subject)
    assert found.mapping.odometer is not None
    assert found.mapping.odometer.unit == unit
    assert all(isinstance(row, Row) for row in found.rows)
    assert "would be faulty" not in confess(found)


def test_guess__doubts_the_short_numbers_of_real_trailers() -> None:
    data = shared_file("data", "inspections", "dvsa_cvs", "dev", "test-results.json").read_bytes()
    found = guess(data[:HEAD_BYTES], "test-results.json", NOW)
    assert found.mapping is not None
    assert (found.mapping.kind, found.mapping.subject.column) == ("vehicle.inspection/1", "vin")
    assert found.mapping.odometer is not None
    assert found.mapping.odometer.unit_column == "odometerReadingUnits"
    assert "would be faulty, most often for invalid_vin in vin" in confess(found)
    assert found.importer == "dvsa"


@pytest.mark.parametrize(
    "parts,saying",
    [
        (("histovec", "dev", "odometer_histories.jsonl"), "HistoVec's inspections"),
        (("histovec", "dev", "registry_2022.jsonl"), "HistoVec's register"),
        (("histovec", "report_json", "aucuneAnomalie.json"), "HistoVec report"),
        (("inspections", "dvsa_cvs", "dev", "test-results.json"), "DVSA test records"),
        (("inspections", "rdw_nl", "11ZKZ3.json"), "RDW records"),
        (("vin", "vpic_api_json", "success.json"), "answer of vPIC"),
    ],
)
def test_guess__knows_the_files_that_have_an_importer(parts: Any, saying: str) -> None:
    data = shared_file("data", *parts).read_bytes()
    assert saying in confess(guess(data[:HEAD_BYTES], parts[-1], NOW))


# ---- what it cannot read


@pytest.mark.parametrize(
    "head,saying",
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"PK\x03\x04\x14", "XLSX"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"vin,km\n", "no row"),
        (b"a,b\nx,y\n", "no column says which vehicle"),
        (b"vin,colour\nWVWZZZ1KZ7P123456,red\n", "no column is an odometer"),
        (b"[[[[[", "no row"),
        (b'{"found":[{"vin":"WVWZZZ1KZ7P123456","km":1}]}', "in the list found"),
        ("vin;km\nX;1\n".encode("utf-16-le"), "UTF-16 without its byte order mark"),
        ("vin;km\nX;1\n".encode("utf-16-be"), "UTF-16 without its byte order mark"),
        (b"vin;km\nX\0;1\n", "bytes that no text has"),
        (b"\n<!DOCTYPE html><table>", "web page"),
        (b'<?xml version="1.0"?><a/>', "XML"),
        (b"vin;km\rWVWZZZ1KZ7P123456;1\r", "carriage return alone"),
        (b'vin,km\n"WVWZZZ1KZ7P123456,1\n"WVWZZZ1KZ7P123457,2\n', "from line 2 on nothing can be read: a quotation"),
        (b"vin;km;km\nWVWZZZ1KZ7P123456;1;2\n", "has km twice"),
        (b"vin\nWVWZZZ1KZ7P123456\n", "a single column"),
        (b"vin;;km\nred;blue;green\n", "has a blank cell"),
        (b"VIN;km\nWVWZZZ1KZ7P1000;1\n", "VIN seems by its name to hold VINs"),
    ],
)
def test_guess__proposes_nothing_and_says_why(head: bytes, saying: str) -> None:
    found = guess(head, "file", NOW)
    assert found.mapping is None
    assert found.confidence == 0
    assert saying in confess(found)


@given(st.binary(max_size=400), st.sampled_from([b"", b"vin,km\n", b"{", b"[", b"\xff\xfe"]))
def test_guess__is_not_surprised_by_rubbish(rest: bytes, start: bytes) -> None:
    found = guess(start + rest, "x", NOW)
    assert 0 <= found.confidence <= 100
    assert found.reasons


def test_guess__a_list_of_works_without_an_odometer() -> None:
    text = "VIN,plaque,date,prestation\nWVWZZZ1KZ7P100000,AB-123-CD,2020-01-13,Vidange\n"
    found = guess(text.encode(), "factures.csv", NOW)
    assert found.mapping is not None
    assert (found.mapping.kind, found.mapping.odometer) == ("vehicle.service/1", None)
    assert found.confidence <= 60
    assert "the entries would have none" in str(found.doubts[0])
    # The plate beside the VIN is compared with what the passport knows.
    assert found.mapping.plate is not None
    assert (found.mapping.plate.column, found.mapping.plate.country) == ("plaque", "FR")
    assert isinstance(found.rows[0], Row)
    assert found.rows[0].plate == Subject("plate", "AB-123-CD", "FR")


def test_guess__inspections_without_an_odometer_say_that_none_is_stated() -> None:
    found = guess(b"VIN,date,resultat\nWVWZZZ1KZ7P100000,2020-01-13,A\nWVWZZZ1KZ7P100001,2020-01-14,S\n", "ct.csv", NOW)
    assert isinstance(found.rows[0], Row)
    assert found.rows[0].kind == "vehicle.inspection/1"
    assert (found.rows[0].fields["odometer_state"], found.rows[0].fields["result"]) == ("not_stated", "A")


def test_guess__names_of_models_are_no_plates() -> None:
    found = guess(b"model,year,mileage\nA4,2017,25952\nA3,2019,1998\nQ3,2016,36203\n", "audi.csv", NOW)
    assert found.mapping is None
    assert "no column says which vehicle" in str(found.doubts[0])


def look(text: str) -> Guess:
    return guess(text.encode(), "travaux.csv", NOW)


def test_guess__one_slip_in_a_short_file_is_a_cell_to_mend_not_a_column_to_ignore() -> None:
    rows = ["29/02/2023;12 345", "30/03/2025;2O 100", "29/02/2024;23 456"]
    told = look("VIN;Date;Km\n" + "".join(f"VFZZZZ000J0000000;{row}\n" for row in rows))
    assert told.mapping is not None
    assert (told.mapping.occurred.column, told.mapping.odometer and told.mapping.odometer.column) == ("Date", "Km")
    assert "no_day" not in {one.code for one in told.doubts}
    # Where nothing agrees, nothing is made of it, and that is said.
    lost = look("VIN;Date;Km\n" + "VFZZZZ000J0000000;hier;12 345\nVFZZZZ000J0000000;lundi;12 400\n")
    assert "no_day" in {one.code for one in lost.doubts}


def test_guess__one_day_above_12_in_a_long_file_tells_the_order() -> None:
    days = [f"0{day % 9 + 1}/0{day % 8 + 1}/2025" for day in range(20)]
    for added, order_is_told in (["25/11/2025"], True), ([], False):
        told = look("VIN;Date;Km\n" + "".join(f"VFZZZZ000J0000000;{day};12345\n" for day in days + added))
        assert told.mapping is not None
        assert told.mapping.occurred.form == "dd/mm/yyyy"
        assert ("either_order" not in {one.code for one in told.doubts}) is order_is_told, added
