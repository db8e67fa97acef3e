"""Passkeys in a real Chromium, with a virtual authenticator: an account is made, left, entered again, confirmed, and
got back with a code on paper. No script or style is refused by the page's own rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from carnet.services.accounts.invitations import invite
from carnet.services.accounts.registry import HOLDER
from carnet.web.policy import FRESH_MS
from tests.services.accounts.ground import OPERATOR
from tests.web.browser import TELL_VIOLATIONS
from tests.web.lodge import Lodge, find_port, lodging, serving


@pytest.fixture(scope="module")
def lodge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lodge]:
    port = find_port()
    path: Path = tmp_path_factory.mktemp("lodge")
    with lodging(path, f"http://localhost:{port}") as made, serving(made, port):
        yield made


@dataclass
class Visitor:
    """A browser with an authenticator in it."""

    page: Page
    lodge: Lodge
    authenticator: str
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.lodge.origin + path)

    def join(self, name: str) -> list[str]:
        """Make an account from the form that is open; its recovery codes."""
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Make a passkey and the account").click()
        self.page.wait_for_selector(".codes li")
        return self.page.locator(".codes li").all_text_contents()

    def sign_out(self) -> None:
        self.page.locator("summary.tool").click()
        self.page.get_by_role("button", name="Sign out", exact=True).click()
        self.page.wait_for_url(f"{self.lodge.origin}/")


@contextmanager
def visiting(browser: Browser, lodge: Lodge) -> Iterator[Visitor]:
    context = browser.new_context(locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    visitor = Visitor(page, lodge, made["authenticatorId"])
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on("console", lambda said: visitor.complaints.append(said.text) if "CSP" in said.text else None)
    page.add_init_script(TELL_VIOLATIONS)
    try:
        yield visitor
        assert visitor.complaints == []
    finally:
        context.close()


def test_account__made_left_entered_confirmed_and_got_back(browser: Browser, lodge: Lodge) -> None:
    with visiting(browser, lodge) as visitor:
        page = visitor.page
        visitor.go("/join")
        codes = visitor.join("Camille Durand")
        assert len(codes) == 10
        page.get_by_role("link", name="I have them, go on").click()
        page.wait_for_url("**/vehicles")
        visitor.sign_out()

        visitor.go("/vehicles")
        assert page.get_by_role("link", name="Sign in").first.is_visible()
        visitor.go("/sign-in?back=/account")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url(f"{lodge.origin}/account")
        assert page.get_by_text("Camille Durand").first.is_visible()

        lodge.node.clock.now += FRESH_MS + 1000
        visitor.go("/account")
        assert page.get_by_role("button", name="Add a passkey").count() == 0
        page.get_by_role("link", name="Confirm first, to change this").first.click()
        page.get_by_role("button", name="Confirm with a passkey").click()
        page.wait_for_url("**/account#passkeys")
        page.get_by_role("button", name="Make new codes; the old ones end").click()
        page.wait_for_selector(".codes li")
        renewed = page.locator(".codes li").all_text_contents()
        assert not set(renewed) & set(codes)
        visitor.go("/account")
        visitor.sign_out()

        visitor.go("/recover")
        page.get_by_label("Recovery code").fill(renewed[0].lower().replace("-", " "))
        page.get_by_role("button", name="Get in").click()
        page.wait_for_url("**/account?recovered")
        assert page.get_by_text("You came in with a recovery code").is_visible()


def test_invitation__link_fills_the_form_and_leaves_the_address(browser: Browser, lodge: Lodge) -> None:
    invitation = invite(lodge.office, OPERATOR, HOLDER)
    with visiting(browser, lodge) as visitor:
        asked: list[str] = []
        visitor.page.on("request", lambda request: asked.append(request.url))
        visitor.page.goto(invitation.make_link(lodge.origin))
        assert visitor.page.get_by_label("Invitation").input_value() == invitation.code
        assert visitor.page.url == f"{lodge.origin}/join"
        visitor.join("Invited")
        assert not any(invitation.code in url for url in asked)
        visitor.go("/account")
        visitor.sign_out()
        visitor.page.goto(invitation.make_link(lodge.origin))
        visitor.page.get_by_label("Your name").fill("Again")
        visitor.page.get_by_role("button", name="Make a passkey and the account").click()
        visitor.page.wait_for_selector("[data-says=code_not_valid]:not([hidden])")


def test_sign_in__with_a_passkey_that_is_unknown_says_so(browser: Browser, lodge: Lodge) -> None:
    with visiting(browser, lodge) as visitor:
        visitor.go("/join")
        visitor.join("Forgotten")
        with lodge.office.people.write() as connection:
            connection.execute("DELETE FROM passkey")
        visitor.go("/account")
        visitor.sign_out()
        visitor.go("/sign-in")
        visitor.page.get_by_role("button", name="Sign in with a passkey").click()
        visitor.page.wait_for_selector("text=That did not sign you in")


def test_pages__are_readable_without_script(browser: Browser, lodge: Lodge) -> None:
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    try:
        page = context.new_page()
        page.goto(f"{lodge.origin}/sign-in")
        assert page.locator("noscript .banner").is_visible()
        page.get_by_role("link", name="I have lost my passkey").click()
        page.get_by_label("Recovery code").fill("AAAAA-AAAAA-AAAAA-AAAAA")
        page.get_by_role("button", name="Get in").click()
        assert page.get_by_text("That did not sign you in").is_visible()
    finally:
        context.close()
