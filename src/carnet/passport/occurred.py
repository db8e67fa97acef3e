"""When something happened, as it was written: a moment with its precision and its zone.

A day is not a midnight, and "unknown" is allowed and said: `occurred` is `{at, precision, zone}` (format.md, Fields).
It refuses to know what time it is now (the caller says), and what a zone's rules are: time zone data belongs to the
environment, so a zone's name is checked by its shape only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, TypeAlias, cast

from carnet.errors import Reason, Refused
from carnet.types import Millis, brief, show

Precision: TypeAlias = Literal["year", "month", "day", "minute", "second", "unknown"]
PRECISIONS: tuple[Precision, ...] = ("year", "month", "day", "minute", "second", "unknown")

FIRST_YEAR = 1886
"""The year of the first motor car's patent: an earlier date is a typing error."""

ZONE_MAX_LENGTH = 64
DAY_MS = 86_400_000

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_HOUR = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]"
AT: dict[Precision, re.Pattern[str]] = {
    "year": re.compile(r"[0-9]{4}"),
    "month": re.compile(r"[0-9]{4}-[0-9]{2}"),
    "day": re.compile(_DATE),
    "minute": re.compile(_DATE + _HOUR),
    "second": re.compile(_DATE + _HOUR + r":[0-5][0-9]"),
}
"""How `at` is written, by precision; whether the date exists is another question (`check_calendar`)."""

# Each shape has its own length, which tells the precision of what a file carries.
_PRECISION_OF: dict[int, Precision] = {4: "year", 7: "month", 10: "day", 16: "minute", 19: "second"}
_SHAPE_OF: dict[Precision, str] = {
    "year": "YYYY",
    "month": "YYYY-MM",
    "day": "YYYY-MM-DD",
    "minute": "YYYY-MM-DDTHH:MM",
    "second": "YYYY-MM-DDTHH:MM:SS",
}

# "UTC", an offset of at most 14 hours, or an IANA name. A bare "Z" is neither: its name is UTC.
ZONE = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d|(?=.{2,64}\Z)[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,3}")

_DATE_IN_FILE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_TIME_IN_FILE = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?", re.ASCII)
_ZONE_IN_FILE = re.compile(r"(.*?)(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Occurred:
    """A moment as written: `at` has as many parts as `precision` says; `zone` is null where the source does not tell
    it."""

    at: str | None
    precision: Precision
    zone: str | None

    def to_json(self) -> dict[str, object]:
        """The signed form, names ascending."""
        return {"at": self.at, "precision": self.precision, "zone": self.zone}


UNKNOWN = Occurred(None, "unknown", None)
"""Nobody knows when; it is said rather than invented."""


def check_occurred(value: object) -> Occurred:
    """Read `{at, precision, zone}` strictly; Refused WRONG_TYPE, UNKNOWN_FIELD, MISSING_FIELD, NOT_IN_LIST or
    INVALID_TIME otherwise."""
    if not isinstance(value, Mapping):
        raise _refused(Reason.WRONG_TYPE, "must be an object with at, precision and zone", value)
    for name in value:
        if name not in ("at", "precision", "zone"):
            raise _refused(Reason.UNKNOWN_FIELD, f"has no field {show(name)}; it has at, precision and zone", name)
    for name in ("at", "precision", "zone"):
        if name not in value:
            raise _refused(Reason.MISSING_FIELD, f"lacks {name} (null is allowed for at and zone)", value)
    at, precision, zone = value["at"], value["precision"], value["zone"]
    if (
        not (at is None or isinstance(at, str))
        or not (zone is None or isinstance(zone, str))
        or not isinstance(precision, str)
    ):
        raise _refused(Reason.WRONG_TYPE, "holds texts (null is allowed for at and zone)", value)
    if precision not in PRECISIONS:
        raise _refused(
            Reason.NOT_IN_LIST, f"has precision {show(precision)}; it is one of {', '.join(PRECISIONS)}", precision
        )
    occurred = Occurred(
        None if at is None else str.__str__(at),
        cast("Precision", str.__str__(precision)),
        None if zone is None else str.__str__(zone),
    )
    _check_moment(occurred)
    return occurred


def _check_moment(occurred: Occurred) -> None:
    if occurred.precision == "unknown":
        if occurred.at is not None or occurred.zone is not None:
            raise _refused(
                Reason.INVALID_TIME,
                'has precision "unknown", so at and zone must be null',
                occurred.at or occurred.zone,
            )
        return
    at = occurred.at
    if at is None:
        raise _refused(
            Reason.INVALID_TIME, f'has precision "{occurred.precision}" but no at; say "unknown" if nobody knows', None
        )
    if AT[occurred.precision].fullmatch(at) is None:
        shape = _SHAPE_OF[occurred.precision]
        raise _refused(
            Reason.INVALID_TIME, f'is {show(at)}; with precision "{occurred.precision}" it is written {shape}', at
        )
    check_calendar(at)
    if occurred.zone is not None:
        check_zone(occurred.zone)


def check_calendar(at: str, *, field: str = "occurred") -> None:
    """Refuse a date that is in no calendar, or before the first motor car; `at` has already the shape of one of the
    precisions.

    Raises Refused INVALID_TIME, naming the value: "2021-02-30 does not exist: February 2021 has 28 days".
    """
    try:
        moment = date.fromisoformat(at + "-01-01"[len(at) - 10 :] if len(at) < 10 else at[:10])
    except ValueError as error:
        saying = f"{field} is {at}, which is in no calendar ({error})"
        raise Refused(Reason.INVALID_TIME, saying, field=field, value=at) from None
    if moment.year < FIRST_YEAR:
        saying = f"{field} is {at}, before the first motor car ({FIRST_YEAR})"
        raise Refused(Reason.INVALID_TIME, saying, field=field, value=at)


def check_zone(zone: str) -> None:
    """Refuse a zone that is not "UTC", an offset such as "+02:00", or shaped like an IANA name such as
    "Europe/Paris"."""
    if len(zone) > ZONE_MAX_LENGTH or ZONE.fullmatch(zone) is None:
        hint = ' (for "Z" write "UTC")' if zone in ("Z", "z") else ""
        raise _refused(
            Reason.INVALID_TIME,
            f'has zone {show(zone)}; it is "UTC", an offset ("+02:00") or a name ("Europe/Paris"){hint}',
            zone,
        )


def written_date(occurred: Occurred) -> date | None:
    """The calendar day as written, whatever the zone; None when the precision is coarser than a day. Source:
    format.md, aliases."""
    if occurred.at is None or len(occurred.at) < 10:
        return None
    return date.fromisoformat(occurred.at[:10])


def compute_earliest_ms(occurred: Occurred) -> Millis | None:
    """The first millisecond that the written moment may mean, read as if it were UTC; None when unknown. Negative
    before 1970."""
    if occurred.at is None:
        return None
    text = occurred.at + "-01-01"[len(occurred.at) - 10 :] if len(occurred.at) < 10 else occurred.at
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000


def check_not_future(occurred: Occurred, now: Millis) -> None:
    """Refuse a moment that begins after `now`: TIME_IN_FUTURE, which may succeed later.

    A day of tolerance covers every zone (the earth's offsets go from -12 to +14 hours), so that no zone data is needed.
    """
    earliest = compute_earliest_ms(occurred)
    if earliest is not None and earliest > now + DAY_MS:
        raise Refused(
            Reason.TIME_IN_FUTURE,
            f"occurred is {occurred.at}, which is still to come",
            could_retry=True,
            field="occurred",
            value=occurred.at,
        )


def parse_occurred(text: str, zone: str | None = None) -> Occurred:
    """Read a date or time as files carry it: its precision is what is written, never more.

    Accepts `2009`, `2009-5`, `2009-05-04`, `2009-05-04T09:48`, `2009-05-04 09:48:33.0`, with `Z` or an offset at the
    end, which then wins over `zone` (the zone that the file's own documentation gives). Fractions of a second are
    dropped. Blank means unknown. Raises Refused INVALID_TIME.
    """
    text = text.strip()
    if not text:
        return UNKNOWN
    day, _, clock = text.replace("t", "T").replace(" ", "T", 1).partition("T")
    found = _ZONE_IN_FILE.fullmatch(clock)
    clock, own_zone = (found.group(1), found.group(2)) if found else (clock, None)
    if own_zone == "Z":
        zone = "UTC"
    elif own_zone is not None:
        zone = own_zone if ":" in own_zone else f"{own_zone[:3]}:{own_zone[3:]}"
    return join_occurred(day, clock.strip() or None, zone)


def join_occurred(day: str, clock: str | None, zone: str | None = None) -> Occurred:
    """Join a date column (`YYYY`, `YYYY-MM` or `YYYY-MM-DD`) and a time column that may be absent (`H:MM`,
    `HH:MM:SS`, fractions dropped).

    A date alone keeps the precision of a day: no midnight is invented. Raises Refused INVALID_TIME.
    """
    found = _DATE_IN_FILE.fullmatch(day.strip())
    if found is None:
        raise _refused(Reason.INVALID_TIME, f"is {show(day)}; a date is written YYYY-MM-DD, such as 2009-05-04", day)
    at = "-".join([found.group(1), *(part.zfill(2) for part in found.groups()[1:] if part is not None)])
    if clock is not None and clock.strip():
        time = _TIME_IN_FILE.fullmatch(clock.strip())
        if time is None or len(at) < 10:
            raise _refused(
                Reason.INVALID_TIME,
                f"is {show(day)} {show(clock)}; a time is written HH:MM or HH:MM:SS, after a day",
                clock,
            )
        at += f"T{time.group(1).zfill(2)}:{time.group(2)}" + (f":{time.group(3)}" if time.group(3) else "")
    occurred = Occurred(at, _PRECISION_OF[len(at)], zone)
    _check_moment(occurred)
    return occurred


def _refused(reason: Reason, saying: str, value: object) -> Refused:
    return Refused(reason, f"occurred {saying}", field="occurred", value=brief(value))
