"""The heads of chains that grew lately, at hand for what is linked to them next.

Whole generations are let go of: to note of each head when it was used last took longer than to look it up again. It
refuses to know what may be linked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Final

from carnet.node.placing.records import Head

GENERATION_CHAINS: Final = 16_384
"""Of so many chains at least, and of twice as many at most, the heads are kept: some 20 MB."""


class RecentHeads:
    """Heads by the number of their chain."""

    def __init__(self, size: int = GENERATION_CHAINS) -> None:
        self._size = size
        self._young, self._old = dict[int, Head](), dict[int, Head]()

    def keep(self, heads: Mapping[int, Head]) -> None:
        """Have these at hand, and let go of those that were kept longest ago if there are too many."""
        self._young |= heads
        if len(self._young) >= self._size:
            self._young, self._old = {}, self._young

    def find(self, number: int) -> Head | None:
        """The head of a chain, if it is at hand."""
        return self._young.get(number) or self._old.get(number)

    def find_all(self, numbers: Set[int]) -> dict[int, Head]:
        """Those of these chains that are at hand."""
        generations = self._old, self._young
        return {number: heads[number] for heads in generations for number in numbers & heads.keys()}

    def __iter__(self) -> Iterator[Head]:
        yield from self._old.values()
        yield from self._young.values()

    def clear(self) -> None:
        """Forget all of them."""
        self._young, self._old = {}, {}
