"""What a census costs: as much as what changed, and not as much as what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from carnet.types import Basis
from tests.node.home import TestNode, make_node, more, new_passport, reading, vin_subject

CHANGED = 20


def count_work(node: TestNode, passports: int, *, is_new_writer: bool) -> int:
    """The steps that SQLite makes for a census after CHANGED of so many passports have one more entry each, in units of
    ten of its virtual machine's instructions."""
    writer = node.open()
    for at in range(0, passports, 500):
        writer.append(node.operator.id, Basis.REPORTED, [new_passport(n) for n in range(at, min(at + 500, passports))])
    writer.take_census()
    grown = [
        more(writer.find_chain(vin_subject(n)), reading(vin_subject(n), 5))
        for n in range(0, passports, passports // CHANGED)
    ]
    assert len(writer.append(node.operator.id, Basis.REPORTED, grown).receipts) == CHANGED
    if is_new_writer:
        # One that has to read all that it knows.
        writer.close()
        writer = node.open()
    steps = 0

    def tick() -> int:
        nonlocal steps
        steps += 1
        return 0

    writer._connection.set_progress_handler(tick, 10)  # type: ignore[attr-defined]
    assert writer.count_changed() == CHANGED
    writer.take_census()
    writer._connection.set_progress_handler(None, 10)  # type: ignore[attr-defined]
    writer.close()
    return steps


@pytest.mark.parametrize("is_new_writer", [False, True], ids=["same writer", "new writer"])
def test_take_census__costs_what_changed_and_not_what_there_is(tmp_path: Path, is_new_writer: bool) -> None:
    work = []
    for passports in (400, 4_000):
        node = make_node(tmp_path / str(passports))
        work.append(count_work(node, passports, is_new_writer=is_new_writer))
    print(work)
    # A tree of ten times as many leaves is a level or two higher.
    assert 0 < work[1] < 3 * work[0]
