"""Where the real public data stands: beside the project, never inside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_file(*parts: str) -> Path:
    """The path of a shared data file, e.g. `shared_file("data", "conformance")`.

    Skips the test, saying why, where it is absent.
    """
    base = Path(os.environ.get("CARNET_SHARED", ROOT.parent / "shared"))
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data absent: {'/'.join(parts)} (set CARNET_SHARED, or put `shared` beside the project)")
    return path
