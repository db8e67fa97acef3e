"""Faulty rows: copied as they stood, mended in that file, imported alone; each mended row is sealed, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import Ran, carnet, make_inspection, make_line

VINS = [f"WVWZZZ1KZ7P{number:06}" for number in range(100_000, 100_006)]
MAPPING: dict[str, Any] = {
    "kind": "vehicle.odometer/1",
    "subject": {"scheme": "vin", "column": "vin"},
    "occurred": {"column": "date", "form": "dd/mm/yyyy"},
    "odometer": {"column": "km", "unit": "km"},
    "fields": [{"read": "text", "field": "establishment", "column": "garage"}],
}
FAULTS = [("vin", "invalid_vin"), ("km", "wrong_type"), ("date", "invalid_time")]


def make_rows() -> tuple[list[list[str]], dict[str, str]]:
    """Six rows of which three are faulty, and what each faulty cell should have been."""
    rows = [[vin, f"0{at + 1}/02/2020", str(at * 1_000), f"Garage n° {at}"] for at, vin in enumerate(VINS)]
    rows[1][0] = VINS[1][:-1] + "O"
    rows[3][2] = "many"
    rows[4][1] = "31/02/2020"
    return rows, {VINS[1][:-1] + "O": VINS[1], "many": "3000", "31/02/2020": "05/02/2020"}


def write_csv(encoding: str) -> tuple[bytes, dict[str, Any]]:
    rows, _ = make_rows()
    text = "".join(";".join(row) + "\n" for row in [["vin", "date", "km", "garage"], *rows])
    named = "utf-8" if encoding == "utf-8-sig" else encoding
    return text.encode(encoding), {"type": "delimited", "separator": ";", "encoding": named}


def write_objects(is_array: bool) -> tuple[bytes, dict[str, Any]]:
    objects = [dict(zip(("vin", "date", "km", "garage"), row, strict=True)) for row in make_rows()[0]]
    if is_array:
        return json.dumps(objects, indent=2, ensure_ascii=False).encode(), {"type": "json"}
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in objects), {"type": "json"}


FILES = {
    "csv": (*write_csv("utf-8"), "utf-8"),
    "csv with a mark": (*write_csv("utf-8-sig"), "utf-8"),
    "csv of windows": (*write_csv("cp1252"), "cp1252"),
    "csv in utf-16": (*write_csv("utf-16"), "utf-16"),
    "ndjson": (*write_objects(is_array=False), "utf-8"),
    "json array": (*write_objects(is_array=True), "utf-8"),
}


def run(tmp_path: Path, file: Path, *options: str | Path) -> Ran:
    return carnet(
        "import", "file", file, "--map", tmp_path / "mapping.json", "--json", *options, home=tmp_path / "home"
    )


@pytest.mark.parametrize("name", sorted(FILES))
def test_import__mended_rows_alone_are_sealed(tmp_path: Path, name: str) -> None:
    data, reader, encoding = FILES[name]
    file, mend = tmp_path / "file", tmp_path / "mend"
    file.write_bytes(data)
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING | {"reader": reader}), encoding="utf-8")
    first = run(tmp_path, file, "--faulty", mend)
    assert first.code == 1
    assert first.json == {"rows_read": 6, "sealed": 3, "duplicate": 0, "faulty": 3, "passports": 3}
    # Beside it stands, for each row, where it was, which column is to blame, which rule, and where it is now.
    faults = [json.loads(line) for line in (tmp_path / "mend.faults.ndjson").read_bytes().splitlines()]
    assert [(fault["row"], fault["column"], fault["rule"]) for fault in faults] == [
        (row, *fault) for row, fault in zip((2, 4, 5), FAULTS, strict=True)
    ]
    lines = mend.read_bytes().decode(encoding).splitlines()
    wrong = list(make_rows()[1])
    assert [wrong[at] in "".join(lines[fault["copied_to"] - 1 :][:6]) for at, fault in enumerate(faults)] == [True] * 3

    text = mend.read_bytes().decode(encoding)
    for bad, good in make_rows()[1].items():
        assert text.count(bad) == 1
        text = text.replace(bad, good)
    mend.write_bytes(text.encode(encoding))
    alone = run(tmp_path, mend, "--faulty", tmp_path / "again")
    assert alone.json == {"rows_read": 3, "sealed": 3, "duplicate": 0, "faulty": 0, "passports": 3}, alone.err
    # Nothing was left to mend, so no file asks for it; and the mended file is the file, row for row.
    assert not list(tmp_path.glob("again*"))
    assert run(tmp_path, mend).json["duplicate"] == 3
    assert run(tmp_path, file).json | {"passports": 0} == {
        "rows_read": 6,
        "sealed": 0,
        "duplicate": 3,
        "faulty": 3,
        "passports": 0,
    }


def test_import__a_line_of_several_rows_is_copied_whole_and_once(tmp_path: Path) -> None:
    bad = make_line(
        "HV0001", make_inspection(), make_inspection(km="many", pv="A2"), make_inspection(date="2015-02-30", pv="A3")
    )
    file, mend = tmp_path / "file.jsonl", tmp_path / "mend.jsonl"
    file.write_bytes(make_line("HV0000", make_inspection()) + bad)
    home = tmp_path / "home"
    first = carnet("import", "histovec", file, "--json", "--faulty", mend, home=home)
    assert first.json == {"rows_read": 4, "sealed": 2, "duplicate": 0, "faulty": 2, "passports": 2}
    assert mend.read_bytes() == bad
    mend.write_bytes(bad.replace(b'"many"', b"61000").replace(b"2015-02-30", b"2015-02-28"))
    alone = carnet("import", "histovec", mend, "--json", home=home)
    # The good row of the line was sealed before; the mended ones are sealed now.
    assert alone.json == {"rows_read": 3, "sealed": 2, "duplicate": 1, "faulty": 0, "passports": 1}


def test_import__what_was_not_read_whole_is_listed_and_not_copied(tmp_path: Path) -> None:
    file, mend = tmp_path / "file.jsonl", tmp_path / "mend.jsonl"
    file.write_bytes(make_line("HV0000", make_inspection()) + b'{"vehicle":"' + b"x" * 1_100_000 + b'"}\n')
    ran = carnet("import", "histovec", file, "--json", "--faulty", mend, home=tmp_path / "home")
    assert (ran.code, ran.json["faulty"]) == (1, 1)
    assert not mend.exists()
    (fault,) = [json.loads(line) for line in (tmp_path / "mend.jsonl.faults.ndjson").read_bytes().splitlines()]
    assert (fault["rule"], fault["row"], "copied_to" in fault) == ("line_too_long", 2, False)


def test_import__refused_faulty_rows_over_the_file_or_over_mended_ones(tmp_path: Path) -> None:
    file, mend = tmp_path / "file.jsonl", tmp_path / "mend.jsonl"
    file.write_bytes(make_line("HV0000", make_inspection(km="many")))
    home = tmp_path / "home"
    over = carnet("import", "histovec", file, "--json", "--faulty", file, home=home)
    assert (over.code, over.json_error["error"]) == (2, "usage")
    assert file.read_bytes() == make_line("HV0000", make_inspection(km="many"))
    assert carnet("import", "histovec", file, "--json", "--faulty", mend, home=home).code == 1
    mend.write_bytes(b"half mended")
    again = carnet("import", "histovec", file, "--json", "--faulty", mend, home=home)
    assert (again.code, again.json_error["error"]) == (1, "file_exists")
    assert "mend and import them" in again.json_error["message"]
    assert mend.read_bytes() == b"half mended"


def test_import__refused_its_own_file_as_the_list_of_faults(tmp_path: Path) -> None:
    """The list stands beside the rows by a name of its own: were the import's file called so, it was removed."""
    file, mend = tmp_path / "mend.jsonl.faults.ndjson", tmp_path / "mend.jsonl"
    file.write_bytes(make_line("HV0000", make_inspection()))
    ran = carnet("import", "histovec", file, "--json", "--faulty", mend, home=tmp_path / "home")
    assert (ran.code, ran.json_error["error"]) == (1, "file_exists")
    assert file.read_bytes() == make_line("HV0000", make_inspection())


def test_import__without_faulty_rows_leaves_no_list_of_another(tmp_path: Path) -> None:
    file, mend = tmp_path / "file.jsonl", tmp_path / "mend.jsonl"
    (tmp_path / "mend.jsonl.faults.ndjson").write_bytes(b"of the file that was mended since\n")
    file.write_bytes(make_line("HV0000", make_inspection()))
    assert carnet("import", "histovec", file, "--faulty", mend, home=tmp_path / "home").code == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file.jsonl", "home"]


def test_validate_only__copies_faulty_rows_too(tmp_path: Path) -> None:
    file, mend = tmp_path / "file.jsonl", tmp_path / "mend.jsonl"
    file.write_bytes(make_line("HV0000", make_inspection(km="many")))
    ran = carnet("import", "histovec", file, "--validate-only", "--faulty", mend, home=tmp_path / "home")
    assert ran.code == 1
    assert f"mend {mend}" in ran.err
    assert mend.read_bytes() == file.read_bytes()
