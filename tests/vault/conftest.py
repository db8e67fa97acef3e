"""A store of people on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.vault.people.store import PeopleStore, open_people_store


@pytest.fixture(params=["sqlite", "postgres"])
def people_address(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if request.param == "sqlite":
        return tmp_path / "people.sqlite"
    url: str = request.getfixturevalue("postgres").make_url()
    return url


@pytest.fixture
def people_store(people_address: Path | str) -> Iterator[PeopleStore]:
    with open_people_store(people_address) as store:
        yield store
