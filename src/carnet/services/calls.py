"""How many requests of the API a member's programs have sent, day by day (UTC).

Counted in the memory of each worker and written down together every few seconds, so that no request waits for a disk.
What a worker that was killed had not written yet is not counted. It refuses to know what was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final

from carnet.errors import Reason, Refused
from carnet.services.accounts.office import Office
from carnet.services.logs import get_log
from carnet.services.principals import Principal
from carnet.types import MemberId, Millis
from carnet.vault.people.store import PeopleStore

DAY_MS: Final = 86_400_000
FLUSH_S: Final = 5.0
"""So long after a request at most it stands in the store."""

MAX_WAITING: Final = 10_000
"""Members and days that are kept while the store cannot be written: what is beyond is not counted."""

_ADD: Final = (
    "INSERT INTO api_calls (member, day_ms, calls) VALUES (?, ?, ?)"
    " ON CONFLICT (member, day_ms) DO UPDATE SET calls = api_calls.calls + excluded.calls"
)


class Calls:
    """The counts of one worker. For any thread; `add` never waits for the store."""

    def __init__(self, people: PeopleStore, clock: Callable[[], Millis], flush_s: float = FLUSH_S) -> None:
        self._people, self._clock, self._flush_s = people, clock, flush_s
        self._lock = threading.Lock()
        self._counts: dict[tuple[MemberId, Millis], int] = {}
        self._timer: threading.Timer | None = None

    def add(self, member: MemberId) -> None:
        """Count one request of a program of this member."""
        now = self._clock()
        place = (member, now - now % DAY_MS)
        with self._lock:
            if place in self._counts or len(self._counts) < MAX_WAITING:
                self._counts[place] = self._counts.get(place, 0) + 1
            if self._timer is None:
                self._timer = threading.Timer(self._flush_s, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write down what was counted. What could not be written is tried again with the next."""
        with self._lock:
            counts, self._counts = self._counts, {}
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if not counts:
            return
        try:
            with self._people.note() as connection:
                for (member, day), count in sorted(counts.items()):
                    connection.execute(_ADD, (member, day, count))
        except Exception as error:
            get_log("carnet.calls").warning("calls were not written", kind=type(error).__name__)
            with self._lock:
                for place, count in counts.items():
                    self._counts[place] = self._counts.get(place, 0) + count


def count_calls(office: Office, principal: Principal, first: date, last: date) -> dict[date, int]:
    """The requests of the caller's member on each day that had any, from the first to the last (UTC). Raises
    Refused(UNKNOWN_MEMBER)."""
    if principal.member is None:
        raise Refused(Reason.UNKNOWN_MEMBER, "only a member's staff and machines do this: sign in as one of them")
    query = "SELECT day_ms, calls FROM api_calls WHERE member = ? AND day_ms BETWEEN ? AND ? ORDER BY day_ms"
    with office.people.read() as connection:
        rows = connection.execute(query, (principal.member, _begin(first), _begin(last))).fetchall()
    return {datetime.fromtimestamp(day / 1000, UTC).date(): int(calls) for day, calls in rows}


def _begin(day: date) -> Millis:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
