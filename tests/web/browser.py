"""A real Chromium for tests of pages: opened without a network, its every request and complaint written down.

It uses the browser that the machine has; none is downloaded. It refuses to know what a page is for.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
TELL_VIOLATIONS = (
    "addEventListener('securitypolicyviolation', "
    "(event) => console.error('CSP', event.violatedDirective, event.blockedURI))"
)
DESK, PHONE, NARROW = (1280, 900), (390, 844), (360, 740)


def find_chromium() -> str | None:
    """The path of a Chromium on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """The browser; skips the test, saying why, where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium is installed: pages were not opened (Debian: apt-get install chromium)")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page that is open, and what it did that a good page does not do."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def check(self) -> None:
        """It asked nobody for anything but itself, broke none of its own rules, and no script of it failed."""
        assert self.complaints == []
        asked = {url for url in self.requests if not url.startswith(("blob:", "data:"))}
        assert asked == {self.page.url}


@contextmanager
def open_page(
    browser: Browser,
    file: Path,
    *,
    size: tuple[int, int] = DESK,
    language: str = "en-GB",
    scheme: str = "light",
    fragment: str = "",
    javascript: bool = True,
    now_ms: int | None = None,
    scale: float = 1,
) -> Iterator[Opened]:
    """Open a local file with the network off, in a fresh profile in the zone Europe/Paris."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=language,
        color_scheme="dark" if scheme == "dark" else "light",
        timezone_id="Europe/Paris",
        offline=True,
        java_script_enabled=javascript,
        device_scale_factor=scale,
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    opened = Opened(page)
    page.on("request", lambda request: opened.requests.append(request.url))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("console", lambda said: opened.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.add_init_script(TELL_VIOLATIONS)
    if now_ms is not None:
        page.clock.set_fixed_time(now_ms / 1000)
    page.goto(file.as_uri() + fragment)
    try:
        yield opened
    finally:
        context.close()


def give(opened: Opened, *files: tuple[str, bytes]) -> None:
    """Choose files, as a person does in the dialog."""
    opened.page.set_input_files(
        "#files", [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    )


def wait_for_answer(opened: Opened) -> str:
    """The outcome that the page shows for the current proof, once it is there."""
    opened.page.wait_for_selector("#answer[aria-busy=false] #result", timeout=20_000)
    return opened.page.locator("[data-outcome]").get_attribute("data-outcome") or ""
