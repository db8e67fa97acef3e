"""A home of which a part is missing, or is another node's: each verb says which, and none calls it no node at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.run import carnet, make_inspection, make_line

VEHICLE = "histovec:HV000001"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert (
        carnet("import", "histovec", "-", home=tmp_path / "home", stdin=make_line("HV000001", make_inspection())).code
        == 0
    )
    (tmp_path / "pass").write_text("a long passphrase\n")
    return tmp_path / "home"


def lose_keys(home: Path) -> None:
    (home / "keys.json").unlink()


def spoil_keys(home: Path) -> None:
    (home / "keys.json").write_text('{"carnet":"keys/1"}\n')


def take_other_keys(home: Path) -> None:
    assert carnet("init", home=home.parent / "other").code == 0
    (home.parent / "other" / "keys.json").replace(home / "keys.json")


def lose_store(home: Path) -> None:
    for file in home.glob("node.db*"):
        file.unlink()


@pytest.mark.parametrize(
    "provoke, said, advice",
    [
        (lose_keys, "a store is in {home}, and no keys.json", "own keys.json back"),
        (spoil_keys, "keys.json is not a key ring", "own keys.json back"),
        (take_other_keys, "keys.json is that of another node", "own keys.json back"),
        (lose_store, "keys.json is in {home}, and no store", "Restore a backup into a new folder"),
    ],
)
def test_any_verb__refused_node_damaged_of_a_part(
    home: Path, provoke: Callable[[Path], None], said: str, advice: str
) -> None:
    provoke(home)
    before = {file.name for file in home.iterdir()}
    backup = home.parent / "b"
    for words in (
        ("list",),
        ("show", VEHICLE),
        ("export", VEHICLE, "-o", home.parent / "x.carnet"),
        ("census",),
        ("import", "histovec", "/dev/null"),
        ("backup", "-o", backup, "--passphrase-file", home.parent / "pass"),
        ("keys", "rotate", "node", "--yes"),
        ("serve", "--port", "0"),
    ):
        ran = carnet(*words, home=home)
        assert (ran.code, ran.out) == (1, ""), words
        assert "(code: node_damaged)" in ran.err, (words, ran.err)
        assert said.format(home=home).lower() in ran.err.lower(), (words, ran.err)
        assert advice in ran.err, (words, ran.err)
    # Above all no backup that would come back as nothing, and no new node over half of one.
    assert not backup.exists()
    assert carnet("init", home=home).code == 1
    assert {file.name for file in home.iterdir()} - before <= {"writer.lock", "node.db-shm", "node.db-wal"}


def test_backup__of_keys_under_a_passphrase_asks_for_none_and_drill_sees_whose_they_are(home: Path) -> None:
    take_other_keys(home)
    secret = home.parent / "pass"
    assert carnet("keys", "passphrase", "--new-file", secret, home=home).code == 0
    backup = home.parent / "b"
    assert carnet("backup", "-o", backup, "--passphrase-file", secret, home=home).code == 0
    ran = carnet("drill", backup, "--passphrase-file", secret, "--keys-passphrase-file", secret, home=home)
    assert ran.code == 1
    assert "node_damaged" in ran.out
