"""One fresh node for each test; the store is checked again after every one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.home import TestNode, make_node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[TestNode]:
    made = make_node(tmp_path)
    yield made
    made.close()


@pytest.fixture
def checked(node: TestNode) -> Iterator[TestNode]:
    """A node whose store must be clean when the test ends."""
    yield node
    node.close()
    node.check()
