"""The node's store of people: where it is, the key under which its secrets are digested, and how it goes along in a
backup and a move.

The key comes from the key ring, so that a stolen store without the ring says of no code or token what it was. It
refuses to know what a session or a claim is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, NamedTuple

from carnet.node.home import Home
from carnet.node.keyring import KeyRing, load_key_ring
from carnet.vault.copying import copy_store
from carnet.vault.disk import sync_directory
from carnet.vault.people.store import (
    FILE,
    PeopleStore,
    check_is_current,
    has_people,
    open_people_store,
    remove_people,
)
from carnet.vault.people.tables import people
from carnet.vault.scratch import COPIES, make_folder
from carnet.vault.store import Address, Connection, open_address
from carnet.vault.transfer import copy_rows

MOVING: Final = "people.sqlite.moving"
SHORT_LIVED: Final = ("session", "access_token", "ceremony", "app_view")
_BURY: Final = "UPDATE webhook_message SET state = 'dead', next_ms = NULL, trouble = 'restored' WHERE state = 'waiting'"


class OpenedPeople(NamedTuple):
    """The store, and the key (32 bytes) of its digests."""

    store: PeopleStore
    key: bytes


def get_people_address(home: Home) -> Path | str:
    """Where the store of people of this home is: a file beside the node's store, or the same database."""
    address = home.address
    return address if isinstance(address, str) else home.path / FILE


def open_people(home: Home, passphrase: str | None = None) -> OpenedPeople:
    """The store of people of a home, made if it is absent. Raises Refused(NO_NODE, WRONG_PASSPHRASE, NODE_DAMAGED,
    STORE_UNREACHABLE)."""
    home.finish_founding()
    ring = load_key_ring(home.keys, passphrase)
    while True:
        address = get_people_address(home)
        store = open_people_store(address)
        # A move may have ended meanwhile: what was just opened, or made anew, is then the store no more.
        if get_people_address(home) == address:
            return OpenedPeople(store, compute_people_key(ring))
        store.close()


def compute_people_key(ring: KeyRing) -> bytes:
    """The key of the digests of people's secrets, 32 bytes."""
    return blake2b(b"secrets of people", digest_size=32, key=ring.index, person=b"carnet/people").digest()


# ---- in a backup


def copy_people(home: Home, scratch: Path) -> IO[bytes] | None:
    """The store of people as it is at one moment, in a SQLite file without a name; None where there is none yet. A file
    is copied as it stands, whatever its schema: whoever opens the copy brings it up to date. Raises
    Refused(NODE_DAMAGED) for a database of another schema."""
    address = get_people_address(home)
    if isinstance(address, Path) and not address.exists():
        return None
    with closing(open_address(address)) as source:
        if source.connection.is_file:
            source.connection.begin_read()
        if not has_people(source.connection):
            return None
        if source.connection.is_file:
            return copy_store(source.connection, scratch)
        check_is_current(source.connection)
        with make_folder(COPIES, scratch) as folder:
            path = folder / FILE
            source.connection.begin_read()
            _copy(source.connection, path)
            return path.open("rb")


def forget_sessions(home: Home) -> None:
    """In a restored copy nobody is signed in: a session that was ended since the backup must not live again. And what
    waited to be told is told by nobody: the original has done so, or somebody sends it again."""
    path = home.path / FILE
    if not path.exists():
        return
    with open_people_store(path) as store:
        with store.write() as connection:
            for table in SHORT_LIVED:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own words
            connection.execute(_BURY)
        _settle(store)


# ---- in a move


def hand_people_over(home: Home, new: Address, mark: Callable[[], None]) -> None:
    """Copy the store of people to where the node's store moves: a database, or a file that waits beside the old one.
    Nobody writes to it meanwhile, nor to what was copied afterwards. Within, once the copy is whole, `mark` says that
    the node's store has moved.

    Killed before the mark nothing has happened; killed after it, `finish_people` goes on. Raises Refused(STORE_BUSY).
    """
    # Made if it is absent, and brought up to date: rows are copied between tables of one schema, and who has an account
    # made in this moment finds that there is a move.
    with open_people_store(get_people_address(home)) as old, old.hand_over() as source:
        _copy(source, _clear_place(home, new))
        mark()


def finish_people(home: Home, new: Address) -> None:
    """What is missing of `hand_people_over` after a kill: all of it, unless the old store says that it has moved."""
    with open_people_store(get_people_address(home)) as old:
        is_done = old.is_moved()
    if not is_done:
        hand_people_over(home, new, lambda: None)


def _clear_place(home: Home, new: Address) -> Address:
    if isinstance(new, str):
        remove_people(new)
        return new
    _unlink(home.path / MOVING)
    return home.path / MOVING


def put_people_aside(home: Home) -> None:
    """Give the file that is the store of people no more another name. May be done again."""
    path = home.path / FILE
    if path.exists():
        number = 1 + sum(1 for _ in home.path.glob(f"{FILE}.moved-*"))
        for suffix in ("-wal", "-shm", ""):
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.replace(path.with_name(f"{FILE}.moved-{number}{suffix}"))
        sync_directory(home.path)


def take_people_in(home: Home) -> None:
    """Give the file that waits its name. May be done again."""
    waiting = home.path / MOVING
    if waiting.exists():
        put_people_aside(home)
        waiting.replace(home.path / FILE)
        sync_directory(home.path)


def _copy(source: Connection, target: Address) -> None:
    """`source` is within a transaction."""
    with open_people_store(target) as store:
        with store.write() as connection:
            copy_rows(source, connection, tables=people)
        _settle(store)


def _settle(store: PeopleStore) -> None:
    """All is in the one file, which is copied or renamed without what stands beside it."""
    with store.read() as connection:
        if connection.is_file:
            connection.settle()


def _unlink(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
