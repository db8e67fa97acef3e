"""A clerk's day in a browser: a reading by keyboard alone, an own key that never leaves the browser, a paper for the
customer; and what is true of every page of the desk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser

from carnet.encoding import b64
from carnet.passport.ownkey import read_own_key
from carnet.proof.verify import Verdict, verify_bundle
from carnet.services.approving.requests import list_approvals
from carnet.services.principals import Principal, Standing
from carnet.tlog.policy import parse_policy
from carnet.types import Custody
from tests.node.home import is_good
from tests.web.browser import DESK, NARROW
from tests.web.lodge import find_port, serving
from tests.web.street import Street
from tests.web.visit import Visit, visiting
from tests.web.workshop import VIN, Workshop, opening_workshop

OPERATOR = Principal(Standing.OPERATOR)


@dataclass
class Served:
    """The workshop on a port of this machine."""

    shop: Workshop
    street: Street


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with open_served(tmp_path_factory.mktemp("workshop")) as made:
        yield made


@contextmanager
def open_served(path: Path) -> Iterator[Served]:
    port = find_port()
    with opening_workshop(path, f"http://127.0.0.1:{port}") as shop, serving(shop.lodge, port):
        lodge = shop.lodge
        yield Served(shop, Street(lodge.origin, {}, lodge.desk, lodge.office, shop.sessions, cast("Any", None)))


def judge(served: Served, bundle: bytes) -> Verdict:
    with served.shop.lodge.node.read() as reader:
        return verify_bundle(bundle, parse_policy(reader.get_policy()), served.shop.lodge.node.clock())


def download(visit: Visit, what: Any) -> bytes:
    with visit.page.expect_download() as waiting:
        what.click()
    return Path(waiting.value.path()).read_bytes()


def test_write__a_reading_by_keyboard_alone(browser: Browser, served: Served) -> None:
    with visiting(browser, served.street, "clerk", language="en-GB") as visit:
        visit.go("/console/write/vehicle.odometer-1")
        keys = visit.page.keyboard
        assert visit.page.evaluate("document.activeElement.id") == "f-vehicle"
        keys.type(VIN)
        keys.press("Enter")
        assert visit.page.evaluate("document.activeElement.id") == "f-day"
        keys.press("Enter")
        assert visit.page.evaluate("document.activeElement.id") == "f-odometer"
        keys.type("12x")
        keys.press("Control+Enter")
        visit.page.wait_for_selector("#e-odometer")
        assert visit.page.evaluate("document.activeElement.id") == "f-odometer"
        keys.press("Control+a")
        keys.type("51 234")
        keys.press("Control+Enter")
        visit.page.wait_for_url("**/entries/*?sealed")
        assert "51,234" in visit.page.inner_text("main")
        verdict = judge(served, download(visit, visit.find("Download the proof of this entry")))
        assert is_good(verdict)
        visit.complaints = [said for said in visit.complaints if "422" not in said]
        visit.check()


def test_own_key__made_in_the_browser_signs_an_entry_that_verifies(browser: Browser, served: Served) -> None:
    shop = served.shop
    writer = shop.lodge.node.writers[0]
    garage = shop.members["other"]
    with visiting(browser, served.street, "other", language="en-GB") as visit:
        visit.go("/organisation/keys")
        visit.find("Make a key in this browser", "button").click()
        visit.page.wait_for_selector("[data-made]:not([hidden])")
        file = json.loads(download(visit, visit.find("Save the key as a file", "button")))
        visit.find("Ask for it to be listed", "button").click()
        visit.page.wait_for_url("**/organisation/keys?asked")
        assert "an operator decides until" in visit.page.inner_text("main")
        (listing,) = list_approvals(shop.lodge.office, OPERATOR)
        shop.grant(listing)
        key = next(one for one in writer.state.members.get(garage).keys if one.custody == Custody.OWN)
        hosted = next(one for one in writer.state.members.get(garage).keys if one.digest != key.digest)
        visit.go("/organisation/keys")
        visit.page.locator(f"form[action$='{hosted.digest.hex()}/end'] button").click()
        visit.page.wait_for_url("**/organisation/keys?asked")
        shop.grant(list_approvals(shop.lodge.office, OPERATOR)[0])
        assert file["carnet"] == "own-key/1"
        # Nothing that the browser sent held the secret, and nothing that it keeps can be exported.
        stored = visit.page.evaluate(
            "new Promise((done) => { const o = indexedDB.open('carnet-own-keys', 1); o.onsuccess = () => {"
            " const r = o.result.transaction('keys').objectStore('keys').getAll(); r.onsuccess = () => done("
            " r.result.map((one) => [one.secret.extractable, one.digest])); }; })"
        )
        assert stored == [[False, key.digest.hex()]]
        visit.go("/organisation/keys")
        visit.page.wait_for_selector("[data-here]:not([hidden])")
        visit.go("/console/write/vehicle.odometer-1")
        visit.page.fill("#f-vehicle", VIN)
        visit.page.fill("#f-odometer", "61234")
        visit.find("Go on to sign", "button").click()
        visit.page.wait_for_selector("button[data-begin]:not([disabled])")
        assert "61,234" in visit.page.inner_text("main")
        visit.find("Sign and seal", "button").click()
        visit.page.wait_for_url("**/entries/*?sealed")
        # Not by a click: after two files from one page Chromium asks its user before it keeps a third.
        href = visit.page.get_attribute("a[href$='/proof']", "href")
        shop.lodge.node.clock.now += 2_000
        answer = visit.page.request.get(visit.street.address + str(href))
        assert answer.status == 200, answer.text()[:3000]
        verdict = judge(served, answer.body())
        assert is_good(verdict)
        report: Any = verdict.to_document()["report"]
        assert [one["basis"] for one in report["entries"] if one["by"]["name"] == "The other"] == [1]
        visit.check()
        # The copy on disk is the form that the command line reads.
        saved = read_own_key((json.dumps(file, sort_keys=True, separators=(",", ":")) + "\n").encode())
        assert (saved.signer.digest, b64(saved.signer.public)) == (key.digest, file["public"])


def test_code__is_a_page_to_print_that_fills_in_the_holders_form(browser: Browser, served: Served) -> None:
    with visiting(browser, served.street, "clerk", language="en-GB") as visit:
        visit.go("/console/write/vehicle.service-1")
        visit.page.fill("#f-vehicle", VIN)
        visit.page.fill("[name='activities.0.text']", "Oil")
        visit.page.locator("form#write .row button.button").click()
        visit.page.wait_for_url("**/entries/*?sealed")
        visit.find("Code for the customer").first.click()
        visit.find("Make a code, and show the page to print", "button").click()
        visit.page.wait_for_selector(".paper")
        code = visit.page.inner_text(".paper__digits").strip()
        assert re.fullmatch(r"([0-9A-Z]{4}-){3}[0-9A-Z]{4}", code)
        visit.page.emulate_media(media="print")
        assert not visit.page.locator(".bar").is_visible()
        assert visit.page.locator(".qr").is_visible()
        visit.check()
    with visiting(browser, served.street, "holder", language="en-GB") as visit:
        visit.go(f"/vehicles/add#code={code}&vehicle={VIN}")
        visit.page.wait_for_function("document.querySelector('#f-code').value !== ''")
        assert visit.page.input_value("#f-code") == code
        assert "#" not in visit.page.url
        visit.check()


def list_desk_pages(shop: Workshop) -> list[str]:
    """Every page of a desk."""
    vehicle = f"/console/vehicles/{shop.passport}"
    kinds = ("vehicle.odometer-1", "vehicle.service-1", "vehicle.checkup-1", "vehicle.recall-1")
    return [
        "/console", "/console/write", *(f"/console/write/{kind}" for kind in kinds), "/console/vehicles",
        f"/console/vehicles?q={VIN[:-1]}9", vehicle, f"{vehicle}/entries/{{seq}}", f"{vehicle}/entries/{{seq}}/correct",
        "/console/codes", "/console/use", "/organisation/keys", "/organisation/audit", "/organisation",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "language, scheme, size", [("fr-FR", "light", DESK), ("en-GB", "dark", NARROW)], ids=["desk", "phone"]
)
def test_desk__every_page_is_light_still_and_readable(
    browser: Browser, served: Served, language: str, scheme: str, size: tuple[int, int]
) -> None:
    served.shop.be("admin")
    seq = served.shop.seal(odometer="70000").rpartition("/")[2]
    barriers = {}
    with visiting(browser, served.street, "admin", language=language, scheme=scheme, size=size) as visit:
        for path in list_desk_pages(served.shop):
            answer = visit.go(path.replace("{seq}", seq))
            assert answer.status == 200, path
            visit.check_shape()
            found = visit.list_barriers()
            if found:
                barriers[path] = found
            assert visit.page.locator("h1").count() == 1, path
        visit.check()
    assert barriers == {}
