"""What was sealed after a submission, for those who follow: submissions of some authors with their first entries, and
entries that mark another one.

It walks the indexes of `authored` from a place on, and so costs what is new. It refuses to open anything, and to know
who may be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from carnet.node.reader import Reader
from carnet.types import Basis, MemberId
from carnet.vault.store import Connection

_SUBMISSIONS: Final = (
    "SELECT submission.id, root, member FROM submission JOIN author_key ON author_key.id = submission.author_key"
    " WHERE submission.id > ? AND submission.id <= ? AND member IN ({members}) ORDER BY submission.id"
)
_KINDS: Final = "SELECT kind, count(*) FROM entry WHERE submission = ? GROUP BY kind"
_ENTRIES: Final = (
    "SELECT chain16, sid, entry.kind, basis, entry.seal FROM entry JOIN chain ON chain.id = entry.chain"
    " WHERE submission = ? AND chain.type = 1 ORDER BY entry.chain, entry.seq LIMIT ?"
)
_MARKING: Final = (
    "SELECT entry.chain, chain16, sid, entry.kind, basis, mark, target, entry.seal, member FROM entry"
    " JOIN chain ON chain.id = entry.chain JOIN submission ON submission.id = entry.submission"
    " JOIN author_key ON author_key.id = submission.author_key"
    " WHERE entry.submission > ? AND entry.submission <= ? AND mark IN (1, 2) AND chain.type = 1"
    " ORDER BY entry.submission, entry.chain, entry.seq"
)
_TARGET: Final = (
    "SELECT entry.kind, basis, member FROM entry JOIN submission ON submission.id = entry.submission"
    " JOIN author_key ON author_key.id = submission.author_key WHERE entry.chain = ? AND sid = ?"
)
JOURNALS: Final = "journal."


class Called(NamedTuple):
    """An entry as it is called outside: its passport (16 bytes), its statement (32 bytes), its kind."""

    passport: bytes
    sid: bytes
    kind: str


class SealedSubmission(NamedTuple):
    """What an author signed at once and stands in passports now: its root (32 bytes), the log index of its first seal,
    how many entries, and the first of them."""

    root: bytes
    member: MemberId
    seal: int
    entry_count: int
    first: tuple[Called, ...]


class Marking(NamedTuple):
    """An entry that marks another one: its own statement, kind, author and basis, the mark and the log index of its
    seal; and what is marked, with its author and basis."""

    sid: bytes
    kind: str
    member: MemberId
    basis: int
    mark: int
    seal: int
    target: Called
    target_member: MemberId
    target_basis: int


def find_last_submission(connection: Connection) -> int:
    """The number of the newest submission; 0 where there is none."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM submission").fetchone()[0])


def list_submissions(
    reader: Reader, after: int, until: int, members: Collection[MemberId], first: int
) -> Iterator[SealedSubmission]:
    """The submissions of these members with numbers above `after`, up to `until`, each with its `first` entries. What
    was said on a holder's word is the holder's, and no member's."""
    if not members:
        return
    connection, names = reader.connection, reader.stored_kinds.names_of
    query = _SUBMISSIONS.format(members=", ".join("?" * len(members)))
    for number, root, member in connection.execute(query, (after, until, *sorted(members))).fetchall():
        rows = connection.execute(_ENTRIES, (number, first)).fetchall()
        if not rows or rows[0][3] == Basis.HOLDER:
            continue
        counts = connection.execute(_KINDS, (number,)).fetchall()
        count = sum(many for kind, many in counts if not names[kind][0].startswith(JOURNALS))
        called = tuple(Called(bytes(chain16), bytes(sid), names[kind][0]) for chain16, sid, kind, _, _ in rows)
        yield SealedSubmission(bytes(root), bytes(member), min(row[4] for row in rows), count, called)


def list_marking(reader: Reader, after: int, until: int) -> Iterator[Marking]:
    """The entries of all submissions above `after`, up to `until`, that supersede or contest another one."""
    connection, names = reader.connection, reader.stored_kinds.names_of
    for row in connection.execute(_MARKING, (after, until)).fetchall():
        chain, chain16, sid, kind, basis, mark, target, seal, member = row
        found: Any = None if target is None else connection.execute(_TARGET, (chain, bytes(target))).fetchone()
        if found is not None:
            called = Called(bytes(chain16), bytes(target), names[found[0]][0])
            told = (bytes(sid), names[kind][0], bytes(member), basis, mark, seal)
            yield Marking(*told, called, bytes(found[2]), found[1])
