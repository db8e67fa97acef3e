"""Vehicle identification numbers: what a VIN may be, and how to say kindly that one is not.

ISO 3779 gives 17 characters in three sections (WMI 3, VDS 6, VIS 8), capital letters and digits, never I, O or Q.
Older vehicles carry a chassis number of 1 to 16 characters: accepted as legacy, with the same letters, because an O
there is nearly always a misread zero; a number that truly holds one is a subject of another scheme (`chassis`). It
refuses to know makes and models, and never invents a VIN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from carnet.errors import Reason, Refused
from carnet.types import brief, show

VIN_LENGTH = 17
NEARLY_VIN_LENGTH = 15
"""Of so many characters a number is a VIN that lost one or two far more often than one from before 1981."""

CheckDigit: TypeAlias = Literal["valid", "invalid", "not_used"]

_VIN_TEXT = re.compile(r"[A-HJ-NPR-Z0-9]{1,17}")
_CHARACTER_TEXT = re.compile(r"[A-Z0-9]+")

# 49 CFR 565.15(c): each character has a value and each position a weight; the remainder by 11 stands at position 9,
# 10 written X.
_VALUES = {**{str(digit): digit for digit in range(10)}, **dict(zip("ABCDEFGH", range(1, 9), strict=True))}
_VALUES |= {
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    "P": 7,
    "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_CHECK_POSITION = 8

# ISO 3780: 1 to 5 is North America, where 49 CFR 565 makes the digit mandatory. China (L) prescribes it too (GB
# 16735), but enough Chinese vehicles break it that a wrong one is a warning. Elsewhere position 9 is the maker's own.
_CHECK_DIGIT_MANDATORY = frozenset("12345")
_CHECK_DIGIT_USED = _CHECK_DIGIT_MANDATORY | {"L"}

_NEVER = {"I": "1", "O": "0", "Q": "0"}
_ORDINAL_SUFFIX = {1: "st", 2: "nd", 3: "rd"}
_LOOKALIKE_PAIRS = ("5S", "8B", "2Z", "6G", "0D", "1L")
_LOOKALIKES = {pair[i]: pair[1 - i] for pair in _LOOKALIKE_PAIRS for i in (0, 1)}


@dataclass(frozen=True, slots=True)
class Vin:
    """A possible VIN in capitals; `is_legacy` for 1 to 16 characters; `check_digit` is a warning where it is
    "invalid"."""

    value: str
    is_legacy: bool
    check_digit: CheckDigit

    @property
    def wmi(self) -> str:
        """World manufacturer identifier, ISO 3780; empty for a legacy number, whose letters mean nothing in common."""
        return "" if self.is_legacy else self.value[:3]

    @property
    def vds(self) -> str:
        """Vehicle descriptor section, characters 4 to 9; empty for a legacy number."""
        return "" if self.is_legacy else self.value[3:9]

    @property
    def vis(self) -> str:
        """Vehicle indicator section, characters 10 to 17; empty for a legacy number."""
        return "" if self.is_legacy else self.value[9:]


def check_vin(text: str) -> Vin:
    """Read a VIN, or a legacy chassis number; surrounding blanks and small letters are mended, nothing else is.

    Raises Refused INVALID_VIN with `suggestion` among its facts where one correction stands out. Sources: ISO
    3779:2009, 49 CFR 565.15.
    """
    value = text.strip().upper()
    if _VIN_TEXT.fullmatch(value) is None:
        raise _refuse_writing(text, value)
    if len(value) < VIN_LENGTH:
        return Vin(value, True, "not_used")
    if value[0] not in _CHECK_DIGIT_USED:
        return Vin(value, False, "not_used")
    if compute_check_digit(value) == value[_CHECK_POSITION]:
        return Vin(value, False, "valid")
    if value[0] in _CHECK_DIGIT_MANDATORY:
        raise _refuse_check_digit(value)
    return Vin(value, False, "invalid")


def check_not_short(value: str, way_out: str, *, shortest: int = 1, field: str = "vin") -> None:
    """Refuse (INVALID_VIN) a legacy number where it is far more likely a VIN that lost characters on its way, and would
    become another vehicle. `value` passed `check_vin`; numbers below `shortest` characters are let pass; `way_out` says
    what to do where it is right."""
    if shortest <= len(value) < VIN_LENGTH:
        saying = f"{value} has {len(value)} characters, and a VIN 17: look at the number again. {way_out}"
        raise Refused(Reason.INVALID_VIN, saying, value=value, length=len(value), field=field)


def compute_check_digit(value: str) -> str:
    """The digit (or X) that position 9 of a 17-character VIN should hold. Source: 49 CFR 565.15(c)."""
    total = sum(_VALUES[character] * weight for character, weight in zip(value, _WEIGHTS, strict=True))
    return "0123456789X"[total % 11]


def _refuse_writing(text: str, value: str) -> Refused:
    if not value:
        return Refused(Reason.INVALID_VIN, "the VIN is empty", value=brief(text))
    bare = re.sub(r"[\s.-]", "", value)
    if bare != value and _CHARACTER_TEXT.fullmatch(bare):
        saying = "a VIN is written without blanks, dots or hyphens"
        return _refuse_with_suggestion(text, saying, bare if _is_vin(bare) else None)
    for position, character in enumerate(value, start=1):
        if character in _NEVER:
            mended = "".join(_NEVER.get(each, each) for each in value)
            digit = {"0": "zero", "1": "one"}[_NEVER[character]]
            saying = f"the letter {character} ({_ordinal(position)} character) is never in a VIN; is it a {digit}?"
            if len(value) < VIN_LENGTH:
                saying += " If an old chassis number really holds the letter, use the scheme chassis"
            return _refuse_with_suggestion(text, saying, mended if _is_vin(mended) else None)
        if character not in _VALUES:
            return Refused(
                Reason.INVALID_VIN,
                f"a VIN holds only letters and digits; its {_ordinal(position)} character is {show(character)}",
                value=brief(text),
            )
    return Refused(
        Reason.INVALID_VIN,
        f"a VIN has 17 characters (1 to 16 on old vehicles); this one has {len(value)}",
        value=brief(text),
    )


def _refuse_check_digit(value: str) -> Refused:
    saying = (
        f"the check digit of {value} (9th character) is {value[_CHECK_POSITION]} "
        f"and should be {compute_check_digit(value)}: a character was misread, or two were swapped"
    )
    return _refuse_with_suggestion(value, saying, _find_correction(value))


def _find_correction(value: str) -> str | None:
    """The one VIN with a right check digit at a swap of neighbours, or else at one look-alike; None if none or many
    fit."""
    swapped = {value[:i] + value[i + 1] + value[i] + value[i + 2 :] for i in range(VIN_LENGTH - 1)}
    misread = {value[:i] + _LOOKALIKES[each] + value[i + 1 :] for i, each in enumerate(value) if each in _LOOKALIKES}
    for candidates in (swapped - {value}, misread):
        # A candidate that leaves North America would lose its check digit, and anything would fit.
        right = [each for each in candidates if each[0] in _CHECK_DIGIT_MANDATORY and _is_vin(each)]
        if right:
            return right[0] if len(right) == 1 else None
    return None


def _is_vin(value: str) -> bool:
    if _VIN_TEXT.fullmatch(value) is None:
        return False
    if len(value) < VIN_LENGTH or value[0] not in _CHECK_DIGIT_MANDATORY:
        return True
    return compute_check_digit(value) == value[_CHECK_POSITION]


def _refuse_with_suggestion(text: str, saying: str, suggestion: str | None) -> Refused:
    if suggestion is None:
        return Refused(Reason.INVALID_VIN, saying, value=brief(text))
    stop = "" if saying.endswith("?") else "."
    message = f"{saying}{stop} Did you mean {suggestion}?"
    return Refused(Reason.INVALID_VIN, message, value=brief(text), suggestion=suggestion)


def _ordinal(position: int) -> str:
    suffix = "th" if 10 <= position % 100 <= 20 else _ORDINAL_SUFFIX.get(position % 10, "th")
    return f"{position}{suffix}"
