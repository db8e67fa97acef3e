"""The fields of a bundle in the kernel: the same root, values to look into, and refusals as in Python."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import encode_trusted
from carnet.kernel import kernel
from carnet.passport.fields import ValueSealer

pytestmark = pytest.mark.skipif(kernel is None, reason="the kernel is not built: `make kernel` needs a C compiler")

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=300)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
FIELDS = st.dictionaries(
    st.text("abc_", min_size=1, max_size=40),
    st.binary(min_size=32, max_size=32) | st.tuples(st.binary(min_size=16, max_size=16), VALUES),
    max_size=20,
)


def make(fields: dict[str, Any]) -> ValueSealer:
    return ValueSealer(tuple(fields))


@given(FIELDS, st.integers(1, 17))
def test_hash_shown__is_that_of_python(fields: dict[str, Any], depth: int) -> None:
    sealer = make(fields)
    root, odd = sealer.hash_shown(fields.values(), depth)
    wanted, inside = sealer._hash_shown(fields.values())
    assert root == wanted == sealer.hash_shown(list(fields.values()), depth)[0]
    # The kernel has looked into what is plain.
    left = [one for one in inside if not kernel.is_plain(one, depth)]  # type: ignore[union-attr]
    assert all(one is other for one, other in zip(odd, left, strict=True))


@pytest.mark.parametrize(
    "wrong", [b"", bytes(31), bytes(33), (b"", "a"), (bytes(15), "a"), (bytes(17), None), (bytes(32), {})]
)
def test_hash_shown__refused_of_another_size(wrong: Any) -> None:
    fields = {"a": (bytes(16), 1), "b": wrong}
    with pytest.raises(ValueError, match="bytes"):
        make(fields).hash_shown(fields.values(), 6)
    with pytest.raises(ValueError, match="size"):
        make(fields)._hash_shown(fields.values())


@pytest.mark.parametrize(
    "wrong", [None, 1, "a", bytearray(32), (), (bytes(16),), (bytes(16), 1, 2), ("a", 1), (None, 1)]
)
def test_hash_shown__refused_what_is_no_field(wrong: Any) -> None:
    with pytest.raises(TypeError):
        make({"a": wrong}).hash_shown([wrong], 6)


def test_hash_shown__refused_other_counts_and_arguments() -> None:
    name = b"\0\0\0\1a"
    for wrong in [
        ((name,), [], encode_trusted, 6),
        ((), [bytes(32)], encode_trusted, 6),
        ([name], [bytes(32)], encode_trusted, 6),
        (("a",), [bytes(32)], encode_trusted, 6),
        ((name,), None, encode_trusted, 6),
        ((name,), [(bytes(16), [1])], None, 6),
        ((name,), [(bytes(16), [1])], lambda value: "text", 6),
        ((name,), [bytes(32)], encode_trusted),
        ((name,), [bytes(32)], encode_trusted, None),
    ]:
        with pytest.raises((TypeError, ValueError)):
            kernel.hash_shown(*wrong)  # type: ignore[union-attr]


def test_hash_shown__passes_on_what_the_encoder_raises() -> None:
    def refuse(value: Any) -> bytes:
        raise LookupError(value)

    with pytest.raises(LookupError):
        kernel.hash_shown((b"\0\0\0\1a",), [(bytes(16), ["a"])], refuse, 6)  # type: ignore[union-attr]
    # A scalar is not asked about, unless it is a text with something to escape, or long.
    for value in (None, True, False, -1, "", "a", "é"):
        assert kernel.hash_shown((b"\0\0\0\1a",), [(bytes(16), value)], refuse, 6)[1] == []  # type: ignore[union-attr]


def test_hash_shown__keeps_no_reference() -> None:
    fields: dict[str, Any] = {
        "a": (bytes(range(16)), {"b": [1]}),
        "c": bytes(range(32)),
        "d": (bytes(range(1, 17)), None),
        "e": bytes(31),
    }
    sealer = make({name: fields[name] for name in "acd"})
    kept = [*fields.values(), fields["a"][1], fields["a"][0], encode_trusted, sealer._framed, sealer._framed[0]]
    before = [sys.getrefcount(one) for one in kept]
    wrong: Any = None
    for _ in range(1_000):
        sealer.hash_shown([fields[name] for name in "acd"], 6)
        for wrong in ([fields[name] for name in "ace"], [fields["a"]], [fields["a"], 1, fields["d"]]):
            with pytest.raises((ValueError, TypeError)):
                sealer.hash_shown(wrong, 6)
    wrong = None
    assert [sys.getrefcount(one) for one in kept] == before
