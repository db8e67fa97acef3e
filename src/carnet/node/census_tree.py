"""The stored tree of the census while many heads change: changes are gathered, then applied group after group in the
order of their slots, so that each piece is read, checked and written once.

It refuses to know which heads changed, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from carnet.ledger.census import CHANGE_GROUPS, find_slots, list_changes
from carnet.tlog.pieces import LEAF_BYTES, Top, apply_changes
from carnet.vault.census import find_piece, read_pieces_below, write_pieces
from carnet.vault.store import Connection

MOST_AT_ONCE: Final = 750_000
"""Changes of the tree that a census holds at once, of 48 bytes each: 36 MB."""

GROUP: Final = 2048
"""So many changes, of neighbours, are applied together at least, if there are as many: few enough to hold all pieces
that they touch, and enough that those near the top, which each group touches, cost little."""

_NEAR_TOP: Final = 256
"""Pieces with smaller numbers are held until all groups are applied."""


def apply_all(
    connection: Connection,
    top: Top,
    heads: Iterable[Sequence[bytes]],
    *,
    most: int = MOST_AT_ONCE,
    group: int = GROUP,
) -> Top:
    """The tree after what all of these change (`make_changes`); it depends on that alone, and not on how many changes
    are held (`most`) and applied together (`group`)."""
    gathered = _Gathered()
    for some in heads:
        gathered.add(some)
        if gathered.count >= most:
            top = apply_groups(connection, top, gathered.take(group))
    return apply_groups(connection, top, gathered.take(group))


class _Gathered:
    """Changes of the tree, packed: when they are applied in the order of their slots, each piece is touched once."""

    def __init__(self) -> None:
        self.count = 0
        self._parts: list[list[bytes]] = [[] for _ in range(CHANGE_GROUPS)]

    def add(self, changes: Sequence[bytes]) -> None:
        """Add what `make_changes` made."""
        for own, part in zip(self._parts, changes, strict=True):
            if part:
                own.append(part)
                self.count += len(part) // LEAF_BYTES

    def take(self, least: int) -> Iterator[list[bytes]]:
        """All changes, ascending, in groups of so many neighbours at least; they are forgotten on the way."""
        self.count = 0
        group: list[bytes] = []
        for own in filter(None, self._parts):
            group += list_changes(b"".join(own))
            own.clear()
            if len(group) >= least:
                yield group
                group = []
        if group:
            yield group


def apply_groups(connection: Connection, top: Top, groups: Iterable[list[bytes]]) -> Top:
    """The tree after groups of changes, all of them ascending. Raises Unverified("census_pieces") if what is stored
    does not give `top`: some groups may be written then."""
    held: dict[int, bytes | None] = {}

    def read(number: int) -> bytes | None:
        return held[number] if number in held else find_piece(connection, number)

    def read_below(number: int) -> dict[int, bytes]:
        below = read_pieces_below(connection, number)
        for child in range(16 * number, 16 * number + 16) if 16 * number < _NEAR_TOP else ():
            content = held.get(child, below.get(child))
            if content is None:
                below.pop(child, None)
            else:
                below[child] = content
        return below

    for changes in groups:
        top, written = apply_changes(read, find_slots, top, changes, read_below)
        held |= {number: content for number, content in written.items() if number < _NEAR_TOP}
        write_pieces(connection, {number: content for number, content in written.items() if number >= _NEAR_TOP})
    write_pieces(connection, held)
    return top
