"""What erasing does to rows, and the tombstones that keep what was erased from coming back.

An entry loses its secret and its contents and keeps its place; a passport loses everything but its places in batches.
It refuses to know who may ask for it, and it neither begins nor commits.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from carnet.vault.codes import IN_VAULT
from carnet.vault.names import NAME_BYTES, forget_names
from carnet.vault.places import drop_chain
from carnet.vault.store import Connection

TOMBSTONE_BYTES: Final = 16
ERASED_FROM: Final = ("entry", "chain", "passport_key", "submission")
"""The tables out of which an erasure takes rows or values."""


class SignedErasure(NamedTuple):
    """An erasure as it is recorded: the `cj` bytes of its document, and the node's signature."""

    document: bytes
    sig: bytes


class Tombstones:
    """Digests, under a key of their own, by which a subject or a source row is known to have been erased.

    They are made from the keyed digests that the store used before, so that these need not be kept; they cannot be
    looked for among the rows of a store without the index key. False while the store has none, which costs one look.
    """

    def __init__(self, connection: Connection, index_key: bytes) -> None:
        self._connection = connection
        self._key = hmac.digest(index_key, b"carnet/vault/tombstone\n", "sha256")
        self._has_any = connection.execute("SELECT 1 FROM tombstone LIMIT 1").fetchone() is not None

    def __bool__(self) -> bool:
        return self._has_any

    def compute_subject(self, blind: bytes) -> bytes:
        """The tombstone of an erased passport's subject, from its blind index: 16 bytes."""
        return self._compute(b"subject\n", blind)

    def compute_rows_mark(self, blind: bytes) -> bytes:
        """Says that rows about this subject were erased, so that only then each row is looked for."""
        return self._compute(b"rows\n", blind)

    def compute_row(self, blind: bytes, source: bytes) -> bytes:
        """The tombstone of a source row about this subject, from its keyed digest: 16 bytes."""
        return self._compute(b"row\n", blind + source)

    def has_subject(self, blind: bytes) -> bool:
        """Whether a passport of this subject was erased."""
        return self._has_any and self._has(self.compute_subject(blind))

    def find_rows(self, blind: bytes, sources: Iterable[bytes]) -> set[bytes]:
        """Those of the source rows, by their keyed digests, that were erased."""
        if not self._has_any or not self._has(self.compute_rows_mark(blind)):
            return set()
        return {source for source in sources if self._has(self.compute_row(blind, source))}

    def _compute(self, what: bytes, data: bytes) -> bytes:
        return blake2b(what + data, digest_size=TOMBSTONE_BYTES, key=self._key, person=b"carnet/tomb").digest()

    def _has(self, digest: bytes) -> bool:
        return self._connection.execute("SELECT 1 FROM tombstone WHERE digest = ?", (digest,)).fetchone() is not None


def write_erasure(connection: Connection, chain16: bytes, signed: SignedErasure, tombstones: Sequence[bytes]) -> int:
    """Record an erasure with its tombstones; returns its number."""
    number = int(connection.execute("SELECT coalesce(max(id), 0) + 1 FROM erasure").fetchone()[0])
    connection.execute("INSERT INTO erasure VALUES (?,?,?,?,0)", (number, chain16, signed.document, signed.sig))
    # A subject may have been erased before, and was opened anew.
    connection.executemany(
        "INSERT INTO tombstone VALUES (?,?) ON CONFLICT DO NOTHING", [(one, number) for one in sorted(tombstones)]
    )
    return number


def erase_entry(connection: Connection, chain: int, seq: int, erasure: int, fields_root: bytes) -> None:
    """Destroy the secret, the contents and the source digest of one entry; its place and its fields root stay."""
    connection.execute(
        "UPDATE entry SET source = NULL, secret = NULL, content = NULL, location = ? WHERE chain = ? AND seq = ?",
        (IN_VAULT, chain, seq),
    )
    connection.execute("INSERT INTO erased_entry VALUES (?,?,?,?)", (chain, seq, erasure, fields_root))


def erase_chain(connection: Connection, chain: int, erasure: int) -> None:
    """Destroy a chain: its key, its entries, its row with the blind index, its source digests. The places of its links
    are noted, and stay taken; a submission of which nothing else is left goes too."""
    gone = defaultdict[int, dict[int, int]](dict)
    query = "SELECT submission, kind, count(*) FROM entry WHERE chain = ? GROUP BY submission, kind"
    for submission, kind, count in connection.execute(query, (chain,)).fetchall():
        gone[submission][kind] = count
    connection.execute("INSERT INTO erased_link SELECT seal, position, ? FROM entry WHERE chain = ?", (erasure, chain))
    for table in ("erased_entry", "entry", "passport_key", "census_changed"):
        connection.execute(f"DELETE FROM {table} WHERE chain = ?", (chain,))  # noqa: S608 - our own words
    forget_names(connection, chain)
    connection.execute("DELETE FROM chain WHERE id = ?", (chain,))
    drop_chain(connection, chain, gone)


def read_erasures(connection: Connection) -> list[tuple[int, bytes, SignedErasure]]:
    """(number, chain16, erasure), in order."""
    rows = connection.execute("SELECT id, chain16, document, sig FROM erasure ORDER BY id")
    return [(number, chain16, SignedErasure(document, sig)) for number, chain16, document, sig in rows]


def find_erasures_of(connection: Connection, chain16: bytes) -> list[SignedErasure]:
    """The erasures in one passport, or of it, in order."""
    rows = connection.execute("SELECT document, sig FROM erasure WHERE chain16 = ? ORDER BY id", (chain16,))
    return [SignedErasure(document, sig) for document, sig in rows]


def count_erased_chains(connection: Connection) -> int:
    """How many chains stood here and were erased: the `erased` of a census. Spec: 3.8."""
    return int(connection.execute("SELECT count(DISTINCT erasure) FROM erased_link").fetchone()[0])


def find_fields_root(connection: Connection, chain: int, seq: int) -> bytes | None:
    """The fields root of an erased entry."""
    row = connection.execute(
        "SELECT fields_root FROM erased_entry WHERE chain = ? AND seq = ?", (chain, seq)
    ).fetchone()
    return None if row is None else bytes(row[0])


def read_traces(connection: Connection, chain: int, seqs: Sequence[int] | None) -> list[bytes]:
    """The bytes that an erasure of these entries (None: of the chain) must leave in no file: contents and wrapped
    secrets, source digests; of a chain also its wrapped key, encrypted subject, and the beginning of its blind index,
    which stands wherever all of it does."""
    query = "SELECT seq, secret, content, source FROM entry WHERE chain = ? ORDER BY seq"
    wanted = None if seqs is None else set(seqs)
    traces = [
        part for seq, *parts in connection.execute(query, (chain,)) if wanted is None or seq in wanted for part in parts
    ]
    if wanted is None:
        query = (
            f"SELECT substr(blind, 1, {NAME_BYTES}), subject, wrapped FROM chain"  # noqa: S608 - our own words
            " JOIN passport_key ON chain = chain.id WHERE chain.id = ?"
        )
        traces += connection.execute(query, (chain,)).fetchone() or ()
    return [bytes(part) for part in traces if part is not None]


def has_uncleared(connection: Connection) -> bool:
    """Whether the bytes of an erasure may still be in a file: the search for them has not ended well."""
    return connection.execute("SELECT 1 FROM erasure WHERE cleared = 0 LIMIT 1").fetchone() is not None


def mark_cleared(connection: Connection, erasures: Iterable[SignedErasure] | None = None) -> None:
    """Note that no file holds bytes of these erasures, or with None of any so far."""
    if erasures is None:
        connection.execute("UPDATE erasure SET cleared = 1 WHERE cleared = 0")
        return
    for one in erasures:
        connection.execute("UPDATE erasure SET cleared = 1 WHERE cleared = 0 AND document = ?", (one.document,))


def empty_log(connection: Connection) -> bool:
    """Move everything from the write-ahead log into the store and cut the log to nothing. False where a reader still
    needs it; what was erased is then still in it."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rewrite_store(connection: Connection) -> None:
    """Write the whole store anew, so that no page keeps a copy that a page split left behind. Takes as much room as
    the store for as long."""
    connection.execute("PRAGMA temp_store = FILE")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")
