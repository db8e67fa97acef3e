"""The demo's fleet: realistic lives of vehicles that never existed, the same for the same seed on every machine.

It stands among the formats because it does what they do: it gives entries, complete and checked, to whoever appends
them, and knows no file, clock, chance, key or chain. Number 0 is the hero of the demo; other vehicles carry the name of
their story, if their life has a special event, so that the demo can point at them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from carnet.formats.fleet.cast import MAX_VEHICLES, ORGANISATIONS, Organisation
from carnet.formats.fleet.hero import STORY as HERO
from carnet.formats.fleet.hero import live_hero
from carnet.formats.fleet.life import FleetEntry, FleetVehicle
from carnet.formats.fleet.stories import STORIES, live
from carnet.types import Millis

__all__ = ["HERO", "ORGANISATIONS", "STORIES", "FleetEntry", "FleetVehicle", "Organisation", "make_fleet"]

DEFAULT_VEHICLES = 240
STORY_EVERY = 9
"""Beyond the first of each story, one vehicle in nine has one."""

_EPOCH = date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000


def make_fleet(seed: int, vehicles: int = DEFAULT_VEHICLES, *, now_ms: Millis) -> Iterator[FleetVehicle]:
    """The fleet, one vehicle after the other; nothing happens after yesterday, whatever the zone.

    Raises ValueError for a number of vehicles that plates cannot name (our caller's bug, never input).
    """
    if not 0 <= vehicles <= MAX_VEHICLES:
        raise ValueError(f"a fleet has 0 to {MAX_VEHICLES} vehicles")
    today = _EPOCH + now_ms // _DAY_MS - 1
    for number in range(vehicles):
        life = live_hero(seed, today) if number == 0 else live(seed, number, today, find_story(number))
        yield life.finish()


def find_story(number: int) -> str | None:
    """The story of the vehicle of this number: each once at the beginning, so that a small fleet has them all."""
    names = tuple(STORIES)
    if number == 0:
        return HERO
    if number <= len(names):
        return names[number - 1]
    return names[number // STORY_EVERY % len(names)] if number % STORY_EVERY == 0 else None
