"""Two colours of a member, and whether everybody can read and see what is drawn with them.

By day the ink is written and drawn on the paper and on our own surfaces; by night the two change places. Text needs a
contrast of 4.5:1, controls one of 3:1 (WCAG 2.2, 1.4.3 and 1.4.11). It refuses to know what is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused

TEXT: Final = 4.5
CONTROL: Final = 3.0
LIGHT_SURFACES: Final = (("the page by day", "#f3f5f2"), ("a sheet by day", "#ffffff"))
DARK_SURFACES: Final = (("the page by night", "#0c1311"), ("a sheet by night", "#141d1a"))
"""Our own surfaces, as `tokens.css` has them; a test holds the two together."""

_HEX: Final = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_STEPS: Final = 512


class Pair(NamedTuple):
    """Two colours that meet: what they are, how far apart they are, and how far they must be."""

    what: str
    ratio: float
    needed: float

    @property
    def is_enough(self) -> bool:
        """Whether the difference can be seen."""
        return self.ratio >= self.needed


class Colours(NamedTuple):
    """A member's ink and paper, as `#rrggbb` in small letters."""

    ink: str
    paper: str


def parse_colour(text: str, field: str) -> str:
    """A colour as `#rrggbb`, from that or `#rgb` in any case. Raises Refused(WRONG_TYPE)."""
    colour = text.strip().lower()
    if re.fullmatch(r"#[0-9a-f]{3}", colour, re.ASCII):
        colour = "#" + "".join(2 * digit for digit in colour[1:])
    if not _HEX.fullmatch(colour):
        raise Refused(Reason.WRONG_TYPE, "a colour is written #rrggbb, such as #0b3d91", field=field)
    return colour


def compute_contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21. Source: WCAG 2.2, contrast ratio."""
    lighter, darker = sorted((_compute_luminance(one), _compute_luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def list_pairs(colours: Colours) -> list[Pair]:
    """Every pair that meets on a page, in both themes."""
    ink, paper = colours
    return [
        Pair("text: ink on paper", compute_contrast(ink, paper), TEXT),
        *(Pair(f"controls: ink on {what}", compute_contrast(ink, ours), CONTROL) for what, ours in LIGHT_SURFACES),
        *(Pair(f"controls: paper on {what}", compute_contrast(paper, ours), CONTROL) for what, ours in DARK_SURFACES),
    ]


def check_colours(colours: Colours) -> None:
    """Raise Refused(CONTRAST_TOO_LOW) with the pair that fails first, and the nearest colours that would do."""
    failed = next((pair for pair in list_pairs(colours) if not pair.is_enough), None)
    if failed is None:
        return
    near = find_nearest(colours)
    changed = [f"{name} {new}" for name, old, new in zip(Colours._fields, colours, near, strict=True) if old != new]
    raise Refused(
        Reason.CONTRAST_TOO_LOW,
        f"{failed.what} has a contrast of {_floor(failed.ratio)}:1, and needs {failed.needed:g}:1; the nearest that"
        f" would do: {' and '.join(changed)}",
        field="ink" if near.ink != colours.ink else "paper",
        pair=failed.what,
        ratio=_floor(failed.ratio),
        needed=f"{failed.needed:g}",
        ink=near.ink,
        paper=near.paper,
    )


def find_nearest(colours: Colours) -> Colours:
    """The colours that do and differ least in lightness, hue kept: one of the two changed if that is enough."""

    def is_fine(*both: str) -> bool:
        return all(pair.is_enough for pair in list_pairs(Colours(*both)))

    if is_fine(*colours):
        return colours
    inks = _find(colours.ink, lambda ink: is_fine(ink, colours.paper))
    papers = _find(colours.paper, lambda paper: is_fine(colours.ink, paper))
    if inks is not None and (papers is None or inks[0] <= papers[0]):
        return Colours(inks[1], colours.paper)
    if papers is not None:
        return Colours(colours.ink, papers[1])
    # Black is far enough from our surfaces by day: a paper that does with it does with some ink.
    paper = _find(colours.paper, lambda paper: is_fine("#000000", paper)) or (1.0, "#ffffff")
    ink = _find(colours.ink, lambda ink: is_fine(ink, paper[1])) or (1.0, "#000000")
    return Colours(ink[1], paper[1])


def _find(colour: str, is_fine: Callable[[str], bool]) -> tuple[float, str] | None:
    """The nearest in lightness that is fine, and how far it is."""
    return next(((step, shade) for step, shade in _list_shades(colour) if is_fine(shade)), None)


def _list_shades(colour: str) -> Iterator[tuple[float, str]]:
    """The shades of a colour, the nearest first, in the lightness of Oklab (Ottosson 2020)."""
    lightness, a, b = _to_oklab(colour)
    for step in range(_STEPS + 1):
        for sign in (-1, 1) if step else (1,):
            moved = lightness + sign * step / _STEPS
            if 0 <= moved <= 1:
                yield step / _STEPS, _from_oklab(moved, a, b)


def _compute_luminance(colour: str) -> float:
    red, green, blue = _to_linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _to_linear(colour: str) -> tuple[float, float, float]:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return red, green, blue


def _to_oklab(colour: str) -> tuple[float, float, float]:
    red, green, blue = _to_linear(colour)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklab(lightness: float, a: float, b: float) -> str:
    """The colour; with as much of its hue as a screen can show at this lightness."""
    shades = (_to_rgb(lightness, a * tenth / 10, b * tenth / 10) for tenth in range(10, 0, -1))
    grey = _to_rgb(lightness, 0, 0)
    linear = next((shade for shade in shades if all(-1e-4 <= one <= 1 + 1e-4 for one in shade)), grey)
    return "#" + "".join(f"{_to_byte(one):02x}" for one in linear)


def _to_rgb(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _to_byte(linear: float) -> int:
    kept = min(1.0, max(0.0, linear))
    return round(255 * (12.92 * kept if kept <= 0.0031308 else 1.055 * kept ** (1 / 2.4) - 0.055))


def _floor(ratio: float) -> str:
    """Two digits, rounded down: a contrast that fails is never told as one that does."""
    return f"{int(ratio * 100) / 100:.2f}"
