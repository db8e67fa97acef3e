"""Two colours that everybody can read, by day and by night; and what is proposed instead of those that not all can."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import Reason, Refused
from carnet.services.appearance.colours import (
    CONTROL,
    DARK_SURFACES,
    LIGHT_SURFACES,
    TEXT,
    Colours,
    check_colours,
    compute_contrast,
    find_nearest,
    list_pairs,
    parse_colour,
)
from tests.shared import ROOT

COLOURS = st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}")


@pytest.mark.parametrize(
    "one, other, ratio",
    # Known values: WCAG's own extremes, and greys that tools for contrast quote.
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#767676", "#ffffff", 4.54),
     ("#ff0000", "#ffffff", 3.998)],
)  # fmt: skip
def test_contrast__is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert compute_contrast(one, other) == pytest.approx(ratio, abs=0.005)


@given(one=COLOURS, other=COLOURS)
def test_contrast__is_symmetrical_and_between_1_and_21(one: str, other: str) -> None:
    assert compute_contrast(one, other) == compute_contrast(other, one)
    assert 1 <= compute_contrast(one, other) <= 21.0001
    assert compute_contrast(one, one) == 1


def test_surfaces__are_those_of_our_own_stylesheet() -> None:
    tokens = (ROOT / "src/carnet/web/tokens.css").read_text()
    day, night = tokens.partition("@media (prefers-color-scheme: dark)")[::2]
    for text, surfaces in ((day, LIGHT_SURFACES), (night, DARK_SURFACES)):
        found = {re.search(rf"--{name}: (#[0-9a-f]{{6}});", text)[1] for name in ("paper", "sheet")}  # type: ignore[index]
        assert found == {colour for _, colour in surfaces}


@given(ink=COLOURS, paper=COLOURS)
def test_nearest__does_always_and_is_what_was_asked_where_that_does(ink: str, paper: str) -> None:
    asked = Colours(ink, paper)
    near = find_nearest(asked)
    check_colours(near)
    assert find_nearest(near) == near
    if all(pair.is_enough for pair in list_pairs(asked)):
        assert near == asked


@given(ink=COLOURS, paper=COLOURS)
def test_check__refused_contrast_too_low__names_the_pair_and_what_would_do(ink: str, paper: str) -> None:
    ratios = {pair.what: pair for pair in list_pairs(Colours(ink, paper))}
    failing = [pair for pair in ratios.values() if pair.ratio < (TEXT if "text" in pair.what else CONTROL)]
    if not failing:
        check_colours(Colours(ink, paper))
        return
    with pytest.raises(Refused) as refused:
        check_colours(Colours(ink, paper))
    facts = refused.value.facts
    assert refused.value.reason is Reason.CONTRAST_TOO_LOW
    assert facts["pair"] == failing[0].what
    assert float(str(facts["ratio"])) <= failing[0].ratio
    check_colours(Colours(str(facts["ink"]), str(facts["paper"])))


def test_nearest__changes_one_colour_and_little_where_that_is_enough() -> None:
    near = find_nearest(Colours("#4a90d9", "#ffffff"))
    assert near.paper == "#ffffff"
    assert TEXT <= compute_contrast(*near) < TEXT + 0.15
    red, green, blue = (int(near.ink[at : at + 2], 16) for at in (1, 3, 5))
    assert blue > green > red, "still that blue"


def test_nearest__of_two_that_no_single_change_can_mend() -> None:
    near = find_nearest(Colours("#ffffff", "#101010"))
    check_colours(near)
    assert near.ink != "#ffffff"
    assert near.paper != "#101010"


@pytest.mark.parametrize("text, colour", [("#ABC", "#aabbcc"), (" #0B3d91 ", "#0b3d91")])
def test_parse__takes_both_ways_to_write_one(text: str, colour: str) -> None:
    assert parse_colour(text, "ink") == colour


@pytest.mark.parametrize("text", ["", "red", "#12345", "#1234567", "#12345g", "#٠٠٠٠٠٠", "rgb(0,0,0)", "#fff;}"])
def test_parse__refused_wrong_type(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_colour(text, "ink")
    assert (refused.value.reason, refused.value.facts["field"]) == (Reason.WRONG_TYPE, "ink")
