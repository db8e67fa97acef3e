"""A step is ticked by the entry that proves it, and by nothing else."""

from __future__ import annotations

from carnet.services.legal_steps import StepState, list_steps
from tests.services.lives import INSURER, REGISTRY, TODAY, Life


def states(life: Life) -> dict[str, StepState]:
    return {step.name: step.state for step in list_steps(life.entries, TODAY)}


def test_steps__nothing_recorded_is_not_said_to_be_undone() -> None:
    assert set(states(Life()).values()) == {StepState.NOT_RECORDED}


def test_steps__proved_by_title_contract_and_inspection() -> None:
    life = Life()
    life.say("vehicle.title", "2020-01-01", REGISTRY, type="first_registration")
    life.say("vehicle.contract", "2020-01-01", INSURER, type="insurance", state="opened")
    life.inspect("2026-01-01", "A", "2028-01-01")
    done = {step.name: step.proof and step.proof.seq for step in list_steps(life.entries, TODAY)}
    assert done == {"registration": 0, "insurance": 1, "inspection": 2}
    assert set(states(life).values()) == {StepState.DONE}


def test_steps__an_inspection_late_or_failed_is_not_ticked() -> None:
    late, failed = Life(), Life()
    late.inspect("2022-01-01", "A", "2024-01-01")
    failed.inspect("2026-11-01", "S", "2027-01-01")
    assert states(late)["inspection"] is StepState.LATE
    assert states(failed)["inspection"] is StepState.DUE


def test_steps__a_sale_is_done_once_the_register_says_so() -> None:
    life = Life()
    life.say("vehicle.title", "2026-10-01", type="sale_declared")
    assert states(life)["change_of_holder"] is StepState.OPEN
    life.say("vehicle.title", "2026-10-03", REGISTRY, type="change_of_holder")
    assert states(life)["change_of_holder"] is StepState.DONE


def test_steps__a_procedure_is_ticked_by_its_proof_alone() -> None:
    life = Life()
    life.say("vehicle.procedure", "2026-10-01", type="address_change", state="done")
    assert states(life)["address_change"] is StepState.OPEN
    proof = life.say("vehicle.title", "2026-10-05", REGISTRY, type="address_changed")
    life.say("vehicle.procedure", "2026-10-01", type="import", state="open", due="2026-11-01")
    life.say(
        "vehicle.procedure", "2026-10-02", type="duplicate_title", state="done",
        proved_by=life.entries[proof].statement,
    )  # fmt: skip
    assert states(life)["import"] is StepState.LATE
    assert states(life)["duplicate_title"] is StepState.DONE


def test_steps__a_proof_that_was_withdrawn_proves_nothing() -> None:
    life = Life()
    proof = life.say("vehicle.title", "2026-10-05", REGISTRY, type="address_changed")
    life.say(
        "vehicle.procedure", "2026-10-06", type="address_change", state="open", proved_by=life.entries[proof].statement
    )
    assert states(life)["address_change"] is StepState.DONE
    life.say("passport.corrected", "2026-10-07", REGISTRY, supersedes=proof, reason="wrong_vehicle")
    assert states(life)["address_change"] is StepState.OPEN
