"""An importer that is killed takes its workers with it: they hold the storage keys in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.lock import WAIT_FOR_ORPHANS_S, WriterLock

_PARENT = """
import sys, time
from multiprocessing import active_children
from carnet.node.pool import PreparePool
from carnet.node.jobs import Context, Job
pool = PreparePool(Context(bytes(32), bytes(16), bytes(32), bytes(32), 0, ()), 2)
while len(active_children()) < 2:
    time.sleep(0.01)
for waiting in [pool.submit(Job(bytes(16), bytes(32), bytes(32), 3, 0, [], b"")) for _ in range(8)]:
    waiting.result()
print(*[worker.pid for worker in active_children()], flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc which processes are alive")
def test_workers__end_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            workers = [int(word) for word in parent.stdout.readline().split()]
            assert len(workers) == 2
            assert all(is_running(pid) for pid in workers)
        finally:
            parent.kill()
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.02)


_KILLED = """
import os, sys, time
from pathlib import Path
from carnet.node.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]), "a victim")
if os.fork() == 0:
    time.sleep(0.5)
    os._exit(0)
os._exit(0)
"""


def test_lock__of_a_killed_holder_is_waited_for_while_a_child_has_it(tmp_path: Path) -> None:
    """A child has all that its parent had open until it is another program."""
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "writer.lock")], check=True, timeout=20)
    WriterLock(tmp_path / "writer.lock", "the next").release()


def test_lock__of_a_living_holder_is_not_waited_for(tmp_path: Path) -> None:
    held = WriterLock(tmp_path / "writer.lock", "a test")
    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        WriterLock(tmp_path / "writer.lock", "another")
    assert caught.value.reason is Reason.WRITER_BUSY
    assert time.monotonic() - began < WAIT_FOR_ORPHANS_S
    held.release()
