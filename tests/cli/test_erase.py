"""`carnet erase` as a person and a script would use it, on a home that a file was imported into."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from pathlib import Path

import pytest

from carnet.encoding import decode, unb64
from tests.cli.run import COMMAND, Ran, carnet, make_env, make_inspection, make_line


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    assert carnet("init", "--name", "example.org", home=home).code == 0
    import_file(tmp_path, home, write_file(tmp_path))
    return home


def write_file(folder: Path) -> Path:
    file = folder / "inspections.jsonl"
    if not file.exists():
        lines = [
            make_line(
                f"HV{n:040x}",
                make_inspection(date="2015-03-04", km=61_000 + n),
                make_inspection(date="2017-03-04", km=81_000 + n),
                make_inspection(date="2019-03-04", km=99_000 + n),
            )
            for n in range(3)
        ]
        file.write_bytes(b"".join(lines))
    return file


def import_file(folder: Path, home: Path, file: Path) -> Ran:
    return carnet("import", "histovec", file, "--faults", folder / "faults.ndjson", "--json", home=home)


def subject(number: int) -> str:
    return f"histovec:HV{number:040x}"


def prove(folder: Path, home: Path, which: str) -> Ran:
    policy = folder / "network.policy"
    policy.write_text(carnet("policy", home=home).out)
    bundle = folder / "car.carnet"
    exported = carnet("export", which, "-o", bundle, "--force", home=home)
    assert exported.code == 0, exported.err
    return carnet("verify", bundle, "--policy", policy, "--json")


def test_erase__entry(tmp_path: Path, home: Path) -> None:
    before = prove(tmp_path, home, subject(1))
    assert before.code == 0
    (tmp_path / "old.carnet").write_bytes((tmp_path / "car.carnet").read_bytes())
    ran = carnet("erase", subject(1), "--entry", "2", "--reason", "unlawful", "--yes", "--json", home=home)
    assert ran.code == 0, ran.err
    certificate = ran.json
    assert (certificate["entries"], certificate["links"], certificate["reason"]) == ([2], None, "unlawful")
    assert certificate["searched"]["gone"] is True
    assert decode(unb64(certificate["record"]))["passport"] == certificate["passport"]  # type: ignore[index]
    shown = carnet("show", subject(1), home=home)
    assert shown.code == 0
    assert "erased" in shown.out
    assert "81,001" not in shown.out
    assert "99,001" in shown.out
    after = prove(tmp_path, home, subject(1))
    assert after.code == 0
    assert (after.json["report"]["withheld"], after.json["report"]["shown"]) == (1, 3)
    assert carnet("verify", tmp_path / "old.carnet", "--policy", tmp_path / "network.policy").code == 0
    summary = import_file(tmp_path, home, write_file(tmp_path)).json_lines[-1]
    assert (summary["sealed"], summary["duplicate"], summary["faulty"]) == (0, 8, 1)
    fault = json.loads((tmp_path / "faults.ndjson").read_text().splitlines()[-1])
    assert "erased" in fault.values()
    assert carnet("fsck", home=home).code == 0


def test_erase__passport(tmp_path: Path, home: Path) -> None:
    ran = carnet("erase", subject(1), "--yes", "--json", home=home)
    assert ran.code == 0, ran.err
    certificate = ran.json
    assert (certificate["entries"], certificate["links"]) == (None, 4)
    assert (certificate["census"]["count"], certificate["census"]["erased"]) == (2, 1)
    for which in (subject(1), certificate["passport"]):
        for verb in (
            ["show", which],
            ["export", which, "-o", str(tmp_path / "gone.carnet")],
            ["erase", which, "--yes"],
        ):
            again = carnet(*verb, "--json", home=home)
            assert again.code == 1
            assert again.json_error["error"] == "erased"
    assert not (tmp_path / "gone.carnet").exists()
    assert prove(tmp_path, home, subject(0)).code == 0
    summary = import_file(tmp_path, home, write_file(tmp_path)).json_lines[-1]
    assert (summary["sealed"], summary["duplicate"], summary["faulty"], summary["passports"]) == (0, 6, 3, 2)
    assert len(carnet("list", "--json", home=home).json_lines) == 2
    assert carnet("fsck", home=home).code == 0


def test_erase__certificate_for_a_person(home: Path) -> None:
    ran = carnet("erase", subject(2), "--reason", "retention_over", "--yes", home=home)
    assert ran.code == 0
    for part in (
        "What goes",
        "What stays",
        "Certificate of erasure",
        "retention_over",
        "2 passports, 1 erased",
        "backups",
    ):
        assert part in ran.out
    assert "Nothing of it was found in any file" in ran.out


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_erase__asks_nobody(home: Path, more: list[str]) -> None:
    ran = carnet("erase", subject(1), *more, home=home)
    assert ran.code == 2
    assert "--yes" in ran.err
    assert not (home / "erasures.journal").exists()
    assert carnet("show", subject(1), home=home).code == 0


@pytest.mark.parametrize(
    "arguments,code",
    [
        ([subject(1), "--entry", "0"], "target_is_opening"),
        ([subject(1), "--entry", "99"], "unknown_target"),
        ([subject(1), "--reason", "because"], "not_in_list"),
        ([subject(77)], "unknown_passport"),
    ],
)
def test_erase__refused(home: Path, arguments: list[str], code: str) -> None:
    ran = carnet("erase", *arguments, "--yes", "--json", home=home)
    assert ran.code == 1
    assert ran.json_error["error"] == code
    assert not (home / "erasures.journal").exists()


@pytest.mark.parametrize("answer,is_gone", [(b"n\n", False), (b"y\n", True)])
def test_erase__asks_a_person(home: Path, answer: bytes, is_gone: bool) -> None:
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "erase", subject(1)], env=make_env(home), stdin=secondary, stdout=secondary, stderr=secondary
    )
    os.close(secondary)
    os.write(primary, answer)
    said = read_all(primary)
    assert process.wait(timeout=60) == 0
    os.close(primary)
    assert b"Erase this for good?" in said
    assert (carnet("show", subject(1), home=home).code == 1) == is_gone


def read_all(descriptor: int) -> bytes:
    said = b""
    while select.select([descriptor], [], [], 60)[0]:
        try:
            part = os.read(descriptor, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    return said
