"""What was sealed from a place of the log on, for those who follow it: every entry of a history, and what it marks.

There is no index of entries by their place in the log, which would cost each of them a second page. A chain that grew
since the latest census is noted anyway (`heads`); one that grew before it has its newest seal in its row. So a look
costs a step for each chain that changed since the census, and once, after a census, for each chain. It refuses to open
anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from carnet.node.lookup import Kinds, ask_many
from carnet.types import Mark
from carnet.vault.ledger import find_latest
from carnet.vault.store import Blob, Connection

_LAST_SEAL: Final = "(SELECT seal FROM entry WHERE entry.chain = {chain} ORDER BY seq DESC LIMIT 1)"
_CHANGED: Final = f"SELECT chain FROM census_changed WHERE {_LAST_SEAL.format(chain='census_changed.chain')} >= ?"  # noqa: S608
_SETTLED: Final = "SELECT id FROM chain WHERE head_seal >= ?"
_ENTRIES: Final = (
    "SELECT chain16, entry.chain, entry.kind, basis, mark, target, sid, entry.seal, member, root, count"
    " FROM entry JOIN chain ON chain.id = entry.chain JOIN submission ON submission.id = entry.submission"
    " JOIN author_key ON author_key.id = submission.author_key"
    " WHERE entry.seal >= {since} AND chain.type = 1 AND entry.chain IN (?) ORDER BY entry.chain, entry.seq"
)
_TARGET: Final = (
    "SELECT entry.kind, basis, member FROM entry JOIN submission ON submission.id = entry.submission"
    " JOIN author_key ON author_key.id = submission.author_key WHERE entry.chain = ? AND sid = ?"
)
_SUBMISSIONS: Final = (
    "SELECT 1 FROM submission JOIN author_key ON author_key.id = submission.author_key"
    " WHERE submission.id > ? AND member = ? LIMIT 1"
)


class Marked(NamedTuple):
    """The entry that another one supersedes or contests: its statement, kind, basis and author (16-byte member id)."""

    sid: bytes
    kind: str
    basis: int
    member: bytes


class SealedEntry(NamedTuple):
    """One entry: its passport, statement (32 bytes), kind, author (16-byte member id) and basis; the log index of its
    seal; the root of the submission that it came in, and how many statements that had; what it marks, if anything."""

    passport: bytes
    sid: bytes
    kind: str
    member: bytes
    basis: int
    seal: int
    submission: bytes
    submission_count: int
    mark: int
    marked: Marked | None


def read_sealed_since(connection: Connection, kinds: Kinds, since: int) -> Iterator[SealedEntry]:
    """The entries of histories that were sealed at log index `since` or later, chain by chain and in order within each.
    Within a moment that the connection has begun to read."""
    chains = {int(row[0]) for row in connection.execute(_CHANGED, (since,)).fetchall()}
    census = find_latest(connection, "census")
    if census is not None and census >= since:
        chains |= {int(row[0]) for row in connection.execute(_SETTLED, (since,)).fetchall()}
    rows = ask_many(connection, _ENTRIES.format(since=int(since)), sorted(chains))
    for chain16, chain, kind, basis, mark, target, sid, seal, member, root, count in rows:
        marked = None
        if mark in (Mark.SUPERSEDES, Mark.CONTESTS) and target is not None:
            marked = _find_marked(connection, kinds, chain, bytes(target))
        yield SealedEntry(
            bytes(chain16),
            bytes(sid),
            kinds.names_of[kind][0],
            bytes(member),
            basis,
            seal,
            bytes(root),
            count,
            mark,
            marked,
        )


def find_last_submission(connection: Connection) -> int:
    """The number of the newest submission; 0 where there is none."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM submission").fetchone()[0])


def has_submitted_since(connection: Connection, after: int, members: Sequence[bytes]) -> bool:
    """Whether one of these members has a submission with a higher number than `after`."""
    return any(connection.execute(_SUBMISSIONS, (after, Blob(member))).fetchone() is not None for member in members)


def _find_marked(connection: Connection, kinds: Kinds, chain: int, sid: bytes) -> Marked | None:
    row: Any = connection.execute(_TARGET, (chain, Blob(sid))).fetchone()
    return None if row is None else Marked(sid, kinds.names_of[row[0]][0], row[1], bytes(row[2]))
