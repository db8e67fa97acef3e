"""A kernel that is not of the sources beside it, or that hashes wrongly, is never used: Python does its work then."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from carnet.kernel import is_built_from
from hatch_build import compile_kernel, describe_sources
from tests.kernel.built import compile_into, get_kernel
from tests.shared import ROOT

BINARY = "_kernel.abi3.so"
TELL = """
from carnet.kernel import STATE, kernel
from carnet.encoding import sha256
print(STATE, kernel is None, sha256(b"").hex()[:8])
"""
USED, UNUSED = "used False e3b0c442\n", " True e3b0c442\n"


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernel of the sources as they stand."""
    return compile_into(tmp_path_factory.mktemp("binary"))


@pytest.fixture
def source(tmp_path: Path, binary: Path) -> Path:
    """The folder `src` of another checkout, with a kernel of its own."""
    target = tmp_path / "src"
    target.mkdir()
    leavings = shutil.ignore_patterns("__pycache__", f"{BINARY}*")
    for name in ("carnet", "kernel"):
        shutil.copytree(ROOT / "src" / name, target / name, ignore=leavings)
    shutil.copy(binary, target / "carnet" / BINARY)
    return target


def build(source: Path) -> None:
    """Compile what stands in this folder."""
    assert compile_kernel(source, source / "carnet" / BINARY) is None


def tell(source: Path) -> str:
    """What a new process says of the package in this folder."""
    command, paths = [sys.executable, "-c", TELL], {"PYTHONPATH": str(source)}
    done = subprocess.run(command, cwd=source, env=paths, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kernel__of_the_sources_beside_it_is_used(source: Path) -> None:
    assert tell(source) == USED
    assert describe_sources(ROOT / "src") == get_kernel().BUILT_FROM


def test_kernel__of_a_wheel_is_used_without_its_sources(source: Path) -> None:
    shutil.rmtree(source / "kernel")
    assert tell(source) == USED
    # What another package has in a folder of that name is none of our business.
    (source / "kernel").mkdir()
    (source / "kernel" / "args.h").write_text("another's", encoding="utf-8")
    assert tell(source) == USED


@pytest.mark.parametrize("name", ["kernel/trees.c", "kernel/hash.h", "carnet/__init__.py", "carnet/_kernel.pyi"])
def test_kernel__of_older_sources_is_stale(source: Path, name: str) -> None:
    with (source / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert tell(source) == f"stale{UNUSED}"


@pytest.mark.parametrize("name", ["kernel/trees.c", "carnet/_kernel.pyi"])
def test_kernel__of_a_source_that_is_gone_is_stale(source: Path, name: str) -> None:
    (source / name).unlink()
    assert tell(source) == f"stale{UNUSED}"


def test_kernel__of_another_version_is_stale_in_a_wheel(source: Path) -> None:
    shutil.rmtree(source / "kernel")
    (source / "carnet" / "__init__.py").write_text('__version__ = "99.0.0"\n', encoding="utf-8")
    assert tell(source) == f"stale{UNUSED}"


def test_is_built_from__nothing_that_is_there() -> None:
    for folder in (ROOT / "src", ROOT / "docs"):
        assert not is_built_from("", str(folder))
        assert not is_built_from("kernel/no-such-file.c=0000000000000000", str(folder))
    assert is_built_from(describe_sources(ROOT / "src"), str(ROOT / "src"))
    assert not is_built_from(describe_sources(ROOT / "src"), str(ROOT / "docs"))


@pytest.mark.parametrize(
    "name, right, wrong",
    [
        ("sha256.c", "0x428a2f98", "0x428a2f99"),
        ("shake256.c", "0x0000000000008082", "0x800000008000808a"),
    ],
)
def test_kernel__that_hashes_wrongly_is_not_used(source: Path, name: str, right: str, wrong: str) -> None:
    path = source / "kernel" / name
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    # Built from just these sources: only what it gives can tell.
    build(source)
    assert tell(source) == f"wrong{UNUSED}"


@pytest.mark.parametrize(
    "needs, name, right, wrong",
    [
        ("sha_ni", "sha256.c", "make_rounds(&other, other_w, at);", "make_rounds(&other, w, at);"),
        ("avx2", "shake256.c", "block[first_size + 32] = 0x1f", "block[first_size + 32] = 0x1e"),
    ],
)
def test_kernel__that_hashes_wrongly_what_is_hashed_at_once(
    source: Path, needs: str, name: str, right: str, wrong: str
) -> None:
    cpu = Path("/proc/cpuinfo")
    if not cpu.exists() or needs not in cpu.read_text(encoding="utf-8").split():
        pytest.skip(f"this processor has no {needs}: it hashes one after the other")
    test_kernel__that_hashes_wrongly_is_not_used(source, name, right, wrong)


def test_kernel__that_cannot_be_loaded_is_not_used(source: Path) -> None:
    (source / "carnet" / BINARY).write_bytes(b"\x7fELF of another machine")
    assert tell(source) == f"unloadable{UNUSED}"


def test_kernel__that_is_not_there(source: Path) -> None:
    (source / "carnet" / BINARY).unlink()
    assert tell(source) == f"absent{UNUSED}"
