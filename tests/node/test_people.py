"""Accounts go along: in a backup, from a file or a database, and in a move there and back; sessions do not survive a
restore."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import psycopg
import pytest

from carnet.errors import Reason, Refused
from carnet.node.backup.envelope import SecretKey
from carnet.node.backup.restore import restore_backup
from carnet.node.backup.take import take_backup
from carnet.node.home import Home
from carnet.node.moving import Moved, move_store
from carnet.node.people import MOVING, open_people
from carnet.outbound.addresses import Reach
from carnet.services.accounts.office import Office, open_office
from carnet.services.accounts.passkeys import begin_sign_up, finish_sign_up
from carnet.services.accounts.recovery import recover
from carnet.services.accounts.registry import list_accounts
from carnet.services.accounts.sessions import find_principal
from carnet.services.webhooks.endpoints import add_endpoint
from carnet.services.webhooks.messages import insert_message, list_due, list_messages
from carnet.vault.people.store import FILE, is_moved
from carnet.vault.people.tables import people
from carnet.vault.store import Connection, make_engine, open_address
from tests.node.home import START_MS, TestNode, change_behind, make_node, new_passport
from tests.postgres import Cluster
from tests.services.accounts.authenticator import Authenticator
from tests.services.accounts.ground import OPERATOR, SITE, VISIT

OPENER = SecretKey(b"a key that opens at once".ljust(32))
SEALER = OPENER.recipient


def open_test_office(path: Path) -> Office:
    return open_office(Home(path), "example.org")


def fill(node: TestNode, accounts: int = 1) -> tuple[str, str]:
    """People with accounts, the last one's recovery code and session; and a passport."""
    with node.open() as writer:
        writer.append(node.operator.id, 3, [new_passport(1, 10)])
    office = open_test_office(node.path)
    for number in range(accounts):
        authenticator = Authenticator(SITE)
        options = begin_sign_up(office, SITE, VISIT, f"Person {number}")
        done = finish_sign_up(office, SITE, VISIT, authenticator.create(options))
        with office.people.write() as connection:
            connection.execute("DELETE FROM throttle")
    office.people.close()
    return done.codes[0], done.token


def read_rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows, in an order that both kinds of database agree on."""
    with open_people(Home(path)).store as store, store.read() as connection:
        found = {}
        for table in people.sorted_tables:
            rows = connection.execute(f"SELECT * FROM {table.name}").fetchall()
            cells = [tuple(bytes(cell) if isinstance(cell, memoryview) else cell for cell in row) for row in rows]
            found[table.name] = sorted(cells, key=repr)
        return found


def test_backup__holds_accounts_and_a_restored_copy_no_session(node: TestNode, tmp_path: Path) -> None:
    code, token = fill(node, 3)
    office = open_test_office(node.path)
    with office.people.write() as connection:
        # Whoever has the token of a frame would get in with it to every copy.
        connection.execute(
            "INSERT INTO app_view (id, digest, account, chain, epoch, member, origin, created_ms, until_ms)"
            " VALUES (?, ?, ?, ?, 0, ?, 'https://app.example', 1, ?)",
            (bytes(16), bytes(32), bytes(16), bytes(16), bytes(16), START_MS * 2),
        )
    office.people.close()
    before = read_rows(node.path)
    assert len(before["app_view"]) == 1
    (tmp_path / "backups").mkdir()
    file = tmp_path / "backups" / "b"
    take_backup(Home(node.path), file, SEALER, now=START_MS + 10**9, random_bytes=node.dice)
    copy = tmp_path / "copy"
    restore_backup(file, Home(copy), OPENER, now=START_MS + 10**9)
    after = read_rows(copy)
    assert after["session"] == after["app_view"] == []
    for name in before:
        if name not in ("session", "ceremony", "app_view"):
            assert after[name] == before[name], name
    assert (copy / FILE).stat().st_mode & 0o777 == 0o600
    office = open_test_office(copy)
    assert find_principal(office, token) is None
    assert recover(office, VISIT, code).account.name == "Person 2"
    office.people.close()
    assert [path.name for path in node.path.iterdir() if "copy" in path.name] == []


def test_backup__of_what_waits_to_be_told_a_restored_copy_tells_nothing(node: TestNode, tmp_path: Path) -> None:
    """A drill beside the node it was taken of must not call anybody."""
    fill(node)
    office, now = open_test_office(node.path), START_MS + 10**9
    member = node.operator.id
    endpoint = add_endpoint(office, OPERATOR, member, "https://hooks.example.org/", reach=Reach())
    with office.people.write() as connection:
        insert_message(connection, b"m" * 16, endpoint, "file.done", b"{}", now, next_ms=now)
    office.people.close()
    (tmp_path / "backups").mkdir()
    file = tmp_path / "backups" / "b"
    take_backup(Home(node.path), file, SEALER, now=now, random_bytes=node.dice)
    restore_backup(file, Home(tmp_path / "copy"), OPENER, now=now)
    for path, state in ((node.path, "waiting"), (tmp_path / "copy", "dead")):
        office = open_test_office(path)
        assert [one.state for one in list_messages(office, OPERATOR, endpoint.public_id)[0]] == [state]
        with office.people.read() as connection:
            assert bool(list_due(connection, now + 1, ())) == (state == "waiting")
        office.people.close()


def test_backup__of_accounts_that_an_older_program_left_restores(node: TestNode, tmp_path: Path) -> None:
    """Who backs up before a newer program is first started gets what is there."""
    code, _ = fill(node, 3)
    with open_people(Home(node.path)).store as people, people.write() as connection:
        connection.execute("DROP TABLE api_calls")
        connection.execute("UPDATE people_version SET version_num = '0003'")
    (tmp_path / "backups").mkdir()
    file = tmp_path / "backups" / "b"
    if isinstance(Home(node.path).address, str):
        with pytest.raises(Refused, match="schema 0003") as caught:
            take_backup(Home(node.path), file, SEALER, now=START_MS, random_bytes=node.dice)
        assert caught.value.reason is Reason.NODE_DAMAGED
        return
    take_backup(Home(node.path), file, SEALER, now=START_MS, random_bytes=node.dice)
    restore_backup(file, Home(tmp_path / "copy"), OPENER, now=START_MS)
    office = open_test_office(tmp_path / "copy")
    assert recover(office, VISIT, code).account.name == "Person 2"
    with office.people.read() as connection:
        assert connection.execute("SELECT count(*) FROM api_calls").fetchone()[0] == 0
    office.people.close()


def test_backup__of_a_home_without_accounts_restores(node: TestNode, tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    file = tmp_path / "backups" / "b"
    take_backup(Home(node.path), file, SEALER, now=START_MS, random_bytes=node.dice)
    restore_backup(file, Home(tmp_path / "copy"), OPENER, now=START_MS)
    office = open_test_office(tmp_path / "copy")
    assert list_accounts(office, OPERATOR) == []
    office.people.close()


def test_move__takes_accounts_there_and_back(tmp_path: Path, postgres: Cluster) -> None:
    node = make_node(tmp_path)
    # More rows than are inserted one by one: they are copied in bulk.
    code, token = fill(node, 12)
    with open_people(Home(node.path)).store as store, store.write() as connection:
        connection.execute(
            "INSERT INTO app_view (id, digest, account, chain, epoch, member, origin, created_ms, until_ms)"
            " VALUES (?, ?, ?, ?, 7, ?, 'https://app.example', 1, ?)",
            (bytes(16), bytes(32), bytes(16), bytes(16), b"m" * 16, START_MS * 2),
        )
    before = read_rows(node.path)
    home = Home(node.path)
    move_store(home, postgres.make_url(), clock=node.clock, random_bytes=node.dice, command="a test")
    assert not (node.path / FILE).exists()
    assert len(list(node.path.glob(f"{FILE}.moved-1"))) == 1
    assert read_rows(node.path) == before
    office = open_test_office(node.path)
    assert find_principal(office, token) is not None
    office.people.close()
    with pytest.raises(Refused) as refused:
        move_store(home, home.address, clock=node.clock, random_bytes=node.dice)  # type: ignore[arg-type]
    assert refused.value.reason is Reason.NODE_EXISTS
    move_store(home, None, clock=node.clock, random_bytes=node.dice, command="a test")
    assert not (node.path / MOVING).exists()
    after = read_rows(node.path)
    assert {name: rows for name, rows in after.items() if name != "session"} == {
        name: rows for name, rows in before.items() if name != "session"
    }
    office = open_test_office(node.path)
    assert recover(office, VISIT, code).account.name == "Person 11"
    office.people.close()
    node.close()


def test_move__what_is_written_while_it_runs_arrives_or_is_refused(tmp_path: Path, postgres: Cluster) -> None:
    """A command writes without the writer's lock: there and back, by each way of writing, all the time."""
    node = make_node(tmp_path)
    fill(node)
    home = Home(node.path)

    def move(target: str | None) -> None:
        move_store(home, target, clock=node.clock, random_bytes=node.dice, command="a test")

    for number, target in enumerate((postgres.make_url(), None, postgres.make_url())):
        old = open_people(home).store
        acknowledged: list[bytes] = []
        refused: list[Refused] = []
        writing = [
            threading.Thread(target=write_until_refused, args=(way, bytes((number, kind)), acknowledged, refused))
            for kind, way in enumerate((old.write, old.change, old.note))
        ]
        for thread in writing:
            thread.start()
        move(target)
        for thread in writing:
            thread.join(20)
        assert [one.reason for one in refused] == [Reason.STORE_MOVED] * 3
        assert len(acknowledged) > 3
        assert old.is_moved()
        old.close()
        with open_people(home).store as new, new.read() as connection:
            found = {bytes(row[0]) for row in connection.execute("SELECT digest FROM seen_once").fetchall()}
            assert set(acknowledged) <= found
            assert not new.is_moved()


def write_until_refused(
    way: Callable[[], AbstractContextManager[Connection]], start: bytes, acknowledged: list[bytes], ends: list[Refused]
) -> None:
    try:
        for number in range(100_000):
            row = start + number.to_bytes(4, "big")
            with way() as connection:
                connection.execute("INSERT INTO seen_once VALUES (?, ?)", (row, START_MS))
            acknowledged.append(row)
            time.sleep(0.002)
    except Refused as refused:
        ends.append(refused)


def test_move__killed_after_its_mark_takes_what_people_wrote_since(tmp_path: Path, postgres: Cluster) -> None:
    """What a kill leaves between both marks, made by hand from a whole move: that of people's store is missing."""
    node = make_node(tmp_path)
    fill(node)
    home, url = Home(node.path), postgres.make_url()

    def move(target: str | None) -> Moved:
        return move_store(home, target, clock=node.clock, random_bytes=node.dice, command="a test")

    def check_is_finished(target: str | None) -> None:
        row = f"to {target}".encode()
        with open_people(home).store as people, people.write() as connection:
            connection.execute("INSERT INTO seen_once VALUES (?, ?)", (row, START_MS))
        moved = move(target)
        assert moved.rows is None
        with open_people(home).store as people, people.read() as connection:
            found = connection.execute("SELECT count(*) FROM seen_once WHERE digest = ?", (row,)).fetchone()
            assert found[0] == 1
        node.open().close()

    move(url)
    change_behind(node, "UPDATE writer SET state = 'filling'")
    home.store_url.unlink()
    (node.path / "node.db.moved-1").rename(home.store)
    (node.path / f"{FILE}.moved-1").rename(node.path / FILE)
    with open_address(node.path / FILE) as old:
        assert is_moved(old.connection)
    with closing(make_engine(node.path / FILE, "rw").raw_connection()) as file:
        file.cursor().execute("PRAGMA user_version = 0")
    check_is_finished(url)
    move(None)
    change_behind(node, "UPDATE writer SET state = 'filling'")
    home.store.rename(home.moving)
    (node.path / FILE).rename(node.path / MOVING)
    home.store_url.write_text(url)
    with psycopg.connect(url) as connection:
        connection.execute("COMMENT ON TABLE people_version IS NULL")
    check_is_finished(None)
    node.close()


def test_open_people__while_a_move_ends_opens_where_they_are(tmp_path: Path, postgres: Cluster) -> None:
    """The address was read, and is another before the store is opened: nothing is written into a new, empty file."""
    node = make_node(tmp_path)
    fill(node)
    before = read_rows(node.path)
    url = postgres.make_url()

    class Late(Home):
        """A home in which a move ends after the first look at its address."""

        looks = 0

        @property
        def address(self) -> Path | str:
            found = Home(self.path).address
            Late.looks += 1
            if Late.looks == 1:
                move_store(Home(self.path), url, clock=node.clock, random_bytes=node.dice, command="a test")
            return found

    with open_people(Late(node.path)).store as people, people.read() as connection:
        assert connection.execute("SELECT count(*) FROM account").fetchone()[0] == len(before["account"])
        assert not connection.is_file
    node.close()
