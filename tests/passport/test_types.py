"""Shared small things: ids, subjects as people write them, values as messages quote them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.types import FORBIDDEN_TEXT, Basis, Mark, Subject, brief, hex_id, is_plain_text, parse_hex_id, show


@given(st.binary(min_size=16, max_size=16))
def test_parse_hex_id__undoes_hex_id(value: bytes) -> None:
    assert parse_hex_id(hex_id(value)) == value


@pytest.mark.parametrize("text", ["", "00", "G" * 32, "A" * 32, "0" * 33, "0" * 32 + "\n", "٠" * 32])
def test_parse_hex_id__refused_wrong_type(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_hex_id(text)
    assert refused.value.reason is Reason.WRONG_TYPE


def test_hex_id__another_length_is_our_bug() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        hex_id(b"short")


def test_subject__has_a_country_only_for_a_plate() -> None:
    assert Subject("vin", "VF1ABC").to_json() == {"scheme": "vin", "value": "VF1ABC"}
    plate = Subject("plate", "AB-123-CD", "FR")
    assert plate.to_json() == {"country": "FR", "scheme": "plate", "value": "AB-123-CD"}
    assert list(plate.to_json()) == sorted(plate.to_json())
    assert str(plate) == "plate:FR:AB-123-CD"


def test_numbers__are_those_of_the_signed_bytes() -> None:
    assert [int(basis) for basis in Basis] == [1, 2, 3, 4]
    assert [int(mark) for mark in Mark] == [0, 1, 2, 3, 4]


@given(st.text(st.characters()))
def test_is_plain_text__is_the_pattern(text: str) -> None:
    assert is_plain_text(text) == (FORBIDDEN_TEXT.search(text) is None)


def test_is_plain_text__empty_text_hides_nothing() -> None:
    assert is_plain_text("")


def test_show__describes_a_giant_number_instead_of_writing_it() -> None:
    assert show(10**5000) == "a number of about 5001 digits"
    assert show(-(10**6)) == "-1000000"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()), st.lists))
def test_show__is_short_and_has_nothing_hidden(value: object) -> None:
    assert is_plain_text(show(value))
    assert len(show(value)) <= 6 * 61 + 2
    assert brief(value) in show(value)
