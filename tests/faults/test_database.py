"""The same in a database: whoever writes to it is killed, its server is killed, and so is an upgrade from every older
schema. What was acknowledged is there, nothing is half written, and the next writer gets in.
"""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection as SqlConnection

from carnet.node.home import Home
from carnet.services.founding import found
from carnet.vault.people.store import PEOPLE_VERSION, open_people_store
from carnet.vault.people.tables import people
from carnet.vault.postgres import connect, upgrade_schema
from carnet.vault.store import SCHEMA_VERSION, PostgresError, open_store
from tests.faults.driver import find_url_beside
from tests.faults.effort import scaled
from tests.faults.test_kill import Trial, open_driver
from tests.faults.test_migrations import (
    OLDER,
    PEOPLE_SCRIPTS,
    fill_people,
    find_people_version,
    live,
    make_config,
    make_trial,
)
from tests.postgres import Cluster, run_cluster

ROUNDS_OF_A_HOME = 20
KILLED_FOUNDINGS = 4


def make_database(postgres: Cluster, name: str, template: str | None = None) -> str:
    """A new database, or a copy of one, as a URL."""
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}".encode())
    return postgres.admin_url.replace("/postgres?", f"/{name}?")


def drop_database(postgres: Cluster, name: str) -> None:
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def wait_until_alone(url: str) -> None:
    """A server ends what a client was doing when it notices that the client has gone, or when it is done."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    query += " AND backend_type = 'client backend'"
    until = time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(query).fetchone() != (0,):
            assert time.monotonic() < until, "a session outlives its client"
            time.sleep(0.01)


@pytest.mark.timeout(600)
def test_writer__survives_kill_minus_9(tmp_path: Path, postgres: Cluster) -> None:
    chance, states, wanted = random.Random(970), Counter[str](), scaled(60)
    kept = proved = homes = 0
    with open_driver() as driver:
        while states.total() < wanted:
            home, url = tmp_path / f"home{homes}", postgres.make_url()
            find_url_beside(Home(home)).write_text(url, encoding="utf-8")
            homes += 1
            trial = Trial(Home(home))
            for number in range(ROUNDS_OF_A_HOME):
                if trial.network is None and number >= KILLED_FOUNDINGS:
                    # On a busy machine every founding would be killed, and nothing else.
                    trial.hear([{"founded": found(Home(home), name="example.org", store_url=url).network}])
                start, is_founded = len(trial.oracle.receipts), trial.network is not None
                told, code = driver.run(
                    home=str(home),
                    seed=chance.getrandbits(64),
                    kill_after_us=int(chance.uniform(0, 150_000 if is_founded else 600_000)),
                    is_from_fork=not is_founded or chance.random() < 0.1,
                    limit=None,
                )
                assert code in (0, -signal.SIGKILL), told
                wait_until_alone(url)
                states[trial.check(trial.hear(told), start, None)] += code != 0
            if trial.network is not None:
                proved += trial.check_all(chance, 0.5)
                trial.finish()
            kept += len(trial.oracle.receipts)
    print(
        f"{states.total()} kills over {homes} homes, {kept:,} receipts kept, {proved} passports proved: {dict(states)}"
    )
    assert min(kept, proved) > 0
    assert any("reply lost" in state for state in states)


@pytest.mark.timeout(600)
def test_writer__survives_kills_of_its_server(tmp_path: Path) -> None:
    """Whatever it was doing, it ends; and what it had acknowledged is in the server that comes back."""
    chance, states, wanted = random.Random(980), Counter[str](), scaled(5)
    with run_cluster() as cluster, open_driver() as driver:
        trial = Trial(Home(tmp_path / "home"))
        find_url_beside(trial.home).write_text(cluster.make_url(), encoding="utf-8")
        # On a busy machine each of them may come before anything is acknowledged: then there are more, and later ones.
        while states.total() < wanted or not trial.oracle.receipts:
            start = len(trial.oracle.receipts)
            latest_s = 0.6 if trial.oracle.receipts else 1.2 * (1 + states.total())
            killing = threading.Timer(chance.uniform(0.02, latest_s), cluster.kill)
            killing.start()
            told, code = driver.run(
                home=str(trial.home.path),
                seed=chance.getrandbits(64),
                kill_after_us=None,
                is_from_fork=True,
                limit=None,
            )
            killing.join()
            # The children of the postmaster notice its end a moment later.
            time.sleep(1)
            cluster.start()
            errors = [note["error"] for note in told if "error" in note]
            assert (code, len(errors)) in ((0, 0), (99, 1)), told
            assert all(error.startswith(("PostgresError: ", "Refused: ")) for error in errors), errors
            doing = trial.hear([note for note in told if "error" not in note])
            states[trial.check(doing, start, None)] += code != 0
        proved = trial.check_all(chance, 1)
        trial.finish()
    print(f"{states.total()} kills, {len(trial.oracle.receipts):,} receipts kept, {proved} passports proved")
    print(dict(states))
    assert trial.oracle.receipts
    # On a busy machine there may be no passport but one that was erased.
    assert proved == len({receipt["passport"] for receipt in trial.oracle.receipts} - trial.erasing)


def make_older(postgres: Cluster, path: Path, version: str) -> tuple[str, Path, list[dict[str, Any]]]:
    """A database of an older schema with the life of a node in it, its name; the home; what was acknowledged there."""
    lived, told = live(path)
    name = f"older_{version}"
    url = make_database(postgres, name)
    connection = connect(url, is_read_only=False)
    upgrade_schema(connection, lambda to: upgrade_to(to, version))
    upgrade_schema(connection, lambda to: upgrade_to(to, find_people_version(version), PEOPLE_SCRIPTS))
    connection.close()
    assert copy_rows(lived / "node.db", url) > 100
    with psycopg.connect(url) as other:
        fill_people(lambda statement: other.execute(statement.encode()))
    home = path / "older"
    shutil.copytree(lived, home, ignore=shutil.ignore_patterns("node.db*"))
    return name, home, told


def upgrade_to(connection: SqlConnection, version: str, scripts: str = "carnet.vault:migrations") -> None:
    config = make_config(scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def copy_rows(source: Path, url: str) -> int:
    """Fill a database of an older schema with the rows of a file of today's, as `tests.faults.test_migrations`."""
    count = 0
    columns = (
        "SELECT table_name::text, array_agg(column_name::text ORDER BY ordinal_position)"
        " FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name <> 'alembic_version' GROUP BY 1"
    )
    reading = sqlite.connect(source)
    with psycopg.connect(url) as writing:
        there = {name for (name,) in reading.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        writing.execute("SET session_replication_role = replica")
        for table, names in writing.execute(columns).fetchall():
            query = f"SELECT {', '.join(names)} FROM {table}"
            if table == "source_row":
                query = "SELECT chain, source AS digest, seq FROM entry WHERE source IS NOT NULL"
                assert names == ["chain", "digest", "seq"]
            elif table not in there:
                continue
            writing.execute(f"DELETE FROM {table}".encode())
            rows = reading.execute(query).fetchall()
            count += len(rows)
            with writing.cursor() as cursor:
                places = ", ".join(["%s"] * len(names))
                cursor.executemany(f"INSERT INTO {table} VALUES ({places})".encode(), rows)
    reading.close()
    return count


def read_schema(url: str) -> tuple[set[Any], set[Any]]:
    """What a database has of a node's own tables, columns, indices, constraints and settings, and what of people's."""
    query = (
        "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns"
        " WHERE table_schema = current_schema()"
        " UNION SELECT tablename::text, indexname::text, '' FROM pg_indexes WHERE schemaname = current_schema()"
        " UNION SELECT relname::text, conname::text, coalesce(reloptions::text, '') FROM pg_class"
        " LEFT JOIN pg_constraint ON conrelid = pg_class.oid"
        " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    )
    with psycopg.connect(url) as connection:
        found = set(connection.execute(query).fetchall())
        versions = [
            connection.execute(f"SELECT version_num::text FROM {table}".encode()).fetchone()
            for table in ("alembic_version", "people_version")
        ]
    of_people = {row for row in found if row[0] in people.tables or row[0] == "people_version"}
    return (found - of_people) | {versions[0]}, of_people | {versions[1]}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", OLDER)
def test_upgrade__survives_kill_minus_9(tmp_path: Path, postgres: Cluster, version: str) -> None:
    name, older, said = make_older(postgres, tmp_path, version)
    old = read_schema(postgres.admin_url.replace("/postgres?", f"/{name}?"))
    new_url = make_database(postgres, f"new_{version}")
    connection = connect(new_url, is_read_only=False)
    upgrade_schema(connection, lambda to: upgrade_to(to, "head"))
    upgrade_schema(connection, lambda to: upgrade_to(to, "head", PEOPLE_SCRIPTS))
    connection.close()
    new = read_schema(new_url)
    assert ((SCHEMA_VERSION,) in new[0], (PEOPLE_VERSION,) in new[1]) == (True, True)
    chance, states = random.Random(f"database {version}"), Counter[str]()
    with open_driver("tests.faults.upgrading") as driver:
        while states.total() < scaled(5):
            home = tmp_path / f"home{states.total()}"
            shutil.copytree(older, home)
            url = make_database(postgres, f"round_{version}", name)
            Home(home).store_url.write_text(url, encoding="utf-8")
            told, code = driver.run(
                home=str(home),
                seed=0,
                kill_after_us=int(chance.uniform(10_000, 500_000)),
                is_from_fork=True,
                limit=None,
            )
            assert code in (0, -signal.SIGKILL)
            wait_until_alone(url)
            trial = make_trial(home, [*said, *told])
            # Nothing in between: each upgrade is one transaction, however many steps it takes.
            found = read_schema(url)
            assert found[0] in (old[0], new[0])
            assert found[1] in (old[1], new[1])
            if any("opened" in note for note in told):
                assert found[0] == new[0]
            if any("people" in note for note in told):
                assert found[1] == new[1]
            state = [("old", "new")[mine == theirs] for mine, theirs in zip(found, new, strict=True)]
            states[f"store {state[0]}, people {state[1]}"] += code != 0
            trial.check_all(chance, 0.2)
            trial.check("", 0, None)
            shutil.rmtree(home)
            drop_database(postgres, f"round_{version}")
    print(f"from {version}: {dict(states)}")
    drop_database(postgres, name)
    drop_database(postgres, f"new_{version}")


@pytest.mark.parametrize("scripts", ["carnet.vault:migrations", PEOPLE_SCRIPTS])
def test_upgrade__whose_session_the_server_ends_says_so(postgres: Cluster, scripts: str) -> None:
    url = postgres.make_url()
    connection = connect(url, is_read_only=False)
    is_own = scripts != PEOPLE_SCRIPTS
    upgrade_schema(connection, lambda to: upgrade_to(to, "0004" if is_own else "0002", scripts))
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    def end_session() -> None:
        until = time.monotonic() + 20
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            while admin.execute(query).fetchone() == (0,) and time.monotonic() < until:
                time.sleep(0.01)

    with psycopg.connect(url) as other:
        # A step of the upgrade waits for this, in the middle of its transaction.
        other.execute(f"LOCK TABLE {'submission' if is_own else 'claim_code'} IN ACCESS SHARE MODE".encode())
        ending = threading.Thread(target=end_session)
        ending.start()
        with pytest.raises(PostgresError, match="connection to the database was lost"):
            open_store(url) if is_own else open_people_store(url)
        ending.join()
    connection.close()
    if is_own:
        open_store(url).close()
    else:
        open_people_store(url).close()
