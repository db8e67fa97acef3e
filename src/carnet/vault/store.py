"""Opening the store, a SQLite file or a PostgreSQL database, and the one seam between both: `Connection`.

Here stands SQLite as it must be set to keep what it acknowledged; `vault.postgres` does the same for the other. Callers
write one SQL, with `?` and `:name` for parameters, that means the same to both. It refuses to know what is in the
tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol
from urllib.parse import quote

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy import Connection as SqlConnection
from sqlalchemy.pool import NullPool

from carnet.errors import Reason, Refused
from carnet.vault.disk import explain_closed, explain_disk_error, is_frozen, sync_directory

SCHEMA_VERSION: Final = "0007"
"""The newest migration in `migrations/versions`."""

PAGE_BYTES: Final = 4096
_LOCKED: Final = (5, 6)
"""SQLite's primary result codes BUSY and LOCKED."""

MINIMUM_SQLITE: Final = (3, 51, 3)
"""Older ones can corrupt the write-ahead log when it is reset (SQLite's own release notes, 3.51.3)."""

Address = Path | str
"""Where a store is: a SQLite file, or the URL of a PostgreSQL database."""

DriverConnection = Any
"""A connection of pysqlite3, which ships no types."""

Blob = bytearray
"""How bytes are handed to the driver where there are thousands of rows. It looks for an adapter for each `bytes` and
each None, which takes longer than inserting the row; for integers and bytearrays it does not."""

# FULL: a commit is on the disk before it is acknowledged. secure_delete: what is erased is overwritten.
_PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = FULL",
    "secure_delete = ON",
    "cache_size = -65536",
    "temp_store = MEMORY",
    # SQLite swallows what goes wrong in a checkpoint of its own: ours (`move_log`) is said, and tells.
    "wal_autocheckpoint = 0",
)

MAX_LOG_PAGES: Final = 16_000
"""Pages in the write-ahead log from which on it is moved into the store (`vault.mover`): 64 MB. The longer it is, the
more of its pages were written several times, and are moved once."""


class PostgresError(Exception):
    """What a PostgreSQL server answered, or that it answers no more; the driver's own error is its cause."""


Error: Final = (sqlite.Error, PostgresError)
"""What either database raises, for `except` and `isinstance`."""


def make_lost(error: BaseException) -> Refused:
    """What is said where a connection was lost amid the work: another one may find the server again."""
    return Refused(Reason.STORE_UNREACHABLE, str(error), could_retry=True, retry_after_s=1)


def find_busy(error: BaseException, name: str) -> Refused | None:
    """Refused(STORE_BUSY) for the error of SQLite that another process keeps the file `name` locked; None for any
    other."""
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None) or 0
    if code & 0xFF not in _LOCKED:
        return None
    return Refused(
        Reason.STORE_BUSY,
        f"another process has kept {name} locked for too long: try again in a moment; if it stays so, find that process"
        f" (`fuser {name}`) and end it",
        could_retry=True,
        retry_after_s=5,
    )


class Connection(Protocol):
    """What the rest of the program may ask of either database. In autocommit: whoever writes says where it begins."""

    is_file: bool
    """Whether the store is a file of the home; else a server keeps it."""

    is_guarded: bool
    """Whether a server shows no more than what whoever asks may see (`vault.guarding`); a file cannot."""

    asks_as_node: bool
    """Whether it asks for the node itself, whoever waits for the answer; set by who has the connection."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    @property
    def is_lost(self) -> bool:
        """Whether the server, or the way to it, is known to be gone. Another connection may find it again."""

    def is_usable(self) -> bool:
        """Whether a connection that lay idle may be used again: it was not lost meanwhile, as far as can be seen
        without asking."""

    def execute(self, statement: str, parameters: Any = (), /) -> Any:
        """Run one statement; gives a cursor. On PostgreSQL all rows are read at once: see `stream`."""

    def write(self, statement: str, parameters: Any = (), /) -> Any:
        """As `execute` within a write, where nobody reads the answer: of a writer (`prefer_indexes`) it goes to
        PostgreSQL with what is asked next, or before the commit, and an error shows there."""

    def executemany(self, statement: str, rows: Iterable[Any], /) -> Any:
        """Run one statement for each row of parameters."""

    def insert_many(self, statement: str, rows: Sequence[Any], /) -> Any:
        """As `executemany` for `INSERT INTO table VALUES (?, NULL, …)`: COPY on PostgreSQL, where rows are many."""

    def insert_in_order(self, parts: Sequence[tuple[str, Sequence[Any]]], /) -> None:
        """As `insert_many` for each of these statements and its rows, which rise by the table's key. The statements are
        of one table, and differ in how many values they give: on PostgreSQL all rows are written at once, rising."""

    def upsert_many(self, statement: str, rows: Sequence[Any], /) -> Any:
        """As `executemany` for `INSERT INTO table VALUES (?, …) ON CONFLICT …`, each key once: few statements on
        PostgreSQL."""

    def together(self) -> AbstractContextManager[object]:
        """Within the block nothing is read, and an error may show at its end only: of a writer (`prefer_indexes`) all
        that is written to PostgreSQL goes over in few messages."""

    def update_many(self, statement: str, rows: Sequence[Any], /) -> Any:
        """As `executemany` for `UPDATE table SET a=?, b=? WHERE key=?`: one statement on PostgreSQL."""

    def stream(self, statement: str, parameters: Any = (), /) -> Any:
        """Rows of a large result as they are asked for, within a transaction."""

    def prefer_indexes(self) -> None:
        """For a session that asks the same few things again and again: never read a whole table where an index gives
        the rows that are asked for, and have the server keep each statement. It judges by what it last counted, which
        says nothing yet of a table that has just grown; a file's plans do not depend on it."""

    def begin_write(self) -> None:
        """Begin to write. On SQLite nobody else can from here on; on PostgreSQL the writer's lock sees to it."""

    def begin_read(self) -> None:
        """Begin to read one moment of the store, whatever is written meanwhile."""

    def read_version(self) -> object:
        """Something that is another as soon as another connection has committed a change; within a read."""

    def commit(self) -> None:
        """When it returns, all that was written is on the disk."""

    def rollback(self) -> None:
        """Undo what was written since the beginning."""

    def lock_row(self, query: str, /) -> Any:
        """The row that a query without parameters finds, or None; within a write, nobody changes it until its end."""

    def take_lock(self, name: str, holder: str) -> None:
        """Hold the writer's lock of the network `name` as long as this session lasts; raises Refused(WRITER_BUSY). A
        SQLite file has none: the lock of its home guards it."""

    def settle(self) -> None:
        """After many rows at once: all is in the one place that may be given its name, and is known well."""

    def rewrite_tables(self, tables: Sequence[str], patience_s: float) -> bool:
        """On a server, outside a transaction: write tables anew, so that no page keeps a row that was deleted. False
        where a reader still sees one after `patience_s`."""

    def measure_bytes(self) -> int:
        """How many bytes the tables and their indexes take."""

    def find_damage(self) -> list[str]:
        """What the database itself finds wrong with its files, as far as it can tell."""


class SqliteConnection(sqlite.Connection):  # type: ignore[misc] # pysqlite3 ships no types
    """The driver's own connection: statements go to it directly, so that nothing stands between a row and the file."""

    is_file = True
    is_guarded = False
    asks_as_node = False
    is_lost = False
    insert_many = sqlite.Connection.executemany
    update_many = sqlite.Connection.executemany
    upsert_many = sqlite.Connection.executemany
    stream = sqlite.Connection.execute
    write = sqlite.Connection.execute

    def is_usable(self) -> bool:
        """See `Connection`: a file is not lost meanwhile."""
        return True

    def insert_in_order(self, parts: Sequence[tuple[str, Sequence[Any]]], /) -> None:
        """See `Connection`."""
        for statement, rows in parts:
            self.insert_many(statement, rows)

    def together(self) -> AbstractContextManager[object]:
        """See `Connection`."""
        return nullcontext()

    def prefer_indexes(self) -> None:
        """See `Connection`."""

    def begin_write(self) -> None:
        """See `Connection`."""
        self.execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        """See `Connection`."""
        self.execute("BEGIN")

    def read_version(self) -> object:
        """See `Connection`."""
        # Read first: the pragma alone does not begin to read, and would say nothing of the moment that is seen.
        self.execute("SELECT 1 FROM alembic_version").fetchone()
        return self.execute("PRAGMA data_version").fetchone()[0]

    def lock_row(self, query: str, /) -> Any:
        """See `Connection`."""
        return self.execute(query).fetchone()

    def take_lock(self, name: str, holder: str) -> None:
        """See `Connection`."""

    def settle(self) -> None:
        """See `Connection`. The file alone gets its name: nothing may be left in the log beside it."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def rewrite_tables(self, tables: Sequence[str], patience_s: float) -> bool:
        """Not for a file, which is written anew as a whole (`vault.erasing`)."""
        raise NotImplementedError

    def measure_bytes(self) -> int:
        """See `Connection`."""
        (pages,), (size,) = (self.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
        return int(pages * size)

    def find_damage(self) -> list[str]:
        """See `Connection`."""
        lines = [str(row[0]) for row in self.execute("PRAGMA quick_check(20)").fetchall()]
        # A value that breaks a CHECK is the business of its own table.
        return [f"SQLite: {line}" for line in lines if line != "ok" and not line.startswith("CHECK constraint")]


class Store:
    """One open database, with its one connection."""

    def __init__(self, connection: Connection, close: Callable[[], object]) -> None:
        self.connection = connection
        self._close = close

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def create_store(address: Address) -> Store:
    """Make a new, empty store with the newest schema. Raises Refused(NODE_EXISTS) if there is one, and for a database
    what `vault.postgres.connect` raises."""
    if isinstance(address, str):
        return _open_postgres(address, is_new=True, is_read_only=False)
    if address.exists():
        raise Refused(Reason.NODE_EXISTS, f"{address.name} exists already in this home")
    engine = make_engine(address, "rwc")
    with engine.connect() as connection:
        migrate(connection)
    return open_engine(engine, address)


def move_log(connection: Connection) -> None:
    """Move the write-ahead log into the store, as far as readers let go of it, and flush both. Raises the driver's
    Error if the disk fails."""
    if connection.is_file:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def measure_log(connection: Connection) -> tuple[int, int]:
    """How many pages the write-ahead log of a file has, and how many of them are not in the store yet."""
    _, pages, moved = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
    return pages, pages - moved


def open_store(address: Address, *, is_read_only: bool = False, is_guarded: bool = False) -> Store:
    """Open the store at `address`, for writing brought up to the newest schema first; with `is_guarded` a database
    shows no more than whoever asks may see (`vault.guarding`).

    Raises Refused(NO_NODE) where there is none, Refused(NODE_DAMAGED) for a file that is no store of ours or is of a
    newer schema, and for a database what `vault.postgres.connect` raises.
    """
    if isinstance(address, str):
        return _open_postgres(address, is_new=False, is_read_only=is_read_only, is_guarded=is_guarded)
    path = address
    if not path.is_file():
        raise Refused(Reason.NO_NODE, f"there is no node here: {path.name} is absent; make one with `carnet init`")
    engine = make_engine(path, "ro" if is_read_only else "rw")
    try:
        version = _read_version(engine)
        if _is_older(version) and not is_read_only:
            with engine.connect() as connection:
                migrate(connection)
            version = _read_version(engine)
        if not is_read_only:
            # The log's file has its name by now. SQLite flushes the directory too, but lets no error of that be seen.
            sync_directory(path.parent)
    except Refused:
        engine.dispose()
        raise
    except Exception as error:
        engine.dispose()
        refused = find_busy(error, path.name) or explain_disk_error(error, path.parent) or explain_closed(error, path)
        saying = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise (refused or Refused(Reason.NODE_DAMAGED, f"{path.name} cannot be read as a store: {saying}")) from error
    if version != SCHEMA_VERSION:
        engine.dispose()
        raise _other_schema(version)
    return open_engine(engine, path)


def open_address(address: Address) -> Store:
    """A store that is there, to be read only, whichever tables are in it. Raises Refused STORE_UNREACHABLE."""
    if isinstance(address, str):
        from carnet.vault.postgres import connect

        connection = connect(address, is_read_only=True)
        return Store(connection, connection.close)
    return open_engine(make_engine(address, "ro"), address)


def limit_cache(connection: Connection, size_kb: int) -> None:
    """Keep fewer pages of a file in memory than a writer does; a server has its own."""
    if connection.is_file:
        connection.execute(f"PRAGMA cache_size = -{size_kb}")


def describe_address(address: Address) -> str:
    """A store's address for people: never with a password."""
    if isinstance(address, Path):
        return str(address)
    from carnet.vault.postgres import describe_url

    return describe_url(address)


def remove_unfinished(url: str, state: str) -> None:
    """Remove from a database what a founding or a move left there when it was killed: tables without a log, or whose
    writer's row is in this state. Raises Refused(NODE_EXISTS) for anything else."""
    from carnet.vault.postgres import connect, drop_tables, read_version

    connection = connect(url, is_read_only=False)
    try:
        if read_version(connection) is None:
            return
        is_empty = connection.execute("SELECT NOT EXISTS (SELECT 1 FROM log_record)").fetchone()[0]
        if not is_empty and connection.execute("SELECT state FROM writer").fetchall() != [(state,)]:
            raise Refused(Reason.NODE_EXISTS, "this database holds a node already; name another one, or a schema of it")
        drop_tables(connection)
    finally:
        connection.close()


def open_engine(engine: Engine, path: Path) -> Store:
    """The one connection of an engine, which ends with it."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    if connection is None:
        raise Refused(Reason.NODE_DAMAGED, f"{path} cannot be opened")

    def close() -> None:
        pooled.close()
        engine.dispose()

    return Store(connection, close)


def _open_postgres(url: str, *, is_new: bool, is_read_only: bool, is_guarded: bool = False) -> Store:
    # Imported here: the driver is an extra of its own.
    from carnet.vault.postgres import connect, make_schema, read_version, upgrade_schema

    connection = connect(url, is_read_only=is_read_only, is_guarded=is_guarded)
    try:
        version = read_version(connection)
        if is_new and version is not None:
            raise Refused(Reason.NODE_EXISTS, "this database holds a node already; name another one, or a schema of it")
        if is_new:
            make_schema(connection)
        elif version is None:
            raise Refused(Reason.NO_NODE, "there is no node in this database; make one with `carnet init --store URL`")
        elif _is_older(version) and not is_read_only:
            upgrade_schema(connection)
        if not is_new and (version := read_version(connection)) != SCHEMA_VERSION:
            raise _other_schema(version)
    except BaseException:
        connection.close()
        raise
    return Store(connection, connection.close)


def _is_older(version: str | None) -> bool:
    return version is None or version < SCHEMA_VERSION


def _other_schema(version: str | None) -> Refused:
    hint = ": `carnet census` brings it up to date" if version and _is_older(version) else ": use a newer program"
    saying = f"the store has schema {version}, this program needs {SCHEMA_VERSION}{hint}"
    return Refused(
        Reason.NODE_DAMAGED, saying, version=version, wanted=SCHEMA_VERSION, is_other_schema=version is not None
    )


def make_engine(path: Path, mode: str) -> Engine:
    """SQLite at `path` as it must be set; `mode` is ro, rw or rwc. Raises Refused(NODE_DAMAGED) for a SQLite that is
    too old."""
    if sqlite.sqlite_version_info < MINIMUM_SQLITE:
        raise Refused(
            Reason.NODE_DAMAGED, f"SQLite {sqlite.sqlite_version} is too old: pysqlite3 ≥0.6.1 brings a newer"
        )
    query = {"mode": mode, "uri": "true"} | ({"immutable": "1"} if mode == "ro" and is_frozen(path) else {})
    # One connection for each store: a pool would hand out others, with other settings.
    engine = create_engine(
        # Quoted for SQLite: a home may be called "a?b", and its store is not the file "a".
        URL.create("sqlite+pysqlite", database=f"file:{quote(path.as_posix())}", query=query),
        module=sqlite,
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 30.0, "cached_statements": 256}
        | {"factory": SqliteConnection},
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: DriverConnection, _record: object) -> None:
        if mode == "rwc":
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        if mode != "ro":
            # SQLite answers with the mode that it stays in, and with no error.
            (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if journal != "wal":
                raise Refused(Reason.DISK_FAILED, f"{path.name} cannot have a write-ahead log on this disk")
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _read_version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def migrate(connection: SqlConnection, scripts: str = "carnet.vault:migrations") -> None:
    """Bring the schema up to the newest of these scripts, in one transaction."""
    # Imported here: a third of a second that only a founding or an upgrade needs.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", scripts)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    # Closing would do it too, and would say nothing if the disk failed.
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        move_log(driver)
