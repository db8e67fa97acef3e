"""The second filter of a store in PostgreSQL: what each office sees under the policies, and what an administrator has
to run where the node may not make the readers' role itself. Design: security 14; ADR 20."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

import carnet
from carnet.errors import Reason, Refused
from carnet.node.backup.envelope import Passphrase
from carnet.node.backup.restore import restore_backup
from carnet.node.backup.take import take_backup
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.moving import move_store
from carnet.node.reader import Reader
from carnet.node.readers import Readers
from carnet.services.asking import asking_as
from carnet.services.console.book import list_own
from carnet.services.doctor import examine
from carnet.services.guarding import check_guard, set_up_guard
from carnet.services.principals import Principal, Role, Standing
from carnet.types import Basis
from carnet.vault import guarding
from carnet.vault.asker import NOBODY, NODE, Asker, Office, asking_for
from carnet.vault.guarding import find_guard
from carnet.vault.people.store import open_people_store, remove_people
from carnet.vault.postgres import PostgresConnection, connect, drop_tables
from carnet.vault.store import PostgresError
from carnet.vault.tables import metadata
from tests.node.home import TestNode, make_item, make_node, more, new_passport, reading, vin_subject
from tests.postgres import Cluster

DOCS = Path(__file__).parents[2] / "docs"
SOURCE = Path(carnet.__file__).parent
HOLDER, OTHER = Asker(Office.HOLDER, account=b"h" * 16), Asker(Office.HOLDER, account=b"o" * 16)


@dataclass
class Guarded:
    """A node in a database under its policies, with a passport in which the operator and a garage wrote."""

    node: TestNode
    url: str
    passport: bytes
    garage: bytes

    def read(self) -> Reader:
        home = Home(self.node.path)
        return Reader(home, load_key_ring(home.keys, None), is_guarded=True)

    def connect(self) -> PostgresConnection:
        return connect(self.url, is_read_only=True, is_guarded=True)

    def sees(self, asker: Asker) -> bool:
        """Whether the database gives out the passport's key, and the reader contents: both, or neither; to a member
        those of its own entries."""
        with closing(self.connect()) as connection, self.read() as reader, asking_for(asker):
            keys = connection.execute("SELECT count(*) FROM passport_key").fetchone()[0]
            reader.refresh()
            if keys:
                is_member = asker.office is Office.MEMBER
                for entry in reader.read_entries(self.passport):
                    assert bool(entry.fields) is (not is_member or entry.seq == 0 or entry.member == asker.member)
            else:
                with pytest.raises(Refused) as caught:
                    list(reader.read_entries(self.passport))
                assert caught.value.reason is Reason.UNKNOWN_PASSPORT
            return bool(keys)

    def hold(self, asker: Asker, *, epoch: int = 0, until: int | None = None) -> None:
        with open_people_store(self.url) as people, people.write() as connection:
            connection.execute("DELETE FROM holding")
            connection.execute(
                "INSERT INTO holding (id, chain, epoch, account, how, since_ms, until_ms) VALUES (?,?,?,?,?,?,?)",
                (bytes(16), self.passport, epoch, asker.account, "claim", 1, until),
            )


@pytest.fixture
def guarded(tmp_path: Path, postgres: Cluster) -> Iterator[Guarded]:
    url = postgres.make_url()
    node = make_node(tmp_path, store_url=url)
    with node.open() as writer:
        garage = writer.enrol_member("The garage", "garage").id
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(1, 10)])
        item = reading(vin_subject(1), 20)
        writer.append(garage, Basis.HOSTED, [more(writer.find_chain(vin_subject(1)), item)])
    guard = set_up_guard(Home(node.path))
    assert guard is not None
    assert guard.is_on
    with node.read() as reader:
        passport = reader.find_subject(vin_subject(1))
    assert passport is not None
    yield Guarded(node, url, passport, garage)
    node.check()


def test_key__is_seen_by_the_node_by_its_holder_and_by_whoever_wrote_in_the_passport(guarded: Guarded) -> None:
    operator = guarded.node.operator.id
    assert guarded.sees(NODE)
    assert guarded.sees(Asker(Office.MEMBER, member=guarded.garage))
    assert guarded.sees(Asker(Office.MEMBER, b"s" * 16, operator))
    guarded.hold(HOLDER)
    assert guarded.sees(HOLDER)


@pytest.mark.parametrize("asker", [NOBODY, HOLDER, Asker(Office.MEMBER, member=b"m" * 16), Asker(Office.MEMBER),
                                   Asker(Office.HOLDER), Asker(Office.OPERATOR, account=b"h" * 16)])  # fmt: skip
def test_key__is_seen_by_nobody_else(guarded: Guarded, asker: Asker) -> None:
    guarded.hold(OTHER)
    assert not guarded.sees(asker)


def test_key__of_a_member_as_a_holder_opens_nothing(guarded: Guarded) -> None:
    """An office counts with its own id alone."""
    guarded.hold(HOLDER)
    assert not guarded.sees(Asker(Office.HOLDER, account=guarded.garage, member=guarded.garage))
    assert not guarded.sees(Asker(Office.MEMBER, account=HOLDER.account, member=HOLDER.account))


def test_key__is_lost_with_the_holding(guarded: Guarded) -> None:
    guarded.hold(HOLDER, until=5)
    assert not guarded.sees(HOLDER)
    guarded.hold(HOLDER, epoch=1)
    assert not guarded.sees(HOLDER)


def test_key__of_what_was_written_for_the_holder_alone_is_not_its_writers(tmp_path: Path, guarded: Guarded) -> None:
    """Basis 4 is the holder's own word, whoever's name stands under it."""
    with psycopg.connect(guarded.url, autocommit=True) as owner:
        owner.execute("UPDATE entry SET basis = 4 WHERE seq = 2")
    garage = Principal(Standing.STAFF, member=guarded.garage, role=Role.CLERK)
    try:
        assert not guarded.sees(Asker(Office.MEMBER, member=guarded.garage))
        # The page of the member's own entries is shown without it.
        with guarded.read() as reader, asking_as(garage):
            reader.refresh()
            assert list_own(reader, garage).entries == []
    finally:
        with psycopg.connect(guarded.url, autocommit=True) as owner:
            owner.execute("UPDATE entry SET basis = 2 WHERE seq = 2")


def test_contents__are_of_whoever_wrote_them_of_whom_they_contest_and_of_the_holder(guarded: Guarded) -> None:
    """The opening, one reading of the operator's, one of the garage's, and the operator's objection to that."""
    node, operator = guarded.node, guarded.node.operator.id
    with node.open() as writer, node.read() as reader:
        chain = writer.find_chain(vin_subject(1))
        aimed = list(reader.read_entries(guarded.passport))[2].sid
        objection = make_item("passport.contested/1", vin_subject(1), mark=2, target=aimed, reason="wrong_value")
        assert writer.append(operator, Basis.HOSTED, [more(chain, objection)]).receipts
        writer.append(operator, Basis.REPORTED, [more(chain, reading(vin_subject(1), 30))])
    guarded.hold(HOLDER)

    def list_open(asker: Asker, reader: Reader) -> list[int]:
        with asking_for(asker):
            reader.refresh()
            # What stands in the rows, whatever the application asks to be opened; a proof is made from the same rows.
            stored = reader._history(guarded.passport).rows
            rows = [at for at, row in enumerate(stored) if row.content is not None]
            assert [one.seq for one in reader.read_entries(guarded.passport) if one.fields] == rows
            return rows

    garage = Asker(Office.MEMBER, member=guarded.garage)
    wanted = {HOLDER: [0, 1, 2, 3, 4], garage: [0, 2, 3], Asker(Office.MEMBER, member=operator): [0, 1, 3, 4]}
    with guarded.read() as reader:
        for _ in range(2):
            assert {asker: list_open(asker, reader) for asker in wanted} == wanted
    refused = pytest.raises(PostgresError, match="permission denied")
    with closing(guarded.connect()) as connection, asking_for(garage), refused:
        connection.execute("SELECT content FROM (TABLE entry) AS entries")
    with psycopg.connect(guarded.url, autocommit=True) as owner:
        columns = ", ".join(f'entry."{one.name}"' for one in metadata.tables["entry"].columns)
        owner.execute(f"CREATE OR REPLACE VIEW {guarding.ENTRIES} AS SELECT {columns} FROM entry".encode())
    with guarded.read() as reader:
        assert list_open(garage, reader) == [0, 1, 2, 3, 4], "it is the view that keeps them back"


def test_reader__of_one_caller_keeps_nothing_for_the_next(guarded: Guarded) -> None:
    """The same reader, the same connection, nothing written in between."""
    readers = Readers(guarded.read)
    guarded.hold(HOLDER)
    with asking_for(HOLDER), readers.reading() as reader:
        assert reader.get_subject(guarded.passport)
        first = reader
    for asker in (OTHER, NOBODY):
        with asking_for(asker), readers.reading() as reader:
            assert reader is first
            with pytest.raises(Refused):
                reader.get_subject(guarded.passport)
            with pytest.raises(Refused):
                reader.get_links(guarded.passport)
    readers.close()


def test_connection__says_who_asks_anew_for_each_and_takes_it_back(guarded: Guarded) -> None:
    count = "SELECT count(*) FROM passport_key"
    with closing(guarded.connect()) as connection:
        with asking_for(NODE):
            assert connection.execute(count).fetchone()[0] == 1
        assert connection.execute(count).fetchone()[0] == 0
        with asking_for(NODE):
            connection.begin_read()
        # Whoever goes on with another's transaction is not they.
        assert connection.execute(count).fetchone()[0] == 0
        with asking_for(NODE):
            assert connection.execute(count).fetchone()[0] == 1
        connection.rollback()
        assert connection.execute(count).fetchone()[0] == 0
        with asking_for(NODE):
            connection.begin_read()
            assert len(list(connection.stream("SELECT chain FROM passport_key"))) == 1
            connection.commit()
        assert connection.execute("SELECT current_setting('carnet.office', true)").fetchone()[0] == ""


def test_asker__goes_along_into_the_threads_of_a_request_and_into_no_other(guarded: Guarded) -> None:
    seen: list[bool] = []

    def look() -> None:
        with closing(guarded.connect()) as connection:
            seen.append(bool(connection.execute("SELECT count(*) FROM passport_key").fetchone()[0]))

    async def serve(asker: Asker) -> None:
        with asking_for(asker):
            await asyncio.sleep(0)
            await asyncio.to_thread(look)

    async def serve_both() -> None:
        await asyncio.gather(serve(NODE), serve(OTHER))

    with asyncio.Runner() as runner:
        runner.run(serve_both())
    assert sorted(seen) == [False, True]
    with asking_for(NODE):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen[2] is False


def test_reader__may_write_nothing_of_the_node(guarded: Guarded) -> None:
    with closing(connect(guarded.url, is_read_only=False, is_guarded=True)) as connection, asking_for(NODE):
        for statement in ("DELETE FROM passport_key", "UPDATE entry SET basis = 1", "DELETE FROM submission"):
            with pytest.raises(PostgresError, match="permission denied"):
                connection.execute(statement)


def test_writer__is_under_no_policy_and_goes_on(guarded: Guarded) -> None:
    with guarded.node.open() as writer:
        writer.append(guarded.node.operator.id, Basis.REPORTED, [new_passport(n, 10, 20) for n in range(2, 60)])
        writer.erase(guarded.passport, None, "holder_request")
        writer.take_census()
    assert not guarded.sees(Asker(Office.MEMBER, member=guarded.garage))


def test_guarded_store__is_backed_up_moved_and_removed_as_any_other(
    guarded: Guarded, tmp_path: Path, postgres: Cluster
) -> None:
    """The policies go along nowhere: a new place gets its own when the node is served from there."""
    node, home = guarded.node, Home(guarded.node.path)
    guarded.hold(HOLDER)
    take_backup(home, tmp_path / "b", Passphrase("x"), now=node.clock(), random_bytes=node.dice)
    restore_backup(tmp_path / "b", Home(tmp_path / "copy"), Passphrase("x"), now=node.clock())
    for target in (None, postgres.make_url()):
        move_store(home, target, clock=node.clock, random_bytes=node.dice, command="a test")
        node.check()
    found = check_guard(home)
    assert found is not None
    assert found.level == "warning"
    guard = set_up_guard(home)
    assert guard is not None
    assert guard.is_on
    assert replace(guarded, url=str(home.address)).sees(HOLDER)
    with closing(connect(guarded.url, is_read_only=False)) as left:
        remove_people(guarded.url)
        drop_tables(left)
        for what in ("policies", "views"):
            query = f"SELECT count(*) FROM pg_{what} WHERE schemaname = current_schema()"
            assert left.execute(query).fetchone()[0] == 0


def test_set_guard__is_for_each_version_of_a_policy(guarded: Guarded) -> None:
    home = Home(guarded.node.path)
    with psycopg.connect(guarded.url, autocommit=True) as owner:
        for statement in (
            f"COMMENT ON POLICY {guarding.NAME} ON passport_key IS 'of an older program'",
            f"DROP POLICY {guarding.NAME} ON passport_key",
            "ALTER TABLE passport_key DISABLE ROW LEVEL SECURITY",
        ):
            owner.execute(statement.encode())
            found = check_guard(home)
            assert found is not None
            assert found.level == "warning"
            guard = set_up_guard(home)
            assert guard is not None
            assert guard.is_on
    assert not guarded.sees(NOBODY)


def test_set_guard__refused_store_busy__while_others_keep_a_table(guarded: Guarded) -> None:
    with psycopg.connect(guarded.url) as other, psycopg.connect(guarded.url, autocommit=True) as owner:
        owner.execute(f"DROP POLICY {guarding.NAME} ON passport_key".encode())
        other.execute("SELECT count(*) FROM passport_key")
        with pytest.raises(Refused) as caught:
            set_up_guard(Home(guarded.node.path))
        assert caught.value.reason is Reason.STORE_BUSY
    # What it did not get done, it has not done by half.
    garage = Asker(Office.MEMBER, member=guarded.garage)
    assert not guarded.sees(garage)
    guard = set_up_guard(Home(guarded.node.path))
    assert guard is not None
    assert guard.is_on
    assert guarded.sees(garage)


# ---- where the node itself is asked for


def test_asking_as_node__is_said_in_these_places_alone() -> None:
    """Each of them sees rows that its caller may not see; one more is to be thought about."""
    found = Counter[str]()
    for path in SOURCE.rglob("*.py"):
        found[path.relative_to(SOURCE).as_posix()] += path.read_text(encoding="utf-8").count("with asking_as_node()")
    assert +found == {
        "services/appending.py": 1,
        "services/claims.py": 1,
        "services/console/signing.py": 1,
        "services/journaling.py": 3,
        "services/sandbox.py": 1,
    }


def test_look_up__is_said_in_these_places_alone() -> None:
    """The same of people's rows: what decides about a caller, and is not shown to them."""
    found = Counter[str]()
    for path in (SOURCE / "services").rglob("*.py"):
        found[path.relative_to(SOURCE).as_posix()] += path.read_text(encoding="utf-8").count("people.look_up()")
    assert +found == {
        "services/accounts/clients.py": 1,
        "services/accounts/demo_links.py": 1,
        "services/accounts/oauth.py": 1,
        "services/accounts/passkeys.py": 2,
        "services/accounts/sessions.py": 1,
        "services/app_views.py": 1,
        "services/claims.py": 1,
        "services/holdings.py": 1,
        "services/quotas.py": 1,
        "services/webhooks/watching.py": 1,
    }


# ---- an owner that has no other right


def test_guard__is_off_until_an_administrator_has_run_what_the_page_says(
    tmp_path: Path, plain_url: str, postgres: Cluster
) -> None:
    node = make_node(tmp_path, store_url=plain_url)
    home = Home(node.path)
    with node.open() as writer:
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(1, 10)])
        writer.take_census()
    guard = set_up_guard(home)
    assert guard is not None
    assert not guard.is_on
    with pytest.raises(Refused) as caught:
        connect(plain_url, is_read_only=True, is_guarded=True)
    assert caught.value.reason is Reason.STORE_UNREACHABLE
    page = (DOCS / "postgresql.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"```sql\n(CREATE ROLE .*?)```", page, re.DOTALL)
    told = told.replace("carnet", "plain")
    assert told.split("\n")[:-1] == guard.list_statements()
    (found,) = [one for one in examine(home) if one.check == "rows"]
    assert found.level == "warning"
    assert " ".join(guard.list_statements()) in (found.todo or "")
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        for statement in guard.list_statements():
            admin.execute(statement.encode())
    assert "start `carnet serve`" in (check_guard(home) or found).todo  # type: ignore[operator]
    guard = set_up_guard(home)
    assert guard is not None
    assert guard.is_on
    (found,) = [one for one in examine(home) if one.check == "rows"]
    assert (found.level, "plain_reader" in found.said) == ("ok", True)
    with closing(connect(plain_url, is_read_only=True, is_guarded=True)) as connection:
        assert connection.execute("SELECT current_user::text").fetchone()[0] == "plain_reader"
        assert connection.execute("SELECT count(*) FROM passport_key").fetchone()[0] == 0
        with asking_for(NODE):
            assert connection.execute("SELECT count(*) FROM passport_key").fetchone()[0] == 1
    node.check()


def test_guard__of_a_database_without_people_is_not_current(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.make_url()
    make_node(tmp_path, store_url=url)
    with closing(connect(url, is_read_only=True)) as connection:
        assert not find_guard(connection).is_on
