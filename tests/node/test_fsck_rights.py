"""What a dishonest writer could seal though its author had no right to it: `fsck` asks again what the writer asks.

No honest writer stores such entries, so the judge is asked by itself, about members and rules made for the purpose.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from carnet.ledger.rules.document import KindLine, Line, Rules, WriterLine
from carnet.ledger.rules.members import Members
from carnet.node.fsck.placed import Signed
from carnet.node.fsck.replay import History
from carnet.node.fsck.rights import Aliases, Rights
from carnet.types import Basis
from tests.node.home import TestNode, make_item, make_node, more, new_passport, reading, vin_subject

ODOMETER = "vehicle.odometer/1"
AUTHOR = (b"\x01" * 16, int(Basis.HOSTED))


@pytest.fixture
def asked(tmp_path: Path) -> tuple[History, Signed]:
    """A network as its founding left it, and something that its operator signed."""
    node = make_node(tmp_path)
    with node.open() as writer:
        state = writer.state
        operator = state.members.get(node.operator.id)
        signed = Signed(operator.id, operator.keys[0].digest, 1, bytes(32), b"")
        history = History(state.net, writer.node_id, {0: state.members}, {0: state.rules})
    return history, signed


def ask(history: History, signed: Signed, **changed: int) -> str | None:
    class_ = history.rules[0].get_kind(ODOMETER).class_
    return Rights(history).find_fault(9, signed, ODOMETER, changed.get("basis", 3), changed.get("class_", class_))


def without_writers(rules: Rules) -> Rules:
    return Rules(tuple(line for line in rules.lines if not isinstance(line, WriterLine) or line.kind != ODOMETER))


def in_class(rules: Rules, class_: int) -> Rules:
    def change(line: Line) -> Line:
        is_it = isinstance(line, KindLine) and line.kind == ODOMETER
        return msgspec.structs.replace(line, class_=class_) if is_it else line

    return Rules(tuple(change(line) for line in rules.lines))


def test_find_fault__none_for_what_the_writer_allows(asked: tuple[History, Signed]) -> None:
    assert ask(*asked) is None


def test_find_fault__without_a_cell_of_the_writer_table(asked: tuple[History, Signed]) -> None:
    history, signed = asked
    history.rules[5] = without_writers(history.rules[0])
    assert "may not write" in (ask(history, signed) or "")
    # Those in force at the seal are asked, not those of today.
    history.rules[12] = history.rules.pop(5)
    assert ask(history, signed) is None


def test_find_fault__in_another_class_than_the_rules_say(asked: tuple[History, Signed]) -> None:
    history, signed = asked
    history.rules[0] = in_class(history.rules[0], 2)
    assert "had class 2 then" in (ask(history, signed, class_=1) or "")


def test_find_fault__without_accreditation_or_key(asked: tuple[History, Signed]) -> None:
    history, signed = asked
    assert ask(history, signed._replace(key_digest=bytes(32))) is not None
    member = history.members[0].get(signed.member)
    others = [replace(one, accreditations=()) if one.id == member.id else one for one in history.members[0].all]
    history.members[0] = Members(tuple(others))
    assert "accredited" in (ask(history, signed) or "")


def fields(day: str, plate: str = "AB-123-CD") -> dict[str, object]:
    subject = {"country": "FR", "scheme": "plate", "value": plate}
    return {"subject": subject, "occurred": {"at": day, "precision": "day", "zone": None}}


def declare(**changed: object) -> dict[str, object]:
    alias = {"from": "2023-01-01", "subject": fields("x")["subject"], "until": "2024-01-01", **changed}
    return {"alias": alias}


OWN = {"scheme": "vin", "value": "VF1"}


def test_aliases__hold_in_their_interval_until_withdrawn() -> None:
    aliases = Aliases()
    assert "neither" in (aliases.find_fault(OWN, fields("2023-06-01")) or "")
    aliases.note(b"one", "vehicle.identity/1", declare(), AUTHOR)
    assert aliases.find_fault(OWN, fields("2023-06-01")) is None
    assert aliases.find_fault(OWN, {**fields("2023-06-01"), "subject": OWN}) is None
    assert "was not the vehicle's" in (aliases.find_fault(OWN, fields("2024-01-01")) or "")
    assert "neither" in (aliases.find_fault(OWN, fields("2023-06-01", "ZZ-999-ZZ")) or "")
    assert aliases.find_author(b"one") == AUTHOR
    aliases.withdraw(b"one")
    assert "superseded" in (aliases.find_fault(OWN, fields("2023-06-01")) or "")


def test_aliases__that_were_only_reported_hold_for_nothing() -> None:
    aliases = Aliases()
    aliases.note(b"one", "vehicle.identity/1", declare(), (AUTHOR[0], int(Basis.REPORTED)))
    assert "only reported" in (aliases.find_fault(OWN, fields("2023-06-01")) or "")


def test_aliases__of_an_erased_entry_are_given_the_benefit_of_the_doubt() -> None:
    aliases = Aliases()
    aliases.note(b"one", "vehicle.odometer/1", None, AUTHOR)
    assert aliases.find_fault(OWN, fields("2023-06-01")) is not None
    aliases.note(b"two", "vehicle.identity/1", None, AUTHOR)
    assert aliases.find_fault(OWN, fields("2023-06-01")) is None


def test_fsck__a_store_with_aliases_and_withdrawals_is_clean(node: TestNode) -> None:
    with node.open() as writer:
        subject = vin_subject(1)
        garage = writer.enrol_member("Registry", "registration_authority")
        writer.append(node.operator.id, 3, [new_passport(1, 10)])
        ref = writer.find_chain(subject)
        alias = declare()["alias"]
        declared = make_item("vehicle.identity/1", subject, alias=alias)
        receipts = writer.append(garage.id, Basis.HOSTED, [more(ref, declared)]).receipts
        assert len(receipts) == 1
        writer.append(node.operator.id, 3, [more(writer.find_chain(subject), reading(subject, 20))])
        writer.take_census()
    node.check()
