"""Files as they come: faulty, packed, cut, piped; each fault with its row, column and rule, and no good row lost."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from carnet.encoding import b64, unb64
from carnet.ledger.batch import compute_receipt
from carnet.node.home import Home
from carnet.services.founding import open_writer_at
from carnet.services.reading import open_reader
from carnet.signing import verify
from tests.cli.run import COMMAND, carnet, make_env, make_inspection, make_line
from tests.cli.test_erase import read_all

GOOD = [make_line(f"HV00{at:02d}", make_inspection(), make_inspection(date="2016-01-02", pv="A2")) for at in range(5)]
GOOD_ROWS = 10


def import_bytes(tmp_path: Path, data: bytes, *options: str, name: str = "file.jsonl") -> Any:
    file = tmp_path / name
    file.write_bytes(data)
    return carnet("import", "histovec", file, "--json", *options, home=tmp_path / "home")


def raw_line(vehicle: str, inspection: bytes) -> bytes:
    return b'{"vehicle":"%s","inspections":[%s]}\n' % (vehicle.encode(), inspection)


def spell(**changed: object) -> bytes:
    return json.dumps(make_inspection(**changed)).encode()


BAD_LINES: dict[str, tuple[bytes, str, str | None]] = {
    "unknown_field": (make_line("HV0aaa", make_inspection(colour="red")), "unknown_field", "colour"),
    "missing_field": (raw_line("HV0aaa", b'{"date":"2015-03-04"}'), "missing_field", None),
    "duplicate_key": (raw_line("HV0aaa", spell()[:-1] + b', "km": 5}'), "duplicate_key", None),
    "nan": (raw_line("HV0aaa", spell(km=1).replace(b'"km": 1', b'"km": NaN')), "number_out_of_range", None),
    "giant_number": (
        raw_line("HV0aaa", spell(km=1).replace(b'"km": 1', b'"km": 1' + b"0" * 5000)),
        "number_out_of_range",
        None,
    ),
    "not_json": (b"{\n", "not_json", None),
    "wrong_encoding": (make_line("HV0aaa", make_inspection()).replace(b"S001", b"caf\xe9"), "wrong_encoding", None),
    "date_in_future": (make_line("HV0aaa", make_inspection(date="2999-01-01")), "time_in_future", "date"),
    "no_such_day": (make_line("HV0aaa", make_inspection(date="2015-02-30")), "invalid_time", "date"),
    "wrong_type": (make_line("HV0aaa", make_inspection(km="many")), "wrong_type", "km"),
    "not_in_list": (make_line("HV0aaa", make_inspection(result="PERFECT")), "not_in_list", "result"),
    "subject": (make_line("not an id", make_inspection()), "value_out_of_range", "vehicle"),
    "nested": (b"[" * 100_000 + b"\n", "nested_too_deep", None),
    "hidden_character": (make_line("HV0aaa", make_inspection(centre="S\u202e1")), "text_not_allowed", "centre"),
}


@pytest.mark.parametrize("name", sorted(BAD_LINES))
def test_import__a_bad_row_loses_no_good_one(tmp_path: Path, name: str) -> None:
    line, rule, column = BAD_LINES[name]
    faults = tmp_path / "faults.ndjson"
    ran = import_bytes(tmp_path, b"".join([*GOOD[:2], line, *GOOD[2:]]), "--faults", str(faults))
    assert ran.code == 1
    assert ran.json == {
        "rows_read": GOOD_ROWS + 1,
        "sealed": GOOD_ROWS,
        "duplicate": 0,
        "faulty": 1,
        "passports": 5,
    }
    (fault,) = [json.loads(one) for one in faults.read_text(encoding="utf-8").splitlines()]
    assert (fault["line"], fault["row"], fault["rule"]) == (3, 5, rule)
    if column is not None:
        assert fault["column"] == column
    # The message is for a person, and stands on standard error too.
    assert fault["message"]
    assert "row 5 (line 3" in ran.err
    assert f"[{rule}]" in ran.err


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read where Linux tells it")
def test_import__a_line_of_100_megabytes_is_streamed_past(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    with file.open("wb") as out:
        out.write(GOOD[0])
        for _ in range(100):
            out.write(b"x" * 1_000_000)
        out.write(b"\n" + GOOD[1])
    # Not ru_maxrss: a process begins with that of its parent, which is the whole test run's.
    script = (
        "import sys; from carnet.cli import main; code = main(sys.argv[1:]);"
        "status = open('/proc/self/status').read();"
        "print(status.split('VmHWM:')[1].split()[0], file=sys.stderr);"
        "sys.exit(code)"
    )
    command = [COMMAND[0], "-c", script, "import", "histovec", str(file), "--json"]
    ran = subprocess.run(command, env=make_env(tmp_path / "home"), capture_output=True, text=True, timeout=120)
    assert ran.returncode == 1, ran.stderr
    assert json.loads(ran.stdout) == {"rows_read": 5, "sealed": 4, "duplicate": 0, "faulty": 1, "passports": 2}
    assert "line_too_long" in ran.stderr
    kilobytes = int(ran.stderr.split()[-1])
    assert kilobytes < 200_000


def test_import__packed_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    for name in ("file.jsonl.gz", "file.jsonl"):
        home = tmp_path / name / "home"
        file = tmp_path / name / name
        file.parent.mkdir()
        file.write_bytes(gzip.compress(b"".join(GOOD)))
        ran = carnet("import", "histovec", file, "--json", home=home)
        assert (ran.code, ran.json["sealed"]) == (0, GOOD_ROWS)


def test_import__truncated_gzip_is_a_fault_and_keeps_what_came_before(tmp_path: Path) -> None:
    # Random-looking rows, so that half of the archive is half of the rows.
    lines = [make_line(f"HV{os.urandom(8).hex()}", make_inspection(pv=os.urandom(20).hex())) for _ in range(2_000)]
    packed = gzip.compress(b"".join(lines))
    ran = import_bytes(tmp_path, packed[: len(packed) // 2], name="cut.jsonl.gz")
    assert ran.code == 1
    assert ran.json["faulty"] == 1
    assert 500 < ran.json["sealed"] < 1_500
    assert ran.json["rows_read"] == ran.json["sealed"] + 1
    assert "breaks off" in ran.err
    assert "[unreadable_file]" in ran.err
    whole = import_bytes(tmp_path, packed, name="whole.jsonl.gz")
    assert (whole.code, whole.json["sealed"] + whole.json["duplicate"]) == (0, 2_000)


def test_import__reads_standard_input(tmp_path: Path) -> None:
    for data in (b"".join(GOOD), gzip.compress(b"".join(GOOD))):
        ran = carnet("import", "histovec", "-", "--json", home=tmp_path / "home", stdin=data)
        assert ran.code == 0
        assert ran.json["sealed"] + ran.json["duplicate"] == GOOD_ROWS


def test_import__utf16_file_is_one_clear_fault(tmp_path: Path) -> None:
    ran = import_bytes(tmp_path, b"".join(GOOD).decode().encode("utf-16"))
    assert (ran.code, ran.json["rows_read"], ran.json["faulty"]) == (1, 1, 1)
    assert "UTF-16" in ran.err


def test_import__of_nothing_is_nothing(tmp_path: Path) -> None:
    ran = import_bytes(tmp_path, b"")
    assert (ran.code, set(ran.json.values())) == (0, {0})


def test_import__the_same_row_twice_in_one_file_is_a_duplicate(tmp_path: Path) -> None:
    ran = import_bytes(tmp_path, GOOD[0] + GOOD[1] + GOOD[0])
    assert (ran.code, ran.json["sealed"], ran.json["duplicate"], ran.json["passports"]) == (0, 4, 2, 2)


def test_import__vehicles_that_come_again_go_on_in_their_passports(tmp_path: Path) -> None:
    # Interleaved over several batches: each vehicle is seen again while its first rows are still in flight.
    years = range(2001, 2011)
    lines = [
        make_line(f"HV{vehicle:06x}", make_inspection(date=f"{year}-05-06", pv=f"{vehicle}-{year}"))
        for year in years
        for vehicle in range(400)
    ]
    ran = import_bytes(tmp_path, b"".join(lines), "--workers", "1")
    assert ran.code == 0, ran.err
    assert ran.json == {"rows_read": 4_000, "sealed": 4_000, "duplicate": 0, "faulty": 0, "passports": 400}
    with open_reader(Home(tmp_path / "home")) as reader:
        entries = list(reader.read_entries(reader.get("histovec:HV000007")))
        assert [str(e.fields["occurred"]["at"])[:4] for e in entries[1:] if e.fields] == [str(y) for y in years]  # type: ignore[index]


def test_validate_only__writes_nothing(tmp_path: Path) -> None:
    faults = tmp_path / "faults.ndjson"
    line = BAD_LINES["date_in_future"][0]
    ran = import_bytes(tmp_path, b"".join([*GOOD, line]), "--validate-only", "--faults", str(faults))
    assert ran.code == 1
    assert ran.json == {
        "rows_read": GOOD_ROWS + 1,
        "sealed": 0,
        "duplicate": 0,
        "faulty": 1,
        "passports": 5,
        "validate_only": True,
    }
    assert not (tmp_path / "home").exists()
    assert json.loads(faults.read_bytes())["column"] == "date"


@pytest.mark.parametrize("is_validated", [False, True], ids=["import", "check"])
def test_import__shows_a_person_how_far_it_is(tmp_path: Path, is_validated: bool) -> None:
    file = tmp_path / "file.jsonl"
    file.write_bytes(b"".join([*GOOD, b"{\n"]))
    said = watch(tmp_path, "import", "histovec", str(file), *["--validate-only"] * is_validated)
    rows = r"11 rows, 1 faulty" if is_validated else r"11 rows, 10 sealed, 1 faulty"
    assert re.search(rf"{rows}, [\d,]+ rows/s", said), said
    assert re.search(r"\b\d:\d\d:\d\d\b", said), said
    assert "100%" in said
    assert said.count("Next: carnet list") == (not is_validated)


def test_import__names_no_next_step_where_nothing_was_sealed(tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    file.write_bytes(b"{\n")
    assert "Next: carnet list" not in watch(tmp_path, "import", "histovec", str(file))


def watch(tmp_path: Path, *arguments: str) -> str:
    """What a verb shows on a terminal of 100 columns, without its colours."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=make_env(tmp_path / "home", COLUMNS="100", TERM="xterm"),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        start_new_session=True,
    )
    os.close(secondary)
    try:
        said = read_all(primary).decode()
        assert process.wait(timeout=60) == 1
    finally:
        process.kill()
        process.wait()
        os.close(primary)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)


def test_receipts__are_signed_and_name_where_each_row_stands(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts.ndjson"
    assert import_bytes(tmp_path, b"".join(GOOD), "--receipts", str(receipts)).code == 0
    lines = [json.loads(line) for line in receipts.read_text(encoding="utf-8").splitlines()]
    assert [line["row"] for line in lines] == list(range(1, GOOD_ROWS + 1))
    with open_reader(Home(tmp_path / "home")) as reader:
        node = reader.state.members.get(reader.state.genesis.founders[0].member).keys[0]
        for line in lines:
            signed = unb64(line["signed"], 32)
            message = compute_receipt(reader.state.net, node.digest, signed, line["accepted_ms"], line["deadline_ms"])
            assert verify(node.key, message, unb64(line["sig"], 64))
            assert line["key"] == b64(node.digest)
            links = reader.get_links(bytes.fromhex(line["passport"]))
            assert (links[line["seq"]].signed, links[line["seq"]].seal) == (signed, line["record"])
    # Run again: each has its receipt, so nothing is added. Another file gets the same ones.
    assert import_bytes(tmp_path, b"".join(GOOD), "--receipts", str(receipts)).code == 0
    assert len(receipts.read_bytes().splitlines()) == GOOD_ROWS
    other = tmp_path / "other.ndjson"
    assert import_bytes(tmp_path, b"".join(GOOD), "--receipts", str(other)).code == 0
    assert sorted(other.read_bytes().splitlines()) == sorted(receipts.read_bytes().splitlines())


def test_receipts__a_torn_last_line_spoils_no_other(tmp_path: Path) -> None:
    receipts = tmp_path / "receipts.ndjson"
    assert import_bytes(tmp_path, GOOD[0], "--receipts", str(receipts)).code == 0
    torn = receipts.read_bytes()[:-40]
    receipts.write_bytes(torn)
    assert import_bytes(tmp_path, b"".join(GOOD), "--receipts", str(receipts)).code == 0
    whole = receipts.read_bytes()
    assert whole.startswith(torn + b"\n")
    added = [json.loads(line) for line in whole[len(torn) + 1 :].splitlines()]
    # The row of the torn one is sealed already, and gets its receipt again.
    first_rows = len(torn.splitlines())
    assert sorted(line["row"] for line in added) == list(range(first_rows, GOOD_ROWS + 1))


def test_import__refused_writer_busy_names_the_process(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert carnet("init", home=home.path).code == 0
    with open_writer_at(home, None, "a test that writes"):
        ran = import_bytes(tmp_path, GOOD[0])
        assert ran.code == 1
        assert ran.json_error["error"] == "writer_busy"
        assert ran.json_error["facts"]["pid"] == os.getpid()
        plain = carnet("import", "histovec", tmp_path / "file.jsonl", home=home.path)
        assert f"process {os.getpid()} (a test that writes)" in plain.err.lower()
        # Reading works meanwhile.
        assert carnet("list", home=home.path).code == 0
    assert import_bytes(tmp_path, GOOD[0]).code == 0


def test_import__refused_not_accredited(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert carnet("init", home=home).code == 0
    assert carnet("member", "add", "--kind", "garage", "--name", "Garage du Pont", home=home).code == 0
    ran = import_bytes(tmp_path, GOOD[0], "--as", "Garage du Pont")
    assert (ran.code, ran.json_error["error"]) == (1, "not_accredited")
    assert carnet("list", "--json", home=home).out == ""


def test_import__a_file_of_another_format_is_told_as_that(tmp_path: Path) -> None:
    """Not a thousand rows to mend: no row of it is one."""
    ran = import_bytes(tmp_path, b"vin;km\nWVWZZZ1KZ7P100000;5\n", "--validate-only", name="a list.csv")
    assert ran.code == 1
    assert f"carnet import guess '{tmp_path}/a list.csv' tells what it is" in ran.err
    mixed = import_bytes(tmp_path, b"no row\n" + GOOD[0], "--validate-only")
    assert mixed.code == 1
    assert "guess" not in mixed.err


def test_import__refused_unreadable_file(tmp_path: Path) -> None:
    ran = carnet("import", "histovec", tmp_path / "absent.jsonl", home=tmp_path / "home")
    assert ran.code == 1
    assert "absent.jsonl: No such file or directory" in ran.err
    assert "Traceback" not in ran.err
    # What cannot be opened founds no node.
    assert not (tmp_path / "home").exists()
