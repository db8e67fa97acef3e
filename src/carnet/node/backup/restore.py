"""Restoring a backup into a new home: opened chunk by chunk, checked, erased again where the journal says so, and only
then given its name.

    staging folder ─▶ parts, keys under another name ─▶ the log's root ─▶ erasures ─▶ keys ─▶ fsck ─▶ named

Whatever happens before the last step, there is no node. What comes out only reads, until it is shown the newest head
of its log (`node.restored`). It refuses to write over anything, and into the log.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from carnet.encoding import unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.node.backup.contents import KEYS, STORE, Part, read_parts
from carnet.node.backup.envelope import Header, Opener, open_chunks, read_header
from carnet.node.backup.staging import stage
from carnet.node.backup.take import Progress, get_journal_beside, read_moment
from carnet.node.erasing import (
    ErasureJournal,
    apply_erasure,
    clear_traces,
    find_missing,
    parse_erasure,
    read_traces_of,
)
from carnet.node.fsck import check_home
from carnet.node.home import Home
from carnet.node.keyring import KeyRing, load_key_ring
from carnet.node.logbook import read_logbook
from carnet.node.lookup import Kinds
from carnet.node.people import forget_sessions
from carnet.node.restored import Mark, Shown, check_head, write_mark
from carnet.node.selfcheck import check_store
from carnet.vault.erasing import SignedErasure, has_uncleared, mark_cleared
from carnet.vault.ledger import read_schemas
from carnet.vault.store import Connection, open_store


class About(NamedTuple):
    """What a backup says of itself: origin, network id, size and root of the log, when it was made (ms), bytes of the
    store; whether a key file opens it. Proved only when it was opened."""

    origin: str
    net: bytes
    log_size: int
    root: bytes
    at: int
    store_bytes: int
    is_for_key: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What to do beside opening: the key ring's passphrase, further journals of erasures, the newest signed head of the
    log (or a proof that holds it), whether to check everything (`fsck`)."""

    ring_passphrase: str | None = None
    journals: Sequence[Path] = ()
    head: bytes | None = None
    is_checked: bool = False


class Restored(NamedTuple):
    """A restored copy: what it is, where, from which journals it took erasures and how many were carried out anew;
    whether nothing of them is left in its files; the head that lets it write (None: it only reads)."""

    about: About
    home: Path
    journals: tuple[Path, ...]
    erased_count: int
    is_gone: bool
    shown: Shown | None


def read_about(file: Path) -> About:
    """What the backup says of itself in clear. Raises OSError, Refused(UNREADABLE_FILE, BACKUP_ALTERED)."""
    with file.open("rb") as opened:
        return _parse_about(read_header(opened))


def restore_backup(
    file: Path,
    home: Home,
    opener: Opener,
    *,
    now: int,
    wish: Wish | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    finish: Callable[[Home], object] = lambda _: None,
) -> Restored:
    """Make `home` (absent, or an empty folder) a copy of what is in the backup; `now` is in ms. Without the newest head
    it only reads. `finish` is given the copy before it has its name: a kill leaves none that it did not end with.

    The journal of erasures beside the backup is applied if it is there. Raises Refused: NODE_EXISTS for a home that
    is not empty; UNREADABLE_FILE, BACKUP_ALTERED, WRONG_PASSPHRASE (fact `of`: backup or keys), NODE_DAMAGED for a
    store that is not what it says; STALE_COPY, OTHER_HISTORY for the head; WRITER_BUSY for a second restore to the
    same place; Unverified for a head of another log and for an erasure that this node did not sign; OSError. Then
    there is no such home.
    """
    wish = wish or Wish()
    with file.open("rb") as opened:
        header = read_header(opened)
        about = _parse_about(header)
        chunks = open_chunks(opened, header, opener)
        with stage(home) as staging:
            _write_parts(staging, chunks, about, progress)
            forget_sessions(staging)
            ring = _load_ring(staging, wish.ring_passphrase)
            journals = _list_journals(file, about, wish.journals)
            shown, erased, is_gone = _check_and_erase(staging, about, ring, journals, wish.head)
            if shown is None:
                # The mark stands before there are keys: at no instant could anybody write.
                write_mark(staging.restored, Mark(about.at, now, about.log_size))
            staging.keys_waiting.replace(staging.keys)
            if wish.is_checked:
                _check_all(staging, wish.ring_passphrase)
            finish(staging)
    return Restored(about, home.path, tuple(journals), erased, is_gone, shown)


def apply_journals(home: Home, ring: KeyRing, journals: Sequence[Path]) -> tuple[int, bool]:
    """Carry out, in a copy that may not write, what newer journals say was erased; (how many, whether nothing is left
    in the files). No record is added to the log. The caller holds the lock. Raises as `restore_backup`."""
    with open_store(home.store) as store:
        return _apply(home, store.connection, ring, _merge(home, journals))


def _parse_about(header: Header) -> About:
    try:
        document = header.document
        return About(
            str(document["origin"]),
            unb64(document["net"], 32),
            int(document["log_size"]),
            unb64(document["root"], 32),
            int(document["at"]),
            int(document["store_bytes"]),
            header.is_for_key,
        )
    except (Unverified, KeyError, TypeError, ValueError) as error:
        raise Refused(Reason.BACKUP_ALTERED, f"this backup says not what it holds: {error}") from None


def _write_parts(staging: Home, chunks: Iterator[bytes], about: About, progress: Callable[[Progress], None]) -> None:
    for part in read_parts(chunks):
        path = staging.keys_waiting if part.name == KEYS else staging.path / part.name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            _write_part(file, part, progress if part.name == STORE else lambda _: None)
            file.flush()
            os.fsync(file.fileno())


def _write_part(file: IO[bytes], part: Part, progress: Callable[[Progress], None]) -> None:
    done = 0
    for piece in part.pieces:
        file.write(piece)
        done += len(piece)
        progress(Progress("opening", done, part.size))


def _load_ring(staging: Home, passphrase: str | None) -> KeyRing:
    try:
        return load_key_ring(staging.keys_waiting, passphrase)
    except Refused as refused:
        if refused.reason is not Reason.WRONG_PASSPHRASE:
            raise
        saying = f"the backup opens, and in it {refused.message}: name it with --keys-passphrase-file"
        raise Refused(Reason.WRONG_PASSPHRASE, saying, of="keys") from None


def _list_journals(file: Path, about: About, named: Sequence[Path]) -> list[Path]:
    """The journal beside the backup, if it is there, and those that were named, which must be."""
    beside = get_journal_beside(file, about.net)
    for path in named:
        if not path.is_file():
            raise Refused(Reason.UNREADABLE_FILE, f"there is no journal of erasures at {path}", file=str(path))
    return ([beside] if beside.is_file() and beside not in named else []) + list(named)


def _check_and_erase(
    staging: Home, about: About, ring: KeyRing, journals: Sequence[Path], head: bytes | None
) -> tuple[Shown | None, int, bool]:
    with open_store(staging.store) as store:
        connection = store.connection
        moment = read_moment(connection)
        if (moment.net, moment.log_size, moment.root) != (about.net, about.log_size, about.root):
            saying = f"the store's log ({moment.log_size:,} records) is not the one that the backup names"
            raise Refused(Reason.NODE_DAMAGED, saying, table="log_record")
        book = read_logbook(connection)
        ring.check_is_of(book.state.genesis.log_key)
        check_store(connection, book)
        shown = None if head is None else check_head(connection, head)
        return shown, *_apply(staging, connection, ring, _merge(staging, journals))


def _merge(home: Home, journals: Sequence[Path]) -> list[SignedErasure]:
    """All erasures, in the home's own journal too, from where a writer would take them."""
    own = ErasureJournal(home.erasures)
    known = own.read()
    documents = {one.document for one in known}
    new = []
    for path in journals:
        for one in ErasureJournal(path).read():
            if one.document not in documents:
                documents.add(one.document)
                new.append(one)
    return known + new


def _apply(home: Home, connection: Connection, ring: KeyRing, erasures: Sequence[SignedErasure]) -> tuple[int, bool]:
    """As the writer carries them out, but nothing goes into the log: no census, and no checkpoint."""
    state = read_logbook(connection).state
    node = state.members.get(state.genesis.founders[0].member)
    for one in erasures:
        parse_erasure(one, state.net, node)
    journal = ErasureJournal(home.erasures)
    written = {one.document for one in journal.read()}
    journal.append([one for one in erasures if one.document not in written])
    missing = find_missing(connection, erasures)
    if not missing:
        return 0, not has_uncleared(connection)
    traces = [trace for one in missing for trace in read_traces_of(connection, one)]
    kinds = Kinds(read_schemas(connection))
    connection.begin_write()
    for one in missing:
        apply_erasure(connection, ring, kinds, state.net, node, one)
    connection.commit()
    found = clear_traces(connection, home, traces)
    if found.is_gone:
        connection.begin_write()
        mark_cleared(connection, missing)
        connection.commit()
    return len(missing), found.is_gone


def _check_all(staging: Home, passphrase: str | None) -> None:
    findings = check_home(staging.path, passphrase=passphrase)
    if findings:
        saying = f"the backup opens, but {len(findings):,} things in it are not what was signed: {findings[0]}"
        raise Refused(Reason.NODE_DAMAGED, saying, findings=len(findings))
