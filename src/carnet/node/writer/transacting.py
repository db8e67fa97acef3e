"""The writer's one transaction: the store, the log and the keys of a home, and all or nothing written to them.

Everything of one commit – entries, contents, seals, log nodes, ledger state – is one transaction: acknowledged means
on the disk. It refuses to write on when the disk has failed it once, and to know what is written.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.ledger.commands import Command
from carnet.ledger.state import State
from carnet.ledger.transition import Logged
from carnet.node.home import Home, write_private
from carnet.node.keyring import KeyRing, RandomBytes, save_key_ring
from carnet.node.lock import WriterLock
from carnet.node.logbook import read_logbook, write_block, write_checkpoint
from carnet.node.lookup import Kinds
from carnet.node.placing import RecentHeads
from carnet.node.restored import find_what_is_lost
from carnet.node.selfcheck import check_store
from carnet.node.turns import Turns
from carnet.node.unwritten import UnwrittenHeads
from carnet.signing import Signer
from carnet.vault.disk import explained_disk_errors, is_disk_refusal
from carnet.vault.fence import Fence
from carnet.vault.ledger import read_schemas
from carnet.vault.mover import LogMover
from carnet.vault.store import Connection, Error, move_log, open_store

MAX_CLOCK_STEP_MS = 60_000
"""How far the clock may have gone back: within it, `at` stands still; beyond it, nothing is sealed."""

T = TypeVar("T")


class Transacting:
    """A home that is held for writing: what it knows, and one transaction at a time."""

    def __init__(
        self,
        home: Home,
        ring: KeyRing,
        lock: WriterLock,
        *,
        clock: Callable[[], int],
        random_bytes: RandomBytes,
        passphrase: str | None,
        command: str,
    ) -> None:
        self._home, self._ring, self._file_lock = home, ring, lock
        self._clock, self._random_bytes, self._passphrase = clock, random_bytes, passphrase
        self._store = open_store(home.address)
        try:
            connection = self._store.connection
            self._connection = connection
            connection.prefer_indexes()
            # A commit whose flush failed may have outlived its process in the system's memory alone. Moved, it is
            # written and flushed once more, before anything is told or written that rests on it.
            move_log(connection)
            self._mover = LogMover(home.address, connection)
            self._fence = Fence(connection, f"{os.getpid()} {socket.gethostname()} {command}")
            self._log, self._node = Signer(ring.log), Signer(ring.node)
            self._book = read_logbook(connection)
            self._node_id = self._book.state.genesis.founders[0].member
            self._kinds = Kinds(read_schemas(connection))
            ring.check_is_of(self._book.state.genesis.log_key)
            check_store(connection, self._book)
            self._lost = find_what_is_lost(home, connection)
            self._key_ids: dict[bytes, int] = dict(connection.execute("SELECT digest, id FROM author_key").fetchall())
            self._next_chain = _next(connection, "chain")
            self._next_submission = _next(connection, "submission")
        except BaseException:
            self._store.close()
            raise
        self._is_note_due = not self._has_note()
        self._kept_size = 0
        self._mutex = Turns()
        self._late: Exception | None = None
        self._failure: str | None = None
        self._cause = Reason.NODE_DAMAGED
        self._recent = RecentHeads()
        self._unwritten = UnwrittenHeads(self._next_chain)

    # ---- what it knows

    @property
    def state(self) -> State:
        """The ledger's state in force."""
        return self._book.state

    @property
    def node_id(self) -> bytes:
        """This node's member id, the home of its chains."""
        return self._node_id

    @property
    def node_key(self) -> bytes:
        """The digest of the key that this node seals and signs receipts with."""
        return self._node.digest

    @property
    def ring(self) -> KeyRing:
        """The keys; for `make_job` and tests."""
        return self._ring

    @property
    def index_key(self) -> bytes:
        """The key of the blind index, with which source rows are known again."""
        return self._ring.index

    def check_alive(self) -> None:
        """Raise Refused(NODE_DAMAGED) if this writer has stopped, TIME_WENT_BACK if it can seal nothing now."""
        self._check_alive()
        self._now()

    def keep_checkpoint(self) -> None:
        """Sign and store the head of the log, which is durable by now, unless it is stored already."""
        with self._mutex:
            if self._is_note_due:
                self._transact(lambda at: None)
            self._keep_head()

    def _keep_head(self) -> None:
        """Of a store elsewhere the home keeps the newest head too: whoever puts an older copy there is found out."""
        size = self._book.state.size
        if self._connection.is_file or self._lost is not None or self._kept_size == size:
            return
        (note,) = self._connection.execute("SELECT note FROM checkpoint WHERE size = ?", (size,)).fetchone()
        with self._on_disk():
            write_private(self._home.signed_head, note)
        self._kept_size = size

    def close(self) -> None:
        """Keep the last checkpoint, and let the next writer in; idempotent."""
        with self._mutex:
            try:
                if self._failure is None:
                    self.keep_checkpoint()
                    with self._on_disk():
                        self._mover.wait()
                        move_log(self._connection)
            finally:
                if self._failure is None:
                    self._failure, self._cause = "the writer was closed", Reason.WRITER_AWAY
                self._mutex.close()
                self._release()

    def _release(self) -> None:
        """Close what is open. The store is the last, so that its log goes with it."""
        self._mover.close()
        self._store.close()
        self._file_lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _transact(self, work: Callable[[int], T]) -> T:
        """Run `work(at)` in one transaction; on any error nothing has happened, in the store or in memory."""
        result, commit = self._begin(work)
        commit()
        return result

    def _begin(self, work: Callable[[int], T]) -> tuple[T, Callable[..., None]]:
        """The result of `work(at)` in a transaction, and what commits it, after what it is given to do before: nothing
        else may be asked of the connection until then. On any error of either nothing has happened."""
        self._check_alive()
        at = self._now()
        with self._on_disk():
            self._mover.move_long()
        before = (self._book, self._key_ids, self._next_chain, self._next_submission, self._is_note_due)
        connection = self._connection

        def undo(error: BaseException) -> None:
            self._book, self._key_ids, self._next_chain, self._next_submission, self._is_note_due = before
            self._forget_heads()
            self._roll_back(error)

        def commit(*last: Callable[[], None]) -> None:
            try:
                with explained_disk_errors(self._home.path):
                    for each in last:
                        each()
                    connection.commit()
            except BaseException as error:
                undo(error)
                raise

        try:
            with explained_disk_errors(self._home.path):
                connection.begin_write()
                self._fence.check()
                if self._is_note_due:
                    # The head of the last commit: its size and root are on the disk, so it may be signed (3.10).
                    write_checkpoint(connection, self._book.checkpoint, self._log)
                    self._is_note_due = False
                return work(at), commit
        except BaseException as error:
            undo(error)
            raise

    def _forget_heads(self) -> None:
        """What is known of chains is read again: their rows and entries may say something else now."""
        self._recent.clear()
        self._unwritten.clear(self._next_chain)

    def _roll_back(self, error: BaseException) -> None:
        """After an error of the disk nobody knows what is on it: this process writes no more, and the next one
        re-checks."""
        try:
            if self._connection.in_transaction:
                self._connection.rollback()
        except Error as second:
            self._fail(second)
        if isinstance(error, (*Error, InvariantBroken)) or is_disk_refusal(error):
            self._fail(error)
        elif isinstance(error, Refused) and error.reason in (Reason.WRITER_REPLACED, Reason.STORE_MOVED):
            self._failure, self._cause = error.message, error.reason

    def _fail(self, error: BaseException) -> None:
        """This writer has stopped: in words for its log, and by the reason that people are told."""
        self._failure = f"{type(error).__name__}: {error}"
        if isinstance(error, Refused):
            self._cause = error.reason
        elif isinstance(error, InvariantBroken):
            self._cause = Reason.NODE_DAMAGED
        else:
            self._cause = Reason.DISK_FAILED if self._connection.is_file else Reason.STORE_UNREACHABLE

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """Work on the disk outside of a transaction: an error of it ends this writer as one inside does."""
        try:
            with explained_disk_errors(self._home.path):
                yield
        except (*Error, OSError, Refused) as error:
            if self._failure is None and (not isinstance(error, Refused) or is_disk_refusal(error)):
                self._fail(error)
            raise

    def _write_block(self, at: int, commands: Sequence[Command]) -> list[Logged]:
        self._book, logged = write_block(self._connection, self._book, self._book.state.height + 1, at, commands)
        self._is_note_due = True
        return logged

    def stop(self, why: str, cause: Reason = Reason.NODE_DAMAGED) -> None:
        """Write nothing more: what is stored was found not to be what was signed, or there is another cause. Only
        another writer goes on."""
        with self._mutex:
            if self._failure is None:
                self._failure, self._cause = why, cause

    def is_store_lost(self) -> bool:
        """Whether a server has ended the session of this writer, which then writes no more: another may begin."""
        with self._mutex:
            connection = self._connection
            return connection.is_lost or not (connection.in_transaction or connection.is_usable())

    def _check_alive(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            raise late
        if self._failure is not None:
            raise Refused(
                Reason.NODE_DAMAGED,
                f"this writer has stopped ({self._failure}): start again, and run `carnet fsck`",
                cause=self._cause.value,
            )

    def _now(self) -> int:
        now, last = self._clock(), self._book.state.at
        if now < last - MAX_CLOCK_STEP_MS:
            raise Refused(
                Reason.TIME_WENT_BACK,
                f"the clock says {format_moment(now)}, and the log's last record is of {format_moment(last)}: nothing"
                " is sealed before that",
                could_retry=True,
                now=now,
                last=last,
            )
        return max(now, last)

    def _keep_key(self, seed: bytes) -> None:
        with self._mutex:
            self._keep_ring(self._ring.with_author(seed))

    def _keep_ring(self, ring: KeyRing) -> None:
        """Have these keys on the disk, then sign with them."""
        self._check_alive()
        with self._on_disk():
            save_key_ring(ring, self._home.keys, self._passphrase, self._random_bytes)
        self._ring, self._node = ring, Signer(ring.node)

    def _has_note(self) -> bool:
        query = "SELECT 1 FROM checkpoint WHERE size = ?"
        return self._connection.execute(query, (self._book.state.size,)).fetchone() is not None


def _next(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()  # noqa: S608 - our own words
    return int(row[0])


def format_moment(at: int) -> str:
    """A moment (ms) for a person."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
