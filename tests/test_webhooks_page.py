"""docs/webhooks.md is true: its events are those that there are, its times the program's, and its receiver runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from carnet.outbound.addresses import Reach
from carnet.outbound.posting import TIMEOUT_S, Poster
from carnet.services.webhooks.endpoints import add_endpoint
from carnet.services.webhooks.events import EVENTS, make_example
from carnet.services.webhooks.keys import get_public_key
from carnet.services.webhooks.messages import MAX_FAILING_MS, PAUSES_MS
from carnet.services.webhooks.sending import AT_ONCE, OF_MEMBER, send_test
from carnet.vault.people.catalogue import DAY_MS, KEPT_MS
from tests.receivers import find_closed_port
from tests.services.accounts.ground import OPERATOR, open_ground
from tests.shared import ROOT

PAGE = ROOT / "docs" / "webhooks.md"
BEGIN, END = "<!-- generated: the events -->", "<!-- end of the events -->"


def make_events() -> str:
    """The part of the page that lists the events."""
    parts = []
    for event in EVENTS:
        example = json.dumps(make_example(event), indent=2)
        parts.append(f"### `{event.name}`\n\n{event.meaning}\n\n```json\n{example}\n```\n")
    return "\n".join(parts)


def test_page__lists_every_event_with_an_example() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n\n{make_events()}\n{END}{after}"
    if os.environ.get("CARNET_WRITE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
        text = wanted
    assert text == wanted, "run this test again with CARNET_WRITE_DOCS=1"


def test_page__its_times_are_those_of_the_program() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| after |")]
    units = {"s": 1_000, "min": 60_000, "h": 3_600_000}
    cells = [cell.split() for cell in row.strip("|").split("|")[1:]]
    assert [int(number) * units[unit] for number, unit in cells] == list(PAUSES_MS)
    assert f"within {TIMEOUT_S:.0f} seconds" in text
    assert "**five days**" in text
    assert MAX_FAILING_MS == 5 * DAY_MS
    assert "**thirty days**" in text
    assert KEPT_MS["webhook_message"] == 30 * DAY_MS
    assert AT_ONCE == 16
    assert "sixteen addresses" in text
    assert OF_MEMBER == 4
    assert "four of one member" in text


def test_receiver__of_ten_lines_takes_what_is_genuine_and_nothing_else(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) == 10
    port = find_closed_port()
    reach = Reach(is_local=True)
    with open_ground(tmp_path / "people.sqlite") as ground:
        ground.clock.now = time.time_ns() // 1_000_000
        mine, other = (
            add_endpoint(ground.office, OPERATOR, bytes([n]) * 16, f"http://127.0.0.1:{port}/", reach=reach)
            for n in (1, 2)
        )
        script = block.replace("whpk_…", get_public_key(ground.office, mine)).replace("9000", str(port))
        assert script != block
        log = tmp_path / "log"
        with log.open("wb") as out:
            process = subprocess.Popen([sys.executable, "-u", "-c", script], stdout=out, stderr=subprocess.DEVNULL)
        try:
            poster, until = Poster(reach, 5.0), time.monotonic() + 20
            while not send_test(ground.office, OPERATOR, mine.public_id, poster).outcome.is_delivered:
                assert time.monotonic() < until, "the receiver took nothing"
                time.sleep(0.5)
            assert f"webhook.test {{'webhook': '{mine.public_id}'}}" in log.read_text()
            assert send_test(ground.office, OPERATOR, other.public_id, poster).outcome.status is None
            assert other.public_id not in log.read_text()
        finally:
            process.kill()
            process.wait()
