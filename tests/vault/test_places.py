"""Where a submission's entries stand, in a few bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.vault.places import Run, decode_kinds, decode_places, encode_kinds, encode_places

NUMBERS = st.integers(0, 2**40)


@given(st.dictionaries(st.tuples(NUMBERS, NUMBERS), st.integers(1, 2**20)))
def test_places__are_read_as_they_were_written(lengths: dict[tuple[int, int], int]) -> None:
    runs = [Run(chain, first, length) for (chain, first), length in lengths.items()]
    assert decode_places(encode_places(runs)) == sorted(runs)


@given(st.dictionaries(st.integers(0, 2**16), st.integers(1, 2**20)))
def test_kinds__are_read_as_they_were_written(counts: dict[int, int]) -> None:
    assert decode_kinds(encode_kinds(counts)) == counts


def test_places__take_a_few_bytes_where_passports_lie_far_apart() -> None:
    blob = encode_places((chain * 700, 30, 1) for chain in range(1000))
    assert len(blob) < 5.1 * 1000


@pytest.mark.parametrize("blob", [b"", b"\x92\x01\x02", b"\xc0", encode_places([(1, 2, 3)])[:-1], b"\x93\x01\x02\xa0"])
def test_decode_places__refuses_other_bytes(blob: bytes) -> None:
    with pytest.raises(ValueError, match=r"truncated|zip|Expected"):
        decode_places(blob)
