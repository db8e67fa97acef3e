"""People on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.accounts.ground import Ground, open_ground

ON_FILE = pytest.mark.parametrize("ground", ["sqlite"], indirect=True)
"""For a test that asks hundreds of times, of what the others ask on both."""


@pytest.fixture(params=["sqlite", "postgres"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    is_file = request.param == "sqlite"
    address = tmp_path / "people.sqlite" if is_file else request.getfixturevalue("postgres").make_url()
    with open_ground(address) as made:
        yield made
