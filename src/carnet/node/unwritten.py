"""The heads that chains have and their rows do not tell yet, packed: a census reads neither rows nor entries for them.

Here stands what this process linked, for as many chains as there is room for, until a census has written it. Of any
other chain nothing is known here, and its head is followed (`node.heads`). It refuses to know what may be linked.
"""

from __future__ import annotations

import struct
from typing import Final

from carnet.node.heads import KnownHead

PAGE_CHAINS: Final = 1024
"""Chains with neighbouring numbers whose heads stand in one page, of 69 KiB."""

MAX_PAGES: Final = 768
"""Pages that are kept at most, for three quarters of a million chains: 54 MB."""

_HEAD: Final = struct.Struct("<16sQI32sQ?")
_SIZE, _pack, _unpack = _HEAD.size, _HEAD.pack_into, _HEAD.unpack_from


class UnwrittenHeads:
    """Heads by the number of their chain. Whoever notes them notes each one that comes after, or clears them all."""

    def __init__(self, max_pages: int = MAX_PAGES) -> None:
        self._max_pages = max_pages
        self._pages: dict[int, bytearray] = {}

    def note(self, number: int, chain16: bytes, seq: int, epoch: int, id_: bytes, seal: int, is_written: bool) -> None:
        """The newest head of a chain, behind its opening; `is_written`: its row tells it too."""
        # There is one for each entry of a file in random order.
        place, at = number // PAGE_CHAINS, number % PAGE_CHAINS
        page = self._pages.get(place)
        if page is None:
            # Pages are never given up one by one: where there is none, none of its heads was ever noted.
            if is_written or len(self._pages) >= self._max_pages:
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

    def clear(self) -> None:
        """Forget all of them."""
        self._pages.clear()
