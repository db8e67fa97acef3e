"""docs/api.md and docs/sdk.md are true: the reference is the contract's, and the quickstart runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.sdk import Client
from carnet.web.api.openapi import make_openapi
from carnet.web.api.reference import make_reference, put_reference
from tests.sdk.server import Served, serving_on_socket
from tests.shared import ROOT
from tests.web.town import serving_town

API, SDK = ROOT / "docs" / "api.md", ROOT / "docs" / "sdk.md"
QUICK_VIN = "VF1RFB00X56123456"
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving_on_socket(tmp_path_factory.mktemp("served")) as served:
        # The clock of the tests stands in 2023; the page speaks of 2026.
        served.town.service.node.clock.now += 3 * 366 * DAY_MS
        yield served


def test_reference__is_that_of_the_contract(tmp_path: Path) -> None:
    with serving_town(tmp_path) as town:
        wanted = put_reference(API.read_text(encoding="utf-8"), make_reference(make_openapi(town.service.app)))
    if os.environ.get("CARNET_WRITE_DOCS"):
        API.write_text(wanted, encoding="utf-8")
    assert API.read_text(encoding="utf-8") == wanted, "run this test again with CARNET_WRITE_DOCS=1"


def read_blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.program_alone("that others wrote in a passport in which one wrote, and its opening")
def test_quickstart__five_lines_run(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    with Client(served.address, "dealer") as carnet:
        carnet.passports.open(QUICK_VIN, "first_registration")
    block = read_blocks(SDK)[0]
    assert len([line for line in block.splitlines() if line.strip()]) == 5
    exec(  # our own documentation
        block.replace("http://127.0.0.1:8140", served.address).replace("ck_test_…", "garage"), {}
    )
    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Entry(")]
    assert "'odometer_km': 61250" in said
