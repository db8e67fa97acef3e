"""Processes that one of ours starts leave Ctrl-C and polite kills to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PARENT = """
import os, signal, sys, time
from multiprocessing import get_context
from carnet.node.children import signals_held_back

def work(pipe):
    pipe.send(os.getpid())
    time.sleep(1)
    pipe.send("whole")

if __name__ == "__main__":
    signal.signal(int(sys.argv[1]), signal.SIG_IGN)
    ours, theirs = get_context("forkserver").Pipe()
    child = get_context("forkserver").Process(target=work, args=(theirs,))
    with signals_held_back():
        child.start()
    theirs.close()
    ours.recv()
    print("ready", flush=True)
    print(ours.recv(), flush=True)
    child.join()
    print(child.exitcode)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_child__lives_on_when_its_group_is_told_to_end(tmp_path: Path, number: int) -> None:
    """The first child of all, before which nothing was started that looks after semaphores."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), str(int(number))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("whole\n0\n", "", 0)
