"""Folders of one process: one that was killed is found by the next, one that is at work is let be."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from carnet.vault.scratch import find_left, make_folder, remove_left

HOLD = """
import sys, time
from pathlib import Path
from carnet.vault.scratch import make_folder
with make_folder("folder-", Path(sys.argv[1])) as folder:
    (folder / "what").write_text("is needed")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_make_folder__removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    held = Path(process.stdout.readline().strip())
    (tmp_path / "folder-of-somebody").mkdir()
    (tmp_path / "other-").mkdir()
    with make_folder("folder-", tmp_path) as mine:
        assert find_left("folder-", tmp_path) == []
        assert (held / "what").exists()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert find_left("folder-", tmp_path) == [held]
        with make_folder("folder-", tmp_path):
            assert not held.exists()
        assert mine.exists()
    remove_left("folder-", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder-of-somebody", "other-"]
