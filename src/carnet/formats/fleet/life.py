"""One vehicle's life while it is being written: what happened when, who said it, and what the odometer really stood at.

The true distance never falls; what the odometer shows may differ from it (a rollback, a replacement). Events may be
added in any order; `finish` puts them in the order in which they were said and checks each against its schema. It
refuses to know what is likely to happen to a vehicle.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from carnet.formats.fleet.cast import Model, Organisation
from carnet.formats.fleet.draws import Draws
from carnet.passport.kinds import get_schema
from carnet.types import Basis, Mark, Subject

ZONE = "Europe/Paris"
MILLIMETRES_PER_MILE = 1_609_344


class FleetEntry(NamedTuple):
    """One entry: its author and basis, its mark, the index of the entry it targets (in the same vehicle), its fields.

    `fields` are complete and normal under the schema of `fields["kind"]`.
    """

    author: Organisation
    basis: Basis
    mark: Mark
    target: int | None
    fields: dict[str, Any]

    @property
    def kind(self) -> str:
        """The kind of entry, such as `vehicle.service/1`."""
        return str(self.fields["kind"])


class FleetVehicle(NamedTuple):
    """One vehicle: its VIN, its plate of today, the special event of its life if there is one, its entries in order.

    Entry 0 is `passport.opened/1`.
    """

    subject: Subject
    plate: Subject
    story: str | None
    entries: tuple[FleetEntry, ...]


@dataclass(eq=False)
class Event:
    """Something said on a day (its ordinal) at a minute, as it will become an entry."""

    day: int
    minute: int
    author: Organisation
    kind: str
    fields: dict[str, Any]
    mark: Mark
    target: Event | None


@dataclass
class Life:
    """The life of one vehicle, from the day of its first registration to today (ordinals of days)."""

    number: int
    draws: Draws
    model: Model
    vin: Subject
    plate: Subject
    born: int
    today: int
    metres_per_day: list[int]
    """True distance a day, in metres, one figure for each year of age."""
    story: str | None = None
    start_metres: int = 9_000
    shown_offset_km: list[tuple[int, int]] = field(default_factory=list)
    """From a day on, what the odometer shows is the true distance less so many kilometres."""
    miles_until: int | None = None
    """Until this day the odometer counts miles."""
    events: list[Event] = field(default_factory=list)

    def true_km(self, day: int, minute: int = 0) -> int:
        """The true distance at a moment, whole kilometres."""
        return self._metres(day, minute) // 1000

    def _metres(self, day: int, minute: int) -> int:
        years, days = divmod(max(0, day - self.born), 365)
        rates = self.metres_per_day
        metres = self.start_metres + 365 * sum(rates[:years])
        return metres + days * rates[years] + rates[years] * minute // 1440

    def shown_km(self, day: int, minute: int) -> int:
        """What the odometer shows in kilometres."""
        offset = 0
        for since, km in self.shown_offset_km:
            if day >= since:
                offset = km
        return max(0, self.true_km(day, minute) - offset)

    def shown_miles(self, day: int, minute: int) -> int:
        """The true distance in whole miles, as a British odometer shows it."""
        return self._metres(day, minute) * 1000 // MILLIMETRES_PER_MILE

    def reading(self, day: int, minute: int) -> dict[str, Any]:
        """The reading as a field, in the unit of the odometer on that day."""
        if self.miles_until is not None and day < self.miles_until:
            return {"odometer_mi": self.shown_miles(day, minute)}
        return {"odometer_km": self.shown_km(day, minute)}

    def day_of_km(self, km: int) -> int:
        """The first day on which the true distance has reached `km`; a day after today if it has not."""
        return bisect_left(range(self.today + 1), km, lo=self.born, key=self.true_km)

    def say(
        self,
        day: int,
        author: Organisation,
        kind: str,
        *,
        minute: int = 0,
        reads: bool = False,
        mark: Mark = Mark.NONE,
        target: Event | None = None,
        **fields: Any,
    ) -> Event:
        """Add what `author` said on that day; `minute` 0 leaves the precision at a day, `reads` adds the odometer."""
        day = max(self.born, min(day, self.today))
        if reads:
            fields = self.reading(day, minute) | fields
        event = Event(day, minute, author, kind, fields, mark, target)
        self.events.append(event)
        return event

    def finish(self) -> FleetVehicle:
        """The vehicle with its entries in the order in which they were said, each checked against its schema."""
        # Sorting is stable: what was added first stands first within the same minute.
        ordered = sorted(self.events, key=lambda event: (event.day, event.minute))
        places = {id(event): place for place, event in enumerate(ordered)}
        entries = []
        for event in ordered:
            fields = {
                "kind": event.kind,
                "occurred": compute_occurred(event.day, event.minute),
                "subject": self.vin.to_json(),
            } | event.fields
            target = None if event.target is None else places[id(event.target)]
            complete = get_schema(event.kind).validate(fields)
            entries.append(FleetEntry(event.author, event.author.basis, event.mark, target, complete))
        return FleetVehicle(self.vin, self.plate, self.story, tuple(entries))


def iso(day: int) -> str:
    """A day as it is written."""
    return date.fromordinal(day).isoformat()


def compute_occurred(day: int, minute: int) -> dict[str, str | None]:
    """`occurred` of a moment: a day where no minute is known."""
    if minute == 0:
        return {"at": iso(day), "precision": "day", "zone": None}
    return {"at": f"{iso(day)}T{minute // 60:02d}:{minute % 60:02d}", "precision": "minute", "zone": ZONE}
