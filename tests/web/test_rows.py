"""With the application's filter off, the database alone keeps a passport from whoever may not see it; and without its
policy it does not, so that it is the policy which does. Design: security 14; ADR 20."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from carnet.node.home import Home
from carnet.services.access import View
from carnet.vault.guarding import NAME, POLICIES
from tests.postgres import Cluster
from tests.web.test_matrix import (
    own,
    test_matrix__ones_own_is_reached,
    test_matrix__others_things_are_as_if_they_did_not_exist,
    test_matrix__who_is_not_let_in_is_refused_by_every_route,
)
from tests.web.town import VIN, WebTown
from tests.web.unfiltered import serving_unfiltered

__all__ = [
    "own",
    "test_matrix__ones_own_is_reached",
    "test_matrix__others_things_are_as_if_they_did_not_exist",
    "test_matrix__who_is_not_let_in_is_refused_by_every_route",
]


@pytest.fixture(scope="module")
def town(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebTown]:
    with serving_unfiltered(tmp_path_factory.mktemp("town"), postgres.make_url()) as town:
        yield town


@contextmanager
def changed(town: WebTown, seen: str) -> Iterator[None]:
    """The policy says something else within the block."""
    town.service.desk.shelf.pop("kept", None)
    url = Home(town.service.node.path).address
    assert isinstance(url, str)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"ALTER POLICY {NAME} ON passport_key USING ({seen})".encode())
        try:
            yield
        finally:
            owner.execute(f"ALTER POLICY {NAME} ON passport_key USING ({POLICIES['passport_key']})".encode())
            # What a worker has drawn for a caller it keeps for this caller.
            town.service.desk.shelf.pop("kept", None)


READS = [
    ("stranger", "/v1/passports/{passport}", VIN),
    ("stranger", "/v1/passports/{passport}/entries", "vehicle.odometer/1"),
    ("stranger", "/v1/passports/{passport}/entries/{entry}", "41000"),
    ("stranger", "/vehicles/{passport}", VIN),
    ("insurer", "/v1/passports/{passport}/entries", '"object":"list"'),
    ("insurer's reader", "/v1/passports/{passport}/entries", '"object":"list"'),
    ("centre's clerk", "/console/vehicles/{passport}", VIN),
]


@pytest.mark.parametrize("who, path, shown", READS)
def test_policy__is_what_keeps_a_passport_from_others(
    town: WebTown, own: dict[str, str], who: str, path: str, shown: str
) -> None:
    """Without the policy the same request shows a vehicle that is somebody else's: so the application's filter is
    really off, and the policy is really what is tested."""
    path = path.format(**own)
    assert town.call(who, "GET", path).status_code == 404
    with changed(town, "true"):
        answer = town.call(who, "GET", path)
        assert (answer.status_code, shown in answer.text) == (200, True), answer.text
    assert town.call(who, "GET", path).status_code == 404


def test_policy__that_forgets_one_office_keeps_it_out(town: WebTown, own: dict[str, str]) -> None:
    """Its own passport is kept even from its holder, if the policy knows none: nothing goes round it."""
    path = f"/v1/passports/{own['passport']}"
    for who in ("holder", "dealer", "garage's reader"):
        assert town.call(who, "GET", path).status_code == 200
        with changed(town, "false"):
            assert town.call(who, "GET", path).status_code == 404, who


def test_contents__of_others_entries_are_kept_back_though_the_application_shows_them(
    town: WebTown, own: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a passport too: a garage that wrote in it once sees what it wrote, and the opening."""
    path = f"/v1/passports/{own['passport']}/entries"
    assert town.record("dealer", 42_000).status_code == 201
    own_ids = {one["id"] for one in town.call("garage", "GET", path).json()["data"]}
    with monkeypatch.context() as patch:
        patch.setattr(View, "is_open", lambda self, member, basis: True)
        town.service.desk.shelf.pop("kept", None)
        found = town.call("garage", "GET", path).json()["data"]
        others = [one for one in found if one["id"] not in own_ids and one["seq"]]
        assert others
        assert [one["fields"] for one in others] == [None] * len(others)
        assert all(one["fields"] for one in found if one["id"] in own_ids)
        town.service.desk.shelf.pop("kept", None)
        whole = town.call("holder", "GET", path).json()["data"]
        assert all(one["fields"] for one in whole)
    town.service.desk.shelf.pop("kept", None)
