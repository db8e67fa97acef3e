"""Customers invited from a list: at the desk without script, by a program, and on the customer's own phone."""

from __future__ import annotations

import csv
import io
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from playwright.sync_api import Browser

from carnet.services.appearance.looks import remove_look
from carnet.services.principals import Role
from carnet.web.pages.customers import SHOWN_ROWS
from tests.node.home import vin_subject
from tests.services.accounts.ground import OPERATOR
from tests.web.brand import dress as dress_street
from tests.web.brand import find_member, let_in
from tests.web.browser import DESK, NARROW
from tests.web.lodge import Lodge, lodging, read_form_token, visiting
from tests.web.street import Street
from tests.web.test_organisation import HTML, sign_in
from tests.web.test_with_member import dress
from tests.web.town import VIN, serving_town
from tests.web.visit import visiting as opening
from tests.web.workshop import VIN as OWN_VIN
from tests.web.workshop import opening_workshop

PAGE = "/console/customers"


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        yield made


@pytest.fixture
def client(lodge: Lodge) -> Iterator[TestClient[Litestar]]:
    with visiting(lodge) as made:
        yield made


def send(client: TestClient[Litestar], data: bytes) -> Any:
    token = read_form_token(client.get(PAGE, headers=HTML).text)
    files = {"file": ("list.csv", data, "text/csv")}
    return client.post(PAGE, data={"form_token": token}, files=files, headers={**HTML, "Sec-Fetch-Site": "same-origin"})


def read_file(page: str) -> list[list[str]]:
    data = b64decode(page.partition("data:text/csv;base64,")[2].partition('"')[0])
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_page__a_long_list_comes_back_as_a_file(tmp_path: Path) -> None:
    vins = [OWN_VIN, *(f"WVWZZZ1KZ7P{200_000 + number}" for number in range(SHOWN_ROWS + 100)), OWN_VIN]
    rows = [f"Mme Durand {number},{vin}" for number, vin in enumerate(vins)]
    with opening_workshop(tmp_path) as shop:
        shop.be("dealer")
        answer = send(shop.client, "\n".join(["Client,VIN", *rows]).encode())
    assert answer.headers["content-disposition"] == 'attachment; filename="codes.csv"'
    assert answer.headers["cache-control"] == "no-store"
    header, *told = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert header == ["Client", "VIN", "code", "link", "until", "outcome"]
    assert [",".join(row[:2]) for row in told] == rows
    assert told[0][5] == "made"
    assert told[0][2:5] == told[-1][2:5]
    assert {row[5][:44] for row in told[1:-1]} == {"Your organisation has neither opened nor ser"}


def test_page__a_list_sent_twice_has_the_same_codes(tmp_path: Path) -> None:
    with opening_workshop(tmp_path) as shop:
        shop.be("dealer")
        page = shop.get(PAGE)
        once = re.search(r'name="once" value="([0-9a-f]{32})"', page)
        assert once is not None
        fields = {"form_token": read_form_token(page), "once": once[1]}

        def send_again() -> str:
            files = {"file": ("list.csv", f"VIN\n{OWN_VIN}\n".encode(), "text/csv")}
            headers = {**HTML, "Sec-Fetch-Site": "same-origin"}
            return read_file(shop.client.post(PAGE, data=fields, files=files, headers=headers).text)[1][1]

        code = send_again()
        assert re.fullmatch(r"([0-9A-Z]{4}-){3}[0-9A-Z]{4}", code)
        assert send_again() == code
        fields["once"] = "2" * 32
        assert send_again() != code


def test_page__refuses_what_is_no_list_and_whoever_may_not(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.CLERK)
    for data in (b"", b"name,phone\nA,1\n", b"%PDF-1.7", b"PK\x03\x04"):
        answer = send(client, data)
        assert (answer.status_code, 'aria-invalid="true"' in answer.text) == (422, True), data
    for role in (Role.READER, Role.AUDITOR):
        sign_in(lodge, client, role)
        assert client.get(PAGE, headers=HTML).status_code == 403


def test_page__gives_the_list_back_with_codes_once(browser: Browser, street: Street) -> None:
    """At the desk, without script: the file is in the page, and slips to print; then on the customer's phone."""
    vin = street.get_vin("plate_change")
    member = find_member(street, "plate_change")
    clerk = let_in(street, Role.CLERK, member)
    look = dress_street(street, member=member)
    rows = f"Client;Châssis;Tél\r\nMme Durand;{vin};=1+1\r\nM. Petit;VF1RFB00X56123456;06\r\n".encode("cp1252")
    with opening(browser, street, clerk, javascript=False, size=DESK) as visit:
        visit.go("/console/codes")
        visit.find("Inviter des clients à partir d’une liste").click()
        visit.page.set_input_files("#f-file", [{"name": "clients.csv", "mimeType": "text/csv", "buffer": rows}])
        visit.find("Créer les codes", "button").click()
        visit.page.get_by_role("heading", name="1 code créé").wait_for()
        with visit.page.expect_download() as given:
            visit.find("Télécharger votre liste avec les codes").click()
        found = list(csv.reader(io.StringIO(given.value.path().read_bytes().decode("utf-8-sig"), newline="")))
        assert visit.page.locator(".slip").count() == 1
        visit.check()
    assert found[0] == ["Client", "Châssis", "Tél", "code", "link", "until", "outcome"]
    assert found[1][:3] == ["Mme Durand", vin, "'=1+1"]
    assert found[2][3:6] == ["", "", ""]
    link = found[1][4]
    assert link.startswith(f"{street.address}/with/{look.public_id}/vehicles/add#code=")
    with opening(browser, street, None, size=NARROW, language="en-GB") as visit:
        visit.page.goto(link)
        visit.page.get_by_role("heading", name="The passport of your vehicle is ready").wait_for()
        assert "#" not in visit.page.url, "the code does not stay in the address"
        visit.check_shape()
        assert visit.list_barriers() == []
        visit.page.get_by_role("main").get_by_role("link", name="Sign in").click()
        back = visit.page.locator("main input[name=back]").get_attribute("value")
        # A passkey needs an authenticator (test_passkeys_in_browser): its session is put in place here.
        visit.page.context.add_cookies(
            [{"name": "carnet_session", "value": street.sessions["newcomer"], "url": street.address}]
        )
        visit.go(str(back))
        visit.find("Add this vehicle", "button").click()
        visit.page.get_by_text("This passport is yours now.").wait_for()
        assert visit.page.url == f"{street.address}/with/{look.public_id}{street.path('plate_change')}?new"
        assert visit.page.locator("body.look").count() == 1
        visit.check_shape()
        visit.check()
    remove_look(street.office, OPERATOR, member)


def test_page__is_light_readable_and_within_its_rules(browser: Browser, street: Street) -> None:
    member = find_member(street)
    clerk = let_in(street, Role.ADMIN, member)
    look = dress_street(street, "http://localhost:9000", member=member)
    base = f"/with/{look.public_id}"
    pages = {
        clerk: [PAGE, "/organisation/appearance"],
        "holder": [f"{base}/vehicles", base + street.path("hero"), base + street.path("hero", "/odometer"),
                   base + street.path("hero", "/open?app=http://localhost:9000"), f"{base}/vehicles/add"],
        None: [base, f"{base}/vehicles/add", f"/sign-in?back={base}/vehicles", f"/join?back={base}/vehicles"],
    }  # fmt: skip
    for size, scheme, language in ((DESK, "light", "fr-FR"), (NARROW, "dark", "en-GB")):
        for who, paths in pages.items():
            with opening(browser, street, who, size=size, scheme=scheme, language=language) as visit:
                for path in paths:
                    assert visit.go(path).status == 200, path
                    visit.check_shape()
                    assert visit.list_barriers() == [], path
                    assert visit.page.locator("h1").count() == 1, path
                visit.check()


def test_preview__by_script_shows_colours_while_they_are_chosen(browser: Browser, street: Street) -> None:
    admin = let_in(street, Role.ADMIN)
    dress_street(street)
    with opening(browser, street, admin) as visit:
        visit.go("/organisation/appearance")
        visit.page.fill("#f-ink", "#003300")
        visit.page.fill("#f-name", "Another name")
        shown = visit.page.locator(".look--day .look__bar")
        assert shown.evaluate("(bar) => getComputedStyle(bar).color") == "rgb(0, 51, 0)"
        assert "Another name" in shown.inner_text()
        night = visit.page.locator(".look--night .look__bar")
        assert night.evaluate("(bar) => getComputedStyle(bar).backgroundColor") == "rgb(0, 51, 0)"
        visit.check()


def test_api__invites_for_what_the_member_opened_or_serviced(tmp_path: Path) -> None:
    with serving_town(tmp_path) as town:
        passport = town.open()
        asked = {"vehicles": [VIN, "VF1RFB00X56123456", "nonsense!"]}
        made = town.call("dealer", "POST", "/v1/customers", asked)
        assert made.status_code == 201, made.text
        first, second, third = made.json()["data"]
        assert (first["passport"], first["refused"]) == (passport, None)
        assert f"#code={first['code']}&vehicle={VIN}" in first["link"]
        assert (second["refused"], second["code"]) == ("unknown_passport", None)
        assert third["refused"] == "invalid_vin"
        assert made.json()["made"] == 1
        other = town.call("garage", "POST", "/v1/customers", {"vehicles": [VIN]})
        assert other.json()["data"][0]["refused"] == "unknown_passport"
        for who in ("dealer, no scope", "dealer's reader", "holder"):
            assert town.call(who, "POST", "/v1/customers", asked).status_code == 403
        assert town.call("dealer", "POST", "/v1/customers", {"vehicles": []}).status_code == 422
        assert town.call("dealer", "POST", "/v1/customers", {"vehicles": [VIN] * 101}).status_code == 422


def test_sheet__wears_the_look_and_names_it_on_each_slip(lodge: Lodge, client: TestClient[Litestar]) -> None:
    look = dress(lodge, name="Les Tilleuls")
    sign_in(lodge, client, Role.CLERK)
    # The lodge's vehicles have no VIN: a column of those alone is found, so that one row is refused beside them.
    answer = send(client, f"Client,VIN\nIda,{VIN}\n".encode())
    assert answer.status_code == 200, answer.text
    assert f"/with/{look.public_id}/" in answer.text
    assert read_file(answer.text)[1][2:5] == ["", "", ""]
    assert str(vin_subject(0)) not in answer.text


def test_desk__shows_a_customers_vehicle_under_the_members_own_name(browser: Browser, street: Street) -> None:
    """What a clerk sees of it: the member's own entries, in its own look."""
    member = find_member(street)
    clerk = let_in(street, Role.CLERK, member)
    dress_street(street, member=member, name="Chez Valmont")
    with opening(browser, street, clerk) as visit:
        assert visit.go(street.path("hero").replace("/vehicles", "/console/vehicles")).status == 200
        assert visit.page.locator("header .brand").inner_text().startswith("Chez Valmont")
        assert visit.page.locator("header .brand").get_attribute("href") == "/console"
        assert visit.list_barriers() == []
        visit.check()
