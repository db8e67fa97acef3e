"""Dates as people and programs write them, by a form that says so: `dd/mm/yyyy`, `yyyymmdd`, `dd.mm.yyyy HH:MM`.

`iso` is what `occurred.parse_occurred` reads. A form is never guessed row by row: 04/05 means one day in a file. It
refuses to know which form a file has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from unicodedata import combining, normalize

from carnet.errors import Reason, Refused
from carnet.passport.occurred import Occurred, join_occurred, parse_occurred
from carnet.types import show

ISO = "iso"
SERIAL = "serial"
"""A day as spreadsheets count them: 1 is 31 December 1899, 45292 is 1 January 2024; a fraction is the time of day."""

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
    "dd-mm-yy",
    "dd-month-yyyy",
    "dd-month-yy",
    "mm/yyyy",
    "yyyy",
)
"""The days that are known, `month` being its name, between blanks or hyphens; ` HH:MM` or ` HH:MM:SS` may follow, or
` 00:00:00`: a day that a program wrote as its midnight, and nothing but midnight is read so."""

MIDNIGHT = " 00:00:00"
_CLOCKS = ("", " HH:MM", " HH:MM:SS", MIDNIGHT)
_MIDNIGHT = r"[ T]0?0:00(?::00(?:\.0+)?)?(?:Z|[+-]00:?00)?"
_SERIAL = re.compile(r"(\d{1,5})(?:[.,](\d{1,15}))?", re.ASCII)
# The day 0 of spreadsheets, which take 1900 for a leap year: right from March 1900 on.
_EPOCH = date(1899, 12, 30)
_MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "janvier janv january jan januar januari enero ene gennaio gen",
            "fevrier fevr fev february feb februar februari febrero febbraio",
            "mars march mar marz mrz maart mrt marzo",
            "avril avr april apr abril abr aprile",
            "mai may mei mayo maggio mag",
            "juin june jun juni junio giugno giu",
            "juillet juil july jul juli julio luglio lug",
            "aout aou august aug augustus agosto ago",
            "septembre september sept sep septiembre setiembre settembre set",
            "octobre october oct oktober okt octubre ottobre ott",
            "novembre november nov noviembre",
            "decembre december dec dezember dez diciembre dic dicembre",
        ),
        1,
    )
    for name in names.split()
}
"""Months in French, English, German, Dutch, Spanish and Italian, without accents, whole or shortened. Slavic names are
left out: one word is October here and November there."""

_CENTURY = 69
"""POSIX: a year of two digits from 69 on is of the last century."""


def check_form(form: str) -> None:
    """Refuse (INVALID_TIME) a form that is not known."""
    day, _, clock = form.partition(" ")
    if form not in (ISO, SERIAL) and (day not in FORMS or f" {clock}".rstrip() not in _CLOCKS):
        known = ", ".join((ISO, SERIAL, *FORMS))
        raise Refused(Reason.INVALID_TIME, f"{show(form)} is no form of dates; there are {known}", field="form")


@lru_cache(maxsize=64)
def get_date_reader(form: str) -> Callable[[str, str | None], Occurred]:
    """A function of a text and a zone that gives the moment at the precision that is written; it raises Refused
    INVALID_TIME. The form is one that `check_form` takes."""
    check_form(form)
    if form == ISO:
        return _read_iso
    if form == SERIAL:
        return _read_serial
    pattern = re.compile(_compile_pattern(form), re.ASCII)

    @lru_cache(maxsize=65_536)
    def read(text: str, zone: str | None) -> Occurred:
        found = pattern.fullmatch(text.strip())
        if found is None:
            raise Refused(Reason.INVALID_TIME, f"{show(text)} is not written {form}")
        parts = found.groupdict()
        if "name" in parts:
            parts["month"] = _find_month(text, parts["name"])
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


@lru_cache(maxsize=65_536)
def _read_serial(text: str, zone: str | None) -> Occurred:
    found = _SERIAL.fullmatch(text.strip())
    if found is None:
        raise Refused(Reason.INVALID_TIME, f"{show(text)} is no day as spreadsheets count them, such as 45292")
    day = (_EPOCH + timedelta(days=int(found[1]))).isoformat()
    seconds = round(float(f"0.{found[2] or 0}") * 86_400)
    if not 0 < seconds < 86_400:
        return join_occurred(day, None, None)
    return join_occurred(day, f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}", zone)


def _find_month(text: str, name: str) -> str:
    bare = "".join(each for each in normalize("NFD", name.lower()) if not combining(each))
    month = _MONTHS.get(bare)
    if month is None:
        raise Refused(Reason.INVALID_TIME, f"{show(text)}: {show(name)} is no month that is known")
    return str(month)


def _compile_pattern(form: str) -> str:
    day, _, clock = form.partition(" ")
    # Numbers without separators have their full length; others may lack a leading zero.
    digits = r"\d\d" if day == "yyyymmdd" else r"\d{1,2}"
    pattern = re.escape(day)
    if "month" in day:
        name, year = r"(?P<name>[A-Za-zÀ-ſ]{3,12})\.?", r"\d{4}" if day.endswith("yyyy") else r"\d\d"
        pattern = rf"(?P<day>\d{{1,2}})(?:er|st|nd|rd|th|\.)?[\s-]*(?:de\s+)?{name}[\s-]*(?:de\s+)?(?P<year>{year})"
        return pattern + _compile_clock(clock)
    for token, name, width in (
        ("yyyy", "year", r"\d{4}"),
        ("yy", "year", r"\d\d"),
        ("mm", "month", digits),
        ("dd", "day", digits),
    ):
        if f"<{name}>" not in pattern:
            pattern = pattern.replace(token, f"(?P<{name}>{width})", 1)
    return pattern + _compile_clock(clock)


def _compile_clock(clock: str) -> str:
    if not clock:
        return ""
    if f" {clock}" == MIDNIGHT:
        return _MIDNIGHT
    seconds = r":\d\d(?:\.\d+)?" if clock.endswith("SS") else ""
    return rf"[ T](?P<clock>\d{{1,2}}:\d\d{seconds})"
