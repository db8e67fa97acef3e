"""The JCS vectors (RFC 8785). Each of the six holds something that the format leaves out, and is refused for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import rfc8785

from carnet.encoding import check_value, decode, encode
from carnet.errors import Reason, Refused, Unverified
from tests.shared import shared_file

REFUSED = {
    "arrays": (Reason.TEXT_NOT_ALLOWED, "'10'"),
    "french": (Reason.TEXT_NOT_ALLOWED, "'p\\xe9ch\\xe9'"),
    "structures": (Reason.TEXT_NOT_ALLOWED, "'1'"),
    "unicode": (Reason.TEXT_NOT_ALLOWED, "'Unnormalized Unicode'"),
    "values": (Reason.NUMBER_OUT_OF_RANGE, None),
    "weird": (Reason.TEXT_NOT_ALLOWED, "'\\u20ac'"),
}


def read(part: str, name: str) -> bytes:
    return shared_file("data", "conformance", "jcs_rfc8785", part, f"{name}.json").read_bytes()


def pieces_of(value: object) -> Iterator[object]:
    """Every value inside a value, itself included."""
    yield value
    if isinstance(value, dict):
        for member in value.values():
            yield from pieces_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from pieces_of(member)


def is_allowed(value: object) -> bool:
    try:
        check_value(value)
    except Refused:
        return False
    return True


def test_vectors__are_all_named() -> None:
    folder = shared_file("data", "conformance", "jcs_rfc8785", "input")
    assert {path.stem for path in folder.iterdir()} == set(REFUSED)
    listed = (Path(__file__).resolve().parents[2] / "docs" / "spec" / "conformance.md").read_text()
    for name in REFUSED:
        assert f"`{name}`" in listed


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_vectors__refused_outside_the_restriction(name: str) -> None:
    reason, key = REFUSED[name]
    with pytest.raises(Refused) as caught:
        encode(json.loads(read("input", name)))
    assert caught.value.reason is reason
    assert caught.value.facts.get("key") == key
    with pytest.raises(Unverified, match="not a canonical document"):
        decode(read("output", name))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_vectors__whatever_in_them_is_allowed_is_written_alike(name: str) -> None:
    expected = read("output", name)
    # The oracle of our property tests is right about the whole vector …
    assert rfc8785.dumps(json.loads(read("input", name))) == expected
    assert (
        bytes.fromhex(shared_file("data", "conformance", "jcs_rfc8785", "outhex", f"{name}.txt").read_text())
        == expected
    )
    # ... and each piece of it that the restriction allows stands in the expected bytes as we write it.
    allowed = [piece for piece in pieces_of(json.loads(read("input", name))) if is_allowed(piece)]
    assert allowed
    for piece in allowed:
        assert encode(piece) in expected
