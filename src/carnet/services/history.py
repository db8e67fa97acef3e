"""A passport's history by pages: the newest first, by year, and only the groups of kinds that a reader chose.

It refuses to know who reads.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from carnet.services.entries import Entry, sort_by_time

PAGE_SIZE: Final = 40

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "odometer": ("vehicle.odometer/", "vehicle.odometer_replacement/", "vehicle.odometer_judgement/"),
    "inspections": ("vehicle.inspection/", "vehicle.emissions/"),
    "upkeep": (
        "vehicle.service/",
        "vehicle.checkup/",
        "vehicle.reminder/",
        "vehicle.part/",
        "vehicle.battery/",
        "vehicle.recall/",
    ),
    "repairs": ("vehicle.repair/", "vehicle.assistance/", "vehicle.fault/"),
    "damage": ("vehicle.accident/", "vehicle.damage/", "vehicle.insurance_claims/"),
    "title": (
        "vehicle.title/",
        "vehicle.identity/",
        "vehicle.manufacture/",
        "vehicle.end_of_life/",
        "vehicle.procedure/",
    ),
    "contracts": ("vehicle.contract/",),
    "declared": ("vehicle.declared/",),
    "passport": ("passport.",),
}
"""What a reader can choose, each by the beginnings of its kinds' names. A kind of none is shown only with
everything."""


@dataclass(frozen=True, slots=True)
class Page:
    """Entries by year ("" for undated), the newest first; `older` is where the next page begins, None on the last."""

    years: tuple[tuple[str, tuple[Entry, ...]], ...]
    total: int
    older: int | None
    older_count: int


def make_page(entries: Sequence[Entry], groups: Collection[str] = (), after: int = 0) -> Page:
    """The page of the chosen groups (none: everything) that begins after so many entries."""
    beginnings = tuple(name for group in groups for name in GROUPS.get(group, ()))
    chosen = [entry for entry in entries if not groups or entry.kind.startswith(beginnings)]
    ordered = sort_by_time(chosen, is_newest_first=True)
    shown = ordered[after : after + PAGE_SIZE]
    years = tuple((year, tuple(some)) for year, some in groupby(shown, key=lambda entry: (entry.at or "")[:4]))
    left = max(0, len(ordered) - after - len(shown))
    return Page(years, len(ordered), after + len(shown) if left else None, left)


def list_recent(entries: Sequence[Entry], count: int = 4) -> list[Entry]:
    """The newest entries that tell of the vehicle, not of the passport itself."""
    told = [entry for entry in entries if entry.kind.startswith("vehicle.") or entry.mark == 2]
    return sort_by_time(told, is_newest_first=True)[:count]
