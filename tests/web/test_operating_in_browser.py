"""Two operators in a real Chromium, with JavaScript off: a member is asked for, granted and invited, the node's key is
replaced, and a backup's age is read; on a phone's width and on a desk's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from carnet.node.backup.envelope import Passphrase
from carnet.node.home import Home
from carnet.services.accounts.office import Visit
from carnet.services.accounts.registry import OPERATOR, insert_account
from carnet.services.accounts.sessions import begin_session
from carnet.services.backup import back_up
from carnet.services.drilling import drill
from tests.web.browser import DESK, NARROW
from tests.web.lodge import Lodge, find_port, lodging, serving


@pytest.fixture
def lodge(tmp_path: Path) -> Iterator[Lodge]:
    port = find_port()
    with lodging(tmp_path, f"http://localhost:{port}") as made, serving(made, port):
        yield made


@contextmanager
def entering(browser: Browser, lodge: Lodge, name: str, size: tuple[int, int]) -> Iterator[Page]:
    """The browser of an operator who has just signed in."""
    with lodge.office.people.write() as connection:
        account = insert_account(connection, lodge.office, OPERATOR, name, lodge.office.random_bytes(32))
        token = begin_session(connection, lodge.office, account, Visit("192.0.2.1"), "passkey")
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="en-GB", java_script_enabled=False
    )
    context.set_default_timeout(15_000)
    context.add_cookies([{"name": "carnet_session", "value": token, "url": lodge.origin}])
    try:
        yield context.new_page()
    finally:
        context.close()


def press(page: Page, name: str, role: str = "button") -> None:
    page.get_by_role(role, name=name, exact=True).click()  # type: ignore[arg-type]


def test_operators__admit_a_member_replace_the_nodes_key_and_read_a_backups_age(
    browser: Browser, lodge: Lodge, tmp_path: Path
) -> None:
    writer = lodge.node.writers[0]
    with (
        entering(browser, lodge, "Nora Weiss", NARROW) as first,
        entering(browser, lodge, "Ada Roux", DESK) as second,
    ):
        first.goto(f"{lodge.origin}/operator/members")
        first.get_by_label("Name of the organisation").fill("Garage des Tilleuls")
        first.get_by_label("What it is").select_option("garage")
        press(first, "Ask for it")
        assert first.get_by_text("Waits for another operator").is_visible()
        # Whoever asked has no button to grant it.
        assert first.get_by_role("button", name="Grant it, and carry it out").count() == 0

        second.goto(f"{lodge.origin}/operator")
        press(second, "1 request of another operator waits for you.", "link")
        press(second, "Admit a member: Garage des Tilleuls", "link")
        assert second.get_by_text("Nora Weiss").is_visible()
        press(second, "Grant it, and carry it out")
        assert second.get_by_text("Carried out", exact=True).is_visible()

        first.goto(f"{lodge.origin}/operator/members")
        press(first, "Garage des Tilleuls", "link")
        press(first, "Invite an admin of this member")
        link = first.get_by_text(re.compile(r"/join#"))
        assert re.search(r"/join#[0-9A-Z-]{29}", str(link.text_content()))
        first.reload()

        before = writer.node_key
        second.goto(f"{lodge.origin}/operator/members/mem_{writer.node_id.hex()}")
        second.locator("summary", has_text="Replace or revoke it").click()
        press(second, "Ask to replace it")
        first.goto(f"{lodge.origin}/operator/approvals")
        press(first, "Replace a key: example.org", "link")
        press(first, "Grant it, and carry it out")
        assert first.get_by_text("Carried out", exact=True).is_visible()
        assert writer.node_key != before

        opener, folder = Passphrase("correct horse"), tmp_path / "elsewhere"
        folder.mkdir()
        back_up(Home(lodge.node.path), folder / "node.backup", opener)
        drill(Home(lodge.node.path), None, lambda _: opener)
        first.goto(f"{lodge.origin}/operator")
        press(first, "Upkeep", "link")
        assert first.get_by_text("node.backup").is_visible()
        assert first.get_by_text("all of it is what was signed").is_visible()
        assert first.evaluate("document.documentElement.scrollWidth <= innerWidth")
    lodge.node.check()
