"""What is true of every page: light, still, readable by everyone, and within its own rules; in both languages and
themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.web.browser import DESK, NARROW
from tests.web.slow_wire import slowly
from tests.web.street import Street
from tests.web.visit import visiting

SECTIONS = (
    "", "/vehicle", "/holder", "/status", "/history", "/inspections", "/odometer", "/contracts", "/procedures",
    "/documents",
)  # fmt: skip
DESK_PAGES = (
    "/console", "/console/write", "/console/write/vehicle.odometer-1", "/console/write/vehicle.service-1",
    "/console/vehicles", "/console/codes", "/console/use", "/organisation/keys",
)  # fmt: skip
PEOPLE = ("holder", "newcomer", "operator", "clerk", None)
FORMS = ("/add", *(f"/add?type={type_}" for type_ in ("reading", "own_work", "invoice", "document", "note")))


def list_pages(street: Street) -> list[tuple[str | None, str]]:
    """Every page, with who sees it."""
    holders = ["/vehicles", "/vehicles/add", "/account", "/vehicles/pas_" + "0" * 32]
    holders += [street.path("hero", section) for section in (*SECTIONS, *FORMS, "/looks", "/entries/1", "/entries/12")]
    holders += [street.path("hero", "/entries/1/contest"), street.path("contested", "/history")]
    holders += [street.path("miles_import", "/odometer"), street.path("scrapped"), street.path("histovec")]
    holders += [street.path("histovec", section) for section in ("/vehicle", "/odometer", "/contracts")]
    with street.desk.reading() as reader:
        member = f"/operator/members/mem_{reader.state.members.all[-1].id.hex()}"
    operators = ["/operator", "/operator/log", "/operator/members", member, "/operator/approvals"]
    operators += ["/operator/audit", "/operator/upkeep", "/operator/keys"]
    visitors = ["/", "/design", "/offline", "/verify/here", "/vehicles", "/nowhere", "/sign-in", "/join", "/recover"]
    visitors += ["/developers", *(f"/developers/{part}" for part in ("reference", "events", "status"))]
    visitors += [f"/developers/reference/{tag}" for tag in ("entries", "files", "webhooks")]
    return [
        *(("holder", path) for path in holders),
        ("newcomer", "/vehicles"),
        *(("operator", path) for path in operators),
        *(("clerk", path) for path in DESK_PAGES),
        *(("clerk", path) for path in ("/console/files", "/console/files/mappings", *street.list_files())),
        *((None, path) for path in visitors),
    ]


def list_examples(street: Street) -> list[str]:
    """One page of each kind."""
    return [
        "/vehicles",
        street.path("hero"),
        street.path("contested", "/history"),
        street.path("hero", "/odometer"),
        "/design",
    ]


@pytest.mark.parametrize("who", PEOPLE, ids=str)
@pytest.mark.parametrize(
    "language, scheme, size", [("fr-FR", "light", DESK), ("en-GB", "dark", NARROW)], ids=["desk", "phone"]
)
def test_page__is_light_still_and_readable(
    browser: Browser, street: Street, language: str, scheme: str, size: tuple[int, int], who: str | None
) -> None:
    barriers = {}
    pages = list_pages(street)
    assert {its for its, _ in pages} == set(PEOPLE)
    with visiting(browser, street, who, language=language, scheme=scheme, size=size) as visit:
        for path in [path for its, path in pages if its == who]:
            answer = visit.go(path)
            assert answer.status in (200, 401, 404), path
            assert visit.page.evaluate("document.documentElement.lang") == language[:2]
            visit.check_shape()
            # The same markup in the other theme: colours are what can differ, and one page of each kind shows them.
            is_asked = size == DESK or path in list_examples(street)
            found = visit.list_barriers() if is_asked else []
            if found:
                barriers[path] = found
            assert visit.page.locator("h1").count() == 1, path
            # Chromium itself complains of an answer that is no 200.
            visit.complaints = [said for said in visit.complaints if "Failed to load resource" not in said]
        visit.check()
    assert barriers == {}


@pytest.mark.parametrize("language, size", [("fr-FR", DESK), ("en-GB", NARROW)], ids=["desk", "phone"])
def test_page__stands_still_while_it_comes_in_pieces(
    browser: Browser, street: Street, language: str, size: tuple[int, int]
) -> None:
    pages = [("clerk", "/console"), ("clerk", "/console/files"), ("newcomer", "/vehicles")]
    with slowly(street) as slow:
        for who, path in pages:
            with visiting(browser, slow, who, language=language, size=size) as visit:
                visit.go(path)
                visit.check_shape()


def test_bar_and_dock__stand_still_also_where_a_browser_shows_what_has_come(browser: Browser, street: Street) -> None:
    # In English each word fits its share of the narrowest phone; a wider one takes a few pixels from its neighbours.
    with (
        slowly(street, is_held_back=False) as slow,
        visiting(browser, slow, "clerk", size=NARROW, language="en-GB") as visit,
    ):
        for path in ("/console", street.list_files()[0]):
            visit.go(path)
            moved = visit.page.evaluate("self.shifts")
            assert [one for one in moved if any(part in one for part in ("bar", "dock", "stages"))] == []


def test_dock__of_five_places_fits_the_narrowest_phone(browser: Browser, street: Street) -> None:
    """An admin's has the longest words, in French."""
    with visiting(browser, street, "admin", language="fr-FR", size=NARROW) as visit:
        visit.go("/console")
        assert visit.page.locator(".dock--5 a").count() == 5
        visit.check_shape()


@pytest.mark.parametrize(
    "who, path",
    [("holder", "/account"), ("admin", "/organisation"), ("clerk", "/console/files"), ("operator", "/operator/upkeep")],
)
def test_table__of_moments_is_read_on_the_narrowest_phone(
    browser: Browser, street: Street, who: str, path: str
) -> None:
    """French days are the longest: two of them in a line left one the room of a word."""
    street.list_files()
    with visiting(browser, street, who, language="fr-FR", size=NARROW) as visit:
        visit.go(path)
        visit.check_shape()
