"""The holder's journeys, in a real Chromium: what is seen, what is written, with and without script, by keyboard, on
a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from carnet.proof.verify import GENUINE, verify_bundle
from carnet.services.attachments import MAX_FILE_BYTES
from carnet.services.founding import now_ms
from carnet.services.journaling import Access, record_access
from carnet.tlog.policy import parse_policy
from carnet.vault.asker import asking_as_node
from tests.web.browser import NARROW, PHONE
from tests.web.street import Street, open_street
from tests.web.visit import Visit, visiting

DUMP_CACHES = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      found.push([new URL(request.url).pathname, await (await cache.match(request)).text()]);
    }
  }
  return found;
}"""
PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF a photo of a dashboard"


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """One of its own: what stands in these vehicles, and who has none, is told by numbers here."""
    with open_street(tmp_path_factory.mktemp("street")) as street:
        yield street


def give(visit: Visit, name: str, data: bytes, file_name: str = "photo.jpg", media_type: str = "image/jpeg") -> None:
    visit.page.set_input_files(f"#f-{name}", {"name": file_name, "mimeType": media_type, "buffer": data})


def judge(street: Street, file: Path) -> int:
    with asking_as_node(), street.desk.reading() as reader:
        policy = parse_policy(reader.get_policy())
    return verify_bundle(file.read_bytes(), policy, now_ms()).exit_code


@pytest.mark.parametrize("javascript", [False, True], ids=["without script", "with script"])
def test_holder__reads_writes_and_takes_the_proof(
    browser: Browser, street: Street, tmp_path: Path, javascript: bool
) -> None:
    with visiting(browser, street, size=PHONE, javascript=javascript) as visit:
        page = visit.page
        visit.go("/vehicles")
        page.get_by_role("article").filter(has_text="AA-000-AA").get_by_role("link", name="Ouvrir le carnet").click()
        expect(page.get_by_text("Dernier compteur certifié")).to_be_visible()
        # The sections fold into one list on a phone, opened without script.
        page.locator(".sections summary").click()
        page.locator(".sections").get_by_role("link", name="Historique").click()
        expect(page.locator(".badge--certified").first).to_be_visible()
        before = page.locator(".event").count()
        page.get_by_label("Sinistres").check()
        visit.find("Filtrer", "button").click()
        assert 0 < page.locator(".event").count() < before
        visit.go(street.path("hero", "/odometer"))
        visit.find("Ajouter un relevé").click()
        # A word where a number should stand is explained, and nothing is lost.
        page.fill("#f-odometer", "onze mille")
        page.fill("#f-note", "le compteur, au retour des vacances" if javascript else "le compteur, un lundi")
        visit.find("L’ajouter, déclaré par moi", "button").click()
        expect(page.locator("#e-odometer")).to_contain_text("tel que le tableau de bord")
        page.fill("#f-odometer", "21 480" if javascript else "21 470")
        give(visit, "file", PHOTO + bytes([javascript]))
        visit.find("L’ajouter, déclaré par moi", "button").click()
        expect(page.get_by_role("status")).to_contain_text("scellé")
        expect(page.locator("article").get_by_text("Déclaré par le titulaire")).to_be_visible()
        expect(page.locator("article .status--l")).to_have_text("21 480 km" if javascript else "21 470 km")
        with page.expect_download() as photo:
            visit.find("Ouvrir le fichier").click()
        assert Path(photo.value.path()).read_bytes() == PHOTO + bytes([javascript])
        with page.expect_download() as download:
            visit.find("Télécharger la preuve de cette entrée").click()
        assert judge(street, Path(download.value.path())) == GENUINE
        visit.go(street.path("hero"))
        with page.expect_download() as download:
            visit.find("Télécharger la preuve").click()
        assert judge(street, Path(download.value.path())) == GENUINE
        # The counter shows what is certified; a declared reading does not move it.
        expect(page.locator(".counter")).to_have_attribute("aria-label", "21\u202f056\u202fkm")
        visit.complaints = [said for said in visit.complaints if "422" not in said]
        visit.check()


def test_holder__a_form_sent_twice_adds_once(browser: Browser, street: Street) -> None:
    with visiting(browser, street, javascript=False) as visit:
        addresses = []
        for _ in range(2):
            visit.go(street.path("miles_import", "/add?type=note"))
            visit.page.fill("#f-note", "pneus d’hiver au garage")
            visit.find("L’ajouter, déclaré par moi", "button").click()
            addresses.append(visit.page.url)
        assert addresses[0] == addresses[1]
        assert addresses[0].endswith("?added")
        # The node signs it for the holder; it is the holder who says so, and the node's operator reads no word of it.
        expect(visit.page.get_by_text("Le titulaire", exact=True)).to_be_visible()
        visit.go(street.path("miles_import"))
        assert "Carnet demonstration" not in visit.page.locator("main").inner_text()


def test_form__is_sent_once_by_a_double_click_and_again_when_it_is_wanted(browser: Browser, street: Street) -> None:
    with visiting(browser, street) as visit:
        sent: list[str] = []
        visit.page.on("request", lambda asked: sent.append(asked.url) if asked.method == "POST" else None)
        visit.go(street.path("miles_import", "/add?type=note"))
        visit.page.fill("#f-note", "deux fois de suite")
        # As fast as two clicks can be: before the answer to the first has come.
        visit.find("L’ajouter, déclaré par moi", "button").evaluate("button => { button.click(); button.click(); }")
        visit.page.wait_for_url("**?added")
        assert len(sent) == 1
        visit.page.go_back()
        visit.page.fill("#f-note", "une autre note")
        visit.find("L’ajouter, déclaré par moi", "button").click()
        expect(visit.page.get_by_text("une autre note")).to_be_visible()
        assert len(sent) == 2


def test_holder__corrects_a_declaration_and_both_stay(browser: Browser, street: Street) -> None:
    with visiting(browser, street, language="en-GB") as visit:
        page = visit.page
        visit.go(street.path("histovec", "/add?type=own_work"))
        page.fill("#f-work", "front brake pads\nbrake fluid")
        page.fill("#f-odometer", "412,345")
        visit.find("Add it, declared by me", "button").click()
        first = page.url.partition("?")[0]
        visit.find("Correct this entry").click()
        expect(page.locator("#f-work")).to_have_value("front brake pads\nbrake fluid")
        page.fill("#f-odometer", "312345")
        visit.find("Add it, declared by me", "button").click()
        expect(page.locator("article .status--l")).to_have_text("312,345 km")
        visit.go(first.removeprefix(street.address))
        expect(page.locator(".correction")).to_contain_text("412,345")
        expect(page.locator(".correction ins")).to_have_text(re.compile("312,345"))
        expect(page.locator(".badge--corrected")).to_be_visible()
        assert visit.find("Correct this entry").count() == 0
        # The table keeps the old number, struck through.
        visit.go(street.path("histovec", "/odometer"))
        expect(page.locator("tr.is-old del")).to_have_text(re.compile("412,345"))
        visit.check()


def test_holder__contests_an_entry(browser: Browser, street: Street) -> None:
    with visiting(browser, street, language="en-GB", javascript=False) as visit:
        page = visit.page
        visit.go(street.path("hero", "/entries/7"))
        visit.find("Contest this entry").click()
        visit.find("Contest it", "button").click()
        assert "contest" in page.url  # an empty reason is asked for again, by the browser itself
        page.fill("#f-note", "the invoice says otherwise")
        page.select_option("#f-reason", "wrong_date")
        visit.find("Contest it", "button").click()
        expect(page.get_by_role("status")).to_contain_text("objection")
        expect(page.locator(".correction--alert")).to_contain_text("the invoice says otherwise")
        expect(page.locator(".badge--contested").first).to_be_visible()
        visit.go("/vehicles")
        expect(page.get_by_role("article").filter(has_text="AA-000-AA")).to_contain_text("To look at")


def test_holder__a_file_that_is_none_is_refused(browser: Browser, street: Street) -> None:
    with visiting(browser, street, language="en-GB", javascript=False) as visit:
        visit.go(street.path("hero", "/add?type=document"))
        visit.page.fill("#f-title", "a program")
        give(visit, "file", b"MZ\x90\x00 not a picture")
        visit.find("Add it, declared by me", "button").click()
        expect(visit.page.locator("#e-file")).to_contain_text("no JPEG")
        assert visit.page.input_value("#f-title") == "a program"
        give(visit, "file", PHOTO + bytes(MAX_FILE_BYTES))
        visit.find("Add it, declared by me", "button").click()
        expect(visit.page.locator("#e-file")).to_contain_text("too large")


def test_holder__a_vehicle_of_the_histovec_file_is_reported_not_certified(browser: Browser, street: Street) -> None:
    with visiting(browser, street) as visit:
        visit.go(street.path("histovec"))
        assert visit.page.locator(".badge--certified").count() == 0
        expect(visit.page.get_by_text("Repris d’un fichier").first).to_be_visible()
        assert visit.page.locator(".counter--declared").count() == 1
        visit.go(street.path("histovec", "/odometer"))
        expect(visit.page.get_by_text("Sans avis")).to_be_visible()
        assert visit.page.locator(".plot .ring").count() > 1
        visit.check()


def test_holder__kilometres_and_miles_each_have_their_chart(browser: Browser, street: Street) -> None:
    with visiting(browser, street, language="en-GB") as visit:
        visit.go(street.path("miles_import", "/odometer"))
        headings = visit.page.locator("figure h2").all_inner_texts()
        assert [text.rpartition(" ")[2] for text in headings] == ["km", "mi"]
        rows = visit.page.locator("tbody tr").count()
        assert rows >= visit.page.locator(".plot > svg[overflow]").count() > 4


def test_holder__a_closed_passport_takes_nothing_more(browser: Browser, street: Street) -> None:
    with visiting(browser, street, language="en-GB") as visit:
        visit.go(street.path("scrapped"))
        expect(visit.page.get_by_text("Passport closed")).to_be_visible()
        assert visit.find("Add to the passport").count() == 0
        visit.go(street.path("scrapped", "/add?type=note"))
        expect(visit.page.get_by_text("Passport closed")).to_be_visible()
        # A form that was open when it was closed.
        visit.go(street.path("hero", "/add?type=note"))
        visit.page.fill("#f-note", "too late")
        address = street.path("scrapped", "/add")
        visit.page.eval_on_selector(
            "form:has(#f-note)", "(form, address) => form.setAttribute('action', address)", address
        )
        visit.find("Add it, declared by me", "button").click()
        expect(visit.page.get_by_role("alert")).to_contain_text("closed")


def test_holder__sees_nothing_of_others(browser: Browser, street: Street) -> None:
    with visiting(browser, street, "newcomer", language="en-GB") as visit:
        visit.go("/vehicles")
        expect(visit.page.get_by_text("No passport is in your name yet.")).to_be_visible()
        bodies = []
        for path in (street.path("hero"), "/vehicles/pas_" + "0" * 32):
            answer = visit.go(path)
            assert answer.status == 404
            bodies.append(re.sub(r"req_\w+|pas_\w+|[0-9a-f]{64}", "", answer.text()))
        assert bodies[0] == bodies[1]
    with visiting(browser, street, None, language="en-GB") as visit:
        assert visit.go("/vehicles").status == 401
        expect(visit.page.locator("main").get_by_role("link", name="Sign in")).to_be_visible()


def test_holder__adds_a_vehicle_with_a_code(browser: Browser, street: Street) -> None:
    with visiting(browser, street, "newcomer", size=NARROW, javascript=False) as visit:
        page, vin, code = visit.page, street.get_vin("plate_change"), street.issue_code("plate_change")
        visit.go("/vehicles")
        visit.find("Entrer un code").click()
        page.fill("#f-vehicle", vin.replace("0", "O", 1))
        page.fill("#f-code", code)
        visit.find("Ajouter ce véhicule", "button").click()
        # A forbidden letter is explained before anything is asked of the code.
        expect(page.locator("#e-vehicle")).to_contain_text(f"Vouliez-vous dire {vin} ?")
        assert page.input_value("#f-code") == ""
        page.fill("#f-vehicle", vin)
        page.fill("#f-code", "AAAA-BBBB-CCCC-DDDD")
        visit.find("Ajouter ce véhicule", "button").click()
        expect(page.locator("#e-code")).to_contain_text("ne vaut pas pour ce véhicule")
        page.fill("#f-code", code.lower())
        visit.find("Ajouter ce véhicule", "button").click()
        expect(page.get_by_role("status")).to_contain_text("est à vous")
        visit.go("/vehicles")
        assert page.get_by_role("article").count() == 1
        # The same form once more, as after two clicks: it is theirs, and not a code that is worth nothing.
        visit.go("/vehicles/add")
        page.fill("#f-vehicle", vin)
        page.fill("#f-code", code)
        visit.find("Ajouter ce véhicule", "button").click()
        expect(page.get_by_role("status")).to_contain_text("est à vous")
        # The passport of somebody else is not taken over: an operator decides, and nothing changes meanwhile.
        visit.go("/vehicles/add")
        page.fill("#f-vehicle", street.get_vin("contested"))
        page.fill("#f-code", street.issue_code("contested"))
        visit.find("Ajouter ce véhicule", "button").click()
        expect(page.get_by_role("status")).to_contain_text("chez l’opérateur")
        assert page.get_by_role("article").count() == 1
        assert visit.go(street.path("contested")).status == 404
    with visiting(browser, street, size=NARROW) as visit:
        visit.go("/vehicles")
        expect(visit.page.locator(".banner--alert")).to_contain_text("Orline Vézère hybride")
        visit.find("Voir la demande").click()
        assert visit.page.url.endswith("/account")
    with visiting(browser, street, "operator") as visit:
        visit.go("/operator")
        visit.find("Rejeter", "button").click()
        expect(visit.page.get_by_text("Revendications à trancher")).to_have_count(0)
    with visiting(browser, street) as visit:
        visit.go("/vehicles")
        assert visit.page.locator(".banner--alert").count() == 0
        assert visit.go(street.path("contested")).status == 200


def test_holder__sees_who_looked(browser: Browser, street: Street) -> None:
    with visiting(browser, street, language="en-GB", javascript=False) as visit:
        visit.go(street.path("contested"))
        visit.find("Who looked").click()
        expect(visit.page.get_by_text("Nobody but you has looked")).to_be_visible()
        passport = bytes.fromhex(street.passports["contested"])
        with asking_as_node(), street.desk.reading() as reader:
            author = next(iter(reader.read_entries(passport))).member
            head = reader.find_head(passport)
            assert head is not None
            look = Access(passport, head[1], author, "read", "own entries", 3, ("vehicle.service/1",))
            assert record_access(street.desk.door, reader, look, now_ms())
            name = reader.state.members.get(author).name
        visit.page.reload()
        row = visit.page.locator("tbody tr")
        expect(row).to_contain_text(name)
        expect(row).to_contain_text("own entries")


def test_holder__gives_a_vehicle_up(browser: Browser, street: Street) -> None:
    with visiting(browser, street, "parting", language="en-GB", javascript=False) as visit:
        visit.go(street.path("rollback", "/holder"))
        visit.page.locator("summary", has_text="Give this passport up").click()
        visit.find("Yes, give it up", "button").click()
        assert visit.page.url.partition("?")[0].endswith("/vehicles")
        expect(visit.page.get_by_text("This passport is in your name no more.")).to_be_visible()
        expect(visit.page.get_by_text("No passport is in your name yet.")).to_be_visible()
        assert visit.go(street.path("rollback")).status == 404


def test_language_and_theme__are_chosen_and_kept(browser: Browser, street: Street) -> None:
    with visiting(browser, street, None, language="en-GB", javascript=False) as visit:
        page = visit.page
        visit.go("/")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        visit.find("Français").click()
        expect(page.locator("html")).to_have_attribute("lang", "fr")
        page.locator("details.menu summary").click()
        visit.find("Sombre", "button").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(12, 19, 17)"
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(14, 31, 25)"
        page.emulate_media(media="screen")
        visit.go("/design")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        expect(page.locator("html")).to_have_attribute("lang", "fr")
        page.locator("details.menu summary").click()
        visit.find("Comme mon appareil", "button").click()
        assert page.locator("html").get_attribute("data-theme") is None
        assert page.url.endswith("/design")


def test_keyboard__reaches_everything_and_shows_where_it_is(browser: Browser, street: Street) -> None:
    with visiting(browser, street, language="en-GB") as visit:
        page = visit.page
        visit.go("/vehicles")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        while "Open the passport" not in page.evaluate("document.activeElement.textContent"):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/vehicles/pas_*")
        menu = page.locator("details.menu summary")
        menu.focus()
        page.keyboard.press("Enter")
        expect(page.locator(".menu__in")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(".menu__in")).to_be_hidden()
        assert menu.evaluate("(one) => one === document.activeElement")
        # No target is smaller than 24 px (WCAG 2.2, 2.5.8), but for links within a sentence.
        small = page.evaluate(
            "[...document.querySelectorAll('button, summary, .button, .tool, nav a, input')]"
            ".map((one) => [one.textContent.trim(), one.getBoundingClientRect()])"
            ".filter(([, box]) => box.width > 0 && (box.height < 24 || box.width < 24)).map(([text]) => text)"
        )
        assert small == []


def test_shell__keeps_no_page_of_a_person(browser: Browser, street: Street) -> None:
    with visiting(browser, street, worker=True, size=NARROW) as visit:
        page = visit.page
        visit.go("/vehicles")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        visit.go(street.path("hero"))
        visit.go(street.path("hero", "/history"))
        kept = page.evaluate(DUMP_CACHES)
        assert kept
        assert all(path.startswith("/static/") or path == "/offline" for path, _ in kept)
        assert not any("AA-000-AA" in body or "Valmont" in body for _, body in kept)
        page.context.set_offline(True)
        page.reload()
        expect(page.get_by_text("Pas de réseau")).to_be_visible()
        page.context.set_offline(False)
        visit.complaints = [said for said in visit.complaints if "ERR_INTERNET_DISCONNECTED" not in said]
        visit.check()


def test_verify__speaks_the_language_that_was_chosen_here_not_the_browsers(browser: Browser, street: Street) -> None:
    with visiting(browser, street, None, language="en-GB") as visit:
        visit.go("/?lang=fr")
        visit.find("Vérifier une preuve").first.click()
        expect(visit.page.locator("h1")).to_have_text("Vérifier une preuve")
        visit.page.locator("#language").click()
        expect(visit.page.locator("h1")).to_have_text("Verify a proof")
        visit.page.reload()
        expect(visit.page.locator("h1")).to_have_text("Verify a proof")


def test_verify__the_server_says_that_it_did_the_checking(browser: Browser, street: Street) -> None:
    with visiting(browser, street, javascript=False) as visit:
        proof = visit.page.context.request.get(street.address + street.path("contested", "/proof")).body()
        cut = visit.page.context.request.get(street.address + street.path("hero", "/entries/12/proof")).body()
        answers = {
            "genuine": proof,
            "altered": proof.replace(b'"vin"', b'"win"', 1),
            "superseded": cut,
            "cannot": b"{}",
        }
        words = {"genuine": "Authentique", "altered": "Altéré", "superseded": "Remplacé", "cannot": "Altéré"}
        visit.go("/verify")
        visit.find("Laisser ce serveur vérifier").click()
        for name, data in answers.items():
            visit.go("/verify/here")
            give(visit, "proof", data, "car.carnet", "application/octet-stream")
            visit.find("Vérifier", "button").click()
            expect(visit.page.get_by_text("établi par ce serveur")).to_be_visible()
            assert visit.page.locator("#res").inner_text().strip() == words[name], name
