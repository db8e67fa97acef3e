"""VINs: ISO 3779, old chassis numbers, the North American check digit, and the words of a refusal.

Where we differ from the libraries whose fixtures are read here, and why:
- `vin` (Python) demands 17 characters, a check digit everywhere and a model year at position 10: European and Japanese
  VINs have neither (ISO 3779 leaves both to the maker), and older vehicles are shorter.
- `vinutils` refuses Z at position 10 of a European VIN: same reason. Its made-up North American VINs carry no right
check   digit, which it does not look at.
- `vinutils` refuses any text shorter than 17 characters; we take 1 to 16 letters and digits as a legacy number.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.passport.vin import check_vin, compute_check_digit
from tests.shared import shared_file

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
vins = st.text(LETTERS, min_size=17, max_size=17)


def refuse(text: str) -> Refused:
    with pytest.raises(Refused) as refused:
        check_vin(text)
    assert refused.value.reason is Reason.INVALID_VIN
    return refused.value


def test_check_vin__sections() -> None:
    vin = check_vin(" wvwzzz1kz7p123456 ")
    assert vin.value == "WVWZZZ1KZ7P123456"
    assert (vin.wmi, vin.vds, vin.vis) == ("WVW", "ZZZ1KZ", "7P123456")
    assert (vin.is_legacy, vin.check_digit) == (False, "not_used")


@pytest.mark.parametrize("text", ["1", "ABC123", "123456789012345X"])
def test_check_vin__legacy(text: str) -> None:
    vin = check_vin(text)
    assert (vin.is_legacy, vin.check_digit, vin.wmi) == (True, "not_used", "")


def test_check_vin__check_digit_of_the_regulation() -> None:
    # The worked example that is usual for 49 CFR 565: seventeen ones, whose check digit is one.
    assert check_vin("1" * 17).check_digit == "valid"
    assert check_vin("1M8GDM9AXKP042788").check_digit == "valid"


def test_check_vin__a_wrong_chinese_check_digit_is_a_warning() -> None:
    right = "LSGXXXX1" + compute_check_digit("LSGXXXX1012345678") + "12345678"
    assert check_vin(right).check_digit == "valid"
    wrong = right[:8] + ("1" if right[8] != "1" else "2") + right[9:]
    assert check_vin(wrong).check_digit == "invalid"


@pytest.mark.parametrize("letter,word", [("O", "zero"), ("Q", "zero"), ("I", "one")])
def test_check_vin__refused_letter_that_is_never_there(letter: str, word: str) -> None:
    refused = refuse(f"WVWZZZ1KZ7P12345{letter}")
    assert f"the letter {letter} (17th character) is never in a VIN; is it a {word}?" in refused.message
    assert refused.facts["suggestion"] == f"WVWZZZ1KZ7P12345{'1' if letter == 'I' else '0'}"


def test_check_vin__refused_legacy_with_o_names_the_way_out() -> None:
    assert "use the scheme chassis" in refuse("DS23O1").message


@pytest.mark.parametrize(
    "text,saying",
    [
        ("", "empty"),
        ("W" * 18, "this one has 18"),
        ("WVWZZZ1KZ7P12345é", '17th character is "É"'),
        ("WVWZZZ1KZ7P1234５6", "only letters and digits"),
        ("VF1-ABC", "without blanks, dots or hyphens"),
        ("A" * 100_000, "this one has 100000"),
        ("\u202eVF1", "only letters and digits"),
    ],
)
def test_check_vin__refused_invalid_vin(text: str, saying: str) -> None:
    refused = refuse(text)
    assert saying in refused.message
    assert len(refused.message) < 400


def test_check_vin__refused_check_digit_suggests_the_swap() -> None:
    assert refuse("1HGCM82633A004325").facts["suggestion"] == "1HGCM82633A004352"


@given(vins)
def test_check_vin__is_its_own_normal_form(text: str) -> None:
    if text[0] in "12345" and compute_check_digit(text) != text[8]:
        assert "check digit" in refuse(text).message
        return
    vin = check_vin(text)
    assert vin.value == text
    assert check_vin(vin.value) == vin


@given(vins, st.integers(0, 16), st.sampled_from("0123456789"))
def test_check_vin__one_wrong_digit_never_passes_in_north_america(text: str, place: int, digit: str) -> None:
    # 11 is prime and no weight but that of the check digit itself is a multiple of it, so another digit changes the
    # remainder.
    good = "1" + text[1:]
    good = good[:8] + compute_check_digit(good) + good[9:]
    if place == 8 or not good[place].isdigit() or good[place] == digit or (place == 0 and digit not in "12345"):
        return
    refuse(good[:place] + digit + good[place + 1 :])


@given(st.text(max_size=40))
def test_check_vin__gives_a_suggestion_that_is_good(text: str) -> None:
    try:
        check_vin(text)
    except Refused as refused:
        if "suggestion" in refused.facts:
            check_vin(str(refused.facts["suggestion"]))


def test_check_vin__accepts_every_real_vin_of_the_decoding_fixtures() -> None:
    folder = shared_file("data", "vin", "vin_py_expected_decodes", "dev")
    found = {vin for path in folder.glob("*.yaml") for vin in re.findall(r"vin: (\S+)", path.read_text())}
    assert len(found) == 5_959
    digits = [check_vin(vin).check_digit for vin in found]
    # Not one North American VIN has a wrong digit; the others are Japanese, Korean, European.
    assert (digits.count("valid"), digits.count("invalid")) == (4_107, 0)


def test_check_vin__accepts_every_vin_of_the_corgi_fixtures() -> None:
    text = shared_file("data", "vin", "corgi_fixtures", "fixtures.ts.txt").read_text()
    found = set(re.findall(r'"([A-Z0-9]{17})"', text))
    assert len(found) == 153
    for vin in found:
        assert check_vin(vin).check_digit != "invalid"


def test_check_vin__agrees_with_vinutils_but_where_said_above() -> None:
    text = shared_file("data", "vin", "connectedcars_vinutils", "validate-vin.test.ts.txt").read_text()
    differ = set()
    cases = re.findall(r"validateVin\('([^']*)'\)\)\.toBe\((true|false)\)", text)
    for vin, expected in cases:
        try:
            is_good = not check_vin(vin).is_legacy
        except Refused:
            is_good = False
        if is_good != (expected == "true"):
            differ.add(vin)
    assert len(cases) == 41
    assert differ == {"WVWZZZAAZZD123456", "AAAAAAAAAZAAAAAAA"}


def test_check_vin__agrees_with_vin_py_on_wrong_check_digits_but_in_japan() -> None:
    text = shared_file("data", "vin", "vin_py_expected_decodes", "test_vin.py.txt").read_text()
    block = text[: text.index("def test_invalid_check_digit")].rpartition("parametrize")[2]
    found = re.findall(r'"([A-Z0-9]{17})"', block)
    assert len(found) == 4
    assert [vin for vin in found if vin[0] not in "12345"] == ["JM3KE4BY1G0636881"]
    for vin in found[:3]:
        refuse(vin)
    assert check_vin(found[3]).check_digit == "not_used"
