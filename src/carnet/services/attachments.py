"""Files that a holder adds to a passport: what is taken, how much, and that they go when their entry goes.

What a file is, is read from its first bytes, never from its name. It refuses to know what a picture shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.home import Home, write_private
from carnet.node.jobs import ChainRef
from carnet.node.people import get_people_address, open_people
from carnet.node.reader import Reader
from carnet.services.documents import list_digests
from carnet.services.reading import open_reader
from carnet.types import Millis
from carnet.vault.attachments import (
    compute_file_id,
    drop_files,
    find_kept,
    keep_file,
    list_chains,
    list_ids,
    measure_files,
    read_file,
)
from carnet.vault.disk import explained_disk_errors
from carnet.vault.people.store import PeopleStore, has_people
from carnet.vault.store import open_store

MAX_FILE_BYTES: Final = 5_000_000
MAX_PASSPORT_BYTES: Final = 200_000_000
"""What one passport may keep: some hundred photos."""

_BEGUN: Final = "files-to-erase-"

_STARTS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"%PDF-", "application/pdf"),
)


def find_media_type(data: bytes) -> str | None:
    """What a file is, by its first bytes: JPEG, PNG, WebP or PDF; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for start, media_type in _STARTS if data.startswith(start)), None)


def check_file(data: bytes) -> None:
    """Raise Refused REQUEST_TOO_LARGE, WRONG_MEDIA_TYPE for a file that is not taken."""
    if len(data) > MAX_FILE_BYTES:
        raise Refused(Reason.REQUEST_TOO_LARGE, f"a file has at most {MAX_FILE_BYTES:,} bytes", field="file")
    if find_media_type(data) is None:
        raise Refused(Reason.WRONG_MEDIA_TYPE, "a file is a JPEG, PNG or WebP picture, or a PDF", field="file")


def keep(people: PeopleStore, chain: ChainRef, data: bytes, *, salt: bytes, now: Millis) -> str:
    """Keep a file with a passport, durably; returns its SHA-256 (hexadecimal), which the entry must name. Raises as
    `check_file`, and REQUEST_TOO_LARGE for a passport that keeps too much."""
    check_file(data)
    with people.write() as connection:
        if measure_files(connection, chain.chain16) + len(data) > MAX_PASSPORT_BYTES:
            raise Refused(Reason.REQUEST_TOO_LARGE, "this passport keeps as many files as it may", field="file")
        return keep_file(connection, chain.chain16, chain.key, data, salt=salt, now=now)


def find(people: PeopleStore, chain: ChainRef, digest: str) -> tuple[bytes, str] | None:
    """A file of a passport and what it is; None where it is not kept."""
    with people.read() as connection:
        data = read_file(connection, chain.chain16, chain.key, digest)
    return None if data is None else (data, find_media_type(data) or "application/octet-stream")


def list_kept(people: PeopleStore, chain: ChainRef, digests: Iterable[str]) -> set[str]:
    """Which of these files (SHA-256, hexadecimal) are kept here."""
    with people.read() as connection:
        return find_kept(connection, chain.chain16, chain.key, digests)


def list_file_ids(chain: ChainRef, fields: Sequence[dict[str, object]]) -> list[bytes]:
    """The ids of the files that these entries name: to be asked before the entries are erased, whose contents name
    them."""
    return [compute_file_id(chain.key, digest) for one in fields for digest in list_digests(one)]


class _Begun(msgspec.Struct, frozen=True):
    """An erasure whose files are still to go: of which passport, and which files (None: all). Ids in hexadecimal."""

    passport: str
    ids: tuple[str, ...] | None


def begin_erasing(home: Home, passport: bytes, ids: Sequence[bytes] | None) -> None:
    """Note, durably, that the files of entries (by their ids), or all of a passport, go when these are erased: whoever
    is killed in between leaves it to `finish_erasing`."""
    begun = _Begun(passport.hex(), None if ids is None else tuple(own.hex() for own in ids))
    with explained_disk_errors(home.path):
        write_private(home.path / f"{_BEGUN}{os.urandom(8).hex()}", msgspec.json.encode(begun))


def finish_erasing(home: Home, passphrase: str | None) -> int:
    """Delete the files whose erasure was begun and that no entry names any more; returns how many. Of an erasure that
    was refused, or killed before it was carried out, all stay. On SQLite what is deleted is overwritten, and the
    store's write-ahead log cut."""
    notes = [path for path in home.path.glob(f"{_BEGUN}*") if path.suffix != ".new"]
    if not notes:
        return 0
    count = 0
    if _has_files(home):
        with open_people(home, passphrase).store as people, open_reader(home, passphrase) as reader:
            for path in notes:
                # Absent: whoever finishes the same beside us was quicker.
                with suppress(FileNotFoundError):
                    count += _drop_begun(people, reader, msgspec.json.decode(path.read_bytes(), type=_Begun))
            if count:
                _cut_log(home, people)
    for path in notes:
        path.unlink(missing_ok=True)
    return count


def _drop_begun(people: PeopleStore, reader: Reader, begun: _Begun) -> int:
    passport = bytes.fromhex(begun.passport)
    is_gone = reader.find_head(passport) is None
    if begun.ids is None and not is_gone:
        return 0
    named = _list_named(reader, passport)
    ids = None if begun.ids is None else [own for own in map(bytes.fromhex, begun.ids) if own not in named]
    with people.write() as connection:
        return drop_files(connection, passport, ids)


def sweep(home: Home, passphrase: str | None) -> int:
    """Delete every file that no entry names: those of entries and passports that were erased again in a restored
    copy, and those whose entry was refused. Returns how many. Not while the service runs: a file is kept a moment
    before its entry."""
    if not _has_files(home):
        return 0
    count = 0
    with open_people(home, passphrase).store as people, open_reader(home, passphrase) as reader:
        with people.read() as connection:
            chains = list_chains(connection)
        for chain in chains:
            named = _list_named(reader, chain)
            with people.write() as connection:
                count += drop_files(connection, chain, [own for own in list_ids(connection, chain) if own not in named])
        if count:
            _cut_log(home, people)
    return count


def _list_named(reader: Reader, passport: bytes) -> set[bytes]:
    """The ids of the files that the entries of a passport name; none of one that was erased."""
    if reader.find_head(passport) is None:
        return set()
    fields = [dict(entry.fields) for entry in reader.read_entries(passport) if entry.fields is not None]
    return set(list_file_ids(reader.get_chain(passport), fields))


def _has_files(home: Home) -> bool:
    """Whether there is a store that may keep any: none is made to look into it."""
    address = get_people_address(home)
    if not isinstance(address, str):
        return address.exists()
    store = open_store(address, is_read_only=True)
    try:
        return has_people(store.connection)
    finally:
        store.close()


def _cut_log(home: Home, people: PeopleStore) -> None:
    if not isinstance(get_people_address(home), str):
        with people.read() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
