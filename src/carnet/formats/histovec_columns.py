"""The columns of one inspection in the HistoVec file, read one by one, each fault named with its column.

Odd times are understood (a null, a blank, an hour 24, a missing second) and never lose a row; impossible ones are
refused. It refuses to know lines, rows and vehicles.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from carnet.errors import Reason, Refused
from carnet.passport.occurred import check_calendar, join_occurred
from carnet.types import brief, is_plain_text, show

KIND = "vehicle.inspection/1"
ZONE = "Europe/Paris"
COLUMNS = ("date", "start", "end", "nature", "result", "km", "centre", "pv")
NATURES = ("VTP", "VTC", "CV", "CVC")
RESULTS = ("A", "AP", "S", "SP", "R", "RP", "X")
KM_MAX = 9_999_999
CENTRE_MAX_LENGTH, REPORT_MAX_LENGTH = 120, 64

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# Hour 24 is how some centres write "around midnight"; no day has it.
_HOUR_24 = re.compile(r"24:[0-5]\d(?::[0-5]\d)?", re.ASCII)


@lru_cache(maxsize=65_536)
def is_day(text: str) -> bool:
    """Whether a text is a day of the calendar, written YYYY-MM-DD; remembered, since a file repeats its days."""
    if _DAY.fullmatch(text) is None:
        return False
    try:
        check_calendar(text)
    except Refused:
        return False
    return True


def read_columns(
    given: dict[str, Any], subject: dict[str, object], latest: str
) -> tuple[dict[str, Any], list[tuple[str, Refused]]]:
    """(the complete fields of the entry, each fault with its column); the fields are only good without fault.

    `latest` is the last moment that is not in the future, written as `occurred.at` is.
    """
    faults: list[tuple[str, Refused]] = []
    for name in given:
        if name not in COLUMNS:
            saying = f"an inspection has no such column; its columns are {', '.join(COLUMNS)}"
            faults.append((brief(name), Refused(Reason.UNKNOWN_FIELD, saying)))
    values: dict[str, Any] = {}
    for name, reader in _READERS.items():
        values[name] = None
        try:
            if name not in given:
                raise Refused(Reason.MISSING_FIELD, "the column is missing (null is allowed where nothing is known)")
            values[name] = reader(given[name])
        except Refused as fault:
            faults.append((name, fault))
    if values["date"] is None:
        return {}, faults
    occurred = join_occurred(values["date"], values["start"], ZONE if values["start"] else None)
    if (occurred.at or "") > latest:
        faults.append(("date", Refused(Reason.TIME_IN_FUTURE, f"{occurred.at} is still to come")))
    return {
        "centre": values["centre"],
        "defects": None,
        "end_time": values["end"],
        "kind": KIND,
        "nature": values["nature"],
        "occurred": occurred.to_json(),
        "odometer_km": values["km"],
        "odometer_mi": None,
        "odometer_state": "not_stated" if values["km"] is None else "read",
        "report_number": values["pv"],
        "result": values["result"],
        "subject": subject,
        "valid_until": None,
    }, faults


def _read_day(value: object) -> str:
    if value is None:
        raise Refused(Reason.MISSING_FIELD, "an inspection needs its day")
    text = _check_text(value)
    if _DAY.fullmatch(text) is None:
        raise Refused(Reason.INVALID_TIME, f"{show(text)} is not a day; one is written YYYY-MM-DD")
    try:
        check_calendar(text, field="the day")
    except Refused as fault:
        raise Refused(Reason.INVALID_TIME, fault.message) from None
    return text


def _read_clock(value: object) -> str | None:
    """A time of day, or null where none is told; hour 24, which no day has, tells none."""
    if value is None:
        return None
    text = _check_text(value).strip()
    if not text or _HOUR_24.fullmatch(text):
        return None
    try:
        at = join_occurred("2000-01-01", text).at or ""
    except Refused:
        saying = f"{show(text)} is not a time of day; one is written HH:MM:SS"
        raise Refused(Reason.INVALID_TIME, saying) from None
    return at.partition("T")[2]


def _read_choice(value: object, choices: tuple[str, ...]) -> str | None:
    if value is None:
        return None
    text = _check_text(value).strip()
    if text and text not in choices:
        raise Refused(Reason.NOT_IN_LIST, f"{show(text)} is not one of {', '.join(choices)}")
    return text or None


def _read_km(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(Reason.WRONG_TYPE, f"{show(value)} is not a whole number of kilometres")
    if not 0 <= value <= KM_MAX:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"{value} does not lie between 0 and {KM_MAX}")
    return value


def _read_text(value: object, limit: int) -> str | None:
    if value is None:
        return None
    text = unicodedata.normalize("NFC", _check_text(value))
    if len(text) > limit:
        raise Refused(Reason.TEXT_TOO_LONG, f"{len(text)} characters, {limit} at most")
    return text or None


def _check_text(value: object) -> str:
    if not isinstance(value, str):
        raise Refused(Reason.WRONG_TYPE, f"{show(value)} is not a text")
    if not is_plain_text(value):
        raise Refused(Reason.TEXT_NOT_ALLOWED, f"{show(value)} holds a control or hidden character")
    return value


_READERS: dict[str, Callable[[object], Any]] = {
    "date": _read_day,
    "start": _read_clock,
    "end": _read_clock,
    "nature": lambda value: _read_choice(value, NATURES),
    "result": lambda value: _read_choice(value, RESULTS),
    "km": _read_km,
    "centre": lambda value: _read_text(value, CENTRE_MAX_LENGTH),
    "pv": lambda value: _read_text(value, REPORT_MAX_LENGTH),
}
