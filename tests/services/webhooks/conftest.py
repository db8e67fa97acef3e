"""The ground of these tests, on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.webhooks.ground import Ground, open_ground


@pytest.fixture(params=["sqlite", "postgres"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").make_url()
    with open_ground(tmp_path, url) as made:
        yield made
