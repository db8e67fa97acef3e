"""What one member has sealed: its entries in the order of their sealing, found without opening any.

It follows a member's submissions (`submission_by_author`) to their entries (`entry_by_submission`), and reads nothing
but these indexes and the few rows that are shown. What was said on a holder's word is not the member's own: another key
signs it. It refuses to know who may see what is in an entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.types import KeyRole, MemberId
from carnet.vault.store import Connection

PAGE: Final = 200


class Place(NamedTuple):
    """Where an entry stands in the store: later ones are greater."""

    submission: int
    chain: int
    seq: int


class Line(NamedTuple):
    """One entry, unopened: its place, its kind, the log index of its seal."""

    place: Place
    kind: str
    seal: int


class Named(NamedTuple):
    """An entry as it is called outside: passport 16 bytes, seq, statement id 32 bytes."""

    passport: bytes
    seq: int
    sid: bytes


def list_lines(
    reader: Reader,
    member: MemberId,
    *,
    since: int = 0,
    before: Place | None = None,
    kinds: Collection[str] = (),
) -> Iterator[Line]:
    """A member's own entries, the newest first, read as they are asked for: those sealed at log index `since` or later,
    below the place `before`, of these kinds (none: all)."""
    first = find_first_submission(reader.connection, since)
    lists = [_list_of_key(reader, key, first, before) for key in _find_keys(reader, member)]
    for line in merge(*lists, key=lambda one: one.place, reverse=True):
        if line.seal >= since and (not kinds or line.kind in kinds):
            yield line


def count_lines(reader: Reader, member: MemberId, starts: Sequence[int]) -> list[dict[str, int]]:
    """How many entries of each kind a member sealed in each period: `starts` are the log indexes at which the periods
    begin, ascending; the last one goes on to the present."""
    first, names = find_first_submission(reader.connection, starts[0]), reader.stored_kinds.names_of
    found = [dict[str, int]() for _ in starts]
    query = (
        "SELECT entry.kind, entry.seal, count(*) FROM submission CROSS JOIN entry WHERE submission.author_key = ?"
        " AND submission.id >= ? AND entry.submission = submission.id AND entry.seal >= ?"
        " GROUP BY entry.kind, entry.seal ORDER BY entry.seal"
    )
    for key in _find_keys(reader, member):
        period = 0
        for kind_id, seal, count in reader.connection.execute(query, (key, first, starts[0])):
            while period + 1 < len(starts) and seal >= starts[period + 1]:
                period += 1
            kind = names[kind_id][0]
            found[period][kind] = found[period].get(kind, 0) + count
    return found


def list_newer(reader: Reader, kinds: Collection[str], after: int) -> tuple[list[Line], int]:
    """The entries of some kinds in submissions later than this one, whosesoever; and the latest submission, from which
    to ask on. For what a process keeps at hand of a few kinds."""
    ids = [number for kind, number in reader.stored_kinds.id_of.items() if kind in kinds]
    (last,) = reader.connection.execute("SELECT coalesce(max(id), 0) FROM submission").fetchone()
    if last <= after or not ids:
        return [], last
    places = ", ".join("?" * len(ids))
    query = f"SELECT submission, chain, seq, kind, seal FROM entry WHERE submission > ? AND kind IN ({places})"  # noqa: S608 - our own words
    names = reader.stored_kinds.names_of
    rows = reader.connection.execute(query, (after, *ids)).fetchall()
    return [Line(Place(*row[:3]), names[row[3]][0], row[4]) for row in rows], last


def name_lines(reader: Reader, lines: Sequence[Line]) -> Mapping[Place, Named]:
    """The ids by which these entries are called outside. One whose passport was erased a moment ago is left out."""
    found = {}
    query = "SELECT chain16, sid FROM entry JOIN chain ON chain.id = entry.chain WHERE chain = ? AND seq = ?"
    for line in lines:
        row = reader.connection.execute(query, (line.place.chain, line.place.seq)).fetchone()
        if row is not None:
            found[line.place] = Named(bytes(row[0]), line.place.seq, bytes(row[1]))
    return found


def find_place(reader: Reader, passport: bytes, seq: int) -> Place | None:
    """Where an entry of a passport stands; None for one that is not there."""
    query = (
        "SELECT submission, chain, seq FROM entry JOIN chain ON chain.id = entry.chain WHERE chain16 = ? AND seq = ?"
    )
    row = reader.connection.execute(query, (passport, seq)).fetchone()
    return None if row is None else Place(*row)


def find_first_submission(connection: Connection, since: int) -> int:
    """The first submission with an entry that was sealed at this log index or later: both only ever grow."""
    if since <= 0:
        return 0
    (high,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM submission").fetchone()
    query = "SELECT submission, seal FROM entry WHERE submission >= ? ORDER BY submission LIMIT 1"
    low = 0
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(query, (middle,)).fetchone()
        if row is None or row[1] >= since:
            high = middle
        else:
            low = max(middle, row[0]) + 1
    return int(low)


def _find_keys(reader: Reader, member: MemberId) -> list[int]:
    """The numbers of the keys with which a member signs its own word."""
    if reader.state.members.find_index(member) is None:
        raise Refused(Reason.UNKNOWN_MEMBER, f"no member {member.hex()}", member=member.hex())
    query = "SELECT id, digest FROM author_key WHERE member = ?"
    known = reader.state.members.get(member)
    found = []
    for number, digest in reader.connection.execute(query, (member,)).fetchall():
        key = known.find_key(bytes(digest))
        if key is None or key.role != KeyRole.HOLDER_AUTHOR:
            found.append(number)
    return found


def _list_of_key(reader: Reader, key: int, first: int, before: Place | None) -> Iterator[Line]:
    """Page by page: between two pages nothing is held open."""
    names, at = reader.stored_kinds.names_of, before or Place(2**62, 0, 0)
    while True:
        rows = list(islice(_ask(reader.connection, key, first, at), PAGE))
        for row in rows:
            yield Line(Place(*row[:3]), names[row[3]][0], row[4])
        if len(rows) < PAGE:
            return
        at = Place(*rows[-1][:3])


def _ask(connection: Connection, key: int, first: int, at: Place) -> Iterator[tuple[int, int, int, int, int]]:
    begun = (
        "SELECT submission, chain, seq, kind, seal FROM entry WHERE submission = ? AND (chain, seq) < (?, ?)"
        " ORDER BY chain DESC, seq DESC LIMIT 200"
    )
    query = "SELECT 1 FROM submission WHERE id = ? AND author_key = ?"
    if connection.execute(query, (at.submission, key)).fetchone() is not None:
        yield from connection.execute(begun, at).fetchall()
    earlier = (
        "SELECT entry.submission, chain, seq, kind, seal FROM submission CROSS JOIN entry"
        " WHERE author_key = ? AND submission.id >= ? AND submission.id < ? AND entry.submission = submission.id"
        " ORDER BY submission.id DESC, chain DESC, seq DESC LIMIT 200"
    )
    yield from connection.execute(earlier, (key, first, at.submission)).fetchall()
