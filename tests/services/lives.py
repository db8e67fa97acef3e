"""Entries as feature services read them, written by hand: a life in a few lines."""

from __future__ import annotations

from datetime import date
from typing import Any

from carnet.services.entries import Author, Entry
from carnet.services.vehicles import Vehicle, make_vehicle
from carnet.types import Basis

TODAY = date(2026, 11, 25)
GARAGE, REGISTRY, INSURER = (Author(name[:1] * 32, name, f"The {name}") for name in ("garage", "registry", "insurer"))


class Life:
    """A passport's chain. `say` adds an entry and gives its place; marks change what they are about, as the node's
    reader says it; a correction that does not hold is a contest."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def say(
        self,
        kind: str,
        at: str | None,
        by: Author = GARAGE,
        *,
        basis: int = Basis.HOSTED,
        supersedes: int | None = None,
        contests: int | None = None,
        holds: bool = True,
        **fields: Any,
    ) -> int:
        seq = len(self.entries)
        target = supersedes if supersedes is not None else contests
        full = {"kind": f"{kind}/1", "occurred": {"at": at, "precision": "day", "zone": None}, **fields}
        mark = 1 if supersedes is not None else 2 if contests is not None else 0
        self.entries.append(
            Entry(seq, full, by, basis, mark, target, f"{seq:064x}", 1_000 + seq, 900 + seq, None, (), False, False)
        )
        if supersedes is not None and holds:
            self._change(supersedes, superseded_by=seq)
        elif target is not None:
            self._change(target, contested_by=(*self.entries[target].contested_by, seq))
        return seq

    def inspect(self, at: str, result: str = "A", until: str | None = None, km: int = 50_000, **more: Any) -> int:
        return self.say(
            "vehicle.inspection", at, result=result, valid_until=until, odometer_km=km, odometer_state="read", **more
        )

    def read(self, at: str | None, km: int | None = None, mi: int | None = None, **more: Any) -> int:
        return self.say("vehicle.odometer", at, odometer_km=km, odometer_mi=mi, odometer_state="read", **more)

    def see(self, today: date = TODAY) -> Vehicle:
        return make_vehicle("ab" * 16, {"scheme": "vin", "value": "WVWZZZ1KZ7P123456"}, self.entries, today)

    def _change(self, seq: int, **values: Any) -> None:
        from dataclasses import replace

        self.entries[seq] = replace(self.entries[seq], **values)
