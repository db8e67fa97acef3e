"""A vehicle as a member sees it that has written in its passport: its own entries, what came of them, and objections to
them. Nothing of anybody else is opened.

It refuses to know whether the caller may see it: a `View` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from carnet.node.reader import Reader, ShownEntry
from carnet.services.access import View, refuse_unknown
from carnet.services.entries import Entry, read_entry, sort_by_time
from carnet.services.showing import Standing
from carnet.types import Mark


@dataclass(frozen=True, slots=True)
class OwnEntryOpened:
    """One's own entry, and the objections to it; `answered` are the places of those that its author has contested."""

    entry: Entry
    objections: tuple[Entry, ...]
    answered: frozenset[int]

    @property
    def waits(self) -> bool:
        """Whether it stands, is contested, and an objection has no answer."""
        return self.entry.is_standing and any(one.seq not in self.answered for one in self.objections)


@dataclass(frozen=True, slots=True)
class OwnVehicle:
    """A passport (32 digits) with a member's own entries in it, the newest first."""

    passport: str
    subject: dict[str, Any]
    entries: tuple[OwnEntryOpened, ...]
    is_closed: bool

    def find(self, seq: int) -> OwnEntryOpened | None:
        """One's own entry at a place."""
        return next((one for one in self.entries if one.entry.seq == seq), None)

    @property
    def make_and_model(self) -> str | None:
        """As an own identity entry writes them."""
        for one in self.entries:
            if one.entry.kind == "vehicle.identity/1" and one.entry.is_standing:
                parts = [one.entry.find_text(name) for name in ("make", "model")]
                return " ".join(part for part in parts if part) or None
        return None


def open_own(reader: Reader, view: View) -> OwnVehicle:
    """The vehicle of a member's view. Raises Refused(UNKNOWN_PASSPORT) for a view that is no member's."""
    if view.author is None:
        raise refuse_unknown(view.passport)
    links = view.read_entries(reader)
    standing = Standing(reader, view.passport, links)
    objections = [read_entry(standing.describe(link)) for link in view.read_objections(reader, links)]
    answered = _find_answered(view, links)
    own = [read_entry(standing.describe(link)) for link in links if view.is_open(link.member, link.basis)]
    opened = [
        OwnEntryOpened(entry, tuple(one for one in objections if one.target == entry.seq), answered)
        for entry in sort_by_time(own, is_newest_first=True)
    ]
    is_closed = any(link.kind == "passport.closed/1" for link in links if view.is_open(link.member, link.basis))
    return OwnVehicle(view.passport.hex(), reader.get_subject(view.passport), tuple(opened), is_closed)


def _find_answered(view: View, links: Sequence[ShownEntry]) -> frozenset[int]:
    """The places of entries that an entry of the view contests."""
    own = {link.target for link in links if link.mark == Mark.CONTESTS and view.is_open(link.member, link.basis)}
    return frozenset(link.seq for link in links if link.sid in own)
