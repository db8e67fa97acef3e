"""The kernel as tests ask for it: installed, or compiled without the instructions that this processor may have."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.kernel.built import PLAIN, compile_into, get_kernel, load


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The binary of a processor that can do nothing special."""
    return compile_into(tmp_path_factory.mktemp("plain"), PLAIN)


@pytest.fixture(scope="session", params=["installed", "plain"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    """The kernel, both ways."""
    return get_kernel() if request.param == "installed" else load(request.getfixturevalue("plain"))
