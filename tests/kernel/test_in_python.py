"""Without the kernel everything is the same: the vectors of the specification are read and written again in Python."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.shared import ROOT

BLOCKED = """
import sys
sys.modules["carnet._kernel"] = None
from carnet.kernel import STATE, kernel
assert (STATE, kernel) == ("absent", None)
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *sys.argv[1:]]))
"""
WHAT = (
    "tests/proof/test_vectors.py",
    "tests/ledger/test_bytes.py",
    "tests/conformance/test_merkle.py",
    "-k",
    "not javascript",
)


def test_python__does_by_itself_what_the_kernel_does() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED, *WHAT], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 300  # type: ignore[index]
