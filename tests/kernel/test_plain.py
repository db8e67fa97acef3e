"""What the kernel calls plain is what Python's check lets pass; all else is left to it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import MAX_DEPTH, _check_decoded
from carnet.errors import Refused
from carnet.kernel import kernel

pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel is not built: `make kernel` needs a C compiler")

EDGES = [2**53 - 1, -(2**53 - 1), 2**53, -(2**53), 2**63 - 1, -(2**63), 2**63, 2**64, 10**40]
SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from(EDGES) | st.text(max_size=9) | st.floats()
KEYS = st.text("az09_", max_size=41) | st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True) | st.text(max_size=3)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))


def is_plain(value: Any, depth: int) -> bool:
    return bool(kernel.is_plain(value, depth))  # type: ignore[union-attr]


def is_passed(value: Any, depth: int) -> bool:
    try:
        _check_decoded(value, depth)
    except Refused:
        return False
    return True


@given(st.lists(VALUES, max_size=3) | st.dictionaries(KEYS, VALUES, max_size=3), st.integers(1, MAX_DEPTH + 1))
def test_is_plain__what_python_lets_pass(value: Any, depth: int) -> None:
    assert is_plain(value, depth) == is_passed(value, depth)


@pytest.mark.parametrize("number", EDGES)
def test_is_plain__integers_at_the_edge(number: int) -> None:
    for value in ([number], {"a": number}, [[number]]):
        assert is_plain(value, 1) == is_passed(value, 1) == (abs(number) < 2**53)


@pytest.mark.parametrize(
    "key", ["", "a", "A", "_", "a_", "a9", "9a", "é", "aé", "a" * 40, "a" * 41, "a\0", "\ud800", "a-"]
)
def test_is_plain__keys(key: str) -> None:
    assert is_plain({key: None}, 1) == is_passed({key: None}, 1)
    assert is_plain([{"a": 1, key: []}], 1) == is_passed([{"a": 1, key: []}], 1)


def test_is_plain__as_deep_as_python_goes() -> None:
    value: Any = []
    for height in range(1, MAX_DEPTH + 3):
        for depth in range(1, MAX_DEPTH + 3):
            assert is_plain(value, depth) == is_passed(value, depth) == (height + depth - 1 <= MAX_DEPTH)
        value = [value] if height % 2 else {"a": value}


@pytest.mark.parametrize(
    "value", [None, 1, "text", True, 1.0, (), ((),), {1: 2}, {None: 1}, [()], [b""], [object()], [{1}]]
)
def test_is_plain__anything_else_is_left_to_python(value: Any) -> None:
    assert not is_plain(value, 1)


def test_is_plain__takes_a_value_and_a_depth() -> None:
    wrong: Any
    for wrong in [(), ([],), ([], 1, 2), ([], None), ([], "1"), ([], 2**80)]:
        with pytest.raises((TypeError, OverflowError)):
            kernel.is_plain(*wrong)  # type: ignore[union-attr]


def test_is_plain__keeps_no_reference() -> None:
    kept: list[Any] = ["text", 2**52, 2**70, 1.5, {"a": [1]}, [2]]
    value = [{"key": one} for one in kept]
    before = [sys.getrefcount(one) for one in (*kept, value)]
    for _ in range(1_000):
        is_plain(value, 1)
        is_plain(value[:2], 1)
    assert [sys.getrefcount(one) for one in (*kept, value)] == before
