"""Moving a node's store between SQLite and PostgreSQL: whatever was proved before still verifies after it.

It refuses to do so while somebody writes, and to use a copy that is not, row by row, what was signed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from carnet.node.fsck.findings import Progress
from carnet.node.home import Home
from carnet.node.moving import Moved, move_store
from carnet.services.founding import check_store_url, now_ms

__all__ = ["SQLITE", "Moved", "Progress", "move"]

SQLITE: Final = "sqlite"
"""What a person calls the file of the home."""


def move(
    home: Home, to: str, passphrase: str | None, command: str, progress: Callable[[Progress], None] = lambda _: None
) -> Moved:
    """Move the store to "sqlite" or to a database's URL. Raises Refused(VALUE_OUT_OF_RANGE), and as `move_store`
    does."""
    target = None if to.strip() == SQLITE else check_store_url(to)
    return move_store(
        home,
        target,
        clock=now_ms,
        random_bytes=os.urandom,
        passphrase=passphrase,
        command=command,
        progress=progress,
    )
