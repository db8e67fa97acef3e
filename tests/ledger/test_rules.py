"""The rules document: one spelling, one root, and every cell of its writer table. Spec: 3.1, 3.2."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.ledger.commands import AccreditMember, ChangeRules, EnrolMember, RetireMember
from carnet.ledger.rules.default import default_accreditations
from carnet.ledger.rules.document import (
    ClassLine,
    KindLine,
    Line,
    Rules,
    WriterLine,
    check_rules,
    compute_line_bytes,
    compute_line_leaf,
)
from carnet.tlog.tree import compute_root_of
from carnet.types import Basis, MemberKind
from tests.ledger.ground import Ground, with_endorsements

ODOMETER = "vehicle.odometer/1"


def writer_table(rules: Rules) -> dict[tuple[str, str], tuple[int, ...]]:
    """(member kind, kind) → bases, read from the lines' own bytes: what the document says, whatever the code thinks."""
    lines = [msgspec.json.decode(compute_line_bytes(line)) for line in rules.lines]
    return {(line["member"], line["kind"]): tuple(line["bases"]) for line in lines if line["line"] == "writer"}


def kinds_of(rules: Rules) -> dict[str, int]:
    return {line.kind: line.class_ for line in rules.lines if isinstance(line, KindLine)}


def edit(rules: Rules, change: Callable[[Line], Line | None]) -> tuple[Line, ...]:
    """The lines with each one changed, or left out."""
    return tuple(line for line in map(change, rules.lines) if line is not None)


def without(rules: Rules, *subject: object) -> Rules:
    found = rules.find(*subject)
    assert found is not None
    return Rules(tuple(line for line in rules.lines if line is not found[1]))


def refused(lines: tuple[Line, ...], reason: Reason, **facts: object) -> None:
    ordered = Rules(tuple(sorted(lines, key=compute_line_bytes)))
    Ground().refuse(ChangeRules(ordered), reason, **facts)


# --- the document


def test_rules__lines_stand_in_order_whatever_order_they_came_in() -> None:
    rules = Ground().state.rules
    shuffled = list(rules.lines)
    random.Random(1).shuffle(shuffled)
    assert Rules.of(shuffled) == rules
    encoded = [compute_line_bytes(line) for line in rules.lines]
    assert encoded == sorted(set(encoded))
    assert Rules.of(shuffled).tree.root == compute_root_of([compute_line_leaf(line) for line in encoded])


def test_rules__each_line_is_found_by_its_subject_alone() -> None:
    rules = Ground().state.rules
    for position, line in enumerate(rules.lines):
        match line:
            case KindLine():
                assert rules.find("kind", line.kind) == (position, line)
                assert rules.get_kind(line.kind) is line
            case ClassLine():
                assert rules.find("class", line.class_) == (position, line)
                assert rules.get_class(line.class_) is line
            case WriterLine():
                assert rules.find("writer", line.member, line.kind) == (position, line)
    for subject in (("kind", "class"), ("class", "1"), ("class", 99), ("writer", ODOMETER, "garage"), ("constructor",)):
        assert rules.find(*subject) is None


def test_rules__two_lines_about_one_thing__refused_fields_conflict() -> None:
    rules = Ground().state.rules
    for line in (
        ClassLine(class_=1, endorsements=1),
        WriterLine(bases=(4,), kind=ODOMETER, member="garage"),
        msgspec.structs.replace(rules.get_kind(ODOMETER), location="source"),
        rules.get_kind(ODOMETER),
    ):
        with pytest.raises(Refused) as refusal:
            Rules.of([*rules.lines, line])
        assert refusal.value.reason == Reason.FIELDS_CONFLICT


def test_rules__get_kind__refused_unknown_kind() -> None:
    with pytest.raises(Refused) as refusal:
        Ground().state.rules.get_kind("vehicle.flight/1")
    assert (refusal.value.reason, refusal.value.facts) == (Reason.UNKNOWN_KIND, {"kind": "vehicle.flight/1"})


def test_rules__get_class__refused_unknown_class() -> None:
    with pytest.raises(Refused) as refusal:
        Ground().state.rules.get_class(9)
    assert (refusal.value.reason, refusal.value.facts) == (Reason.UNKNOWN_CLASS, {"class_": 9})


# --- a change of rules


def test_change_rules__are_in_force_from_the_next_record_on() -> None:
    ground = Ground()
    rules = with_endorsements(ground.state.rules, 2, 1)
    index = ground.accept(ChangeRules(rules))[0].index
    assert ground.state.rules == rules
    assert (ground.state.rules_ref.index, ground.state.rules_ref.root) == (index, rules.tree.root)
    ground.accept(ground.seal())
    ground.check()


def test_change_rules__the_same_again_is_a_record_of_its_own() -> None:
    ground = Ground()
    old = ground.state.rules_ref
    ground.accept(ChangeRules(ground.state.rules))
    assert ground.state.rules_ref == replace(old, index=ground.state.size - 1)
    ground.check()


def test_change_rules__a_new_kind_may_be_accredited_at_once() -> None:
    ground = Ground()
    kind = msgspec.structs.replace(ground.state.rules.get_kind(ODOMETER), kind="vehicle.tyre/1")
    writer = WriterLine(bases=(2,), kind="vehicle.tyre/1", member="garage")
    accreditations = (*ground.member(ground.garage).accreditations, ("vehicle.tyre/1", 2, 1))
    ground.refuse(AccreditMember(ground.garage.id, accreditations), Reason.UNKNOWN_KIND)
    rules = Rules.of([*ground.state.rules.lines, kind, writer])
    ground.accept(ChangeRules(rules), AccreditMember(ground.garage.id, accreditations))
    ground.check()


def test_change_rules__refused_may_not_write() -> None:
    """A cell that members are accredited by is not taken away over their heads: a proof asks their leaf only."""
    ground = Ground()
    rules = without(ground.state.rules, "writer", "garage", ODOMETER)
    ground.refuse(ChangeRules(rules), Reason.MAY_NOT_WRITE, member_kind="garage", kind=ODOMETER)
    kept = tuple(a for a in ground.member(ground.garage).accreditations if a[0] != ODOMETER)
    ground.accept(AccreditMember(ground.garage.id, kept), ChangeRules(rules))
    ground.check()


def test_change_rules__what_the_retired_were_accredited_for_is_history() -> None:
    ground = Ground()
    ground.accept(RetireMember(ground.garage.id))
    ground.accept(ChangeRules(without(ground.state.rules, "writer", "garage", ODOMETER)))
    ground.check()


def test_change_rules__refused_class_of_accredited_kind_changed() -> None:
    ground = Ground()
    lines = edit(
        ground.state.rules,
        lambda line: (
            msgspec.structs.replace(line, class_=2) if isinstance(line, KindLine) and line.kind == ODOMETER else line
        ),
    )
    refused(lines, Reason.FIELDS_CONFLICT, kind=ODOMETER, wanted=2)


def test_change_rules__refused_unknown_kind() -> None:
    rules = Ground().state.rules
    writer = WriterLine(bases=(2,), kind="vehicle.flight/1", member="garage")
    refused((*rules.lines, writer), Reason.UNKNOWN_KIND, kind="vehicle.flight/1")


def test_change_rules__refused_unknown_class() -> None:
    rules = Ground().state.rules
    refused(without(rules, "class", 0).lines, Reason.UNKNOWN_CLASS, class_=0)
    refused(without(rules, "class", 3).lines, Reason.UNKNOWN_CLASS, class_=3)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"schema": "AAAA"}, Reason.WRONG_TYPE),
        ({"schema": "not base64"}, Reason.WRONG_TYPE),
        ({"chain": "diary"}, Reason.NOT_IN_LIST),
        ({"location": "moon"}, Reason.NOT_IN_LIST),
        ({"class_": 0}, Reason.VALUE_OUT_OF_RANGE),
        ({"class_": 256}, Reason.VALUE_OUT_OF_RANGE),
    ],
)
def test_change_rules__refused_kind_line(changes: dict[str, Any], reason: Reason) -> None:
    rules = Ground().state.rules
    line = msgspec.structs.replace(rules.get_kind(ODOMETER), **changes)
    refused((*without(rules, "kind", ODOMETER).lines, line), reason)


@pytest.mark.parametrize(
    "bases, reason",
    [
        ((), Reason.VALUE_OUT_OF_RANGE),
        ((2, 1), Reason.VALUE_OUT_OF_RANGE),
        ((1, 1), Reason.VALUE_OUT_OF_RANGE),
        ((0,), Reason.NOT_IN_LIST),
        ((1, 5), Reason.NOT_IN_LIST),
    ],
)
def test_change_rules__refused_writer_line(bases: tuple[int, ...], reason: Reason) -> None:
    rules = Ground().state.rules
    refused((*rules.lines, WriterLine(bases=bases, kind=ODOMETER, member="lender")), reason)


def test_change_rules__refused_value_out_of_range() -> None:
    rules = Ground().state.rules
    for class_, count in ((7, 256), (7, -1), (256, 0), (-1, 0)):
        refused((*rules.lines, ClassLine(class_=class_, endorsements=count)), Reason.VALUE_OUT_OF_RANGE)


def test_change_rules__refused_text_not_allowed() -> None:
    rules = Ground().state.rules
    line = WriterLine(bases=(2,), kind=ODOMETER, member="gar\u202eage")
    ordered = Rules((*rules.lines, line))  # its bytes cannot be computed, so it cannot be sorted either
    Ground().refuse(ChangeRules(ordered), Reason.TEXT_NOT_ALLOWED)


def test_change_rules__refused_fields_conflict() -> None:
    ground = Ground()
    lines = ground.state.rules.lines
    ground.refuse(ChangeRules(Rules(lines[::-1])), Reason.FIELDS_CONFLICT)
    ground.refuse(ChangeRules(Rules((*lines[:1], *lines))), Reason.FIELDS_CONFLICT)
    # Two class lines in order of their bytes, about one class.
    refused((*lines, ClassLine(class_=1, endorsements=7)), Reason.FIELDS_CONFLICT)


# --- the writer table, cell by cell

CELLS = [(str(member), kind) for member, kind in itertools.product(MemberKind, sorted(kinds_of(Ground().state.rules)))]


def test_writer_table__every_cell() -> None:
    """Each member kind × kind × basis: what the document allows is accepted, and an empty cell refuses with its facts.

    Through the ledger, by accrediting a member of that kind for just that; the table is read from the document's bytes.
    """
    ground = Ground()
    rules, state = ground.state.rules, ground.state
    table, kinds = writer_table(rules), kinds_of(rules)
    ids = {}
    for member_kind in MemberKind:
        member = ground.make_member(member_kind)
        ground.accept(EnrolMember(member))
        ids[str(member_kind)] = member.id
    accepted = empty = 0
    for member_kind, kind in CELLS:
        for basis in (0, *Basis, 5, 255):
            accreditation = (kind, int(basis), kinds[kind])
            command = AccreditMember(ids[member_kind], (accreditation,))
            bases = table.get((member_kind, kind))
            if bases is not None and basis in bases:
                accepted += 1
                assert not isinstance(ground.try_command(command), Refused), accreditation
                rules.check_may_write(member_kind, kind, basis)
                continue
            empty += 1
            refusal = ground.try_command(command)
            assert isinstance(refusal, Refused), (member_kind, accreditation)
            facts = {"member_kind": member_kind, "kind": kind, **({} if bases is None else {"basis": basis})}
            assert (refusal.reason, refusal.facts) == (Reason.MAY_NOT_WRITE, facts)
            assert not refusal.could_retry
            assert kind in refusal.message
            assert member_kind in refusal.message
    assert state.rules is ground.state.rules
    assert accepted == sum(len(bases) for bases in table.values())
    assert accepted + empty == len(MemberKind) * len(kinds) * 7


def test_writer_table__says_what_the_document_says_after_a_change() -> None:
    """The code reads the document on the ledger: a cell given or taken by a change of rules counts at once."""
    ground = Ground()
    given = WriterLine(bases=(3,), kind="vehicle.inspection/1", member="lender")
    ground.accept(ChangeRules(Rules.of([*without(ground.state.rules, "writer", "insurer", ODOMETER).lines, given])))
    rules = ground.state.rules
    rules.check_may_write("lender", "vehicle.inspection/1", 3)
    with pytest.raises(Refused) as refusal:
        rules.check_may_write("insurer", ODOMETER, 2)
    assert refusal.value.reason == Reason.MAY_NOT_WRITE
    assert (writer_table(rules)["lender", "vehicle.inspection/1"], ("insurer", ODOMETER) in writer_table(rules)) == (
        (3,),
        False,
    )


def test_writer_table__names_only_known_kinds_of_member_and_entry() -> None:
    rules = Ground().state.rules
    check_rules(rules)
    table = writer_table(rules)
    assert {member for member, _ in table} <= {str(kind) for kind in MemberKind}
    assert {kind for _, kind in table} == set(kinds_of(rules))
    assert all(set(bases) <= set(Basis) for bases in table.values())


@pytest.mark.parametrize("member_kind", list(MemberKind))
def test_default_accreditations__are_the_table_without_the_power_over_others(member_kind: str) -> None:
    ground = Ground()
    rules = ground.state.rules
    kinds = kinds_of(rules)
    wanted = sorted(
        (kind, basis, kinds[kind])
        for (member, kind), bases in writer_table(rules).items()
        for basis in bases
        if member == member_kind and kind != "passport.rectified/1"
    )
    found = default_accreditations(rules, member_kind)
    assert list(found) == wanted
    ground.accept(EnrolMember(ground.make_member(member_kind, accreditations=found)))
    ground.check()


def test_schema__of_each_kind_is_named_by_its_line() -> None:
    from carnet.ledger.rules.document import compute_schema_digest
    from carnet.passport.kinds import all_kinds, get_schema

    rules = Ground().state.rules
    for kind in all_kinds():
        line = rules.get_kind(kind)
        assert line.schema == b64(compute_schema_digest(get_schema(kind).document()))
        assert line.chain == get_schema(kind).chain
