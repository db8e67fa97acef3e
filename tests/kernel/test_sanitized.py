"""The kernel under the address and undefined behaviour sanitizers, over all that the other tests call it with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_build import find_obstacle
from tests.kernel.built import PLAIN, compile_into, find_library
from tests.shared import ROOT

FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-O1")


def run_through(binary: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Each object of Python's gets memory of its own there, so that a step beside it is seen."""
    library = find_library("libasan.so")
    assert library is not None
    return subprocess.run(
        [sys.executable, "-m", "tests.kernel.through", binary, *options],
        cwd=ROOT,
        env={
            **os.environ, "LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc", "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
        capture_output=True,
        text=True,
        timeout=240,
    )  # fmt: skip


@pytest.mark.parametrize("flags", [(), (PLAIN,)], ids=["instructions", "plain"])
def test_kernel__is_clean_under_sanitizers(tmp_path: Path, flags: tuple[str, ...]) -> None:
    if find_library("libasan.so") is None or find_library("libubsan.so") is None:
        pytest.skip(find_obstacle() or "the compiler has no libasan and libubsan (gcc on Debian brings them)")
    binary = compile_into(tmp_path, *FLAGS, *flags)
    assert b"__asan_report" in binary.read_bytes()
    assert b"__ubsan_handle" in binary.read_bytes()
    done = run_through(binary)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(re.fullmatch(r"(\d+) calls\n", done.stdout)[1]) > 1_000  # type: ignore[index]
    # They do look.
    if not flags:
        caught = run_through(binary, "--overrun")
        assert caught.returncode != 0
        assert "heap-buffer-overflow" in caught.stderr
        assert "nobody saw it" not in caught.stdout
