"""One server and one browser for all tests of pages in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.web.browser import open_browser
from tests.web.street import Street, open_street


@pytest.fixture(scope="session")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with open_street(tmp_path_factory.mktemp("street")) as street:
        yield street


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # One for the process: a second one cannot be driven beside it.
    with open_browser() as opened:
        yield opened
