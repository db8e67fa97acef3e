"""What the law asks of a vehicle's holder, each step ticked by the entry that proves it.

A step is done when an entry proves it, due when an entry names its day, and otherwise not recorded: the passport
never says that something was left undone merely because nobody wrote it here. It refuses to give legal advice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from carnet.services.contracts import ContractState, list_contracts
from carnet.services.entries import Entry, sort_by_time

PROCEDURE: Final = "vehicle.procedure/1"
INSPECTION: Final = "vehicle.inspection/1"
TITLE: Final = "vehicle.title/1"
_FAVOURABLE: Final = frozenset({"A", "AP", "PASSED"})


class StepState(StrEnum):
    """Where a step stands."""

    DONE = "done"
    DUE = "due"
    LATE = "late"
    OPEN = "open"
    DROPPED = "dropped"
    NOT_RECORDED = "not_recorded"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, where it stands, the day that matters (ISO), the entry that proves it, and the one that
    asks for it. `is_lasting`: the day is the last one for which what was done holds, not the day on which it was."""

    name: str
    state: StepState
    day: str | None = None
    proof: Entry | None = None
    request: Entry | None = None
    is_lasting: bool = False


def list_steps(entries: Sequence[Entry], today: date) -> list[Step]:
    """The steps that every vehicle has, then those that a procedure entry asks for, newest first."""
    standing = [entry for entry in sort_by_time(entries) if entry.counts]
    makers: tuple[Callable[[Sequence[Entry], date], Step | None], ...] = (
        _registration,
        _insurance,
        _inspection,
        _sale,
        _scrapping,
    )
    lasting = [step for make in makers if (step := make(standing, today)) is not None]
    asked = [_procedure(entry, entries, today) for entry in reversed(standing) if entry.kind == PROCEDURE]
    return lasting + asked


def _last_title(entries: Sequence[Entry], *types: str) -> Entry | None:
    found = [entry for entry in entries if entry.kind == TITLE and entry.find("type") in types]
    return found[-1] if found else None


def _registration(entries: Sequence[Entry], today: date) -> Step:
    proof = _last_title(entries, "first_registration", "re_registered", "change_of_holder")
    if proof is None:
        return Step("registration", StepState.NOT_RECORDED)
    return Step("registration", StepState.DONE, proof.day, proof)


def _insurance(entries: Sequence[Entry], today: date) -> Step:
    contracts = [one for one in list_contracts(entries, today) if one.type == "insurance"]
    in_force = (ContractState.LIVE, ContractState.ENDING)
    live = next((one for one in contracts if one.state in in_force and one.has_begun(today)), None)
    if live is None:
        return Step("insurance", StepState.NOT_RECORDED)
    return Step("insurance", StepState.DONE, live.end_day, live.entry, is_lasting=True)


def _inspection(entries: Sequence[Entry], today: date) -> Step:
    inspections = [entry for entry in entries if entry.kind == INSPECTION]
    valid = [entry for entry in inspections if entry.find_text("valid_until")]
    if not valid:
        return Step("inspection", StepState.NOT_RECORDED)
    until = str(valid[-1].find_text("valid_until"))
    if until < today.isoformat():
        return Step("inspection", StepState.LATE, until, request=valid[-1])
    if inspections[-1].find("result") not in _FAVOURABLE:
        return Step("inspection", StepState.DUE, until, request=inspections[-1])
    return Step("inspection", StepState.DONE, until, valid[-1], is_lasting=True)


def _sale(entries: Sequence[Entry], today: date) -> Step | None:
    """A declared sale is complete once a register has changed the holder."""
    sale = _last_title(entries, "sale_declared")
    if sale is None:
        return None
    later = [entry for entry in entries[entries.index(sale) :] if entry.find("type") == "change_of_holder"]
    if later:
        return Step("change_of_holder", StepState.DONE, later[0].day, later[0], sale)
    return Step("change_of_holder", StepState.OPEN, sale.day, None, sale)


def _scrapping(entries: Sequence[Entry], today: date) -> Step | None:
    ends = [entry for entry in entries if entry.kind == "vehicle.end_of_life/1"]
    proof = ends[-1] if ends else _last_title(entries, "destroyed")
    return None if proof is None else Step("scrapping", StepState.DONE, proof.day, proof)


def _procedure(entry: Entry, entries: Sequence[Entry], today: date) -> Step:
    proved_by = entry.find_text("proved_by")
    proof = next((one for one in entries if one.statement == proved_by and one.counts), None) if proved_by else None
    due = entry.find_text("due")
    name = str(entry.find("type"))
    if proof is not None:
        return Step(name, StepState.DONE, proof.day, proof, entry)
    if due is not None and due < today.isoformat() and entry.find("state") == "open":
        return Step(name, StepState.LATE, due, None, entry)
    if entry.find("state") in ("refused", "abandoned"):
        return Step(name, StepState.DROPPED, entry.day, None, entry)
    # A state alone ticks nothing: it says what somebody wrote, not what an entry proves.
    return Step(
        name, StepState.DUE if due is not None and entry.find("state") == "open" else StepState.OPEN, due, None, entry
    )
