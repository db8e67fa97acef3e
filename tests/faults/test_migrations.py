"""A store of every released schema is upgraded, and the upgrade is killed, cut in the middle of a write, or loses its
power: the schema is the old one or the new one, whole, and everything that was acknowledged stands in it.

A store of an older schema is made by the migrations up to that one, and filled with what a node of today wrote, as far
as the older schema has room for it.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import create_engine

from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.people import open_people
from carnet.vault.people.store import FILE, PEOPLE_VERSION
from carnet.vault.store import SCHEMA_VERSION, Connection
from tests.cli.run import make_env
from tests.faults.effort import scaled
from tests.faults.oracle import import_again, make_source
from tests.faults.recorder import python
from tests.faults.test_kill import Trial, make_place, open_driver
from tests.faults.test_power import Recorded, check_moments
from tests.faults.tracing import needs_strace
from tests.node.home import make_node
from tests.shared import ROOT

PEOPLE = 40
PEOPLE_SCRIPTS = "carnet.vault.people:migrations"


def make_config(scripts: str = "carnet.vault:migrations") -> Config:
    config = Config()
    config.set_main_option("script_location", scripts)
    config.set_main_option("path_separator", "os")
    return config


def list_versions(scripts: str = "carnet.vault:migrations") -> list[str]:
    """Every schema, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(make_config(scripts)).walk_revisions()][::-1]


OLDER = [version for version in list_versions() if version != SCHEMA_VERSION]
OLDER_PEOPLE = [version for version in list_versions(PEOPLE_SCRIPTS) if version != PEOPLE_VERSION]


def find_people_version(version: str) -> str:
    """The schema of accounts that goes with an older one of the store in these tests: each is in one of them."""
    return OLDER_PEOPLE[OLDER.index(version) % len(OLDER_PEOPLE)]


def fill_people(execute: Callable[[str], object]) -> None:
    """Accounts and codes, as the first schema knows them: PEOPLE of each."""
    for number in range(PEOPLE):
        account, chain = f"{number:032x}", f"{PEOPLE + number:032x}"
        execute(
            "INSERT INTO account (id, standing, name, handle, is_demo, created_ms)"
            f" VALUES ('{account}', 'holder', 'Person {number}', '{account}', 0, {number})"
        )
        execute(
            "INSERT INTO claim_code (digest, id, chain, epoch, member, made_by, created_ms, until_ms)"
            f" VALUES ('{chain}', '{chain}', '{chain}', 0, '{account}', 'somebody', {number}, {number})"
        )


def check_people(home: Home) -> None:
    """The accounts and codes are there."""
    with open_people(home).store as store, store.read() as connection:
        for table in ("account", "claim_code"):
            query = f"SELECT count(*), sum(created_ms) FROM {table}"
            assert tuple(map(int, connection.execute(query).fetchone())) == (PEOPLE, PEOPLE * (PEOPLE - 1) // 2)


def make_schema(path: Path, version: str, scripts: str = "carnet.vault:migrations") -> None:
    """An empty store of that schema, made by the migrations."""
    engine = create_engine(f"sqlite:///{path}", module=sqlite, connect_args={"isolation_level": None})
    config = make_config(scripts)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA page_size = 8192")
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()


def read_schema(path: Path, table: str = "alembic_version") -> tuple[str, dict[str, str]]:
    """The version that a store says it has, and its tables and indices as they are."""
    with sqlite.connect(path) as connection:
        (version,) = connection.execute(f"SELECT version_num FROM {table}").fetchone()
        found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
    connection.close()
    return version, found


def copy_rows(source: Path, target: Path) -> int:
    """Fill an older store with the rows of a newer one, column by column; how many rows."""
    connection: Connection = sqlite.connect(target, isolation_level=None)
    connection.execute("ATTACH ? AS newer", (str(source),))
    connection.execute("BEGIN")
    count = 0
    for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
        if table == "alembic_version" or table.startswith("sqlite_"):
            continue
        columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
        rows = f"SELECT {columns} FROM newer.{table}"
        if table == "source_row":
            # Until 0004 a table of its own.
            rows = "SELECT chain, source AS digest, seq FROM newer.entry WHERE source IS NOT NULL"
        # Rows that the schema was made with.
        connection.execute(f"DELETE FROM main.{table}")
        insert = f"INSERT INTO main.{table} ({columns}) {rows}"
        count += connection.execute(insert).rowcount
    connection.execute("COMMIT")
    connection.close()
    return count


def live(path: Path) -> tuple[Path, list[dict[str, Any]]]:
    """A home with the life of a node in it, and what was acknowledged in that life."""
    home = path / "lived"
    said: list[dict[str, Any]] = []
    for seed in ("21", "22"):
        ran = subprocess.run(
            python("tests.faults.victim", home, seed),
            cwd=ROOT,
            env=make_env(PYTHONPATH=str(ROOT)),
            capture_output=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr.decode()
        said += [json.loads(line) for line in ran.stdout.splitlines()]
    return home, said


def make_older(path: Path, version: str) -> tuple[Path, list[dict[str, Any]]]:
    """A home of an older schema, with the life of a node in it and accounts of an older one, too; and what was
    acknowledged in that life."""
    home, said = live(path)
    older = path / "older"
    shutil.copytree(home, older)
    for file in older.glob("node.db*"):
        file.unlink()
    make_schema(older / "node.db", version)
    assert copy_rows(home / "node.db", older / "node.db") > 100
    make_schema(older / FILE, find_people_version(version), PEOPLE_SCRIPTS)
    with sqlite.connect(older / FILE) as connection:
        fill_people(connection.execute)
    connection.close()
    return older, said


def make_trial(home: Path, said: list[dict[str, Any]]) -> Trial:
    trial = Trial(Home(home))
    trial.hear(said)
    return trial


def test_migrations__of_older_schemas_are_known() -> None:
    assert list_versions()[-1] == SCHEMA_VERSION
    assert list_versions()[0] == "0001"
    assert OLDER


@pytest.mark.parametrize("version", OLDER)
def test_upgrade__survives_kill_minus_9(tmp_path: Path, version: str) -> None:
    older, said = make_older(tmp_path, version)
    old = read_schema(older / "node.db")
    make_schema(tmp_path / "new.db", "head")
    new = read_schema(tmp_path / "new.db")
    assert (old[0], new[0]) == (version, SCHEMA_VERSION)
    old_people = read_schema(older / FILE, "people_version")
    make_schema(tmp_path / "people.db", "head", PEOPLE_SCRIPTS)
    new_people = read_schema(tmp_path / "people.db", "people_version")
    assert (old_people[0], new_people[0]) == (find_people_version(version), PEOPLE_VERSION)
    chance, states = random.Random(version), Counter[str]()
    with make_place(is_in_memory=True) as place, open_driver("tests.faults.upgrading") as driver:
        while states.total() < scaled(30):
            home = place / f"home{states.total()}"
            shutil.copytree(older, home)
            is_cut = chance.random() < 0.4
            told, code = driver.run(
                home=str(home),
                seed=0,
                kill_after_us=None if is_cut else int(chance.uniform(2_000, 150_000)),
                is_from_fork=True,
                limit=int(chance.uniform(1, 500_000)) if is_cut else None,
            )
            assert code in (0, -signal.SIGKILL, -signal.SIGXFSZ)
            trial = make_trial(home, [*said, *told])
            found = read_schema(home / "node.db")
            # Nothing in between: each upgrade is one transaction, however many steps it takes.
            assert found in (old, new)
            if any("opened" in note for note in told):
                assert found == new
            found_people = read_schema(home / FILE, "people_version")
            assert found_people in (old_people, new_people)
            if any("people" in note for note in told):
                assert found_people == new_people
            check_people(Home(home))
            states[f"{'cut' if is_cut else 'killed'}, then {found[0]}" if code else "ended"] += code != 0
            proved = trial.check_all(chance, 0.2)
            assert read_schema(home / "node.db") == new
            trial.check("", 0, None)
            if chance.random() < 0.1:
                trial.finish()
                assert proved > 0
            shutil.rmtree(home)
    print(f"from {version}: {dict(states)}")
    assert states.total() >= scaled(30)
    assert {state.split()[-1] for state in states} >= {version, SCHEMA_VERSION}


@needs_strace
@pytest.mark.parametrize("version", OLDER)
def test_upgrade__survives_power_loss(tmp_path: Path, version: str) -> None:
    older, said = make_older(tmp_path, version)
    shutil.copytree(older, tmp_path / "home")
    recorded = Recorded(tmp_path / "home", tmp_path, older, told=[(0, note) for note in said])
    assert recorded.run("tests.faults.upgrading", recorded.home) == 0
    check_moments(recorded, scaled(20), int(version), check_people)


def test_upgrade__does_nothing_by_half_when_a_step_fails(tmp_path: Path) -> None:
    """A store in which the last step cannot be done stays what it was, the steps before it included."""
    older, _ = make_older(tmp_path, OLDER[0])
    store = older / "node.db"
    new_tables = set(read_schema_of("head", tmp_path)) - set(read_schema(store)[1])
    blocking = sorted(new_tables)[-1]
    with sqlite.connect(store) as connection:
        connection.execute(f"CREATE TABLE {blocking} (stands_in_the_way)")
    connection.close()
    before = read_schema(store)
    ran = subprocess.run(
        [sys.executable, "-m", "carnet", "--home", str(older), "census"],
        env=make_env(),
        capture_output=True,
        timeout=60,
    )
    assert ran.returncode == 1
    assert b"Traceback" not in ran.stderr
    assert b"already exists" in ran.stderr
    assert read_schema(store) == before


def test_upgrade__knows_imported_rows_again(tmp_path: Path) -> None:
    """The digests of source rows, which had a table of their own until 0004, are with their entries."""
    source = make_source(tmp_path / "rows.ndjson", 30, 5)
    node = make_node(tmp_path / "home")
    import_again(node.path, source)
    older = tmp_path / "older"
    shutil.copytree(node.path, older)
    for file in older.glob("node.db*"):
        file.unlink()
    make_schema(older / "node.db", "0003")
    copy_rows(node.path / "node.db", older / "node.db")
    summary = import_again(older, source)
    assert (summary.duplicate, summary.sealed) == (150, 0)
    assert check_home(older) == []
    assert read_rows(older / "node.db", "entry") == read_rows(node.path / "node.db", "entry")


def read_rows(path: Path, table: str) -> list[Any]:
    connection = sqlite.connect(path)
    try:
        return connection.execute(f"SELECT * FROM {table}").fetchall()
    finally:
        connection.close()


def read_schema_of(version: str, path: Path) -> dict[str, str]:
    make_schema(path / f"{version}.db", version)
    return read_schema(path / f"{version}.db")[1]
