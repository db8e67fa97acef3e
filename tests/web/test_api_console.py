"""A member's own book and its codes through the API and the client: its own alone, page by page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from carnet.sdk import Client, Conflict, Invalid, NotFound
from tests.sdk.server import Served, serving_on_socket
from tests.web.town import OTHER_VIN, VIN


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving_on_socket(tmp_path_factory.mktemp("served")) as served:
        for vin in (VIN, OTHER_VIN):
            served.town.open(vin=vin)
            for km in range(4):
                assert served.town.record("garage", 41_000 + km, vin).status_code == 201
        yield served


def test_own_entries__are_listed_and_go_on_from_a_cursor(served: Served) -> None:
    with Client(served.address, "garage") as garage:
        found = list(garage.desk.entries())
        assert len(found) == 8
        assert {one.subject["value"] for one in found} == {VIN, OTHER_VIN}
        assert garage.entries.get(found[0].passport, found[0].id).fields == {
            **dict.fromkeys(("comparison", "establishment", "method", "odometer_mi", "purpose")),
            "odometer_km": 41_003, "odometer_state": "read",
        }  # fmt: skip
    town, seen, after = served.town, list[str](), None
    while True:
        params = {"limit": 3} | ({"starting_after": after} if after else {})
        page = town.call("garage's reader", "GET", "/v1/entries", params=params).json()
        seen += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = page["data"][-1]["cursor"]
    assert seen == [one.id for one in found]
    with Client(served.address, "dealer") as dealer:
        assert {one.kind for one in dealer.desk.entries(kinds=["passport.opened/1"])} == {"passport.opened/1"}
    assert town.call("insurer", "GET", "/v1/entries").json()["data"] == []


def test_own_entries__of_days(served: Served) -> None:
    town = served.town
    with Client(served.address, "garage") as garage:
        use = garage.desk.use()
        assert (len(use), sum(one.sealed for one in use)) == (30, 8)
        today = use[-1].day
        assert use[-1].kinds == {"vehicle.odometer/1": 8}
        assert len(list(garage.desk.entries(since=today, until=today))) == 8
        assert list(garage.desk.entries(until=use[0].day)) == []
    for query, code in (
        ("entries?since=now", "invalid_time"),
        ("entries?starting_after=ent_1", "value_out_of_range"),
        ("entries?kind=vehicle.nothing/1", "unknown_kind"),
        ("entries?limit=0", "value_out_of_range"),
        (f"use?since={today}&until=2020-01-01", "ends_before_start"),
        ("use?since=2020-01-01", "value_out_of_range"),
        ("use?until=0001-01-01", "invalid_time"),
        ("use?until=9999-12-31", "invalid_time"),
        ("entries?since=0001-01-01", "invalid_time"),
        ("entries?until=9999-12-31", "invalid_time"),
    ):
        answer = town.call("garage", "GET", f"/v1/{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, code), query


def test_own_entries__a_cursor_tells_nothing_of_what_others_wrote(served: Served) -> None:
    """Seq 0 of the passport is the dealer's, 1 to 4 are the garage's, 9 is nobody's."""
    town = served.town
    with Client(served.address, "dealer") as dealer:
        passport = str(dealer.passports.find(VIN))

    def ask(who: str, passport: str, seq: int) -> str:
        answer = town.call(who, "GET", f"/v1/entries?starting_after={passport}.{seq}")
        assert answer.status_code in (200, 422)
        return "taken" if answer.status_code == 200 else str(answer.json()["code"])

    assert [ask("garage", passport, seq) for seq in (1, 4)] == ["taken", "taken"]
    assert ask("dealer", passport, 0) == "taken"
    nothing = ask("insurer", f"pas_{'0' * 32}", 0)
    assert nothing == "value_out_of_range"
    for who, seqs in (("insurer", (0, 1, 4, 9)), ("garage", (0, 9)), ("dealer", (1, 4, 9))):
        assert {ask(who, passport, seq) for seq in seqs} == {nothing}, who


def test_codes__listed_and_withdrawn_by_their_member_alone(served: Served) -> None:
    with Client(served.address, "dealer") as dealer, Client(served.address, "centre") as centre:
        passport = dealer.passports.find(VIN)
        made = [dealer.desk.issue_code(passport) for _ in range(3)]
        assert len({one.code for one in made}) == 3
        assert {one.id for one in dealer.desk.codes()} == {one.id for one in made}
        assert list(centre.desk.codes()) == []
        with pytest.raises(NotFound):
            centre.desk.revoke_code(made[0].id)
        for _ in range(2):
            assert dealer.desk.revoke_code(made[0].id).state == "revoked"
        assert sorted(one.state for one in dealer.desk.codes()) == ["in_force", "in_force", "revoked"]
        with pytest.raises(NotFound):
            dealer.desk.revoke_code("cod_1")
    town = served.town
    done = town.call("holder", "POST", "/v1/claims", {"code": made[1].code, "vehicle": VIN})
    assert done.status_code == 201, done.text
    with Client(served.address, "dealer") as dealer, pytest.raises((Conflict, Invalid)):
        dealer.desk.revoke_code(made[1].id)
    page = town.call("dealer's reader", "GET", "/v1/claim-codes", params={"limit": 2}).json()
    assert (len(page["data"]), page["has_more"]) == (2, True)
    assert all("code" not in one for one in page["data"])
    assert town.call("dealer's reader", "DELETE", f"/v1/claim-codes/{made[2].id}").status_code == 403
