"""The shapes of the three fields that every statement shows, and of dates that are compared. Spec: 2.3, 2.14.

Knows shapes only; whether a VIN or a time is possible is the writer's business (`passport`).
"""

from __future__ import annotations

import re

KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+/[1-9][0-9]{0,3}", re.ASCII)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
PRECISIONS = frozenset({"year", "month", "day", "minute", "second", "unknown"})
DATED = frozenset({"day", "minute", "second"})


def is_kind(value: object) -> bool:
    """`family.word/version`."""
    return isinstance(value, str) and KIND.fullmatch(value) is not None


def is_subject(value: object) -> bool:
    """`{scheme, value}`, or `{country, scheme: "plate", value}`, all strings."""
    if not isinstance(value, dict):
        return False
    scheme = value.get("scheme")
    if not (isinstance(scheme, str) and isinstance(value.get("value"), str)):
        return False
    if scheme == "plate":
        return len(value) == 3 and isinstance(value.get("country"), str)
    return len(value) == 2


def is_occurred(value: object) -> bool:
    """`{at, precision, zone}`."""
    if not isinstance(value, dict) or len(value) != 3:
        return False
    # A number stands for an absent member: neither is a text or null.
    at, precision, zone = value.get("at", 0), value.get("precision"), value.get("zone", 0)
    if not (isinstance(precision, str) and precision in PRECISIONS):
        return False
    return (at is None or isinstance(at, str)) and (zone is None or isinstance(zone, str))


def is_date(value: object) -> bool:
    """`YYYY-MM-DD` in ASCII digits; the calendar is not consulted."""
    return isinstance(value, str) and DATE.fullmatch(value) is not None


def find_written_date(occurred: object) -> str | None:
    """The written date of an `occurred` value, or None below day precision."""
    if not isinstance(occurred, dict) or occurred.get("precision") not in DATED:
        return None
    at = occurred.get("at")
    return at[:10] if isinstance(at, str) and is_date(at[:10]) else None
