"""Pages of people with much: every vehicle, reading, entry and code is reached, and no page holds all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from carnet.errors import Reason
from carnet.services.accounts.office import read_id
from carnet.services.accounts.sessions import find_principal
from carnet.services.appending import NewEntry, make_ready, open_passport
from carnet.services.claims import issue_code
from carnet.services.holdings import begin_holding
from carnet.services.principals import Principal, Role, Standing
from carnet.types import Subject
from carnet.web.pages.codes import SHOWN
from carnet.web.pages.own import ENTRIES
from carnet.web.pages.vehicle import DRAWN, READINGS
from carnet.web.pages.vehicles import CARDS
from tests.node.home import occurred
from tests.web.workshop import VIN, Workshop, opening_workshop

VEHICLES = CARDS + 6
MANY = DRAWN + 15


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with opening_workshop(tmp_path_factory.mktemp("workshop")) as made:
        yield made


def speak(shop: Workshop, member: str) -> Principal:
    return Principal(Standing.STAFF, account=f"acc_{9:032x}", member=shop.members[member], role=Role.CLERK)


def walk(shop: Workshop, path: str, each: str) -> list[list[str]]:
    """What is found on a page and on those that it leads on to, until none does."""
    pages, seen = [], set[str]()
    while path not in seen:
        seen.add(path)
        text = shop.get(path)
        pages.append(re.findall(each, text))
        bare = re.escape(path.partition("?")[0])
        path = next(
            (one for one in re.findall(rf'href="({bare}\?(?:after|before)=\w+)', text) if one not in seen), path
        )
    return pages


def test_vehicles__are_all_reached_and_counted(shop: Workshop) -> None:
    writer, office, dealer = shop.lodge.node.writers[0], shop.lodge.office, speak(shop, "dealer")
    holder = find_principal(office, shop.sessions["holder"])
    assert holder is not None
    assert holder.account is not None
    for number in range(VEHICLES - 1):
        with shop.lodge.node.read() as reader:
            subject, now = Subject("vin", f"WVWZZZ1KZ7P{300_000 + number}"), shop.lodge.node.clock()
            opened = open_passport(writer, reader, dealer, subject, "first_registration", now)
        with office.people.write() as connection:
            chain, account = bytes.fromhex(opened.passport[4:]), read_id("acc", holder.account, Reason.UNKNOWN_ACCOUNT)
            begin_holding(connection, office, chain, 0, account, "claim")
    shop.be("holder")
    assert f"{VEHICLES} passports are in your name." in shop.get("/vehicles")
    pages = walk(shop, "/vehicles", r'<a class="button button--wide" href="/vehicles/(pas_\w+)"')
    assert [len(page) for page in pages] == [CARDS, 6]
    assert len({one for page in pages for one in page}) == VEHICLES
    assert shop.get("/vehicles?after=nothing").count("<article") == CARDS


def test_readings_and_own_entries__are_all_reached(shop: Workshop) -> None:
    writer, clerk = shop.lodge.node.writers[0], speak(shop, "garage")
    about, now = Subject("vin", VIN), shop.lodge.node.clock()
    with shop.lodge.node.read() as reader:
        ready = [
            make_ready(
                reader, shop.lodge.desk.shelf["holdings"], clerk,
                NewEntry(
                    kind="vehicle.odometer/1", occurred=occurred(),
                    fields={"odometer_km": 1_000 + number, "odometer_state": "read"},
                ),
                passport=None, subject=about, now=now,
            )
            for number in range(MANY)
        ]  # fmt: skip
    writer.append(ready[0].member, ready[0].basis, [one.group for one in ready])
    shop.be("holder")
    path = f"/vehicles/{shop.passport}/odometer"
    pages = walk(shop, path, rf'<th scope="row" class="nowrap"><a href="/vehicles/{shop.passport}/entries/(\d+)"')
    assert {len(page) for page in pages[:-1]} == {READINGS}
    assert len({one for page in pages for one in page}) == MANY
    page = shop.get(path)
    assert len(re.findall(r"<svg x=", page)) == DRAWN
    assert f"The newest {DRAWN} readings are drawn" in page
    shop.be("clerk")
    path = f"/console/vehicles/{shop.passport}"
    pages = walk(shop, path, rf'event__title"><a href="{path}/entries/(\d+)"')
    assert {len(page) for page in pages[:-1]} == {ENTRIES}
    assert len({one for page in pages for one in page}) == MANY


def test_codes__older_ones_are_reached_and_can_be_withdrawn(shop: Workshop) -> None:
    office = shop.lodge.office
    dealer = find_principal(office, shop.sessions["dealer"])
    assert dealer is not None
    with shop.lodge.node.read() as reader:
        made = [issue_code(office, reader, dealer, bytes.fromhex(shop.passport[4:])).id for _ in range(SHOWN + 3)]
    shop.be("dealer")
    pages = walk(shop, "/console/codes", r"/console/codes/(cod_\w+)/revoke")
    assert [len(page) for page in pages] == [SHOWN, 3]
    assert {one for page in pages for one in page} == set(made)
    shop.get("/console/codes?before=nothing", 404)
