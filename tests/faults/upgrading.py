"""A victim that opens a home of an older schema and its accounts, which upgrades both, and takes a census: for the
driver (without arguments), or by itself for a recorder (`python -m tests.faults.upgrading HOME`).
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from carnet.node.home import Home
from carnet.node.people import open_people
from carnet.services.founding import open_writer_at
from carnet.services.importing import take_census_if_due
from tests.faults.driver import main, say


def upgrade(home: Home, chance: random.Random) -> None:
    """Open it, and write."""
    say(op="upgrade")
    writer = open_writer_at(home, None, "an upgrade")
    say(opened=True, size=writer.state.size)
    open_people(home).store.close()
    say(people=True)
    take_census_if_due(writer)
    say(done="census", size=writer.state.size)
    writer.close()
    say(closed=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        upgrade(Home(Path(sys.argv[1])), random.Random(0))
    else:
        main(upgrade)
