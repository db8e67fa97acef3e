"""A victim in a process of its own, which a recorder watches: `python -m tests.faults.victim HOME SEED`."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from carnet.errors import Refused
from carnet.node.home import Home
from tests.faults.driver import play, say

if __name__ == "__main__":
    try:
        play(Home(Path(sys.argv[1])), random.Random(int(sys.argv[2])))
    except Refused as refused:
        say(refused=refused.reason)
        raise SystemExit(1) from None
