"""The sandbox: a vehicle and a curl line before any account, in a network for trying things and nowhere else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.proof.verify import verify_bundle
from carnet.services.sandbox import SIMULATED, VEHICLE, open_sandbox
from carnet.tlog.policy import parse_policy
from tests.node.home import is_good, new_passport
from tests.sdk.server import serving_on_socket
from tests.shared import ROOT
from tests.web.town import WebTown, serving_town

CURL = re.compile(r"^curl -s (http://127\.0\.0\.1:8140)(/v1/sandbox/\S+)$", re.MULTILINE)


@pytest.fixture(params=["sqlite", "postgres"])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WebTown]:
    """A database shows a visitor no passport by itself: those of the sandbox are opened for them."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").make_url()
    with serving_town(tmp_path, network="test.example.org", store_url=url) as town:
        open_sandbox(town.service.node.writers[0])
        yield town


def test_sandbox__is_seen_by_anybody_and_proves(town: WebTown) -> None:
    found = town.call("visitor", "GET", "/v1/sandbox/passports").json()["data"][0]
    shown = town.call("visitor", "GET", found["url"]).json()
    assert (shown["sees"], shown["subject"]["scheme"], shown["entry_count"]) == ("whole", "sandbox", 6)
    page = town.call("visitor", "GET", f"{found['url']}/entries?limit=4").json()
    assert (page["data"][0]["fields"]["odometer_km"], page["has_more"]) == (71_350, True)
    proof = town.call("visitor", "GET", f"{found['url']}/proof").content
    policy = parse_policy(town.call("visitor", "GET", "/v1/policy").content)
    assert is_good(verify_bundle(proof, policy, town.service.node.clock()))


def test_sandbox__each_vehicle_shows_what_it_says(town: WebTown) -> None:
    listed = town.call("visitor", "GET", "/v1/sandbox/passports").json()["data"]
    assert len(listed) == len(SIMULATED) == 5
    lives = [town.call("visitor", "GET", f"{one['url']}/entries").json()["data"] for one in listed]
    readings = [[one for one in life if one["kind"] == "vehicle.odometer/1"] for life in lives]
    new, old = sorted(readings[1][:2], key=lambda one: one["fields"]["odometer_km"])
    assert (old["state"], old["superseded_by"], new["target"]) == ("superseded", new["id"], old["id"])
    assert [one["fields"]["odometer_km"] for one in readings[2]] == [61_150, 98_400]
    assert {one["state"] for one in lives[2]} == {"stands"}
    assert readings[3][0]["occurred"] == {"at": "2018", "precision": "year", "zone": None}
    for one in listed:
        assert town.call("visitor", "GET", f"{one['url']}/proof").status_code == 200


def test_sandbox__shows_no_other_vehicle(town: WebTown) -> None:
    passport = town.open()
    for part in ("", "/entries", "/proof"):
        there = town.call("visitor", "GET", f"/v1/sandbox/passports/{passport}{part}")
        assert (there.status_code, there.json()["code"]) == (404, "unknown_passport")


def test_open_sandbox__once(town: WebTown) -> None:
    writer = town.service.node.writers[0]
    assert open_sandbox(writer) == open_sandbox(writer)


def test_sandbox__is_in_no_live_network(tmp_path: Path) -> None:
    with serving_town(tmp_path) as live:
        writer = live.service.node.writers[0]
        assert open_sandbox(writer) is None
        group = new_passport(1)
        opening = group.items[0]
        fields = {**opening.fields, "subject": VEHICLE.to_json()}  # type: ignore[dict-item]
        writer.append(live.service.node.operator.id, 3, [group._replace(items=[opening._replace(fields=fields)])])
        assert live.call("visitor", "GET", "/v1/sandbox/passports").status_code == 404


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_docs__the_curl_line_works_before_any_account(tmp_path: Path) -> None:
    found = CURL.search((ROOT / "docs" / "api.md").read_text(encoding="utf-8"))
    assert found is not None
    with serving_on_socket(tmp_path, network="demo.carnet") as served:
        open_sandbox(served.town.service.node.writers[0])
        ran = subprocess.run(["curl", "-s", served.address + found[2]], capture_output=True, timeout=30)
        listed = json.loads(ran.stdout)
        assert listed["data"][0]["url"].startswith("/v1/sandbox/passports/pas_")
