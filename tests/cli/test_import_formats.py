"""Every verb of `carnet import` on its real file: exact totals, nothing sealed twice, an interrupted run goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from carnet.node.home import Home
from carnet.services.reading import open_reader
from tests.cli.run import COMMAND, Ran, carnet, make_env
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

    def write_options(self, tmp_path: Path) -> list[str]:
        """The options of the verb; its mapping document is written."""
        if self.mapping is None:
            return list(self.options)
        written = tmp_path / "mapping.json"
        written.write_text(json.dumps(self.mapping), encoding="utf-8")
        return [*self.options, "--map", str(written)]

    def run(self, tmp_path: Path, data: bytes | None = None) -> Ran:
        """Import the file, or this much of it, into the one home of the test."""
        options = self.write_options(tmp_path)
        file = "-" if data is not None else self.path
        return carnet("import", self.verb, file, *options, "--json", home=tmp_path / "home", stdin=data)

    def totals(self, *, again: bool = False) -> dict[str, int]:
        sealed = 0 if again else self.sealed
        duplicate = self.read - self.faulty - sealed
        names = ("rows_read", "sealed", "duplicate", "faulty", "passports")
        return dict(zip(names, (self.read, sealed, duplicate, self.faulty, self.passports), strict=True))


CASES = {
    "registry": Case("registry", "histovec/dev/registry_2022.jsonl", (10_217, 0, 0, 2_132)),
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


def test_vpic__names_the_manufacturer_by_the_list(tmp_path: Path) -> None:
    wmi = shared_file("data", "vin", "wmi_list", "wmi_database.json")
    answer = shared_file("data", "vin", "vpic_api_json", "success.json")
    assert carnet("import", "vpic", answer, "--wmi", wmi, "--json", home=tmp_path / "home").json["sealed"] == 2
    with open_reader(Home(tmp_path / "home")) as reader:
        entries = list(reader.read_entries(reader.get("vin:1GYDE63A740121151")))
        (made,) = [entry.fields for entry in entries if entry.kind == "vehicle.manufacture/1"]
    assert made is not None
    assert made["note"] == "manufacturer by the VIN's first characters, 1GY: Cadillac"
    # The answer is the same row without the list: it is not sealed again.
    assert carnet("import", "vpic", answer, "--json", home=tmp_path / "home").json["duplicate"] == 2


def test_dvsa__mot_history_of_a_mark_that_nobody_knows(tmp_path: Path) -> None:
    file, home = tmp_path / "mot.json", tmp_path / "home"
    test = {"completedDate": "2021-01-14", "testResult": "PASSED", "odometerValue": "61000", "odometerUnit": "mi"}
    file.write_text(json.dumps([{"registration": "AB12CDE", "make": "FORD", "motTests": [test]}]), encoding="utf-8")
    refused = carnet("import", "dvsa", file, "--json", home=home)
    assert (refused.json["faulty"], refused.json["passports"]) == (2, 0)
    assert "no passport here has the plate AB12 CDE (GB), and a plate opens none [unknown_passport]" in refused.err
    opened = carnet("import", "dvsa", file, "--open-as", "mot", "--json", home=home)
    assert opened.json == {"rows_read": 2, "sealed": 2, "duplicate": 0, "faulty": 0, "passports": 1}
    assert "61,000 mi" in carnet("show", "mot:AB12 CDE", home=home).out


@pytest.mark.parametrize(
    "options, reason",
    [
        (("--open-as", "vin"), "value_out_of_range"),
        (("--open-as", "Of Mine"), "value_out_of_range"),
        (("--subject", "WVWZZZ1KZ7P10000O"), "invalid_vin"),
    ],
)
def test_import__refused_option_before_anything_is_read(tmp_path: Path, options: tuple[str, str], reason: str) -> None:
    ran = carnet("import", "rdw", tmp_path / "absent", *options, "--json", home=tmp_path / "home")
    assert (ran.code, ran.json_error["error"]) == (1, reason)


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


def kill_import(case: Case, tmp_path: Path, options: list[str], moment: Path) -> bool:
    """Start an import and kill it as soon as this file has a byte; whether it was not quicker than we are."""
    receipts = tmp_path / "receipts.ndjson"
    command = [*COMMAND, "import", case.verb, str(case.path), *options, "--receipts", str(receipts), "--workers", "0"]
    running = subprocess.Popen(command, env=make_env(tmp_path / "home"), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while running.poll() is None and not (moment.exists() and moment.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    running.kill()
    code = running.wait()
    assert code in (0, 1, -signal.SIGKILL)
    return code == -signal.SIGKILL


@pytest.mark.parametrize("name", ["registry", "report", "dvsa", "rdw", "vpic", "file of readings"])
def test_kill_9__of_an_import_loses_nothing_that_was_acknowledged(tmp_path: Path, name: str) -> None:
    """Killed while the store is new, and again when the first receipts are written; then it is run to its end."""
    case, home, receipts = CASES[name], tmp_path / "home", tmp_path / "receipts.ndjson"
    options = case.write_options(tmp_path)
    assert kill_import(case, tmp_path, options, home / "node.db")
    receipts.unlink(missing_ok=True)
    was_killed = kill_import(case, tmp_path, options, receipts)
    lines = receipts.read_bytes().splitlines(keepends=True) if receipts.exists() else []
    acknowledged = [json.loads(line) for line in lines if line.endswith(b"\n")]
    # A large file is never done by then.
    assert case.sealed < 1_000 or 0 < len(acknowledged) < case.sealed

    whole = case.run(tmp_path).json
    # Of a small one all may be sealed before the first kill comes: then nobody is told of it anew.
    assert acknowledged or was_killed or whole["sealed"] == 0
    assert whole["sealed"] + whole["duplicate"] == case.sealed + case.duplicate
    assert whole["faulty"] == case.faulty
    assert case.run(tmp_path).json == case.totals(again=True)
    with open_reader(Home(home)) as reader:
        for receipt in acknowledged:
            entries = list(reader.read_entries(bytes.fromhex(receipt["passport"])))
            assert entries[receipt["seq"]].sid.hex() == receipt["statement"]
    checked = carnet("fsck", "--json", home=home)
    assert (checked.code, checked.json_lines[-1]["clean"]) == (0, True), checked.out
