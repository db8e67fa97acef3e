"""What a person writes replaces nothing that they, or the node, cannot do without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.run import carnet, make_env, make_inspection, make_line

KEYS = "keys.json"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    assert carnet("init", "--name", "cars.example", "--operator", "Example Data", home=home).code == 0
    return home


def write_rows(path: Path) -> bytes:
    path.write_bytes(make_line("HV" + "0" * 40, make_inspection()))
    return path.read_bytes()


@pytest.mark.parametrize("name", [KEYS, "node.db", "people.sqlite", "erasures.journal"])
def test_output__is_never_a_file_of_the_node(home: Path, name: str) -> None:
    (home / name).touch()
    (home.parent / "link").symlink_to(home / name)
    before = (home / name).read_bytes()
    for verb in (
        ("checkpoint",),
        ("export", "histovec:HV000001"),
        ("audit", "export", "--force"),
        ("verify-page", "--force"),
    ):
        for output in (home / name, home.parent / "link"):
            refused = carnet(*verb, "-o", output, home=home)
            assert (refused.code, "the node itself" in " ".join(refused.err.split())) == (2, True), refused.err
    assert (home / name).read_bytes() == before


@pytest.mark.parametrize("option", ["--new-file", "--new-key-file"])
def test_passphrase__is_never_a_file_of_the_node(home: Path, option: str) -> None:
    """The file is replaced by what it opens: nothing would open it again."""
    refused = carnet("keys", "passphrase", option, home / KEYS, home=home)
    assert (refused.code, "the node itself" in " ".join(refused.err.split())) == (2, True), refused.err
    assert carnet("list", home=home).code == 0


@pytest.mark.parametrize("option", ["--faults", "--receipts", "--faulty"])
def test_import__never_writes_into_the_file_that_it_reads(home: Path, option: str) -> None:
    rows = home.parent / "rows.jsonl"
    before = write_rows(rows)
    refused = carnet("import", "histovec", rows, option, rows, home=home)
    assert (refused.code, "name the same file" in refused.err) == (2, True), refused.err
    assert rows.read_bytes() == before
    # By another name of the file, too.
    os.link(rows, home.parent / "again.jsonl")
    refused = carnet("import", "histovec", rows, option, home.parent / "again.jsonl", home=home)
    assert (refused.code, "file_exists" in refused.err) == (1, True), refused.err
    assert rows.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        ("import", "histovec", "rows.jsonl", "--faulty", "x", "--faults", "x"),
        ("import", "histovec", "rows.jsonl", "--receipts", "x", "--faults", "./x"),
        ("import", "histovec", "rows.jsonl", "--receipts", "secret", "--passphrase-file", "secret"),
        ("import", "guess", "rows.jsonl", "-o", "rows.jsonl"),
        ("backup", "-o", "secret", "--passphrase-file", "secret", "--force"),
        ("backup", "-o", "link", "--passphrase-file", "secret", "--force"),
        ("audit", "export", "-o", "secret", "--key-file", "secret", "--force"),
        ("claim", "invite", "rows.jsonl", "--member", "Example Data", "-o", "rows.jsonl"),
    ],
)
def test_verb__refuses_one_file_for_two_ends(home: Path, options: tuple[str, ...]) -> None:
    place = home.parent
    write_rows(place / "rows.jsonl")
    (place / "secret").write_text("a long passphrase\n")
    (place / "secret").chmod(0o600)
    (place / "link").symlink_to("secret")
    refused = carnet(*options, home=home, cwd=place)
    assert (refused.code, "name the same file" in " ".join(refused.err.split())) == (2, True), refused.err
    assert (place / "secret").read_text() == "a long passphrase\n"
    assert not (place / "x").exists()


def test_backup__refuses_the_file_that_the_environment_names_as_its_passphrase(home: Path) -> None:
    secret = home.parent / "secret"
    secret.write_text("a long passphrase\n")
    env = make_env(home, CARNET_BACKUP_PASSPHRASE_FILE=str(secret))
    refused = carnet("backup", "-o", secret, "--force", env=env)
    assert (refused.code, "CARNET_BACKUP_PASSPHRASE_FILE and -o" in refused.err.replace("--output", "-o")) == (2, True)
    assert secret.read_text() == "a long passphrase\n"


def test_checkpoint__replaces_a_head_and_nothing_else(home: Path) -> None:
    head, other = home.parent / "head.note", home.parent / "night.backup"
    other.write_bytes(b"not a head\n")
    for _ in range(2):
        assert carnet("checkpoint", "-o", head, home=home).code == 0
    refused = carnet("checkpoint", "-o", other, home=home)
    assert (refused.code, "file_exists" in refused.err) == (1, True), refused.err
    assert other.read_bytes() == b"not a head\n"


def test_claim_invite__keeps_the_list_and_the_codes_of_another_day(home: Path) -> None:
    listed, codes = home.parent / "list.csv", home.parent / "codes.csv"
    listed.write_text("Client,VIN\nMme Durand,WVWZZZ1KZ7P123456\n", encoding="utf-8")
    kept = listed.read_bytes()
    asked = ("claim", "invite", listed, "--member", "Example Data")
    for more in ((), ("--force",)):
        refused = carnet(*asked, "-o", listed, *more, home=home)
        assert (refused.code, "name the same file" in refused.err) == (2, True), refused.err
    assert listed.read_bytes() == kept
    nobody = carnet("claim", "invite", listed, "--member", "Nobody", "-o", codes, home=home)
    assert (nobody.code, codes.exists()) == (1, False)
    assert carnet(*asked, "-o", codes, home=home).code == 0
    # Each code makes a holder: the file is for its owner alone.
    assert os.stat(codes).st_mode & 0o777 == 0o600
    before = codes.read_bytes()
    refused = carnet(*asked, "-o", codes, home=home)
    assert (refused.code, "file_exists" in refused.err) == (1, True), refused.err
    nobody = carnet("claim", "invite", listed, "--member", "Nobody", "-o", codes, "--force", home=home)
    assert (nobody.code, codes.read_bytes()) == (1, before)
    codes.write_bytes(before * 3)
    assert carnet(*asked, "-o", codes, "--force", home=home).code == 0
    assert codes.read_bytes() == before
