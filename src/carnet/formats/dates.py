"""Dates as people and programs write them, by a form that says so: `dd/mm/yyyy`, `yyyymmdd`, `dd.mm.yyyy HH:MM`.

`iso` is what `occurred.parse_occurred` reads. A form is never guessed row by row: 04/05 means one day in a file. It
refuses to know which form a file has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from carnet.errors import Reason, Refused
from carnet.passport.occurred import Occurred, join_occurred, parse_occurred
from carnet.types import show

ISO = "iso"
FORMS = (
    "yyyy-mm-dd",
    "dd/mm/yyyy",
    "mm/dd/yyyy",
    "yyyy/mm/dd",
    "dd.mm.yyyy",
    "dd-mm-yyyy",
    "mm-dd-yyyy",
    "yyyymmdd",
    "dd/mm/yy",
    "mm/dd/yy",
    "dd.mm.yy",
    "mm/yyyy",
    "yyyy",
)
"""The days that are known; ` HH:MM` or ` HH:MM:SS` may follow, or ` 00:00:00`: a day that a program wrote as its
midnight, and nothing but midnight is read so."""

MIDNIGHT = " 00:00:00"
_CLOCKS = ("", " HH:MM", " HH:MM:SS", MIDNIGHT)
_MIDNIGHT = r"[ T]0?0:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?"
_CENTURY = 69
"""POSIX: a year of two digits from 69 on is of the last century."""


def check_form(form: str) -> None:
    """Refuse (INVALID_TIME) a form that is not known."""
    day, _, clock = form.partition(" ")
    if form != ISO and (day not in FORMS or f" {clock}".rstrip() not in _CLOCKS):
        known = ", ".join((ISO, *FORMS))
        raise Refused(Reason.INVALID_TIME, f"{show(form)} is no form of dates; there are {known}", field="form")


@lru_cache(maxsize=64)
def get_date_reader(form: str) -> Callable[[str, str | None], Occurred]:
    """A function of a text and a zone that gives the moment at the precision that is written; it raises Refused
    INVALID_TIME. The form is one that `check_form` takes."""
    check_form(form)
    if form == ISO:
        return _read_iso
    pattern = re.compile(_compile_pattern(form), re.ASCII)

    @lru_cache(maxsize=65_536)
    def read(text: str, zone: str | None) -> Occurred:
        found = pattern.fullmatch(text.strip())
        if found is None:
            raise Refused(Reason.INVALID_TIME, f"{show(text)} is not written {form}")
        parts = found.groupdict()
        year = parts["year"]
        if len(year) == 2:
            year = f"{'19' if int(year) >= _CENTURY else '20'}{year}"
        day = "-".join([year, *(parts[name].zfill(2) for name in ("month", "day") if parts.get(name))])
        clock = parts.get("clock")
        return join_occurred(day, clock, zone if clock else None)

    return read


@lru_cache(maxsize=65_536)
def _read_iso(text: str, zone: str | None) -> Occurred:
    occurred = parse_occurred(text, zone)
    # A day is a day in every zone; only a time of day needs one.
    return replace(occurred, zone=None) if occurred.precision in ("year", "month", "day") else occurred


def _compile_pattern(form: str) -> str:
    day, _, clock = form.partition(" ")
    # Numbers without separators have their full length; others may lack a leading zero.
    digits = r"\d\d" if day == "yyyymmdd" else r"\d{1,2}"
    pattern = re.escape(day)
    for token, name, width in (
        ("yyyy", "year", r"\d{4}"),
        ("yy", "year", r"\d\d"),
        ("mm", "month", digits),
        ("dd", "day", digits),
    ):
        if f"<{name}>" not in pattern:
            pattern = pattern.replace(token, f"(?P<{name}>{width})", 1)
    if f" {clock}" == MIDNIGHT:
        pattern += _MIDNIGHT
    elif clock:
        seconds = r":\d\d(?:\.\d+)?" if clock.endswith("SS") else ""
        pattern += rf"[ T](?P<clock>\d{{1,2}}:\d\d{seconds})"
    return pattern
