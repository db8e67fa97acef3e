"""Plates: one writing per country, and refusals that show how one is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.passport.plate import SERIES, check_plate


@pytest.mark.parametrize(
    "country,written,normal",
    [
        ("FR", "ab123cd", "AB-123-CD"),
        ("FR", " AB 123 CD ", "AB-123-CD"),
        ("FR", "WW-123-AB", "WW-123-AB"),
        ("FR", "123abc75", "123 ABC 75"),
        ("FR", "1234 AB 2A", "1234 AB 2A"),
        ("FR", "12 AB 974", "12 AB 974"),
        ("GB", "ab12cde", "AB12 CDE"),
        ("GB", "A123 BCD", "A123 BCD"),
        ("GB", "ABC 123D", "ABC 123D"),
        ("NL", "12abc3", "12-ABC-3"),
        ("NL", "AB-12-34", "AB-12-34"),
        ("DE", "b-ab1234", "B-AB 1234"),
        ("DE", "MÜ XY 12E", "MÜ-XY 12E"),
        ("ES", "1234BCD", "1234 BCD"),
        ("ES", "M-1234-AB", "M-1234-AB"),
        ("IT", "ab123cd", "AB 123 CD"),
        ("BE", "1ABC234", "1-ABC-234"),
        ("BE", "abc123", "ABC-123"),
        ("PT", "aa-12-bb", "AA-12-BB"),
        ("XK", "01 123 AB", "01 123 AB"),
    ],
)
def test_check_plate__writes_as_the_country_does(country: str, written: str, normal: str) -> None:
    assert check_plate(country, written) == normal
    assert check_plate(country, normal) == normal


@pytest.mark.parametrize(
    "country,value",
    [
        ("FR", "SS-123-AB"),
        ("FR", "AI-123-CD"),
        ("FR", "1234 ABCD 75"),
        ("FR", "123 ABC 99"),
        ("GB", "A"),
        ("NL", "1-2-3"),
        ("DE", "BAB1234"),
        ("DE", "ABC-DE 12345"),
        ("ES", "1234 AEI"),
        ("PT", ""),
        ("PT", " - "),
        ("PT", "A" * 17),
        ("PT", "AB_12"),
        ("PT", "ÉA-12"),
        ("fr", "AB-123-CD"),
        ("FRA", "AB-123-CD"),
        ("FR", "AB\n123\nCD"),
    ],
)
def test_check_plate__refused_invalid_plate(country: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        check_plate(country, value)
    assert refused.value.reason is Reason.INVALID_PLATE


def test_check_plate__refusal_teaches() -> None:
    with pytest.raises(Refused, match="one is written AB-123-CD, or 123 ABC 75 before 2009"):
        check_plate("FR", "AB123")


@given(st.sampled_from([*SERIES, "DE", "PT"]), st.text("ABCDEFGHIJ0123456789- äé", max_size=12))
def test_check_plate__is_its_own_normal_form(country: str, text: str) -> None:
    try:
        normal = check_plate(country, text)
    except Refused:
        return
    assert check_plate(country, normal) == normal
    assert len(normal) <= 16
