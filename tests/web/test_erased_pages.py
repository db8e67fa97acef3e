"""What pages say of an entry whose contents were erased: that they were, and never a way that leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from carnet.node.acts import Erase
from tests.web.test_console import object_to_entry
from tests.web.workshop import Workshop, opening_workshop


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with opening_workshop(tmp_path_factory.mktemp("workshop")) as made:
        yield made


def test_pages__of_an_erased_entry_say_so_and_offer_nothing_that_is_refused(shop: Workshop) -> None:
    shop.be("clerk")
    own = shop.seal(odometer="42000")
    seq, chain = int(own.rpartition("/")[2]), bytes.fromhex(shop.passport[4:])
    object_to_entry(shop, chain, seq, "It was 39,000")
    objection = len(shop.list_kinds()) - 1
    shop.lodge.node.writers[0].perform(Erase(chain, (seq,), "holder_request"))

    entry = shop.get(own)
    assert "Contents erased" in entry
    assert f"{own}/proof" not in entry
    assert f"{own}/correct" not in entry
    assert "date unknown" not in entry
    listed = shop.get(own.partition("/entries/")[0])
    assert "Contents erased" in listed
    assert f"{own}/proof" not in listed
    shop.get(f"{own}/correct", 404)

    shop.be("holder")
    base = f"/vehicles/{shop.passport}"
    history = shop.get(f"{base}/history")
    event = history.partition(f'id="e{seq}"')[2].partition("</li>")[0]
    assert "Contents erased" in event
    assert "date erased" in event
    entry = shop.get(f"{base}/entries/{seq}")
    assert f'href="{base}/entries/{seq}/proof"' not in entry
    assert f'href="{base}/proof"' in entry
    # What a holder objected is no declaration, and cannot be written again: nothing says that it can.
    for path in re.findall(r'href="([^"#?]+/(?:correct|contest))"', shop.get(f"{base}/entries/{objection}")):
        shop.get(path)
