"""The short way to a handler: it answers as the ordinary way does, which everything else still takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Response, post

from carnet.errors import InvariantBroken
from carnet.web.policy import OPEN
from carnet.web.short import ShortWay
from tests.web.desk import serving
from tests.web.town import VIN, WebTown, make_reading, serving_town

pytestmark = pytest.mark.apart

ORDINARY = "?proof=0"
"""Whatever says something in the query takes the ordinary way."""

UNALIKE = frozenset({"request_id", "entry", "seq", "receipt", "proof"})
BODIES: tuple[bytes, ...] = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"kind": "vehicle.odometer/1"}',
    b"[" * 100_000,
    b'{"kind": 3, "occurred": {}, "fields": {}}',
)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[WebTown]:
    with serving_town(tmp_path) as town:
        town.open()
        assert town.record("garage").status_code == 201
        yield town


def list_paths(town: WebTown) -> list[str]:
    passport = town.call("dealer", "GET", f"/v1/passports?value={VIN}").json()["data"][0]["id"]
    return ["/v1/entries", f"/v1/passports/{passport}/entries"]


def tell(answer: Any) -> tuple[int, dict[str, Any], set[str]]:
    """Status and body, without what differs between any two requests; and which headers there are."""
    body = {name: value for name, value in answer.json().items() if name not in UNALIKE}
    return answer.status_code, body, set(answer.headers)


def test_short_way__is_that_of_the_appends(town: WebTown) -> None:
    found = {
        route.path
        for route in town.service.client.app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler.opt.get("short"), ShortWay)
    }
    assert found == {"/v1/entries", "/v1/passports/{passport:str}/entries"}


def test_short_way__answers_as_the_ordinary_one(town: WebTown) -> None:
    good = make_reading(42_000)
    bad = [
        {**good, "kind": "vehicle.nothing/1"},
        {**good, "more": 1},
        {**good, "fields": {"odometer_km": "many", "odometer_state": "read"}},
        {**good, "fields": {"odometer_km": -5, "odometer_state": "read"}},
        {**good, "occurred": {"at": "2999-01-01", "precision": "day", "zone": None}},
        {**good, "occurred": 5},
        {name: value for name, value in good.items() if name != "occurred"},
        {**good, "corrects": "ent_0"},
        {**good, "subject": {"scheme": "vin", "value": "no VIN"}},
    ]
    for path in list_paths(town):
        short, ordinary = (tell(town.call("garage", "POST", path + query, good)) for query in ("", ORDINARY))
        assert short == ordinary
        assert short[0] == 201
        assert {"ratelimit", "x-request-id", "content-security-policy", "content-length"} <= short[2]
        for body in bad:
            short, ordinary = (tell(town.call("garage", "POST", path + query, body)) for query in ("", ORDINARY))
            assert short == ordinary, body
            assert short[0] >= 400, body


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_short_way__what_is_no_body_of_it_is_explained_by_the_ordinary_one(town: WebTown, body: bytes) -> None:
    for path in list_paths(town):
        short, ordinary = (
            tell(town.call("garage", "POST", path + query, content=body, headers={"Content-Type": "application/json"}))
            for query in ("", ORDINARY)
        )
        assert short == ordinary
        assert 400 <= short[0] < 500
        assert short[1]["code"]


def test_short_way__a_body_that_is_too_large_is_refused_as_elsewhere(town: WebTown) -> None:
    large = b" " * (town.service.desk.settings.max_body_bytes + 1)
    head = {"Content-Type": "application/json"}
    told = [
        tell(town.call("garage", "POST", f"/v1/entries{query}", content=large, headers=head))
        for query in ("", ORDINARY)
    ]
    assert told[0] == told[1]
    assert told[0][0] == 413


def test_short_way__stands_behind_the_same_guard(town: WebTown) -> None:
    for who, status in (("visitor", 401), ("garage's reader", 403), ("unknown", 401)):
        short, ordinary = (
            tell(town.call(who, "POST", f"/v1/entries{query}", make_reading(1))) for query in ("", ORDINARY)
        )
        assert short == ordinary
        assert short[0] == status


def test_short_way__refused_for_a_handler_that_is_not_called_so(tmp_path: Path) -> None:
    @post("/v1/elsewhere", opt={"policy": OPEN, "is_short": True}, sync_to_thread=False)
    def elsewhere() -> Response[bytes]:
        return Response(b"")

    with pytest.raises(InvariantBroken), serving(tmp_path, [elsewhere]):
        pass
