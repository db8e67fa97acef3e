"""A member's own entries of a period with all that they say, to take away: as a table for a spreadsheet, or as one
JSON object a line. As many as there are, part by part, so that memory stays flat and nothing is held open between them.

Everything goes through the reading door, passport by passport; each look into a passport that somebody holds is noted
before any of it is handed out. It refuses to know in which form, and to whom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Final

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.authored import Line, Place, name_lines
from carnet.node.reader import Reader
from carnet.services.access import Holdings, View, get_view
from carnet.services.console.book import iterate_own
from carnet.services.principals import Principal
from carnet.services.spreadsheets import write_csv
from carnet.services.timelines import EntryShown, Opened
from carnet.types import Millis

PART: Final = 200
"""Entries that are read at one moment of the store."""

COLUMNS: Final = (
    "sealed_at", "occurred", "kind", "vehicle_scheme", "vehicle", "odometer", "unit", "state", "mark", "entry",
    "passport", "seq", "fields",
)  # fmt: skip


def take_out(
    reading: Callable[[], AbstractContextManager[Reader]],
    holdings: Holdings,
    principal: Principal,
    note: Callable[[Reader, View, list[str]], None],
    *,
    since: Millis | None,
    until: Millis | None,
    part: int = PART,
) -> Iterator[EntryShown]:
    """The caller's own entries that were sealed in a period, the last sealed first; the first part is read at once.

    `reading` opens the store for one part, `note` is called for each passport of a part, with the kinds that are handed
    out of it, before any of it is. What is sealed meanwhile is left out, and what is erased meanwhile too. Raises
    Refused(UNKNOWN_MEMBER), and what `note` raises.
    """

    def read(before: Place | None) -> tuple[list[EntryShown], Place | None]:
        with reading() as reader:
            found = iterate_own(reader, principal, since=since, until=until, before=before)
            lines = list(islice(found, part))
            return _open(reader, holdings, principal, note, lines), lines[-1].place if len(lines) == part else None

    first, before = read(None)

    def go_on() -> Iterator[EntryShown]:
        place = before
        yield from first
        while place is not None:
            entries, place = read(place)
            yield from entries

    return go_on()


def _open(
    reader: Reader,
    holdings: Holdings,
    principal: Principal,
    note: Callable[[Reader, View, list[str]], None],
    lines: list[Line],
) -> list[EntryShown]:
    """The entries of a part, in the order of its lines."""
    named = name_lines(reader, lines)
    wanted: dict[bytes, set[int]] = {}
    for one in named.values():
        wanted.setdefault(one.passport, set()).add(one.seq)
    shown: dict[tuple[bytes, int], EntryShown] = {}
    for passport, seqs in wanted.items():
        try:
            opened = Opened(reader, get_view(reader, holdings, principal, passport))
        except Refused as refused:
            if refused.reason not in (Reason.UNKNOWN_PASSPORT, Reason.ERASED):
                raise
            # Erased a moment ago.
            continue
        links = [link for link in opened.entries if link.seq in seqs]
        note(reader, opened.view, [link.kind for link in links])
        shown |= {(passport, link.seq): opened.describe(link) for link in links}
    places = [(at.passport, at.seq) for line in lines if (at := named.get(line.place)) is not None]
    return [shown[place] for place in places if place in shown]


def write_lines(entries: Iterable[EntryShown]) -> Iterator[bytes]:
    """The same for a program: one JSON object a line, some hundred at a time."""
    source = iter(entries)
    while some := list(islice(source, PART)):
        yield b"".join(msgspec.json.encode(entry) + b"\n" for entry in some)


def write_table(entries: Iterable[EntryShown]) -> Iterator[bytes]:
    """The same for a spreadsheet: one row each, what a kind says of its own as JSON in the last column."""
    return write_csv(COLUMNS, (_make_row(entry) for entry in entries))


def _make_row(entry: EntryShown) -> list[object]:
    fields: Mapping[str, Any] = entry.fields or {}
    reading = next(
        ((fields[f"odometer_{unit}"], unit) for unit in ("km", "mi") if fields.get(f"odometer_{unit}")), None
    )
    own = {name: value for name, value in fields.items() if value is not None}
    return [
        entry.sealed_at,
        entry.occurred.at,
        entry.kind,
        entry.subject.get("scheme"),
        entry.subject.get("value"),
        None if reading is None else reading[0],
        None if reading is None else reading[1],
        entry.state,
        entry.mark,
        entry.id,
        entry.passport,
        entry.seq,
        msgspec.json.encode(own, order="sorted").decode(),
    ]
