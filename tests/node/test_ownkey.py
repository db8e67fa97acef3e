"""An own key on disk: private, whole, closed to a wrong passphrase, and tied to one member for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.node.ownkey import OwnKey, load_own_key, needs_passphrase, save_own_key
from tests.node.home import Dice

ORIGIN = "example.org/" + "ab" * 32


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
@pytest.mark.parametrize("is_enrolled", [False, True])
def test_load_own_key__is_what_was_saved(tmp_path: Path, passphrase: str | None, is_enrolled: bool) -> None:
    key, path = OwnKey(b"\x07" * 32), tmp_path / "own.key"
    if is_enrolled:
        key = key.enrolled(ORIGIN, bytes(range(16)))
    save_own_key(key, path, passphrase, Dice())
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_own_key(path, passphrase) == key
    assert needs_passphrase(path) is (passphrase is not None)
    assert (b64(key.seed).encode() in path.read_bytes()) is (passphrase is None)
    assert "seed" not in repr(key)


def test_load_own_key__refused_wrong_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "own.key"
    save_own_key(OwnKey(b"\x07" * 32), path, "right", Dice())
    for wrong in (None, "wrong", ""):
        with pytest.raises(Refused) as caught:
            load_own_key(path, wrong)
        assert caught.value.reason is Reason.WRONG_PASSPHRASE


def test_load_own_key__refused_wrong_passphrase__for_a_header_that_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "own.key"
    save_own_key(OwnKey(b"\x07" * 32).enrolled(ORIGIN, bytes(16)), path, "right", Dice())
    document = json.loads(path.read_bytes())
    document["member"] = b64(b"\x01" * 16)
    path.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True), encoding="utf-8")
    with pytest.raises(Refused) as caught:
        load_own_key(path, "right")
    assert caught.value.reason is Reason.WRONG_PASSPHRASE


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_load_own_key__refused_not_private(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "own.key"
    save_own_key(OwnKey(b"\x07" * 32), path, None, Dice())
    path.chmod(mode)
    with pytest.raises(Refused) as caught:
        load_own_key(path)
    assert caught.value.reason is Reason.NOT_PRIVATE
    assert f"chmod 600 {path}" in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"carnet":"own-key/2"}',
        b'{"carnet":"own-key/1","member":null,"network":null,"public":"AA==","seed":"AA=="}',
        b'{"carnet":"own-key/1","member":null,"network":null,"public":1,"seed":2}',
    ],
)
def test_load_own_key__refused_unreadable_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "own.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(Refused) as caught:
        load_own_key(path)
    assert caught.value.reason is Reason.UNREADABLE_FILE


def test_load_own_key__refused_unreadable_file__where_its_halves_differ(tmp_path: Path) -> None:
    path, dice = tmp_path / "own.key", Dice()
    save_own_key(OwnKey(b"\x07" * 32), path, None, dice)
    document = json.loads(path.read_bytes())
    document["seed"] = b64(b"\x08" * 32)
    path.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True), encoding="utf-8")
    with pytest.raises(Refused) as caught:
        load_own_key(path)
    assert caught.value.reason is Reason.UNREADABLE_FILE


def test_enrolled__refused_key_exists() -> None:
    key = OwnKey(b"\x07" * 32).enrolled(ORIGIN, bytes(16))
    assert key.enrolled(ORIGIN, bytes(16)) == key
    for origin, member in ((ORIGIN, b"\x01" * 16), ("other.org/" + "ab" * 32, bytes(16))):
        with pytest.raises(Refused) as caught:
            key.enrolled(origin, member)
        assert caught.value.reason is Reason.KEY_EXISTS
