"""The demo, end to end, as a visitor without a terminal runs it: the story ends well, and so do its last commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from tests.cli.run import make_env


def test_demo__tells_the_whole_story_and_its_commands_work(tmp_path: Path) -> None:
    import sys

    command = [sys.executable, "-m", "carnet", "demo", "--no-serve", "--home", str(tmp_path / "node")]
    env = make_env(tmp_path / "someones-node", TMPDIR=str(tmp_path))
    ran = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    story = ran.stdout
    # It touches no node of the person who runs it.
    assert not (tmp_path / "someones-node").exists()
    sealed = re.search(r"([\d,]+) entries of ([\d,]+) vehicles", story)
    assert sealed is not None
    assert int(sealed[1].replace(",", "")) >= 3_000
    assert int(sealed[2].replace(",", "")) >= 200
    assert re.findall(r"exit code (\d+)", story) == ["0", "10", "11", "0"]
    for word in ("GENUINE", "ALTERED", "CANNOT TELL", "fields_mismatch", "no_policy", "superseded by", "withheld"):
        assert word in story, word
    assert "\x1b" not in story
    tried = [line.strip() for line in story.split("try it yourself")[1].splitlines() if "carnet" in line]
    assert len(tried) == 7
    for line in tried[:-1]:
        again = subprocess.run(
            shlex.split(line), env=make_env(), cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert again.returncode == 0, (line, again.stderr)
