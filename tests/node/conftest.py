"""One fresh node for each test, on each kind of store; the store is checked again after every one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.home import TestNode, make_node

ON_FILE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""For a test that is about the SQLite file itself."""


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Where a new node's store goes: the URL of an empty place in PostgreSQL, or None for a file of its home."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres").make_url()


@pytest.fixture
def node(tmp_path: Path, store_url: str | None) -> Iterator[TestNode]:
    made = make_node(tmp_path, store_url=store_url)
    yield made
    made.close()


@pytest.fixture
def checked(node: TestNode) -> Iterator[TestNode]:
    """A node whose store must be clean when the test ends."""
    yield node
    node.close()
    node.check()
