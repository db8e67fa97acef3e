"""Recalls of a vehicle, campaign by campaign: which are open still.

The manufacturer says that a campaign concerns the vehicle, and whoever mended it says so in an entry of its own. It
refuses to judge whether the work was done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from carnet.services.entries import Entry, sort_by_time

KIND: Final = "vehicle.recall/1"
_OPEN: Final = frozenset({"open", "no_remedy_yet"})


def list_recalls(entries: Sequence[Entry]) -> list[Entry]:
    """The newest standing entry of each campaign, whoever wrote it: what it says is where the recall stands."""
    newest: dict[str, Entry] = {}
    for entry in sort_by_time([entry for entry in entries if entry.kind == KIND and entry.counts]):
        # An erased entry says no more which campaign it was about.
        campaign = entry.find_text("campaign")
        if campaign is not None:
            newest["".join(campaign.split()).casefold()] = entry
    return list(newest.values())


def list_open_recalls(entries: Sequence[Entry]) -> list[Entry]:
    """Of those, the ones that are open."""
    return [entry for entry in list_recalls(entries) if entry.find("state") in _OPEN]
