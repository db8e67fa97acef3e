"""Making messages from what happened: the log, the audit trail, the jobs of files and the keys of programs are
followed, each from where it was left.

The place is moved on in the transaction that keeps the messages, and a message has one id for one happening: a crash
between a seal and its message loses none, and tells none twice. What happened is looked for in proportion to what
changed, and not more often than a twentieth of a processor can do (`Pace`). It refuses to send anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from carnet.encoding import u64
from carnet.errors import Reason
from carnet.node.authored import find_first_submission
from carnet.node.following import Called, Marking, find_last_submission, list_marking, list_submissions
from carnet.node.reader import Reader
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.office import DAY_MS, MINUTE_MS, Office, name_id, read_id
from carnet.services.filing.records import Files
from carnet.services.names import Prefix, format_name
from carnet.services.showing import RECTIFIED
from carnet.services.timelines import Shape, format_time
from carnet.services.webhooks import events
from carnet.services.webhooks.endpoints import Endpoint, list_told
from carnet.services.webhooks.messages import compute_message_id, insert_message
from carnet.types import Basis, Mark, MemberId, Millis
from carnet.vault.store import Connection

OVERLAP_MS: Final = 5 * MINUTE_MS
"""How far back events and files are looked at again, where a clock was put back meanwhile; ids keep what was told
from being told twice."""

EXPIRES_WITHIN_MS: Final = 14 * DAY_MS
MARK_EVENTS: Final = frozenset({events.ENTRY_SUPERSEDED, events.ENTRY_CONTESTED})
AT_ONCE: Final = 500
"""Submissions that are looked at in one round."""

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
    """When what happened may be looked at next: a look that took long is followed by a pause twenty times as long, so
    that following a bulk import never costs more than a twentieth of a processor. `clock` gives seconds."""

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
        if not told or not self.pace.is_due():
            return 0
        began = self.pace.clock()
        count = self._follow_log(reader, told) + self._follow_trail(told)
        count += self._follow_files(told) + self._follow_keys(told)
        self.pace.note(began)
        return count

    # ---- the log

    def _follow_log(self, reader: Reader, told: Sequence[Endpoint]) -> int:
        with self.office.people.read() as connection:
            after = _find_place(connection, "submission")
        last = find_last_submission(reader.connection)
        if after is not None and after >= last:
            return 0
        # Nobody is told of what was before them; a place that is not known yet begins there.
        index = reader.find_first_record(min(endpoint.since for endpoint in told))
        after = max(after or 0, find_first_submission(reader.connection, index) - 1)
        until = min(last, after + AT_ONCE)
        happened = sorted(_gather(reader, after, until, told), key=lambda one: one.at)
        return self._keep(told, happened, {"submission": until})

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


def _gather(reader: Reader, after: int, until: int, told: Sequence[Endpoint]) -> Iterator[Happening]:
    """What these submissions tell these members."""
    writers = {endpoint.member for endpoint in told if events.ENTRY_SEALED in endpoint.kinds}
    marked = {endpoint.member for endpoint in told if MARK_EVENTS & set(endpoint.kinds)}
    for one in list_submissions(reader, after, until, writers, events.MAX_ENTRIES):
        data = events.Sealed(
            submission=format_name(Prefix.SUBMISSION, one.root),
            entry_count=one.entry_count,
            entries=[events.EntryNamed(**_name(called)) for called in one.first],
            has_more=one.entry_count > len(one.first),
        )
        yield Happening(one.member, events.ENTRY_SEALED, _get_time(reader, one.seal), data, one.root)
    for marking in list_marking(reader, after, until) if marked else ():
        # What was written for a holder is the holder's, whoever signed it: as in `access`.
        is_others = marking.member != marking.target_member or marking.basis == Basis.HOLDER
        if is_others and marking.target_member in marked and marking.target_basis != Basis.HOLDER:
            shown = events.Marked(**_name(marking.target))
            at, kind = _get_time(reader, marking.seal), _judge(reader, marking)
            yield Happening(marking.target_member, kind, at, shown, marking.sid)


def _name(called: Called) -> dict[str, str]:
    return {
        "entry": format_name(Prefix.ENTRY, called.sid),
        "passport": format_name(Prefix.PASSPORT, called.passport),
        "kind": called.kind,
    }


def _judge(reader: Reader, marking: Marking) -> str:
    """Of somebody else's entry, only a member that is accredited as a corrector supersedes one; whatever else aims at
    it contests it (docs/spec 2.9)."""
    lines = reader.state.members.get(marking.member).accreditations
    is_corrector = any(kind == RECTIFIED and basis == marking.basis for kind, basis, _ in lines)
    return events.ENTRY_SUPERSEDED if marking.mark == Mark.SUPERSEDES and is_corrector else events.ENTRY_CONTESTED


def _get_time(reader: Reader, seal: int) -> Millis:
    return cast("int", reader.get_record(seal)["at"])


def _find_place(connection: Connection, name: str) -> int | None:
    row = connection.execute("SELECT position FROM webhook_cursor WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def _is_kept(connection: Connection, id_: bytes) -> bool:
    return connection.execute("SELECT 1 FROM webhook_message WHERE id = ?", (id_,)).fetchone() is not None
