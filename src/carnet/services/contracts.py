"""Contracts about a vehicle, put together from the entries that opened, changed and closed them.

It refuses to know what a contract costs or covers beyond what its entries say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from carnet.services.entries import Entry, sort_by_time

KIND: Final = "vehicle.contract/1"
ENDING: Final = timedelta(days=60)
"""How long before its last day a contract is marked as ending soon."""


class ContractState(StrEnum):
    """What a contract is on a given day."""

    ENDING = "ending"
    LIVE = "live"
    SUSPENDED = "suspended"
    ENDED = "ended"


_ORDER: Final = {state: place for place, state in enumerate(ContractState)}


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract: its state on the day asked for, its days (ISO, None where nobody said), its newest entry, and
    all of them."""

    type: str
    state: ContractState
    start_day: str | None
    end_day: str | None
    entry: Entry
    history: tuple[Entry, ...]

    def has_begun(self, today: date) -> bool:
        """Whether its first day is not still to come; as far as anybody said."""
        return self.start_day is None or self.start_day <= today.isoformat()

    @property
    def provider(self) -> str:
        """Who provides it: as written, else the author of its entries."""
        return self.entry.find_text("provider") or self.entry.by.name

    @property
    def reference(self) -> str | None:
        """The file's reference, from the newest entry that gives one."""
        return next((text for entry in reversed(self.history) if (text := entry.find_text("reference"))), None)

    @property
    def cover(self) -> str | None:
        """What it covers, from the newest entry that says so."""
        return next((text for entry in reversed(self.history) if (text := entry.find_text("cover"))), None)


def list_contracts(entries: Sequence[Entry], today: date) -> list[Contract]:
    """All contracts, those in force first (the soonest to end at the top), then the ended, the latest first.

    Entries belong to one contract when author and type agree, and the reference where both give one; "opened" begins
    another.
    """
    found: list[Contract] = []
    for entry in sort_by_time([entry for entry in entries if entry.kind == KIND and entry.counts]):
        at = None if entry.find("state") == "opened" else _find_place(found, entry)
        if at is None:
            found.append(_begin(entry))
        else:
            found[at] = _go_on(found[at], entry)
    judged = [replace(contract, state=_judge(contract, today)) for contract in found]
    live = [one for one in judged if one.state is not ContractState.ENDED]
    ended = [one for one in judged if one.state is ContractState.ENDED]
    live.sort(key=lambda one: (_ORDER[one.state], one.end_day or "9999", one.entry.seq))
    ended.sort(key=lambda one: (one.end_day or one.entry.day or "", one.entry.seq), reverse=True)
    return live + ended


def _begin(entry: Entry) -> Contract:
    return Contract(
        type=str(entry.find("type")),
        state=ContractState.LIVE,
        start_day=entry.find_text("start_date"),
        end_day=entry.find_text("end_date"),
        entry=entry,
        history=(entry,),
    )


def _go_on(contract: Contract, entry: Entry) -> Contract:
    return replace(
        contract,
        start_day=entry.find_text("start_date") or contract.start_day,
        end_day=entry.find_text("end_date") or contract.end_day,
        entry=entry,
        history=(*contract.history, entry),
    )


def _find_place(found: Sequence[Contract], entry: Entry) -> int | None:
    """The latest contract of this author and type that is not closed, and whose reference does not differ."""
    for at in reversed(range(len(found))):
        contract = found[at]
        reference, own = contract.reference, entry.find_text("reference")
        is_same = contract.type == entry.find("type") and contract.entry.by.id == entry.by.id
        if is_same and contract.entry.find("state") != "closed" and (not reference or not own or reference == own):
            return at
    return None


def _judge(contract: Contract, today: date) -> ContractState:
    state = contract.entry.find("state")
    if state == "closed" or (contract.end_day is not None and contract.end_day < today.isoformat()):
        return ContractState.ENDED
    if state == "suspended":
        return ContractState.SUSPENDED
    is_ending = contract.end_day is not None and contract.end_day <= (today + ENDING).isoformat()
    return ContractState.ENDING if is_ending else ContractState.LIVE
