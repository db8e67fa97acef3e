"""Templates turned into pages: one environment for each language, with the words, the dates and the assets that
templates ask for.

Everything that a template prints is escaped; no template has a script or a style of its own. It refuses to know
requests: what a page must know of its reader comes in a `Frame`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args
from unicodedata import normalize

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from carnet import __version__
from carnet.services.appearance.looks import Look
from carnet.services.entries import Entry
from carnet.services.vehicles import Vehicle
from carnet.web.language import Language, load_translations
from carnet.web.static_files import find_address
from carnet.web.wording import NARROW, get_wording, sentence

TEMPLATES = Path(__file__).resolve().parent / "templates"
Theme: TypeAlias = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)
THEME_COLOURS = {"light": "#f3f5f2", "dark": "#0c1311"}


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page knows of its reader: language, theme, the path asked for, who has signed in, and the token that
    its forms carry.

    `page` is where one comes back to from an answer to a form whose address has no page, else empty. `query` is what
    stands behind the path's question mark, without the choice of a language. `standing` is the value of
    `Principal.standing`, `role` that of a member's staff; `form_token` is empty where no form may write. `look` is the
    member's whose name and colours the page wears, and `back` where the reader goes on after signing in.
    """

    language: Language = "fr"
    theme: Theme = "auto"
    path: str = "/"
    page: str = ""
    query: str = ""
    standing: str = "visitor"
    role: str = ""
    name: str | None = None
    form_token: str = ""
    is_demo: bool = False
    look: Look | None = None
    back: str = ""

    @property
    def is_signed_in(self) -> bool:
        """Whether somebody has signed in."""
        return self.standing != "visitor"

    @property
    def address(self) -> str:
        """The path asked for, with its query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def home(self) -> str:
        """Where this reader's work begins."""
        return {"visitor": "/", "operator": "/operator", "holder": "/vehicles", "staff": "/console"}.get(
            self.standing, "/account"
        )

    @property
    def base(self) -> str:
        """What stands before the address of a page that wears a member's look."""
        is_under = self.look is not None and self.path.startswith("/with/")
        return f"/with/{self.look.public_id}" if self.look is not None and is_under else ""


def render(template: str, frame: Frame, **facts: Any) -> str:
    """The page as text. Raises jinja2 errors for a template that asks for what it was not given: our own bug."""
    return _make_environment(frame.language).get_template(template).render(frame=frame, **facts)


@cache
def _make_environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        auto_reload=False,
    )
    environment.install_gettext_translations(load_translations(language), newstyle=True)  # type: ignore[attr-defined]
    wording = get_wording(language)
    environment.policies["ext.i18n.trimmed"] = True
    environment.filters |= {
        "sentence": sentence,
        "drums": make_drums,
        "short": make_short_id,
        "mrz": make_mrz,
        "bare": drop_rubric,
    }
    environment.globals |= {
        "asset": find_address,
        "NARROW": NARROW,
        "say": wording,
        "themes": THEMES,
        "theme_colours": THEME_COLOURS,
        "version": __version__,
    }
    # An icon is a macro, so that its markup stands in a template like all other markup.
    kept: Any = environment.get_template("icon.html").module
    environment.globals |= {"icon": cache(kept.icon), "badge": cache(kept.badge), "keep": KeptEvents().keep}
    return environment


class KeptEvents:
    """Entries of a language as they were drawn. An entry never changes; what its place in a timeline says of it may:
    that is in the key."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._drawn: dict[tuple[Any, ...], str] = {}

    def keep(self, base: str, vehicle: Vehicle, entry: Entry, caller: Callable[[], str]) -> str:
        """The markup of an entry under the address `base`, drawn by `caller` where it is not kept."""
        others = (*entry.contested_by, *(() if entry.superseded_by is None else (entry.superseded_by,)))
        erased = tuple(vehicle.entries[seq].is_erased for seq in others)
        key = (
            base,
            vehicle.passport,
            entry.statement,
            others,
            entry.superseded_by,
            entry.is_disputed,
            entry.is_erased,
            erased,
        )
        drawn = self._drawn.get(key)
        if drawn is None:
            drawn = caller()
            if len(self._drawn) >= self._limit:
                self._drawn.clear()
            self._drawn[key] = drawn
        return drawn


def make_drums(value: int) -> list[tuple[str, str]]:
    """The digits of a counter with six drums or more, each with its class: a leading zero, the first of a group, the
    last."""
    text = f"{value:06d}"
    drums = []
    for place, digit in enumerate(text):
        names = ["zero"] if not text[: place + 1].strip("0") and place < len(text) - 1 else []
        if place and (len(text) - place) % 3 == 0:
            names.append("gap")
        if place == len(text) - 1:
            names.append("last")
        drums.append((digit, " ".join(names)))
    return drums


def make_short_id(text: str) -> str:
    """The first eight digits of an id or digest in two groups, as people compare them."""
    return f"{text[:4]} {text[4:8]}"


def make_mrz(vehicle: Vehicle, length: int = 120) -> str:
    """The line at the foot of a data page, in the characters of a passport's (ICAO 9303): decoration, hidden from
    readers of text."""
    plain = normalize("NFKD", vehicle.name or str(vehicle.subject["value"])).upper()
    words = re.sub(r"[^A-Z0-9]+", "<", plain.encode("ascii", "ignore").decode()).strip("<")
    return f"CARNET<{vehicle.plate_country or ''}<{words}<<{vehicle.passport[:8].upper()}<<".ljust(length, "<")


def drop_rubric(label: str) -> str:
    """A field's label without the rubric in brackets, which stands beside it."""
    return re.sub(r" \([A-Z][.0-9A-Z]*\)|(?<=\(CNIT), (?=D)", "", re.sub(r"\((CNIT), D\.2\.1\)", r"(\1)", label))
