"""Rows that were sealed before: where each stands, and since when.

Knows the store; refuses to know who asks, and writes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from carnet.types import MemberId, Millis
from carnet.vault.ledger import parse_record, read_leaf
from carnet.vault.store import Blob, Connection


class SealedRow(NamedTuple):
    """Where a row stands: its place in the passport's chain, its statement, when it was sealed (ms since 1970), and by
    which member."""

    seq: int
    sid: bytes
    at: Millis
    member: MemberId


_FIND = (
    "SELECT entry.seq, entry.sid, entry.seal, author_key.member FROM entry"
    " JOIN submission ON submission.id = entry.submission JOIN author_key ON author_key.id = submission.author_key"
    " WHERE entry.chain = ? AND entry.source = ?"
)


def find_sealed_row(connection: Connection, chain: int, source: bytes) -> SealedRow | None:
    """The row of a chain (its number in the store) that was read from this source, by its keyed digest."""
    row = connection.execute(_FIND, (chain, Blob(source) if connection.is_file else source)).fetchone()
    if row is None:
        return None
    seq, sid, seal, member = row
    return SealedRow(seq, bytes(sid), int(parse_record(read_leaf(connection, seal))["at"]), bytes(member))
