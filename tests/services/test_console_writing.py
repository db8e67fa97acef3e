"""What a desk may write, and the vehicle that a clerk names by its plate, also while plates are still being read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.writer import Writer
from carnet.services.console.writing import REREAD_MS, KnownPlates, get_schema, list_writable
from carnet.types import Basis
from tests.node.home import TestNode, make_item, make_node, more, new_passport, vin_subject

DAY = "2023-05-04"
ALIAS = {"from": "2020-01-01", "until": None, "subject": {"scheme": "plate", "country": "FR", "value": "AB-123-CD"}}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[tuple[TestNode, Writer]]:
    node = make_node(tmp_path)
    with node.open() as opened:
        opened.append(node.operator.id, Basis.REPORTED, [new_passport(n, 1) for n in (0, 1)])
        yield node, opened
    node.check()


def sign_for(node: TestNode, writer: Writer, number: int, plate: str) -> None:
    dealer = next((one for one in writer.state.members.all if one.name == "A dealer"), None)
    member = writer.enrol_member("A dealer", "dealer") if dealer is None else dealer
    alias = {**ALIAS, "subject": {**ALIAS["subject"], "value": plate}}  # type: ignore[dict-item]
    with node.read() as reader:
        chain = reader.find_chain(vin_subject(number))
    writer.append(
        member.id, Basis.HOSTED, [more(chain, make_item("vehicle.identity/1", vin_subject(number), alias=alias))]
    )


def find(plates: KnownPlates, node: TestNode, text: str) -> str:
    """Asked until the plates were read."""
    until = time.monotonic() + 20
    while True:
        with node.read() as reader:
            try:
                return plates.find_vehicle(reader, text, DAY).value
            except Refused as refused:
                if refused.reason is not Reason.WRITER_BUSY or time.monotonic() > until:
                    raise
        time.sleep(0.01)


@pytest.mark.parametrize("patience_s", [0.0, 20.0])
def test_plates__are_read_beside_the_requests_and_again_when_one_may_be_new(
    writer: tuple[TestNode, Writer], patience_s: float
) -> None:
    node, opened = writer
    sign_for(node, opened, 0, "AB-123-CD")
    plates = KnownPlates(opened, node.clock, patience_s)
    assert find(plates, node, "ab 123 cd") == vin_subject(0).value
    sign_for(node, opened, 1, "CD-456-EF")
    with pytest.raises(Refused) as refused:
        find(plates, node, "CD-456-EF")
    assert refused.value.reason is Reason.UNKNOWN_PASSPORT
    node.clock.now += REREAD_MS
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            assert find(plates, node, "CD-456-EF") == vin_subject(1).value
            break
        except Refused:
            # The ones before are told until the new ones were read.
            time.sleep(0.01)
    assert find(plates, node, "AB-123-CD") == vin_subject(0).value


def test_plates__are_not_read_for_a_vin(writer: tuple[TestNode, Writer]) -> None:
    node, opened = writer
    plates = KnownPlates(opened, node.clock, 0)
    assert find(plates, node, "WVWZZZ1KZ7P123456") == "WVWZZZ1KZ7P123456"
    assert find(plates, node, str(vin_subject(0))) == vin_subject(0).value


def test_list_writable__what_rules_and_accreditation_allow(writer: tuple[TestNode, Writer]) -> None:
    node, opened = writer
    garage = opened.enrol_member("A garage", "garage")
    kinds = list_writable(opened.state, garage, Basis.HOSTED)
    assert kinds[0] == "vehicle.odometer/1"
    assert {"vehicle.service/1", "vehicle.repair/1"} <= set(kinds)
    assert not any(kind.startswith(("passport.", "journal.")) for kind in kinds)
    assert "vehicle.inspection/1" not in kinds
    opened.accredit(garage.id, [one for one in garage.accreditations if one[0] != "vehicle.service/1"])
    assert "vehicle.service/1" not in list_writable(opened.state, opened.state.members.get(garage.id), Basis.HOSTED)
    with node.read() as reader:
        for kind in ("vehicle.nothing/1", "passport.contested/1"):
            with pytest.raises(Refused) as refused:
                get_schema(reader, kind)
            assert refused.value.reason is Reason.UNKNOWN_KIND
