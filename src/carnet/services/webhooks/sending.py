"""Delivering what is due: a few addresses at a time, and one message at a time to each, so that a slow address holds up
nobody but itself.

Before each try it is asked again whether the address is still to be told, and whether its member may still see the
passports that are named, through the one reading door: what it may not see any more is left out, and a message that has
nothing left is not sent (security 11). It refuses to follow what happens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import msgspec

import carnet
from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.outbound.addresses import parse_target
from carnet.outbound.posting import Outcome, Poster, Trouble
from carnet.services.access import NoHoldings, get_view
from carnet.services.accounts.auditing import Action, record
from carnet.services.accounts.office import Office, name_caller
from carnet.services.accounts.throttling import Attempt, count_attempt
from carnet.services.logs import find_places, get_log
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal, Role, Standing
from carnet.services.webhooks import events
from carnet.services.webhooks.endpoints import Endpoint, find_by_id, get_endpoint
from carnet.services.webhooks.keys import sign
from carnet.services.webhooks.messages import (
    Message,
    find_message,
    find_next_due,
    give_up,
    insert_message,
    list_due,
    note_outcome,
)
from carnet.types import MemberId

AT_ONCE: Final = 16
"""Addresses that are spoken to at the same time."""

OF_MEMBER: Final = 4
"""Of these, those of one member: who has ten slow addresses holds up nobody else."""

IN_A_ROW: Final = 50
"""Messages that one address gets before others have their turn."""

TURN_S: Final = 5.0
"""And for how long it is spoken to: one that takes each message late, and with success, is slow as well."""

AGENT: Final = f"carnet/{carnet.__version__} webhooks"
LONGEST_REST_S: Final = 60.0
Reading = Callable[[], AbstractContextManager[Reader]]


class Sender:
    """Delivers; close it. `reading` gives a reader that sees the present."""

    def __init__(
        self,
        office: Office,
        reading: Reading,
        poster: Poster,
        *,
        at_once: int = AT_ONCE,
        of_member: int = OF_MEMBER,
        turn_s: float = TURN_S,
    ) -> None:
        self._office, self._reading, self._poster = office, reading, poster
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="carnet-webhook")
        self._at_once, self._of_member, self._turn_s = at_once, of_member, turn_s
        self._busy: dict[bytes, MemberId] = {}
        self._resting: dict[bytes, tuple[int, float]] = {}
        self._had_turn: dict[bytes, float] = {}
        self._lock = threading.Lock()
        self._is_closing = False

    def close(self) -> None:
        """Begin no delivery more, and wait for those at work."""
        self._is_closing = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def start_due(self) -> int:
        """Begin with the addresses for which something is due, those first whose last turn is longest ago: as many as
        there is room for, and of each member as many as it may have; how many."""
        with self._lock:
            now = time.monotonic()
            resting = {webhook for webhook, (_, until) in self._resting.items() if until > now}
            busy = dict(self._busy)
        with self._office.people.read() as connection:
            due = list_due(connection, self._office.clock(), {*busy, *resting})
        # Among those that had none it stays as it is: who has waited longest first.
        due.sort(key=lambda one: self._had_turn.get(one[0], 0.0))
        count = 0
        for webhook, member in due:
            of_member = sum(one == member for one in busy.values())
            if len(busy) >= self._at_once or of_member >= self._of_member:
                continue
            busy[webhook] = member
            with self._lock:
                self._busy[webhook] = member
            self._pool.submit(self._work, webhook)
            count += 1
        return count

    def _work(self, webhook: bytes) -> None:
        is_well, began = True, time.monotonic()
        try:
            for _ in range(IN_A_ROW):
                found = None if self._is_closing else self.deliver_next(webhook)
                is_well = found is not False
                if not found or time.monotonic() - began >= self._turn_s:
                    return
        except Exception as error:
            # One address, or the store, fails: the next look begins anew, and nothing was lost.
            is_well = False
            get_log("carnet.webhooks").error("delivery failed", kind=type(error).__name__, at=find_places(error))
        finally:
            self._rest(webhook, is_well=is_well)

    def _rest(self, webhook: bytes, *, is_well: bool) -> None:
        """An address that fails is spoken to less and less often, whatever waits for it: at least once a minute."""
        with self._lock:
            self._busy.pop(webhook, None)
            self._had_turn[webhook] = time.monotonic()
            if is_well:
                self._resting.pop(webhook, None)
                return
            failures = self._resting.get(webhook, (0, 0.0))[0] + 1
            self._resting[webhook] = (failures, time.monotonic() + min(LONGEST_REST_S, 2.0**failures))

    def deliver_next(self, webhook: bytes) -> bool | None:
        """Try what is due next at one address; whether it was delivered or given up, so that more may follow. None
        where nothing is due."""
        with self._office.people.read() as connection:
            message = find_next_due(connection, webhook, self._office.clock())
            endpoint = find_by_id(connection, webhook)
        if message is None:
            return None
        outcome = self._try(endpoint, message)
        return outcome is None or outcome.is_delivered

    def _try(self, endpoint: Endpoint | None, message: Message) -> Outcome | None:
        if endpoint is None or not endpoint.is_told:
            give_up(self._office, message, "stopped" if endpoint is not None else "ended")
            return None
        payload = self._filter(endpoint.member, message)
        if payload is None:
            give_up(self._office, message, "not_permitted")
            return None
        outcome, _ = send(self._office, self._poster, endpoint, message, payload)
        note_outcome(self._office, message, outcome)
        return outcome

    def _filter(self, member: MemberId, message: Message) -> bytes | None:
        with self._reading() as reader:
            return filter_payload(reader, member, message.payload)


def send(
    office: Office, poster: Poster, endpoint: Endpoint, message: Message, payload: bytes
) -> tuple[Outcome, dict[str, str]]:
    """Post a message once, signed now: how it went, and the headers that were sent."""
    headers = {"Content-Type": "application/json", "User-Agent": AGENT, "Accept": "*/*"}
    headers |= sign(office, endpoint, message.public_id, office.clock(), payload)
    try:
        target = parse_target(endpoint.url, poster.reach)
    except Refused:
        # What the operator allows may have changed since it was added.
        return Outcome(None, Trouble.ADDRESS_REFUSED), headers
    return poster.post(target, headers, payload), headers


def filter_payload(reader: Reader, member: MemberId, payload: bytes) -> bytes | None:
    """The payload without what its member may not see any more; None where nothing is left, or the member has left."""
    state = reader.state.members
    if state.find_index(member) is None or state.get(member).retired is not None:
        return None
    document: dict[str, Any] = msgspec.json.decode(payload)
    data = document["data"]
    if "passport" in data and not _may_see(reader, member, data["passport"]):
        return None
    if "entries" not in data:
        return payload
    seen = {name: _may_see(reader, member, name) for name in {one["passport"] for one in data["entries"]}}
    kept = [one for one in data["entries"] if seen[one["passport"]]]
    if len(kept) == len(data["entries"]):
        return payload
    if not kept:
        return None
    gone = len(data["entries"]) - len(kept)
    data |= {"entries": kept, "entry_count": data["entry_count"] - gone}
    return msgspec.json.encode(document)


class Tested(NamedTuple):
    """How a test went: its message, the outcome, and the headers that were sent."""

    message: Message
    outcome: Outcome
    headers: dict[str, str]


def send_test(office: Office, principal: Principal, webhook: str, poster: Poster) -> Tested:
    """Send a test to an address now, stopped or not. It is tried once.

    Raises Refused(UNKNOWN_WEBHOOK, TOO_MANY_REQUESTS).
    """
    with office.people.read() as connection:
        endpoint = get_endpoint(connection, principal, webhook)
    who = name_caller(principal)
    count_attempt(office, Attempt.WEBHOOK_TESTS_BY_CALLER, who)
    id_, now = office.random_bytes(16), office.clock()
    payload = events.make_payload(events.TEST, now, events.Tested(webhook=endpoint.public_id))
    with office.people.change() as connection:
        insert_message(connection, id_, endpoint, events.TEST, payload, now, next_ms=None)
        record(connection, office, Action.WEBHOOK_TESTED, who, about=endpoint.public_id, member=endpoint.member)
        message = find_message(connection, id_)
    if message is None:
        raise Refused(Reason.SERVICE_FAULT, "the test was not kept")
    outcome, headers = send(office, poster, endpoint, message, payload)
    return Tested(note_outcome(office, message, outcome, is_test=True), outcome, headers)


def _may_see(reader: Reader, member: MemberId, passport: str) -> bool:
    found = find_id(Prefix.PASSPORT, passport)
    if found is None:
        return False
    try:
        get_view(reader, NoHoldings(), Principal(Standing.STAFF, member=member, role=Role.READER), found)
    except Refused:
        return False
    return True
