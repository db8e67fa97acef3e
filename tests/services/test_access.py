"""The one door for reading: what holder, author and everyone else see of a passport."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.services.access import NoHoldings, find_by_subject, get_view
from carnet.services.appending import NewEntry
from carnet.services.principals import VISITOR, Principal, Role, Scope
from carnet.types import Subject
from tests.node.home import occurred
from tests.services.town import HOLDER, OPERATOR, OTHER_VIN, STRANGER, VIN, Town, make_town, reading


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = make_town(tmp_path)
    yield town
    town.close()


@pytest.fixture
def passport(town: Town) -> bytes:
    """Opened by the dealer, with a reading by the garage and one by the centre; it has a holder."""
    passport = town.open()
    town.append(town.staff("garage"), reading(10), subject=VIN)
    town.append(town.staff("centre"), reading(20), subject=VIN)
    town.held.holders[passport] = "acc_holder"
    town.append(HOLDER, NewEntry(kind="vehicle.declared/1", occurred=occurred(), fields={"type": "note", "note": "x"}),
                passport=passport)  # fmt: skip
    return passport


def seen(town: Town, who: Principal, passport: bytes) -> list[str]:
    view, reader = town.view(who, passport), town.read()
    return [link.kind for link in view.read_entries(reader) if link.fields is not None]


def refusal(town: Town, who: Principal, passport: bytes) -> tuple[str, str, dict[str, object]]:
    with pytest.raises(Refused) as caught:
        town.view(who, passport)
    return caught.value.reason, caught.value.message, caught.value.facts


def test_view__holder_sees_everything(town: Town, passport: bytes) -> None:
    kinds = ["passport.opened/1", "vehicle.odometer/1", "vehicle.odometer/1", "vehicle.declared/1"]
    assert seen(town, HOLDER, passport) == kinds
    assert town.view(HOLDER, passport).is_whole


def test_view__member_sees_what_it_wrote_and_nothing_is_decrypted_beside(town: Town, passport: bytes) -> None:
    assert seen(town, town.staff("garage"), passport) == ["vehicle.odometer/1"]
    assert seen(town, town.staff("dealer", Role.READER), passport) == ["passport.opened/1"]
    assert seen(town, town.machine("centre", Scope.PASSPORTS_READ), passport) == ["vehicle.odometer/1"]


def test_view__operator_of_the_node_does_not_see_what_it_said_for_the_holder(town: Town, passport: bytes) -> None:
    """The declared entry stands in the operator's name; its staff are no nearer to it than anyone else."""
    assert refusal(town, town.staff("operator"), passport)[0] == Reason.UNKNOWN_PASSPORT
    # Once it has written something of its own, it sees that.
    town.append(town.staff("operator"), reading(40), subject=VIN)
    assert seen(town, town.staff("operator"), passport) == ["vehicle.odometer/1"]


@pytest.mark.parametrize("who", ["visitor", "stranger", "operator", "insurer", "no scope"])
def test_view__refused_unknown_passport__as_if_it_did_not_exist(town: Town, passport: bytes, who: str) -> None:
    principal = {
        "visitor": VISITOR,
        "stranger": STRANGER,
        "operator": OPERATOR,
        "insurer": town.staff("insurer"),
        "no scope": town.machine("garage", Scope.ENTRIES_APPEND),
    }[who]
    missing = bytes(16)
    there, absent = refusal(town, principal, passport), refusal(town, principal, missing)
    assert there[0] == absent[0] == Reason.UNKNOWN_PASSPORT
    assert there[1] == absent[1]
    assert there[2] == {"passport": f"pas_{passport.hex()}"}
    assert absent[2] == {"passport": f"pas_{missing.hex()}"}


def test_view__a_passport_that_nobody_holds_has_no_whole_view(town: Town) -> None:
    passport = town.open()
    with pytest.raises(Refused) as caught:
        get_view(town.read(), NoHoldings(), HOLDER, passport)
    assert caught.value.reason is Reason.UNKNOWN_PASSPORT


def test_view__of_an_erased_passport_is_told_to_its_holder_alone(town: Town, passport: bytes) -> None:
    town.erase(passport)
    assert refusal(town, HOLDER, passport)[0] == Reason.ERASED
    assert refusal(town, town.staff("garage"), passport)[0] == Reason.UNKNOWN_PASSPORT
    assert refusal(town, STRANGER, passport)[0] == Reason.UNKNOWN_PASSPORT


def test_find__for_holder_author_and_whoever_may_open(town: Town, passport: bytes) -> None:
    for who in (HOLDER, town.staff("garage"), town.staff("dealer")):
        assert find_by_subject(town.read(), town.held, who, VIN) == passport


@pytest.mark.parametrize("subject", [VIN, OTHER_VIN], ids=["there", "absent"])
def test_find__refused_unknown_passport__without_its_id(town: Town, passport: bytes, subject: Subject) -> None:
    for who in (VISITOR, STRANGER, OPERATOR, town.staff("insurer")):
        with pytest.raises(Refused) as caught:
            find_by_subject(town.read(), town.held, who, subject)
        assert caught.value.reason is Reason.UNKNOWN_PASSPORT
        assert caught.value.facts == {}
