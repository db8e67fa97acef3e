"""Opening the store: SQLite as it must be set to keep what it acknowledged, and the schema brought up to date.

Knows files and pragmas; refuses to know what is in the tables.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Final

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool

from carnet.errors import Reason, Refused
from carnet.vault.disk import explain_disk_error, sync_directory

SCHEMA_VERSION: Final = "0002"
"""The newest migration in `migrations/versions`."""

PAGE_BYTES: Final = 8192
MINIMUM_SQLITE: Final = (3, 51, 3)
"""Older ones can corrupt the write-ahead log when it is reset (SQLite's own release notes, 3.51.3)."""

Connection = Any
"""A driver connection of pysqlite3, which ships no types."""

Blob = bytearray
"""How bytes are handed to the driver where there are thousands of rows. It looks for an adapter for each `bytes` and
each None, which takes longer than inserting the row; for integers and bytearrays it does not."""

# FULL: a commit is on the disk before it is acknowledged. secure_delete: what is erased is overwritten.
_PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = FULL",
    "secure_delete = ON",
    "cache_size = -131072",
    "temp_store = MEMORY",
    # SQLite swallows what goes wrong in a checkpoint of its own: ours (`move_log`) is said, and tells.
    "wal_autocheckpoint = 0",
)

MAX_LOG_PAGES: Final = 4000
"""Pages in the write-ahead log from which on it is moved into the store: 32 MB."""

Error = sqlite.Error
IntegrityError = sqlite.IntegrityError


class Store:
    """One open database. `connection` is the driver's own, in autocommit: whoever writes says BEGIN and COMMIT."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine = engine
        self.path = path
        self._pooled = engine.raw_connection()
        connection = self._pooled.driver_connection
        if connection is None:
            raise Refused(Reason.NODE_DAMAGED, f"{path} cannot be opened")
        self.connection: Connection = connection

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._pooled.close()
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def create_store(path: Path) -> Store:
    """Make a new, empty store at `path` with the newest schema; raises Refused(NODE_EXISTS) if the file is there."""
    if path.exists():
        raise Refused(Reason.NODE_EXISTS, f"{path.name} exists already in this home")
    engine = _make_engine(path, "rwc")
    _migrate(engine)
    return Store(engine, path)


def move_log(connection: Connection, *, is_long: bool = False) -> None:
    """Move the write-ahead log into the store, as far as readers let go of it, and flush both; with `is_long` only if
    it has become long. Raises the driver's Error if the disk fails."""
    if is_long:
        _, pages, moved = connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
        if pages - moved < MAX_LOG_PAGES:
            return
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def open_store(path: Path, *, is_read_only: bool = False) -> Store:
    """Open the store at `path`, for writing brought up to the newest schema first.

    Raises Refused(NO_NODE) where there is none, and Refused(NODE_DAMAGED) for a file that is no store of ours or is
    of a newer schema.
    """
    if not path.is_file():
        raise Refused(Reason.NO_NODE, f"there is no node here: {path.name} is absent; make one with `carnet init`")
    engine = _make_engine(path, "ro" if is_read_only else "rw")
    try:
        version = _read_version(engine)
        if version != SCHEMA_VERSION and not is_read_only:
            _migrate(engine)
            version = _read_version(engine)
        if not is_read_only:
            # The log's file has its name by now. SQLite flushes the directory too, but lets no error of that be seen.
            sync_directory(path.parent)
    except Refused:
        engine.dispose()
        raise
    except Exception as error:
        engine.dispose()
        refused = explain_disk_error(error, path.parent)
        raise (refused or Refused(Reason.NODE_DAMAGED, f"{path.name} cannot be read as a store: {error}")) from error
    if version != SCHEMA_VERSION:
        engine.dispose()
        is_older = version is not None and version < SCHEMA_VERSION
        hint = ": `carnet census` brings it up to date" if is_older else ""
        saying = f"the store has schema {version}, this program needs {SCHEMA_VERSION}{hint}"
        raise Refused(Reason.NODE_DAMAGED, saying, version=version)
    return Store(engine, path)


def _make_engine(path: Path, mode: str) -> Engine:
    if sqlite.sqlite_version_info < MINIMUM_SQLITE:
        raise Refused(
            Reason.NODE_DAMAGED, f"SQLite {sqlite.sqlite_version} is too old: pysqlite3 ≥0.6.1 brings a newer"
        )
    # One connection for each store: a pool would hand out others, with other settings.
    engine = create_engine(
        f"sqlite+pysqlite:///file:{path.as_posix()}?mode={mode}&uri=true",
        module=sqlite,
        poolclass=NullPool,
        connect_args={"check_same_thread": False, "isolation_level": None, "timeout": 30.0, "cached_statements": 256},
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Connection, _record: object) -> None:
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


def _migrate(engine: Engine) -> None:
    # Imported here: a third of a second that only a founding or an upgrade needs.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "carnet.vault:migrations")
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        # Closing would do it too, and would say nothing if the disk failed.
        move_log(connection.connection.driver_connection)
