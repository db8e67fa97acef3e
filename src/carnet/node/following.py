"""What was sealed after a submission, for those who follow: submissions of some authors with their first entries, and
entries that mark another one.

A submission says where its entries stand (`vault.places`), so what is new costs what is new. It refuses to open
anything, and to know who may be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from carnet.node.lookup import ask_many
from carnet.node.reader import Reader
from carnet.types import Basis, Mark, MemberId
from carnet.vault.codes import HISTORY
from carnet.vault.places import decode_kinds, decode_places
from carnet.vault.store import Connection

MARKING_KINDS: Final = frozenset({"passport.contested/1", "passport.corrected/1", "passport.rectified/1"})
"""Kinds that are there to mark. Any other kind may supersede an entry too."""

FEW: Final = 100
"""A submission of so many entries at most is looked through for marks whatever its kinds are: corrections are written
one by one, and a file of thousands of readings marks nothing."""

JOURNALS: Final = "journal."

_SUBMISSIONS: Final = (
    "SELECT submission.id, root, member, seal, places, kinds FROM submission"
    " JOIN author_key ON author_key.id = submission.author_key"
    " WHERE submission.id > ? AND submission.id <= ? AND places IS NOT NULL ORDER BY submission.id"
)
_ENTRIES: Final = (
    "SELECT entry.submission, entry.chain, entry.seq, chain16, sid, entry.kind, basis, mark, target FROM entry"
    " JOIN chain ON chain.id = entry.chain"
    " WHERE entry.chain IN (?) AND entry.submission > {after} AND entry.submission <= {until} AND chain.type = {type}"
)
_TARGET: Final = (
    "SELECT entry.kind, basis, member FROM entry JOIN submission ON submission.id = entry.submission"
    " JOIN author_key ON author_key.id = submission.author_key WHERE entry.chain = ? AND sid = ?"
)


class Called(NamedTuple):
    """An entry as it is called outside: its passport (16 bytes), its statement (32 bytes), its kind."""

    passport: bytes
    sid: bytes
    kind: str


class SealedSubmission(NamedTuple):
    """What an author signed at once and stands in passports now: its root (32 bytes), the log index of its last seal,
    how many entries, and the first of them."""

    root: bytes
    member: MemberId
    seal: int
    entry_count: int
    first: tuple[Called, ...]


class Marking(NamedTuple):
    """An entry that marks another one: its own statement, author and basis, the mark and the log index of its seal;
    and what is marked, with its author and basis."""

    sid: bytes
    member: MemberId
    basis: int
    mark: int
    seal: int
    target: Called
    target_member: MemberId
    target_basis: int


class _New(NamedTuple):
    """A submission as it is stored."""

    id: int
    root: bytes
    member: MemberId
    seal: int
    places: bytes
    kinds: bytes


class _Row(NamedTuple):
    """An entry as it is stored; they are ordered by submission, chain and seq."""

    submission: int
    chain: int
    seq: int
    passport: bytes
    sid: bytes
    kind: int
    basis: int
    mark: int
    target: bytes | None


def find_last_submission(connection: Connection) -> int:
    """The number of the newest submission; 0 where there is none."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM submission").fetchone()[0])


def list_submissions(
    reader: Reader, after: int, until: int, members: Collection[MemberId], first: int
) -> Iterator[SealedSubmission]:
    """The submissions of these members with numbers above `after`, up to `until`, each with its `first` entries. What
    was said on a holder's word is the holder's, and no member's."""
    names = reader.stored_kinds.names_of
    wanted = [new for new in _list_new(reader, after, until) if new.member in members]
    chains = {chain for new in wanted for chain in _find_chains(new, first)}
    found: dict[int, list[_Row]] = {}
    for row in _read_entries(reader, chains, after, until):
        found.setdefault(row.submission, []).append(row)
    for new in wanted:
        rows = sorted(found.get(new.id, ()))[:first]
        if not rows or any(row.basis == Basis.HOLDER for row in rows):
            continue
        counts = {names[kind][0]: count for kind, count in decode_kinds(new.kinds).items()}
        total = sum(count for kind, count in counts.items() if not kind.startswith(JOURNALS))
        called = tuple(Called(row.passport, row.sid, names[row.kind][0]) for row in rows)
        yield SealedSubmission(new.root, new.member, new.seal, total, called)


def list_marking(reader: Reader, after: int, until: int) -> Iterator[Marking]:
    """The entries of all submissions above `after`, up to `until`, that supersede or contest another one: of those that
    are there to mark, or have few entries."""
    names, wanted = reader.stored_kinds.names_of, dict[int, _New]()
    for new in _list_new(reader, after, until):
        counts = decode_kinds(new.kinds)
        if sum(counts.values()) <= FEW or any(names[kind][0] in MARKING_KINDS for kind in counts):
            wanted[new.id] = new
    chains = {run.chain for new in wanted.values() for run in decode_places(new.places)}
    for row in sorted(_read_entries(reader, chains, after, until)):
        if row.mark not in (Mark.SUPERSEDES, Mark.CONTESTS) or row.target is None or row.submission not in wanted:
            continue
        found: Any = reader.connection.execute(_TARGET, (row.chain, row.target)).fetchone()
        if found is not None:
            new, called = wanted[row.submission], Called(row.passport, row.target, names[found[0]][0])
            told = (row.sid, new.member, row.basis, row.mark, new.seal)
            yield Marking(*told, called, bytes(found[2]), found[1])


def _find_chains(new: _New, first: int) -> Iterator[int]:
    """The chains in which its `first` entries stand."""
    left = first
    for run in decode_places(new.places):
        if left <= 0:
            return
        yield run.chain
        left -= run.length


def _list_new(reader: Reader, after: int, until: int) -> Iterator[_New]:
    for number, root, member, seal, places, kinds in reader.connection.execute(_SUBMISSIONS, (after, until)).fetchall():
        yield _New(number, bytes(root), bytes(member), seal, places, kinds)


def _read_entries(reader: Reader, chains: Collection[int], after: int, until: int) -> Iterator[_Row]:
    """The entries of histories in these chains that came in these submissions, a few hundred chains at a time."""
    query = _ENTRIES.format(after=int(after), until=int(until), type=HISTORY)
    for submission, chain, seq, chain16, sid, kind, basis, mark, target in ask_many(
        reader.connection, query, sorted(chains)
    ):
        passport, aim = bytes(chain16), None if target is None else bytes(target)
        yield _Row(submission, chain, seq, passport, bytes(sid), kind, basis, mark, aim)
