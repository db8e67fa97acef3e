"""The heads of chains that grew lately, at hand for what is linked to them next.

It refuses to know what may be linked.
"""

from __future__ import annotations

from typing import Final

from carnet.node.placing.records import Head
from carnet.node.recent import Recent

GENERATION_CHAINS: Final = 16_384
"""Of so many chains at least, and of twice as many at most, the heads are kept: some 20 MB."""


class RecentHeads(Recent[int, Head]):
    """Heads by the number of their chain."""

    def __init__(self, size: int = GENERATION_CHAINS) -> None:
        super().__init__(size)
