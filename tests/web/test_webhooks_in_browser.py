"""The pages of webhooks in a real browser: light, still, readable by everyone, and within their own rules; and their
journey without script."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from carnet.services.webhooks.endpoints import list_endpoints
from tests.receivers import answering, receiving
from tests.services.accounts.ground import OPERATOR
from tests.web.browser import DESK, NARROW
from tests.web.street import Street
from tests.web.visit import visiting


@pytest.mark.parametrize(
    "language, scheme, size", [("fr-FR", "light", DESK), ("en-GB", "dark", NARROW)], ids=["desk", "phone"]
)
def test_webhooks__added_tried_and_ended_without_script(
    browser: Browser, street: Street, language: str, scheme: str, size: tuple[int, int]
) -> None:
    is_french = language == "fr-FR"

    def words(english: str, french: str) -> str:
        return french if is_french else english

    with receiving(answering(200, body=b"merci")) as receiver:
        how = {"language": language, "scheme": scheme, "size": size}
        with visiting(browser, street, "admin", javascript=False, **how) as visit:  # type: ignore[arg-type]
            visit.go("/organisation/webhooks")
            visit.page.locator("#f-url").fill(receiver.url)
            visit.page.locator("#f-note").fill("The workshop")
            visit.find(words("Add it", "L’ajouter"), "button").click()
            visit.find(words("Send a test", "Envoyer un essai"), "button").click()
            assert "merci" in visit.page.locator("section", has=visit.page.locator("#tested")).inner_text()
            here = visit.page.url.partition("/test")[0].removeprefix(street.address)
        assert len(receiver.taken) == 1
        with visiting(browser, street, "admin", **how) as visit:  # type: ignore[arg-type]
            for path in ("/organisation/webhooks", here):
                assert visit.go(path).status == 200
                visit.check_shape()
                assert visit.list_barriers() == []
                assert visit.page.locator("h1").count() == 1
            visit.find(words("End it", "Mettre fin"), "button").click()
            visit.page.wait_for_url("**/organisation/webhooks")
            visit.check()
    assert list_endpoints(street.office, OPERATOR) == []
