"""Moments as people write them: a day, or a day and a time, in UTC unless it says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime

from carnet.errors import Reason, Refused
from carnet.types import Millis


def parse_moment(text: str) -> Millis:
    """A moment in ISO 8601 (`2026-11-24`, `2026-11-24T18:30Z`) as ms since 1970, never before. Raises
    Refused(INVALID_TIME)."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        saying = f"{text[:60]!a} is no moment: write 2026-11-24 or 2026-11-24T18:30Z"
        raise Refused(Reason.INVALID_TIME, saying) from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp() * 1000))
