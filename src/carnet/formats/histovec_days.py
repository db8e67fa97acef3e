"""The days of the French register, as its files write them: some are midnights in UTC, and so fall on the eve.

`2009-01-16T23:00:00.000Z` is 17 January in France, and 01/01/1900 says that nobody knows. It refuses to shift anything
but a midnight of Paris, and reads no zone data: the rules of French summer time since 1976 stand here.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache

from carnet.errors import Reason, Refused
from carnet.passport.occurred import UNKNOWN, Occurred, check_calendar
from carnet.types import show

PARIS = "Europe/Paris"
NOBODY_KNOWS = "1900-01-01"

_SLASHED = re.compile(r"(\d\d)/(\d\d)/(\d{4})", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.\d{0,9})?(Z|[+-]\d\d(?::?\d\d)?|\+)?)?", re.ASCII)

# Decrees on legal time: the days on which summer time began and ended, until it followed one rule.
_FIRST_SUMMERS = {
    1976: (date(1976, 3, 28), date(1976, 9, 26)),
    1977: (date(1977, 4, 3), date(1977, 9, 25)),
    1978: (date(1978, 4, 2), date(1978, 10, 1)),
    1979: (date(1979, 4, 1), date(1979, 9, 30)),
    1980: (date(1980, 4, 6), date(1980, 9, 28)),
}
_SINCE_OCTOBER = 1996
"""Directive 94/21/EC: summer time ends in October, not in September."""


def read_slashed_day(text: str) -> str | None:
    """A day written dd/mm/yyyy, as YYYY-MM-DD; None for blank and for 01/01/1900. Raises Refused INVALID_TIME."""
    if not text.strip():
        return None
    found = _SLASHED.fullmatch(text.strip())
    if found is None:
        raise Refused(Reason.INVALID_TIME, f"{show(text)} is not a day; one is written dd/mm/yyyy here")
    day = "-".join(reversed(found.groups()))
    if day == NOBODY_KNOWS:
        return None
    check_calendar(day, field="the day")
    return day


@lru_cache(maxsize=65_536)
def read_moment(text: str) -> Occurred:
    """A day or moment of the register: a midnight of Paris is a day, whatever its writing; blank and 1900 are unknown.

    Raises Refused INVALID_TIME.
    """
    if not text.strip():
        return UNKNOWN
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise Refused(Reason.INVALID_TIME, f"{show(text)} is neither a day nor a moment of the register")
    day, clock, zone = found.groups()
    check_calendar(day, field="the day")
    if clock is None or (clock == "00:00:00" and zone != "Z"):
        return _as_day(day)
    if zone in (None, "Z") and is_paris_midnight(date.fromisoformat(day), clock):
        return _as_day(str(date.fromisoformat(day) + timedelta(days=1)))
    if not clock < "24" or clock[3] > "5" or clock[6] > "5":
        raise Refused(Reason.INVALID_TIME, f"{show(text)} has no time of day")
    # Without a zone it is the register's own time.
    if zone == "Z":
        named = "UTC"
    elif zone is None or zone == "+":
        named = PARIS
    else:
        named = zone if ":" in zone else f"{zone[:3]}:{zone[3:] or '00'}"
    return Occurred(f"{day}T{clock}", "second", named)


def is_paris_midnight(eve: date, clock: str) -> bool:
    """Whether a time of day in UTC, on this day, is the midnight of Paris that begins the next day."""
    if eve == date.max or clock not in ("22:00:00", "23:00:00"):
        return False
    return clock == ("22:00:00" if is_summer_midnight(eve + timedelta(days=1)) else "23:00:00")


@lru_cache(maxsize=65_536)
def is_summer_midnight(day: date) -> bool:
    """Whether summer time holds in France at 0 o'clock of a day: on the last day of it, and not on the first."""
    if day.year in _FIRST_SUMMERS:
        begins, ends = _FIRST_SUMMERS[day.year]
    elif day.year > max(_FIRST_SUMMERS):
        begins = _last_sunday(day.year, 3)
        ends = _last_sunday(day.year, 10 if day.year >= _SINCE_OCTOBER else 9)
    else:
        return False
    return begins < day <= ends


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, 31 if month in (3, 10) else 30)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def _as_day(day: str) -> Occurred:
    return UNKNOWN if day == NOBODY_KNOWS else Occurred(day, "day", None)
