"""A copy of a template is what was made first: the files, and every table, index, constraint and row of a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from carnet.node.home import Home
from carnet.vault.people.store import open_people_store
from carnet.vault.people.tables import people
from carnet.vault.tables import metadata
from tests.node.home import TestNode, make_node
from tests.postgres import Cluster
from tests.templates import lay_people

COLUMNS = """SELECT table_name, column_name, ordinal_position, data_type, column_default, is_nullable, is_identity
FROM information_schema.columns WHERE table_schema = current_schema()"""
INDICES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
CONSTRAINTS = """SELECT relname, reloptions, conname, pg_get_constraintdef(pg_constraint.oid) FROM pg_class
LEFT JOIN pg_constraint ON conrelid = pg_class.oid
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"""


def read_all(url: str) -> list[Any]:
    """What the schema at `url` is made of, and the rows of its tables, but for the schema's own name."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_schema()").fetchone()
        assert row is not None
        told = [connection.execute(query.encode()).fetchall() for query in (COLUMNS, INDICES, CONSTRAINTS)]
        tables = sorted({*metadata.tables, *people.tables} & {row[0] for row in told[0]})
        told += [[(table,), *connection.execute(f"SELECT * FROM {table}".encode()).fetchall()] for table in tables]
        assert tables
    return [sorted(repr(one).replace(f"{row[0]}.", "") for one in rows) for rows in told]


def read_files(node: TestNode) -> dict[str, tuple[int, bytes]]:
    found = [path for path in node.path.rglob("*") if path.is_file() and path != Home(node.path).store_url]
    return {path.name: (path.stat().st_mode, path.read_bytes()) for path in found}


@pytest.mark.parametrize("is_file", [True, False])
def test_make_node__a_copy_is_as_the_first(tmp_path: Path, postgres: Cluster, is_file: bool) -> None:
    seed = f"a seed of this test alone {is_file}".encode()
    urls = [None if is_file else postgres.make_url() for _ in range(2)]
    first, second = (make_node(tmp_path / str(n), seed=seed, store_url=url) for n, url in enumerate(urls))
    assert (first.operator, first.clock, first.dice) == (second.operator, second.clock, second.dice)
    assert read_files(first) == read_files(second)
    assert {"keys.json", "writer.lock"} <= read_files(first).keys()
    if urls[0] and urls[1]:
        assert read_all(urls[0]) == read_all(urls[1])
        assert Home(second.path).address == urls[1]
    for node in (first, second):
        node.open().close()
        node.check()


def test_lay_people__makes_what_the_program_makes(tmp_path: Path, postgres: Cluster) -> None:
    laid, made = [tmp_path / "laid", tmp_path / "made"], [postgres.make_url() for _ in range(3)]
    for address in (laid[0], *made[:2], laid[0], made[0]):
        lay_people(address)
    for address in (laid[1], made[2]):
        open_people_store(address).close()
    assert laid[0].read_bytes() == laid[1].read_bytes()
    assert laid[0].stat().st_mode == laid[1].stat().st_mode
    assert read_all(made[0]) == read_all(made[1]) == read_all(made[2])
