"""Founding a node: nothing is overwritten, and a kill at any step leaves either no node or a whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.found import found_node
from carnet.node.home import Home
from carnet.node.reader import open_reader
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
