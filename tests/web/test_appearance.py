"""A member's look on its page, in the API, and in the addresses that other pages take it from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from carnet.errors import Reason
from carnet.services.appearance.looks import find_kept_look
from carnet.services.principals import Role
from carnet.web.policy import FRESH_MS
from tests.services.appearance.pictures import SECRET, make_chunk, make_png
from tests.web.lodge import Lodge, lodging, post_form, read_form_token, visiting
from tests.web.test_organisation import HTML, sign_in

PAGE = "/organisation/appearance"
FINE = {"name": "Les Tilleuls", "ink": "#0b3d91", "paper": "#ffffff", "origins": "https://app.example"}


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    with lodging(tmp_path) as made:
        yield made


@pytest.fixture
def client(lodge: Lodge) -> Iterator[TestClient[Litestar]]:
    with visiting(lodge) as made:
        yield made


def send_logo(client: TestClient[Litestar], data: bytes, **fields: str) -> Any:
    token = read_form_token(client.get(PAGE, headers=HTML).text)
    headers = {**HTML, "Sec-Fetch-Site": "same-origin"}
    files = {"logo": ("logo.png", data, "image/png")}
    return client.post(
        f"{PAGE}/logo", data={"form_token": token, **fields}, files=files, headers=headers, follow_redirects=False
    )


def test_page__saves_shows_and_removes(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    member = lodge.node.operator.id
    assert "Nothing is set yet" in client.get(PAGE, headers=HTML).text
    assert post_form(client, PAGE, PAGE, **FINE).headers["location"] == f"{PAGE}?saved"
    assert send_logo(client, make_png(64, 32, make_chunk(b"tEXt", SECRET))).status_code == 303
    look = find_kept_look(lodge.office.people, member)
    assert look is not None
    page = client.get(PAGE, headers=HTML).text
    assert "By night" in page
    style = re.search(r"/with/mem_[0-9a-f]{32}/\d+/look\.css", page)
    logo = re.search(r"/with/mem_[0-9a-f]{32}/\d+/logo", page)
    assert style is not None
    assert logo is not None
    answer = client.get(style[0])
    assert answer.text == ".look,.look--day,.look--night{--look-ink:#0b3d91;--look-paper:#ffffff}\n"
    assert "immutable" in answer.headers["cache-control"]
    picture = client.get(logo[0])
    assert (picture.headers["content-type"], SECRET in picture.content) == ("image/png", False)
    assert picture.headers["content-security-policy"] == "sandbox"
    lodge.node.clock.now += 1
    assert send_logo(client, b"", act="remove").status_code == 303
    for old in (style[0], logo[0]):
        assert client.get(old).status_code == 404, "another state has another address"
    assert post_form(client, PAGE, f"{PAGE}/remove").status_code == 303
    assert find_kept_look(lodge.office.people, member) is None


def test_page__says_which_contrast_fails_and_what_would_do(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    answer = post_form(client, PAGE, PAGE, **FINE | {"ink": "#4a90d9"})
    assert answer.status_code == 422
    found = re.search(r"encre (#[0-9a-f]{6}), papier #ffffff", answer.text)
    assert found is not None
    assert 'value="#4a90d9"' in answer.text, "what was typed stays"
    assert 'aria-invalid="true"' in answer.text
    assert post_form(client, PAGE, PAGE, **FINE | {"ink": found[1]}).status_code == 303
    for changed in ({"origins": "http://app.example"}, {"name": ""}, {"paper": "white"}):
        assert post_form(client, PAGE, PAGE, **FINE | changed).status_code == 422, changed
    assert send_logo(client, b"<svg onload='alert(1)'/>").status_code == 422


def test_page__is_for_admins_who_have_confirmed(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.CLERK)
    assert client.get(PAGE, headers=HTML).status_code == 403
    sign_in(lodge, client, Role.ADMIN)
    lodge.node.clock.now += FRESH_MS + 1000
    assert "Confirm first" in client.get(PAGE, headers=HTML).text
    for path in (PAGE, f"{PAGE}/remove"):
        assert post_form(client, PAGE, path, **FINE).status_code == 403
    assert find_kept_look(lodge.office.people, lodge.node.operator.id) is None


def test_api__is_that_of_the_page(lodge: Lodge, client: TestClient[Litestar]) -> None:
    sign_in(lodge, client, Role.ADMIN)
    token = read_form_token(client.get(PAGE, headers=HTML).text)
    headers = {"X-Form-Token": token, "Sec-Fetch-Site": "same-origin"}
    assert client.get("/v1/appearance").status_code == 404
    body = {**FINE, "origins": [FINE["origins"]]}
    low = client.put("/v1/appearance", json=body | {"ink": "#4a90d9"}, headers=headers)
    assert (low.status_code, low.json()["code"]) == (422, Reason.CONTRAST_TOO_LOW.value)
    assert low.json()["errors"][0]["pointer"] == "/ink"
    put = client.put("/v1/appearance", json=body, headers=headers)
    assert put.status_code == 200, put.text
    assert put.json()["page"] == f"https://carnet.example/with/mem_{lodge.node.operator.id.hex()}"
    logo = client.put("/v1/appearance/logo", content=make_png(), headers={**headers, "Content-Type": "image/png"})
    assert logo.json()["has_logo"] is True
    svg = client.put("/v1/appearance/logo", content=b"<svg/>", headers={**headers, "Content-Type": "image/svg+xml"})
    assert svg.status_code == 415
    assert client.get("/v1/appearance").json()["origins"] == ["https://app.example"]
    assert client.delete("/v1/appearance", headers=headers).status_code == 200
    assert client.get("/v1/appearance").status_code == 404


def test_api__refused_changed_since(lodge: Lodge, client: TestClient[Litestar]) -> None:
    """Of two admins who change the look neither undoes the other's unseen."""
    sign_in(lodge, client, Role.ADMIN)
    headers = {
        "X-Form-Token": read_form_token(client.get(PAGE, headers=HTML).text), "Sec-Fetch-Site": "same-origin",
    }  # fmt: skip
    body = {**FINE, "origins": [FINE["origins"]]}

    def put(name: str, tag: str | None) -> int:
        matching = headers if tag is None else {**headers, "If-Match": tag}
        return client.put("/v1/appearance", json=body | {"name": name}, headers=matching).status_code

    assert put("First", "*") == 412, "there is none that could match"
    assert put("First", None) == 200
    seen = client.get("/v1/appearance").headers["etag"]
    lodge.node.clock.now += 1
    assert put("Second", seen) == 200
    lodge.node.clock.now += 1
    assert put("Third", seen) == 412
    picture = {**headers, "Content-Type": "image/png", "If-Match": seen}
    assert client.put("/v1/appearance/logo", content=make_png(), headers=picture).status_code == 412
    assert client.delete("/v1/appearance", headers={**headers, "If-Match": seen}).status_code == 412
    now = client.get("/v1/appearance")
    assert (now.json()["name"], now.json()["has_logo"]) == ("Second", False)
    assert client.delete("/v1/appearance", headers={**headers, "If-Match": now.headers["etag"]}).status_code == 200


def test_look__of_a_member_that_has_left_is_worn_no_more(lodge: Lodge, client: TestClient[Litestar]) -> None:
    with lodge.node.writers[0] as writer:
        other = writer.enrol_member("Another", "garage").id
        sign_in(lodge, client, Role.ADMIN, other)
        post_form(client, PAGE, PAGE, **FINE)
        page = client.get(PAGE, headers=HTML).text
        style = re.search(r"/with/mem_[0-9a-f]{32}/\d+/look\.css", page)
        assert style is not None
        assert client.get(style[0]).status_code == 200
        writer.retire(other)
        assert client.get(style[0]).status_code == 404
