"""What was typed in a form outlives the session in which it was begun: a person is told what happened, and sends it
once more."""

from __future__ import annotations

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from carnet.errors import Reason
from carnet.services.accounts.office import Visit as Caller
from carnet.services.accounts.office import read_id
from carnet.services.accounts.registry import find_account
from carnet.services.accounts.sessions import begin_session, find_principal
from carnet.services.attachments import MAX_FILE_BYTES
from carnet.web.cookies import compute_form_token
from tests.web.browser import NARROW
from tests.web.street import Street
from tests.web.visit import Visit, visiting

STORY = "miles_import"
NOTE = "Rouillé sous l’aile <gauche> & « à revoir »"
PHOTO = {"name": "tableau.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff\xe0\x00\x10JFIF a dashboard"}
SEND = "Envoyer ce que j’avais écrit"


def sign_in_anew(visit: Visit, who: str) -> None:
    """As another tab of the same browser does: the session has another token."""
    street = visit.street
    principal = find_principal(street.office, street.sessions[who])
    assert principal is not None
    assert principal.account is not None
    with street.office.people.write() as connection:
        account = find_account(connection, read_id("acc", principal.account, Reason.UNKNOWN_ACCOUNT))
        assert account is not None
        token = begin_session(connection, street.office, account, Caller("127.0.0.1", "a test"), "demo")
    visit.page.context.add_cookies([{"name": "carnet_session", "value": token, "url": street.address}])


@pytest.mark.parametrize("javascript", [False, True], ids=["without script", "with script"])
def test_form__of_a_session_that_ended_is_sent_after_signing_in(
    browser: Browser, street: Street, javascript: bool
) -> None:
    note = f"{NOTE} {javascript}"
    with visiting(browser, street, javascript=javascript, size=NARROW) as visit:
        visit.go(street.path(STORY, "/add?type=note"))
        visit.page.fill("[name=note]", note)
        visit.page.context.clear_cookies(name="carnet_session")
        visit.find("L’ajouter, déclaré par moi", "button").click()
        expect(visit.page.get_by_role("heading", name="Connectez-vous d’abord")).to_be_visible()
        assert visit.find("Se connecter").last.get_attribute("target") == "_blank"
        assert visit.list_barriers() == [] if javascript else True
        # Sent before signing in, it is asked for again.
        visit.find(SEND, "button").click()
        expect(visit.page.get_by_role("heading", name="Connectez-vous d’abord")).to_be_visible()
        sign_in_anew(visit, "holder")
        visit.find(SEND, "button").click()
        # The page is of no session, so that it is shown once more with a token of this one.
        expect(visit.page.get_by_role("heading", name="À envoyer encore une fois")).to_be_visible()
        visit.find(SEND, "button").click()
        expect(visit.page.get_by_text("C’est scellé dans le carnet.")).to_be_visible()
        expect(visit.page.get_by_text(note)).to_be_visible()


def test_form__opened_before_another_tab_signed_in_keeps_its_words_and_asks_for_its_file(
    browser: Browser, street: Street
) -> None:
    with visiting(browser, street) as visit:
        visit.go(street.path(STORY, "/add?type=document"))
        visit.page.fill("[name=title]", "Carte grise")
        visit.page.set_input_files("[name=file]", PHOTO)
        sign_in_anew(visit, "holder")
        visit.find("L’ajouter, déclaré par moi", "button").click()
        expect(visit.page.get_by_text("Ce compte ne peut pas faire cela", exact=False)).to_have_count(0)
        visit.page.set_input_files("input[type=file]", PHOTO)
        visit.find(SEND, "button").click()
        expect(visit.page.get_by_text("C’est scellé dans le carnet.")).to_be_visible()
        expect(visit.page.get_by_text("Carte grise")).to_be_visible()
        expect(visit.find("Ouvrir le fichier")).to_be_visible()


def test_form__of_another_site_is_given_nothing_back(street: Street) -> None:
    headers = {"Accept": "text/html", "Cookie": f"carnet_session={street.sessions['holder']}; carnet_form=secret"}
    address = street.address + street.path(STORY, "/add")
    for origin in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        sent = httpx2.post(address, data={"type": "note", "note": "planted"}, headers=headers | origin)
        assert sent.status_code == 403
        assert "planted" not in sent.text
    good = {"form_token": compute_form_token("secret", "another session"), "note": "mine"}
    own = httpx2.post(address, data=good, headers=headers | {"Sec-Fetch-Site": "same-origin"})
    assert (own.status_code, "mine" in own.text) == (403, True)


def test_page__asked_for_by_a_visitor_is_come_back_to_with_its_query(browser: Browser, street: Street) -> None:
    with visiting(browser, street, None) as visit:
        visit.go(street.path(STORY, "/add?type=note"))
        assert "add%3Ftype%3Dnote" in (visit.find("Se connecter").last.get_attribute("href") or "")
    with visiting(browser, street) as visit:
        visit.go(street.path(STORY, "/add?type=note"))
        visit.find("English").click()
        expect(visit.page.get_by_role("heading", name="Add a note")).to_be_visible()


def test_file__too_large_is_told_before_it_takes_the_form_with_it(browser: Browser, street: Street) -> None:
    with visiting(browser, street) as visit:
        visit.go(street.path(STORY, "/add?type=document"))
        visit.page.fill("[name=title]", "Trop grand")
        visit.page.set_input_files("[name=file]", PHOTO | {"buffer": bytes(MAX_FILE_BYTES + 200_000)})
        visit.find("L’ajouter, déclaré par moi", "button").click()
        told = visit.page.locator("[name=file]").evaluate("input => input.validationMessage")
        assert told == "Ce fichier est trop volumineux\u00a0: choisissez-en un plus petit."
        assert visit.page.input_value("[name=title]") == "Trop grand"
        visit.page.set_input_files("[name=file]", PHOTO)
        visit.find("L’ajouter, déclaré par moi", "button").click()
        expect(visit.page.get_by_text("C’est scellé dans le carnet.")).to_be_visible()


def test_file__too_large_leaves_what_was_typed_also_without_script(browser: Browser, street: Street) -> None:
    with visiting(browser, street, javascript=False) as visit:
        visit.go(street.path(STORY, "/add?type=document"))
        visit.page.fill("[name=title]", "Trop grand, sans script")
        visit.page.fill("[name=note]", NOTE)
        visit.page.set_input_files("[name=file]", PHOTO | {"buffer": b"\xff\xd8\xff" + bytes(MAX_FILE_BYTES * 2)})
        visit.find("L’ajouter, déclaré par moi", "button").click()
        expect(visit.page.locator("#e-file")).to_contain_text("trop volumineux")
        assert visit.page.input_value("[name=title]") == "Trop grand, sans script"
        assert visit.page.input_value("[name=note]") == NOTE
        visit.page.set_input_files("[name=file]", PHOTO)
        visit.find("L’ajouter, déclaré par moi", "button").click()
        expect(visit.page.get_by_text("C’est scellé dans le carnet.")).to_be_visible()


def test_words__without_a_space_stay_within_the_narrowest_phone(browser: Browser, street: Street) -> None:
    with visiting(browser, street, size=NARROW) as visit:
        visit.go(street.path(STORY, "/add?type=invoice"))
        visit.page.fill("[name=title]", "<b>" + "É" * 110)
        visit.page.fill("[name=establishment]", "W" * 120)
        visit.page.fill("[name=work]", "W" * 400)
        visit.page.fill("[name=note]", "n" * 1000)
        visit.find("L’ajouter, déclaré par moi", "button").click()
        entry = visit.page.url.removeprefix(street.address)
        for path in (entry, street.path(STORY), street.path(STORY, "/history"), street.path(STORY, "/documents")):
            visit.go(path)
            assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
