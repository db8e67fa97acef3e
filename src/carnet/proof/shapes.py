"""The shapes of the three fields that every statement shows, and of dates that are compared. Spec: 2.3, 2.14.

Knows shapes only; whether a VIN or a time is possible is the writer's business (`passport`).
"""

from __future__ import annotations

import re

KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+/[1-9][0-9]{0,3}", re.ASCII)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
PRECISIONS = frozenset({"year", "month", "day", "minute", "second", "unknown"})
MAX_SEEN_KINDS = 1024
MAX_SEEN_KIND = 80
_SEEN_KINDS: set[str] = set()
"""Kinds that were met before, so that the same few are not matched again in every entry; bounded, also each."""

OCCURRED = frozenset({"at", "precision", "zone"})
DATED = frozenset({"day", "minute", "second"})


def is_kind(value: object) -> bool:
    """`family.word/version`."""
    return isinstance(value, str) and (value in _SEEN_KINDS or _is_new_kind(value))


def _is_new_kind(value: str) -> bool:
    if KIND.fullmatch(value) is None:
        return False
    if len(_SEEN_KINDS) < MAX_SEEN_KINDS and len(value) <= MAX_SEEN_KIND:
        _SEEN_KINDS.add(value)
    return True


def is_subject(value: object) -> bool:
    """`{scheme, value}`, or `{country, scheme: "plate", value}`, all strings."""
    if not isinstance(value, dict):
        return False
    scheme = value.get("scheme")
    if type(scheme) is not str or type(value.get("value")) is not str:
        return False
    if scheme == "plate":
        return len(value) == 3 and type(value.get("country")) is str
    return len(value) == 2


def is_occurred(value: object) -> bool:
    """`{at, precision, zone}`, of which `at` and `zone` may be null."""
    if not isinstance(value, dict) or value.keys() != OCCURRED:
        return False
    at, precision, zone = value["at"], value["precision"], value["zone"]
    if not (at is None or type(at) is str) or not (zone is None or type(zone) is str):
        return False
    return type(precision) is str and precision in PRECISIONS


def is_date(value: object) -> bool:
    """`YYYY-MM-DD` in ASCII digits; the calendar is not consulted."""
    return isinstance(value, str) and DATE.fullmatch(value) is not None


def find_written_date(occurred: object) -> str | None:
    """The written date of an `occurred` value, or None below day precision."""
    if not isinstance(occurred, dict) or occurred.get("precision") not in DATED:
        return None
    at = occurred.get("at")
    return at[:10] if isinstance(at, str) and is_date(at[:10]) else None
