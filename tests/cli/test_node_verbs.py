"""`init`, `member`, `keys`, `find`, `show`, `export`, `fsck` on a small node."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from carnet.encoding import b64
from carnet.ledger.rules.members import compute_enrolment
from carnet.node.home import Home
from carnet.node.jobs import Group, Item
from carnet.services.founding import get_operator, open_writer_at
from carnet.services.reading import open_reader
from carnet.signing import Signer
from carnet.types import Custody, KeyRole, Subject
from carnet.vault.partial import PART, writing_whole
from tests.cli.run import carnet, make_inspection, make_line

VEHICLE = "histovec:HV0abc"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A node with one vehicle of three inspections, one of them of 2015."""
    path = tmp_path / "home"
    data = make_line("HV0abc", *(make_inspection(date=f"{year}-01-02", pv=str(year)) for year in (2015, 2017, 2019)))
    assert carnet("import", "histovec", "-", home=path, stdin=data + make_line("HV0def", make_inspection())).code == 0
    return path


def test_init__makes_a_node_with_defaults(tmp_path: Path) -> None:
    ran = carnet("init", "--json", home=tmp_path / "home")
    assert ran.code == 0
    assert ran.json["operator"]["kind"] == "data_service"
    assert os.stat(tmp_path / "home" / "keys.json").st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "home").st_mode & 0o777 == 0o700
    again = carnet("init", "--json", home=tmp_path / "home")
    assert (again.code, again.json_error["error"]) == (1, "node_exists")


@pytest.mark.parametrize(
    "option, value, error",
    [
        ("--name", "Not A Name", "value_out_of_range"),
        ("--kind", "wizard", "not_in_list"),
        ("--kind", "node", "not_in_list"),
    ],
)
def test_init__refused_bad_choice(tmp_path: Path, option: str, value: str, error: str) -> None:
    ran = carnet("init", option, value, "--json", home=tmp_path / "home")
    assert (ran.code, ran.json_error["error"]) == (1, error)
    assert not (tmp_path / "home" / "node.db").exists()


def test_passphrase__is_read_from_a_file_and_never_asked(tmp_path: Path) -> None:
    home, right, wrong = tmp_path / "home", tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse\n", encoding="utf-8")
    wrong.write_text("battery staple\n", encoding="utf-8")
    assert carnet("init", "--passphrase-file", right, home=home).code == 0
    assert b"passphrase" in (home / "keys.json").read_bytes()
    without = carnet("list", "--json", home=home)
    assert (without.code, without.json_error["error"]) == (1, "wrong_passphrase")
    assert "--passphrase-file" in carnet("list", home=home).err
    assert carnet("list", "--passphrase-file", wrong, "--json", home=home).json_error["error"] == "wrong_passphrase"
    assert carnet("list", "--passphrase-file", right, home=home).code == 0
    data = make_line("HV0abc", make_inspection())
    ran = carnet("import", "histovec", "-", "--passphrase-file", right, "--json", home=home, stdin=data)
    assert (ran.code, ran.json["sealed"]) == (0, 1)
    # Changed, then taken away.
    assert carnet("keys", "passphrase", "--passphrase-file", right, "--new-file", wrong, home=home).code == 0
    assert carnet("list", "--passphrase-file", right, home=home).code == 1
    assert carnet("keys", "passphrase", "--passphrase-file", wrong, "--remove", home=home).code == 0
    assert carnet("list", home=home).code == 0
    assert os.stat(home / "keys.json").st_mode & 0o777 == 0o600
    assert carnet("keys", "passphrase", home=home).code == 2


def test_member__enrol_accredit_revoke_retire(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert carnet("init", home=home).code == 0
    garage = carnet("member", "add", "--kind", "garage", "--name", "Garage du Pont", "--json", home=home).json
    assert {"basis": 2, "class": 1, "kind": "vehicle.service/1"} in garage["accreditations"]
    again = carnet("member", "add", "--kind", "garage", "--name", "Garage du Pont", "--json", home=home)
    assert (again.code, again.json_error["error"]) == (1, "member_exists")
    shown = carnet("member", "show", garage["id"][:8], "--json", home=home).json
    assert shown == garage
    change = ("member", "accredit", "Garage du Pont", "--kind", "vehicle.service/1", "--basis", "2", "--withdraw")
    without = carnet(*change, "--json", home=home).json
    assert {"basis": 2, "class": 1, "kind": "vehicle.service/1"} not in without["accreditations"]
    # An empty cell of the writer table stays empty, whoever accredits.
    forbidden = carnet(
        "member", "accredit", "Garage du Pont", "--kind", "vehicle.inspection/1", "--basis", "2", "--json", home=home
    )
    assert (forbidden.code, forbidden.json_error["error"]) == (1, "may_not_write")
    digest = garage["keys"][0]["digest"]
    assert carnet("keys", "revoke", digest[:12], "--yes", home=home).code == 0
    revoked = carnet("member", "show", "Garage du Pont", "--json", home=home).json
    assert revoked["keys"][0]["revoked"] is not None
    listed = {one["digest"]: one for one in carnet("keys", "list", "--json", home=home).json_lines[1:]}
    assert listed[digest]["revoked"] == revoked["keys"][0]["revoked"]
    retired = carnet("member", "retire", "Garage du Pont", "--yes", "--json", home=home).json
    assert retired["retired"] is not None
    missing = carnet("member", "show", "nobody", "--json", home=home)
    assert (missing.code, missing.json_error["error"]) == (1, "unknown_member")


def test_member__own_key_is_enrolled_by_its_own_signature(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert carnet("init", home=home).code == 0
    with open_reader(Home(home)) as reader:
        net = reader.state.net
    signer, member_id = Signer(bytes(range(32))), bytes(range(16))
    message = compute_enrolment(net, member_id, KeyRole.AUTHOR, Custody.OWN)
    own_key = f"{b64(signer.public)}:{b64(signer.sign(message))}"
    arguments = ("member", "add", "--kind", "insurer", "--name", "Mutuelle", "--json")
    forged = carnet(*arguments, "--id", "0" * 32, "--own-key", own_key, home=home)
    assert (forged.code, forged.json_error["error"]) == (1, "bad_signature")
    added = carnet(*arguments, "--id", member_id.hex(), "--own-key", own_key, home=home)
    assert added.code == 0, added.err
    assert added.json["keys"][0]["custody"] == "own"
    other = ("member", "add", "--kind", "insurer", "--name", "Another", "--json")
    assert carnet(*other, "--own-key", own_key, home=home).json_error["error"] == "missing_field"
    assert carnet(*other, "--own-key", "xyz", "--id", "1" * 32, home=home).json_error["error"] == "wrong_type"


def test_find__by_every_name_it_has(home: Path) -> None:
    (found,) = carnet("find", VEHICLE, "--json", home=home).json_lines
    assert found["entries"] == 4
    for text in (found["passport"], found["passport"][:6], found["passport"].upper()[:8]):
        assert carnet("find", text, "--json", home=home).json_lines[0]["passport"] == found["passport"]
    nothing = carnet("find", "VF1TEST0000000001", home=home)
    assert (nothing.code, nothing.out) == (1, "")
    assert "Nothing found" in nothing.err
    assert "among 2 passports" in nothing.err
    bad = carnet("find", "VF1TESTO000000001", "--json", home=home)
    assert (bad.code, bad.json_error["error"]) == (1, "invalid_vin")


def test_show__is_a_timeline_newest_first(home: Path) -> None:
    ran = carnet("show", VEHICLE, home=home)
    assert ran.code == 0
    days = [line.split()[0] for line in ran.out.splitlines() if line.startswith("20")]
    assert days[:3] == ["2019-01-02", "2017-01-02", "2015-01-02"]
    assert "61,000 km" in ran.out
    assert "reported" in ran.out
    document = carnet("show", VEHICLE, "--only", "inspection", "--json", home=home).json
    assert [entry["seq"] for entry in document["entries"]] == [1, 2, 3]
    assert {entry["state"] for entry in document["entries"]} == {"stands"}
    unknown = carnet("show", VEHICLE, "--only", "magic", "--json", home=home)
    assert (unknown.code, unknown.json_error["error"]) == (1, "unknown_kind")
    absent = carnet("show", "histovec:HV0999", "--json", home=home)
    assert (absent.code, absent.json_error["error"]) == (1, "unknown_passport")


def test_export__selects_kinds_and_fields(home: Path, tmp_path: Path) -> None:
    policy = tmp_path / "network.policy"
    policy.write_text(carnet("policy", home=home).out, encoding="utf-8")
    proof = tmp_path / "part.carnet"
    made = carnet(
        "export", VEHICLE, "-o", proof, "--only", "inspection", "--fields", "odometer_km", "--json", home=home
    )
    assert made.code == 0, made.err
    assert (made.json["shown"], made.json["withheld"], made.json["links"]) == (4, 0, 4)
    report = carnet("verify", proof, "--policy", policy, "--json").json["report"]
    for entry in report["entries"]:
        assert set(entry["fields"]) <= {"kind", "subject", "occurred", "odometer_km"}
    none = carnet("export", VEHICLE, "-o", tmp_path / "o.carnet", "--only", "odometer", "--json", home=home)
    assert (none.json["shown"], none.json["withheld"]) == (1, 3)
    typo = carnet("export", VEHICLE, "-o", tmp_path / "t.carnet", "--fields", "odometer_klm", "--json", home=home)
    assert (typo.code, typo.json_error["error"]) == (1, "unknown_field")
    assert not (tmp_path / "t.carnet").exists()


def test_export__never_overwrites_unless_told(home: Path, tmp_path: Path) -> None:
    proof = tmp_path / "car.carnet"
    proof.write_text("precious", encoding="utf-8")
    ran = carnet("export", VEHICLE, "-o", proof, "--json", home=home)
    assert (ran.code, ran.json_error["error"]) == (1, "file_exists")
    assert proof.read_text(encoding="utf-8") == "precious"
    assert carnet("export", VEHICLE, "-o", proof, "--force", home=home).code == 0
    piped = carnet("export", VEHICLE, "-o", "-", home=home)
    assert json.loads(piped.out)["carnet"] == "proof/1"
    assert piped.err == ""


def test_export__writes_over_what_a_killed_one_left_and_not_into_anothers(home: Path, tmp_path: Path) -> None:
    proof = tmp_path / "mine" / "car.carnet"
    proof.parent.mkdir()
    proof.with_name(f".car.carnet{PART}").write_bytes(b"half of it")
    assert carnet("export", VEHICLE, "-o", proof, home=home).code == 0
    assert [one.name for one in proof.parent.iterdir()] == ["car.carnet"]
    whole = proof.read_bytes()
    with writing_whole(proof) as other:
        ran = carnet("export", VEHICLE, "-o", proof, "--force", "--json", home=home)
        assert (ran.code, ran.json_error["error"]) == (1, "writer_busy")
        other.write(whole)
    assert proof.read_bytes() == whole


def test_export__since_continues_an_older_proof(home: Path, tmp_path: Path) -> None:
    policy, old, new = tmp_path / "network.policy", tmp_path / "old.carnet", tmp_path / "new.carnet"
    policy.write_text(carnet("policy", home=home).out, encoding="utf-8")
    assert carnet("export", VEHICLE, "-o", old, home=home).code == 0
    more = make_line("HV0abc", make_inspection(date="2021-01-02", pv="2021"))
    assert carnet("import", "histovec", "-", home=home, stdin=more).code == 0
    assert carnet("export", VEHICLE, "-o", new, "--since", old, home=home).code == 0
    judge = ("verify", new, "--policy", policy, "--since", old, "--complete", "--subject", VEHICLE, "--json")
    ran = carnet(*judge)
    assert (ran.code, ran.json["report"]["links"]) == (0, 5)
    # Without the consistency proof it cannot be told; the other way round it is a fork of nothing, but older.
    plain = tmp_path / "plain.carnet"
    assert carnet("export", VEHICLE, "-o", plain, home=home).code == 0
    assert carnet("verify", plain, "--policy", policy, "--since", old).code == 11
    assert carnet("verify", old, "--policy", policy, "--since", new).code == 10


def test_export__takes_a_census_unless_somebody_writes(home: Path, tmp_path: Path) -> None:
    fields = {"kind": "vehicle.inspection/1", "subject": {"scheme": "histovec", "value": "HV0abc"}}
    fields |= {"occurred": {"at": "2022-02-02", "precision": "day", "zone": None}, "odometer_state": "not_stated"}
    with open_writer_at(Home(home), None, "a test that writes") as writer:
        chain = writer.find_chain(Subject("histovec", "HV0abc"))
        operator = get_operator(writer)
        writer.append(operator.id, 3, [Group([Item("vehicle.inspection/1", fields)], chain)])
        behind = carnet("export", VEHICLE, "-o", tmp_path / "behind.carnet", "--json", home=home)
        assert (behind.code, behind.json["links"], behind.json["behind"]) == (0, 4, True)
        assert "another process is writing" in behind.err
    fresh = carnet("export", VEHICLE, "-o", tmp_path / "fresh.carnet", "--json", home=home)
    assert (fresh.code, fresh.json["links"], fresh.json["behind"]) == (0, 5, False)


def test_fsck__names_table_row_and_column(home: Path) -> None:
    from pysqlite3 import dbapi2

    connection = dbapi2.connect(str(home / "node.db"))
    connection.execute("UPDATE entry SET content = zeroblob(40) WHERE chain = 1 AND seq = 2")
    connection.commit()
    connection.close()
    ran = carnet("fsck", "--json", home=home)
    assert ran.code == 1
    *findings, summary = ran.json_lines
    assert (findings[0]["table"], findings[0]["column"]) == ("entry", "content")
    assert not summary["clean"]
    plain = carnet("fsck", home=home)
    assert plain.code == 1
    assert "entry" in plain.out
    assert "Nothing was changed" in plain.out
