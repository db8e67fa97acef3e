"""Erasing on purpose: what is recorded and signed, the journal outside the store, and how an erasure is carried out.

    plan ─▶ a line of the journal, on the disk ─▶ one transaction ─▶ the write-ahead log cut ─▶ the files searched

Once its line is on the disk an erasure has begun, and whoever opens the home for writing finishes it; an older copy of
the store that is put back meets it there again. It refuses to know who may ask for an erasure.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from carnet.encoding import b64, decode, encode, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.ledger.rules.members import Member
from carnet.ledger.state import State
from carnet.node.home import Home
from carnet.node.jobs import ChainRef
from carnet.node.keyring import KeyRing
from carnet.node.lookup import Kinds, get_chain_by_number, open_content
from carnet.node.reader import compute_opened_root
from carnet.node.searching import find_files_with
from carnet.signing import Signer, verify
from carnet.types import KeyRole
from carnet.vault.disk import sync_directory
from carnet.vault.erasing import (
    ERASED_FROM,
    SignedErasure,
    Tombstones,
    empty_log,
    erase_chain,
    erase_entry,
    read_erasures,
    read_traces,
    rewrite_store,
    write_erasure,
)
from carnet.vault.names import find_number
from carnet.vault.scratch import COPIES, remove_left
from carnet.vault.store import Connection

REASONS: Final = (
    "holder_request",
    "consent_withdrawn",
    "retention_over",
    "unlawful",
    "court_order",
    "test_data",
    "other",
)
"""Why something is erased. A code and never a text: a text would hold what is to be erased."""

MAX_JOURNAL_LINE: Final = 64 * 1024 * 1024
WAIT_FOR_READERS_S: Final = 5.0

_TAG: Final = b"carnet/erasure/1\n"

Document = dict[str, Any]


class Traces(NamedTuple):
    """What became of the bytes on the disk: how many were searched in which files, whether the write-ahead log could be
    cut, whether the store was rewritten, and the files in which something was still found.

    Of a store on a server only the home's files can be searched: there `is_log_empty` says that the tables were written
    anew, and that no session saw what was in them any more.
    """

    byte_count: int
    files: tuple[str, ...]
    is_log_empty: bool
    is_rewritten: bool
    found_in: tuple[str, ...]
    is_on_server: bool = False

    @property
    def is_gone(self) -> bool:
        """Whether nothing of what was erased is in any file of the home."""
        return self.is_log_empty and not self.found_in


# ---- what is recorded


def plan_erasure(
    connection: Connection,
    ring: KeyRing,
    state: State,
    node: bytes,
    chain: ChainRef,
    seqs: Sequence[int] | None,
    reason: str,
    at: int,
) -> SignedErasure:
    """The signed record of erasing these entries of a chain, or with None the whole of it. Nothing is written.

    Raises Refused NOT_IN_LIST (reason), UNKNOWN_TARGET (no such entry), TARGET_IS_OPENING (seq 0 alone), ERASED (an
    entry that is gone already), ELSEWHERE_NOT_ALLOWED (contents that are kept at their source).
    """
    if reason not in REASONS:
        raise Refused(Reason.NOT_IN_LIST, f"the reason is one of {', '.join(REASONS)}", reason_code=reason)
    entries = None if seqs is None else [_plan_entry(connection, chain, seq) for seq in sorted(set(seqs))]
    if entries == []:
        raise Refused(Reason.UNKNOWN_TARGET, "no entry was named")
    links = submissions = None
    if seqs is None:
        query = "SELECT seal, position FROM entry WHERE chain = ? ORDER BY seal, position"
        links = [list(row) for row in connection.execute(query, (chain.id,))]
        query = "SELECT DISTINCT submission FROM entry WHERE chain = ? ORDER BY submission"
        submissions = [row[0] for row in connection.execute(query, (chain.id,))]
    document = encode(
        {
            "at": at,
            "by": node.hex(),
            "entries": entries,
            "links": links,
            "log_size": state.size,
            "passport": chain.chain16.hex(),
            "reason": reason,
            "submissions": submissions,
            "tombstones": [b64(one) for one in sorted(_make_tombstones(connection, ring, chain, seqs))],
        }
    )
    return SignedErasure(document, Signer(ring.node).sign(_TAG + state.net + document))


def _plan_entry(connection: Connection, chain: ChainRef, seq: int) -> Document:
    row = connection.execute(
        "SELECT sid, secret, content, schema.kind FROM entry JOIN schema ON schema.id = entry.kind"
        " WHERE chain = ? AND seq = ?",
        (chain.id, seq),
    ).fetchone()
    if row is None:
        raise Refused(Reason.UNKNOWN_TARGET, f"this passport has no entry #{seq}", seq=seq)
    if seq == 0:
        raise Refused(Reason.TARGET_IS_OPENING, "the opening is not erased alone: erase the whole passport", seq=0)
    if row[1] is None:
        raise Refused(Reason.ERASED, f"entry #{seq} is erased already", seq=seq)
    if row[2] is None:
        raise Refused(
            Reason.ELSEWHERE_NOT_ALLOWED,
            f"the contents of entry #{seq} are at their source: have them erased there, or erase the whole passport",
            seq=seq,
        )
    return {"kind": row[3], "seq": seq, "sid": b64(row[0])}


def _make_tombstones(connection: Connection, ring: KeyRing, chain: ChainRef, seqs: Sequence[int] | None) -> set[bytes]:
    blind = connection.execute("SELECT blind FROM chain WHERE id = ?", (chain.id,)).fetchone()[0]
    if blind is None:
        # A journal: nothing imports into it, and no subject leads to it.
        return set()
    made = Tombstones(connection, ring.index)
    query = "SELECT seq, source FROM entry WHERE chain = ? AND source IS NOT NULL"
    sources = connection.execute(query, (chain.id,)).fetchall()
    rows = {made.compute_row(blind, source) for seq, source in sources if seqs is None or seq in seqs}
    marks = {made.compute_rows_mark(blind)} if rows else set()
    return rows | marks | ({made.compute_subject(blind)} if seqs is None else set())


def parse_erasure(signed: SignedErasure, net: bytes, node: Member) -> Document:
    """The document of an erasure that this node signed; raises Unverified("malformed", "erasure_signature_invalid")."""
    document = cast("Document", decode(signed.document, max_bytes=MAX_JOURNAL_LINE))
    message = _TAG + net + signed.document
    keys = [key.key for key in node.keys if key.role == KeyRole.NODE]
    if not any(verify(key, message, signed.sig) for key in keys):
        raise Unverified("erasure_signature_invalid", "this node did not sign that erasure")
    return document


# ---- the journal


class ErasureJournal:
    """The file beside the store in which every erasure stands before it is carried out, one line each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[SignedErasure]:
        """All erasures, in order. A last line that is cut or torn was never begun, and is left out; any other that
        cannot be read raises Refused(NODE_DAMAGED)."""
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().split(b"\n")
        found = []
        for at, line in enumerate(lines[:-1]):
            try:
                found.append(_parse_line(line))
            except (Unverified, KeyError, TypeError) as error:
                if at < len(lines) - 2 or lines[-1]:
                    why = f"{self._path.name}: line {at + 1} cannot be read"
                    raise Refused(
                        Reason.NODE_DAMAGED, f"{why}: put the newest copy back", table=self._path.name, line=at + 1
                    ) from error
        return found

    def append(self, signed: Sequence[SignedErasure]) -> None:
        """Add erasures; when it returns they are on the disk, and have begun. The journal beside a backup is written by
        whoever backs up and whoever erases: one after the other."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            whole = b"".join(_write_line(one) for one in self.read())
            os.fchmod(descriptor, 0o600)
            # What a kill has left behind the last whole line goes; whole lines are never touched.
            os.ftruncate(descriptor, len(whole))
            os.lseek(descriptor, 0, os.SEEK_END)
            data = memoryview(b"".join(_write_line(one) for one in signed))
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(self._path.parent)


def _write_line(signed: SignedErasure) -> bytes:
    return encode({"document": decode(signed.document, max_bytes=MAX_JOURNAL_LINE), "sig": b64(signed.sig)}) + b"\n"


def _parse_line(line: bytes) -> SignedErasure:
    said = cast("Document", decode(line, max_bytes=MAX_JOURNAL_LINE))
    return SignedErasure(encode(said["document"]), unb64(said["sig"], 64))


def find_missing(connection: Connection, journal: Iterable[SignedErasure]) -> list[SignedErasure]:
    """The erasures of the journal that the store lacks: begun and killed, or the store is an older copy."""
    stored = {signed.document for _, _, signed in read_erasures(connection)}
    return [signed for signed in journal if signed.document not in stored]


def find_unwritten(connection: Connection, journal: Iterable[SignedErasure]) -> list[SignedErasure]:
    """The erasures of the store that the journal lacks: it was lost, and with it what a restored copy would meet."""
    written = {signed.document for signed in journal}
    return [signed for _, _, signed in read_erasures(connection) if signed.document not in written]


# ---- carrying it out


def apply_erasure(
    connection: Connection, ring: KeyRing, kinds: Kinds, net: bytes, node: Member, signed: SignedErasure
) -> bool:
    """Carry out one erasure within the caller's transaction, on whatever of it this store holds; whether a chain went,
    so that a census is owed. In a copy that never had the passport only the record and its tombstones are kept."""
    document = parse_erasure(signed, net, node)
    chain16 = bytes.fromhex(document["passport"])
    chain = find_number(connection, "chain16", chain16)
    number = write_erasure(connection, chain16, signed, [unb64(one) for one in document["tombstones"]])
    if chain is None:
        return False
    if document["entries"] is None:
        erase_chain(connection, chain, number)
        return True
    ref = get_chain_by_number(connection, ring, chain)
    for entry in document["entries"]:
        fields_root = _find_root_to_keep(connection, kinds, ref, entry["seq"], unb64(entry["sid"]))
        if fields_root is not None:
            erase_entry(connection, ref.id, entry["seq"], number, fields_root)
    return False


def read_traces_of(connection: Connection, signed: SignedErasure) -> list[bytes]:
    """The bytes of what this erasure is about, as far as the store still has them; ask before it is carried out."""
    document = cast("Document", decode(signed.document, max_bytes=MAX_JOURNAL_LINE))
    chain = find_number(connection, "chain16", bytes.fromhex(document["passport"]))
    if chain is None:
        return []
    entries = document["entries"]
    return read_traces(connection, chain, None if entries is None else [entry["seq"] for entry in entries])


def is_of_older_copy(signed: SignedErasure, size: int) -> bool:
    """Whether the log was longer when this was erased than it is here: an older copy of the store was put back."""
    return cast("int", cast("Document", decode(signed.document, max_bytes=MAX_JOURNAL_LINE))["log_size"]) > size


def _find_root_to_keep(connection: Connection, kinds: Kinds, ref: ChainRef, seq: int, sid: bytes) -> bytes | None:
    query = "SELECT kind, secret, content FROM entry WHERE chain = ? AND seq = ? AND sid = ?"
    row = connection.execute(query, (ref.id, seq, sid)).fetchone()
    if row is None or row[1] is None:
        return None
    kind, names = kinds.names_of[row[0]]
    return compute_opened_root(open_content(ref, kind, names, sid, row[1], row[2]))


# ---- the bytes on the disk


def clear_traces(
    connection: Connection, home: Home, traces: Sequence[bytes], *, patience_s: float = WAIT_FOR_READERS_S
) -> Traces:
    """Cut the write-ahead log, then search the bytes that were erased in the files of the home, as one would who wants
    them back; where a page split has left a copy, write the store anew."""
    # A copy that a killed backup was making has the keys, too: it is no file of the home that anybody needs.
    remove_left(COPIES, home.path)
    is_empty = _clear(connection, patience_s)
    found = find_files_with(list_files(home), traces)
    is_rewritten = connection.is_file and home.store in found
    if is_rewritten:
        rewrite_store(connection)
        is_empty = _empty_log(connection, patience_s)
        found = find_files_with(list_files(home), traces)
    files = list_files(home)
    return Traces(
        byte_count=sum(_measure(file) for file in files),
        files=tuple(file.name for file in files),
        is_log_empty=is_empty,
        is_rewritten=is_rewritten or (not connection.is_file and is_empty),
        found_in=tuple(sorted(file.name for file in found)),
        is_on_server=not connection.is_file,
    )


def clear_all_traces(connection: Connection, *, patience_s: float) -> bool:
    """Where a kill came between an erasure and the search for its bytes, these are not known any more: then the whole
    store is written anew. Whether nothing is left."""
    if not _clear(connection, patience_s):
        return False
    if not connection.is_file:
        return True
    rewrite_store(connection)
    return _empty_log(connection, patience_s)


def find_older_stores(home: Home) -> list[Path]:
    """The files of the home that were its store before a move, or that a move has not finished: none of them is written
    to any more, and each keeps what was erased later."""
    found = [*home.path.glob(f"{home.store.name}.moved-*"), home.moving]
    return sorted(file for file in found if file.is_file() and not file.name.endswith(("-wal", "-shm")))


def list_files(home: Home) -> list[Path]:
    """The files of a home in which contents could be: the store, what SQLite keeps beside it, the journal."""
    # Notes about backups are replaced by whoever makes or tries one, and may go while they are looked at.
    notes = (home.last_backup.name, home.last_drill.name)
    other = (home.keys.name, home.lock.name, *notes, *(f"{note}.new" for note in notes))
    return sorted(file for file in home.path.iterdir() if file.name not in other and file.is_file())


def _clear(connection: Connection, patience_s: float) -> bool:
    """Whether what was deleted has left the write-ahead log of a file, or the tables of a server; what a server keeps
    beside its tables (its own write-ahead log) no client can reach."""
    if connection.is_file:
        return _empty_log(connection, patience_s)
    return connection.rewrite_tables(ERASED_FROM, patience_s)


def _empty_log(connection: Connection, patience_s: float) -> bool:
    """Try again while readers look at an older moment: they end, or they refresh."""
    (timeout,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 100")
    try:
        deadline = time.monotonic() + patience_s
        while not (is_empty := empty_log(connection)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return is_empty
    finally:
        connection.execute(f"PRAGMA busy_timeout = {timeout}")


def _measure(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        # SQLite removes what it keeps beside a store when the last one who had it open closes it.
        return 0
