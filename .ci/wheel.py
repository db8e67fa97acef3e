"""Build the wheel so that whoever builds the same commit gets the same bytes.

`python .ci/wheel.py [FOLDER]` takes the tracked files, as they stand, into an empty folder and builds there with the
locked backend: what lies about untracked never gets in, and neither do the time, the folder or the mode bits of this
machine. Where there is a compiler the kernel is in it, and it is a wheel for this platform; CARNET_KERNEL=off makes one
for every machine. It refuses to choose a version, and asks no registry.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# All that the backend reads; the rest of the tree cannot change the wheel.
INPUTS = ("LICENSE", "README.md", "docs/reasons.md", "hatch_build.py", "pyproject.toml", "src")

LEFT_OUT = "carnet: the kernel is left out: "
"""How `hatch_build.py` begins to say why."""


def main(arguments: list[str]) -> int:
    """Build into FOLDER (`dist` unless told) and print the wheel's path and digest."""
    target = Path(arguments[0] if arguments else ROOT / "dist").resolve()
    if not _is_checkout():
        print("wheel: needs a git checkout: the commit's date is the date of each file in it", file=sys.stderr)
        return 1
    for note in find_differences():
        print(f"wheel: no commit gives this wheel: {note}", file=sys.stderr)
    wheel = build(target, epoch=_git("log", "-1", "--format=%ct").strip())
    print(f"{os.path.relpath(wheel)}  sha256 {sha256(wheel.read_bytes()).hexdigest()}")
    return 0


def build(target: Path, epoch: str) -> Path:
    """The wheel of the tracked files, put into `target`; `epoch` (seconds since 1970) dates each file in it."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="carnet-wheel-") as folder:
        clean, out = Path(folder, "source"), Path(folder, "out")
        for name in _git("ls-files", "-z", "--", *INPUTS).split("\0"):
            source = ROOT / name
            if name and source.is_file():
                (clean / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, clean / name)
                (clean / name).chmod(0o644)
        built = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
            cwd=clean,
            check=False,
            env={**os.environ, "SOURCE_DATE_EPOCH": epoch, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
        )
        if built.returncode:
            raise SystemExit(f"wheel: the backend failed\n{built.stdout}{built.stderr}")
        for line in built.stderr.splitlines():
            if line.startswith(LEFT_OUT):
                print(f"wheel: without the kernel in C: {line.removeprefix(LEFT_OUT)}", file=sys.stderr)
        (wheel,) = out.glob("*.whl")
        return Path(shutil.move(wheel, target / wheel.name))


def find_differences() -> list[str]:
    """How the tree differs from its last commit, as far as the wheel sees it: one line a file."""
    states = _git("status", "--porcelain", "--untracked-files=all", "--", *INPUTS).splitlines()
    left_out = "is not tracked, and left out (git add it?)"
    return [f"{state[3:]} {left_out if state.startswith('??') else 'has changed'}" for state in states]


def _is_checkout() -> bool:
    return (ROOT / ".git").exists() and shutil.which("git") is not None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
