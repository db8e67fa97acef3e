"""How many requests one caller may send in a minute, and what each answer says of it.

Counted in memory, by each worker for itself: it keeps one caller from taking a worker's whole time, and costs nothing
on a disk. A caller with a key or a session is counted by it, a visitor by address. A member to which an operator has
given a limit of its own is counted as a whole, by all workers together. It refuses to know who is worth more. Design:
security 34.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Final

from carnet.errors import Reason, Refused
from carnet.services.calls import Calls
from carnet.services.principals import VISITOR, Principal, Standing
from carnet.services.quotas import Limits
from carnet.types import MemberId, Millis
from carnet.web.api.shared_counts import SharedCounts
from carnet.web.desk import Desk

CALLER_LIMIT: Final = 240_000
"""Of one account or client, in a minute and worker: more than one machine sends on purpose."""

VISITOR_LIMIT: Final = 3_000
"""Of one address without a key."""

WINDOW_MS: Final = 60_000
_MAX_NAMES: Final = 50_000


class Quota:
    """Counts of the present minute. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window = -1
        self._counts: dict[tuple[object, ...], int] = {}
        # The folder that the workers of one service have together; a test's one worker has none.
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._shared = SharedCounts(Path(folder)) if folder else None

    def take_for_member(self, member: MemberId, limit: int, now: Millis) -> int:
        """Count one request of a member, with all workers; how many are left, -1 if it was one too many."""
        if self._shared is None:
            return self.take((member,), limit, now)
        with self._lock:
            count = self._shared.add(member, now // WINDOW_MS)
        return max(limit - count, -1)

    def take(self, name: tuple[object, ...], limit: int, now: Millis) -> int:
        """Count one request; how many are left, -1 if it was one too many."""
        window = now // WINDOW_MS
        with self._lock:
            if window != self._window or len(self._counts) > _MAX_NAMES:
                self._window, self._counts = window, {}
            count = self._counts.get(name, 0) + 1
            self._counts[name] = count
        return max(limit - count, -1)


def get_limit(principal: Principal) -> int:
    """Requests that a caller may send to one worker in a minute."""
    return VISITOR_LIMIT if principal.is_visitor else CALLER_LIMIT


def find_member_limit(desk: Desk, principal: Principal) -> int | None:
    """The limit of the caller's member, where an operator has set one."""
    people = desk.shelf.get("people")
    if principal.member is None or people is None:
        return None
    limits = desk.shelf.get("limits")
    if not isinstance(limits, Limits):
        limits = desk.shelf["limits"] = Limits(people, desk.clock)
    return limits.find(principal.member)


def check_quota(scope: Any, desk: Desk) -> None:
    """Count a request of the API. Raises Refused(TOO_MANY_REQUESTS) with the seconds to wait."""
    quota: Quota | None = desk.shelf.get("quota")
    if quota is None:
        quota = desk.shelf["quota"] = Quota()
    state, client = scope["state"], scope.get("client")
    principal: Principal = state.get("principal", VISITOR)
    address = client[0] if client else ""
    name = (address,) if principal.is_visitor else (principal.account, principal.client, principal.member)
    limit, now = get_limit(principal), desk.clock()
    own = find_member_limit(desk, principal)
    if own is None or principal.member is None:
        left = quota.take(name, limit, now)
    else:
        limit, left = own, quota.take_for_member(principal.member, own, now)
    wait_s = -(-(WINDOW_MS - now % WINDOW_MS) // 1000)
    state["quota"] = (limit, max(left, 0), wait_s)
    if left < 0:
        raise Refused(
            Reason.TOO_MANY_REQUESTS,
            f"more than {limit:,} requests in a minute",
            could_retry=True,
            retry_after_s=wait_s,
        )
    calls = desk.shelf.get("calls")
    if isinstance(calls, Calls) and principal.member is not None and principal.standing is Standing.MACHINE:
        calls.add(principal.member)


def list_headers(scope: Any) -> list[tuple[str, str]]:
    """What an answer says of the quota, where it was counted (draft of the IETF on RateLimit header fields)."""
    told = scope.get("state", {}).get("quota")
    if told is None:
        return []
    limit, left, wait_s = told
    policy, present = f'"minute";q={limit};w=60', f'"minute";r={left};t={wait_s}'
    return [("RateLimit-Policy", policy), ("RateLimit", present)]


async def tell_quota(message: Any, scope: Any) -> None:
    """Put it into the answer, whatever that is: the `before_send` of the app."""
    if message["type"] == "http.response.start":
        headers = message.setdefault("headers", [])
        headers.extend((name.lower().encode(), value.encode()) for name, value in list_headers(scope))
