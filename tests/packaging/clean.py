"""A clean environment: Carnet as a user gets it, from the wheel and the locked packages, away from this checkout.

It knows nothing of what Carnet does. Where the package registry cannot be reached, whoever asks for one is skipped, and
told why; once the registry has answered, whatever goes wrong is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.shared import ROOT

CI = ROOT / ".ci"


def run_ci(script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs in `.ci`, as the Makefile does."""
    return _run([sys.executable, CI / script, *arguments], cwd=ROOT, environment=environment or None)


def make_wheel(folder: Path, **environment: str) -> Path:
    """The wheel of the tracked files, built into this folder."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the wheel takes its date and its files from git")
    built = run_ci("wheel.py", folder, **environment)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Clean:
    """One environment, with a home and a working folder in which there is nothing."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def cwd(self) -> Path:
        return self.folder / "cwd"

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run `carnet` there, knowing nothing of the variables of this process."""
        return self.run_program(self.python.with_name("carnet"), *arguments)

    def run_program(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run any program there."""
        environment = {
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(self.temporary),
        }
        return _run(list(command), cwd=self.cwd, environment=environment, clears=True)

    def list_traces(self) -> list[str]:
        """What was left in the home and in the working folder."""
        return sorted(str(path.name) for part in ("home", "cwd") for path in (self.folder / part).iterdir())


def make_clean(folder: Path, wheel: Path, *extras: str) -> Clean:
    """An environment with this wheel and these extras, from the pins and hashes of the lock and nothing else."""
    clean = Clean(folder)
    for name in ("home", "cwd", "tmp"):
        (folder / name).mkdir(parents=True)
    if _run([sys.executable, "-m", "pip", "--version"]).returncode:
        pytest.skip("pip is not installed here")
    made = _run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    assert made.returncode == 0, made.stderr
    cut = run_ci("runtime_lock.py", *extras)
    assert cut.returncode == 0, cut.stderr
    lock = folder / "runtime.lock"
    lock.write_text(cut.stdout, encoding="utf-8")
    _check_registry(folder, lock)
    locked = _pip(clean, "install", "--require-hashes", "--no-deps", "-r", lock)
    assert locked.returncode == 0, locked.stderr
    # Without an index: what the wheel asks for and the lock does not hold fails here.
    wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    installed = _pip(clean, "install", "--no-index", wanted)
    assert installed.returncode == 0, installed.stderr
    return clean


def _check_registry(folder: Path, lock: Path) -> None:
    """Skip when the smallest of our packages cannot be had."""
    (line,) = [line for line in lock.read_text(encoding="utf-8").splitlines() if line.startswith("mdurl==")]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    limits = ["--retries", "1", "--timeout", "20", "--dest", folder / "probe"]
    if _run([*command, *limits, line.split()[0]]).returncode:
        pytest.skip("the package registry cannot be reached: no clean environment can be made")


def _pip(clean: Clean, verb: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    pip = [sys.executable, "-m", "pip", "--python", clean.python, "--disable-pip-version-check"]
    return _run([*pip, verb, "--quiet", "--no-compile", *arguments])


def _run(
    command: list[str | Path], cwd: Path | None = None, environment: dict[str, str] | None = None, clears: bool = False
) -> subprocess.CompletedProcess[str]:
    variables = environment if clears else {**os.environ, **(environment or {})}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=150,
    )
