"""Receipts found again: whoever hands in a statement a second time gets the same answer as the first time.

Knows the store; refuses to know who asks, and writes nothing. Spec: 2.11, 3.11.
"""

from __future__ import annotations

from collections.abc import Sequence

from carnet.node.lookup import ask_named, find_linked
from carnet.node.placing import Receipt
from carnet.passport.statement import compute_signed, compute_submission
from carnet.vault.ledger import parse_record, read_leaf
from carnet.vault.names import where_named
from carnet.vault.store import Connection

_FIND = (
    "SELECT entry.seq, entry.seal, digest, created_ms, count, root, sig FROM chain"
    " JOIN entry ON entry.chain = chain.id JOIN submission ON submission.id = entry.submission"
    " JOIN author_key ON author_key.id = submission.author_key"
)

_NUMBERS = "SELECT chain16, id FROM chain"


def find_receipt(connection: Connection, net: bytes, place: int, chain16: bytes, sid: bytes) -> Receipt | None:
    """The receipt of a statement that stands in this chain, None if it does not. `place` is the caller's.

    Its time is that of its seal: here, accepted and sealed are one transaction.
    """
    query = f"{_FIND} WHERE {where_named(connection, 'chain16')} AND sid = :sid"
    row = connection.execute(query, {"name": chain16, "sid": sid}).fetchone()
    if row is None:
        return None
    seq, seal, digest, created_ms, count, root, sig = row
    signed = compute_signed(sid, compute_submission(net, digest, created_ms, count, root), sig)
    return Receipt(place, chain16, seq, sid, seal, signed, int(parse_record(read_leaf(connection, seal))["at"]))


def find_receipts(connection: Connection, net: bytes, wanted: Sequence[tuple[bytes, bytes]]) -> dict[int, Receipt]:
    """The same for many (chain16, sid), by their places in `wanted`; those that stand nowhere are left out.

    Most often none of them stands anywhere: that is asked first, for many at a time.
    """
    chains = {chain16 for chain16, _ in wanted}
    numbers = {bytes(chain16): number for chain16, number in ask_named(connection, _NUMBERS, "chain16", chains)}
    asked: dict[int, list[bytes]] = {}
    for chain16, sid in wanted:
        if chain16 in numbers:
            asked.setdefault(numbers[chain16], []).append(sid)
    linked = find_linked(connection, asked)
    found: dict[int, Receipt] = {}
    for place, (chain16, sid) in enumerate(wanted):
        if chain16 in numbers and sid in linked[numbers[chain16]]:
            receipt = find_receipt(connection, net, place, chain16, sid)
            if receipt is not None:
                found[place] = receipt
    return found
