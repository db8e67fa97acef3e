"""Where there is no compiler everything but the kernel is built, and whoever looks is told what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hatch_build import compile_kernel, tell
from tests.kernel.built import compile_into
from tests.shared import ROOT

LEFT_OUT = "The kernel in C was not built, so Python does its work, more slowly: "


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder `src`, without a kernel."""
    leavings = shutil.ignore_patterns("__pycache__", "_kernel.abi3.so*")
    return Path(shutil.copytree(ROOT / "src", tmp_path / "src", ignore=leavings))


def get_binary(source: Path) -> Path:
    return source / "carnet" / "_kernel.abi3.so"


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("CARNET_KERNEL", "off", "CARNET_KERNEL is off."),
        (
            "CC",
            "/nowhere/cc -O1",
            "there is no compiler (/nowhere/cc); on Debian: apt-get install gcc libc6-dev, then make kernel.",
        ),
        ("CC", "false", "false ended with 1; on Debian: apt-get install gcc libc6-dev, then make kernel."),
    ],
)
def test_tell__what_is_missing(source: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    compile_into(source.parent)
    monkeypatch.setenv(name, value)
    assert tell(source) == LEFT_OUT + said
    assert not get_binary(source).exists()


def test_tell__without_the_headers_of_python(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / name))
    assert tell(source) == (
        f"{LEFT_OUT}Python's headers are not there ({tmp_path}/include/Python.h); "
        "on Debian: apt-get install python3-dev, then make kernel."
    )


def test_compile__that_fails_leaves_what_was_there(source: Path) -> None:
    binary = get_binary(source)
    shutil.copy(compile_into(source.parent), binary)
    before = binary.read_bytes()
    with (source / "kernel" / "trees.c").open("a", encoding="utf-8") as file:
        file.write("this is no C\n")
    why = compile_kernel(source, binary)
    assert why is not None
    assert "trees.c" in why
    assert binary.read_bytes() == before
    assert sorted(path.name for path in binary.parent.glob("_kernel*")) == ["_kernel.abi3.so", "_kernel.pyi"]


def test_kernel__compiles_without_a_warning(tmp_path: Path) -> None:
    compile_into(tmp_path, "-Werror")


def make(*arguments: str) -> str:
    """What make would run."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed here")
    # Of a make above this one, such as `make test`, nothing is taken over.
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, env=mine, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name", ["src/kernel/sha256.c", "src/kernel/args.h", "src/carnet/_kernel.pyi", "hatch_build.py"]
)
def test_setup__builds_again_when_a_source_of_it_has_changed(name: str) -> None:
    assert "pip install" in make("-W", name, "setup")


def test_clean__removes_the_binary() -> None:
    assert "src/carnet/_kernel.abi3.so*" in make("clean")
