"""Units at the end of a field's name: how people write the quantity, and how many of the stored ones that is.

A whole number is sealed (`power_w`); people say kilowatts. It refuses to convert between systems: miles stay miles.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused


class Unit(NamedTuple):
    """So many stored ones make one of what people write; its sign, as it is printed behind."""

    size: int
    sign: str


UNITS: Final[dict[str, Unit]] = {
    "km": Unit(1, "km"), "mi": Unit(1, "mi"), "kg": Unit(1, "kg"), "w": Unit(1000, "kW"), "wh": Unit(1000, "kWh"),
    "mm3": Unit(1000, "cm³"), "mv": Unit(1000, "V"), "c": Unit(1, "°C"), "ppm": Unit(1, "ppm"), "ml": Unit(1000, "l"),
    "permille": Unit(10, "%"), "mah": Unit(1, "mAh"), "pa": Unit(100, "hPa"), "rpm": Unit(1, "rpm"),
    "minutes": Unit(1, "min"), "s": Unit(1, "s"), "m": Unit(1000, "km"), "hundredths": Unit(100, ""),
    "g_per_km": Unit(1, "g/km"), "km_h": Unit(1, "km/h"),
}  # fmt: skip
MONEY: Final = Unit(100, "")
"""Hundredths of a currency, which stands in a field beside it."""

_SEPARATOR: Final = "[ .,'\u2019\u00a0\u202f]"
_WHOLE: Final = re.compile(rf"-?(?:\d{{1,15}}|\d{{1,3}}(?:{_SEPARATOR}\d{{3}}){{1,4}})", re.ASCII)
_BLANKS: Final = re.compile("[ '\u2019\u00a0\u202f]")


def find_unit(name: str) -> Unit | None:
    """The unit in which people write a field of this name; None for a plain number."""
    long = next((unit for unit in ("g_per_km", "km_h") if name.endswith(f"_{unit}")), None)
    if long is None and name.endswith("_cents"):
        return MONEY
    return UNITS.get(long or name.rpartition("_")[2]) if "_" in name else None


def parse_quantity(text: str, unit: Unit | None) -> int:
    """What is sealed for a number as people write it: "123 456", "123,456", and "84,5" where the unit has parts.

    Raises Refused(WRONG_TYPE) for what is no such number, or is finer than what is stored.
    """
    size = 1 if unit is None else unit.size
    if size == 1:
        if _WHOLE.fullmatch(text) is None:
            raise Refused(Reason.WRONG_TYPE, "this is no whole number", is_whole=True)
        digits = re.sub(r"\D", "", text)
        return -int(digits) if text.startswith("-") else int(digits)
    parts = len(str(size)) - 1
    found = re.fullmatch(rf"(-?)(\d{{1,12}})(?:[.,](\d{{1,{parts}}}))?", _BLANKS.sub("", text), re.ASCII)
    if found is None:
        raise Refused(Reason.WRONG_TYPE, f"this is no number with at most {parts} decimals")
    value = int(found[2]) * size + int((found[3] or "0").ljust(parts, "0"))
    return -value if found[1] else value


def format_quantity(value: int, unit: Unit | None) -> str:
    """The number as a form shows it again, with a point."""
    size = 1 if unit is None else unit.size
    if size == 1:
        return str(value)
    whole, rest = divmod(abs(value), size)
    parts = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{'-' if value < 0 else ''}{whole}{'.' + parts if parts else ''}"
