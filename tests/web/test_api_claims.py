"""Claiming through the API, who one is, and how much one may ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carnet.services.holdings import Holdings
from carnet.services.principals import Standing
from carnet.web.api.quota import VISITOR_LIMIT, WINDOW_MS, Quota
from tests.web.town import OTHER_VIN, VIN, WebTown, serving_town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with serving_town(tmp_path) as town:
        town.service.desk.shelf["holdings"] = Holdings(town.office)
        yield town


def test_claim__with_a_printed_code_once(town: WebTown) -> None:
    passport = town.open()
    assert town.call("holder", "GET", f"/v1/passports/{passport}").status_code == 404
    issued = town.call("dealer", "POST", "/v1/claim-codes", {"passport": passport})
    assert issued.status_code == 201, issued.text
    code = issued.json()["code"]
    wrong = town.call("holder", "POST", "/v1/claims", {"code": code, "vehicle": OTHER_VIN})
    assert wrong.json()["code"] == "code_not_valid"
    done = town.call("holder", "POST", "/v1/claims", {"code": code, "vehicle": VIN})
    assert (done.status_code, done.json()["passport"], done.json()["state"]) == (201, passport, "held")
    assert town.call("holder", "GET", f"/v1/passports/{passport}").json()["sees"] == "whole"
    again = town.call("stranger", "POST", "/v1/claims", {"code": code})
    assert again.json()["code"] == "code_not_valid"
    with town.service.node.read() as reader:
        assert reader.find_journal(bytes.fromhex(passport[4:]), 0) is not None


def test_claim_code__only_by_who_opened_or_serviced(town: WebTown) -> None:
    passport = town.open()
    refused = town.call("garage", "POST", "/v1/claim-codes", {"passport": passport})
    absent = town.call("garage", "POST", "/v1/claim-codes", {"passport": "pas_" + "0" * 32})
    assert (refused.status_code, absent.status_code) == (404, 404)


@pytest.mark.parametrize("who", ["visitor", "holder", "garage", "garage's clerk", "operator"])
def test_me__says_who_one_is(town: WebTown, who: str) -> None:
    me = town.call(who, "GET", "/v1/me").json()
    assert me["standing"] in set(Standing)
    assert (me["member_name"] == "The garage") == who.startswith("garage")
    assert (me["scopes"] != []) == (who == "garage")


def test_quota__is_told_and_kept(town: WebTown) -> None:
    first, second = (town.call("visitor", "GET", "/v1/policy") for _ in range(2))
    assert first.headers["ratelimit-policy"] == f'"minute";q={VISITOR_LIMIT};w=60'
    assert f";r={VISITOR_LIMIT - 2};" in second.headers["ratelimit"]
    quota, now = town.service.desk.shelf["quota"], town.service.node.clock.now
    while quota.take(("testclient",), VISITOR_LIMIT, now) > 0:
        pass
    refused = town.call("visitor", "GET", "/v1/policy")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert town.call("garage", "GET", "/v1/policy").status_code == 200, "another caller is served"
    town.service.node.clock.now += WINDOW_MS
    assert town.call("visitor", "GET", "/v1/policy").status_code == 200


def test_quota__begins_anew_each_minute() -> None:
    quota = Quota()
    assert [quota.take(("a",), 2, now) for now in (0, 1, 2, WINDOW_MS)] == [1, 0, -1, 1]
    assert quota.take(("b",), 2, WINDOW_MS) == 1
