"""Parquet and XLSX by the command line: the same summary, faulty rows that can be mended, and a clear word where the
reader is not installed."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import openpyxl
import pytest

from carnet.formats.guess import Guess
from carnet.formats.rows import Row
from carnet.node.home import Home
from carnet.services.guessing import guess_file
from carnet.services.reading import open_reader
from tests.cli.run import COMMAND, Ran, carnet, make_env
from tests.formats.streams import NOW
from tests.shared import shared_file

VINS = [f"WVWZZZ1KZ7P{number:06}" for number in range(100_000, 100_006)]
BAD_VIN = VINS[4][:-1] + "O"
HEADER = ["VIN", "Date", "Compteur", "Atelier"]
MAPPING: dict[str, Any] = {
    "reader": {"type": "rows"},
    "kind": "vehicle.odometer/1",
    "subject": {"scheme": "vin", "column": "VIN"},
    "occurred": {"column": "Date"},
    "odometer": {"column": "Compteur", "unit": "km", "number": {"group": " ", "suffix": "km"}},
    "fields": [{"read": "text", "field": "establishment", "column": "Atelier"}],
}
EPA = {
    "reader": {"type": "rows"},
    "kind": "vehicle.identity/1",
    "subject": {"scheme": "epa", "column": "id"},
    "occurred": {"column": "year"},
    "fields": [
        {"read": "text", "field": "make", "column": "make"},
        {"read": "text", "field": "model", "column": "model"},
        {"read": "text", "field": "energy", "column": "fuelType1"},
        {
            "read": "integer",
            "field": "displacement_mm3",
            "column": "displ",
            "factor": 1_000_000,
            "empty": ["0", "nan", "NA"],
        },
    ],
}


def write_xlsx(path: Path) -> None:
    """As a workshop keeps it: a title in merged cells, an empty row, numbers as texts, and two faults."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.append(["Compteurs 2020"])
    sheet.merge_cells("A1:D1")
    sheet.append([])
    sheet.append(HEADER)
    sheet.append([VINS[0], date(2020, 2, 29), 12_345, "Garage été"])
    sheet.append([VINS[1], datetime(2020, 3, 1, 8, 30), "23 456 km", None])
    sheet.append([])
    sheet.append([VINS[2], "2020-03-02", 34_567.0, "B"])
    sheet.append([VINS[3], date(2020, 3, 3), "#REF!", "B"])
    sheet.append([BAD_VIN, date(2020, 3, 4), 5, "B"])
    book.save(path)


def run(tmp_path: Path, file: Path, mapping: Any, *options: str | Path) -> Ran:
    written = tmp_path / "mapping.json"
    written.write_text(json.dumps(mapping), encoding="utf-8")
    return carnet("import", "file", file, "--map", written, "--json", *options, home=tmp_path / "home")


def test_import__xlsx_rows_are_sealed_once_and_the_faulty_mended_alone(tmp_path: Path) -> None:
    file, mend = tmp_path / "atelier.xlsx", tmp_path / "mend.ndjson"
    write_xlsx(file)
    first = run(tmp_path, file, MAPPING, "--faulty", mend)
    assert first.json == {"rows_read": 5, "sealed": 3, "duplicate": 0, "faulty": 2, "passports": 3}, first.err
    # The row's number counts rows; its line is that of the sheet.
    assert "row 4 (line 8, column Compteur)" in first.err
    assert "row 5 (line 9, column VIN)" in first.err
    again = run(tmp_path, file, MAPPING)
    assert again.json == {"rows_read": 5, "sealed": 0, "duplicate": 3, "faulty": 2, "passports": 3}
    with open_reader(Home(tmp_path / "home")) as reader:
        told = {}
        for vin in VINS[:3]:
            fields = list(reader.read_entries(reader.get(f"vin:{vin}")))[1].fields
            assert fields is not None
            told[vin] = fields["occurred"], fields["odometer_km"], fields["establishment"]
    assert told == {
        VINS[0]: ({"at": "2020-02-29", "precision": "day", "zone": None}, 12_345, "Garage été"),
        VINS[1]: ({"at": "2020-03-01T08:30:00", "precision": "second", "zone": None}, 23_456, None),
        VINS[2]: ({"at": "2020-03-02", "precision": "day", "zone": None}, 34_567, "B"),
    }
    text = mend.read_text(encoding="utf-8")
    assert text.count("\n") == 2
    mend.write_text(text.replace("#REF!", "7000").replace(BAD_VIN, VINS[4]), encoding="utf-8")
    alone = run(tmp_path, mend, MAPPING)
    assert alone.json == {"rows_read": 2, "sealed": 2, "duplicate": 0, "faulty": 0, "passports": 2}, alone.err


def test_import__tables_may_be_packed_once_more(tmp_path: Path) -> None:
    sheet, columns = tmp_path / "atelier.xlsx", tmp_path / "readings.parquet"
    write_xlsx(sheet)
    duckdb.execute(
        "COPY (SELECT ? AS VIN, DATE '2020-02-29' AS Date, 12345 AS Compteur, 'a' AS Atelier)"
        f" TO '{columns}' (FORMAT parquet)",
        [VINS[5]],
    )
    for file, sealed in ((sheet, 3), (columns, 1)):
        packed = tmp_path / f"{file.name}.gz"
        packed.write_bytes(gzip.compress(file.read_bytes()))
        assert run(tmp_path, packed, MAPPING).json["sealed"] == sealed
        packed.write_bytes(packed.read_bytes()[:-40])
        cut = run(tmp_path, packed, MAPPING)
        assert (cut.code, cut.json_error["error"]) == (1, "unreadable_file")
        assert "cannot be unpacked" in cut.json_error["message"]


def test_import__parquet_types_become_what_they_say(tmp_path: Path) -> None:
    file = tmp_path / "readings.parquet"
    duckdb.execute("SET TimeZone = 'UTC'")
    duckdb.execute(
        "COPY (SELECT * FROM (VALUES (?, DATE '2020-02-29', 12345.0::DOUBLE, 'a'), (?, DATE '2020-03-01', 6.5, NULL))"
        f" AS t(VIN, Date, Compteur, Atelier)) TO '{file}' (FORMAT parquet)",
        [VINS[0], VINS[1]],
    )
    ran = run(tmp_path, file, MAPPING)
    assert ran.json == {"rows_read": 2, "sealed": 1, "duplicate": 0, "faulty": 1, "passports": 1}, ran.err
    assert "[value_out_of_range]" in ran.err
    moments = tmp_path / "moments.parquet"
    duckdb.execute(
        "COPY (SELECT * FROM (VALUES (?, TIMESTAMPTZ '2020-02-29 08:30:00+01', 12345.00::DECIMAL(12,2), 'a'))"
        f" AS t(VIN, Date, Compteur, Atelier)) TO '{moments}' (FORMAT parquet)",
        [VINS[2]],
    )
    assert run(tmp_path, moments, MAPPING).json["sealed"] == 1
    with open_reader(Home(tmp_path / "home")) as reader:
        fields = list(reader.read_entries(reader.get(f"vin:{VINS[2]}")))[1].fields
        assert fields is not None
        assert fields["occurred"] == {"at": "2020-02-29T07:30:00", "precision": "second", "zone": "+00:00"}
        assert fields["odometer_km"] == Decimal(12_345)


def write_book(path: Path, *sheets: tuple[str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


READINGS: list[list[object]] = [["VIN", "Date", "Km"], *([vin, date(2020, 2, 29), 12_345] for vin in VINS[:3])]


def test_guess__the_table_may_stand_in_another_sheet_than_the_first(tmp_path: Path) -> None:
    file = write_book(tmp_path / "a.xlsx", ("Aide", [["À lire"], ["Remplir le second onglet"]]), ("Relevés", READINGS))
    found = guess_file(file, NOW)
    assert found.mapping is not None
    assert getattr(found.mapping.reader, "sheet", None) == "Relevés"
    assert (found.doubts, "the table is in the sheet Relevés" in map(str, found.grounds)) == ((), True)
    ran = run(tmp_path, file, found.mapping.to_json())
    assert ran.json == {"rows_read": 3, "sealed": 3, "duplicate": 0, "faulty": 0, "passports": 3}, ran.err


def test_guess__another_sheet_with_a_table_is_told(tmp_path: Path) -> None:
    file = write_book(tmp_path / "a.xlsx", ("Janvier", READINGS), ("Notes", [["rien"]]), ("Février", READINGS))
    found = guess_file(file, NOW)
    assert found.mapping is not None
    assert getattr(found.mapping.reader, "sheet", None) is None
    assert [str(doubt) for doubt in found.doubts] == ["only the sheet Janvier is read; Février holds a table too"]


@pytest.mark.parametrize("type_", ["TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ", "DATE"])
def test_guess__a_parquet_column_of_midnights_holds_days(tmp_path: Path, type_: str) -> None:
    file = tmp_path / "readings.parquet"
    duckdb.execute("SET TimeZone = 'UTC'")
    duckdb.execute(
        f"COPY (SELECT * FROM (VALUES (?, {type_} '2020-02-29', 12345), (?, {type_} '2020-03-01', 12346))"
        f" AS t(VIN, Date, Km)) TO '{file}' (FORMAT parquet)",
        [VINS[0], VINS[1]],
    )
    found = guess_file(file, NOW)
    assert found.mapping is not None
    assert found.mapping.occurred.form == ("yyyy-mm-dd" if type_ == "DATE" else "yyyy-mm-dd 00:00:00")
    moments = [item.fields["occurred"] for item in found.rows if isinstance(item, Row)]
    assert moments == [{"at": day, "precision": "day", "zone": None} for day in ("2020-02-29", "2020-03-01")]


def test_import__a_pipe_is_read_once_and_from_its_beginning(tmp_path: Path) -> None:
    """Four bytes of a pipe were read to see whether it was a table, and were lost: `carnet import file <(gunzip …)`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = f"VIN,Date,Compteur,Atelier\n{VINS[0]},2020-02-29,12345,Nord\n".encode()
    mapping = MAPPING | {"reader": {"type": "delimited"}}
    for read in (lambda: run(tmp_path, pipe, mapping, "--validate-only").json, lambda: guess_file(pipe, NOW)):
        feeding = Thread(target=pipe.write_bytes, args=(text,), daemon=True)
        feeding.start()
        found = read()
        feeding.join(10)
        if isinstance(found, Guess):
            assert found.mapping is not None
            assert len(found.rows) == 1
        else:
            assert (found["rows_read"], found["faulty"]) == (1, 0)


def test_import__real_parquet_file(tmp_path: Path) -> None:
    real = shared_file("data", "used_cars", "us_vehicle_specs", "epa_vehicles.parquet")
    checked = run(tmp_path, real, EPA, "--validate-only")
    assert checked.json == {
        "rows_read": 45_808,
        "sealed": 0,
        "duplicate": 0,
        "faulty": 0,
        "passports": 45_808,
        "validate_only": True,
    }
    head = tmp_path / "head.parquet"
    duckdb.execute(f"COPY (SELECT * FROM read_parquet('{real}') LIMIT 1000) TO '{head}' (FORMAT parquet)")
    totals = {"rows_read": 1_000, "sealed": 1_000, "duplicate": 0, "faulty": 0, "passports": 1_000}
    assert run(tmp_path, head, EPA).json == totals
    assert run(tmp_path, head, EPA).json == totals | {"sealed": 0, "duplicate": 1_000}


def test_import__refused_parquet_that_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "cut.parquet"
    file.write_bytes(b"PAR1" + b"\0" * 400)
    ran = run(tmp_path, file, MAPPING)
    assert (ran.code, ran.json["rows_read"], ran.json["faulty"]) == (1, 1, 1)
    assert "this Parquet file cannot be read" in ran.err


def test_import__refused_mapping_for_text_over_a_table(tmp_path: Path) -> None:
    file = tmp_path / "atelier.xlsx"
    write_xlsx(file)
    ran = run(tmp_path, file, MAPPING | {"reader": {"type": "delimited"}})
    assert (ran.code, ran.json_error["error"]) == (1, "wrong_type")
    assert (
        'atelier.xlsx is XLSX, and the mapping reads text: its reader should be {"type": "rows"}'
        in ran.json_error["message"]
    )
    assert not (tmp_path / "home").exists()


def test_import__a_column_that_is_not_there_is_one_fault(tmp_path: Path) -> None:
    file = tmp_path / "atelier.xlsx"
    write_xlsx(file)
    ran = run(tmp_path, file, MAPPING | {"subject": {"scheme": "vin", "column": "Châssis"}})
    assert (ran.json["rows_read"], ran.json["faulty"]) == (1, 1)
    assert 'the file has no column "Châssis"; it has "VIN", "Date", "Compteur", "Atelier"' in ran.err


def test_import__says_what_to_install_where_parquet_has_no_reader(tmp_path: Path) -> None:
    file = tmp_path / "some.parquet"
    duckdb.execute(f"COPY (SELECT 1 AS a) TO '{file}' (FORMAT parquet)")
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(MAPPING), encoding="utf-8")
    # A module of None in sys.modules is how Python itself says that there is none.
    script = "import sys; sys.modules['duckdb'] = None; from carnet.cli import main; sys.exit(main(sys.argv[1:]))"
    for verb in (["file", str(file), "--map", str(mapping)], ["guess", str(file)]):
        command = [COMMAND[0], "-c", script, "import", *verb]
        ran = subprocess.run(command, env=make_env(tmp_path / "home"), capture_output=True, text=True, timeout=120)
        assert ran.returncode == 1
        assert "pip install 'carnet[tables]'" in ran.stderr
        assert "Traceback" not in ran.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["atelier[1].parquet", "atelier*.parquet"])
def test_import__refused_parquet_name_that_is_a_pattern(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"PAR1")
    ran = run(tmp_path, file, MAPPING)
    assert (ran.code, ran.json["faulty"]) == (1, 1)
    assert "rename it" in ran.err
