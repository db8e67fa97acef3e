"""Asking again without doing twice: what a request with an idempotency key answered, kept for a day.

A key belongs to one client. The same key and body replay the answer; another body is refused; a duplicate of one that
is at work is asked to wait. A record whose worker died is taken over when its lease ends: what it may have done is then
found again, since the statement's secret comes from the key (`Started.seed`). An answer may hold what is erased later,
and stands under a key that only whoever asks again can give. It refuses to know what is asked.
Design: security 41.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.node.lookup import ask_many
from carnet.services.principals import Principal
from carnet.types import Millis
from carnet.vault.people.store import PeopleStore
from carnet.vault.sealing import decrypt_answer, encrypt_answer
from carnet.vault.store import Blob, Connection

KEPT_MS: Final = 25 * 3_600_000
"""How long an answer is kept: a day, and an hour for clocks that differ."""

LEASE_MS: Final = 15_000
"""How long a request may be at work before another may take over."""

_SEALED: Final = b"\x01"
"""With this a sealed answer begins; what an older program has kept is JSON in clear, for a day."""

MANY: Final = 64
"""Rows that one statement writes."""

_FIND: Final = "SELECT digest, body, status, answer, created_ms, until_ms FROM idempotency WHERE digest IN (?)"

KEY = re.compile(r"[\x21-\x7e]{8,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that would begin: the digests of its key and of all that it asks, which are stored, a secret that both
    and the node's key make, which is not, and the time, ms."""

    digest: bytes
    body: bytes
    secret: bytes = field(repr=False)
    now: Millis


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered the first time."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Started:
    """A request that is now at work: its `secret` is that of `Asked`; `since` is when it was first tried, ms."""

    digest: bytes
    secret: bytes = field(repr=False)
    since: Millis

    @property
    def seed(self) -> bytes:
        """32 bytes that are the same each time that the same request is tried, and that nobody else can compute."""
        return _derive(self.secret, b"seed", 32)


@dataclass(frozen=True, slots=True)
class Finished:
    """A request that ended: its sealed answer, kept until a time (ms). Without a status it changed nothing and is
    forgotten, so that it may be tried again at once."""

    digest: bytes
    status: int | None
    answer: bytes = b""
    until: Millis = 0


Told = Asked | Finished


class Idempotency:
    """The records of one node. For any thread."""

    def __init__(self, store: PeopleStore, key: bytes) -> None:
        self._store, self._key = store, key

    def ask(self, principal: Principal, key: str, asked: bytes, now: Millis) -> Asked:
        """The request to begin. `asked` says all that is asked: method, address, body. Raises
        Refused(VALUE_OUT_OF_RANGE) for what is no key."""
        if KEY.fullmatch(key) is None:
            raise Refused(
                Reason.VALUE_OUT_OF_RANGE,
                "an idempotency key has 8 to 128 visible ASCII characters: a random UUID is a good one",
                pointer="#Idempotency-Key",
            )
        whose = _name(principal), key.encode()
        return Asked(
            self._digest(b"key", *whose), self._digest(b"asked", asked), self._digest(b"secret", *whose, asked), now
        )

    def start(self, principal: Principal, key: str, asked: bytes, now: Millis) -> Started | Answered:
        """Begin a request, or answer it as before. Raises as `ask`, and Refused IDEMPOTENCY_KEY_REUSED for another
        request under this key, REQUEST_AT_WORK for a duplicate of one that has not ended."""
        (found,) = self.write([self.ask(principal, key, asked, now)])
        if isinstance(found, Refused):
            raise found
        if found is None:
            raise InvariantBroken("a request that was to begin was told as ended")
        return found

    def finish(self, started: Started, status: int, answer: bytes, now: Millis) -> None:
        """Keep the answer."""
        self.write([make_finished(started, status, answer, now)])

    def abandon(self, started: Started) -> None:
        """Forget a request that changed nothing and may be tried again at once."""
        self.write([Finished(started.digest, None)])

    def write(self, told: Sequence[Told]) -> list[Started | Answered | Refused | None]:
        """All of it in one transaction: first what ended, then what begins, in its order. Of each that begins, what
        `start` gives or would raise."""
        ended = [one for one in told if isinstance(one, Finished)]
        asked = [one for one in told if isinstance(one, Asked)]
        with self._store.note() as connection:
            _keep(connection, [one for one in ended if one.status is not None])
            for one in ended:
                if one.status is None:
                    query = "DELETE FROM idempotency WHERE digest = ? AND status IS NULL"
                    connection.execute(query, (one.digest,))
            begun = iter(self._begin(connection, asked))
        return [next(begun) if isinstance(one, Asked) else None for one in told]

    def _begin(self, connection: Connection, asked: Sequence[Asked]) -> list[Started | Answered | Refused]:
        digests = [Blob(one.digest) for one in asked]
        rows = {bytes(row[0]): row for row in ask_many(connection, _FIND, digests)} if asked else {}
        found: list[Started | Answered | Refused] = []
        new, lost = list[Any](), set[bytes]()
        for one in asked:
            row = rows.get(one.digest)
            answer = _judge(one, row)
            if answer is not None:
                found.append(answer)
                continue
            since = one.now
            if row is not None and row[2] is None:
                since = int(row[4])
                if not _take_over(connection, one, row[5]):
                    lost.add(one.digest)
            else:
                if row is not None:
                    # The answer that is out of date, and not what another process has begun since it was read.
                    query = "DELETE FROM idempotency WHERE digest = ? AND status IS NOT NULL AND until_ms = ?"
                    connection.execute(query, (one.digest, row[5]))
                new.append((Blob(one.digest), Blob(one.body), None, None, since, one.now + LEASE_MS))
            # Whoever asks for the same within this group comes after it.
            rows[one.digest] = (one.digest, one.body, None, None, since, one.now + LEASE_MS)
            found.append(Started(one.digest, one.secret, since))
        lost |= _insert(connection, new)
        if lost:
            # Another process was at it at the same moment, and has committed: what it wrote is seen now, and decides.
            rows = {bytes(row[0]): row for row in ask_many(connection, _FIND, [Blob(digest) for digest in lost])}
            found = [
                answer if one.digest not in lost else _judge(one, rows.get(one.digest)) or _at_work()
                for one, answer in zip(asked, found, strict=True)
            ]
        return found

    def _digest(self, what: bytes, *parts: bytes) -> bytes:
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in (what, *parts))
        return blake2b(framed, digest_size=32, key=self._key, person=b"carnet/idem").digest()


def make_finished(started: Started, status: int, answer: bytes, now: Millis) -> Finished:
    """The end of a request, whose answer is kept from now on."""
    return Finished(started.digest, status, _seal(started.secret, answer), now + KEPT_MS)


def _derive(secret: bytes, what: bytes, size: int) -> bytes:
    return blake2b(what, digest_size=size, key=secret, person=b"carnet/idem").digest()


def _seal(secret: bytes, answer: bytes) -> bytes:
    return _SEALED + encrypt_answer(_derive(secret, b"answer", 64), answer)


def _open(secret: bytes, kept: bytes) -> bytes:
    if not kept.startswith(_SEALED):
        return kept
    return decrypt_answer(_derive(secret, b"answer", 64), kept.removeprefix(_SEALED))


def _judge(one: Asked, row: Any) -> Answered | Refused | None:
    """What a request gets that does not begin."""
    if row is None or (row[2] is not None and row[5] < one.now):
        return None
    _, body, status, answer, _, until = row
    if body != one.body:
        return Refused(
            Reason.IDEMPOTENCY_KEY_REUSED,
            "this idempotency key was used for another request: take a new key for each",
        )
    if status is not None:
        return Answered(int(status), _open(one.secret, bytes(answer)))
    if until > one.now:
        return _at_work(max(1, -(-(until - one.now) // 1000)))
    return None


def _at_work(wait_s: int = 1) -> Refused:
    saying = "the same request is at work: ask again in a moment"
    return Refused(Reason.REQUEST_AT_WORK, saying, could_retry=True, retry_after_s=wait_s)


def _take_over(connection: Connection, one: Asked, until: Millis) -> bool:
    """Go on with a request whose lease has ended at `until`, unless another process does, or has ended it, since that
    was read: on a server two may read it at the same moment, and the later one waits here for the end of the other."""
    query = "UPDATE idempotency SET until_ms = ? WHERE digest = ? AND status IS NULL AND until_ms = ?"
    return bool(connection.execute(query, (one.now + LEASE_MS, one.digest, until)).rowcount)


def _insert(connection: Connection, rows: Sequence[Any]) -> set[bytes]:
    """One statement for many rows: each statement gives up the interpreter, and waits to have it back. Gives those that
    another process has begun at the same moment, which only a server lets it."""
    lost: set[bytes] = set()
    for at in range(0, len(rows), MANY):
        part = rows[at : at + MANY]
        query = f"INSERT INTO idempotency VALUES {','.join(['(?,?,?,?,?,?)'] * len(part))}"  # noqa: S608
        values = [value for row in part for value in row]
        if connection.is_file:
            connection.execute(query, values)
        else:
            query += " ON CONFLICT (digest) DO NOTHING RETURNING digest"
            begun = {bytes(row[0]) for row in connection.execute(query, values).fetchall()}
            lost |= {bytes(row[0]) for row in part} - begun
    return lost


def _keep(connection: Connection, ended: Sequence[Finished]) -> None:
    rows = [(one.digest, one.status, Blob(one.answer), one.until) for one in ended]
    if not connection.is_file:
        query = "UPDATE idempotency SET status = ?, answer = ?, until_ms = ? WHERE digest = ?"
        connection.executemany(query, [(status, answer, until, digest) for digest, status, answer, until in rows])
        return
    for at in range(0, len(rows), MANY):
        part = rows[at : at + MANY]
        places = ",".join(["(?,?,?,?)"] * len(part))
        query = (
            f"WITH ended (digest, status, answer, until_ms) AS (VALUES {places}) UPDATE idempotency"  # noqa: S608
            " SET status = ended.status, answer = ended.answer, until_ms = ended.until_ms FROM ended"
            " WHERE idempotency.digest = ended.digest"
        )
        connection.execute(query, [value for row in part for value in row])


def _name(principal: Principal) -> bytes:
    """Whose key it is. A client that is of no account and no member has no keys of its own to confuse."""
    member = b"" if principal.member is None else principal.member
    return b"\n".join(((principal.client or "").encode(), (principal.account or "").encode(), member))
