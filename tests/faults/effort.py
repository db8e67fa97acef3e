"""How hard the tests of faults try: `CARNET_KILLS` is the number of kills, and all else grows with it."""

from __future__ import annotations

import os

USUAL_KILLS = 1_000
KILLS = int(os.environ.get("CARNET_KILLS", str(USUAL_KILLS)))


def scaled(count: int) -> int:
    """As many of something else as go with so many kills; at least a few."""
    return max(min(count, 4), count * KILLS // USUAL_KILLS)
