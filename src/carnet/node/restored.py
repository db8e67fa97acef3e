"""A copy that was restored from a backup: it reads, and writes only after it was shown the newest signed head of its
log, from outside.

A copy cannot know that it is old (format, "Erasing, restoring, versions"). If it wrote on an old end, its log would
have two faces. It refuses to guess: a mark in the home stands until the head is shown. A database may be put back
without its node being asked; there the home itself is outside, and keeps the newest head.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from carnet.encoding import decode, encode
from carnet.errors import Reason, Refused, Unverified
from carnet.node.home import Home, write_private
from carnet.node.logbook import read_node
from carnet.proof.bundle import read_bundle
from carnet.tlog.checkpoint import Checkpoint, log_key, open_checkpoint, parse_body
from carnet.tlog.note import parse_note
from carnet.tlog.tree import root_from
from carnet.vault.disk import sync_directory
from carnet.vault.ledger import parse_genesis, parse_record, read_leaf, read_log_size
from carnet.vault.store import Connection, open_store

MAX_HEAD_BYTES: Final = 64 * 1024 * 1024

_RESTORED: Final = "restored/1"


class Mark(NamedTuple):
    """What stands in the mark: when the backup was made and when it was restored (ms), and the size of its log."""

    backup_at: int
    restored_at: int
    log_size: int


class Shown(NamedTuple):
    """A head that allowed a copy to write. `is_older` says that the copy itself keeps a newer one, so that this one
    taught it nothing."""

    checkpoint: Checkpoint
    own_size: int
    log_size: int

    @property
    def is_older(self) -> bool:
        """Whether the copy knew a newer head than the one that it was shown."""
        return self.checkpoint.size < self.own_size


def write_mark(path: Path, mark: Mark) -> None:
    """Mark the home whose mark stands at `path`."""
    document = {
        "backup_at": mark.backup_at,
        "carnet": _RESTORED,
        "log_size": mark.log_size,
        "restored_at": mark.restored_at,
    }
    write_private(path, encode(document) + b"\n")


def find_mark(home: Home) -> Mark | None:
    """The mark of a restored copy; None for a home that may write. Raises Refused(NODE_DAMAGED) for a mark that cannot
    be read: it still forbids to write."""
    try:
        data = home.restored.read_bytes()
    except FileNotFoundError:
        return None
    try:
        document = cast("dict[str, Any]", decode(data.removesuffix(b"\n")))
        if document["carnet"] != _RESTORED:
            raise Unverified("malformed")
        return Mark(document["backup_at"], document["restored_at"], document["log_size"])
    except (Unverified, Refused, KeyError, TypeError):
        saying = f"{home.restored.name} cannot be read: restore the backup again"
        raise Refused(Reason.NODE_DAMAGED, saying, table=home.restored.name) from None


def check_may_write(home: Home) -> None:
    """Raise Refused(RESTORED_COPY) for a copy that was not shown the newest head of its log."""
    mark = find_mark(home)
    if mark is None:
        return
    raise Refused(
        Reason.RESTORED_COPY,
        f"this home was restored from a backup ({mark.log_size:,} log records) and cannot know whether that was the"
        " newest: it only reads until it is shown the newest signed head of its log",
        log_size=mark.log_size,
    )


def find_what_is_lost(home: Home, connection: Connection) -> Refused | None:
    """Of a store in a database, the refusal STALE_COPY or OTHER_HISTORY if it lacks what was signed from this home: an
    older copy was put back, or a standby took over that had not received all. Raises Refused(NODE_DAMAGED) for a head
    that cannot be read."""
    if connection.is_file:
        return None
    try:
        data = home.signed_head.read_bytes()
    except FileNotFoundError:
        return None
    try:
        check_head(connection, data)
    except Refused as refused:
        return refused
    except Unverified as error:
        name = home.signed_head.name
        saying = f"{name} is no signed head of this log; the newest that anybody has may take its place"
        raise Refused(Reason.NODE_DAMAGED, saying, table=name) from error
    return None


def check_is_not_behind(data: bytes, size: int) -> None:
    """Raise Refused(STALE_COPY) for a head that is larger than a log of `size` records, whoever signed it: a quick look
    before a long restore. Raises Unverified for what is no head."""
    head = parse_body(parse_note(_find_note(data)).text)
    if head.size > size:
        raise _stale(head.size, size)


def check_head(connection: Connection, data: bytes) -> Shown:
    """Compare a signed head of this log, or the head in a proof, with the store; raises unless the store holds all that
    the head stands for.

    Raises Unverified for what is no signed head of this log, Refused(STALE_COPY) with the number of `missing` records,
    Refused(OTHER_HISTORY) where the log signed something else than is stored.
    """
    genesis = parse_genesis(parse_record(read_leaf(connection, 0))["genesis"])
    note = _find_note(data)
    head = open_checkpoint(note, log_key(genesis.origin, genesis.log_key)).checkpoint
    size = read_log_size(connection)
    if head.size > size:
        raise _stale(head.size, size)
    if head.size == 0 or root_from(lambda level, index: read_node(connection, level, index), head.size) != head.root:
        raise Refused(
            Reason.OTHER_HISTORY,
            f"the log has signed another history than this one: its first {head.size:,} records are not those here",
            signed=head.size,
        )
    row = connection.execute("SELECT max(size) FROM checkpoint").fetchone()
    return Shown(head, row[0] or 0, size)


def show_head(home: Home, data: bytes) -> Shown:
    """Let a restored copy write again, if the head that it is shown is none that it lacks; the caller holds the lock.

    Nothing can show that no newer head exists: whoever calls says so. Raises as `check_head` does, and
    Refused(NODE_EXISTS) for a home that may write already.
    """
    mark = find_mark(home)
    if mark is None:
        raise Refused(Reason.NODE_EXISTS, "this home is no restored copy, or was shown a head before: it may write")
    with open_store(home.address, is_read_only=True) as store:
        shown = check_head(store.connection, data)
    home.restored.unlink()
    sync_directory(home.path)
    return shown


def _stale(signed: int, here: int) -> Refused:
    return Refused(
        Reason.STALE_COPY,
        f"this copy is stale: the log has signed {signed:,} records, and {signed - here:,} of them are not here",
        here=here,
        missing=signed - here,
        signed=signed,
    )


def _find_note(data: bytes) -> bytes:
    """The note itself, or that of a proof (`carnet export`)."""
    if data[:1] != b"{":
        return data
    return read_bundle(data).ground.checkpoint
