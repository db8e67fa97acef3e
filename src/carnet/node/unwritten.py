"""The heads that chains have and their rows do not tell yet, packed: a census reads neither rows nor entries for them.

Here stands what this process linked, for as many chains as there is room for, until a census has written it. Of any
other chain nothing is known here, and its head is followed (`node.heads`). It refuses to know what may be linked.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from itertools import groupby, islice
from operator import ge
from typing import Final

from carnet.kernel import kernel
from carnet.ledger.census import Head, make_changes
from carnet.node.heads import NOTHING_TAKEN, KnownHead, Settling, Stretch, Taken, pack_stretch
from carnet.vault.store import Blob

PAGE_CHAINS: Final = 1024
"""Chains with neighbouring numbers whose heads stand in one page, of 69 KiB."""

MAX_PAGES: Final = 768
"""Pages that are kept at most, for three quarters of a million chains: 54 MB."""

MAX_SEAL: Final = 10**16 - 1
"""Logs are shorter (2^53 records), and so many digits are packed."""

_HEAD: Final = struct.Struct(">16sQI32sQ?")
_NONE: Final = (b"", 0, 0, b"", 0, False)
_SIZE, _pack, _unpack = _HEAD.size, _HEAD.pack_into, _HEAD.unpack_from


class UnwrittenHeads:
    """Heads by the number of their chain. Whoever notes them notes each one that comes after, or clears them all; the
    next chain that is opened has the number `next_chain`."""

    def __init__(self, next_chain: int, max_pages: int = MAX_PAGES) -> None:
        self._max_pages = max_pages
        self._pages: dict[int, bytearray] = {}
        self.told_from = next_chain
        """Chains from this number on of which nothing stands here have the head that their row tells."""

    def note(self, number: int, chain16: bytes, seq: int, epoch: int, id_: bytes, seal: int, is_written: bool) -> None:
        """The newest head of a chain, behind its opening; `is_written`: its row tells it too."""
        # There is one for each entry of a file in random order.
        place, at = number // PAGE_CHAINS, number % PAGE_CHAINS
        page = self._pages.get(place)
        if page is None:
            # Pages are never given up one by one: where there is none, none of its heads was ever noted.
            if is_written:
                return
            if len(self._pages) >= self._max_pages:
                self.told_from = sys.maxsize
                return
            page = self._pages[place] = bytearray(PAGE_CHAINS * _SIZE)
        _pack(page, at * _SIZE, chain16, seq, epoch, id_, seal, is_written)

    def find(self, number: int) -> KnownHead | None:
        """The newest head of a chain, if it was noted."""
        page = self._pages.get(number // PAGE_CHAINS)
        if page is None:
            return None
        head: KnownHead = _unpack(page, number % PAGE_CHAINS * _SIZE)
        # An opening is told by its row: a head with this seq was never noted.
        return head if head[1] else None

    def take(self, numbers: Sequence[int], least: int) -> Taken:
        """What a census needs of the heads of these chains, in ascending order, and which of them were not noted; from
        one call to the next the numbers ascend, and pages that are behind them are given up."""
        if not numbers:
            return NOTHING_TAKEN
        taken = take_heads(self._pages, numbers, least)
        for place in [place for place in self._pages if place < numbers[-1] // PAGE_CHAINS]:
            del self._pages[place]
        return Taken(*taken)

    def clear(self, next_chain: int) -> None:
        """Forget all of them."""
        self._pages.clear()
        self.told_from = next_chain


def _take_heads(
    pages: dict[int, bytearray], numbers: Sequence[int], least: int
) -> tuple[list[bytes], list[Settling], list[Stretch], list[int]]:
    if any(map(ge, numbers, islice(numbers, 1, None))):
        raise ValueError("numbers ascend")
    heads: list[Head] = []
    rows: list[Settling] = []
    stretches: list[Stretch] = []
    left: list[int] = []
    for place, own in groupby(numbers, lambda number: number // PAGE_CHAINS):
        page, moved = pages.get(place), list[Settling]()
        for number in own:
            chain16, seq, epoch, id_, seal, is_written = (
                _NONE if page is None else _unpack(page, number % PAGE_CHAINS * _SIZE)
            )
            if not seq:
                left.append(number)
                continue
            if seal > MAX_SEAL:
                raise ValueError("a number is out of range")
            heads.append((chain16, epoch, seq, id_))
            if not is_written:
                moved.append((seq, epoch, Blob(id_), seal, number))
        if moved and len(moved) >= least:
            stretches.append(pack_stretch(moved))
        else:
            rows += moved
    return make_changes(heads), rows, stretches, left


TakeHeads = Callable[
    [dict[int, bytearray], Sequence[int], int], tuple[list[bytes], list[Settling], list[Stretch], list[int]]
]

take_heads: Final[TakeHeads] = _take_heads if kernel is None else kernel.take_heads
"""Of pages, some numbers of chains that ascend, and how many heads of one page are packed at least: what `Taken`
holds."""
