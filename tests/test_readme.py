"""The README's transcript is run as it stands, and its words are compared with what comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.shared import ROOT, shared_file

README = (ROOT / "README.md").read_text(encoding="utf-8")


def read_transcript(page: str) -> list[tuple[str, list[str], int]]:
    """(command, lines of output, exit code) of every console block, in order."""
    steps: list[tuple[str, list[str], int]] = []
    for block in re.findall(r"```console\n(.*?)```", page, re.S):
        for line in block.rstrip("\n").split("\n"):
            if line.startswith("$ "):
                command, _, note = line[2:].partition("   # exit code ")
                steps.append((command, [], int(note or 0)))
            else:
                steps[-1][1].append(line)
    return steps


def to_pattern(lines: list[str]) -> str:
    """`…` stands for any text within a line; alone on a line, for any lines."""
    while lines and not lines[-1]:
        lines = lines[:-1]
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(re.escape(part) for part in line.split("…")) + "\n")
    return "".join(parts)


def test_readme__transcript_is_what_happens(tmp_path: Path) -> None:
    source = shared_file("data", "histovec", "dev", "odometer_histories.jsonl")
    (tmp_path / source.name).symlink_to(source)
    steps = read_transcript(README)
    assert len(steps) >= 9
    script = ["set -u", f"export CARNET_HOME='{tmp_path}/node'"]
    for number, (command, _, _) in enumerate(steps):
        script.append(f"{command} >'{tmp_path}/out{number}' 2>&1; echo $? >'{tmp_path}/code{number}'")
        if ">" in command:
            script[-1] = f"{command}; echo $? >'{tmp_path}/code{number}'; : >'{tmp_path}/out{number}'"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    subprocess.run(["bash", "-c", "\n".join(script)], cwd=tmp_path, env=environment, check=True, timeout=120)
    for number, (command, lines, code) in enumerate(steps):
        assert int((tmp_path / f"code{number}").read_text()) == code, command
        output = (tmp_path / f"out{number}").read_text(encoding="utf-8")
        if lines:
            assert re.fullmatch(to_pattern(lines) + r"\n*", output), (command, to_pattern(lines), output)


def test_readme__names_only_what_exists() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    for verb in ("demo", "test", "setup", "lint", "bench", "vectors"):
        assert re.search(rf"^{verb}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
