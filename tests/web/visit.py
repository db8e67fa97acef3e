"""A person's browser at the service: who they are, what they use, and everything that a page did which a good page does
not.

It refuses to know what a page is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response

from tests.web.browser import DESK, TELL_VIOLATIONS
from tests.web.street import Street

MAX_PAGE_BYTES = 100_000
WATCH_SHIFTS = """
self.shifts = [];
const spell = (element) => [element.localName, ...element.classList].join(".");
const path = (node) => {
  if (!node) return "what is gone since";
  if (node.nodeType !== Node.ELEMENT_NODE) return `${node.nodeName} in ${path(node.parentElement)}`;
  return [node.parentElement, node].filter(Boolean).map(spell).join(" > ");
};
const place = ({ x, y, width, height }) => `${x}, ${y} (${width} by ${height})`;
const tell = ({ node, previousRect: was, currentRect: is }) =>
  `${path(node)} "${node?.textContent?.trim().slice(0, 40) ?? ""}" from ${place(was)} to ${place(is)}`;
const note = (list) => {
  for (const { sources, startTime, hadRecentInput } of list.getEntries()) {
    const when = `${Math.round(startTime)} ms${hadRecentInput ? ", after input" : ""}`;
    self.shifts.push(...sources.map((one) => `${when}: ${tell(one)}`));
  }
};
new PerformanceObserver(note).observe({ type: "layout-shift", buffered: true });
"""
MEASURE = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((entry) => !entry.name.endsWith("/worker.js"))
  .reduce((sum, entry) => sum + (entry.transferSize || entry.encodedBodySize), 0)"""
SQUEEZED = """() => [...document.querySelectorAll(".table--fold td")]
  .filter((cell) => cell.clientWidth < 120 && cell.clientHeight > 5 * parseFloat(getComputedStyle(cell).lineHeight))
  .map((cell) => cell.textContent.trim().slice(0, 60))"""
"""Cells of a folded table that their neighbour leaves so little room that they are read word by word."""
GRAVE = ("serious", "critical")


@dataclass
class Visit:
    """An open browser of one person."""

    street: Street
    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    has_script: bool = True

    def go(self, path: str) -> Response:
        """Open a page of the service."""
        answer = self.page.goto(self.street.address + path)
        assert answer is not None
        return answer

    def find(self, name: str, role: Any = "link") -> Any:
        """What a person would click on."""
        return self.page.get_by_role(role, name=name)

    def check(self) -> None:
        """Nothing was asked of another origin, no rule of the page was broken, and no script failed."""
        assert self.complaints == [], self.complaints
        foreign = [url for url in self.requests if not url.startswith((self.street.address, "data:", "blob:"))]
        assert foreign == [], foreign

    def check_shape(self) -> None:
        """The page is light, stands still, is no wider than the window, and squeezes no cell."""
        byte_count, shifts = self.page.evaluate(MEASURE), self.page.evaluate("self.shifts")
        assert byte_count <= MAX_PAGE_BYTES, (self.page.url, byte_count)
        assert shifts == [], (self.page.url, shifts)
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), self.page.url
        squeezed = self.page.evaluate(SQUEEZED)
        assert squeezed == [], (self.page.url, squeezed)

    def list_barriers(self) -> list[str]:
        """What axe-core finds serious or critical."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {[node['target'] for node in one['nodes']][:3]}" for one in found if one["impact"] in GRAVE
        ]


def _note(visit: Visit, kind: str, text: str) -> None:
    # Playwright says so itself where a test asks for no service worker.
    if kind in ("error", "warning") and "registration blocked by Playwright" not in text:
        visit.complaints.append(text)


@contextmanager
def visiting(
    browser: Browser,
    street: Street,
    who: str | None = "holder",
    *,
    size: tuple[int, int] = DESK,
    language: str = "fr-FR",
    scheme: str = "light",
    javascript: bool = True,
    worker: bool = False,
    scale: float = 1,
) -> Iterator[Visit]:
    """The browser of one of the street's people; None for a visitor."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=language,
        color_scheme="dark" if scheme == "dark" else "light",
        timezone_id="Europe/Paris",
        java_script_enabled=javascript,
        reduced_motion="reduce",
        service_workers="allow" if worker else "block",
        accept_downloads=True,
        device_scale_factor=scale,
    )
    context.set_default_timeout(10_000)
    if who is not None:
        street.confirm(who)
        context.add_cookies([{"name": "carnet_session", "value": street.sessions[who], "url": street.address}])
    page = context.new_page()
    visit = Visit(street, page, has_script=javascript)
    page.on("request", lambda request: visit.requests.append(request.url))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("console", lambda said: _note(visit, said.type, said.text))
    page.add_init_script(TELL_VIOLATIONS)
    page.add_init_script(WATCH_SHIFTS)
    try:
        yield visit
    finally:
        context.close()
