"""What the writer asks a server over `vault.wire` is what the driver would have asked."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from carnet.vault.postgres import PostgresConnection, connect
from carnet.vault.store import PostgresError
from carnet.vault.wire import Wire
from tests.postgres import Cluster

TABLE = "CREATE TABLE seal (idx bigint PRIMARY KEY, class bigint, count bigint, leaves bytea)"
PUT = "INSERT INTO seal VALUES (?,?,?,?)"


@pytest.fixture
def kept(postgres: Cluster) -> Iterator[PostgresConnection]:
    """A session that asks over its wire."""
    connection = connect(postgres.make_url(), is_read_only=False)
    connection.execute(TABLE)
    connection.prefer_indexes()
    yield connection
    connection.close()


def put_together(connection: PostgresConnection, *parts: list[tuple[Any, ...]], error: Exception | None = None) -> None:
    with connection.together():
        for rows in parts:
            connection.insert_many(PUT, rows)
        connection.execute("UPDATE seal SET class = 9")
        if error is not None:
            raise error


def count(connection: PostgresConnection) -> int:
    return int(connection.execute("SELECT count(*) FROM seal").fetchone()[0])


VALUES: list[tuple[str, tuple[Any, ...]]] = [
    ("SELECT ?::bigint, ?::int, ?::smallint", (-(2**63), 2**31 - 1, None)),
    ("SELECT ?::bytea, ?::bytea, ?::text, ?::text", (b"", bytearray(b"a\0b"), "é%s", None)),
    ("SELECT ?::bigint[], ?::bytea[], ?::text[]", ([1, None, -(2**63)], [b"", b"{,}"], ["NULL", ""])),
    ("SELECT ?::bigint[], ?::bytea[]", ([], [])),
    ("SELECT 7 % 4, ?::text", ("x",)),
    ("SELECT generate_series(1, 1000), ?::bigint", (9,)),
    ("SELECT 1 WHERE false", ()),
]


@pytest.mark.parametrize("statement,values", VALUES)
def test_ask__answers_what_the_driver_does(kept: PostgresConnection, statement: str, values: tuple[Any, ...]) -> None:
    wanted = kept.driver.execute(statement.replace("%", "%%").replace("?", "%s").encode(), values).fetchall()
    for _ in range(2):
        assert kept.execute(statement, values).fetchall() == wanted
    answer = kept.execute(statement, values)
    assert answer.rowcount == len(wanted)
    assert list(iter(answer.fetchone, None)) == wanted
    assert answer.fetchall() == []


@pytest.mark.parametrize("value", [2**63, "x", 1.5, object(), b"x", [1], (1, 2)])
def test_ask__refused_value_of_another_type(kept: PostgresConnection, value: object) -> None:
    with pytest.raises(PostgresError):
        kept.execute("SELECT ?::bigint", (value,))
    with pytest.raises(PostgresError):
        kept.execute("SELECT ?::bigint", (1, value))
    assert kept.execute("SELECT ?::bigint", (8,)).fetchone() == (8,)


def test_begin__goes_with_the_first_question(kept: PostgresConnection) -> None:
    for end in (kept.commit, kept.rollback):
        kept.begin_write()
        assert kept.in_transaction
        end()
        assert not kept.in_transaction
    kept.begin_write()
    kept.execute(PUT, (1, 2, 3, b"x"))
    kept.rollback()
    assert count(kept) == 0
    kept.begin_write()
    kept.execute(PUT, (1, 2, 3, b"x"))
    assert kept.in_transaction
    kept.commit()
    assert not kept.in_transaction
    kept.begin_read()
    assert list(kept.stream("SELECT idx FROM seal")) == [(1,)]
    with pytest.raises(PostgresError, match="read-only"):
        kept.execute(PUT, (2, 2, 3, b"x"))
    assert kept.in_transaction
    with pytest.raises(PostgresError, match="did not commit"):
        kept.commit()
    assert count(kept) == 1


def test_write__goes_with_the_next_question_or_the_commit(kept: PostgresConnection) -> None:
    kept.begin_write()
    kept.write(PUT, (1, 2, 3, b"x"))
    kept.commit()
    assert count(kept) == 1
    kept.begin_write()
    assert kept.execute("SELECT 1").fetchone() == (1,)
    kept.write(PUT, (2, 2, 3, b"x"))
    assert count(kept) == 2
    kept.write(PUT, (3, 2, 3, b"x"))
    kept.rollback()
    assert count(kept) == 1
    for ask in (kept.commit, lambda: kept.execute("SELECT 1")):
        kept.begin_write()
        kept.write(PUT, (1, 2, 3, b"x"))
        with pytest.raises(PostgresError, match="duplicate key"):
            ask()
        kept.rollback()
    kept.write(PUT, (9, 2, 3, b"x"))
    assert not kept.in_transaction
    assert count(kept) == 2


def test_together__keeps_the_order(kept: PostgresConnection, postgres: Cluster) -> None:
    rows = [(number, 1, 2, bytes([number % 256]) * 500) for number in range(5000)]
    kept.begin_write()
    with kept.together():
        kept.insert_many(PUT, rows[:10])
        kept.insert_many(PUT, rows[10:4000])
        kept.insert_many(PUT, rows[4000:])
        kept.update_many("UPDATE seal SET class=? WHERE idx=?", [(7, number) for number in range(0, 5000, 2)])
        kept.executemany("DELETE FROM seal WHERE idx = ?", [(number,) for number in range(100)])
        kept.insert_many(PUT, rows[:50])
        assert kept.in_transaction
    kept.commit()
    wanted = [(n, 7 if n % 2 == 0 and n >= 100 else 1, leaves) for n, _, _, leaves in (*rows[:50], *rows[100:])]
    assert kept.execute("SELECT idx, class, leaves FROM seal ORDER BY idx").fetchall() == wanted


def test_together__tells_the_first_error_and_goes_on(kept: PostgresConnection) -> None:
    rows = [(number, 1, 2, b"x" * 3000) for number in range(300)]
    kept.execute(PUT, rows[250])
    for first, second in ((rows[:3], rows), (rows, rows[:3]), (rows, rows), (rows[250:251], rows[:2])):
        kept.begin_write()
        with pytest.raises(PostgresError, match="duplicate key"):
            put_together(kept, first, second)
        assert kept.in_transaction
        kept.rollback()
        assert (count(kept), kept.execute("SELECT class FROM seal").fetchone()) == (1, (1,))
    # Nothing of a block that was left is sent later.
    kept.begin_write()
    with pytest.raises(RuntimeError):
        put_together(kept, rows[:3], error=RuntimeError())
    kept.rollback()
    assert count(kept) == 1


def test_insert_many__of_more_than_a_socket_holds(kept: PostgresConnection) -> None:
    kept.insert_many(PUT, [(number, 1, 2, bytes(100_000)) for number in range(200)])
    assert kept.execute("SELECT count(*), sum(length(leaves)) FROM seal").fetchone() == (200, 20_000_000)
    (found,) = kept.execute("SELECT array_agg(length(leaves)) FROM seal").fetchone()
    assert found == [100_000] * 200


def test_ask__lost_connection_is_said(kept: PostgresConnection, postgres: Cluster) -> None:
    kept.begin_write()
    kept.rollback()
    with psycopg.connect(postgres.admin_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (kept.driver.info.backend_pid,))
    kept.begin_write()
    with pytest.raises(PostgresError, match="connection to the database was lost"):
        kept.execute("SELECT 1")
    assert kept.is_lost
    with pytest.raises(PostgresError):
        kept.insert_many(PUT, [(number, 1, 2, b"") for number in range(100)])


def test_ask__interrupted_leaves_a_session_that_answers(kept: PostgresConnection) -> None:
    main = threading.main_thread().ident
    assert main is not None
    interrupting = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    interrupting.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        kept.execute("SELECT pg_sleep(30)")
    interrupting.join()
    assert time.monotonic() - started < 10
    assert kept.execute("SELECT 5").fetchone() == (5,)


def test_send__nothing_is_sent_for_nothing(kept: PostgresConnection) -> None:
    assert Wire(kept.driver).send() == []
