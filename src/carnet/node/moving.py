"""Moving a node's store from a SQLite file to a PostgreSQL database, or back, while nobody writes.

    settle ─▶ copy every row ─▶ check the copy as `fsck` does ─▶ copy people's rows, which nobody writes from here on
      ─▶ the old store says where it moved ─▶ so does that of people ─▶ the home's address

The old store is kept, and never written again: its mark is what a fork would meet. Killed before the mark, nothing has
happened and the next move begins anew; killed after it, the next move finishes. It refuses to remove an old store.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from carnet.errors import Reason, Refused, Unverified
from carnet.node.backup.take import Moment, read_moment
from carnet.node.fsck import check_home
from carnet.node.fsck.findings import Progress
from carnet.node.home import Home, write_private
from carnet.node.keyring import RandomBytes
from carnet.node.lock import WriterLock
from carnet.node.logbook import read_node
from carnet.node.people import finish_people, hand_people_over, put_people_aside, take_people_in
from carnet.node.restored import check_may_write
from carnet.node.writer import open_writer
from carnet.tlog.tree import root_from
from carnet.vault.disk import sync_directory
from carnet.vault.fence import FILLING, IN_USE, MOVED, Fence
from carnet.vault.store import (
    Address,
    Connection,
    create_store,
    describe_address,
    move_log,
    open_address,
    open_store,
    remove_unfinished,
)
from carnet.vault.transfer import copy_rows

Tell = Callable[[Progress], None]


class Moved(NamedTuple):
    """A move that is done. `rows` is None where only its last steps were missing; `kept` says where the old store is,
    for people; `moment` is what both stores say of the log."""

    old: str
    new: str
    kept: str
    rows: int | None
    moment: Moment


def move_store(
    home: Home,
    target: str | None,
    *,
    clock: Callable[[], int],
    random_bytes: RandomBytes,
    passphrase: str | None = None,
    command: str = "",
    progress: Tell = lambda _: None,
) -> Moved:
    """Move the store to the database at the URL `target`, or with None to the SQLite file of the home.

    Raises Refused NO_NODE, NODE_EXISTS (it is there already, or another node is), WRITER_BUSY (here, or another
    home moves to the same place), STORE_MOVED,
    STORE_UNREACHABLE, and NODE_DAMAGED where the copy is not what was signed; then the old store is still the store.
    """
    home.finish_founding()
    home.check_founded()
    check_may_write(home)
    old: Address = home.address
    if (target or home.store) == old:
        raise Refused(Reason.NODE_EXISTS, f"the store of this node is there already: {describe_address(old)}")
    new: Address = home.moving if target is None else target
    finished = _finish(home, old, target, command)
    if finished is not None:
        return finished
    # Erasures and rotations that were begun are finished, and the last head is signed, before anything is copied.
    open_writer(home.path, clock=clock, random_bytes=random_bytes, passphrase=passphrase, command=command).close()
    lock, holder = WriterLock(home.lock, command), f"{os.getpid()} {socket.gethostname()} {command}"
    try:
        _check_is_still(home, old)
        with _alone_at(new, holder), open_store(old) as source:
            fence = Fence(source.connection, holder)
            rows = _copy(source.connection, new, progress)
            moment = _check_copy(home, source.connection, new, passphrase, progress)
            hand_people_over(home, new, lambda: _mark(source.connection, fence, new))
        return Moved(
            describe_address(old), describe_address(target or home.store), _switch(home, old, new), rows, moment
        )
    finally:
        lock.release()


@contextmanager
def _alone_at(new: Address, holder: str) -> Iterator[None]:
    """No other home moves to the same place of a database meanwhile: each would take what the other has copied for
    what a killed move left. Raises Refused(WRITER_BUSY)."""
    if isinstance(new, Path):
        yield
        return
    with open_address(new) as store:
        place = store.connection.execute("SELECT current_schema()").fetchone()[0]
        store.connection.take_lock(f"move to {place}", holder)
        yield


def _check_is_still(home: Home, old: Address) -> None:
    """Under the lock: another move may have ended since the address was read."""
    if home.address != old:
        raise Refused(Reason.NODE_EXISTS, f"another move has just ended: the store is {describe_address(home.address)}")


# ---- the copy


def _copy(source: Connection, new: Address, progress: Tell) -> int:
    if isinstance(new, str):
        # Nobody's accounts are lost by that: a database with a node in it was refused.
        remove_unfinished(new, FILLING)
    else:
        for suffix in ("", "-wal", "-shm"):
            new.with_name(new.name + suffix).unlink(missing_ok=True)
    with create_store(new) as target:
        connection = target.connection
        source.begin_read()
        connection.begin_write()
        rows = copy_rows(source, connection, lambda done, total: progress(Progress("copying", done, total)))
        connection.execute("UPDATE writer SET state = ? WHERE id = 1", (FILLING,))
        connection.commit()
        source.commit()
        connection.settle()
    if isinstance(new, Path):
        new.chmod(0o600)
    return rows


def _check_copy(home: Home, source: Connection, new: Address, passphrase: str | None, progress: Tell) -> Moment:
    findings = check_home(home.path, passphrase=passphrase, progress=progress, copy=new)
    if findings:
        saying = (
            f"the copy is not what was signed, and is not used: {len(findings)} findings, the first is {findings[0]}"
        )
        raise Refused(Reason.NODE_DAMAGED, saying, findings=len(findings))
    here = read_moment(source)
    with open_store(new, is_read_only=True) as target:
        there = read_moment(target.connection)
    if here != there:
        raise Refused(Reason.NODE_DAMAGED, "the copy has another log than the store: it is not used")
    return here


# ---- the switch


def _mark(source: Connection, fence: Fence, new: Address) -> None:
    """From here on the old store is closed, and the copy is the only one that may go on."""
    source.begin_write()
    fence.check()
    source.execute("UPDATE writer SET state = ? WHERE id = 1", (MOVED + _describe(new),))
    source.commit()
    move_log(source)


def _switch(home: Home, old: Address, new: Address) -> str:
    """Open the copy, and point the home to it; where the old store is, for people. May be done again."""
    with open_store(new) as target:
        connection = target.connection
        connection.begin_write()
        connection.execute("UPDATE writer SET state = ? WHERE id = 1", (IN_USE,))
        connection.commit()
        connection.settle()
    if isinstance(new, str):
        write_private(home.store_url, new.encode() + b"\n")
        put_people_aside(home)
        return str(_put_aside(home) or home.store)
    if home.moving.exists():
        _put_aside(home)
        home.moving.replace(home.store)
    take_people_in(home)
    home.store_url.unlink(missing_ok=True)
    sync_directory(home.path)
    return describe_address(old)


def _put_aside(home: Home) -> Path | None:
    """Give a store's file that is the store no more another name, with what stands beside it."""
    if not home.store.exists():
        return None
    taken = {file.name for file in home.path.iterdir()}
    number = next(n for n in range(1, len(taken) + 2) if f"node.db.moved-{n}" not in taken)
    aside = home.path / f"node.db.moved-{number}"
    for suffix in ("-wal", "-shm", ""):
        beside = home.store.with_name(home.store.name + suffix)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + suffix))
    sync_directory(home.path)
    return aside


# ---- after a kill


def _finish(home: Home, old: Address, target: str | None, command: str) -> Moved | None:
    """The last steps of a move to `target` that was killed after the old store was marked; None if there is none.

    Raises Refused(STORE_MOVED) if the old store was moved elsewhere, or the copy there is none of its log.
    """
    # A file that has its name already: only the address of the old store was still to go.
    new: Address = target or (home.moving if home.moving.exists() else home.store)
    lock = WriterLock(home.lock, command)
    try:
        _check_is_still(home, old)
        with open_store(old) as source:
            state = get_state(source.connection)
            if not state.startswith(MOVED):
                return None
            moment = read_moment(source.connection)
        if state != MOVED + _describe(new) or not _has_same_log(new, moment):
            raise Refused(
                Reason.STORE_MOVED,
                f"this store was {state}, and that is not the store that is named now",
                to=state.removeprefix(MOVED),
            )
        finish_people(home, new)
        return Moved(
            describe_address(old), describe_address(target or home.store), _switch(home, old, new), None, moment
        )
    finally:
        lock.release()


def get_state(connection: Connection) -> str:
    """Whether a store is in use (`vault.fence`)."""
    return str(connection.execute("SELECT state FROM writer WHERE id = 1").fetchone()[0])


def _has_same_log(new: Address, moment: Moment) -> bool:
    try:
        with open_store(new, is_read_only=True) as store:
            connection = store.connection
            root = root_from(lambda level, index: read_node(connection, level, index), moment.log_size)
            return root == moment.root and read_moment(connection).net == moment.net
    except (Refused, Unverified, IndexError):
        return False


def _describe(new: Address) -> str:
    return "a file of its home" if isinstance(new, Path) else describe_address(new)
