"""`carnet restore --fork`: another network that cites the old one, which nobody can take for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.run import Ran, carnet, make_inspection, make_line

OLD, NEW = "histovec:HV000001", "histovec:HV000900"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a node with three vehicles, and the passphrase that opens it in `backup.pass`."""
    home = tmp_path / "node"
    (tmp_path / "backup.pass").write_text("a long backup passphrase\n")
    assert carnet("init", "--name", "cars.example", home=home).code == 0
    lines = b"".join(make_line(f"HV{at:06x}", make_inspection()) for at in range(1, 4))
    (tmp_path / "rows.jsonl").write_bytes(lines)
    assert carnet("import", "histovec", tmp_path / "rows.jsonl", home=home).code == 0
    file = tmp_path / "b"
    assert carnet("backup", "-o", file, "--passphrase-file", tmp_path / "backup.pass", home=home).code == 0
    return file


def fork(backup: Path, *more: str | Path) -> Ran:
    secret = backup.with_name("backup.pass")
    return carnet("restore", "--fork", backup, "--passphrase-file", secret, *more, home=backup.with_name("fork"))


def prove(home: Path, which: str) -> Path:
    """A proof, and the policy of the network that gave it beside it."""
    out = home.with_name(f"{home.name}.carnet")
    ran = carnet("export", which, "-o", out, home=home)
    assert ran.code == 0, ran.err
    out.with_suffix(".policy").write_text(carnet("policy", home=home).out)
    return out


def verify(proof: Path, policy: Path) -> Ran:
    return carnet("verify", proof, "--policy", policy, "--json")


def test_restore__fork_is_another_network_that_cites_the_old_one(backup: Path, tmp_path: Path) -> None:
    ran = fork(backup, "--json")
    assert ran.code == 0, ran.err
    made, home, copy = ran.json, tmp_path / "fork", tmp_path / "fork.old"
    before = carnet("status", "--json", home=tmp_path / "node").json
    assert made["forked_from"]["origin"] == before["network"]
    assert made["forked_from"]["size"] == before["log"]["signed"]
    assert made["network"].startswith("fork.cars.example/")
    assert carnet("status", "--json", home=home).json["forked_from"] == made["forked_from"]
    assert before["network"] in carnet("status", home=home).out

    (tmp_path / "new.jsonl").write_bytes(make_line("HV000900", make_inspection()))
    assert carnet("import", "histovec", tmp_path / "new.jsonl", home=home).code == 0
    new, old = prove(home, NEW), prove(copy, OLD)
    judged = verify(new, new.with_suffix(".policy"))
    assert (judged.code, judged.json["report"]["forked_from"]) == (0, made["forked_from"])
    assert before["network"] in carnet("verify", new, "--policy", new.with_suffix(".policy")).out
    judged = verify(old, old.with_suffix(".policy"))
    assert (judged.code, judged.json["report"]["forked_from"]) == (0, None)
    # Neither is taken for the other.
    for proof, policy in ((new, old), (old, new)):
        judged = verify(proof, policy.with_suffix(".policy"))
        assert (judged.code, judged.json["findings"]["authority"]["code"]) == (11, "other_network")
    assert carnet("fsck", home=home).code == 0
    # The copy is a restored copy like any other.
    assert carnet("census", home=copy).code == 1


def test_show__says_what_a_vehicle_goes_on_from(backup: Path, tmp_path: Path) -> None:
    assert fork(backup).code == 0
    home, copy = tmp_path / "fork", tmp_path / "fork.old"
    refused = carnet("show", OLD, "--json", home=home)
    assert refused.code == 1
    assert f"carnet --home {copy} show {OLD}" in refused.json_error["message"]
    assert "goes on" not in carnet("show", NEW, "--json", home=home).json_error["message"]

    again = make_line("HV000001", make_inspection(date="2019-01-02", km=200_000))
    (tmp_path / "new.jsonl").write_bytes(again)
    assert carnet("import", "histovec", tmp_path / "new.jsonl", home=home).code == 0
    passport = carnet("show", OLD, "--json", home=copy).json["passport"]
    shown = carnet("show", OLD, "--json", home=home).json
    assert shown["older"] == {"entries": 2, "home": str(copy), "passport": passport}
    assert shown["passport"] != passport
    assert "2 older entries" in " ".join(carnet("show", OLD, home=home).out.split())
    copy.rename(tmp_path / "elsewhere")
    assert carnet("show", OLD, "--json", home=home).json["older"] is None
    assert carnet("show", OLD, home=home).code == 0


def test_restore__fork_goes_on_where_a_kill_has_left_it(backup: Path, tmp_path: Path) -> None:
    """Killed after the copy was made: called again without the file."""
    secret = tmp_path / "backup.pass"
    assert carnet("restore", backup, "--passphrase-file", secret, home=tmp_path / "fork.old").code == 0
    ran = carnet("restore", "--fork", "--name", "new.example", "--json", home=tmp_path / "fork")
    assert ran.code == 0, ran.err
    assert ran.json["network"].startswith("new.example/")
    assert json.loads(carnet("list", "--json", home=tmp_path / "fork").out or "[]") == []


def test_restore__fork_refused(backup: Path, tmp_path: Path) -> None:
    home = tmp_path / "fork"
    assert carnet("restore", "--fork", "--json", home=home).json_error["error"] == "no_node"
    assert carnet("restore", backup, "--name", "x.example", home=home).code == 2
    assert fork(backup, "--checkpoint", backup).code == 2
    assert fork(backup, "--name", "Not A Name", "--json").json_error["error"] == "value_out_of_range"
    assert not (tmp_path / "fork.old").exists()
    # A copy that stands there is not restored over.
    secret = tmp_path / "backup.pass"
    assert carnet("restore", backup, "--passphrase-file", secret, home=tmp_path / "fork.old").code == 0
    refused = fork(backup, "--json").json_error
    assert (refused["error"], "--fork without a backup" in refused["message"]) == ("node_exists", True)
    assert carnet("restore", "--fork", home=home).code == 0
    assert carnet("restore", "--fork", "--json", home=home).json_error["error"] == "node_exists"
    # A folder stays as it is written, also where a sentence begins with it.
    assert "Refused: fork already holds a node" in carnet("--home", "fork", "restore", "--fork", cwd=tmp_path).err
    # A node that may write needs no fork.
    (tmp_path / "other.old").symlink_to(tmp_path / "node")
    refused = carnet("restore", "--fork", "--json", home=tmp_path / "other").json_error
    assert (refused["error"], "needs no fork" in refused["message"]) == ("node_exists", True)


def test_restore__fork_of_keys_under_a_passphrase(tmp_path: Path) -> None:
    secret = tmp_path / "backup.pass"
    secret.write_text("a long passphrase for all of it\n")
    home = tmp_path / "node"
    assert carnet("init", "--passphrase-file", secret, home=home).code == 0
    (tmp_path / "rows.jsonl").write_bytes(make_line("HV000001", make_inspection()))
    assert carnet("import", "histovec", tmp_path / "rows.jsonl", "--passphrase-file", secret, home=home).code == 0
    file = tmp_path / "b"
    assert carnet("backup", "-o", file, "--passphrase-file", secret, home=home).code == 0
    ran = fork(file, "--keys-passphrase-file", secret)
    assert ran.code == 0, ran.err
    assert carnet("show", OLD, "--json", home=tmp_path / "fork").code == 1
    shown = carnet("show", OLD, "--passphrase-file", secret, "--json", home=tmp_path / "fork")
    assert "fork.old" in shown.json_error["message"]
