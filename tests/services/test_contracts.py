"""Contracts put together from their entries: which are in force, which end soon, which are over."""

from __future__ import annotations

from carnet.services.contracts import ContractState, list_contracts
from tests.services.lives import INSURER, TODAY, Life


def test_contracts__opened_closed_and_opened_again() -> None:
    life = Life()
    life.say(
        "vehicle.contract",
        "2020-01-01",
        INSURER,
        type="insurance",
        state="opened",
        start_date="2020-01-01",
        reference="A1",
    )
    life.say("vehicle.contract", "2023-01-01", INSURER, type="insurance", state="closed", end_date="2023-01-01")
    life.say(
        "vehicle.contract",
        "2023-01-02",
        INSURER,
        type="insurance",
        state="opened",
        start_date="2023-01-02",
        cover="all",
    )
    live, ended = list_contracts(life.entries, TODAY)
    assert (live.state, live.start_day, live.end_day, live.cover) == (ContractState.LIVE, "2023-01-02", None, "all")
    assert (ended.state, ended.end_day, ended.reference) == (ContractState.ENDED, "2023-01-01", "A1")
    assert [entry.seq for entry in ended.history] == [0, 1]


def test_contracts__live_first_and_the_soonest_to_end_at_the_top() -> None:
    life = Life()
    for name, end in (
        ("warranty", "2027-06-01"),
        ("lease", "2026-12-20"),
        ("finance", "2026-11-24"),
        ("assistance", None),
    ):
        life.say("vehicle.contract", "2024-01-01", type=name, state="opened", end_date=end)
    found = [(one.type, one.state) for one in list_contracts(life.entries, TODAY)]
    assert found == [
        ("lease", ContractState.ENDING),
        ("warranty", ContractState.LIVE),
        ("assistance", ContractState.LIVE),
        ("finance", ContractState.ENDED),
    ]


def test_contracts__another_author_or_reference_is_another_contract() -> None:
    life = Life()
    life.say("vehicle.contract", "2024-01-01", type="insurance", state="opened", reference="A1")
    life.say("vehicle.contract", "2024-02-01", INSURER, type="insurance", state="closed")
    life.say("vehicle.contract", "2024-03-01", type="insurance", state="closed", reference="B2")
    states = sorted(one.state for one in list_contracts(life.entries, TODAY))
    assert states == [ContractState.ENDED, ContractState.ENDED, ContractState.LIVE]


def test_contracts__one_that_was_withdrawn_is_not_there() -> None:
    life = Life()
    wrong = life.say("vehicle.contract", "2024-01-01", type="insurance", state="opened")
    life.say("passport.corrected", "2024-01-02", supersedes=wrong, reason="wrong_vehicle")
    assert list_contracts(life.entries, TODAY) == []
