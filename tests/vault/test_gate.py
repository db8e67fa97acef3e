"""Few connections for many threads: who waits, who is refused, and what a server that went away leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from litestar import get

from carnet.errors import Reason, Refused
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.people import get_people_address
from carnet.node.readers import Readers
from carnet.types import Basis
from carnet.vault import gate as gates
from carnet.vault.gate import Gate, limit_places
from carnet.vault.people.store import open_people_store
from carnet.vault.store import PostgresError, open_store
from carnet.web.policy import OPEN
from tests.node.home import TestNode, make_node, new_passport
from tests.postgres import Cluster, run_cluster
from tests.serving import serving_home
from tests.web.desk import serving

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'carnet'"
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'carnet'"


def test_entered__refused_store_busy_when_all_places_stay_taken() -> None:
    gate = Gate(1, patience_s=0.05)
    is_in, may_go = threading.Event(), threading.Event()

    def stay() -> None:
        with gate.entered():
            is_in.set()
            assert may_go.wait(10)

    with ThreadPoolExecutor(1) as pool:
        staying = pool.submit(stay)
        assert is_in.wait(10)
        with pytest.raises(Refused) as caught, gate.entered():
            pass
        assert (caught.value.reason, caught.value.could_retry) == (Reason.STORE_BUSY, True)
        assert caught.value.facts["retry_after_s"] == 1
        may_go.set()
        staying.result(10)
    with gate.entered():
        pass


def test_entered__again_by_the_same_thread_waits_for_nobody() -> None:
    gate = Gate(1, patience_s=0.05)
    for _ in range(3):
        with gate.entered(), gate.entered(), gate.entered():
            pass
        with pytest.raises(KeyError), gate.entered():
            raise KeyError
    with ThreadPoolExecutor(1) as pool, gate.entered(), pytest.raises(Refused):
        pool.submit(lambda: gate.entered().__enter__()).result(10)


@pytest.fixture
def few() -> Iterator[int]:
    """Two places in this process."""
    before = gates.get_gate()
    limit_places(2)
    yield 2
    gates._Process.gate = before


@pytest.fixture
def node(tmp_path: Path, postgres: Cluster) -> TestNode:
    made = make_node(tmp_path, store_url=postgres.make_url())
    with made.open() as writer:
        writer.append(made.operator.id, Basis.REPORTED, [new_passport(1, 1_000)])
    return made


def ask(postgres: Cluster, query: str) -> int:
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        rows = connection.execute(query.encode()).fetchall()
    return int(rows[0][0]) if rows else 0


def test_many_threads__have_no_more_connections_than_there_are_places(
    node: TestNode, postgres: Cluster, few: int
) -> None:
    others, seen = ask(postgres, COUNT), list[int]()
    readers, people = Readers(node.read), open_people_store(get_people_address(Home(node.path)))

    def work(_: int) -> int:
        with readers.reading() as reader, people.read() as connection:
            connection.execute("SELECT pg_sleep(0.02)")
            return reader.count_passports()

    try:
        with ThreadPoolExecutor(20) as pool:
            working = [pool.submit(work, at) for at in range(60)]
            while not all(one.done() for one in working):
                seen.append(ask(postgres, COUNT) - others)
            assert [one.result() for one in working] == [1] * 60
    finally:
        readers.close()
        people.close()
    # Each request has one of both at most.
    assert 0 < max(seen) <= 2 * few


def test_idle_connections__that_the_server_ended_are_not_used_again(node: TestNode, postgres: Cluster) -> None:
    readers, people = Readers(node.read), open_people_store(get_people_address(Home(node.path)))
    try:
        for _ in range(3):
            with readers.reading() as first, readers.reading() as second, people.read() as connection:
                assert first.count_passports() == second.count_passports() == 1
                assert connection.execute("SELECT 1").fetchone()[0] == 1
            with people.write() as connection:
                connection.execute("SELECT 1")
            assert ask(postgres, f"SELECT count(*) FROM ({END}) AS ended") >= 3
            # The server says so a moment after it was asked.
            time.sleep(0.2)
    finally:
        readers.close()
        people.close()


def test_connection__refused_store_unreachable_when_it_is_lost_amid_the_work(node: TestNode, postgres: Cluster) -> None:
    readers, people = Readers(node.read), open_people_store(get_people_address(Home(node.path)))

    def read_on() -> None:
        with readers.reading() as reader:
            ask(postgres, END)
            reader.count_passports()

    def write_on() -> None:
        with people.write() as connection:
            ask(postgres, END)
            connection.execute("SELECT 1")

    try:
        for lose in (read_on, write_on):
            with pytest.raises(Refused) as caught:
                lose()
            assert (caught.value.reason, caught.value.could_retry) == (Reason.STORE_UNREACHABLE, True)
        with readers.reading() as reader, people.read():
            assert reader.count_passports() == 1
        # What the server refuses is no lost connection.
        with pytest.raises(PostgresError), people.read() as connection:
            connection.execute("SELECT 1 / 0")
    finally:
        readers.close()
        people.close()


def test_serve__ends_with_the_writers_session_and_is_there_again_when_started(tmp_path: Path) -> None:
    with run_cluster() as cluster:
        home = make_node(tmp_path, store_url=cluster.make_url()).path
        with serving_home(home, tmp_path / "log", "--database-requests", "1") as served:
            with ThreadPoolExecutor(8) as pool:
                asked = [pool.submit(served.ask, "GET", "/.well-known/carnet-policy") for _ in range(40)]
                assert {one.result().status for one in asked} == {200}
            cluster.stop()
            # As a service manager sees it.
            assert served.process.wait(30) == 1
            assert "the database has ended the writer's session" in served.read_log()
            assert not (home / "node.sock").exists()
        cluster.start()
        with serving_home(home, tmp_path / "log2") as served:
            assert served.stop() == 0
        assert check_home(home) == []


def test_request__refused_store_busy(tmp_path: Path, few: int) -> None:
    """Over HTTP it is 503, with the moment to come again."""
    refused = Refused(Reason.STORE_BUSY, "all connections are at work", could_retry=True, retry_after_s=1)

    @get("/busy", opt={"policy": OPEN}, sync_to_thread=True)
    def get_busy() -> str:
        raise refused

    with serving(tmp_path, [get_busy]) as service:
        answer = service.client.get("/busy")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["code"] == "store_busy"


def test_rewrite_tables__a_server_that_goes_at_its_end_is_a_lost_store(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.make_database()

    class Last(tuple[str, ...]):
        """Tables, after the last of which the server ends the session."""

        __slots__ = ()

        def __iter__(self) -> Iterator[str]:
            yield from super().__iter__()
            with psycopg.connect(postgres.admin_url, autocommit=True) as other:
                other.execute(f"{END} AND datname = '{psycopg.conninfo.conninfo_to_dict(url)['dbname']}'".encode())

    node = make_node(tmp_path, store_url=url)
    node.close()
    with open_store(url) as store, pytest.raises(PostgresError):
        store.connection.rewrite_tables(Last(("checkpoint",)), 1.0)
