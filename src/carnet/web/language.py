"""In which language a reader is answered, and the catalogue of each: French and English.

English is the language of the templates; French comes from `locale/fr/LC_MESSAGES/carnet.po`, read once when the
process starts, so that no compiled file can be older than its source. It refuses to know what is said.
"""

from __future__ import annotations

import re
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

Language: TypeAlias = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
LOCALES: dict[Language, str] = {"fr": "fr_FR", "en": "en_GB"}
CATALOGUES = Path(__file__).resolve().parent / "locale"

_RANGE = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]{1,30})?\s*(?:;\s*q=([01](?:\.\d{1,3})?)\s*)?\Z")
_HEADER_MAX_LENGTH = 500


def find_language(text: str | None) -> Language | None:
    """The language that a code names."""
    return next((language for language in LANGUAGES if language == text), None)


def choose_language(asked: str | None, kept: str | None, accepted: str | None) -> Language:
    """What the address asks for, else what the reader chose before, else what the browser prefers (RFC 9110,
    12.5.4), else French."""
    return find_language(asked) or find_language(kept) or _find_accepted(accepted or "") or "fr"


def _find_accepted(header: str) -> Language | None:
    best: tuple[float, Language] | None = None
    for part in header[:_HEADER_MAX_LENGTH].split(","):
        match = _RANGE.match(part)
        language = None if match is None else find_language(match[1].lower())
        weight = 0.0 if match is None else float(match[2] or 1)
        if language is not None and weight > 0 and (best is None or weight > best[0]):
            best = (weight, language)
    return None if best is None else best[1]


class English(NullTranslations):
    """English says what the templates say, with the apostrophes that print has."""

    def gettext(self, message: str) -> str:
        """The message itself."""
        return message.replace("'", "\u2019")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """One message or the other, by number."""
        return self.gettext(msgid1 if n == 1 else msgid2)


@cache
def load_translations(language: Language) -> NullTranslations:
    """The catalogue of a language; English has none, since its messages say themselves."""
    if language == "en":
        return English()
    with (CATALOGUES / language / "LC_MESSAGES" / "carnet.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
