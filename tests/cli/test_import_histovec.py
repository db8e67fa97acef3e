"""The real file of French inspections, imported by the real command line; each number of the issue."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from carnet.node.home import Home
from carnet.services.reading import open_reader
from carnet.types import Basis
from tests.cli.run import COMMAND, carnet, make_env
from tests.shared import shared_file

ROWS, PASSPORTS = 5_275, 845
NOTHING_NEW = {"rows_read": ROWS, "sealed": 0, "duplicate": ROWS, "faulty": 0, "passports": PASSPORTS}
ALL_NEW = NOTHING_NEW | {"sealed": ROWS, "duplicate": 0}


def real_file() -> Path:
    return shared_file("data", "histovec", "dev", "odometer_histories.jsonl")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home into which the file was imported once; tests only read it, or copy it."""
    home = tmp_path_factory.mktemp("histovec") / "home"
    ran = carnet("import", "histovec", real_file(), "--json", home=home)
    assert ran.code == 0, ran.err
    # An empty home: the node is made, and that is said; nothing but the one object is on standard output.
    assert "made one" in ran.err
    assert ran.json == ALL_NEW
    return home


def test_import__first_run_seals_each_row_of_the_real_file(imported: Path) -> None:
    listed = carnet("list", "--json", home=imported).json_lines
    assert len(listed) == PASSPORTS
    # Openings are entries and not rows.
    assert sum(line["entries"] for line in listed) == ROWS + PASSPORTS
    assert {line["subject"]["scheme"] for line in listed} == {"histovec"}
    members = carnet("member", "list", "--json", home=imported).json_lines
    # No centre was invented as a member: the node and its operator are all there is.
    assert [member["kind"] for member in members] == ["node", "data_service"]


def test_import__second_run_seals_nothing(imported: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(imported, home)
    before = (home / "node.db").read_bytes()
    ran = carnet("import", "histovec", real_file(), "--json", home=home)
    assert (ran.code, ran.json) == (0, NOTHING_NEW)
    with open_reader(Home(home)) as reader, open_reader(Home(imported)) as first:
        # Not even a census: there was nothing to count anew.
        assert reader.state.size == first.state.size
    assert len((home / "node.db").read_bytes()) == len(before)


def test_import__summary_for_a_person_adds_up(imported: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(imported, home)
    ran = carnet("import", "histovec", real_file(), home=home)
    assert ran.out.splitlines()[0] == "rows read 5,275 = 0 sealed + 5,275 duplicate + 0 faulty"


def test_import__seals_what_the_rows_say_and_no_more(imported: Path) -> None:
    rows = [json.loads(line) for line in real_file().read_text(encoding="utf-8").splitlines()]
    wanted = sorted(
        (line["vehicle"], one["date"], one["km"], one["pv"] or None, one["centre"] or None)
        if one["km"] is not None
        else (line["vehicle"], one["date"], -1, one["pv"] or None, one["centre"] or None)
        for line in rows
        for one in line["inspections"]
    )
    found = []
    with open_reader(Home(imported)) as reader:
        for passport in reader.list_passports():
            assert passport.subject is not None
            for entry in reader.read_entries(passport.chain16):
                assert entry.basis == Basis.REPORTED
                fields = entry.fields
                assert fields is not None
                if entry.kind == "passport.opened/1":
                    continue
                assert entry.kind == "vehicle.inspection/1"
                km = fields["odometer_km"]
                assert (fields["odometer_state"] == "not_stated") == (km is None)
                day = str(fields["occurred"]["at"])[:10]  # type: ignore[index]
                reading = -1 if km is None else km
                found.append((passport.subject["value"], day, reading, fields["report_number"], fields["centre"]))
    assert sorted(found) == wanted  # type: ignore[type-var]
    assert sum(one[2] == -1 for one in found) == 25


def test_import__rows_of_a_vehicle_keep_their_order(imported: Path) -> None:
    with open_reader(Home(imported)) as reader:
        for line in real_file().read_text(encoding="utf-8").splitlines()[::50]:
            document = json.loads(line)
            chain = reader.get(f"histovec:{document['vehicle']}")
            entries = list(reader.read_entries(chain))
            days = [str(entry.fields["occurred"]["at"])[:10] for entry in entries[1:] if entry.fields]  # type: ignore[index]
            assert days == [one["date"] for one in document["inspections"]]


def test_import__killed_midway_resumes_to_the_same_totals(tmp_path: Path) -> None:
    home, receipts = tmp_path / "home", tmp_path / "receipts.ndjson"
    lines = real_file().read_bytes().splitlines(keepends=True)
    command = [*COMMAND, "import", "histovec", "-", "--receipts", str(receipts), "--workers", "0"]
    running = subprocess.Popen(command, env=make_env(home), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert running.stdin is not None
    # It can commit what it has been given, and waits for more when it is killed.
    running.stdin.write(b"".join(lines[:500]))
    running.stdin.flush()
    for _ in range(600):
        if receipts.exists() and receipts.stat().st_size:
            break
        assert running.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.1)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    running.stdin.close()
    acknowledged = [json.loads(line) for line in receipts.read_bytes().splitlines() if line.endswith(b"}")]
    assert 0 < len(acknowledged) < ROWS

    ran = carnet("import", "histovec", real_file(), "--json", home=home)
    assert ran.code == 0, ran.err
    totals = ran.json
    assert totals["sealed"] + totals["duplicate"] == ROWS
    assert totals["duplicate"] >= len(acknowledged)
    assert (totals["faulty"], totals["passports"]) == (0, PASSPORTS)
    assert carnet("import", "histovec", real_file(), "--json", home=home).json == NOTHING_NEW
    with open_reader(Home(home)) as reader:
        assert reader.count_entries() == ROWS + PASSPORTS
        for receipt in acknowledged:
            entries = list(reader.read_entries(bytes.fromhex(receipt["passport"])))
            assert entries[receipt["seq"]].sid.hex() == receipt["statement"]
    checked = carnet("fsck", "--json", home=home)
    assert (checked.code, checked.json_lines[-1]["clean"]) == (0, True)


def test_fsck__is_clean_after_the_import(imported: Path) -> None:
    ran = carnet("fsck", "--json", home=imported)
    assert ran.code == 0, ran.out
    assert ran.json_lines == [{"clean": True, "cut": False, "findings": 0}]


def test_export__of_imported_passports_verifies_elsewhere(imported: Path, tmp_path: Path) -> None:
    policy = tmp_path / "network.policy"
    policy.write_text(carnet("policy", home=imported).out, encoding="utf-8")
    listed = carnet("list", "--json", home=imported).json_lines
    for line in (listed[0], listed[400], listed[-1]):
        proof = tmp_path / f"{line['passport']}.carnet"
        assert carnet("export", line["passport"], "-o", proof, home=imported).code == 0
        ran = carnet("verify", proof, "--policy", policy, "--complete", "--json", cwd=tmp_path)
        assert ran.code == 0, ran.out
        assert (ran.json["report"]["links"], ran.json["report"]["withheld"]) == (line["entries"], 0)
        assert ran.json["report"]["subject"] == line["subject"]
