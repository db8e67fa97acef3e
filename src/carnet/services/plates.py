"""What the passports of a node say of plates: which vehicle had one on a day, and whether a row contradicts that.

A plate names a vehicle for a while only. Knows the aliases that an author signed for and that stand (2.14); it refuses
to open a passport under a plate, and to believe a plate that a row merely gives.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple, cast

from carnet.errors import Reason, Refused
from carnet.node.writing import Writing
from carnet.types import Basis, Subject


class Held(NamedTuple):
    """A plate of a passport, from one day until another, that day not included (None: it still holds)."""

    passport: Subject
    plate: Subject
    since: str
    until: str | None

    def holds_on(self, day: str) -> bool:
        """Whether it was the vehicle's on this day."""
        return self.since <= day and (self.until is None or day < self.until)


class Plates:
    """The plates that a node's passports know. Read once, when the first row asks: one look through the store."""

    def __init__(self, writer: Writing) -> None:
        self._writer = writer

    def is_known(self, plate: Subject) -> bool:
        """Whether any passport has, or had, this plate."""
        return plate in self._by_plate

    def get_passport(self, plate: Subject, day: str | None) -> Subject:
        """The one vehicle that had a plate on a day (`yyyy-mm-dd`).

        Raises Refused UNKNOWN_PASSPORT (no passport knows it), NOT_ALIAS (none knows it for that day, or the day is
        unknown), SUBJECT_MISMATCH (two had it).
        """
        known = self._by_plate.get(plate)
        if known is None:
            saying = f"no passport here has the plate {plate.value} ({plate.country}), and a plate opens none"
            raise Refused(Reason.UNKNOWN_PASSPORT, saying)
        if day is None:
            saying = f"the row has no day, and a plate ({plate.value}) names a vehicle for a while only"
            raise Refused(Reason.NOT_ALIAS, saying)
        holders = {held.passport for held in known if held.holds_on(day)}
        if not holders:
            raise Refused(Reason.NOT_ALIAS, f"no passport here had the plate {plate.value} on {day}")
        if len(holders) > 1:
            saying = f"{len(holders)} passports here have the plate {plate.value} on {day}: one of them is wrong"
            raise Refused(Reason.SUBJECT_MISMATCH, saying)
        return holders.pop()

    def check_agreement(self, passport: Subject, plate: Subject, day: str | None) -> None:
        """Refuse (SUBJECT_MISMATCH) a row that gives a plate beside its subject, where the passport knows another for
        that day, or the plate is another vehicle's. What nobody knows contradicts nothing."""
        others = [held for held in self._by_plate.get(plate, ()) if day is not None and held.holds_on(day)]
        if any(held.passport == passport for held in others):
            return
        own = [held for held in self._by_passport.get(passport, ()) if held.plate.country == plate.country]
        if day is not None:
            own = [held for held in own if held.holds_on(day)]
        elif any(held.plate == plate for held in own):
            return
        when = "" if day is None else f" on {day}"
        if own:
            known = " or ".join(sorted({held.plate.value for held in own}))
            saying = f"plate and {passport.scheme} contradict each other: {passport.value} had {known}{when}"
            raise Refused(Reason.SUBJECT_MISMATCH, f"{saying}, and the row gives {plate.value}", field="plate")
        if others:
            saying = f"plate and {passport.scheme} contradict each other: {plate.value} was another vehicle's{when}"
            raise Refused(Reason.SUBJECT_MISMATCH, f"{saying}, not that of {passport.value}", field="plate")

    @cached_property
    def _by_plate(self) -> dict[Subject, list[Held]]:
        found: dict[Subject, list[Held]] = {}
        for passport, declared in self._writer.read_aliases():
            alias = cast("dict[str, Any]", declared.alias)
            if declared.is_superseded or declared.basis not in (Basis.OWN_KEY, Basis.HOSTED):
                continue
            other = alias["subject"]
            plate = Subject(other["scheme"], other["value"], other.get("country"))
            if plate.scheme == "plate":
                found.setdefault(plate, []).append(Held(passport, plate, alias["from"], alias["until"]))
        return found

    @cached_property
    def _by_passport(self) -> dict[Subject, list[Held]]:
        found: dict[Subject, list[Held]] = {}
        for held in (held for several in self._by_plate.values() for held in several):
            found.setdefault(held.passport, []).append(held)
        return found
