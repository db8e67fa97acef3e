"""A member's own entries of a period with all that they say, to take away: as a table for a spreadsheet, or as JSON.

Everything goes through the reading door, passport by passport; each look into a passport that somebody holds is to be
noted by whoever hands it out. It refuses to take out more at once than a person looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.authored import name_lines
from carnet.node.reader import Reader
from carnet.services.access import Holdings, View, get_view
from carnet.services.console.book import iterate_own
from carnet.services.principals import Principal
from carnet.services.spreadsheets import write_csv
from carnet.services.timelines import EntryShown, Opened
from carnet.types import Millis

MAX_ENTRIES: Final = 5_000
COLUMNS: Final = (
    "sealed_at", "occurred", "kind", "vehicle_scheme", "vehicle", "odometer", "unit", "state", "mark", "entry",
    "passport", "seq", "fields",
)  # fmt: skip


def take_out(
    reader: Reader,
    holdings: Holdings,
    principal: Principal,
    note: Callable[[View, list[str]], None],
    *,
    since: Millis | None,
    until: Millis | None,
) -> list[EntryShown]:
    """The caller's own entries that were sealed in a period, by passport, each passport's in its order.

    `note` is called for each passport, with the kinds that are handed out of it, before any of it is. Raises
    Refused(UNKNOWN_MEMBER), and REQUEST_TOO_LARGE for more than `MAX_ENTRIES`.
    """
    lines = list(islice(iterate_own(reader, principal, since=since, until=until), MAX_ENTRIES + 1))
    if len(lines) > MAX_ENTRIES:
        raise Refused(
            Reason.REQUEST_TOO_LARGE,
            f"more than {MAX_ENTRIES:,} entries were sealed in this period: take out a shorter one, or ask the API",
            most=MAX_ENTRIES,
        )
    wanted: dict[bytes, set[int]] = {}
    for named in name_lines(reader, lines).values():
        wanted.setdefault(named.passport, set()).add(named.seq)
    found: list[EntryShown] = []
    for passport, seqs in wanted.items():
        try:
            opened = Opened(reader, get_view(reader, holdings, principal, passport))
        except Refused as refused:
            if refused.reason not in (Reason.UNKNOWN_PASSPORT, Reason.ERASED):
                raise
            # Erased a moment ago.
            continue
        links = [link for link in opened.entries if link.seq in seqs]
        note(opened.view, [link.kind for link in links])
        found += [opened.describe(link) for link in links]
    return found


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
