"""docs/keys.md is run as it stands, block after block, and its words are compared with what comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.shared import ROOT, shared_file
from tests.test_readme import read_transcript, to_pattern

PAGE = ROOT / "docs" / "keys.md"


def test_keys_page__transcript_is_what_happens(tmp_path: Path) -> None:
    source = shared_file("data", "histovec", "dev", "odometer_histories.jsonl")
    (tmp_path / source.name).symlink_to(source)
    steps = read_transcript(PAGE.read_text(encoding="utf-8"))
    assert len(steps) >= 40
    script = ["set -u", f"export CARNET_HOME='{tmp_path}/node'"]
    for number, (command, _, _) in enumerate(steps):
        script.append(f"{{ {command}\n}} >'{tmp_path}/out{number}' 2>&1; echo $? >'{tmp_path}/code{number}'")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    subprocess.run(["bash", "-c", "\n".join(script)], cwd=tmp_path, env=environment, check=True, timeout=280)
    for number, (command, lines, code) in enumerate(steps):
        output = (tmp_path / f"out{number}").read_text(encoding="utf-8")
        assert int((tmp_path / f"code{number}").read_text()) == code, (command, output)
        if lines:
            assert re.fullmatch(to_pattern(lines) + r"\n*", output), (command, to_pattern(lines), output)


def test_keys_page__names_only_what_exists() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / link).exists(), link
