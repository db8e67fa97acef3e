"""A new odometer reading beside those that the same member gave before for the same vehicle: lower, higher or earlier.

It is a doubt for whoever writes, never a refusal: an odometer is replaced, and an old invoice is written down late.
Other members' entries are not looked at, so that no doubt tells of them. It refuses to know who is told, and how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from carnet.node.own_readings import OwnReading

Contradiction: TypeAlias = Literal["lower", "higher", "earlier"]


class Doubt(NamedTuple):
    """How a reading goes against one that was given before. `lower`: than one of an earlier day or the same. `higher`:
    than one of a later day. `earlier`: nothing but its day, before which another reading stands already."""

    code: Contradiction
    before: OwnReading


def find_reading(fields: Mapping[str, Any]) -> tuple[int, str] | None:
    """The reading that a new entry gives, with its unit; None where it gives none, or begins a new odometer."""
    for unit in ("km", "mi"):
        value = fields.get(f"odometer_{unit}")
        if isinstance(value, int) and not isinstance(value, bool):
            return value, unit
    return None


def find_doubt(before: Sequence[OwnReading], day: str, value: int, unit: str) -> Doubt | None:
    """What speaks against a reading of a day (`YYYY-MM-DD`), the gravest alone; None where nothing does.

    Readings in the other unit, and those of another odometer than the one that was in the vehicle then, say nothing.
    """
    changes = [one.day for one in before if one.begins_odometer]
    first = max((each for each in changes if each <= day), default="")
    last = min((each for each in changes if each > day), default="9")
    own = [one for one in before if one.unit == unit and first <= one.day < last]
    above = [one for one in own if one.day <= day and one.value > value]
    if above:
        return Doubt("lower", max(above, key=lambda one: one.value))
    below = [one for one in own if one.day > day and one.value < value]
    if below:
        return Doubt("higher", min(below, key=lambda one: one.value))
    later = [one for one in own if one.day > day]
    return Doubt("earlier", max(later, key=lambda one: one.day)) if later else None
