"""A member's entries are taken away whole, part by part, whatever is sealed meanwhile."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services.access import View
from carnet.services.accounts.sessions import find_principal
from carnet.services.console.taking_out import PART, take_out
from carnet.services.principals import Principal, Standing
from tests.node.home import new_passport
from tests.web.workshop import HTML, OTHER_VIN, Workshop, opening_workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with opening_workshop(tmp_path) as made:
        made.be("clerk")
        yield made


def test_take_out__goes_on_part_by_part_and_leaves_out_what_is_sealed_meanwhile(shop: Workshop) -> None:
    for km in range(52_000, 52_007):
        shop.seal(odometer=str(km))
    clerk = find_principal(shop.lodge.office, shop.sessions["clerk"])
    assert clerk is not None
    noted: list[int] = []

    def note(reader: Reader, view: View, kinds: list[str]) -> None:
        noted.append(len(kinds))

    desk = shop.lodge.desk
    entries = take_out(desk.reading, desk.shelf["holdings"], clerk, note, since=None, until=None, part=3)
    assert noted == [3], "the first part is read at once, so that what is wrong is told in time"
    first = next(entries)
    shop.seal(odometer="60000")
    found = [first, *entries]
    readings = [one.fields["odometer_km"] for one in found if one.fields is not None]
    assert readings == [52_006, 52_005, 52_004, 52_003, 52_002, 52_001, 52_000]
    assert noted == [3, 3, 1]


def test_take_out__refused_unknown_member_before_anything_is_sent(shop: Workshop) -> None:
    desk = shop.lodge.desk
    with pytest.raises(Refused) as caught:
        take_out(
            desk.reading, desk.shelf["holdings"], Principal(Standing.OPERATOR), lambda *_: None, since=None, until=None
        )
    assert caught.value.reason is Reason.UNKNOWN_MEMBER


def test_pages__give_more_entries_than_are_read_at_once(shop: Workshop) -> None:
    node = shop.lodge.node
    writer = node.writers[0]
    count = 2 * PART + 50
    shop.be("dealer")
    done = writer.append(shop.members["dealer"], 2, [new_passport(7, *range(1_000, 1_000 + count))])
    assert not done.refusals
    lines = shop.client.get("/console/use/entries.jsonl", headers=HTML)
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    entries = [json.loads(line) for line in lines.text.splitlines()]
    assert len({one["id"] for one in entries}) == len(entries) >= count
    table = shop.client.get("/console/use/entries.csv", headers=HTML)
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert [row["entry"] for row in rows] == [one["id"] for one in entries]
    assert OTHER_VIN not in {row["vehicle"] for row in rows}
