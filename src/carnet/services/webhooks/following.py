"""Making messages from what happened: the log, the audit trail, the jobs of files and the keys of programs are
followed, each from where it was left.

The place is moved on in the transaction that keeps the messages, and a message has one id for one happening: a crash
between a seal and its message loses none, and tells none twice. What happened is looked for in proportion to what
changed, and not more often than a twentieth of a processor can do (`Pace`). It refuses to send anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from carnet.encoding import u64
from carnet.errors import Reason
from carnet.node.following import (
    Marked,
    SealedEntry,
    find_last_submission,
    has_submitted_since,
    read_sealed_since,
)
from carnet.node.reader import Reader
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.office import DAY_MS, MINUTE_MS, Office, name_id, read_id
from carnet.services.filing.records import Files
from carnet.services.names import Prefix, format_name
from carnet.services.timelines import Shape, format_time
from carnet.services.webhooks import events
from carnet.services.webhooks.endpoints import Endpoint, list_told
from carnet.services.webhooks.events import MAX_ENTRIES
from carnet.services.webhooks.messages import compute_message_id, insert_message
from carnet.types import Basis, Mark, MemberId, Millis
from carnet.vault.store import Connection

OVERLAP_MS: Final = 5 * MINUTE_MS
"""How far back events and files are looked at again, where a clock was put back meanwhile; ids keep what was told
from being told twice."""

EXPIRES_WITHIN_MS: Final = 14 * DAY_MS
ENTRY_EVENTS: Final = frozenset({events.ENTRY_SEALED, events.ENTRY_SUPERSEDED, events.ENTRY_CONTESTED})
MARK_EVENTS: Final = frozenset({events.ENTRY_SUPERSEDED, events.ENTRY_CONTESTED})
FILE_EVENTS: Final = frozenset({events.FILE_DONE, events.FILE_FAILED})
_ACTIONS: Final = {Action.CLAIMED.value: events.CLAIM_CLAIMED, Action.CONTESTED.value: events.CLAIM_CONTESTED}


class Happening(NamedTuple):
    """Something to be told to a member: what, when (ms), its data, and what it is known by."""

    member: MemberId
    kind: str
    at: Millis
    data: Shape
    mark: bytes


@dataclass(slots=True)
class Pace:
    """When the log may be looked at next: a look that took long is followed by a pause twenty times as long, so that
    following a bulk import never costs more than a twentieth of a processor. `clock` gives seconds."""

    clock: Callable[[], float]
    share: int = 20
    next_at: float = field(default=0.0)

    def is_due(self) -> bool:
        """Whether it is time."""
        return self.clock() >= self.next_at

    def note(self, began: float) -> None:
        """A look that began then has ended now."""
        now = self.clock()
        self.next_at = now + self.share * (now - began)


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows what happened in one home. For one thread."""

    office: Office
    files: Files
    pace: Pace

    def follow(self, reader: Reader) -> int:
        """Make the messages of all that happened since the last look; how many were new. `reader` sees the present."""
        with self.office.people.read() as connection:
            told = list_told(connection)
        if not told:
            return 0
        count = self._follow_log(reader, told) if self.pace.is_due() else 0
        return count + self._follow_trail(told) + self._follow_files(told) + self._follow_keys(told)

    # ---- the log

    def _follow_log(self, reader: Reader, told: Sequence[Endpoint]) -> int:
        began = self.pace.clock()
        with self.office.people.read() as connection:
            since, after = _find_place(connection, "log"), _find_place(connection, "submission")
        first = reader.find_first_record(min(endpoint.since for endpoint in told))
        # Nobody is told of what was before them; a place that is not known yet begins there.
        since = first if since is None else max(since, first)
        size, last = reader.state.size, find_last_submission(reader.connection)
        if since >= size:
            return 0
        happened = list(_gather(reader, since, told)) if self._is_concerned(reader, after, told) else []
        count = self._keep(told, happened, {"log": size, "submission": last})
        self.pace.note(began)
        return count

    def _is_concerned(self, reader: Reader, after: int | None, told: Sequence[Endpoint]) -> bool:
        """Whether the new entries need be looked at: one of these members has written, or wants to know what others
        say of its entries."""
        if after is None or any(MARK_EVENTS & set(endpoint.kinds) for endpoint in told):
            return True
        writers = {endpoint.member for endpoint in told if events.ENTRY_SEALED in endpoint.kinds}
        return has_submitted_since(reader.connection, after, sorted(writers))

    # ---- the audit trail, files and keys

    def _follow_trail(self, told: Sequence[Endpoint]) -> int:
        wanted = [action for action, kind in _ACTIONS.items() if any(kind in endpoint.kinds for endpoint in told)]
        if not wanted:
            return 0
        now = self.office.clock()
        with self.office.people.read() as connection:
            since = _find_place(connection, "trail") or now - MINUTE_MS
            marks = ", ".join("?" * len(wanted))
            query = f"SELECT id, at_ms, action, about, member, why FROM event WHERE at_ms >= ? AND action IN ({marks})"  # noqa: S608
            rows = connection.execute(query, (since - OVERLAP_MS, *wanted)).fetchall()
        happened = []
        for id_, at, action, about, member, why in rows:
            if not member:
                continue
            kind = _ACTIONS[action]
            data: Shape = (
                events.Claimed(passport=about)
                if kind == events.CLAIM_CLAIMED
                else events.Contested(passport=about, contest=why)
            )
            owner = read_id("mem", member, Reason.UNKNOWN_MEMBER)
            happened.append(Happening(owner, kind, at, data, bytes(id_)))
        return self._keep(told, happened, {"trail": now} if now - since >= MINUTE_MS else {})

    def _follow_files(self, told: Sequence[Endpoint]) -> int:
        members = {endpoint.member for endpoint in told if FILE_EVENTS & set(endpoint.kinds)}
        if not members:
            return 0
        now = self.office.clock()
        with self.office.people.read() as connection:
            since = _find_place(connection, "files") or now - MINUTE_MS
        happened = []
        for job in self.files.list():
            member = bytes.fromhex(job.member)
            if member not in members or job.ended_ms is None or job.ended_ms < since - OVERLAP_MS:
                continue
            if job.state in ("done", "failed"):
                kind = events.FILE_DONE if job.state == "done" else events.FILE_FAILED
                data = events.FileEnded(job=job.id, format=job.wish.format)
                happened.append(Happening(member, kind, job.ended_ms, data, job.id.encode()))
        return self._keep(told, happened, {"files": now} if now - since >= MINUTE_MS else {})

    def _follow_keys(self, told: Sequence[Endpoint]) -> int:
        members = {endpoint.member for endpoint in told if events.KEY_EXPIRING in endpoint.kinds}
        if not members:
            return 0
        now = self.office.clock()
        query = (
            "SELECT c.member, c.id, k.digest, k.hint, k.until_ms FROM api_key k JOIN client c ON c.id = k.client"
            " WHERE k.revoked_ms IS NULL AND c.ended_ms IS NULL AND k.until_ms > ? AND k.until_ms <= ?"
        )
        with self.office.people.read() as connection:
            rows = connection.execute(query, (now, now + EXPIRES_WITHIN_MS)).fetchall()
        happened = [
            Happening(
                bytes(member),
                events.KEY_EXPIRING,
                now,
                events.KeyEnds(client=name_id("cli", bytes(client)), hint=hint, until=format_time(until)),
                bytes(digest) + u64(until),
            )
            for member, client, digest, hint, until in rows
            if bytes(member) in members
        ]
        return self._keep(told, happened, {})

    def _keep(self, told: Sequence[Endpoint], happened: Iterable[Happening], places: Mapping[str, int]) -> int:
        """Keep a message for each address that is told of each, and move the places on, in one transaction."""
        office, now = self.office, self.office.clock()
        made = [
            (compute_message_id(office, endpoint, one.kind, one.mark), endpoint, one)
            for one in happened
            for endpoint in told
            if endpoint.member == one.member and one.kind in endpoint.kinds and one.at >= endpoint.since
        ]
        with office.people.read() as connection:
            made = [one for one in made if not _is_kept(connection, one[0])]
        if not made and not places:
            return 0
        with office.people.write() if made else office.people.note() as connection:
            for id_, endpoint, one in made:
                payload = events.make_payload(one.kind, one.at, one.data)
                insert_message(connection, id_, endpoint, one.kind, payload, one.at, next_ms=now)
            for name, position in places.items():
                connection.execute(
                    "INSERT INTO webhook_cursor (name, position) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                    (name, position),
                )
        return len(made)


@dataclass(slots=True)
class _Submission:
    """What is gathered of one submission: when it was sealed, how many entries, the first of them."""

    member: MemberId
    at: Millis
    count: int = 0
    named: list[events.EntryNamed] = field(default_factory=list)


def _gather(reader: Reader, since: int, told: Sequence[Endpoint]) -> Iterable[Happening]:
    """What the log tells these members, from this index on."""
    writers = {endpoint.member for endpoint in told if events.ENTRY_SEALED in endpoint.kinds}
    marked = {endpoint.member for endpoint in told if MARK_EVENTS & set(endpoint.kinds)}
    found: dict[bytes, _Submission] = {}
    for entry in read_sealed_since(reader.connection, reader.stored_kinds, since):
        # What was written for a holder is the holder's, whoever signed it: as in `access`.
        if entry.member in writers and entry.basis != Basis.HOLDER:
            _add(found, entry, reader)
        target = entry.marked
        is_others = target is not None and (entry.member != target.member or entry.basis == Basis.HOLDER)
        if target is not None and is_others and target.member in marked and target.basis != Basis.HOLDER:
            kind = events.ENTRY_SUPERSEDED if entry.mark == Mark.SUPERSEDES else events.ENTRY_CONTESTED
            yield Happening(target.member, kind, _get_time(reader, entry.seal), _describe(entry, target), entry.sid)
    for root, one in found.items():
        data_ = events.Sealed(
            submission=format_name(Prefix.SUBMISSION, root),
            entry_count=one.count,
            entries=one.named,
            has_more=one.count > len(one.named),
        )
        yield Happening(one.member, events.ENTRY_SEALED, one.at, data_, root)


def _add(found: dict[bytes, _Submission], entry: SealedEntry, reader: Reader) -> None:
    one = found.get(entry.submission)
    if one is None:
        one = found[entry.submission] = _Submission(entry.member, _get_time(reader, entry.seal))
    one.count += 1
    if len(one.named) < MAX_ENTRIES:
        one.named.append(
            events.EntryNamed(
                entry=format_name(Prefix.ENTRY, entry.sid),
                passport=format_name(Prefix.PASSPORT, entry.passport),
                kind=entry.kind,
            )
        )


def _describe(entry: SealedEntry, target: Marked) -> Shape:
    """The entry that was marked; of the other one nothing, which its member does not see."""
    return events.Marked(
        entry=format_name(Prefix.ENTRY, target.sid),
        passport=format_name(Prefix.PASSPORT, entry.passport),
        kind=target.kind,
    )


def _get_time(reader: Reader, seal: int) -> Millis:
    return cast("int", reader.get_record(seal)["at"])


def _find_place(connection: Connection, name: str) -> int | None:
    row = connection.execute("SELECT position FROM webhook_cursor WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def _is_kept(connection: Connection, id_: bytes) -> bool:
    return connection.execute("SELECT 1 FROM webhook_message WHERE id = ?", (id_,)).fetchone() is not None
