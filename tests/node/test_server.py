"""What a PostgreSQL server itself does to a node: it dies and comes back, gives few rights, or would not keep its
word."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.writing import Writing
from carnet.services.doctor import examine
from carnet.types import Basis
from carnet.vault import bulk
from carnet.vault.bulk import plan_copy, plan_update, plan_upsert
from carnet.vault.postgres import connect, describe_url, translate
from carnet.vault.store import Blob, PostgresError, open_store
from carnet.vault.tables import metadata
from tests.node.door import open_door
from tests.node.home import TestNode, make_node, more, new_passport, reading, vin_subject
from tests.node.test_erasing import fill
from tests.postgres import Cluster, run_cluster

REPORTED = Basis.REPORTED


def test_append__server_that_dies_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    with run_cluster() as cluster:
        node = make_node(tmp_path, store_url=cluster.make_url())
        writer, acknowledged = node.open(), list[int]()

        def append_on() -> None:
            for number in range(10**6):
                writer.append(node.operator.id, REPORTED, [new_passport(number, 1, 2)])
                acknowledged.append(number)

        killing = threading.Timer(0.6, cluster.kill)
        killing.start()
        with pytest.raises(PostgresError):
            append_on()
        killing.join()
        sealed = len(acknowledged)
        writer.close()
        # Without a server, one sentence says so.
        with pytest.raises(Refused) as caught:
            node.read()
        assert caught.value.reason is Reason.STORE_UNREACHABLE
        # The children of the postmaster notice its end a moment later.
        time.sleep(1)
        cluster.start()
        assert sealed > 0
        with node.open() as again:
            # The one whose answer was lost may be there too.
            with node.read() as reader:
                assert reader.count_passports() in (sealed, sealed + 1)
            again.append(node.operator.id, REPORTED, [new_passport(10**6)])
        node.check()


def test_open_writer__refused_stale_copy_for_a_database_that_was_put_back(tmp_path: Path) -> None:
    with run_cluster() as cluster, psycopg.connect(cluster.admin_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE cars")
        node = make_node(tmp_path, store_url=cluster.admin_url.replace("/postgres?", "/cars?"))
        with node.open() as writer:
            chains = fill(node, writer)
        admin.execute("CREATE DATABASE older TEMPLATE cars")
        with node.open() as writer:
            writer.append(node.operator.id, REPORTED, [new_passport(7, 1)])
            writer.erase(chains[1], None, "holder_request")
            writer.append(node.operator.id, REPORTED, [new_passport(8, 1)])
            size = writer.state.size
        head = Home(node.path).signed_head
        assert head.stat().st_mode & 0o777 == 0o600
        swap(admin)
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                node.open()
            assert (caught.value.reason, caught.value.facts["signed"]) == (Reason.STALE_COPY, size)
            assert caught.value.facts["missing"] == size - caught.value.facts["here"] > 0
            # What was erased since is erased here too; nothing else has happened, and all else can be read.
            with node.read() as reader:
                assert reader.state.size == caught.value.facts["here"]
                assert reader.count_passports() == 2
        (found,) = [one for one in examine(Home(node.path)) if one.check == "head"]
        assert (found.code, found.level) == ("head.behind", "problem")
        swap(admin)
        with node.open() as writer:
            writer.append(node.operator.id, REPORTED, [new_passport(9, 1)])
        node.check()
        # Written by one who knew nothing of it, the older one has another history.
        kept = head.read_bytes()
        swap(admin)
        head.unlink()
        with node.open() as writer:
            for number in range(20, 30):
                writer.append(node.operator.id, REPORTED, [new_passport(number, 1)])
            assert writer.state.size > size
        head.write_bytes(kept)
        with pytest.raises(Refused) as caught:
            node.open()
        assert caught.value.reason is Reason.OTHER_HISTORY
        head.write_bytes(b"no head")
        with pytest.raises(Refused) as caught:
            node.open()
        assert caught.value.reason is Reason.NODE_DAMAGED


def swap(admin: psycopg.Connection[object]) -> None:
    """Put the other copy of the database in its place."""
    for was, becomes in (("cars", "aside"), ("older", "cars"), ("aside", "older")):
        admin.execute(f"ALTER DATABASE {was} RENAME TO {becomes}".encode())


@pytest.mark.parametrize("is_far", [False, True], ids=["writer", "door"])
def test_append__reads_no_whole_table_of_one_that_just_grew(tmp_path: Path, postgres: Cluster, is_far: bool) -> None:
    # Nothing was counted of these tables yet: the server would take a reading of all of them to be the shorter way.
    url = postgres.make_url()
    node = make_node(tmp_path, store_url=url)
    subjects = [vin_subject(number) for number in range(1_000)]
    with ExitStack() as stack:
        if is_far:
            writer: Writing = stack.enter_context(stack.enter_context(open_door(node)).reach())
        else:
            writer = stack.enter_context(node.open())
        writer.append(node.operator.id, REPORTED, [new_passport(number, 1, 2) for number in range(len(subjects))])
        for _ in range(3):
            with writer.reading():
                chains = writer.find_chains(subjects)
                sources = {chain.id: [bytes(16)] for chain in chains.values()}
                assert writer.find_sources(sources) == {chain: set() for chain in sources}
            assert len(chains) == len(subjects)
            groups = [more(chain, reading(subject, 3)) for subject, chain in chains.items()]
            assert len(writer.append(node.operator.id, REPORTED, groups).receipts) == len(subjects)
    query = (
        "SELECT sum(n_tup_ins)::int, sum(seq_tup_read)::int FROM pg_stat_user_tables"
        " WHERE schemaname = current_schema() AND relname IN ('entry', 'passport_key')"
    )
    entries, until = 7 * len(subjects), time.monotonic() + 20
    with psycopg.connect(url, autocommit=True) as connection:
        # Each session tells what it did a moment after it did it.
        while (row := connection.execute(query).fetchone()) and row[0] < entries and time.monotonic() < until:
            time.sleep(0.1)
    assert row == (entries, 0)


def test_open_writer__refused_server_without_fsync(tmp_path: Path) -> None:
    with run_cluster() as cluster:
        node = make_node(tmp_path, store_url=cluster.make_url())
        with psycopg.connect(cluster.admin_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
        cluster.stop()
        cluster.start(fsync=None)
        with pytest.raises(Refused) as caught:
            node.open()
        assert caught.value.reason is Reason.NODE_DAMAGED
        assert "fsync" in caught.value.message
        node.check()


def test_connect__keeps_what_it_acknowledged_whatever_the_server_does_by_default(postgres: Cluster) -> None:
    url = postgres.make_url()
    with psycopg.connect(url, autocommit=True) as administrator:
        (name,) = administrator.execute("SELECT current_database()").fetchone() or ("",)
        administrator.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    with psycopg.connect(url) as plain:
        assert plain.execute("SHOW synchronous_commit").fetchone() == ("off",)
    connection = connect(url, is_read_only=False)
    assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    connection.close()


def test_writer__needs_no_right_but_on_its_schema(tmp_path: Path, plain_url: str) -> None:
    node: TestNode = make_node(tmp_path, store_url=plain_url)
    with node.open() as writer:
        chains = fill(node, writer)
        _, found = writer.erase(chains[1], None, "other")
        assert found.is_gone
    node.check()


def test_open_store__reader_cannot_write(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.make_url()
    make_node(tmp_path, store_url=url)
    with open_store(url, is_read_only=True) as store, pytest.raises(PostgresError, match="read-only"):
        store.connection.execute("DELETE FROM meta")


def test_create_store__migrations_make_the_tables_as_described(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.make_url()
    make_node(tmp_path, store_url=url)
    types = {"bigint": "INTEGER", "bytea": "BLOB", "text": "TEXT"}
    with open_store(url, is_read_only=True) as store:
        query = (
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name != 'alembic_version'"
        )
        made = {
            (table, column, types[type_], is_nullable == "YES", default)
            for table, column, type_, is_nullable, default in store.connection.execute(query)
        }
    wanted = {
        (table.name, column.name, str(column.type), bool(column.nullable), None)
        for table in metadata.tables.values()
        for column in table.columns
    }
    assert made == wanted


@pytest.mark.parametrize(
    "statement,translated",
    [
        ("SELECT 1 FROM a WHERE b = ? AND c = ?", b"SELECT 1 FROM a WHERE b = %s AND c = %s"),
        ("SELECT :one, :one, a::text FROM b", b"SELECT %(one)s, %(one)s, a::text FROM b"),
        ("SELECT 5 % 2", b"SELECT 5 %% 2"),
    ],
)
def test_translate__parameters(statement: str, translated: bytes) -> None:
    assert translate(statement) == translated


@pytest.mark.parametrize("pack", ["kernel", "python"])
def test_execute__lists_arrive_as_arrays(postgres: Cluster, monkeypatch: pytest.MonkeyPatch, pack: str) -> None:
    if pack == "python":
        monkeypatch.setattr(bulk, "pack_column", bulk._pack_column)
    given: list[list[Any]] = [
        [1, None, -(2**63), 2**63 - 1], [b"", bytearray(b"a\0b"), None, b"'{,}"], ["é", None, "NULL", ""],
    ]  # fmt: skip
    connection = connect(postgres.make_url(), is_read_only=True)
    query = "SELECT ?::bigint[], ?::bytea[], ?::text[], ?, pg_typeof(?)::text"
    row = connection.execute(query, (*given, "[]", [7])).fetchone()
    assert row == (*given, "[]", "bigint[]")
    # What the driver has to look at by itself.
    assert connection.execute("SELECT ?::bigint[], ?::boolean[]", ([], [True, None])).fetchone() == ([], [True, None])
    assert connection.execute("SELECT ? = ANY (?)", (8, [7, 8])).fetchone() == (True,)
    with pytest.raises(TypeError):
        connection.execute("SELECT ?::bigint[]", ([1, "2"],))
    connection.close()


@pytest.mark.parametrize("pack", ["kernel", "python"])
def test_insert_in_order__is_what_the_statements_do(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch, pack: str
) -> None:
    if pack == "python":
        monkeypatch.setattr("carnet.vault.wire.pack_rows", bulk._pack_rows)
    parts = [
        ("INSERT INTO seal VALUES (?,?,?,?)", [(number, 3, 4, Blob(b"x" * number)) for number in range(0, 5000, 2)]),
        ("INSERT INTO seal VALUES (?,NULL,?,?)", [(number, 4, b"") for number in range(1, 5000, 2)]),
    ]
    connection = connect(postgres.make_url(), is_read_only=False)
    connection.execute("CREATE TABLE seal (idx bigint, class bigint, count bigint, leaves bytea, at serial)")
    connection.insert_in_order(parts)
    rows = connection.execute("SELECT idx, class, count, leaves FROM seal ORDER BY at").fetchall()
    assert rows == [(n, None, 4, b"") if n % 2 else (n, 3, 4, b"x" * n) for n in range(5000)]
    connection.insert_in_order([(statement, own[:3]) for statement, own in parts])
    assert connection.execute("SELECT count(*), count(class) FROM seal").fetchone() == (5006, 2503)
    connection.close()


def test_plan_copy__reads_the_insert() -> None:
    imported = "INSERT INTO entry VALUES (?,?,?,?,?,?,NULL,?,?,?,?,?,?,?,?,?)"
    copying, layouts = plan_copy(imported)
    assert b'"mark", "sid"' in copying
    assert b"target" not in copying
    assert layouts == {15: b"iiiiiibiiiiibbb"}
    named, _ = plan_copy("INSERT INTO log_node (level, idx, hash) VALUES (?, ?, ?)")
    assert named == b'COPY "log_node" ("level", "idx", "hash") FROM STDIN (FORMAT BINARY)'
    whole = "INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    together, layouts = plan_copy(imported, whole)
    assert b'"mark", "target", "sid"' in together
    assert layouts == {15: b"iiiiii-biiiiibbb", 16: b"iiiiiibbiiiiibbb"}
    for others in (
        ("INSERT INTO seal VALUES (?,?,?,1)",),
        ("INSERT INTO seal VALUES (?,?,?)",),
        ("INSERT INTO seal VALUES (?,?,?,?) ON CONFLICT DO NOTHING",),
        (imported, imported),
        (imported, "INSERT INTO seal VALUES (?,?,?,?)"),
        ("INSERT INTO meta (value, key) VALUES (?,?)", "INSERT INTO seal (class, idx) VALUES (?,?)"),
        ("INSERT INTO seal (class, idx, count) VALUES (?,?,?)", "INSERT INTO seal (idx, class) VALUES (?,?)"),
    ):
        with pytest.raises(ValueError, match="can be copied"):
            plan_copy(*others)


def test_plan_update__reads_the_update() -> None:
    updating, types = plan_update("UPDATE chain SET closed=?, head_id=?, census_seq=? WHERE id=?")
    assert types == ["int8", "bytea", "int8", "int8"]
    assert updating == (
        b'UPDATE "chain" SET "closed" = given."closed", "head_id" = given."head_id", "census_seq" = given."census_seq"'
        b" FROM unnest(%s::int8[], %s::bytea[], %s::int8[], %s::int8[])"
        b' AS given("closed", "head_id", "census_seq", "id") WHERE "chain"."id" = given."id"'
    )
    for other in ("UPDATE chain SET closed=1 WHERE id=?", "UPDATE chain SET closed=?", "DELETE FROM chain WHERE id=?"):
        with pytest.raises(ValueError, match="at once"):
            plan_update(other)


def test_plan_upsert__reads_the_insert() -> None:
    piece = "INSERT INTO census_piece VALUES (?,?) ON CONFLICT (id) DO UPDATE SET content = excluded.content"
    inserting, types = plan_upsert(piece)
    assert types == ["int8", "bytea"]
    assert inserting == (
        b'INSERT INTO "census_piece" SELECT * FROM unnest(%s::int8[], %s::bytea[])'
        b" ON CONFLICT (id) DO UPDATE SET content = excluded.content"
    )
    for other in (
        "INSERT INTO census_piece VALUES (?,?)",
        "INSERT INTO census_piece VALUES (?) ON CONFLICT DO NOTHING",
        "INSERT INTO census_piece VALUES (?,NULL) ON CONFLICT DO NOTHING",
        "INSERT INTO census_piece (id, content) VALUES (?,?) ON CONFLICT DO NOTHING",
    ):
        with pytest.raises(ValueError, match="at once"):
            plan_upsert(other)


@pytest.mark.parametrize(
    "url,said",
    [
        ("postgresql://me:hush@db.example:5433/cars?sslmode=require", "postgresql://me@db.example:5433/cars"),
        ("postgresql:///?service=cars", "service cars"),
        ("postgresql://me:hush@db.example/cars?nonsense=1", "postgresql://…"),
    ],
)
def test_describe_url__never_says_a_password(url: str, said: str) -> None:
    assert describe_url(url) == said
