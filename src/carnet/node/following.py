"""What was sealed after a submission, for those who follow: submissions of some authors with their first entries, and
entries that mark another one.

A submission says where its entries stand (`vault.places`), so what is new costs what is new. It refuses to open
anything, and to know who may be told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

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
    "SELECT chain16, sid, entry.kind, basis, mark, target FROM entry JOIN chain ON chain.id = entry.chain"
    " WHERE entry.chain = ? AND entry.seq BETWEEN ? AND ? AND chain.type = ? ORDER BY entry.seq"
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


def find_last_submission(connection: Connection) -> int:
    """The number of the newest submission; 0 where there is none."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM submission").fetchone()[0])


def list_submissions(
    reader: Reader, after: int, until: int, members: Collection[MemberId], first: int
) -> Iterator[SealedSubmission]:
    """The submissions of these members with numbers above `after`, up to `until`, each with its `first` entries. What
    was said on a holder's word is the holder's, and no member's."""
    names = reader.stored_kinds.names_of
    for new in _list_new(reader, after, until):
        if new.member not in members:
            continue
        counts = {names[kind][0]: count for kind, count in decode_kinds(new.kinds).items()}
        total = sum(count for kind, count in counts.items() if not kind.startswith(JOURNALS))
        called, is_own = list[Called](), True
        for run in decode_places(new.places):
            if len(called) >= first or not is_own:
                break
            last = run.first + min(run.length, first - len(called)) - 1
            for chain16, sid, kind, basis, _, _ in _read_run(reader, run.chain, run.first, last):
                is_own = is_own and basis != Basis.HOLDER
                called.append(Called(bytes(chain16), bytes(sid), names[kind][0]))
        if called and is_own:
            yield SealedSubmission(new.root, new.member, new.seal, total, tuple(called))


def list_marking(reader: Reader, after: int, until: int) -> Iterator[Marking]:
    """The entries of all submissions above `after`, up to `until`, that supersede or contest another one: of those that
    are there to mark, or have few entries."""
    names = reader.stored_kinds.names_of
    for new in _list_new(reader, after, until):
        counts = decode_kinds(new.kinds)
        if sum(counts.values()) > FEW and not any(names[kind][0] in MARKING_KINDS for kind in counts):
            continue
        for run in decode_places(new.places):
            for chain16, sid, _, basis, mark, target in _read_run(
                reader, run.chain, run.first, run.first + run.length - 1
            ):
                if mark not in (Mark.SUPERSEDES, Mark.CONTESTS) or target is None:
                    continue
                found: Any = reader.connection.execute(_TARGET, (run.chain, bytes(target))).fetchone()
                if found is not None:
                    called = Called(bytes(chain16), bytes(target), names[found[0]][0])
                    told = (bytes(sid), new.member, basis, mark, new.seal)
                    yield Marking(*told, called, bytes(found[2]), found[1])


def _list_new(reader: Reader, after: int, until: int) -> Iterator[_New]:
    for number, root, member, seal, places, kinds in reader.connection.execute(_SUBMISSIONS, (after, until)).fetchall():
        yield _New(number, bytes(root), bytes(member), seal, places, kinds)


def _read_run(reader: Reader, chain: int, first: int, last: int) -> list[Any]:
    found: list[Any] = reader.connection.execute(_ENTRIES, (chain, first, last, HISTORY)).fetchall()
    return found
