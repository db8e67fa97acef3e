"""`carnet import guess`: from an unknown file to a mapping that imports it, without a key pressed in between."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import openpyxl
import pytest

from tests.cli.run import carnet
from tests.shared import shared_file

VINS = [f"WVWZZZ1KZ7P{number:06}" for number in range(100_000, 100_012)]
ROWS = [(vin, f"{at + 13:02}/0{at % 9 + 1}/2020", f"{at + 11} 456 km", "Garage été") for at, vin in enumerate(VINS)]
HEADER = ("Châssis", "Date de visite", "Kilométrage", "Atelier")


def write_csv(path: Path) -> None:
    path.write_bytes("".join(";".join(row) + "\r\n" for row in [HEADER, *ROWS]).encode("cp1252"))


def write_packed(path: Path) -> None:
    path.write_bytes(gzip.compress("".join("\t".join(row) + "\n" for row in [HEADER, *ROWS]).encode("utf-16")))


def write_ndjson(path: Path) -> None:
    lines = [json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) for row in ROWS]
    path.write_text("\n".join(lines), encoding="utf-8")


def write_xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in [("Relevés",), HEADER, *ROWS]:
        sheet.append(row)
    book.save(path)


def write_parquet(path: Path) -> None:
    named = path.with_suffix(".json")
    write_ndjson(named)
    duckdb.execute(f"COPY (SELECT * FROM read_json('{named}', dateformat = 'none')) TO '{path}' (FORMAT parquet)")


WRITERS: dict[str, Callable[[Path], None]] = {
    "visites.csv": write_csv,
    "visites.tsv.gz": write_packed,
    "visites.ndjson": write_ndjson,
    "visites.xlsx": write_xlsx,
    "visites.parquet": write_parquet,
}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_guess__writes_a_mapping_that_imports_the_file(tmp_path: Path, name: str) -> None:
    file, mapping, home = tmp_path / name, tmp_path / "mapping.json", tmp_path / "home"
    WRITERS[name](file)
    ran = carnet("import", "guess", file, "-o", mapping, home=home)
    assert ran.code == 0, ran.err
    # Ten rows as they would be understood, and what to type next.
    assert f"vin:{VINS[9]}  2020-01-22  20,456 km" in ran.out
    assert VINS[10] not in ran.out
    assert f"carnet import file {file} --map {mapping} --validate-only" in ran.out
    assert not home.exists()
    done = carnet("import", "file", file, "--map", mapping, "--json", home=home)
    assert done.json == {"rows_read": 12, "sealed": 12, "duplicate": 0, "faulty": 0, "passports": 12}, done.err


def test_guess__of_rows_without_a_vehicle_writes_what_was_understood(tmp_path: Path) -> None:
    file, mapping, home = tmp_path / "visites.csv", tmp_path / "mapping.json", tmp_path / "home"
    file.write_text("".join(";".join(row[1:]) + "\n" for row in [HEADER, *ROWS]), encoding="utf-8")
    ran = carnet("import", "guess", file, "-o", mapping)
    assert ran.code == 1
    assert "Kilométrage: odometer in km" in ran.out
    assert "Date de visite: days written dd/mm/yyyy" in ran.out
    assert 'under "subject" the "column" that names the vehicle' in ran.out
    refused = carnet("import", "file", file, "--map", mapping, home=home)
    assert refused.code != 0
    assert "does not say which vehicle" in refused.err
    document = json.loads(mapping.read_text())
    document["subject"]["value"] = VINS[0]
    mapping.write_text(json.dumps(document))
    done = carnet("import", "file", file, "--map", mapping, "--json", home=home)
    assert done.json == {"rows_read": 12, "sealed": 12, "duplicate": 0, "faulty": 0, "passports": 1}, done.err


def test_guess__of_rows_without_a_reading_writes_what_no_row_is_read_by(tmp_path: Path) -> None:
    file, mapping = tmp_path / "f.csv", tmp_path / "mapping.json"
    file.write_text("".join(f"{vin};{day}\n" for vin, day, *_ in [("VIN", "Date"), *ROWS]), encoding="utf-8")
    ran = carnet("import", "guess", file, "-o", mapping)
    assert ran.code == 1
    assert "Date: days written dd/mm/yyyy" in ran.out
    assert 'under "odometer" the column of the reading' in ran.out
    refused = carnet("import", "file", file, "--map", mapping, "--validate-only")
    assert "requires odometer_" in refused.err
    document = json.loads(mapping.read_text())
    assert document["subject"]["column"] == "VIN"
    document["kind"] = "vehicle.service/1"
    mapping.write_text(json.dumps(document))
    assert "12 good, 0 faulty" in carnet("import", "file", file, "--map", mapping, "--validate-only").out


def test_guess__says_that_nothing_was_written(tmp_path: Path) -> None:
    file, mapping = tmp_path / "f.csv", tmp_path / "mapping.json"
    file.write_text("colour;price\nred;cheap\nblue;dear\n")
    ran = carnet("import", "guess", file, "-o", mapping)
    assert ran.code == 1
    assert "Nothing was written" in ran.out
    assert not mapping.exists()


def test_file__without_a_mapping_points_to_guess(tmp_path: Path) -> None:
    file = tmp_path / "les visites.csv"
    write_csv(file)
    ran = carnet("import", "file", file)
    assert ran.code == 2
    assert f"carnet import guess '{file}' -o mapping.json" in ran.err


def test_guess__tells_a_program_everything(tmp_path: Path) -> None:
    file = tmp_path / "visites.csv"
    write_csv(file)
    found = carnet("import", "guess", file, "--json").json
    assert found["mapping"]["reader"] == {
        "type": "delimited",
        "encoding": "cp1252",
        "separator": ";",
        "quote": '"',
        "header": True,
    }
    assert (len(found["rows"]), found["written"], found["importer"]) == (10, None, None)
    assert found["rows"][0]["fields"]["odometer_km"] == 11_456
    assert found["rows"][0]["subject"] == f"vin:{VINS[0]}"
    assert {column["sort"] for column in found["columns"]} >= {"vin", "day", "number"}
    assert found["confidence"] > 80
    assert "Windows-1252" in " ".join(found["reasons"])


def test_guess__doubts_are_said_before_reasons(tmp_path: Path) -> None:
    file = tmp_path / "garage.csv"
    rows = "".join(f"A{letter}-12{digit}-CD;0{digit}/05/2020;{digit} 456\n" for digit, letter in zip("12345", "ABCDE"))  # noqa: B905
    file.write_text("Immatriculation;Date;Compteur km\n" + rows, encoding="utf-8")
    ran = carnet("import", "guess", file)
    assert ran.code == 0
    doubts = ran.out[ran.out.index("Doubts") : ran.out.index("Why")]
    assert "plates only" in doubts
    assert "dd/mm and mm/dd both fit" in doubts
    assert "% sure" in ran.out.splitlines()[0]


def test_guess__shows_a_faulty_row_as_faulty(tmp_path: Path) -> None:
    file = tmp_path / "visites.csv"
    rows = [list(row) for row in ROWS]
    rows[3][2] = "many"
    file.write_text("".join(";".join(row) + "\n" for row in [list(HEADER), *rows]), encoding="utf-8")
    ran = carnet("import", "guess", file)
    assert '  4  faulty: Kilométrage: "many" is not a number as this file writes them' in ran.out
    assert "1 of 12 rows would be faulty, most often for wrong_type in Kilométrage" in ran.out


def test_guess__refused_file_exists_unless_forced(tmp_path: Path) -> None:
    file, mapping = tmp_path / "visites.csv", tmp_path / "mapping.json"
    write_csv(file)
    mapping.write_text("edited for hours", encoding="utf-8")
    ran = carnet("import", "guess", file, "-o", mapping, "--json")
    assert (ran.code, ran.json_error["error"]) == (1, "file_exists")
    assert "--force" in ran.json_error["message"]
    assert mapping.read_text(encoding="utf-8") == "edited for hours"
    assert carnet("import", "guess", file, "-o", mapping, "--force").code == 0
    assert json.loads(mapping.read_text(encoding="utf-8"))["format"] == 1


@pytest.mark.parametrize(
    "parts, verb",
    [
        (("histovec", "dev", "odometer_histories.jsonl"), "histovec"),
        (("histovec", "dev", "registry_2022.jsonl"), "registry"),
        (("histovec", "report_json", "aucuneAnomalie.json"), "report"),
        (("inspections", "dvsa_cvs", "dev", "test-results.json"), "dvsa"),
        (("inspections", "rdw_nl", "11ZKZ3.json"), "rdw"),
        (("vin", "vpic_api_json", "success.json"), "vpic"),
    ],
)
def test_guess__names_the_verb_of_a_format_that_has_one(parts: tuple[str, ...], verb: str) -> None:
    file = shared_file("data", *parts)
    ran = carnet("import", "guess", file)
    assert ran.code == 0
    assert f"carnet import {verb} {file}" in ran.out


def test_guess__says_why_it_proposes_nothing(tmp_path: Path) -> None:
    for name, data, why in (
        ("a.csv", b"a,b\n1,2\n", "no column says which vehicle"),
        ("a.xls", b"\xd0\xcf\x11\xe0 and so on", "save it as XLSX or CSV"),
        ("a.zip", b"PK\x03\x04 and so on", "no XLSX file"),
        ("empty", b"", "the file is empty"),
    ):
        file = tmp_path / name
        file.write_bytes(data)
        ran = carnet("import", "guess", file, "-o", tmp_path / "mapping.json")
        assert ran.code == 1
        assert "no mapping can be proposed" in ran.out
        assert why in ran.out
        assert not (tmp_path / "mapping.json").exists()
    absent = carnet("import", "guess", tmp_path / "absent")
    assert (absent.code, "No such file" in absent.err) == (1, True)
