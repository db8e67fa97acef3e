"""Asking again without doing twice: what a request with an idempotency key answered, kept for a day.

A key belongs to one client. The same key and body replay the answer; another body is refused; a duplicate of one that
is at work is asked to wait. A record whose worker died is taken over when its lease ends: what it may have done is then
found again, since the statement's secret comes from the key (`Started.seed`). It refuses to know what is asked.
Design: security 41.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from carnet.errors import Reason, Refused
from carnet.services.principals import Principal
from carnet.types import Millis
from carnet.vault.people.store import PeopleStore
from carnet.vault.store import Blob, Connection

KEPT_MS: Final = 25 * 3_600_000
"""How long an answer is kept: a day, and an hour for clocks that differ."""

LEASE_MS: Final = 15_000
"""How long a request may be at work before another may take over."""

KEY = re.compile(r"[\x21-\x7e]{8,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered the first time."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Started:
    """A request that is now at work: `seed` (32 bytes) is the same each time that the same request is tried, and
    nobody else can compute it; `since` is when it was first tried, ms."""

    digest: bytes
    seed: bytes
    since: Millis


class Idempotency:
    """The records of one node. For any thread."""

    def __init__(self, store: PeopleStore, key: bytes) -> None:
        self._store, self._key = store, key

    def start(self, principal: Principal, key: str, asked: bytes, now: Millis) -> Started | Answered:
        """Begin a request, or answer it as before. `asked` says all that is asked: method, address, body.

        Raises Refused VALUE_OUT_OF_RANGE for what is no key, IDEMPOTENCY_KEY_REUSED for another request under this key,
        and REQUEST_AT_WORK for a duplicate of one that has not ended.
        """
        if KEY.fullmatch(key) is None:
            raise Refused(
                Reason.VALUE_OUT_OF_RANGE,
                "an idempotency key has 8 to 128 visible ASCII characters: a random UUID is a good one",
                pointer="#Idempotency-Key",
            )
        digest, body = self._digest(b"key", _name(principal), key.encode()), self._digest(b"asked", asked)
        with self._store.note() as connection:
            row = connection.execute(
                "SELECT body, status, answer, created_ms, until_ms FROM idempotency WHERE digest = ?", (digest,)
            ).fetchone()
            if row is None or (row[1] is not None and row[4] < now):
                return self._begin(connection, digest, body, now, is_new=row is None)
            if row[0] != body:
                raise Refused(
                    Reason.IDEMPOTENCY_KEY_REUSED,
                    "this idempotency key was used for another request: take a new key for each",
                )
            if row[1] is not None:
                return Answered(int(row[1]), bytes(row[2]))
            if row[4] > now:
                raise Refused(
                    Reason.REQUEST_AT_WORK,
                    "the same request is at work: ask again in a moment",
                    could_retry=True,
                    retry_after_s=max(1, -(-(row[4] - now) // 1000)),
                )
            query = "UPDATE idempotency SET until_ms = ? WHERE digest = ?"
            connection.execute(query, (now + LEASE_MS, digest))
            return Started(digest, self._seed(digest, body), int(row[3]))

    def finish(self, started: Started, status: int, answer: bytes, now: Millis) -> None:
        """Keep the answer."""
        with self._store.note() as connection:
            connection.execute(
                "UPDATE idempotency SET status = ?, answer = ?, until_ms = ? WHERE digest = ?",
                (status, Blob(answer), now + KEPT_MS, started.digest),
            )

    def abandon(self, started: Started) -> None:
        """Forget a request that changed nothing and may be tried again at once."""
        with self._store.note() as connection:
            connection.execute("DELETE FROM idempotency WHERE digest = ? AND status IS NULL", (started.digest,))

    def _begin(self, connection: Connection, digest: bytes, body: bytes, now: Millis, *, is_new: bool) -> Started:
        if not is_new:
            connection.execute("DELETE FROM idempotency WHERE digest = ?", (digest,))
        row = (Blob(digest), Blob(body), None, None, now, now + LEASE_MS)
        connection.execute("INSERT INTO idempotency VALUES (?,?,?,?,?,?)", row)
        return Started(digest, self._seed(digest, body), now)

    def _seed(self, digest: bytes, body: bytes) -> bytes:
        return self._digest(b"seed", digest, body)

    def _digest(self, what: bytes, *parts: bytes) -> bytes:
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in (what, *parts))
        return blake2b(framed, digest_size=32, key=self._key, person=b"carnet/idem").digest()


def _name(principal: Principal) -> bytes:
    """Whose key it is. A client that is of no account and no member has no keys of its own to confuse."""
    member = b"" if principal.member is None else principal.member
    return b"\n".join(((principal.client or "").encode(), (principal.account or "").encode(), member))
