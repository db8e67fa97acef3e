"""What happened to a vehicle's title: who could say so, which measures are in force, and which ended.

A measure that no entry lifts is in force as far as this passport knows; a register may know more. It refuses to know
persons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from carnet.services.entries import Entry, sort_by_time

KIND: Final = "vehicle.title/1"

_ENDS: Final[dict[str, tuple[str, ...]]] = {
    "lien_registered": ("lien_lifted",),
    "opposition_registered": ("opposition_lifted",),
    "seizure_registered": ("seizure_lifted",),
    "immobilised": ("immobilisation_lifted", "returned_to_traffic"),
    "suspended": ("suspension_lifted", "returned_to_traffic"),
    "stolen": ("found",),
    "title_lost": ("duplicate_title",),
    "title_stolen": ("duplicate_title",),
    "title_cancelled": ("re_registered",),
    "withdrawn": ("returned_to_traffic",),
    "exported": ("imported", "re_registered"),
    "destruction_declared": (),
    "destroyed": (),
}
"""Operations that put a measure in force, and those that end it. Source: HistoVec's operation types, domain.md §2."""

_QUIET: Final = frozenset({"lien_registered", "destruction_declared", "destroyed", "exported"})
_HOLDERS: Final = frozenset({"first_registration", "change_of_holder", "sale_declared", "purchase_declared"})


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that limits a vehicle or its title: the entry that began it, and the one that ended it, if any."""

    type: str
    began: Entry
    ended: Entry | None = None

    @property
    def is_in_force(self) -> bool:
        """Whether no entry here ends it."""
        return self.ended is None

    @property
    def is_grave(self) -> bool:
        """Whether its holder should know at a glance: not a lien, nor the end of a vehicle that its passport says
        anyway."""
        return self.type not in _QUIET


def list_titles(entries: Sequence[Entry]) -> list[Entry]:
    """Operations on the title, newest first, withdrawn ones left out."""
    return sort_by_time([entry for entry in entries if entry.kind == KIND and entry.counts], is_newest_first=True)


def list_holder_changes(entries: Sequence[Entry]) -> list[Entry]:
    """Registrations, sales and changes of holder, newest first."""
    return [entry for entry in list_titles(entries) if entry.find("type") in _HOLDERS]


def list_measures(entries: Sequence[Entry]) -> list[Measure]:
    """Measures, those in force first, newest first in both halves."""
    found: list[Measure] = []
    for entry in reversed(list_titles(entries)):
        kind = str(entry.find("type"))
        for at, measure in enumerate(found):
            if measure.is_in_force and kind in _ENDS[measure.type]:
                found[at] = replace(measure, ended=entry)
        # Said again while it is in force, it is the same measure.
        if kind in _ENDS and not any(one.type == kind and one.is_in_force for one in found):
            found.append(Measure(kind, entry))
    found.reverse()
    return sorted(found, key=lambda measure: not measure.is_in_force)
