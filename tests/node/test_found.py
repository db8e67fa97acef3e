"""Founding a node: nothing is overwritten, and a kill at any step leaves either no node or a whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.door.place import find_place
from carnet.node.found import found_node
from carnet.node.home import OWN_FILES, Home, is_own_file
from carnet.node.reader import open_reader
from carnet.vault.people.store import FILE
from tests.node.conftest import ON_FILE
from tests.node.home import Clock, Dice, TestNode


def found(path: Path) -> None:
    found_node(path, name="t", operator_name="T", operator_kind="data_service", now=Clock()(), random_bytes=Dice())


def test_found_node__refused_node_exists(node: TestNode) -> None:
    with pytest.raises(Refused) as refused:
        found(node.path)
    assert refused.value.reason == Reason.NODE_EXISTS


@ON_FILE
def test_found_node__killed_before_the_store_has_its_name(node: TestNode) -> None:
    home = Home(node.path)
    with open_reader(node.path) as reader:
        policy = reader.get_policy()
    home.store.rename(home.building)
    assert home.is_founded()
    with open_reader(node.path) as reader:
        assert reader.get_policy() == policy
    assert home.store.exists()


def test_found_node__killed_before_the_keys_are_there(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    found(home.path)
    home.store.rename(home.building)
    home.keys.unlink()
    assert not home.is_founded()
    found(home.path)
    with open_reader(home.path) as reader:
        assert reader.state.size == 3


def test_found_node__files_are_private(node: TestNode) -> None:
    home = Home(node.path)
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert home.keys.stat().st_mode & 0o777 == 0o600


def test_is_own_file__knows_each_that_a_home_names(node: TestNode, tmp_path: Path) -> None:
    """What a person writes must replace none of them."""
    home = Home(node.path)
    named = (home.store, home.store_url, home.keys, home.erasures, home.lock, home.restored, home.last_backup)
    named += (home.last_drill, home.demo, home.signed_head, find_place(home), home.path / FILE)
    assert {path.name for path in named} == OWN_FILES
    assert all(is_own_file(path) for path in named)
    assert is_own_file(home.path / "node.db-wal")
    link = tmp_path / "elsewhere"
    link.symlink_to(home.keys)
    assert is_own_file(link)
    assert not is_own_file(home.path / "report.csv")
    assert not is_own_file(tmp_path / "keys.json"), "no node lives there"
