"""PostgreSQL as the store: the connection behind the same seam as SQLite's, and how it must be set to keep what it
acknowledged.

It translates parameters, copies rows in bulk, and turns the driver's errors into one of ours. A connection that is lost
is lost: it is never made again behind the back of a transaction. It refuses to know what is in the tables.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateColumn

from carnet.encoding import sha256
from carnet.errors import Reason, Refused
from carnet.vault.asker import NOBODY, NODE, Asker, get_asker, write_settings
from carnet.vault.bulk import ARRAY_OIDS, pack_lists, plan_copy, plan_update, plan_upsert, turn_rows
from carnet.vault.guarding import ENTRIES, NAME_ROLE, drop_guard
from carnet.vault.store import PostgresError, migrate
from carnet.vault.tables import metadata
from carnet.vault.wire import Wire

MINIMUM_VERSION: Final = 14
"""The oldest server that is tested is 15; 14 is the oldest that its makers still mend."""

COPY_ROWS: Final = 32
"""From so many rows on, COPY is quicker than inserting them: it takes two more questions to the server."""

STREAM_ROWS: Final = 2000
LOST: Final = (
    "the connection to the database was lost. What was acknowledged is there; whether the last request is, shows when"
    " it is made again"
)
CONNECT_TIMEOUT_S: Final = 10

UNLOCK_PATIENCE_S: Final = 5
"""How long a session that is closed waits for its lock to be given back."""

# A commit is on the disk before it is acknowledged, whatever the server's own default; a reader may stay at its moment;
# the session of a machine that is gone ends within a minute, and its lock with it.
_SETTINGS: Final = """
SET synchronous_commit = on; SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0; SET jit = off;
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3
"""

# A plan that reads by index suits any values: it is made once for each statement.
_PREFER_INDEXES: Final = """
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SET plan_cache_mode = force_generic_plan
"""

_FIND_HOLDER: Final = """
SELECT pg_locks.pid, coalesce(application_name, '') FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint = ? AND objid::bigint = ?
AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_FIND_READERS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL
"""

_PARAMETER: Final = re.compile(r"\?|(?<!:):([a-z_0-9]+)")
_ENTRIES: Final = re.compile(r"\b(FROM|JOIN) entry\b( AS \w+)?")
_TYPES: Final = {"SERIAL": "BIGINT", "INTEGER": "BIGINT", "BLOB": "BYTEA"}


class PostgresConnection:
    """See `carnet.vault.store.Connection`."""

    is_file = False

    def __init__(self, driver: psycopg.Connection[Any], *, is_guarded: bool = False) -> None:
        """`is_guarded`: it asks under the policies of `vault.guarding`, for whomever `vault.asker` names."""
        self.driver, self.is_guarded = driver, is_guarded
        self._streams = 0
        self._has_lock = False
        self._wire = Wire(driver)
        # Whether all is asked over it, with plans that are kept; and whether what is written waits for more.
        self._keeps_plans = self._is_together = False
        self.asks_as_node = False
        # For whom the server was told that is asked: in this session, and in this transaction alone.
        self._session, self._transaction = NOBODY, NOBODY

    def close(self) -> None:
        """End the session, and with it its locks; idempotent."""
        if self._has_lock and not self.in_transaction:
            self._unlock()
        self._has_lock = False
        self.driver.close()

    def _unlock(self) -> None:
        """The server ends a session a moment later than it is closed: whoever came next would be refused meanwhile. One
        that says nothing is not waited for: the driver's own way would be, without end."""
        with suppress(psycopg.Error):
            self.driver.pgconn.send_query(b"SELECT pg_advisory_unlock_all()")
            answer = select.poll()
            answer.register(self.driver.fileno(), select.POLLIN)
            answer.poll(UNLOCK_PATIENCE_S * 1_000)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; also after the connection was lost within one."""
        return self._wire.waiting_count > 0 or self.driver.info.transaction_status is not TransactionStatus.IDLE

    @property
    def is_lost(self) -> bool:
        """See `Connection`."""
        return self.driver.closed

    def is_usable(self) -> bool:
        """See `Connection`. A server that ends a session says so, or closes it: then there is something to read."""
        if self.driver.closed or self.in_transaction:
            return False
        look = select.poll()
        look.register(self.driver.fileno(), select.POLLIN)
        if not look.poll(0):
            return True
        try:
            # It may as well be a notice.
            self.execute("SELECT 1")
        except PostgresError:
            return False
        return True

    def execute(self, statement: str, parameters: Any = (), /) -> Any:
        """All rows are read at once."""
        self._say_who_asks()
        return self._execute(statement, parameters)

    def _execute(self, statement: str, parameters: Any = ()) -> Any:
        if self._keeps_plans and not isinstance(parameters, dict):
            with self._own_errors():
                if not self._is_together:
                    return self._wire.ask(self._translate(statement), parameters)
                return self._wire.put(self._translate(statement), parameters)
        self._send()
        # Of arrays the server must see the length each time: a plan that was kept from a small table reads all of it.
        has_lists = any(type(one) is list for one in parameters)
        is_kept = False if has_lists else None
        if has_lists:
            parameters = pack_lists(parameters)
        with self._own_errors():
            return self.driver.execute(self._translate(statement), parameters, prepare=is_kept, binary=True)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            lost = f"{LOST}: " if self.driver.closed else ""
            raise PostgresError(lost + _first_line(error)) from error

    def _send(self) -> None:
        """What waits goes before what is asked in another way."""
        if self._wire.waiting_count:
            with self._own_errors():
                self._wire.send()

    def _translate(self, statement: str) -> bytes:
        return translate(statement, is_guarded=self.is_guarded)

    def write(self, statement: str, parameters: Any = (), /) -> None:
        """See `Connection`."""
        if not (self._keeps_plans and self.in_transaction):
            self.execute(statement, parameters)
            return
        with self._own_errors():
            self._wire.put(self._translate(statement), parameters)

    def executemany(self, statement: str, rows: Iterable[Any], /) -> None:
        """Sent together, answered together."""
        self._say_who_asks()
        rows = list(rows)
        if not rows:
            return
        with self._own_errors():
            if self._keeps_plans:
                for row in rows:
                    self._wire.put(self._translate(statement), row)
                self._send_unless_together()
                return
            self._send()
            with self.driver.cursor(binary=True) as cursor:
                cursor.executemany(self._translate(statement), rows)

    def insert_many(self, statement: str, rows: Sequence[Any], /) -> None:
        """COPY in binary where there are many rows; what the statement says is NULL is left out of the columns."""
        if len(rows) < COPY_ROWS:
            self.executemany(statement, rows)
            return
        self._copy(rows, plan_copy(statement))

    def insert_in_order(self, parts: Sequence[tuple[str, Sequence[Any]]], /) -> None:
        """One COPY: a key that comes after all that are there costs the server least."""
        if sum(len(rows) for _, rows in parts) < COPY_ROWS:
            for statement, rows in parts:
                self.executemany(statement, rows)
            return
        self._copy(sorted(chain.from_iterable(rows for _, rows in parts)), plan_copy(*(one for one, _ in parts)))

    def _copy(self, rows: Sequence[Any], plan: tuple[bytes, dict[int, bytes]]) -> None:
        self._say_who_asks()
        copying, layouts = plan
        with self._own_errors():
            self._wire.put_copy(copying, rows, layouts)
            self._send_unless_together()

    def upsert_many(self, statement: str, rows: Sequence[Any], /) -> None:
        """A statement for some thousands of rows, which go as one array for each column."""
        self._write_arrays(plan_upsert(statement), rows)

    def update_many(self, statement: str, rows: Sequence[Any], /) -> None:
        """As `upsert_many`."""
        self._write_arrays(plan_update(statement), rows)

    def _write_arrays(self, plan: tuple[bytes, list[str]], rows: Sequence[Any]) -> None:
        self._say_who_asks()
        writing, types = plan
        with self._own_errors():
            for at in range(0, len(rows), STREAM_ROWS):
                columns = turn_rows(types, rows[at : at + STREAM_ROWS])
                if self._keeps_plans:
                    self._wire.put(writing, columns)
                    self._send_unless_together()
                else:
                    self.driver.execute(writing, columns, binary=True)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written waits until the end, and is then sent in few messages."""
        self._is_together = self._keeps_plans
        try:
            yield
        finally:
            self._is_together = False
        self._send()

    def _send_unless_together(self) -> None:
        if not self._is_together:
            self._wire.send()

    def stream(self, statement: str, parameters: Any = (), /) -> Iterator[Any]:
        """By a cursor of the server, a few thousand rows at once."""
        self._say_who_asks()
        self._send()
        self._streams += 1
        with self._own_errors(), self.driver.cursor(f"carnet_{self._streams}", binary=True) as cursor:
            cursor.itersize = STREAM_ROWS
            cursor.execute(self._translate(statement), parameters)
            yield from cursor

    def prefer_indexes(self) -> None:
        """See `Connection`."""
        with self._own_errors():
            self.driver.execute(_PREFER_INDEXES)
        self._keeps_plans = not self.is_guarded

    def begin_write(self) -> None:
        """READ COMMITTED: there is one writer, which the lock and its term see to."""
        self._begin("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")

    def begin_read(self) -> None:
        """One snapshot for all that follows."""
        self._begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def _begin(self, statement: str) -> None:
        if self._keeps_plans:
            # It goes with the first question: until then nothing depends on it.
            with self._own_errors():
                self._wire.put(statement.encode())
            return
        if not self.is_guarded:
            self._execute(statement)
            return
        # In one message: to say who asks costs no other question.
        asker = self._find_asker()
        with self._own_errors():
            self.driver.execute(f"{statement}; {write_settings(asker, 'LOCAL')}".encode(), prepare=False)
        self._transaction = asker

    def _say_who_asks(self) -> None:
        """Before each statement, if it is somebody else than before. What is said in a transaction ends with it."""
        if not self.is_guarded:
            return
        asker, is_within = self._find_asker(), self.in_transaction
        if asker == (self._transaction if is_within else self._session):
            return
        with self._own_errors():
            settings = write_settings(asker, "LOCAL" if is_within else "SESSION")
            self.driver.execute(settings.encode(), prepare=False)
        if is_within:
            self._transaction = asker
        else:
            self._session = asker

    def _find_asker(self) -> Asker:
        return NODE if self.asks_as_node else get_asker()

    def commit(self) -> None:
        """Raises PostgresError where the server rolled back instead: it answers so without an error if one statement
        had failed."""
        if self._wire.waiting_count == 1 and self.driver.info.transaction_status is TransactionStatus.IDLE:
            # Nothing came after the beginning, which the server was not told.
            self._wire.forget()
            return
        with self._own_errors():
            said = self._wire.say(b"COMMIT").statusmessage
        if said != "COMMIT":
            raise PostgresError(f"the server did not commit; it answered {said}")

    def rollback(self) -> None:
        """See `Connection`."""
        self._wire.forget()
        with self._own_errors():
            self._wire.say(b"ROLLBACK")

    def read_version(self) -> object:
        """See `Connection`."""
        return self.execute("SELECT pg_current_snapshot()::text").fetchone()[0]

    def lock_row(self, query: str, /) -> Any:
        """See `Connection`."""
        return self.execute(f"{query} FOR UPDATE").fetchone()

    def take_lock(self, name: str, holder: str) -> None:
        """An advisory lock of the session. Other sessions see in `pg_stat_activity` who has it."""
        key = int.from_bytes(sha256(f"carnet writer {name}".encode())[:8], "big", signed=True)
        self.execute("SELECT set_config('application_name', ?, false)", (f"carnet writer {holder}"[:63],))
        if self.execute("SELECT pg_try_advisory_lock(?)", (key,)).fetchone()[0]:
            self._has_lock = True
            return
        row = self.execute(_FIND_HOLDER, (key >> 32 & 0xFFFFFFFF, key & 0xFFFFFFFF)).fetchone()
        backend, said = (None, "an unknown process") if row is None else row
        pid, host, command = ([*said.removeprefix("carnet writer ").split(" ", 2), "", ""])[:3]
        raise Refused(
            Reason.WRITER_BUSY,
            f"process {pid} on {host or '?'} ({command or 'unknown'}) is writing to this database; wait for it, or stop"
            f" it. If it is gone for good: SELECT pg_terminate_backend({backend})",
            could_retry=True,
            pid=int(pid) if pid.isdigit() else None,
            host=host,
            command=command,
            backend=backend,
        )

    def rewrite_tables(self, tables: Sequence[str], patience_s: float) -> bool:
        """VACUUM FULL, which says how many deleted rows it had to keep because someone still sees them."""
        deadline = time.monotonic() + patience_s
        while self.execute(_FIND_READERS).fetchone()[0]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        kept: list[int] = []

        def note(said: psycopg.errors.Diagnostic) -> None:
            found = re.search(r"\d+", said.message_detail or "")
            if found:
                kept.append(int(found[0]))

        self.driver.add_notice_handler(note)
        try:
            with self._own_errors():
                self.driver.execute(f"SET lock_timeout = {max(1, int(patience_s * 1000))}".encode())
                for table in tables:
                    self.driver.execute(f'VACUUM (FULL, VERBOSE) "{table}"'.encode())
        except PostgresError as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                return False
            raise
        finally:
            self.driver.remove_notice_handler(note)
            if not self.driver.closed:
                with self._own_errors():
                    self.driver.execute("SET lock_timeout = 0")
        # Without an answer for each table nobody knows what is left.
        return len(kept) >= len(tables) and not any(kept)

    def settle(self) -> None:
        """See `Connection`: the planner counts what there is."""
        self.execute("ANALYZE " + ", ".join(f'"{name}"' for name in metadata.tables))

    def measure_bytes(self) -> int:
        """See `Connection`."""
        query = "SELECT sum(pg_total_relation_size(to_regclass(?)))"
        return sum(int(self.execute(query, (f'"{name}"',)).fetchone()[0] or 0) for name in metadata.tables)

    def find_damage(self) -> list[str]:
        """PostgreSQL has no check of its own that anybody may run; each value is compared anyway."""
        return []


class _ArrayDumper(psycopg.adapt.Dumper):
    """For arrays that are packed already (`vault.bulk`)."""

    format = psycopg.pq.Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        """As it is."""
        return obj


def connect(url: str, *, is_read_only: bool, is_guarded: bool = False) -> PostgresConnection:
    """A session of the database at `url`, ready to read, or to write durably; with `is_guarded` as the readers' role,
    under the policies of `vault.guarding`.

    Raises Refused STORE_UNREACHABLE (no answer, wrong password, no such database, no readers' role), VALUE_OUT_OF_RANGE
    for a URL that is none, and NODE_DAMAGED for a server that would lose what it acknowledged or is too old.
    """
    try:
        chosen = conninfo_to_dict(url)
        timeout = int(chosen.get("connect_timeout") or CONNECT_TIMEOUT_S)
        driver = psycopg.connect(
            url, autocommit=True, client_encoding="UTF8", application_name="carnet", connect_timeout=timeout
        )
    except psycopg.ProgrammingError as error:
        # The driver repeats the URL, which may hold a password: its words are not shown.
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE, "that is no URL of a database: postgresql://USER@HOST:PORT/DATABASE"
        ) from error
    except psycopg.OperationalError as error:
        raise Refused(
            Reason.STORE_UNREACHABLE,
            f"the database {describe_url(url)} cannot be opened: {_first_line(error)}",
            could_retry=True,
            store=describe_url(url),
        ) from error
    for array, oid in ARRAY_OIDS.items():
        driver.adapters.register_dumper(array, type("ArrayDumper", (_ArrayDumper,), {"oid": oid}))
    connection = PostgresConnection(driver, is_guarded=is_guarded)
    try:
        _set_up(driver, is_read_only=is_read_only)
        if is_guarded:
            _become_reader(driver, url)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(driver: psycopg.Connection[Any], *, is_read_only: bool) -> None:
    version = driver.info.server_version // 10_000
    if version < MINIMUM_VERSION:
        raise Refused(
            Reason.NODE_DAMAGED,
            f"the server is PostgreSQL {version}, and {MINIMUM_VERSION} or newer is asked for: upgrade it",
            version=version,
        )
    with _own_errors():
        driver.execute(_SETTINGS)
        if is_read_only:
            driver.execute("SET default_transaction_read_only = on")
            return
        row = driver.execute("SHOW fsync").fetchone()
    if row is None or row[0] != "on":
        raise Refused(
            Reason.NODE_DAMAGED,
            "the server runs with fsync off, and would lose what it acknowledged: turn it on, and start it again",
        )


def _become_reader(driver: psycopg.Connection[Any], url: str) -> None:
    try:
        driver.execute(f"SELECT set_config('role', {NAME_ROLE}, false)".encode())
    except psycopg.Error as error:
        raise Refused(
            Reason.STORE_UNREACHABLE,
            f"the database {describe_url(url)} has no role for readers any more: start the node again",
            could_retry=True,
            store=describe_url(url),
        ) from error


def describe_url(url: str) -> str:
    """A URL for people: who and where, and never its password."""
    try:
        said = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "postgresql://…"
    user = f"{said['user']}@" if said.get("user") else ""
    port = f":{said['port']}" if said.get("port") else ""
    service = f"service {said['service']}" if said.get("service") else ""
    return service or f"postgresql://{user}{said.get('host') or 'localhost'}{port}/{said.get('dbname') or ''}"


def read_version(connection: PostgresConnection) -> str | None:
    """The schema's version; None where the database, or the schema that the URL names, has no tables of ours."""
    if connection.execute("SELECT to_regclass('alembic_version') IS NULL").fetchone()[0]:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def upgrade_schema(connection: PostgresConnection, upgrade: Callable[[SqlConnection], None] = migrate) -> None:
    """Bring the schema up to the newest, from none at all if need be; `upgrade` takes the steps. Raises PostgresError
    where the server is lost meanwhile."""
    dsn = f"{connection.driver.info.dsn} password={_quote(connection.driver.info.password)}"
    # Over a session of its own: SQLAlchemy sets up what it is given in its own way.
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn, autocommit=True), poolclass=NullPool
    )
    try:
        with engine.connect() as migrating:
            upgrade(migrating)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.OperationalError):
            raise PostgresError(f"{LOST}: {_first_line(error.orig)}") from error
        raise
    finally:
        engine.dispose()


make_schema = upgrade_schema


def drop_tables(connection: PostgresConnection) -> None:
    """Remove all tables of ours, in one transaction."""
    connection.begin_write()
    drop_guard(connection)
    for name in (*(table.name for table in reversed(metadata.sorted_tables)), "alembic_version"):
        connection.execute(f'DROP TABLE IF EXISTS "{name}"')
    connection.commit()


@compiles(CreateColumn, "postgresql")
def _name_types(element: CreateColumn, compiler: Any, **options: Any) -> str:
    """The migrations speak of SQLite's types: integers of 64 bits without a sequence, and bytes."""
    name, _, rest = str(compiler.visit_create_column(element, **options)).partition(" ")
    return f"{name} {re.sub(r'^[A-Z]+', lambda found: _TYPES.get(found[0], found[0]), rest)}"


@lru_cache(1024)
def translate(statement: str, *, is_guarded: bool = False) -> bytes:
    """A statement as psycopg takes it: `%s` for `?`, `%(name)s` for `:name`; with `is_guarded` it asks for entries as
    readers see them. Where one is missed the server refuses, since they may not read the contents in the table."""
    if is_guarded:
        statement = _ENTRIES.sub(lambda found: f"{found[1]} {ENTRIES}{found[2] or ' AS entry'}", statement)
    return _PARAMETER.sub(lambda found: f"%({found[1]})s" if found[1] else "%s", statement.replace("%", "%%")).encode()


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise PostgresError(_first_line(error)) from error


def _first_line(error: psycopg.Error) -> str:
    """The server's first words: what follows may quote a row."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
