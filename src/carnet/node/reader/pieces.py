"""The pieces of the census tree as a reader passes them, with as few questions as there can be.

It refuses to know what a leaf stands for.
"""

from __future__ import annotations

from carnet.tlog.pieces import MAX_BUCKET, count_leaves, is_page, list_numbers
from carnet.vault.census import find_piece, find_two_pieces
from carnet.vault.store import Connection

UPPER_PIECES = 1 << 13
"""Pieces with lower numbers are on the way to many chains, and are kept once read; those below, and the buckets, are on
the way to few."""

MAX_KEPT = 2048
"""Pieces that are kept, a kilobyte each."""


class Pieces:
    """The pieces of one census."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kept: dict[int, bytes] = {}

    def forget(self) -> None:
        """There may be another census."""
        self._kept.clear()

    def read_way(self, slot: bytes) -> list[bytes]:
        """The pieces from the top towards a slot, down to the first that is no page, or has nothing below it."""
        way: list[bytes] = []
        kept, read = self._kept, dict[int, bytes]()
        for number, below in list_numbers(slot):
            piece = kept.get(number) or read.get(number)
            if piece is None:
                # A page has another piece below it, which is asked for with it.
                is_bucket = way and count_leaves(way[-1], number) <= MAX_BUCKET
                read = self._read(number, None if is_bucket else below)
                piece = read.get(number)
            if piece is None:
                break
            way.append(piece)
            if not is_page(piece):
                break
        return way

    def _read(self, number: int, below: int | None) -> dict[int, bytes]:
        if below is None:
            piece = find_piece(self._connection, number)
            read = {} if piece is None else {number: piece}
        else:
            read = find_two_pieces(self._connection, number, below)
        for one, content in read.items():
            if one < UPPER_PIECES:
                if len(self._kept) >= MAX_KEPT:
                    # The one that was kept first.
                    del self._kept[next(iter(self._kept))]
                self._kept[one] = content
        return read
