"""An entry as feature services read it: typed, with what its marks come to, and nothing about how it is stored or
shown.

It refuses to know who may see it: whoever makes these records has asked the reading door first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from carnet.types import Basis, Millis

SUPERSEDES, CONTESTS, TRANSFER = 1, 2, 3

WITHDRAWALS: Final = frozenset({"passport.corrected/1", "passport.rectified/1"})
"""Kinds that take an entry back without putting a value in its place."""


class Ground(StrEnum):
    """Who stands behind a datum, as a badge says it."""

    CERTIFIED = "certified"
    REPORTED = "reported"
    DECLARED = "declared"


_GROUNDS: Final = {
    Basis.OWN_KEY: Ground.CERTIFIED,
    Basis.HOSTED: Ground.CERTIFIED,
    Basis.REPORTED: Ground.REPORTED,
    Basis.HOLDER: Ground.DECLARED,
}


@dataclass(frozen=True, slots=True)
class Author:
    """The member in whose name an entry stands: its id in hexadecimal, its kind, its name."""

    id: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a passport. `seq` is its place from 0, `target` the place of the entry that its mark is about;
    times are ms."""

    seq: int
    fields: Mapping[str, Any]
    by: Author
    basis: int
    mark: int
    target: int | None
    statement: str
    sealed_at: Millis
    submitted_at: Millis
    superseded_by: int | None
    contested_by: tuple[int, ...]
    is_disputed: bool
    is_erased: bool
    is_objection: bool = False
    """It was to take the place of an entry of somebody else, and may not: it counts as a contest of it (2.9)."""
    is_outdone: bool = False
    """It took the place of an entry, and a later one that names the same entry took it since."""

    @property
    def kind(self) -> str:
        """The kind's full name."""
        return str(self.fields["kind"])

    @property
    def ground(self) -> Ground:
        """Certified by a member, reported from a file, or declared by the holder."""
        return _GROUNDS[Basis(self.basis)]

    @property
    def is_standing(self) -> bool:
        """Whether no later entry has taken its place or taken it back, and it takes nothing back itself."""
        return self.superseded_by is None and self.kind not in WITHDRAWALS

    @property
    def counts(self) -> bool:
        """Whether what it says is what the passport says now: it stands, in no other's place but one that it took."""
        return self.is_standing and not self.is_objection and not self.is_outdone

    @property
    def at(self) -> str | None:
        """When it happened, as written (`YYYY` to `YYYY-MM-DDTHH:MM:SS`); None where the source does not tell."""
        occurred = self.fields.get("occurred")
        at = occurred.get("at") if isinstance(occurred, Mapping) else None
        return at if isinstance(at, str) else None

    @property
    def day(self) -> str | None:
        """The day on which it happened, or its year or month where nothing finer is known."""
        return None if self.at is None else self.at[:10]

    def find(self, name: str) -> Any:
        """A field's value; None where it is blank or withheld."""
        return self.fields.get(name)

    def find_text(self, name: str) -> str | None:
        """A field's value if it is a text."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else None

    def find_reading(self) -> tuple[int, str] | None:
        """The odometer's reading with its unit, `km` or `mi`, as read; for a replacement, the new odometer's."""
        for unit in ("km", "mi"):
            for name in (f"odometer_{unit}", f"new_odometer_{unit}"):
                value = self.fields.get(name)
                if isinstance(value, int) and not isinstance(value, bool):
                    return value, unit
        return None

    def list_changes(self, later: Entry) -> list[tuple[str, Any, Any]]:
        """What an entry that takes this one's place says otherwise: field, old value, new value; when it happened
        included."""
        names = dict.fromkeys((*self.fields, *later.fields))
        pairs = (
            (name, self.fields.get(name), later.fields.get(name)) for name in names if name not in ("kind", "subject")
        )
        return [(name, old, new) for name, old, new in pairs if old != new]


def read_entry(document: Mapping[str, Any]) -> Entry:
    """An entry from its reported shape (clause 5.10), as `services.showing` gives it."""
    by = document["by"]
    return Entry(
        seq=document["seq"],
        fields=document["fields"],
        by=Author(by["id"], by["kind"], by["name"]),
        basis=document["basis"],
        mark=document["mark"],
        target=document["target"],
        statement=document["statement"],
        sealed_at=document["sealed_at"],
        submitted_at=document["submitted_at"],
        superseded_by=document["superseded_by"],
        contested_by=tuple(document["contested_by"]),
        is_disputed=document["disputed"],
        is_erased=document["erased"],
    )


def settle(entries: Sequence[Entry]) -> list[Entry]:
    """The same entries, each told whether it took the place that its mark names. Source: clauses 2.9 and 5.10."""
    of_seq = {entry.seq: entry for entry in entries}
    contests = {seq for entry in entries for seq in entry.contested_by}
    settled = []
    for entry in entries:
        target = None if entry.mark != SUPERSEDES or entry.target is None else of_seq.get(entry.target)
        is_objection = entry.mark == SUPERSEDES and entry.seq in contests
        is_outdone = target is not None and not is_objection and target.superseded_by != entry.seq
        is_as_told = (entry.is_objection, entry.is_outdone) == (is_objection, is_outdone)
        settled.append(entry if is_as_told else replace(entry, is_objection=is_objection, is_outdone=is_outdone))
    return settled


def sort_by_time(entries: Sequence[Entry], *, is_newest_first: bool = False) -> list[Entry]:
    """By when they happened, then by their place; those whose date nobody knows stand where they were written."""
    keys = {}
    last = ""
    for entry in entries:
        last = entry.at or last
        keys[entry.seq] = (entry.at or last, entry.seq)
    return sorted(entries, key=lambda entry: keys[entry.seq], reverse=is_newest_first)
