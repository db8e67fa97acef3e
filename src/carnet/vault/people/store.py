"""Opening the store of people, and its transactions: short ones, of several processes at once.

On SQLite one process writes at a time, for a few milliseconds; on PostgreSQL a lock of the transaction does the same,
so that what was checked is still so when it is written. It refuses to know what is written.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import Engine

from carnet.errors import Reason, Refused
from carnet.vault.disk import explain_closed, explain_disk_error, is_frozen_here, sync_directory
from carnet.vault.gate import Gate, get_gate
from carnet.vault.people.tables import people
from carnet.vault.store import (
    Address,
    Connection,
    Error,
    Store,
    find_busy,
    make_engine,
    make_lost,
    migrate,
    open_engine,
)
from carnet.vault.waiting import WouldWaitError, at_end_of_turn, check_may_wait, find_loop, may_wait

PEOPLE_VERSION: Final = "0004"
"""The newest migration in `people/migrations/versions`."""

FILE: Final = "people.sqlite"

_SCRIPTS: Final = "carnet.vault.people:migrations"
_WRITE_LOCK: Final = 0x70656F_706C65_00
_HERE_LOCK: Final = 0x70656F_706C65_01
"""Shared by whoever writes beside others, and had alone by a move."""

# A mark that is read before each write and changes no table: an older program's schema stays what it is.
_SET_MOVED: Final = ("PRAGMA user_version = 1", "COMMENT ON TABLE people_version IS 'moved'")
_IS_MOVED: Final = (
    "PRAGMA user_version",
    "SELECT coalesce(obj_description(to_regclass('people_version'), 'pg_class') = 'moved', false)",
)
_READ_VERSION: Final = "SELECT version_num FROM people_version"


class PeopleStore:
    """Connections to the store of people, one for each thread that is at work; where a server keeps it, for as many as
    the gate of the process lets in. For any thread.

    Whoever asks for one may be refused: STORE_BUSY, or STORE_UNREACHABLE where the server is gone, also amid the work;
    DISK_FULL or DISK_FAILED where a file cannot be written. Whoever writes: STORE_MOVED where a move took all of it
    elsewhere.
    """

    def __init__(self, address: Address, *, is_guarded: bool = False) -> None:
        """`is_guarded`: a database shows no more than whoever asks may see (`vault.guarding`)."""
        self._address, self._is_guarded = address, is_guarded
        self._gate: Gate | None = get_gate() if isinstance(address, str) else None
        self._idle: list[Store] = []
        self._turn: _Turn | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def read(self) -> AbstractContextManager[Connection]:
        """A connection to ask, each statement at its own moment. Whoever may not wait asks a file alone."""
        return self._borrow() if may_wait() else self._share_turn()

    @contextmanager
    def look_up(self) -> Iterator[Connection]:
        """As `read`, asked for the node itself: for what decides about a caller and is not shown to them, as whose
        token this is. A test lists the places."""
        with self.read() as connection, _as_node(connection):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction in which nobody else writes; when the block has ended it is on the disk, or undone. The node
        itself writes: what it is about is checked within."""
        check_may_wait()
        with self._borrow() as connection, _as_node(connection):
            yield from _write(connection)

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """As `write`, for whoever the request is from: a database lets only rows of theirs be seen and changed. What
        touches others' rows as well, or is done before it is known who asks, is for `write`."""
        check_may_wait()
        with self._borrow() as connection:
            yield from _write(connection)

    @contextmanager
    def note(self) -> Iterator[Connection]:
        """A transaction for what a crash of the machine may forget, as when a key was last used: quicker, and as safe
        against the end of a process. On PostgreSQL others write at the same time."""
        check_may_wait()
        with self._borrow() as connection, _as_node(connection):
            if connection.is_file:
                connection.execute("PRAGMA synchronous = NORMAL")
            try:
                connection.begin_write()
                if not connection.is_file:
                    connection.execute("SET LOCAL synchronous_commit = off")
                    connection.execute("SELECT pg_advisory_xact_lock_shared(?)", (_HERE_LOCK,))
                _check_is_here(connection)
                yield connection
                connection.commit()
            except BaseException:
                _undo(connection)
                raise
            finally:
                if connection.is_file:
                    connection.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def hand_over(self) -> Iterator[Connection]:
        """As `write`, for a move: when the block has ended, nothing is written here ever again."""
        with self._borrow() as connection, _as_node(connection):
            yield from _hand_over(connection)

    def is_moved(self) -> bool:
        """Whether a move took all of it elsewhere."""
        with self.look_up() as connection:
            return is_moved(connection)

    def close(self) -> None:
        """Close every idle connection; one that is at work is closed by whoever has it. Idempotent."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            turn, self._turn = self._turn, None
        if turn is not None:
            turn.store.close()
        for store in idle:
            store.close()

    def __enter__(self) -> PeopleStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _borrow(self) -> Iterator[Connection]:
        with self._gate.entered() if self._gate else nullcontext():
            yield from self._lend()

    def _lend(self) -> Iterator[Connection]:
        store = self._find_idle() or self._open()
        try:
            yield store.connection
        except Error as error:
            is_lost = store.connection.is_lost
            # A connection that failed may be lost: the next one is new.
            store.close()
            if is_lost:
                raise make_lost(error) from error
            refused = None if isinstance(self._address, str) else _explain(error, self._address)
            if refused is not None:
                raise refused from error
            raise
        except BaseException:
            self._give_back(store)
            raise
        self._give_back(store)

    @contextmanager
    def _share_turn(self) -> Iterator[Connection]:
        """The connection of an event loop, which waits for no lock; all that the loop asks in one turn sees one
        moment."""
        if isinstance(self._address, str) or self._is_closed:
            raise WouldWaitError
        turn, loop = self._turn, find_loop()
        try:
            if turn is None:
                turn = self._turn = _Turn(_connect(self._address))
                turn.store.connection.execute("PRAGMA busy_timeout = 0")
            if turn.loop is None or turn.loop is not loop:
                turn.end()
                turn.store.connection.begin_read()
                if loop is not None:
                    turn.loop = loop
                    at_end_of_turn(loop, turn.end)
            yield turn.store.connection
            if loop is None:
                turn.end()
        except Error:
            # Whatever it is, a connection that may wait finds it too, and says it.
            if turn is not None:
                turn.store.close()
            self._turn = None
            raise WouldWaitError from None

    def _open(self) -> Store:
        try:
            return _connect(self._address, is_guarded=self._is_guarded)
        except Error as error:
            if isinstance(self._address, str):
                raise
            if not self._address.exists():
                raise Refused(Reason.STORE_MOVED, f"{self._address.name} is not in its home any more") from error
            raise (_explain(error, self._address) or error) from error

    def _find_idle(self) -> Store | None:
        while True:
            with self._lock:
                store = self._idle.pop() if self._idle else None
            if store is None or store.connection.is_usable():
                return store
            store.close()

    def _give_back(self, store: Store) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(store)
                return
        store.close()


class _Turn:
    """A connection, and the loop in whose turn it sees one moment; None between two turns."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Let go of the moment. What goes wrong is found at the next look."""
        self.loop = None
        with suppress(*Error):
            if self.store.connection.in_transaction:
                self.store.connection.commit()


def open_people_store(address: Address, *, is_guarded: bool = False) -> PeopleStore:
    """The store of people at `address` (a file, or the URL of the node's database), made if it is absent and brought up
    to date if it is older; a file that this user cannot write is read as it is. With `is_guarded` a database shows no
    more than whoever asks may see (`vault.guarding`).

    Raises Refused NODE_DAMAGED for another schema or a file that is none of ours, DISK_FULL, DISK_FAILED,
    STORE_UNREACHABLE for a file that is absent and cannot be made, and for a database what
    `vault.postgres.connect` raises.
    """
    version = _upgrade_database(address) if isinstance(address, str) else _upgrade_file(address)
    if version != PEOPLE_VERSION:
        hint = "use a newer program"
        if version < PEOPLE_VERSION:
            hint = "they are brought up to date where they can be written"
        saying = f"the accounts have schema {version}, this program needs {PEOPLE_VERSION}: {hint}"
        raise Refused(Reason.NODE_DAMAGED, saying, version=version)
    return PeopleStore(address, is_guarded=is_guarded)


def has_people(connection: Connection) -> bool:
    """Whether a database, or a file, has the tables of people."""
    if connection.is_file:
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'people_version'"
        return bool(connection.execute(query).fetchone()[0])
    return not connection.execute("SELECT to_regclass('people_version') IS NULL").fetchone()[0]


def check_is_current(connection: Connection) -> None:
    """Raise Refused(NODE_DAMAGED) for tables of an older or newer schema: their rows cannot be told by name."""
    version = _read_version(connection)
    if version != PEOPLE_VERSION:
        hint = " the program that wrote them"
        if version < PEOPLE_VERSION:
            hint += ", or start `carnet serve` once, which brings them up to date"
        saying = f"the accounts in this database have schema {version}, this program needs {PEOPLE_VERSION}: use{hint}"
        raise Refused(Reason.NODE_DAMAGED, saying, version=version, wanted=PEOPLE_VERSION)


def remove_people(url: str) -> None:
    """Remove from a database what a move that was killed left of a store of people."""
    from carnet.vault.guarding import drop_guard
    from carnet.vault.postgres import connect

    connection = connect(url, is_read_only=False)
    try:
        connection.begin_write()
        drop_guard(connection)
        for name in (*people.tables, "people_version"):
            connection.execute(f'DROP TABLE IF EXISTS "{name}"')
        connection.commit()
    finally:
        connection.close()


def upgrade_people(connection: SqlConnection) -> None:
    """Bring the schema up to the newest, in one transaction."""
    migrate(connection, _SCRIPTS)


def _upgrade_file(path: Path) -> str:
    is_new, is_frozen = not path.exists(), is_frozen_here(path)
    if is_new and is_frozen:
        saying = f"{path.name} is absent: nobody has an account here, and none can be made where nothing may be written"
        raise Refused(Reason.STORE_UNREACHABLE, saying, is_frozen=True)
    if is_new:
        # Made by hand, so that it is nobody else's from its first instant.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        sync_directory(path.parent)
    engine = make_engine(path, "ro" if is_frozen else "rw")
    try:
        with engine.connect() as connection:
            if not is_frozen and (_find_version(connection) or "") < PEOPLE_VERSION:
                upgrade_people(connection)
            return str(_find_version(connection))
    except Refused:
        raise
    except Exception as error:
        refused = _explain(error, path)
        raise (refused or Refused(Reason.NODE_DAMAGED, f"{path.name} cannot be read: {error}")) from error
    finally:
        engine.dispose()


def _find_version(connection: SqlConnection) -> str | None:
    query = "SELECT count(*) FROM sqlite_master WHERE name = 'people_version'"
    if not connection.exec_driver_sql(query).scalar():
        return None
    return connection.exec_driver_sql(_READ_VERSION).scalar()


def _upgrade_database(url: str) -> str:
    from carnet.vault.postgres import connect, upgrade_schema

    connection = connect(url, is_read_only=False)
    try:
        if not has_people(connection) or _read_version(connection) < PEOPLE_VERSION:
            upgrade_schema(connection, upgrade_people)
        return _read_version(connection)
    finally:
        connection.close()


def _read_version(connection: Connection) -> str:
    return str(connection.execute(_READ_VERSION).fetchone()[0])


def is_moved(connection: Connection) -> bool:
    """Whether a move took all that is in these tables elsewhere."""
    return bool(connection.execute(_IS_MOVED[not connection.is_file]).fetchone()[0])


def _check_is_here(connection: Connection) -> None:
    if is_moved(connection):
        saying = "the accounts were moved elsewhere with the node's store, and what is here is only read"
        raise Refused(Reason.STORE_MOVED, saying)


def _write(connection: Connection) -> Iterator[Connection]:
    connection.begin_write()
    try:
        if not connection.is_file:
            connection.execute("SELECT pg_advisory_xact_lock(?)", (_WRITE_LOCK,))
        _check_is_here(connection)
        yield connection
        connection.commit()
    except BaseException:
        _undo(connection)
        raise


def _hand_over(connection: Connection) -> Iterator[Connection]:
    connection.begin_write()
    try:
        if not connection.is_file:
            for lock in (_WRITE_LOCK, _HERE_LOCK):
                connection.execute("SELECT pg_advisory_xact_lock(?)", (lock,))
        yield connection
        connection.execute(_SET_MOVED[not connection.is_file])
        connection.commit()
    except BaseException:
        _undo(connection)
        raise


@contextmanager
def _as_node(connection: Connection) -> Iterator[None]:
    connection.asks_as_node = True
    try:
        yield
    finally:
        connection.asks_as_node = False


def _connect(address: Address, *, is_guarded: bool = False) -> Store:
    if isinstance(address, str):
        from carnet.vault.postgres import connect

        connection = connect(address, is_read_only=False, is_guarded=is_guarded)
        return Store(connection, connection.close)
    is_frozen = is_frozen_here(address)
    engine: Engine = make_engine(address, "ro" if is_frozen else "rw")
    store = open_engine(engine, address)
    if is_frozen:
        return store
    # Small transactions of many processes: SQLite moves its log by itself here, and whoever commits waits for it.
    store.connection.execute("PRAGMA wal_autocheckpoint = 1000")
    store.connection.execute("PRAGMA cache_size = -4096")
    return store


def _explain(error: BaseException, path: Path) -> Refused | None:
    return find_busy(error, path.name) or explain_disk_error(error, path.parent) or explain_closed(error, path)


def _undo(connection: Any) -> None:
    try:
        if connection.in_transaction:
            connection.rollback()
    except Error:
        # The first error tells what went wrong; the connection is closed because of it.
        return
