"""`carnet verify` and `carnet trust`: the exit codes, the words, and that nothing of a node is needed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from carnet.services.explaining import VERDICTS
from tests.cli.run import COMMAND, carnet, make_env, make_inspection, make_line
from tests.vectors import DIRECTORY


def write_vector(folder: Path, name: str) -> tuple[list[str], dict[str, Any]]:
    """A golden vector as files; the arguments that ask what it asks."""
    vector = json.loads((DIRECTORY / f"bundle-{name}.json").read_text(encoding="utf-8"))
    asked = vector["asked"]
    proof = folder / f"{name}.carnet"
    proof.write_bytes(base64.b64decode(vector["bundle"]))
    arguments = ["verify", str(proof), "--at", str(vector["now"])]
    if vector["policy"] is not None:
        policy = folder / f"{name}.policy"
        policy.write_text(vector["policy"], encoding="utf-8")
        arguments += ["--policy", str(policy)]
    if asked["complete"]:
        arguments.append("--complete")
    if asked["max_age"] is not None:
        arguments += ["--max-age", f"{asked['max_age'] // 1000}s"]
    if asked["since"] is not None:
        older = folder / f"{name}.older"
        older.write_bytes(base64.b64decode(asked["since"]))
        arguments += ["--since", str(older)]
    if asked["subject"] is not None:
        arguments += ["--subject", ":".join(asked["subject"][part] for part in ("scheme", "value"))]
    if asked["passport"] is not None:
        arguments += ["--passport", asked["passport"]]
    return arguments, vector


@pytest.mark.parametrize(
    "name",
    [
        "genuine",
        "genuine_superseded",
        "genuine_cosigned",
        "genuine_since",
        "no_policy",
        "other_network",
        "other_passport",
        "too_old",
        "unknown_version",
        "refused_value_changed",
        "refused_fork_between_censuses",
        "refused_author_swapped",
    ],
)
def test_verify__gives_the_report_of_the_vector(tmp_path: Path, name: str) -> None:
    arguments, vector = write_vector(tmp_path, name)
    ran = carnet(*arguments, "--json")
    assert ran.json == vector["report"]
    assert ran.code == vector["report"]["exit"]
    plain = carnet(*arguments)
    assert plain.code == ran.code
    assert VERDICTS[ran.code][0].upper() in plain.out
    for finding in vector["report"]["findings"].values():
        assert finding["code"] is None or f"({finding['code']})" in plain.out
    if ran.code == 10:
        # Nothing of an altered file is repeated.
        assert "subject" not in plain.out


def test_verify__without_policy_says_which_key_to_compare(tmp_path: Path) -> None:
    arguments, vector = write_vector(tmp_path, "no_policy")
    ran = carnet(*arguments)
    assert ran.code == 11
    assert vector["report"]["report"]["log_key"] in ran.out
    assert "carnet trust add" in ran.out


def test_verify__by_a_clock_that_is_behind_says_what_it_says(tmp_path: Path) -> None:
    """Whoever's battery is empty is told more than that the proof is wrong."""
    arguments, _ = write_vector(tmp_path, "genuine")
    arguments[arguments.index("--at") + 1] = "946684800000"
    ran = carnet(*arguments)
    assert ran.code == 10
    assert "(time_in_future)" in ran.out
    assert "The clock that judges says 2000-01-01 00:00 UTC" in ran.out
    assert "clock that judges" not in carnet(*write_vector(tmp_path, "genuine")[0]).out


def test_verify__needs_no_package_of_a_node(tmp_path: Path) -> None:
    arguments, _ = write_vector(tmp_path, "genuine")
    blocked = "alembic cryptography pysqlite3 sqlalchemy"
    script = (
        "import sys\n"
        f"for name in {blocked!r}.split(): sys.modules[name] = None\n"
        "from carnet.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [COMMAND[0], "-c", script]
    ran = subprocess.run([*command, *arguments], env=make_env(), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    # A verb of the node says what is missing instead.
    other = subprocess.run([*command, "list"], env=make_env(tmp_path), capture_output=True, text=True, timeout=60)
    assert other.returncode == 1
    assert "carnet[server]" in other.stderr
    assert "Traceback" not in other.stderr


def test_verify__a_gigabyte_is_refused_without_being_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.carnet"
    with huge.open("wb") as file:
        file.write(b"[" * 1_000_000)
        file.truncate(2**30)
    started = time.monotonic()
    ran = carnet("verify", huge, "--json")
    assert time.monotonic() - started < 20
    assert (ran.code, ran.json["findings"]["integrity"]["code"]) == (10, "too_large")
    brackets = tmp_path / "brackets.carnet"
    brackets.write_bytes(b"[" * 2**25)
    ran = carnet("verify", brackets, "--json")
    assert (ran.code, ran.json["findings"]["integrity"]["state"]) == (10, "failed")


def test_verify__reads_standard_input(tmp_path: Path) -> None:
    arguments, _ = write_vector(tmp_path, "genuine")
    proof = Path(arguments[1]).read_bytes()
    assert carnet("verify", "-", *arguments[2:], stdin=proof).code == 0


@pytest.mark.parametrize(
    "option, value, code, said",
    [
        ("--policy", "absent.policy", 1, "No such file"),
        ("--max-age", "soon", 2, "30d"),
        ("--subject", "VF1TESTO000000001", 1, "invalid_vin"),
        ("--subject", "VF1TESTI000000001", 1, "invalid_vin"),
        ("--passport", "xyz", 1, "wrong_type"),
        ("--since", "absent.carnet", 1, "No such file"),
    ],
)
def test_verify__refuses_what_cannot_be_asked(tmp_path: Path, option: str, value: str, code: int, said: str) -> None:
    arguments, _ = write_vector(tmp_path, "genuine")
    ran = carnet(*arguments, option, value)
    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_verify__refused_policy_malformed_names_the_line(tmp_path: Path) -> None:
    arguments, _ = write_vector(tmp_path, "no_policy")
    policy = tmp_path / "bad.policy"
    policy.write_text("log nonsense\nquorum none\n", encoding="utf-8")
    ran = carnet(*arguments, "--policy", policy, "--json")
    assert (ran.code, ran.json_error["error"]) == (1, "policy_malformed")
    assert "line 1" in ran.json_error["message"]


def test_trust__kept_policy_is_used_for_its_network(tmp_path: Path) -> None:
    home = tmp_path / "home"
    arguments, vector = write_vector(tmp_path, "genuine")
    proof, at = arguments[1], arguments[3]
    assert carnet("verify", proof, "--at", at, home=home).code == 11
    added = carnet("trust", "add", tmp_path / "genuine.policy", "--name", "test", home=home)
    assert added.code == 0
    assert [line["trust"] for line in carnet("trust", "list", "--json", home=home).json_lines] == ["test"]
    ran = carnet("verify", proof, "--at", at, home=home)
    assert ran.code == 0
    assert "test" in ran.out
    # Files of secrets have company here: nobody else may look.
    assert os.stat(home).st_mode & 0o077 == 0
    # The same again is no change; another key for the same network is refused unless it is meant.
    assert carnet("trust", "add", tmp_path / "genuine.policy", home=home).code == 0
    _, other = write_vector(tmp_path, "genuine_cosigned")
    changed = tmp_path / "changed.policy"
    changed.write_text(vector["policy"].replace("quorum none", "") + "quorum none\n", encoding="utf-8")
    assert other["policy"] != vector["policy"]
    again = carnet("trust", "add", tmp_path / "genuine_cosigned.policy", "--json", home=home)
    assert (again.code, again.json_error["error"]) == (1, "key_exists")
    assert carnet("trust", "add", tmp_path / "genuine_cosigned.policy", "--replace", home=home).code == 0
    assert len(carnet("trust", "list", "--json", home=home).json_lines) == 1
    (kept,) = carnet("trust", "list", "--json", home=home).json_lines
    assert carnet("trust", "remove", kept["trust"], home=home).code == 0
    assert carnet("verify", proof, "--at", at, home=home).code == 11
    gone = carnet("trust", "remove", kept["trust"], home=home)
    assert gone.code == 1
    assert "(code: unknown_key)" in gone.err


def test_trust__refused_name_that_is_a_path(tmp_path: Path) -> None:
    target = tmp_path / "precious.policy"
    target.write_text("log x\n", encoding="utf-8")
    assert carnet("trust", "remove", "../../precious", home=tmp_path / "home").code == 1
    assert target.exists()


def test_verify__a_second_node_with_the_same_names_and_data_is_never_genuine(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(make_line("HV0abc", make_inspection()))
    policies, proofs = [], []
    for side in ("true", "false"):
        home = tmp_path / side
        init = carnet("init", "--name", "same.example", "--operator", "The Same Company", home=home)
        assert init.code == 0, init.err
        assert carnet("import", "histovec", file, home=home).code == 0
        proof, policy = tmp_path / f"{side}.carnet", tmp_path / f"{side}.policy"
        assert carnet("export", "histovec:HV0abc", "-o", proof, home=home).code == 0
        policy.write_text(carnet("policy", home=home).out, encoding="utf-8")
        proofs.append(proof)
        policies.append(policy)
    codes = [[carnet("verify", proof, "--policy", policy).code for policy in policies] for proof in proofs]
    assert codes == [[0, 11], [11, 0]]
    # Nor is it by rewriting the policy's name for the other's key, nor by keeping both.
    for policy in policies:
        assert carnet("trust", "add", policy, home=tmp_path / "reader").code == 0
    assert [carnet("verify", proof, home=tmp_path / "reader").code for proof in proofs] == [0, 0]
    forged = policies[0].read_text(encoding="utf-8").split("+")[0] + "+" + policies[1].read_text().split("+", 1)[1]
    mixed = tmp_path / "mixed.policy"
    mixed.write_text(forged, encoding="utf-8")
    assert carnet("verify", proofs[0], "--policy", mixed).code != 0
    assert carnet("verify", proofs[1], "--policy", mixed).code != 0


def test_verify__many_files_each_as_alone_and_the_gravest_exit_code(tmp_path: Path) -> None:
    names = ["genuine", "genuine_superseded", "refused_value_changed", "unknown_version", "genuine"]
    files, at, policy = [], "", ""
    for name in names:
        arguments, _ = write_vector(tmp_path, name)
        files.append(arguments[1])
        if name == "genuine":
            at, policy = arguments[3], arguments[5]
    ran = carnet("verify", *files, "--at", at, "--policy", policy, "--json")
    alone = [carnet("verify", file, "--at", at, "--policy", policy, "--json") for file in files]
    assert ran.json_lines == [{"file": file, **one.json} for file, one in zip(files, alone, strict=True)]
    codes = [one.code for one in alone]
    assert set(codes) == {0, 10, 11}
    assert ran.code == 10
    plain = carnet("verify", *files[:2], files[3], "--at", at, "--policy", policy)
    assert plain.code == 11
    assert ["✔", "GENUINE", files[0]] in [line.split() for line in plain.out.splitlines()]
    assert "3 proofs: 1 cannot tell, 2 genuine." in plain.out
    assert carnet("verify", *files[:2], "--at", at, "--policy", policy).code == 0
