"""The store of people: its schema, its transactions, and that every column is in the catalogue."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from carnet.errors import Reason, Refused
from carnet.vault.people.catalogue import KEPT_MS, NOT_PERSONAL, PERSONAL
from carnet.vault.people.store import PeopleStore, check_is_current, open_people_store
from carnet.vault.people.tables import people
from carnet.vault.store import Connection, Error, create_store, open_store
from carnet.vault.tables import metadata

INSERT = "INSERT INTO seen_once VALUES (?, ?)"


def list_columns() -> set[str]:
    return {
        f"{table.name}.{column.name}"
        for part in (people, metadata)
        for table in part.tables.values()
        for column in table.columns
    }


def test_catalogue__holds_every_column_exactly_once() -> None:
    assert list_columns() == set(PERSONAL) | NOT_PERSONAL
    assert not set(PERSONAL) & NOT_PERSONAL
    for field in PERSONAL.values():
        assert field.purpose
        assert field.retention
    assert set(KEPT_MS) <= set(people.tables)


def test_open_people_store__migrations_make_the_tables_as_described(
    people_address: Path | str, people_store: PeopleStore
) -> None:
    with people_store.read() as connection:
        if connection.is_file:
            query = (
                'SELECT m.name, p.name, p.type, p."notnull" = 0 AND p.pk = 0'
                " FROM sqlite_master m, pragma_table_info(m.name) p"
                " WHERE m.type = 'table' AND m.name != 'people_version'"
            )
            made = {(table, name, type_, bool(null)) for table, name, type_, null in connection.execute(query)}
        else:
            types = {"bigint": "INTEGER", "bytea": "BLOB", "text": "TEXT"}
            query = (
                "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
                " WHERE table_schema = current_schema() AND table_name != 'people_version'"
            )
            made = {(t, name, types[type_], null == "YES") for t, name, type_, null in connection.execute(query)}
    wanted = {
        (table.name, column.name, str(column.type), bool(column.nullable))
        for table in people.tables.values()
        for column in table.columns
    }
    assert made == wanted


def test_open_people_store__shares_a_database_with_the_nodes_own(people_address: Path | str, tmp_path: Path) -> None:
    create_store(people_address if isinstance(people_address, str) else tmp_path / "node.db").close()
    for _ in range(2):
        with open_people_store(people_address) as store, store.read() as connection:
            assert connection.execute("SELECT count(*) FROM account").fetchone()[0] == 0


def test_open_people_store__is_private(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    open_people_store(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_open_people_store__refused_node_damaged_for_another_schema(
    people_address: Path | str, people_store: PeopleStore
) -> None:
    with people_store.write() as connection:
        connection.execute("UPDATE people_version SET version_num = '9999'")
    with pytest.raises(Refused) as refused:
        open_people_store(people_address)
    assert refused.value.reason is Reason.NODE_DAMAGED
    with people_store.read() as connection, pytest.raises(Refused) as refused:
        check_is_current(connection)
    # Nothing that this program could do would bring it up to date.
    assert "use the program that wrote them" in refused.value.message
    assert "carnet serve" not in refused.value.message


def test_open_people_store__refused_node_damaged_for_another_file(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(Refused) as refused:
        open_people_store(path)
    assert refused.value.reason is Reason.NODE_DAMAGED


def test_write__is_undone_as_a_whole_when_its_block_fails(people_store: PeopleStore) -> None:
    def insert(begin: Callable[[], AbstractContextManager[Connection]], *keys: bytes) -> None:
        with begin() as connection:
            for key in keys:
                connection.execute(INSERT, (key, 1 // len(key)))

    with pytest.raises(ZeroDivisionError):
        insert(people_store.write, b"a", b"")
    with pytest.raises(Error):
        insert(people_store.note, b"b", b"b")
    with people_store.read() as connection:
        assert connection.execute("SELECT count(*) FROM seen_once").fetchone()[0] == 0


def test_write__what_was_checked_still_holds_when_it_is_written(people_store: PeopleStore) -> None:
    """Twenty threads count up by reading and writing back: none is lost."""

    def count_up() -> None:
        with people_store.write() as connection:
            row = connection.execute("SELECT until_ms FROM seen_once WHERE digest = ?", (b"n",)).fetchone()
            if row is None:
                connection.execute(INSERT, (b"n", 1))
            else:
                connection.execute("UPDATE seen_once SET until_ms = ? WHERE digest = ?", (row[0] + 1, b"n"))

    threads = [threading.Thread(target=count_up) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with people_store.read() as connection:
        assert connection.execute("SELECT until_ms FROM seen_once").fetchone()[0] == 20


def test_write__of_several_processes_at_once(people_address: Path | str, people_store: PeopleStore) -> None:
    script = (
        "import sys, pathlib; from carnet.vault.people.store import open_people_store\n"
        "where = sys.argv[1]; where = where if '://' in where else pathlib.Path(where)\n"
        "with open_people_store(where) as store:\n"
        "    for n in range(30):\n"
        "        with (store.write if n % 2 else store.note)() as c:\n"
        "            c.execute('INSERT INTO seen_once VALUES (?, ?)', (sys.argv[2].encode() + bytes([n]), n))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(people_address), name]) for name in ("a", "b", "c")]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    with people_store.read() as connection:
        assert connection.execute("SELECT count(*) FROM seen_once").fetchone()[0] == 90


def test_holding__has_one_present_holder_at_most(people_store: PeopleStore) -> None:
    insert = "INSERT INTO holding VALUES (?, ?, 0, ?, 'claim', 1, ?)"
    with people_store.write() as connection:
        connection.execute(insert, (b"1", b"chain", b"a", 5))
        connection.execute(insert, (b"2", b"chain", b"b", None))

    def hold_again() -> None:
        with people_store.write() as connection:
            connection.execute(insert, (b"3", b"chain", b"c", None))

    with pytest.raises(Error):
        hold_again()


def test_tables__have_their_columns_in_the_order_in_which_they_are_stored(tmp_path: Path) -> None:
    """Rows are copied by their places where a store moves: another order would mix them."""
    with open_people_store(tmp_path / "people") as store, store.read() as connection:
        assert _list_stored(connection, people) == _list_named(people)
    with create_store(tmp_path / "node") as made:
        assert _list_stored(made.connection, metadata) == _list_named(metadata)


def _list_stored(connection: Connection, tables: MetaData) -> dict[str, list[str]]:
    query = 'PRAGMA table_info("{}")'
    return {name: [row[1] for row in connection.execute(query.format(name)).fetchall()] for name in tables.tables}


def _list_named(tables: MetaData) -> dict[str, list[str]]:
    return {name: [column.name for column in table.columns] for name, table in tables.tables.items()}


def _fill(store: PeopleStore) -> None:
    with store.write() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        for number in range(100):
            connection.execute("INSERT INTO seen_once VALUES (randomblob(4000), ?)", (number,))


def test_write__on_a_full_disk_is_refused_and_undone(tmp_path: Path) -> None:
    with open_people_store(tmp_path / "people") as store:
        with pytest.raises(Refused) as caught:
            _fill(store)
        assert caught.value.reason is Reason.DISK_FULL
        with store.write() as connection:
            assert connection.execute("SELECT count(*) FROM seen_once").fetchone()[0] == 0


def test_people__refused_store_busy_where_another_process_keeps_the_file_locked(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    with open_people_store(path) as store, open_people_store(path) as other:
        with store.read() as connection:
            connection.execute("PRAGMA busy_timeout = 20")
        with other.write(), pytest.raises(Refused) as caught, store.write():
            pass
        assert caught.value.reason is Reason.STORE_BUSY
        assert caught.value.could_retry
        assert caught.value.facts["retry_after_s"] == 5
        assert "fuser people.sqlite" in caught.value.message
        with store.write() as connection:
            connection.execute(INSERT, (b"later", 1))


def test_people__refused_store_moved_where_the_file_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    with open_people_store(path) as store:
        path.unlink()
        with pytest.raises(Refused) as caught, store.read():
            pass
        assert caught.value.reason is Reason.STORE_MOVED
        assert not path.exists()


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "a b", "dépôt\nnouveau", "a?mode=memory"])
def test_open__a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    """Neither store goes into a file of another name, and both are found again."""
    folder = tmp_path / name
    folder.mkdir()
    for _ in range(2):
        with open_people_store(folder / "people.sqlite") as store, store.write() as connection:
            connection.execute("INSERT INTO seen_once VALUES (?, ?) ON CONFLICT DO NOTHING", (b"here", 1))
    create_store(folder / "node.db").close()
    open_store(folder / "node.db", is_read_only=True).close()
    assert {"node.db", "people.sqlite"} <= {file.name for file in folder.iterdir()}
    assert [file.name for file in tmp_path.iterdir()] == [name]
