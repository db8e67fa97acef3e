"""Rows packed for COPY: the kernel gives what Python gives, to the byte and to the error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.vault.bulk import COPY_BEGINS, COPY_ENDS, _pack_rows
from tests.kernel.built import get_kernel
from tests.kernel.cases import LAYOUTS

VALUES = {
    "i": st.none() | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
    "b": st.none() | st.binary(max_size=300) | st.binary(max_size=300).map(bytearray),
    "t": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
}
ROWS = st.one_of(st.tuples(*(VALUES[chr(kind)] for kind in layout if kind != ord("-"))) for layout in LAYOUTS.values())


def get_packer() -> Any:
    return get_kernel().pack_rows


@given(st.lists(ROWS, max_size=30))
def test_pack_rows__gives_what_python_gives(rows: list[tuple[Any, ...]]) -> None:
    assert get_packer()(rows, LAYOUTS) == _pack_rows(rows, LAYOUTS)


@pytest.mark.parametrize("pack", ["kernel", "python"])
def test_pack_rows__is_what_the_manual_says(pack: str) -> None:
    packer = get_packer() if pack == "kernel" else _pack_rows
    assert packer([], {}) == b""
    assert packer([(-2, b"ab", "é"), (None, bytearray(1), "")], {3: b"i-bt"}) == bytes.fromhex(
        "0004 00000008 fffffffffffffffe ffffffff 00000002 6162 00000002 c3a9"
        "0004 ffffffff                  ffffffff 00000001 00 00000000"
    )
    assert packer((("a" * 100_000,),) * 30, {1: b"t"}) == (b"\x00\x01\x00\x01\x86\xa0" + b"a" * 100_000) * 30
    assert (COPY_BEGINS[:11], len(COPY_BEGINS), COPY_ENDS) == (b"PGCOPY\n\xff\r\n\x00", 19, b"\xff\xff")


@pytest.mark.parametrize("pack", ["kernel", "python"])
@pytest.mark.parametrize(
    "row,layouts,error",
    [
        (("1",), {1: b"i"}, TypeError),
        ((1.0,), {1: b"i"}, TypeError),
        ((b"1",), {1: b"i"}, TypeError),
        ((1,), {1: b"b"}, TypeError),
        (("a",), {1: b"b"}, TypeError),
        ((memoryview(b"a"),), {1: b"b"}, TypeError),
        ((b"a",), {1: b"t"}, TypeError),
        ((1,), {1: b"t"}, TypeError),
        ((1,), {1: b"x"}, TypeError),
        ((2**63,), {1: b"i"}, OverflowError),
        ((-(2**63) - 1,), {1: b"i"}, OverflowError),
        ((2**300,), {1: b"i"}, OverflowError),
        (("\ud800",), {1: b"t"}, UnicodeEncodeError),
        ((1,), {}, ValueError),
        ((1, 2), {1: b"i"}, ValueError),
        ((1,), {1: b"ii"}, ValueError),
        ((1, 2), {2: b"i-"}, ValueError),
        ((1,), {1: b"i" + b"-" * 1600}, ValueError),
        ([1], {1: b"i"}, TypeError),
        (None, {1: b"i"}, TypeError),
    ],
)
def test_pack_rows__refuses_what_is_a_fault_of_ours(
    pack: str, row: Any, layouts: dict[int, bytes], error: type[Exception]
) -> None:
    packer = get_packer() if pack == "kernel" else _pack_rows
    # Amid others, which are let go of.
    good: dict[int, bytes] = {4: b"iiii", **layouts}
    with pytest.raises(error) as raised:
        packer([(1, 2, 3, 4), row, (1, 2, 3, 4)], good)
    assert raised.type is error
