"""The latest census and its stored tree: every piece from the signed root down, every leaf the head of its chain.

A piece is judged by the one above it, a head by the leaf that the pieces give: so it is known which was changed.
Spec: 3.8, 3.9.
"""

from __future__ import annotations

from typing import Any

from carnet.errors import Unverified
from carnet.ledger.census import compute_slot, find_slots
from carnet.node.census import compute_head_digest, get_top, read_census_tree
from carnet.node.fsck.erased import Erasures
from carnet.node.fsck.findings import Findings
from carnet.node.fsck.replay import History
from carnet.tlog.pieces import TOP_PIECE, Bucket, Page, Top, check_piece, list_children, open_piece
from carnet.vault.census import find_piece
from carnet.vault.names import where_named
from carnet.vault.store import Connection

_HEAD = "SELECT id, head_seal, head_epoch, head_seq, head_id, census_epoch, census_seq, census_id FROM chain"


def check_census(connection: Connection, history: History, erasures: Erasures, found: Findings) -> None:
    """Check that the heads give the root of the latest census, its pieces, and the list of what changed since. To be
    asked after the chains, whose heads agree with their entries by then."""
    if history.census is None:
        _check_changed(connection, found)
        _check_number_of_pieces(connection, 0, found)
        return
    index, census = history.census
    _check_changed(connection, found)
    is_owed = census["erased"] != erasures.chain_count
    if is_owed and census["erased"] > erasures.chain_count:
        found.add("erased_link", None, None, f"census {index} counted {census['erased']} erased chains")
    top = get_top(census)
    if connection.execute("SELECT 1 FROM census_piece LIMIT 1").fetchone() is None:
        # A store that was upgraded, until its next census.
        tree = None if is_owed else read_census_tree(connection, census["covers"])
        if tree is not None and Top(len(tree), tree.root) != top:
            found.add("chain", None, "census_id", f"the heads do not give the root of census {index}")
        return
    _Tree(connection, census["covers"], found, is_owed=is_owed).check(top)


class _Tree:
    def __init__(self, connection: Connection, covers: int, found: Findings, *, is_owed: bool) -> None:
        self._connection, self._covers, self._found = connection, covers, found
        self._head = f"{_HEAD} WHERE {where_named(connection, 'chain16')}"
        # Chains were erased since this census: their leaves stand in it, their heads are gone. Nothing is proved
        # against it any more, and the next one is compared again.
        self._is_owed = is_owed
        self._leaf_count = self._piece_count = 0

    def check(self, top: Top) -> None:
        """From the root down; nothing is kept but the pieces that wait beside the way."""
        is_whole = True
        waiting = [(TOP_PIECE, top)] if top.leaf_count else []
        while waiting:
            number, said = waiting.pop()
            piece = self._open(number, said)
            if piece is None:
                is_whole = False
            elif isinstance(piece, Page):
                waiting += list_children(number, piece)
            else:
                self._check_leaves(piece)
        if not is_whole:
            # What stands below a piece that is wrong cannot be judged.
            return
        _check_number_of_pieces(self._connection, self._piece_count, self._found)
        query = "SELECT count(*) FROM chain WHERE head_seal < :covers OR census_id IS NOT NULL"
        heads = self._connection.execute(query, {"covers": self._covers}).fetchone()[0]
        if heads != self._leaf_count and not self._is_owed:
            what = f"{heads} heads, where the census counts {self._leaf_count}"
            self._found.add("chain", None, "census_id", what)

    def _open(self, number: int, said: Top) -> Bucket | Page | None:
        self._piece_count += 1
        try:
            piece = open_piece(number, find_piece(self._connection, number), find_slots)
            check_piece(number, piece, said)
        except Unverified as error:
            self._found.add("census_piece", number, "content", str(error))
            return None
        return piece

    def _check_leaves(self, bucket: Bucket) -> None:
        for chain16, digest in zip(bucket.names, bucket.digests, strict=True):
            self._leaf_count += 1
            row = self._connection.execute(self._head, {"name": chain16}).fetchone()
            if row is None:
                if not self._is_owed:
                    what = f"names a chain {chain16.hex()} that is not here"
                    self._found.add("census_piece", None, "content", what)
                continue
            head = _find_census_head(chain16, row, self._covers)
            if head is None or compute_head_digest(compute_slot(chain16), head) != digest:
                self._found.add("chain", row[0], "census_id", "not the head that the latest census names")


def _find_census_head(chain16: bytes, row: Any, covers: int) -> tuple[bytes, int, int, bytes] | None:
    """The head of a chain at the census; None for one that was opened since."""
    _, seal, epoch, seq, link_id, old_epoch, old_seq, old_id = row
    if seal < covers:
        return chain16, epoch, seq, link_id
    return None if old_id is None else (chain16, old_epoch, old_seq, old_id)


def _check_changed(connection: Connection, found: Findings) -> None:
    """That each chain which is newer than the census is noted is asked with its entries; more may be, which costs time
    and no truth."""
    for (number,) in connection.execute("SELECT chain FROM census_changed EXCEPT SELECT id FROM chain"):
        found.add("census_changed", number, "chain", "there is no such chain")


def _check_number_of_pieces(connection: Connection, count: int, found: Findings) -> None:
    stored = connection.execute("SELECT count(*) FROM census_piece").fetchone()[0]
    if stored != count:
        found.add("census_piece", None, "id", f"{stored} pieces, where the tree has {count}")
