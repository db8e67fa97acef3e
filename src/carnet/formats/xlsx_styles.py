"""Which styles of an XLSX workbook write a number as a day or a time: the only sign by which a day is known there.

It refuses to know how a number becomes a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# ECMA-376, 18.8.30: formats that need no definition, those of East Asian languages included.
_BUILT_IN = frozenset({*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)})
# What is not part of the form: texts in quotes, escaped characters, fill and padding, colours and conditions.
_NOT_FORM = re.compile(r'"[^"]*"|\\.|[_*].|\[[^\]]*\]')
_DAY_LETTERS = re.compile(r"[dyh]|s", re.IGNORECASE)


def find_date_styles(elements: Iterable[tuple[str, dict[str, str]]]) -> frozenset[int]:
    """The numbers of the cell styles that write days or times, by the elements of `styles.xml` in order."""
    own: dict[str, bool] = {}
    found: list[bool] = []
    is_inside = False
    for name, given in elements:
        if name == "numFmt":
            own[given.get("numFmtId", "")] = is_date_format(given.get("formatCode", ""))
        elif name == "cellXfs":
            is_inside = True
        elif name in ("cellStyles", "dxfs"):
            is_inside = False
        elif name == "xf" and is_inside:
            number = given.get("numFmtId", "0")
            found.append(own[number] if number in own else number.isdecimal() and int(number) in _BUILT_IN)
    return frozenset(place for place, is_date in enumerate(found) if is_date)


def is_date_format(code: str) -> bool:
    """Whether a format such as `dd/mm/yyyy;@` writes a day or a time of day. A duration such as `[h]:mm` is a number of
    hours, and no time of day."""
    if re.search(r"\[(h+|m+|s+)\]", code, re.IGNORECASE):
        return False
    form = _NOT_FORM.sub("", code.split(";")[0])
    return "general" not in form.lower() and _DAY_LETTERS.search(form) is not None
