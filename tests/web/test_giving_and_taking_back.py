"""Taking back takes no more clicks than giving, and nothing is ticked before somebody ticks it (security, 31): for all
that can be given today, to programs and to addresses that are told. Counted in a real browser, script or not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator

from carnet.services.accounts.clients import list_clients
from carnet.services.webhooks.endpoints import list_endpoints
from tests.services.accounts.ground import OPERATOR
from tests.web.street import Street
from tests.web.visit import Visit, visiting

HERE = "/organisation"
NAME = "Night runs"


class Clicks:
    """Clicks from one page on; to write into a field is one too."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self.count = visit, 0
        visit.go(HERE)

    def click(self, place: Locator) -> None:
        place.click()
        self.count += 1

    def write(self, field: str, text: str) -> None:
        self.click(self._visit.page.locator(field))
        self._visit.page.keyboard.type(text)


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def visit(request: pytest.FixtureRequest, browser: Browser, street: Street) -> Iterator[Visit]:
    with visiting(browser, street, "admin", language="en-GB", javascript=request.param) as visit:
        yield visit


def list_ticked(visit: Visit) -> list[str]:
    boxes = visit.page.locator("input[type=checkbox], input[type=radio]")
    assert boxes.count() > 0
    return [str(box.get_attribute("value")) for box in boxes.all() if box.is_checked()]


def test_program__takes_no_more_clicks_to_end_than_to_let_in(visit: Visit, street: Street) -> None:
    giving = Clicks(visit)
    assert list_ticked(visit) == []
    giving.write("#f-name", NAME)
    giving.click(visit.page.locator("input[name=scope][value='entries:append']"))
    giving.click(visit.find("Add it, and show its key", "button"))
    visit.page.get_by_text("The key of the program").wait_for()
    (made,) = [one for one, _ in list_clients(street.office, OPERATOR) if one.name == NAME and one.ended_at is None]

    back = Clicks(visit)
    ending = visit.page.get_by_role("button", name=f"End the program {NAME}")
    back.click(ending)
    ending.wait_for(state="detached")
    (ended,) = [one for one, _ in list_clients(street.office, OPERATOR) if one.id == made.id]
    assert ended.ended_at is not None
    assert back.count <= giving.count
    visit.check()


def test_webhook__takes_no_more_clicks_to_end_than_to_add(visit: Visit, street: Street) -> None:
    giving = Clicks(visit)
    giving.click(visit.page.get_by_role("link", name="Look after them"))
    assert list_ticked(visit) == []
    address = f"{street.address}/told"
    giving.write("#f-url", address)
    giving.click(visit.find("Add it", "button"))
    visit.page.get_by_role("button", name="Send a test").wait_for()
    assert address in {one.url for one in list_endpoints(street.office, OPERATOR)}

    back = Clicks(visit)
    back.click(visit.page.get_by_role("link", name="Look after them"))
    back.click(visit.page.get_by_role("link", name=address))
    back.click(visit.find("End it", "button"))
    visit.page.wait_for_url("**/organisation/webhooks")
    assert address not in {one.url for one in list_endpoints(street.office, OPERATOR)}
    assert back.count <= giving.count
    visit.check()
