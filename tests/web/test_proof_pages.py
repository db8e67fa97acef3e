"""Proofs for people: whoever clicks gets the file, also where a census was taken a moment ago, for whomsoever."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from litestar.testing import TestClient

from carnet.proof.verify import verify_bundle
from carnet.tlog.policy import parse_policy
from carnet.web.app import make_app
from tests.node.home import is_good
from tests.web.town import serving_town


@pytest.mark.parametrize(
    "who, page", [("holder", "/vehicles"), ("garage's clerk", "/console/vehicles")], ids=["holder", "clerk"]
)
def test_proof__of_what_was_written_a_moment_ago_comes_to_whoever_waits(tmp_path: Path, who: str, page: str) -> None:
    with serving_town(tmp_path) as town:
        passport = town.open()
        assert town.record("garage").status_code == 201
        town.hold(passport)
        # Whoever asks for a proof has a census taken, which knows nothing of what is written after it.
        assert town.call("garage", "GET", f"/v1/passports/{passport}/proof").status_code == 200
        assert town.record("garage", 42_000).status_code == 201
        now, begun = town.service.node.clock(), time.monotonic()
        desk = town.service.desk
        ticking = make_app(replace(desk, clock=lambda: now + int((time.monotonic() - begun) * 1000)))
        headers = {"Authorization": f"Bearer {who}"}
        with TestClient(ticking, base_url=desk.origin, raise_server_exceptions=False) as client:
            for path in (f"{page}/{passport}/proof", f"{page}/{passport}/entries/2/proof"):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 200, answer.text
                with desk.reading() as reader:
                    policy = parse_policy(reader.get_policy())
                assert is_good(verify_bundle(answer.content, policy, now + 5_000))
