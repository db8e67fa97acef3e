"""What one member has sealed: its entries in the order of their sealing, found without opening any.

It follows a member's submissions (`submission_by_author`) to where their entries stand (`vault.places`), and reads
nothing but these and the few rows that are shown. What was said on a holder's word is not the member's own: another key
signs it. It refuses to know who may see what is in an entry.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import merge
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.node.lookup import open_content
from carnet.node.reader import Reader
from carnet.types import KeyRole, MemberId
from carnet.vault.names import where_named
from carnet.vault.places import decode_kinds, decode_places
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


class _Submission(NamedTuple):
    id: int
    seal: int
    kinds: bytes


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
    wanted = _find_kinds(reader, kinds) if kinds else None
    first = find_first_submission(reader.connection, since)
    lists = [_list_submissions(reader, key, first, before) for key in find_keys(reader, member)]
    for own in merge(*lists, reverse=True):
        if wanted is None or not wanted.isdisjoint(decode_kinds(own.kinds)):
            yield from _list_entries(reader, own, since, before, wanted)


def count_lines(reader: Reader, member: MemberId, starts: Sequence[int]) -> list[dict[str, int]]:
    """How many entries of each kind a member sealed in each period: `starts` are the log indexes at which the periods
    begin, ascending; the last one goes on to the present. Those of a passport that was erased since are not counted."""
    first, names = find_first_submission(reader.connection, starts[0]), reader.stored_kinds.names_of
    found = [dict[str, int]() for _ in starts]
    for key in find_keys(reader, member):
        for own in _list_submissions(reader, key, first, None):
            period = bisect_right(starts, own.seal) - 1
            if period < 0:
                continue
            for number, count in decode_kinds(own.kinds).items():
                kind = names[number][0]
                found[period][kind] = found[period].get(kind, 0) + count
    return found


def list_newer(reader: Reader, kinds: Collection[str], after: int) -> tuple[list[Line], int]:
    """The entries of some kinds in submissions later than this one, whosesoever; and the latest submission, from which
    to ask on. For what a process keeps at hand of a few kinds."""
    wanted, connection = _find_kinds(reader, kinds), reader.connection
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM submission").fetchone()
    found = list[Line]()
    if last <= after or not wanted:
        return found, last
    query = "SELECT id, seal, kinds FROM submission WHERE id > ? AND places IS NOT NULL ORDER BY id"
    for row in connection.stream(query, (after,)):
        if not wanted.isdisjoint(decode_kinds(row[2])):
            lines = _list_entries(reader, _Submission(*row), 0, None, wanted)
            found += sorted(lines, key=lambda line: line.place)
    return found, last


def name_lines(reader: Reader, lines: Sequence[Line]) -> Mapping[Place, Named]:
    """The ids by which these entries are called outside. One whose passport was erased a moment ago is left out."""
    found = {}
    query = "SELECT chain16, sid FROM entry JOIN chain ON chain.id = entry.chain WHERE chain = ? AND seq = ?"
    for line in lines:
        row = reader.connection.execute(query, (line.place.chain, line.place.seq)).fetchone()
        if row is not None:
            found[line.place] = Named(bytes(row[0]), line.place.seq, bytes(row[1]))
    return found


def find_place(reader: Reader, member: MemberId, passport: bytes, seq: int) -> Place | None:
    """Where a member's own entry of a passport stands; None for one that is not there, or is another's: whoever tries
    numbers must not learn how many entries a passport has."""
    query = (
        "SELECT submission, chain, seq, author_key FROM entry JOIN chain ON chain.id = entry.chain"  # noqa: S608
        " JOIN submission ON submission.id = entry.submission"
        f" WHERE {where_named(reader.connection, 'chain16')} AND seq = :seq"
    )
    row = reader.connection.execute(query, {"name": passport, "seq": seq}).fetchone()
    return None if row is None or row[3] not in find_keys(reader, member) else Place(*row[:3])


def find_target(reader: Reader, line: Line) -> tuple[bytes, int, MemberId] | None:
    """The entry that this one's mark is about, where a member said it on its own word: passport, seq, author."""
    query = (
        "SELECT chain16, aimed.seq, author_key.member FROM entry JOIN chain ON chain.id = entry.chain"
        " JOIN entry AS aimed ON aimed.chain = entry.chain AND aimed.sid = entry.target"
        " JOIN submission ON submission.id = aimed.submission JOIN author_key ON author_key.id = submission.author_key"
        " WHERE entry.chain = ? AND entry.seq = ? AND aimed.basis <> 4 AND chain.type = 1"
    )
    row = reader.connection.execute(query, (line.place.chain, line.place.seq)).fetchone()
    return None if row is None else (bytes(row[0]), row[1], bytes(row[2]))


def open_fields(reader: Reader, passport: bytes, seq: int) -> dict[str, object] | None:
    """What one entry says, opened by itself; None where its contents are not here. Whoever asks has asked the reading
    door first."""
    ref = reader.get_chain(passport)
    query = "SELECT kind, sid, secret, content FROM entry WHERE chain = ? AND seq = ?"
    row = reader.connection.execute(query, (ref.id, seq)).fetchone()
    if row is None or row[2] is None or row[3] is None:
        return None
    kind, names = reader.stored_kinds.names_of[row[0]]
    return open_content(ref, kind, names, row[1], row[2], row[3]).fields


def find_first_submission(connection: Connection, since: int) -> int:
    """The first submission with an entry that was sealed at this log index or later: both only ever grow."""
    if since <= 0:
        return 0
    (high,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM submission").fetchone()
    query = "SELECT id, seal FROM submission WHERE id >= ? AND seal IS NOT NULL ORDER BY id LIMIT 1"
    low = 0
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(query, (middle,)).fetchone()
        if row is None or row[1] >= since:
            high = middle
        else:
            low = max(middle, row[0]) + 1
    return int(low)


def _find_kinds(reader: Reader, kinds: Collection[str]) -> frozenset[int]:
    return frozenset(number for kind, number in reader.stored_kinds.id_of.items() if kind in kinds)


def find_keys(reader: Reader, member: MemberId) -> list[int]:
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


def _list_submissions(reader: Reader, key: int, first: int, before: Place | None) -> Iterator[_Submission]:
    """What was signed with a key, the newest first, page by page: between two pages nothing is held open."""
    query = (
        "SELECT id, seal, kinds FROM submission WHERE author_key = ? AND id BETWEEN ? AND ? AND places IS NOT NULL"
        " ORDER BY id DESC LIMIT ?"
    )
    last = 2**62 if before is None else before.submission
    while True:
        rows = reader.connection.execute(query, (key, first, last, PAGE)).fetchall()
        yield from itertools.starmap(_Submission, rows)
        if len(rows) < PAGE:
            return
        last = rows[-1][0] - 1


def _list_entries(
    reader: Reader, own: _Submission, since: int, before: Place | None, wanted: Collection[int] | None
) -> Iterator[Line]:
    """The entries of a submission, the last chain and seq first."""
    row = reader.connection.execute("SELECT places FROM submission WHERE id = ?", (own.id,)).fetchone()
    names = reader.stored_kinds.names_of
    query = "SELECT seq, kind, seal FROM entry WHERE chain = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC"
    for run in reversed(() if row is None or row[0] is None else decode_places(row[0])):
        if before is not None and Place(own.id, run.chain, run.first) >= before:
            continue
        found = reader.connection.execute(query, (run.chain, run.first, run.first + run.length - 1)).fetchall()
        for seq, kind, seal in found:
            place = Place(own.id, run.chain, seq)
            if seal >= since and (before is None or place < before) and (wanted is None or kind in wanted):
                yield Line(place, names[kind][0], seal)
