"""Pictures of every page: the application's, and each outcome of the verification page; both themes, desk and phone.

`python -m tests.web.screenshots FOLDER` writes them. They are for people to look at; no test compares pixels.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from carnet.services.publishing import PACKAGED
from tests.web.browser import DESK, PHONE, Opened, give, open_browser, open_page, wait_for_answer
from tests.web.samples import SAMPLES, Sample, make_sample
from tests.web.street import Street, open_street
from tests.web.test_every_page import list_pages
from tests.web.visit import visiting

SIZES = {"desk": (DESK, 1.0), "phone": (PHONE, 2.0)}


def write_all(folder: Path) -> int:
    """Write every picture; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with open_browser() as browser:
        for size, (pixels, scale) in SIZES.items():
            for scheme in ("light", "dark"):
                for language in ("fr-FR", "en-GB"):
                    for name in ("start", "settings", *SAMPLES):
                        sample = make_sample("genuine" if name in ("start", "settings") else name)
                        how = {"size": pixels, "scheme": scheme, "language": language, "scale": scale}
                        with open_page(browser, PACKAGED, now_ms=sample.now, **how) as opened:  # type: ignore[arg-type]
                            show(opened, name, sample)
                            file = folder / f"{name}-{language[:2]}-{scheme}-{size}.png"
                            opened.page.screenshot(path=file, full_page=True)
                        count += 1
    return count


def write_application(folder: Path) -> int:
    """Write a picture of each page of the application; French by day, English by night."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.TemporaryDirectory() as home, open_street(Path(home)) as street, open_browser() as browser:
        for size, (pixels, scale) in SIZES.items():
            for scheme, language in (("light", "fr-FR"), ("dark", "en-GB")):
                for who in ("holder", "newcomer", "operator", "clerk", None):
                    how = {"size": pixels, "scheme": scheme, "language": language, "scale": scale}
                    with visiting(browser, street, who, **how) as visit:  # type: ignore[arg-type]
                        for path in [path for its, path in list_pages(street) if its == who]:
                            visit.go(path)
                            name = name_picture(street, who, path)
                            visit.page.screenshot(path=folder / f"app-{name}-{scheme}-{size}.png", full_page=True)
                            count += 1
    return count


def name_picture(street: Street, who: str | None, path: str) -> str:
    """The page's path as a file's name, each passport by its story."""
    for story, passport in street.passports.items():
        path = path.replace(f"/vehicles/pas_{passport}", story)
    return f"{who or 'visitor'}-{re.sub('[^a-z0-9]+', '-', path.lower()).strip('-') or 'front'}"


def show(opened: Opened, name: str, sample: Sample) -> None:
    """Bring the page into the state that the picture is of."""
    if name == "start":
        return
    policy = [("network.policy", sample.policy)] if sample.policy else []
    give(opened, *policy, ("car.carnet", sample.bundle))
    wait_for_answer(opened)
    if name == "settings":
        for summary in opened.page.locator("#trust > summary, #ask > summary").all():
            summary.click()


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="carnet-page-"))
    print(f"{write_application(target) + write_all(target)} pictures in {target}")
