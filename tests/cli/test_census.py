"""`carnet census` on demand and on a schedule: it says what it did, and does not what is not due."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from carnet.node.home import Home
from carnet.services.founding import open_writer_at
from carnet.types import Basis
from tests.cli.run import carnet, make_inspection, make_line
from tests.cli.test_surface import import_some
from tests.node.home import make_node, new_passport


def test_census__on_demand(tmp_path: Path) -> None:
    home = tmp_path / "home"
    import_some(home, 40)
    ran = carnet("census", "--json", home=home)
    assert ran.code == 0
    first = ran.json
    assert (first["taken"], first["chains"], first["erased"], first["changed"]) == (True, 40, 0, 0)
    more = make_line("HV000007", make_inspection(date="2019-02-03", km=70_000)) + make_line(
        "HVffffff", make_inspection()
    )
    assert carnet("import", "histovec", "-", home=home, stdin=more).code == 0
    told = carnet("census", home=home)
    assert told.code == 0
    assert "41 chains; 0 new or grown since the one before." in told.out
    assert carnet("fsck", home=home).code == 0


def test_census__only_when_due(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert carnet("init", home=home).code == 0
    first = carnet("census", "--older-than", "1d", "--changed", "0", "--json", home=home).json
    assert first["taken"], "where there is none, one is due"
    not_due = carnet("census", "--older-than", "1d", "--changed", "0", "--json", home=home).json
    assert (not_due["taken"], not_due["record"]) == (False, first["record"])
    assert "Not due" in carnet("census", "--older-than", "1d", home=home).out
    assert carnet("census", "--older-than", "0s", "--json", home=home).json["taken"]
    import_some(home, 3)
    assert not carnet("census", "--changed", "0", "--json", home=home).json["taken"], "the import took one"


def test_census__counts_what_changed(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    with node.open() as writer:
        writer.take_census()
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(number) for number in range(5)])
    not_due = carnet("census", "--changed", "5", "--json", home=node.path).json
    assert (not_due["taken"], not_due["changed"]) == (False, 5)
    found = carnet("census", "--changed", "4", "--json", home=node.path).json
    assert (found["taken"], found["changed"], found["chains"]) == (True, 5, 5)


def test_census__refused_writer_busy(tmp_path: Path) -> None:
    home = tmp_path / "home"
    import_some(home, 1)
    with open_writer_at(Home(home), None, "a test"):
        ran = carnet("census", "--json", home=home)
    assert ran.code == 1
    assert ran.json_error["error"] == "writer_busy"


def test_census__wrong_age(tmp_path: Path) -> None:
    assert carnet("census", "--older-than", "soon", home=tmp_path).code == 2


def test_status__of_an_older_store_is_told_how_it_is_brought_up_to_date(tmp_path: Path) -> None:
    """Nothing is damaged there, and no backup has to be restored, whatever the code says."""
    home = tmp_path / "home"
    carnet("init", home=home)
    with sqlite3.connect(home / "node.db") as store:
        store.execute("UPDATE alembic_version SET version_num = '0005'")
    store.close()
    ran = carnet("status", home=home)
    assert ran.code == 1
    assert "`carnet census` brings it up to date" in ran.err
    assert "Nothing is damaged." in ran.err
    assert "restore a backup" not in ran.err
