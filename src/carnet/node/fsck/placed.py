"""What many entries share: the leaves of each batch, and what each author signed.

Both are checked against signatures here, so that an entry that does not fit them later is itself what is wrong.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from carnet.encoding import unb64
from carnet.errors import Refused, Unverified
from carnet.ledger.batch import parse_batch
from carnet.node.fsck.erased import Erasures
from carnet.node.fsck.findings import Findings
from carnet.node.fsck.log import CheckedLog
from carnet.node.fsck.replay import History
from carnet.passport.statement import compute_submission
from carnet.signing import key_digest, verify
from carnet.tlog.tree import HASH_BYTES, MerkleTree
from carnet.vault.ledger import parse_record
from carnet.vault.names import count_surplus_names, find_shared_names
from carnet.vault.places import decode_kinds, decode_places
from carnet.vault.store import Connection

CACHE_BYTES = 64 * 1024 * 1024


class Blobs:
    """Leaf hashes by number, read when they are asked for; at most 64 MiB are kept, whatever the store's size."""

    def __init__(self, read: Callable[[int], bytes | None]) -> None:
        self._read = read
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0

    def find(self, number: int, position: int) -> bytes | None:
        """The hash at this position, or None."""
        blob = self._kept.get(number)
        if blob is None:
            blob = self._read(number) or b""
            self._kept[number] = blob
            self._size += len(blob)
            while self._size > CACHE_BYTES and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
        else:
            self._kept.move_to_end(number)
        at = position * HASH_BYTES
        return blob[at : at + HASH_BYTES] if position >= 0 and at + HASH_BYTES <= len(blob) else None


class Seals(NamedTuple):
    """Batches that agree with their seals: class and count by log index."""

    classes: dict[int, int]
    counts: dict[int, int]


def open_leaves(connection: Connection) -> Blobs:
    """The leaf hashes of each batch, by the log index of its seal."""

    def read(index: int) -> bytes | None:
        row = connection.execute("SELECT leaves FROM seal WHERE idx = ?", (index,)).fetchone()
        return None if row is None else row[0]

    return Blobs(read)


class Signed(NamedTuple):
    """One submission that its author's key signed."""

    member: bytes
    key_digest: bytes
    statement_count: int
    root: bytes
    tail: bytes


class Submissions:
    """Submissions as they are asked for; a few thousand are kept."""

    def __init__(self, connection: Connection, net: bytes) -> None:
        self._connection = connection
        self._net = net
        self._kept: OrderedDict[int, Signed | None] = OrderedDict()
        self.leaves = Blobs(self._read_leaves)

    def find(self, number: int) -> Signed | None:
        """The submission with this number."""
        if number not in self._kept:
            self._kept[number] = self._read(number)
            if len(self._kept) > 4096:
                self._kept.popitem(last=False)
        return self._kept[number]

    def _read(self, number: int) -> Signed | None:
        row = self._connection.execute(
            "SELECT member, digest, created_ms, count, root, sig FROM submission"
            " JOIN author_key ON author_key.id = submission.author_key WHERE submission.id = ?",
            (number,),
        ).fetchone()
        if row is None:
            return None
        member, digest, created_ms, count, root, sig = row
        return Signed(member, digest, count, root, compute_submission(self._net, digest, created_ms, count, root) + sig)

    def _read_leaves(self, number: int) -> bytes | None:
        row = self._connection.execute("SELECT leaves FROM submission WHERE id = ?", (number,)).fetchone()
        return None if row is None else row[0]


def check_seals(connection: Connection, log: CheckedLog, found: Findings) -> Seals:
    """Each batch's leaves give the root that its home signed and the ledger sealed."""
    seals = Seals({}, {})
    for index, leaf in connection.stream("SELECT idx, leaf FROM log_record ORDER BY idx"):
        record = parse_record(leaf)
        if record["type"] != "seal":
            continue
        batch = parse_batch(unb64(record["batch"]))
        seals.classes[index], seals.counts[index] = batch.class_, batch.count
        row = connection.execute("SELECT class, count, leaves FROM seal WHERE idx = ?", (index,)).fetchone()
        if row is None:
            found.add("seal", index, None, "the batch of this seal is missing")
            continue
        if row[0] != batch.class_:
            found.add("seal", index, "class", f"{row[0]}, where the batch says {batch.class_}")
        if row[1] != batch.count:
            found.add("seal", index, "count", f"{row[1]}, where the batch says {batch.count}")
        if compute_blob_root(row[2]) != batch.root:
            found.add("seal", index, "leaves", "the leaves do not give the root that was sealed")
    for (index,) in connection.execute("SELECT idx FROM seal"):
        if index not in seals.classes:
            found.add("seal", index, "idx", "no seal stands at this log index")
    return seals


def check_submissions(connection: Connection, history: History, found: Findings) -> None:
    """Each author key is its member's, and each submission is signed by it, over the leaves that are kept."""
    newest = history.members[max(history.members)]
    for id_, member, digest, public in connection.execute("SELECT id, member, digest, public FROM author_key"):
        if len(public) != 32 or key_digest(public) != digest:
            found.add("author_key", id_, "public", "not the key of this digest")
        try:
            is_listed = newest.get(member).find_key(digest) is not None
        except Refused:
            is_listed = False
        if not is_listed:
            found.add("author_key", id_, "member", "this member lists no such key")
    query = (
        "SELECT submission.id, created_ms, count, root, sig, leaves, digest, public FROM submission"
        " LEFT JOIN author_key ON author_key.id = submission.author_key"
    )
    for number, created_ms, count, root, sig, leaves, digest, public in connection.stream(query):
        if digest is None:
            found.add("submission", number, "author_key", "there is no such author key")
            continue
        try:
            is_signed = verify(public, compute_submission(history.net, digest, created_ms, count, root), sig)
        except (Unverified, ValueError, TypeError):
            is_signed = False
        if not is_signed:
            found.add("submission", number, "sig", "its author key did not sign this time, count and root")
        if (leaves is None) != (count == 1):
            found.add("submission", number, "leaves", "kept for one statement, or missing for several")
        elif leaves is not None and (compute_blob_root(leaves) != root or len(leaves) != HASH_BYTES * count):
            found.add("submission", number, "leaves", "the leaves do not give the root that was signed")


def check_orphans(connection: Connection, seals: Seals, erasures: Erasures, found: Findings) -> None:
    """Rows that belong to a chain, an entry or a submission that is not there; chains that share a name."""
    if surplus := count_surplus_names(connection):
        found.add("chain_name", None, "chain", f"{surplus:+,} names beside those of the chains that are here")
    for column, numbers in find_shared_names(connection):
        what = f"that of {', '.join(f'chain {number}' for number in numbers[:-1])} too"
        found.add("chain", numbers[-1], column, what)
    for (number,) in connection.execute("SELECT chain FROM passport_key EXCEPT SELECT id FROM chain"):
        found.add("passport_key", number, "chain", "there is no such chain")
    listed = 0
    for number, *noted in connection.stream("SELECT id, seal, places, kinds FROM submission ORDER BY id"):
        if noted != [None, None, None]:
            listed += _check_places(connection, number, noted, found, number in erasures.submissions)
            if noted[0] not in seals.counts:
                found.add("submission", number, "seal", "no seal stands at this log index")
        elif number not in erasures.submissions:
            found.add("submission", number, "places", "no entry belongs to it")
    (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    if listed != count:
        found.add("submission", None, "places", f"{listed:,} entries are said to stand somewhere, and {count:,} do")


def _check_places(
    connection: Connection, number: int, noted: Sequence[Any], found: Findings, is_part_erased: bool
) -> int:
    """What a submission says of its entries is so; how many it has."""
    query = "SELECT kind, seal FROM entry WHERE chain = ? AND seq BETWEEN ? AND ? AND submission = ?"
    kinds, seal, before, listed = Counter[int](), -1, (-1, 0), 0
    try:
        runs, said = decode_places(noted[1]), decode_kinds(noted[2])
    except (ValueError, TypeError):
        found.add("submission", number, "places", "cannot be read")
        return 0
    for run in runs:
        if (run.chain, run.first) <= before or run.length < 1:
            found.add("submission", number, "places", "not in order")
        rows = connection.execute(query, (run.chain, run.first, run.first + run.length - 1, number)).fetchall()
        if len(rows) != run.length:
            found.add("submission", number, "places", f"chain {run.chain} has {len(rows)} entries of it there")
        before, listed = (run.chain, run.first + run.length - 1), listed + len(rows)
        kinds.update(row[0] for row in rows)
        seal = max((seal, *(row[1] for row in rows)))
    if kinds != said:
        found.add("submission", number, "kinds", "not what its entries are")
    # A part of it that was erased may have been sealed last.
    if noted[0] is None or noted[0] < seal or (noted[0] > seal and not is_part_erased):
        found.add("submission", number, "seal", "not when its last entry was sealed")
    return listed


def compute_blob_root(blob: bytes) -> bytes:
    """The Merkle root of joined leaf hashes; of a blob of another size, no root at all."""
    if len(blob) % HASH_BYTES:
        return b""
    return MerkleTree([blob[at : at + HASH_BYTES] for at in range(0, len(blob), HASH_BYTES)]).root
