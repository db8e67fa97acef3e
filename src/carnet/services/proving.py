"""Proofs for whoever may see what they show: of a passport, or of one entry, against a census that knows it.

The holder's proof shows the whole passport; a member's shows its own entries (and, as every proof does, the opening,
and how many links there are). It refuses to show what the caller's view hides.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.node.writing import Writing
from carnet.proof.assemble import Selection, assemble_bundle
from carnet.services.access import View
from carnet.types import Millis

CENSUS_PAUSE_MS = 1_000
"""Who asks for proofs again and again makes the node take no more than one census in this time."""


@dataclass(frozen=True, slots=True)
class Proved:
    """A proof's bytes, what it is of, and when its census was taken (ms)."""

    data: bytes
    passport: bytes
    as_of: Millis
    shown_count: int


def prove(writer: Writing, reader: Reader, view: View, now: Millis, *, entry: bytes | None = None) -> Proved:
    """The proof of what the view shows, or of the one entry in it with this sid. A census is taken first where the
    latest does not know all of it.

    Raises Refused UNKNOWN_PASSPORT for an entry that is not in the view, ERASED for one whose contents are gone, and
    NOTHING_SEALED (try again in a second) where a census was taken a moment ago.
    """
    visible = [link for link in view.read_entries(reader) if view.is_open(link.member, link.basis)]
    if entry is not None:
        visible = [link for link in visible if link.sid == entry]
        if not visible:
            raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such entry here, or you may not see it")
        if visible[0].is_erased:
            raise Refused(Reason.ERASED, "the contents of this entry are not here any more", entry=f"ent_{entry.hex()}")
    _check_known(writer, reader, view, max(link.seq for link in visible), now)
    shown = {link.seq for link in visible if not link.is_erased}
    data = assemble_bundle(reader, view.passport, Selection(is_shown=lambda seq, kind: seq in shown), reader.shared)
    census_at = reader.get_record(reader.get_census_index())["at"]
    return Proved(data, view.passport, census_at if isinstance(census_at, int) else 0, len(shown))


def _check_known(writer: Writing, reader: Reader, view: View, seq: int, now: Millis) -> None:
    """Have a census that knows the chain up to this entry."""
    if _count_known(reader, view) > seq:
        return
    latest = writer.find_census()
    if latest is not None and 0 <= now - latest[1]["at"] < CENSUS_PAUSE_MS:
        # It may be newer than what this reader saw.
        reader.refresh()
        if _count_known(reader, view) > seq:
            return
        raise Refused(
            Reason.NOTHING_SEALED,
            "this is sealed, and no census knows it yet: ask again in a second",
            could_retry=True,
            passport=f"pas_{view.passport.hex()}",
        )
    writer.take_census()
    reader.refresh()


def _count_known(reader: Reader, view: View) -> int:
    try:
        return len(reader.get_links(view.passport))
    except Refused as refused:
        if refused.reason is not Reason.NOTHING_SEALED:
            raise
        return 0
