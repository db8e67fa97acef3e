"""On a server a bulk of rows goes by COPY, as the server itself sees it; a few rows do not."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from carnet.types import Basis
from carnet.vault.postgres import COPY_ROWS
from tests.node.home import make_node, new_passport
from tests.postgres import Cluster

BULKY = ("chain", "entry", "passport_key")

NOTE = """
CREATE TABLE noted (place text, query text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO noted VALUES (TG_TABLE_NAME, current_query()); RETURN NULL; END $$;
"""
NOTE_EACH = "CREATE TRIGGER note AFTER INSERT ON {0} FOR EACH STATEMENT EXECUTE FUNCTION note();"


@pytest.mark.parametrize("passports, way", [(COPY_ROWS // 4, "INSERT"), (10 * COPY_ROWS, "COPY")])
def test_append__many_rows_go_by_copy(tmp_path: Path, postgres: Cluster, passports: int, way: str) -> None:
    url = postgres.make_url()
    node = make_node(tmp_path, store_url=url)
    with psycopg.connect(url) as connection:
        connection.execute((NOTE + "".join(NOTE_EACH.format(table) for table in BULKY)).encode())
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(number, 10) for number in range(passports)])
    with psycopg.connect(url) as connection:
        seen = connection.execute("SELECT DISTINCT place, split_part(query, ' ', 1) FROM noted ORDER BY 1").fetchall()
    assert seen == [(table, way) for table in BULKY]
