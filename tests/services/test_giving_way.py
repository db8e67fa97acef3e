"""A process that gives way comes after all others: by its own priority, and by that of the session it leads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from carnet.services.giving_way import MOST, SOMEWHAT

AUTOGROUP = Path("/proc/self/autogroup")

TELL = """
import json, os, subprocess, sys
from pathlib import Path
from carnet.services.giving_way import give_way

def read():
    try:
        # Empty for a process that was in none of these groups when it began, as where no session was ever made.
        return (Path("/proc/self/autogroup").read_text().split() or [None])[-1]
    except OSError:
        return None

for niceness in map(int, sys.argv[1:]):
    give_way(niceness)
child = subprocess.run([sys.executable, "-c", "import os; print(os.nice(0))"], capture_output=True, text=True)
print(json.dumps({"nice": os.nice(0), "child": int(child.stdout), "session": read(), "policy": os.sched_getscheduler(0)
      if hasattr(os, "sched_getscheduler") else None, "batch": getattr(os, "SCHED_BATCH", None)}))
"""


def tell(*asked: int, leads_session: bool = True) -> dict[str, Any]:
    command = [sys.executable, "-c", TELL, *map(str, asked)]
    found = subprocess.run(command, capture_output=True, check=True, timeout=60, start_new_session=leads_session)
    told: dict[str, Any] = json.loads(found.stdout)
    return told


def is_grouped() -> bool:
    """Whether this system weighs sessions against each other."""
    try:
        return int(AUTOGROUP.read_text(encoding="ascii").split()[-1]) != MOST
    except (OSError, ValueError, IndexError):
        return False


def test_give_way__the_process_and_what_it_starts_come_last() -> None:
    told = tell(MOST)
    assert told["nice"] == told["child"] == MOST
    assert told["policy"] == told["batch"]


@pytest.mark.parametrize("asked", [(SOMEWHAT, MOST), (MOST, SOMEWHAT)])
def test_give_way__further_but_never_less(asked: tuple[int, ...]) -> None:
    told = tell(*asked)
    assert told["nice"] == MOST
    if is_grouped():
        assert told["session"] == str(MOST)
    assert tell(SOMEWHAT)["nice"] == SOMEWHAT


@pytest.mark.parametrize("leads_session", [True, False])
def test_give_way__its_session_does_and_another_s_does_not(leads_session: bool) -> None:
    """Without it, a session of one process weighs as much as that of those who answer, whatever its nice value."""
    told = tell(MOST, leads_session=leads_session)
    assert told["nice"] == MOST
    if is_grouped():
        assert (told["session"] == str(MOST)) is leads_session
