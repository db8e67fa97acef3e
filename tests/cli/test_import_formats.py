"""Every verb of `carnet import` on its real file: exact totals, nothing sealed twice, an interrupted run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import Ran, carnet
from tests.shared import shared_file

VIN = "VF1BB05CF26010203"

MOT_FILE = "inspections/uk_mot_vehicles/mot_histories_transcribed.csv"
MOT = {
    "reader": {"type": "delimited"},
    "kind": "vehicle.inspection/1",
    "subject": {"scheme": "mot", "column": "vehicle"},
    "occurred": {"column": "test_date"},
    "odometer": {"column": "odometer", "unit_column": "unit", "units": {"mi": "mi", "km": "km"}},
    "fields": [
        {
            "read": "choice",
            "field": "result",
            "column": "result",
            "values": {"PASSED": "PASSED", "FAILED": "FAILED"},
        }
    ],
}
READINGS = {
    "reader": {"type": "delimited"},
    "kind": "vehicle.inspection/1",
    "subject": {"scheme": "histovec", "column": "vehicle"},
    "occurred": {"column": "date", "time_column": "start", "zone": "Europe/Paris"},
    "odometer": {"column": "km", "unit": "km"},
    "fields": [
        {"read": "text", "field": "end_time", "column": "end"},
        {"read": "text", "field": "nature", "column": "nature"},
        {"read": "text", "field": "result", "column": "result"},
        {"read": "text", "field": "centre", "column": "centre"},
    ],
}


class Case:
    """A format: its verb with options, its real file, and the totals of a first run."""

    def __init__(self, verb: str, file: str, totals: tuple[int, int, int, int], *options: str, mapping: Any = None):
        self.verb, self.file, self.options, self.mapping = verb, file, options, mapping
        read, duplicate, faulty, passports = totals
        self.read, self.duplicate, self.faulty = read, duplicate, faulty
        self.sealed, self.passports = read - duplicate - faulty, passports

    @property
    def path(self) -> Path:
        return shared_file("data", *self.file.split("/"))

    def run(self, tmp_path: Path, data: bytes | None = None) -> Ran:
        """Import the file, or this much of it, into the one home of the test."""
        options = list(self.options)
        if self.mapping is not None:
            written = tmp_path / "mapping.json"
            written.write_text(json.dumps(self.mapping), encoding="utf-8")
            options += ["--map", str(written)]
        file = "-" if data is not None else self.path
        return carnet("import", self.verb, file, *options, "--json", home=tmp_path / "home", stdin=data)

    def totals(self, *, again: bool = False) -> dict[str, int]:
        sealed = 0 if again else self.sealed
        duplicate = self.read - self.faulty - sealed
        names = ("rows_read", "sealed", "duplicate", "faulty", "passports")
        return dict(zip(names, (self.read, sealed, duplicate, self.faulty, self.passports), strict=True))


CASES = {
    "registry": Case("registry", "histovec/dev/registry_2022.jsonl", (10_216, 0, 0, 2_132)),
    "report": Case("report", "histovec/report_json/aucuneAnomalie.json", (5, 0, 0, 1), "--subject", VIN),
    "dvsa": Case("dvsa", "inspections/dvsa_cvs/dev/test-results.json", (70, 0, 1, 47)),
    "dvsa post": Case("dvsa", "inspections/dvsa_cvs/dev/test-results-post.json", (16, 0, 0, 8)),
    "rdw": Case("rdw", "inspections/rdw_nl/11ZKZ3.json", (4, 0, 0, 1)),
    "rdw of a VIN": Case("rdw", "inspections/rdw_nl/0001TJ.json", (4, 0, 0, 1), "--subject", VIN),
    "rdw fuel": Case("rdw", "inspections/rdw_nl/fuel_11ZKZ3.json", (1, 0, 0, 1)),
    "rdw recalls": Case("rdw", "inspections/rdw_nl/recalls.json", (2, 0, 0, 1)),
    "rdw masked": Case("rdw", "inspections/rdw_nl/transcribed_records.json", (3, 0, 3, 0)),
    "vpic": Case("vpic", "vin/vpic_api_json/success.json", (2, 0, 0, 1)),
    "vpic not found": Case("vpic", "vin/vpic_api_json/not_found.json", (1, 0, 1, 0)),
    "file": Case("file", MOT_FILE, (58, 0, 0, 6), mapping=MOT),
    "file of readings": Case("file", "histovec/dev/odometer_readings.csv", (5_275, 0, 0, 845), mapping=READINGS),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_import__seals_each_row_of_the_real_file_once(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    first = case.run(tmp_path)
    assert first.json == case.totals(), first.err
    assert first.code == (1 if case.faulty else 0)
    again = case.run(tmp_path)
    assert again.json == case.totals(again=True), again.err


@pytest.mark.parametrize("name", ["registry", "dvsa", "file of readings"])
def test_import__goes_on_where_a_file_was_cut(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    data = case.path.read_bytes()
    part = case.run(tmp_path, data[: len(data) // 2])
    # The row in which it was cut is faulty, unless it was cut between rows.
    assert 0 < part.json["sealed"] < case.sealed
    whole = case.run(tmp_path)
    assert whole.json["sealed"] + whole.json["duplicate"] == case.sealed + case.duplicate
    # A text row that was cut may have been whole by accident; what was sealed of it stays.
    assert whole.json["duplicate"] - case.duplicate in (part.json["sealed"], part.json["sealed"] - 1)
    assert whole.json["faulty"] == case.faulty
    assert case.run(tmp_path).json == case.totals(again=True)
