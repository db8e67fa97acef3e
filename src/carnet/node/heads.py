"""The heads of chains: what a chain's row remembers, and the newer entries that are followed from there.

A row of `chain` keeps a head that the chain had, and not always the newest: to write it again with each entry would
touch a second page for each. Newer entries stand in `entry`, and give the head by linking them again. A census writes
the heads of all chains that changed, so that it, and whoever asks for the head at that census, finds them in the rows.
It refuses to know what may be linked (`placing`). Spec: 2.11.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from carnet.ledger.census import Head, make_changes
from carnet.node.lookup import ask_many
from carnet.passport.link import compute_next_epoch, compute_next_id
from carnet.passport.statement import compute_submission
from carnet.types import make_tuple
from carnet.vault.census import read_changed
from carnet.vault.store import Blob, Connection

_get_number = itemgetter(4)

MAX_UNWRITTEN: Final = 8
"""So many entries are followed from a row at most; with more its head is written again."""

CENSUS_CHAINS: Final = 4096
"""Chains whose heads a census holds at once."""

_MANY: Final = CENSUS_CHAINS // 2
"""Of so many of them, it is quicker to read all that changed between the first and the last."""

# Only a chain that changed since the latest census has entries that are newer than the head in its row; most have not,
# and that list is small. The submission's own row is read once for many entries, so it is not joined. In the order of
# the outermost table nothing is sorted.
_NEWER = (
    "SELECT census_changed.chain, mark, target, sid, submission, seal FROM census_changed CROSS JOIN chain"
    " CROSS JOIN entry WHERE chain.id = census_changed.chain AND entry.chain = chain.id AND entry.seq > chain.head_seq"
    " AND census_changed.chain {} ORDER BY census_changed.chain, entry.seq"
)
_NEWER_OF, _NEWER_BETWEEN = _NEWER.format("IN (?)"), _NEWER.format("BETWEEN ? AND ?")
_SUBMISSIONS = (
    "SELECT submission.id, digest, created_ms, count, root, sig FROM submission"
    " JOIN author_key ON author_key.id = submission.author_key WHERE submission.id IN (?)"
)
_STORED = "SELECT id, chain16, head_seq, head_epoch, head_id, head_seal FROM chain WHERE id IN (?)"
_COUNT = (
    "SELECT (SELECT coalesce(sum(head_seq + 1), 0) FROM chain) + (SELECT coalesce(sum((SELECT max(seq) FROM entry"
    " WHERE entry.chain = chain.id) - head_seq), 0) FROM census_changed JOIN chain ON chain.id = census_changed.chain)"
)
LAST_SEQ: Final = "(SELECT max(seq) FROM entry WHERE entry.chain = chain.id)"
"""SQL for the seq of a chain's newest entry."""

Newer = tuple[int, int, bytes | None, bytes, int, int]
"""An entry that is newer than the head in its chain's row: chain, mark, target, sid, submission, seal."""

_SETTLE: Final = "UPDATE chain SET head_seq=?, head_epoch=?, head_id=?, head_seal=? WHERE id=?"

_DIGITS: Final = (16, 10, 16)
STRETCH_BYTES: Final = 16 + 10 + 16 + 32
_SETTLE_STRETCH: Final = (
    "UPDATE chain SET head_seq = CAST(substr(?3, 74 * (id - ?1) + 1, 16) AS INTEGER)"
    ", head_epoch = CAST(substr(?3, 74 * (id - ?1) + 17, 10) AS INTEGER)"
    ", head_seal = CAST(substr(?3, 74 * (id - ?1) + 27, 16) AS INTEGER)"
    ", head_id = substr(?3, 74 * (id - ?1) + 43, 32)"
    " WHERE id BETWEEN ?1 AND ?2 AND substr(?3, 74 * (id - ?1) + 1, 1) <> x'20'"
)
"""One statement of a file for a thousand rows: the driver's part of a row, and to find it, take as long as writing
it."""

_DENSE: Final = 256
"""So many heads of 1,024 neighbours, and more, are written as a stretch, for which all of these are read."""


class ChainHead(NamedTuple):
    """The newest link of a chain that is known somewhere: its seq, epoch, id 32 bytes, and its seal's log index."""

    seq: int
    epoch: int
    id: bytes
    seal: int


StoredHead = tuple[bytes, int, int, bytes, int]
"""A chain's id, 16 bytes, and the parts of the head in its row."""

KnownHead = tuple[bytes, int, int, bytes, int, bool]
"""A chain's id, 16 bytes, the parts of its newest head, and whether its row tells that."""

FindHead = Callable[[int], KnownHead | None]
"""The newest head of the chain of this number, if it is at hand."""

Settling = tuple[int, int, bytearray, int, int]
"""A head that is to be written into its chain's row: seq, epoch, id, seal, and the chain's number."""

Stretch = tuple[int, int, bytearray]
"""The same for neighbours, by whose number nobody asks: the first and the last chain's number, and for each from the
one to the other `STRETCH_BYTES`: seq, epoch and seal in digits, and the id; blank where nothing is to be written."""


class Taken(NamedTuple):
    """Of some chains: what their heads change in the tree of the census (`ledger.census.make_changes`), those that are
    to be written, one by one and in stretches, and the chains of which nothing was known."""

    changes: list[bytes]
    rows: list[Settling]
    stretches: list[Stretch]
    left: list[int]


NOTHING_TAKEN: Final = Taken([], [], [], [])


class NotedHeads(Protocol):
    """Heads that a writer linked and noted (`node.unwritten`)."""

    told_from: int
    """Chains from this number on of which `take` knows nothing have the head that their row tells."""

    def take(self, numbers: Sequence[int], least: int) -> Taken:
        """What is known of chains, in ascending order; where at least so many of a thousand neighbours are to be
        written, these are a stretch."""


def follow_heads(
    connection: Connection, net: bytes, numbers: Sequence[int], find_stored: Callable[[int], StoredHead | None]
) -> dict[int, ChainHead]:
    """The heads of those of the chains that have entries newer than the head in their row, by their number."""
    return _follow(connection, net, find_stored, list(ask_many(connection, _NEWER_OF, numbers)))


def _follow_many(
    connection: Connection, net: bytes, numbers: Sequence[int], find_stored: Callable[[int], StoredHead | None]
) -> dict[int, ChainHead]:
    """As `follow_heads`, for some of the chains that changed, in ascending order."""
    if len(numbers) < _MANY:
        return follow_heads(connection, net, numbers, find_stored)
    rows = connection.execute(_NEWER_BETWEEN, (numbers[0], numbers[-1])).fetchall()
    return _follow(connection, net, find_stored, rows)


def _follow(
    connection: Connection, net: bytes, find_stored: Callable[[int], StoredHead | None], rows: Sequence[Newer]
) -> dict[int, ChainHead]:
    tails = _read_submissions(connection, net, sorted({row[4] for row in rows}))
    found: dict[int, ChainHead] = {}
    for number, mark, target, sid, submission, seal in rows:
        known = find_stored(number)
        if known is None:
            continue
        chain16, seq, epoch, id_, _ = known if number not in found else (known[0], *found[number])
        seq, epoch = seq + 1, compute_next_epoch(epoch, mark) if mark else epoch
        id_ = compute_next_id(chain16, seq, epoch, id_, sid, mark, target, tails[submission])
        found[number] = make_tuple(ChainHead, (seq, epoch, id_, seal))
    return found


def count_linked(connection: Connection) -> int:
    """How many entries all chains have."""
    # PostgreSQL adds integers up to a decimal number.
    return int(connection.execute(_COUNT).fetchone()[0])


def settle_changed(
    connection: Connection, net: bytes, noted: NotedHeads, find_known: FindHead
) -> Iterator[list[bytes]]:
    """What each chain that changed since the latest census changes in its tree (`ledger.census.make_changes`), of some
    thousands at once; their rows remember their heads from here on. For heads that were `noted`, and for those
    of others that `find_known` gives, nothing is read."""
    # A server takes rows as arrays.
    least = _DENSE if connection.is_file else sys.maxsize
    numbers = read_changed(connection, 0, CENSUS_CHAINS)
    while numbers:
        taken = noted.take(numbers, least)
        moved = taken.rows
        if taken.changes:
            yield taken.changes
        if taken.left:
            heads, others = _settle_others(connection, net, taken.left, find_known, noted.told_from)
            yield make_changes(heads)
            # Neighbours share a page.
            moved = sorted(moved + others, key=_get_number)
        connection.update_many(_SETTLE, moved)
        for stretch in taken.stretches:
            connection.execute(_SETTLE_STRETCH, stretch)
        numbers = read_changed(connection, numbers[-1], CENSUS_CHAINS)


def _settle_others(
    connection: Connection, net: bytes, numbers: Sequence[int], find_known: FindHead, told_from: int
) -> tuple[list[Head], list[Settling]]:
    """The heads of chains, in ascending order, and those that are to be written; rows tell them from `told_from` on."""
    asked, moved, heads = list[int](), list[Settling](), list[Head]()
    # Every line below runs for each of these chains.
    for number in numbers:
        known = find_known(number)
        if known is None:
            asked.append(number)
            continue
        chain16, seq, epoch, id_, seal, is_written = known
        if not is_written:
            moved.append((seq, epoch, Blob(id_), seal, number))
        heads.append((chain16, epoch, seq, id_))
    if not asked:
        return heads, moved
    stored = {row[0]: row[1:] for row in ask_many(connection, _STORED, asked)}
    followed = _follow_many(connection, net, asked[: bisect_left(asked, told_from)], stored.get)
    for number, (chain16, seq, epoch, id_, seal) in stored.items():
        head = followed.get(number)
        if head is not None:
            seq, epoch, id_, seal = head
            moved.append((seq, epoch, Blob(id_), seal, number))
        heads.append((chain16, epoch, seq, id_))
    return heads, moved


def pack_stretch(rows: Sequence[Settling]) -> Stretch:
    """Heads of neighbours, in ascending order, as one statement writes them."""
    first, last = rows[0][-1], rows[-1][-1]
    records = bytearray(b" " * STRETCH_BYTES * (last - first + 1))
    for seq, epoch, id_, seal, number in rows:
        at = STRETCH_BYTES * (number - first)
        records[at : at + STRETCH_BYTES] = b"%016d%010d%016d%s" % (seq, epoch, seal, id_)
    return first, last, records


def _read_submissions(connection: Connection, net: bytes, numbers: Sequence[int]) -> dict[int, bytes]:
    """What an author signed, followed by the signature, by the submission's number."""
    return {
        number: compute_submission(net, digest, created_ms, count, root) + sig
        for number, digest, created_ms, count, root, sig in ask_many(connection, _SUBMISSIONS, numbers)
    }
