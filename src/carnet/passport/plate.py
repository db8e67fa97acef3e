"""Registration plates: one way of writing each, per country.

A plate names a vehicle only for a while, so it is never a passport's own subject (format.md); here only its writing
is checked. It refuses to know which vehicle carries a plate, and when. The patterns are the current and the still
seen older series of each country; a country without a pattern accepts 1 to 16 letters, digits, spaces and hyphens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from carnet.errors import Reason, Refused
from carnet.types import brief, show

MAX_LENGTH = 16
COUNTRY = re.compile(r"[A-Z]{2}")
_ANY_PLATE = re.compile(r"(?=.*[A-Z0-9])[A-Z0-9 -]{1,16}")


@dataclass(frozen=True, slots=True)
class _Series:
    """One way in which a country writes plates: a pattern over the bare letters and digits, and how the groups are
    joined."""

    pattern: re.Pattern[str]
    write: Callable[[tuple[str, ...]], str]


def _series(pattern: str, separator: str) -> _Series:
    return _Series(re.compile(pattern), lambda groups: separator.join(group for group in groups if group))


def _write_german(groups: tuple[str, ...]) -> str:
    district, letters, number, suffix = groups
    return f"{district}-{letters} {number}{suffix}"


# SIV has no I, O or U, and no SS on the left or right (decree of 9 February 2009). FNI: digits, letters, département
# (2A, 2B, 971 …).
_FR = (
    _series(r"(?!SS|WW)([A-HJ-NP-TV-Z]{2})(\d{3})(?!SS)([A-HJ-NP-TV-Z]{2})", "-"),
    _series(r"(WW)(\d{3})([A-HJ-NP-TV-Z]{2})", "-"),
    _series(r"(W)(\d{3})([A-HJ-NP-TV-Z]{2})", "-"),
    _series(r"(\d{1,4})([A-HJ-NP-TV-Z]{1,3})(0[1-9]|[1-8]\d|9[0-5]|2[AB]|97[1-6]|98[5-8])", " "),
)
_GB = (
    _series(r"([A-HJ-PR-Y][A-HJ-PR-Y]\d\d)([A-HJ-PR-Z]{3})", " "),
    _series(r"([A-HJ-NPR-TV-Y]\d{1,3})([A-HJ-PR-Y]{3})", " "),
    _series(r"([A-HJ-PR-Y]{3})(\d{1,3}[A-HJ-NPR-TV-Y])", " "),
    _series(r"([A-Z]{1,3})(\d{1,4})", " "),
    _series(r"(\d{1,4})([A-Z]{1,3})", " "),
)
_DUTCH_SIDECODES = (
    "XX-99-99 99-99-XX 99-XX-99 XX-99-XX XX-XX-99 99-XX-XX 99-XXX-9 9-XXX-99 XX-999-X X-999-XX XXX-99-X X-99-XXX "
    "9-XX-999 999-XX-9 999-X-99 99-X-999"
).split()
# Three groups of letters or digits, six characters in all.
_NL = tuple(
    _series("".join(f"({'[A-Z]' if part[0] == 'X' else '[0-9]'}{{{len(part)}}})" for part in code.split("-")), "-")
    for code in _DUTCH_SIDECODES
)
_BE = (
    _series(r"([1-9])([A-Z]{3})(\d{3})", "-"),
    _series(r"([1-9])(\d{3})([A-Z]{3})", "-"),
    _series(r"([A-Z]{3})(\d{3})", "-"),
    _series(r"(\d{3})([A-Z]{3})", "-"),
)
_ES = (
    _series(r"(\d{4})([BCDFGHJ-NPR-TV-Z]{3})", " "),
    _series(r"([A-Z]{1,2})(\d{4})([A-Z]{1,2})", "-"),
    _series(r"([A-Z]{1,2})(\d{1,6})", "-"),
)
_IT = (
    _series(r"([A-HJ-NPR-TV-Z]{2})(\d{3})([A-HJ-NPR-TV-Z]{2})", " "),
    _series(r"([A-Z]{2})([A-Z0-9]{5,6})", " "),
)

SERIES: dict[str, tuple[_Series, ...]] = {"FR": _FR, "GB": _GB, "NL": _NL, "BE": _BE, "ES": _ES, "IT": _IT}
_EXAMPLE = {
    "FR": "AB-123-CD, or 123 ABC 75 before 2009",
    "GB": "AB12 CDE",
    "NL": "12-ABC-3",
    "DE": "B-AB 1234",
    "BE": "1-ABC-234",
    "ES": "1234 BCD",
    "IT": "AB 123 CD",
}
# Germany's district and letters can only be told apart by the gap between them, so it must be written: BAB12 is B-AB
# 12 or BA-B 12.
_DE = _Series(re.compile(r"([A-ZÄÖÜ]{1,3})[ -]+([A-Z]{1,2})[ -]*([1-9]\d{0,3})([EH]?)"), _write_german)


def check_plate(country: str, value: str) -> str:
    """The plate as its country writes it ("ab123cd" in FR gives "AB-123-CD"); applying it again changes nothing.

    `country` is an ISO 3166-1 alpha-2 code. Raises Refused INVALID_PLATE, saying how that country writes plates.
    """
    if COUNTRY.fullmatch(country) is None:
        raise Refused(
            Reason.INVALID_PLATE, f"{show(country)} is not a country code of two capital letters", value=brief(value)
        )
    text = value.strip().upper()
    if len(text) > MAX_LENGTH:
        raise _refused(country, value, f"is longer than {MAX_LENGTH} characters")
    if country == "DE":
        found = _DE.pattern.fullmatch(text)
        # A German plate has at most eight characters in all, the suffix of electric and historic vehicles included.
        if found is None or len("".join(found.groups())) > 8:
            raise _refused(country, value, "is not a plate of DE")
        return _DE.write(found.groups())
    if _ANY_PLATE.fullmatch(text) is None:
        raise _refused(country, value, "may hold only letters A to Z, digits, spaces and hyphens")
    if country not in SERIES:
        return text
    bare = text.replace(" ", "").replace("-", "")
    for series in SERIES[country]:
        found = series.pattern.fullmatch(bare)
        if found is not None:
            return series.write(found.groups())
    raise _refused(country, value, f"is not a plate of {country}")


def _refused(country: str, value: str, saying: str) -> Refused:
    example = f": one is written {_EXAMPLE[country]}" if country in _EXAMPLE else ""
    return Refused(Reason.INVALID_PLATE, f"{show(value)} {saying}{example}", value=brief(value), country=country)
