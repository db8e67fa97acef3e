"""Every recipe of docs/operating.md is run as it stands, in its order, and what it says is compared with what comes
out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.run import make_inspection, make_line
from tests.shared import ROOT
from tests.test_readme import to_pattern

PAGE = ROOT / "docs" / "operating.md"


def read_steps() -> list[tuple[str, list[str], int]]:
    """(command, lines of output, exit code) of every console block, in order."""
    steps: list[tuple[str, list[str], int]] = []
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        for line in block.rstrip("\n").split("\n"):
            if line.startswith("$ "):
                command, _, note = line[2:].partition("   # exit code ")
                steps.append((command, [], int(note or 0)))
            else:
                steps[-1][1].append(line)
    return steps


def write_files(folder: Path) -> None:
    """The files that the page imports."""
    lines = [
        make_line(f"HV{at:06x}", make_inspection(), make_inspection(date="2017-03-04", km=90_000)) for at in range(20)
    ]
    (folder / "inspections.jsonl").write_bytes(b"".join(lines))
    (folder / "more.jsonl").write_bytes(make_line("HV000100", make_inspection(), make_inspection(date="2018-01-02")))


def test_operating__each_recipe_is_what_happens(tmp_path: Path) -> None:
    write_files(tmp_path)
    steps = read_steps()
    assert len(steps) >= 30
    script = ["set -u", f"export CARNET_HOME='{tmp_path}/node'"]
    for number, (command, _, _) in enumerate(steps):
        # In braces and not in a shell of its own: a recipe may set a variable.
        script.append(f"{{ {command}\n}} >'{tmp_path}/out{number}' 2>&1; echo $? >'{tmp_path}/code{number}'")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=290,
    )
    wrong = []
    for number, (command, lines, code) in enumerate(steps):
        output = (tmp_path / f"out{number}").read_text(encoding="utf-8")
        found = int((tmp_path / f"code{number}").read_text())
        if found != code or (lines and not re.fullmatch(to_pattern(lines) + r"\n*", output)):
            wrong.append(f"$ {command}\nexit code {found}, wanted {code}; wanted {lines}\n{output}")
    assert wrong == [], "\n\n".join(wrong)


def test_operating__links_lead_somewhere_and_every_verb_of_a_node_is_told() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (PAGE.parent / link).exists(), link
    for verb in ("status", "doctor", "fsck", "backup", "restore", "checkpoint", "erase", "keys rotate", "move"):
        assert f"carnet {verb}" in text, verb
