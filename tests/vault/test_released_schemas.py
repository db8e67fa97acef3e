"""A schema that a release has made stays what it was: stores of it are out there, and upgrades begin at them.

Whoever adds a schema adds its line. A line is changed by nobody: what is to be another goes into the next migration.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from tests.faults.test_migrations import PEOPLE_SCRIPTS, list_versions, make_schema, read_schema

STORE, ACCOUNTS = "carnet.vault:migrations", PEOPLE_SCRIPTS
RELEASED: dict[tuple[str, str], str] = {
    (STORE, "0001"): "5db7c038873c810d215cb0179509fc94",
    (STORE, "0002"): "c9772e8e142f2ab3e29f062b078f9d64",
    (STORE, "0003"): "43676c0a37d831ab02a42c15874c45d3",
    (STORE, "0004"): "4f15378cc20d64a318b4a7914b7a2781",
    (STORE, "0005"): "986cf0f0cb3e3f72d3f0e15c221a5618",
    (STORE, "0006"): "560c72b3eb082b01545ada11f4f3ff6f",
    (STORE, "0007"): "3735843117eaa31cf260f47eb456e61a",
    (ACCOUNTS, "0001"): "705de9cd6a11bdcd814ef5fc04d40da5",
    (ACCOUNTS, "0002"): "861cf946321e1fc0732a31db80dc6bd8",
    (ACCOUNTS, "0003"): "ab55eec8939b80920f636ff39c6bc539",
    (ACCOUNTS, "0004"): "4f2ef0864c4f9a9c6275a2501510765c",
}


def compute_digest(path: Path, table: str) -> str:
    """Of all that SQLite keeps of a schema, but not of how it is laid out in lines."""
    version, found = read_schema(path, table)
    told = [version, *(f"{name}: {' '.join((sql or '').split())}" for name, sql in sorted(found.items()))]
    return sha256("\n".join(told).encode()).hexdigest()[:32]


def test_released__each_schema_has_its_line() -> None:
    known = {(scripts, version) for scripts in (STORE, ACCOUNTS) for version in list_versions(scripts)}
    assert set(RELEASED) == known


@pytest.mark.parametrize("scripts, version", sorted(RELEASED))
def test_released__schema_is_what_it_was(tmp_path: Path, scripts: str, version: str) -> None:
    make_schema(tmp_path / "made.db", version, scripts)
    table = "alembic_version" if scripts == STORE else "people_version"
    assert compute_digest(tmp_path / "made.db", table) == RELEASED[scripts, version]
