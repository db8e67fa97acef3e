"""Views of a vehicle in an app, on each kind of database that keeps people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from carnet.errors import Reason, Refused
from carnet.services.accounts.office import Office
from carnet.services.accounts.registry import HOLDER, insert_account
from carnet.services.app_views import VALID_MS, end_view, grant_view, list_views, use_view
from carnet.services.appearance.looks import find_look, set_look
from carnet.services.holdings import Holdings, begin_holding
from carnet.services.principals import Principal, Standing
from carnet.vault.people.store import open_people_store
from tests.services.accounts.ground import OPERATOR
from tests.web.lodge import Lodge, lodging

APP = "https://app.example"


@pytest.fixture(params=["sqlite", "postgres"])
def lodge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        if request.param == "postgres":
            with open_people_store(request.getfixturevalue("postgres").make_url()) as people:
                yield replace(made, office=replace(made.office, people=people))
        else:
            yield made


def join(office: Office, passport: bytes) -> Principal:
    with office.people.write() as connection:
        account = insert_account(connection, office, HOLDER, "Camille", office.random_bytes(32))
        begin_holding(connection, office, passport, 0, account.id, "claim")
    return Principal(Standing.HOLDER, account=account.public_id)


def test_view__is_granted_used_listed_and_ended(lodge: Lodge) -> None:
    office, passport, member = lodge.office, lodge.passports[0], lodge.node.operator.id
    set_look(office, OPERATOR, member, name="Les Tilleuls", ink="#7a1f3d", paper="#fbe9d7", origins=[APP])
    holder, holdings = join(office, passport), Holdings(office)
    with lodge.node.read() as reader:
        look = find_look(office.people, reader.state, member)
        assert look is not None
        granted = grant_view(office, reader, holdings, holder, passport, look, APP)
        (listed,) = list_views(office, holder, passport)
        assert listed == granted.view
        first = use_view(office, reader, holdings, look, passport, granted.token)
        again = use_view(office, reader, holdings, look, passport, granted.token)
        assert first is not None
        assert again is not None
        assert (first.is_first, again.is_first, first.origin) == (True, False, APP)
        assert (first.view.is_whole, first.until) == (True, granted.view.created_at + VALID_MS)
        assert list_views(office, holder, passport)[0].used_at is not None
        for wrong in ("", granted.token[:-1] + "_", granted.token.replace("cv_", "ck_"), "é" * 52):
            assert use_view(office, reader, holdings, look, passport, wrong) is None
        end_view(office, holder, granted.view.id)
        assert use_view(office, reader, holdings, look, passport, granted.token) is None
        with pytest.raises(Refused) as refused:
            end_view(office, holder, granted.view.id)
        assert refused.value.reason is Reason.NOT_FOUND
