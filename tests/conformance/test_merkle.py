"""The RFC 6962 / 9162 vectors of transparency-dev/merkle: each proof is accepted or refused as its file says."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carnet.errors import Unverified
from carnet.tlog.tree import check_consistency, check_inclusion
from tests.shared import shared_file

# Accepted upstream with a "root" of twelve bytes, which is only compared with itself. The format checks fixed sizes
# first.
NOT_OF_THIS_FORMAT = {"consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"}


def read_cases(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    base = shared_file("data", "conformance", "merkle_rfc6962_9162")
    for path in sorted((base / kind).rglob("*.json")):
        yield path.relative_to(base).as_posix(), json.loads(path.read_text())


def raw(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def path_of(case: dict[str, Any]) -> list[bytes]:
    return [raw(item) for item in case["proof"] or ()]


def is_inclusion_accepted(case: dict[str, Any]) -> bool:
    try:
        check_inclusion(raw(case["root"]), case["treeSize"], case["leafIdx"], raw(case["leafHash"]), path_of(case))
    except Unverified:
        return False
    return True


def is_consistency_accepted(case: dict[str, Any]) -> bool:
    try:
        check_consistency(case["size1"], raw(case["root1"]), case["size2"], raw(case["root2"]), path_of(case))
    except Unverified:
        return False
    return True


def test_inclusion__every_vector() -> None:
    cases = list(read_cases("inclusion"))
    assert len(cases) == 98
    for name, case in cases:
        assert is_inclusion_accepted(case) == (not case["wantErr"]), name


def test_consistency__every_vector() -> None:
    cases = list(read_cases("consistency"))
    assert len(cases) == 98
    for name, case in cases:
        expected = not case["wantErr"] and name not in NOT_OF_THIS_FORMAT
        assert is_consistency_accepted(case) == expected, name


def test_consistency__what_is_not_of_this_format_has_short_hashes() -> None:
    found = dict(read_cases("consistency"))
    for name in NOT_OF_THIS_FORMAT:
        assert not found[name]["wantErr"]
        assert len(raw(found[name]["root1"])) != 32


@pytest.mark.parametrize("name", [*sorted(NOT_OF_THIS_FORMAT), "subtreeinclusion", "subtreeconsistency"])
def test_exceptions__are_listed_in_the_specification(name: str) -> None:
    listed = Path(__file__).resolve().parents[2] / "docs" / "spec" / "conformance.md"
    assert f"`{name}`" in listed.read_text()
