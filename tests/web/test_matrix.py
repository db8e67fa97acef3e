"""Every route × every office, role and scope × every tenant, generated from the app's own list of routes.

An office that the policy does not let in is refused before anything is looked at. One that it lets in reaches its own
and, of others' things, gets exactly what it gets of things that do not exist. Design: security 9.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from carnet.services.principals import VISITOR, Principal
from carnet.web.policy import RouteLine, list_routes
from tests.web.town import VIN, WebTown, make_principals, make_reading, serving_town

PLACE = re.compile(r"\{(\w+):(\w+)\}")
DUMMY = {
    "passport": "pas_" + "0" * 32,
    "entry": "ent_" + "0" * 64,
    "member": "mem_" + "0" * 32,
    "job": "job_" + "0" * 32,
    "mapping": "map_" + "0" * 32,
}
BODIES: dict[str, Any] = {
    "/v1/passports": {"subject": {"scheme": "vin", "value": VIN}, "occasion": "import"},
    "/v1/entries": make_reading(1),
    "/v1/passports/{passport:str}/entries": make_reading(1, None),
}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTown]:
    """On PostgreSQL the worker asks under the database's own policies: they must take nothing from anybody."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").make_url()
    with serving_town(tmp_path_factory.mktemp("town"), store_url=url) as town:
        yield town


@pytest.fixture(scope="module")
def own(town: WebTown) -> dict[str, str]:
    """A passport that the dealer opened and the garage wrote in, with its holder, and the garage's entry in it."""
    passport = town.open()
    entry = town.record("garage").json()["entry"]
    town.hold(passport)
    return {"passport": passport, "entry": entry}


def fill(path: str, places: dict[str, str]) -> str:
    return PLACE.sub(lambda found: "1" if found[2] == "int" else places.get(found[1], "x"), path)


def callers(town: WebTown) -> dict[str, Principal]:
    return {"visitor": VISITOR, **make_principals(town.members)}


def call(town: WebTown, who: str, line: RouteLine, places: dict[str, str]) -> Any:
    body = BODIES.get(line.path) if line.method != "GET" else None
    return town.call(who, line.method, fill(line.path, places), body, headers={"Sec-Fetch-Site": "same-origin"})


def test_matrix__who_is_not_let_in_is_refused_by_every_route(town: WebTown, own: dict[str, str]) -> None:
    """401 for a visitor, 403 for anyone else: before body, object or anything else is looked at."""
    count = 0
    for line in list_routes(town.service.app):
        for who, principal in callers(town).items():
            if line.policy.is_let_in(principal):
                continue
            count += 1
            for places in (DUMMY, DUMMY | own):
                answer = call(town, who, line, places)
                assert answer.status_code == (401 if principal.is_visitor else 403), (who, line.method, line.path)
    assert count > 100


def test_matrix__others_things_are_as_if_they_did_not_exist(town: WebTown, own: dict[str, str]) -> None:
    """For everybody whom the policy lets in and who neither holds the passport nor wrote in it."""
    tenants = {"stranger", *(who for who in callers(town) if who.startswith(("insurer", "centre")))}
    count = 0
    for line in list_routes(town.service.app):
        if "{passport:str}" not in line.path:
            continue
        for who in sorted(tenants):
            if not line.policy.is_let_in(callers(town)[who]):
                continue
            count += 1
            there, absent = (call(town, who, line, DUMMY | places) for places in (own, {}))
            is_form = line.method == "POST" and not line.path.startswith("/v1/")
            # A form without its fields is told so, before anything is looked for.
            wanted = {404, 415, 422} if is_form else {404}
            assert there.status_code in wanted, (who, line.method, line.path, there.text)
            assert there.status_code == absent.status_code, (who, line.method, line.path)
            assert blank(there, own) == blank(absent, DUMMY), (who, line.method, line.path)
    assert count > 40


def blank(answer: Any, places: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The whole answer but for the request's id: body, headers, and thereby its length."""
    text = re.sub(r"req_[0-9a-f]+", "", answer.text)
    for name in ("passport", "entry"):
        text = text.replace(places[name], name)
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "ratelimit")}
    return text, headers


def test_matrix__ones_own_is_reached(town: WebTown, own: dict[str, str]) -> None:
    for line in list_routes(town.service.app):
        if not line.path.startswith("/v1/passports/{passport:str}") or line.method != "GET":
            continue
        for who in ("holder", "garage", "garage's reader"):
            if line.policy.is_let_in(callers(town)[who]):
                answer = call(town, who, line, DUMMY | own)
                assert answer.status_code in (200, 409), (who, line.path, answer.text)


def test_matrix__a_head_is_answered_as_the_get_without_its_body(town: WebTown, own: dict[str, str]) -> None:
    """Pages, the API, static files and the document alike; whom the guard turns away there it turns away here."""
    statuses = set()
    for line in list_routes(town.service.app):
        if line.method != "GET":
            continue
        for who in ("visitor", "holder", "garage", "garage's reader"):
            path = fill(line.path, DUMMY | own)
            read, asked = (town.call(who, method, path) for method in ("GET", "HEAD"))
            assert asked.content == b"", (who, line.path)
            assert asked.status_code == read.status_code, (who, line.path)
            named = [sorted(set(answer.headers) - VARYING) for answer in (read, asked)]
            assert named[0] == named[1], (who, line.path)
            statuses.add(asked.status_code)
    assert {200, 401, 403, 404} <= statuses


VARYING = {"set-cookie"}
"""Headers that an answer wears when it is the first of its kind."""


def test_matrix__a_get_never_writes_more_than_the_holders_journal(town: WebTown, own: dict[str, str]) -> None:
    def count() -> tuple[int, int]:
        with town.service.node.read() as reader:
            chain = bytes.fromhex(own["passport"][4:])
            return reader.count_passports(), len(list(reader.read_entries(chain)))

    before = count()
    for line in list_routes(town.service.app):
        if line.method == "GET" and line.path.startswith("/v1/"):
            for who in ("visitor", "holder", "garage", "insurer", "operator"):
                call(town, who, line, DUMMY | own)
    assert count() == before
