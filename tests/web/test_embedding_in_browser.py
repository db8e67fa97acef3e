"""The passport in a frame of a member's own app, in Chromium: only there, only for its holder, and only to read.

The member's site is on another host (`localhost`, the service on `127.0.0.1`), so that a browser takes the frame for a
third party's: none of our cookies goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame

from carnet.services.accounts.sessions import find_principal
from carnet.services.app_views import list_views
from carnet.services.appearance.looks import Look
from tests.web.brand import Site, dress, serving_site
from tests.web.browser import DESK, NARROW
from tests.web.street import Street
from tests.web.visit import Visit, visiting

SEEN = "Rien à signaler"
CLOSED = "seul vous le voyez"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving_site() as made:
        yield made


@pytest.fixture(scope="module")
def look(street: Street, site: Site) -> Look:
    return dress(street, site.origin)


def embed(street: Street, site: Site, look: Look, story: str = "hero", app: str | None = None) -> str:
    """The address of a frame, which the site shows from now on."""
    address = f"{street.address}/embed/{look.public_id}{street.path(story)}?app={app or site.origin}"
    site.page = f'<h1>Our garage</h1><iframe src="{address}" width="100%" height="700" title="Passport"></iframe>'
    return address


def find_frame(visit: Visit) -> Frame:
    visit.page.wait_for_load_state("networkidle")
    return visit.page.frames[1]


def open_it(visit: Visit, frame: Frame) -> None:
    """What a holder does in the window beside the frame."""
    with visit.page.expect_popup() as opened:
        frame.get_by_role("link", name="Ouvrir ici").click()
    beside = opened.value
    beside.get_by_role("button", name="L’y montrer").click()
    frame.get_by_role("heading", level=1, name="Valmont").wait_for()
    if not beside.is_closed():
        beside.wait_for_event("close")


def can_keep(frame: Frame) -> bool:
    """Whether this browser keeps anything for a frame of another site."""
    tried = "(() => { try { return sessionStorage.length > -1 } catch { return false } })()"
    return bool(frame.evaluate(tried))


def check(visit: Visit, *origins: str) -> None:
    """No rule was broken, no script failed, and nobody else was asked."""
    assert visit.complaints == [], visit.complaints
    known = (visit.street.address, "data:", *origins)
    assert [url for url in visit.requests if not url.startswith(known)] == []


@pytest.mark.parametrize("size, scheme", [(DESK, "light"), (NARROW, "dark")], ids=["desk", "phone"])
def test_frame__shows_its_holder_the_passport_and_keeps_it_for_the_tab(
    browser: Browser, street: Street, site: Site, look: Look, size: tuple[int, int], scheme: str
) -> None:
    embed(street, site, look)
    with visiting(browser, street, size=size, scheme=scheme) as visit:
        visit.page.goto(site.origin)
        frame = find_frame(visit)
        assert frame.locator("h1").count() == 1
        assert visit.list_barriers() == []
        open_it(visit, frame)
        frame.get_by_text(SEEN).wait_for()
        assert "view" not in frame.url
        assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert visit.list_barriers() == []
        frame.get_by_role("button", name="Historique").click()
        frame.locator(".year").first.wait_for()
        assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")
        frame.get_by_role("button", name="Compteur").click()
        frame.locator("svg.plot").wait_for()
        assert visit.list_barriers() == []
        # Whatever is a link leaves the frame; whatever is a form asks for what is shown, and nothing else.
        assert frame.evaluate("document.querySelector('base').target") == "_blank"
        forms = frame.evaluate("[...document.forms].map((form) => new URL(form.action).pathname)")
        assert set(forms) == {f"/embed/{look.public_id}{street.path('hero')}"}
        visit.page.reload()
        again = find_frame(visit)
        if can_keep(again):
            again.get_by_text(SEEN).wait_for()
        else:
            # A browser that keeps nothing for a third party's frame: it is opened anew, with two clicks.
            open_it(visit, again)
        check(visit, site.origin)
        # The page around it cannot read it, and none of our cookies went with it.
        assert visit.page.evaluate("document.querySelector('iframe').contentDocument") is None
        cookies = {cookie["name"] for cookie in visit.page.context.cookies() if cookie["domain"] == "localhost"}
        assert cookies == set()


def test_frame__is_refused_to_every_other_origin(browser: Browser, street: Street, site: Site, look: Look) -> None:
    with serving_site() as foreign, visiting(browser, street) as visit:
        address = embed(street, site, look)
        for framed in (
            address,
            f"{street.address}/with/{look.public_id}{street.path('hero')}",
            street.address + "/sign-in",
        ):
            foreign.page = f'<iframe src="{framed}" width="900" height="700"></iframe>'
            visit.complaints.clear()
            visit.page.goto(foreign.origin)
            visit.page.wait_for_load_state("networkidle")
            assert any("frame-ancestors" in said for said in visit.complaints), (framed, visit.complaints)
            assert all(frame.url.startswith("chrome-error") for frame in visit.page.frames[1:])


def test_token__used_in_a_frame_of_another_origin_is_not_shown(
    browser: Browser, street: Street, site: Site, look: Look
) -> None:
    """Both origins are the same member's: a view is for the one in which it was opened."""
    with serving_site() as other, visiting(browser, street) as visit:
        both = dress(street, site.origin, other.origin)
        embed(street, site, both)
        visit.page.goto(site.origin)
        frame = find_frame(visit)
        open_it(visit, frame)
        token = frame.locator("input[name=view]").first.input_value()
        action = f"{street.address}/embed/{both.public_id}{street.path('hero')}"
        for app in (site.origin, other.origin):
            fields = "".join(
                f'<input name="{name}" value="{value}">' for name, value in (("view", token), ("app", app))
            )
            other.page = (
                f'<iframe name="stolen" width="900" height="700"></iframe>'
                f'<form method="post" action="{action}" target="stolen">{fields}<button>Replay</button></form>'
            )
            visit.page.goto(other.origin)
            visit.page.get_by_role("button", name="Replay").click()
            visit.page.wait_for_load_state("networkidle")
            shown = [frame.content() for frame in visit.page.frames[1:] if not frame.url.startswith("chrome-error")]
            assert all(SEEN not in text for text in shown), app
        dress(street, site.origin)


def test_visitor__signs_in_beside_the_frame_and_the_window_is_known_again(
    browser: Browser, street: Street, site: Site, look: Look
) -> None:
    """Signing in happens in the window beside: it still knows the frame afterwards."""
    embed(street, site, look)
    with visiting(browser, street, None) as visit:
        visit.page.goto(site.origin)
        frame = find_frame(visit)
        with visit.page.expect_popup() as opened:
            frame.get_by_role("link", name="Ouvrir ici").click()
        beside = opened.value
        beside.wait_for_url("**/sign-in?back=**")
        assert beside.evaluate("opener !== null")
        assert beside.locator("body.look").count() == 1
        # A passkey needs an authenticator (test_passkeys_in_browser): its session is put in place here.
        cookie: Any = {"name": "carnet_session", "value": street.sessions["holder"], "url": street.address}
        visit.page.context.add_cookies([cookie])
        back = beside.locator("main input[name=back]").get_attribute("value")
        beside.goto(street.address + str(back))
        beside.get_by_role("button", name="L’y montrer").click()
        frame.get_by_text(SEEN).wait_for()


def test_holder__ends_it_and_the_frame_shows_nothing_more(
    browser: Browser, street: Street, site: Site, look: Look
) -> None:
    embed(street, site, look)
    with visiting(browser, street) as visit:
        visit.page.goto(site.origin)
        frame = find_frame(visit)
        open_it(visit, frame)
        beside = visit.page.context.new_page()
        beside.goto(street.address + street.path("hero", "/looks"))
        assert site.origin in beside.content()
        while beside.get_by_role("button", name="Mettre fin").count():
            beside.get_by_role("button", name="Mettre fin").first.click()
            beside.wait_for_load_state("networkidle")
        assert "shown to you in its app" in beside.content(), "the look stays in the journal"
        frame.get_by_role("button", name="Historique").click()
        frame.get_by_text("Il n’est plus montré ici").wait_for()
        visit.page.reload()
        find_frame(visit).get_by_role("link", name="Ouvrir ici").wait_for()
        principal = find_principal(street.office, street.sessions["holder"])
        assert principal is not None
        assert list_views(street.office, principal, bytes.fromhex(street.passports["hero"])) == []


def test_frame__without_script_leads_to_a_window_of_its_own(
    browser: Browser, street: Street, site: Site, look: Look
) -> None:
    embed(street, site, look)
    with visiting(browser, street, javascript=False) as visit:
        visit.page.goto(site.origin)
        frame = find_frame(visit)
        assert not frame.get_by_role("link", name="Ouvrir ici").is_visible()
        with visit.page.expect_popup() as opened:
            frame.get_by_role("link", name="dans sa propre fenêtre").click()
        opened.value.get_by_text(SEEN).wait_for()
        assert "/with/mem_" in opened.value.url
