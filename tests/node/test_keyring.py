"""The key ring on disk: private, whole, and closed to a wrong passphrase."""

from __future__ import annotations

from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.keyring import KeyRing, is_under_passphrase, load_key_ring, save_key_ring
from carnet.signing import Signer
from tests.node.home import Dice


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_load_key_ring__is_what_was_saved(tmp_path: Path, passphrase: str | None) -> None:
    dice = Dice()
    ring = KeyRing.of(dice).with_author(b"\x01" * 32).with_author(b"\x02" * 32)
    path = tmp_path / "keys.json"
    save_key_ring(ring, path, passphrase, dice)
    assert load_key_ring(path, passphrase) == ring
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_under_passphrase(path) is (passphrase is not None)
    assert ring.find_seed(Signer(b"\x02" * 32).digest) == b"\x02" * 32
    assert repr(ring) == "KeyRing(2 author keys)"


def test_load_key_ring__refused_wrong_passphrase(tmp_path: Path) -> None:
    dice = Dice()
    save_key_ring(KeyRing.of(dice), tmp_path / "keys.json", "right", dice)
    for wrong in (None, "wrong", ""):
        with pytest.raises(Refused) as caught:
            load_key_ring(tmp_path / "keys.json", wrong)
        assert caught.value.reason is Reason.WRONG_PASSPHRASE


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"carnet":"keys/1"}', b'{"carnet":"keys/2"}', b"\xff"])
def test_load_key_ring__refused_node_damaged(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(data)
    with pytest.raises(Refused) as caught:
        load_key_ring(tmp_path / "keys.json")
    assert caught.value.reason is Reason.NODE_DAMAGED


def test_load_key_ring__refused_no_node(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        load_key_ring(tmp_path / "keys.json")
    assert caught.value.reason is Reason.NO_NODE
