"""How much the programs and staff of one member may ask of the API in a minute, where it is another limit than the
node's own.

A limit is for the whole member and for all workers together. It refuses to count (`web.api.quota` does).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, name_caller, name_id
from carnet.services.logs import get_log
from carnet.services.principals import Principal, Standing
from carnet.types import MemberId, Millis
from carnet.vault.people.store import PeopleStore

LEAST: Final = 1
MOST: Final = 10_000_000
FRESH_MS: Final = 5_000
"""So long a worker goes by what it has read: a limit that is changed is in force everywhere after it."""


class MemberQuota(NamedTuple):
    """A member's limit: requests in a minute, since when (ms) and set by whom."""

    member: MemberId
    requests_per_minute: int
    changed_at: Millis
    changed_by: str


def set_quota(office: Office, principal: Principal, member: MemberId, requests_per_minute: int | None) -> None:
    """Limit a member, or with None take its own limit away. Raises Refused(NOT_PERMITTED, VALUE_OUT_OF_RANGE)."""
    _check(principal)
    if requests_per_minute is not None and not LEAST <= requests_per_minute <= MOST:
        saying = f"a quota is {LEAST:,} to {MOST:,} requests in a minute"
        raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, field="requests_per_minute")
    who = name_caller(principal)
    with office.people.write() as connection:
        connection.execute("DELETE FROM member_quota WHERE member = ?", (member,))
        if requests_per_minute is not None:
            query = "INSERT INTO member_quota (member, requests_per_minute, changed_ms, changed_by) VALUES (?, ?, ?, ?)"
            connection.execute(query, (member, requests_per_minute, office.clock(), who))
        why = "none" if requests_per_minute is None else f"{requests_per_minute} a minute"
        record(connection, office, Action.QUOTA_SET, who, about=name_id("mem", member), member=member, why=why)


def list_quotas(office: Office, principal: Principal) -> list[MemberQuota]:
    """The members that have a limit of their own. Raises Refused(NOT_PERMITTED)."""
    _check(principal)
    query = "SELECT member, requests_per_minute, changed_ms, changed_by FROM member_quota ORDER BY member"
    with office.people.read() as connection:
        return [MemberQuota(bytes(row[0]), *row[1:]) for row in connection.execute(query).fetchall()]


class Limits:
    """The limits of members, as one worker goes by them. For any thread; `find` never waits for the store, so that it
    may be asked where nothing else could be answered meanwhile."""

    def __init__(self, people: PeopleStore, clock: Callable[[], Millis]) -> None:
        self._people, self._clock = people, clock
        self._limits: Mapping[MemberId, int] = {}
        self._read_at: Millis | None = None
        self._is_reading = threading.Lock()

    def find(self, member: MemberId) -> int | None:
        """The limit of a member as it was a moment ago, None where it had none of its own."""
        now = self._clock()
        if (self._read_at is None or not 0 <= now - self._read_at < FRESH_MS) and self._is_reading.acquire(
            blocking=False
        ):
            threading.Thread(target=self._read, args=(now,), daemon=True).start()
        return self._limits.get(member)

    def _read(self, now: Millis) -> None:
        try:
            with self._people.look_up() as connection:
                rows = connection.execute("SELECT member, requests_per_minute FROM member_quota").fetchall()
            self._limits = {bytes(row[0]): int(row[1]) for row in rows}
        except Exception as error:
            # What was known stays in force until the next try.
            get_log("carnet.quotas").warning("quotas were not read", kind=type(error).__name__)
        finally:
            self._read_at = now
            self._is_reading.release()


def _check(principal: Principal) -> None:
    if principal.standing is not Standing.OPERATOR:
        raise Refused(Reason.NOT_PERMITTED, "quotas are for operators")
