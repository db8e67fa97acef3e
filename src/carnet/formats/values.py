"""Small readings that several register files share: a text that may be absent, an object, a list, a whole number.

Each refuses with the column's name. It refuses to know any file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from carnet.errors import Reason, Refused
from carnet.passport.vin import VIN_LENGTH
from carnet.types import show

T = TypeVar("T")

_AROUND_A_VIN = "*'=\" \u00a0\t"
_IN_A_VIN = re.compile(r"[\s*'=\".-]")
_DECIMAL = re.compile(r"[+-]?(?:\d{1,12}(?:\.\d*)?|\.\d+)", re.ASCII)


def strip_vin(text: str) -> str:
    """A VIN without what people and programs write around it: `="…"`, `'…`, `*…*`. Where what is left has not 17
    characters, the text as it is."""
    bare = text.strip(_AROUND_A_VIN)
    return bare if len(bare) == VIN_LENGTH else text


def close_gaps(text: str) -> str | None:
    """The 17 characters that are left of a VIN without gaps and signs within it, None for another number of them. It
    is for a person to say that this is the VIN: a shorter number with a suffix looks the same."""
    bare = _IN_A_VIN.sub("", text)
    return bare if len(bare) == VIN_LENGTH else None


def find_text(given: Mapping[str, Any], name: str) -> str | None:
    """The text of a column, without blanks around it; None where it is absent, null or blank. Refused WRONG_TYPE."""
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refused(Reason.WRONG_TYPE, f"{name} is a text, not {show(value)}", field=name)
    return value.strip() or None


def get_text(given: Mapping[str, Any], name: str) -> str:
    """The same where the row cannot do without. Refused MISSING_FIELD, WRONG_TYPE."""
    text = find_text(given, name)
    if text is None:
        raise Refused(Reason.MISSING_FIELD, f"{name} is missing", field=name)
    return text


def get_object(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object, empty where it is absent or null. Refused WRONG_TYPE."""
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(Reason.WRONG_TYPE, f"{name} is an object, not {show(value)}", field=name)
    return value


def get_objects(given: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects, empty where it is absent or null. Refused WRONG_TYPE."""
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Refused(Reason.WRONG_TYPE, f"{name} is a list of objects, not {show(value)}", field=name)
    return value


def find_whole(given: Mapping[str, Any], name: str) -> int | None:
    """A whole number, as such or as digits; None where it is absent, null or blank. Refused WRONG_TYPE."""
    value = given.get(name)
    if isinstance(value, str):
        value = value.strip() or None
        if value is not None and value.isascii() and value.isdecimal() and len(value) <= 15:
            return int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(Reason.WRONG_TYPE, f"{name} is a whole number, not {show(value)}", field=name)
    return value


def find_decimal(text: str) -> Decimal | None:
    """The number that a text writes in plain decimals; None for anything else: 1e999999999 would be a number that no
    memory holds, and 1_0 is no writing of a register."""
    return Decimal(text) if len(text) <= 24 and _DECIMAL.fullmatch(text) is not None else None


def with_column(name: str, read: Callable[[], T]) -> T:
    """What a reader gives, or its refusal under the name of the column."""
    try:
        return read()
    except Refused as refused:
        refused.facts["field"] = name
        raise
