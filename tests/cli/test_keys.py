"""`carnet keys` as a user meets it: replace, revoke, protect; nothing asked without a terminal, nothing lost."""

from __future__ import annotations

import codecs
import json
import os
import pty
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Reason
from carnet.node.home import Home
from carnet.services.founding import open_writer_at
from carnet.services.keeping import change_passphrase
from carnet.types import Basis, Subject
from tests.cli.run import COMMAND, Ran, carnet, make_env
from tests.cli.test_erase import read_all
from tests.node.home import more, new_passport, reading
from tests.proof.javascript import VERIFIER, need_node

VEHICLE = Subject("histovec", f"HV{1:040x}")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "home"
    assert carnet("init", "--name", "cars.example", home=path).code == 0
    assert carnet("member", "add", "--kind", "garage", "--name", "Garage", home=path).code == 0
    append(path, "Operator of this node", Basis.REPORTED)
    append(path, "Garage", Basis.HOSTED, 10)
    append(path, "Garage", Basis.HOSTED, 20)
    return path


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A node with a hosted garage, which has signed two readings of one vehicle."""
    return shutil.copytree(template, tmp_path / "home")


def append(home: Path, name: str, basis: Basis, *kms: int, passphrase: str | None = None) -> None:
    """Open the vehicle's passport, or add readings to it, in a member's name."""
    with open_writer_at(Home(home), passphrase, "a test") as writer:
        member = next(one for one in writer.state.members.all if one.name == name)
        ref = writer.find_chain(VEHICLE)
        group = new_passport(1) if ref is None else more(ref, *(reading(VEHICLE, km) for km in kms))
        assert writer.append(member.id, basis, [group]).refusals == []


def list_keys(home: Path, *options: str | Path) -> list[dict[str, Any]]:
    return carnet("keys", "list", "--json", *options, home=home).json_lines[1:]


def get_key(home: Path, name: str) -> dict[str, Any]:
    """The newest key of a member."""
    return [one for one in list_keys(home) if one["name"] == name][-1]


def verify_twice(home: Path, folder: Path) -> dict[str, Any]:
    """Export, then judge with both verifiers; their answers are the same bytes, apart from the clock's."""
    proof, policy = folder / "car.carnet", folder / "network.policy"
    assert carnet("export", str(VEHICLE), "-o", proof, "--force", home=home).code == 0
    policy.write_text(carnet("policy", home=home).out, encoding="utf-8")
    ran = carnet("verify", proof, "--policy", policy, "--complete", "--json")
    done = subprocess.run([need_node(), str(VERIFIER), "--complete", str(proof), str(policy)], capture_output=True)
    second = json.loads(done.stdout)
    assert (ran.code, done.returncode) == (0, 0), (ran.err, done.stdout)
    found: dict[str, Any] = ran.json
    assert found["report"]["entries"] == second["report"]["entries"]
    return found


def check_clean(home: Path, *options: str | Path) -> None:
    assert carnet("fsck", *options, home=home).code == 0


def talk(home: Path, arguments: list[str], *answers: tuple[bytes, bytes]) -> tuple[int, bytes]:
    """Run a verb with a person at both ends of the terminal, who answers each question when it is asked."""
    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=make_env(home),
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        start_new_session=True,
    )
    os.close(secondary)
    said = b""
    try:
        for question, answer in answers:
            asked = len(said)
            while question not in said[asked:]:
                said += os.read(primary, 4096)
            # A hidden question throws away what was typed before it was asked.
            time.sleep(0.2)
            os.write(primary, answer)
        said += read_all(primary)
        return process.wait(timeout=60), said
    finally:
        process.kill()
        process.wait()
        os.close(primary)


# ---- list, rotate, revoke


def test_list__says_whose_since_when_and_where(home: Path) -> None:
    lines = carnet("keys", "list", "--json", home=home).json_lines
    assert lines[0]["role"] == "log"
    assert [(one["name"], one["role"], one["custody"], one["since"], one["kept"]) for one in lines[1:]] == [
        ("cars.example", "node", "node", 2, True),
        ("Operator of this node", "author", "node", 2, True),
        ("Garage", "author", "node", 3, True),
    ]
    shown = carnet("keys", "list", home=home).out
    assert lines[3]["digest"][:16] in shown


def test_rotate__history_verifies_in_both_verifiers(home: Path, tmp_path: Path) -> None:
    node, garage = get_key(home, "cars.example"), get_key(home, "Garage")
    for which, before in (("node", node), (garage["digest"][:12], garage)):
        new = carnet("keys", "rotate", which, "--json", home=home).json
        assert new["digest"] != before["digest"]
        assert (new["role"], new["kept"], new["revoked"]) == (before["role"], True, None)
        (old,) = [one for one in list_keys(home) if one["digest"] == before["digest"]]
        assert old["revoked"] == new["since"] + 1
        append(home, "Garage", Basis.HOSTED, 30)
        assert not any(entry["disputed"] for entry in verify_twice(home, tmp_path)["report"]["entries"])
    assert (home / "keys.json").stat().st_mode & 0o777 == 0o600
    again = carnet("keys", "rotate", node["digest"], "--json", home=home)
    assert (again.code, again.json_error["error"]) == (1, "key_revoked")
    check_clean(home)


@pytest.mark.parametrize("written", ["record", "moment"])
def test_revoke__disputes_what_was_sealed_since(home: Path, tmp_path: Path, written: str) -> None:
    entries = carnet("show", str(VEHICLE), "--json", home=home).json["entries"]
    before = verify_twice(home, tmp_path)
    assert [entry["disputed"] for entry in before["report"]["entries"]] == [False] * 3
    garage = get_key(home, "Garage")
    # The last reading stands at the record before the census of the export.
    since = "5"
    if written == "moment":
        from datetime import UTC, datetime

        since = datetime.fromtimestamp(entries[2]["sealed_at"] / 1000, UTC).isoformat(timespec="milliseconds")
    else:
        since = str(find_seal(home, 2))
    ran = carnet("keys", "revoke", garage["digest"][:8], "--disputed-since", since, "--yes", "--json", home=home)
    assert ran.code == 0, ran.err
    assert ran.json["disputed_since"] == find_seal(home, 2)
    assert ran.json["revoked"] is not None
    after = verify_twice(home, tmp_path)
    assert [entry["disputed"] for entry in after["report"]["entries"]] == [False, False, True]
    shown = carnet("show", str(VEHICLE), "--json", home=home).json["entries"]
    assert [entry["disputed"] for entry in shown] == [False, False, True]
    assert "its key is disputed" in carnet("show", str(VEHICLE), home=home).out
    with pytest.raises(Exception, match="was revoked"):
        append(home, "Garage", Basis.HOSTED, 40)
    check_clean(home)


def find_seal(home: Path, seq: int) -> int:
    from carnet.services.reading import get_passport, open_reader

    with open_reader(Home(home)) as reader:
        return [entry.seal for entry in reader.read_entries(get_passport(reader, str(VEHICLE)))][seq]


def test_revoke__asks_nobody(home: Path) -> None:
    digest = get_key(home, "Garage")["digest"]
    for more_options in ((), ("--json",)):
        ran = carnet("keys", "revoke", digest, *more_options, home=home)
        assert ran.code == 2
        assert "--yes" in ran.err
    assert carnet("keys", "rotate", digest, "--disputed-since", "0", home=home).code == 2
    assert get_key(home, "Garage")["revoked"] is None


@pytest.mark.parametrize("answer, is_revoked", [(b"n\n", False), (b"y\n", True)])
def test_revoke__asks_a_person(home: Path, answer: bytes, is_revoked: bool) -> None:
    code, said = talk(
        home, ["keys", "revoke", get_key(home, "Garage")["digest"], "--disputed-since", "0"], (b"for ever?", answer)
    )
    assert code == 0
    assert b"2 of them" in said
    assert b"can write nothing" in said
    assert b"Revoke this key for ever?" in said
    assert (get_key(home, "Garage")["revoked"] is not None) == is_revoked


@pytest.mark.parametrize(
    "arguments, error",
    [
        (("revoke", "node"), "key_in_use"),
        (("revoke", "log"), "key_in_use"),
        (("rotate", "log"), "key_in_use"),
        (("revoke", "abc"), "unknown_key"),
        (("revoke", "0" * 64), "unknown_key"),
        (("revoke", "GARAGE", "--disputed-since", "9999"), "value_out_of_range"),
        (("revoke", "GARAGE", "--disputed-since", "last tuesday"), "invalid_time"),
    ],
)
def test_revoke__refused(home: Path, arguments: tuple[str, ...], error: str) -> None:
    words = [get_key(home, "Garage")["digest"] if word == "GARAGE" else word for word in arguments]
    ran = carnet("keys", *words, "--yes", "--json", home=home)
    assert (ran.code, ran.json_error["error"]) == (1, error)
    assert all(one["revoked"] is None for one in list_keys(home))


def test_rotate__lost_node_key(home: Path, tmp_path: Path) -> None:
    old_ring = (home / "keys.json").read_bytes()
    assert carnet("keys", "rotate", "node", home=home).code == 0
    (home / "keys.json").write_bytes(old_ring)
    # Reading works; sealing does not, and says what helps.
    assert carnet("show", str(VEHICLE), home=home).code == 0
    assert "not in keys.json" in carnet("keys", "list", home=home).out
    refused = carnet("member", "add", "--kind", "garage", "--name", "Another", home=home)
    assert refused.code == 1
    assert "carnet keys rotate node --lost" in refused.err
    assert carnet("keys", "rotate", "node", "--lost", "--disputed-since", "0", home=home).code == 2
    assert carnet("keys", "rotate", "node", "--lost", home=home).code == 0
    append(home, "Garage", Basis.HOSTED, 30)
    verify_twice(home, tmp_path)
    check_clean(home)


# ---- passphrase and key file


def test_passphrase__key_file_is_made_and_must_be_private(home: Path, tmp_path: Path) -> None:
    key_file = tmp_path / "unlock.key"
    ran = carnet("keys", "passphrase", "--new-key-file", key_file, home=home)
    assert ran.code == 0, ran.err
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.read_text(encoding="utf-8").strip() not in ran.out + ran.err
    assert carnet("list", "--json", home=home).json_error["error"] == "wrong_passphrase"
    assert carnet("list", "--key-file", key_file, home=home).code == 0
    # It is a passphrase that nobody types: where it stands is all that --key-file is strict about.
    assert carnet("list", "--passphrase-file", key_file, home=home).code == 0
    assert carnet("list", home=home, env=make_env(home, CARNET_KEY_FILE=str(key_file))).code == 0
    # What is written afterwards stays under it.
    assert carnet("keys", "rotate", "node", "--key-file", key_file, home=home).code == 0
    assert carnet("list", home=home).code == 1
    key_file.chmod(0o640)
    for ran in (
        carnet("list", "--key-file", key_file, "--json", home=home),
        carnet("list", "--json", home=home, env=make_env(home, CARNET_KEY_FILE=str(key_file))),
        carnet("keys", "passphrase", "--passphrase-file", key_file, "--new-key-file", key_file, home=home),
    ):
        assert ran.code == 1
        assert Reason.NOT_PRIVATE in ran.err
    key_file.chmod(0o600)
    assert carnet("list", "--key-file", key_file, "--passphrase-file", key_file, home=home).code == 2
    check_clean(home, "--key-file", key_file)


def test_passphrase__refused_wrong_passphrase_leaves_no_key_file(home: Path, tmp_path: Path) -> None:
    first, other = tmp_path / "first.key", tmp_path / "other.key"
    assert carnet("keys", "passphrase", "--new-key-file", first, home=home).code == 0
    before = (home / "keys.json").read_bytes()
    assert carnet("keys", "passphrase", "--new-key-file", other, home=home).code == 1
    assert not other.exists()
    assert (home / "keys.json").read_bytes() == before


def test_passphrase__a_byte_order_mark_is_no_part_of_it(home: Path, tmp_path: Path) -> None:
    """As Notepad saves it. One who had the mark in his passphrase, before this was so, writes it twice."""
    plain, marked, twice = (tmp_path / name for name in ("plain", "marked", "twice"))
    for at, file in enumerate((plain, marked, twice)):
        file.write_bytes(at * codecs.BOM_UTF8 + "cœur\r\n".encode())
    assert carnet("keys", "passphrase", "--new-file", plain, home=home).code == 0
    assert [carnet("list", "--passphrase-file", file, home=home).code for file in (plain, marked)] == [0, 0]
    assert carnet("list", "--json", "--passphrase-file", twice, home=home).json_error["error"] == "wrong_passphrase"
    change_passphrase(Home(home), "cœur", "\ufeffcœur")
    assert carnet("list", "--passphrase-file", marked, home=home).code == 1
    assert carnet("list", "--passphrase-file", twice, home=home).code == 0
    assert carnet("keys", "passphrase", "--passphrase-file", twice, "--new-file", marked, home=home).code == 0
    assert carnet("list", "--passphrase-file", plain, home=home).code == 0


def test_passphrase__asks_a_person_twice_and_nobody_else(home: Path) -> None:
    assert carnet("keys", "passphrase", home=home).code == 2
    code, said = talk(home, ["keys", "passphrase"], (b"keys: ", b"correct horse\n"), (b": ", b"correct horse\n"))
    assert code == 0, said
    assert b"correct horse" not in said
    assert carnet("list", home=home).code == 1


def test_passphrase__given_for_keys_in_clear_does_not_close_them(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse\n", encoding="utf-8")
    assert carnet("keys", "rotate", "node", "--passphrase-file", file, home=home).code == 0
    ran: Ran = carnet("list", home=home)
    assert ran.code == 0
