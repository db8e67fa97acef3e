"""Entries, numbers and dates in a reader's language, for pages: what the verification page says by script, said by the
server.

Both take their words for kinds, fields and choices from the same catalogue (`verify/`), so that a datum has one name
everywhere. It refuses to know markup: everything that it gives is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Any, Final

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_currency, format_decimal

from carnet.services.describing import TELLING
from carnet.services.units import find_unit
from carnet.types import LAST_MOMENT_MS
from carnet.web.language import LOCALES, Language
from carnet.web.verify_page import make_texts

COMMON: Final = ("kind", "occurred", "subject")
READINGS: Final = (
    "odometer_km", "odometer_mi", "odometer_state", "new_odometer_km", "new_odometer_mi", "old_odometer_km",
    "old_odometer_mi",
)  # fmt: skip
LONGEST: Final = 600
KEPT: Final = 4096
"""How many numbers and dates are kept as text: most pages say the same ones again."""

NARROW: Final = "\u202f"
_CLOCK: Final = "H'\u00a0h\u00a0'mm"
"""A time of day in French: `9 h 05`."""

_NAMED = ("valid_until", "next_due", "first_registration", "alias", "centre", "towed_to")
_DAY = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?\Z")

Fields = Mapping[str, Any]


@cache
def _load(language: Language) -> dict[str, Any]:
    texts: dict[str, Any] = make_texts()[language]
    return texts


class Wording:
    """The words of one language. Its methods raise nothing: what cannot be said well is shown as it was written."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._locale = LOCALES[language]
        self._texts = _load(language)

    # ---- numbers and dates

    @lru_cache(KEPT)  # noqa: B019 - one for each language, for as long as the process
    def number(self, value: float) -> str:
        """Thousands by a narrow no-break space in French, a comma in English."""
        return str(format_decimal(value, locale=self._locale))

    def reading(self, value: int, unit: str) -> str:
        """An odometer's reading with its unit, which is never converted."""
        return f"{self.number(value)}{NARROW}{unit}"

    def megabytes(self, byte_count: int) -> str:
        """The size of a file at most, in whole megabytes rounded down: `5 MB`, in French `5 Mo`."""
        return f"{byte_count // 1_000_000}\u00a0{'Mo' if self.language == 'fr' else 'MB'}"

    def device(self, text: str) -> str:
        """A browser and its system (`services.accounts.devices`): `Firefox on Linux`, in French `Firefox sur Linux`."""
        return text.replace(" on ", " sur ", 1) if self.language == "fr" else text

    def shown_reading(self, fields: Fields) -> str:
        """What an entry says of the odometer: a reading, or old and new of a replacement; "" if nothing."""
        for unit in ("km", "mi"):
            value = fields.get(f"odometer_{unit}")
            if isinstance(value, int):
                return self.reading(value, unit)
        pairs = [
            (name, unit)
            for name in ("old", "new")
            for unit in ("km", "mi")
            if isinstance(fields.get(f"{name}_odometer_{unit}"), int)
        ]
        return " → ".join(self.reading(fields[f"{name}_odometer_{unit}"], unit) for name, unit in pairs)

    def money(self, cents: int, currency: str | None) -> str:
        """A price in hundredths of its currency; cents are left out where there are none."""
        if currency is None:
            return self.number(cents / 100)
        text = format_currency(
            cents / 100, currency, locale=self._locale, currency_digits=cents % 100 != 0, decimal_quantization=True
        )
        return text if cents % 100 else re.sub(r"[.,]00(?=\D|$)", "", text)

    @lru_cache(KEPT)  # noqa: B019 - one for each language, for as long as the process
    def day(self, text: str, length: str = "medium") -> str:
        """`YYYY`, `YYYY-MM` or `YYYY-MM-DD` in words; anything else as it was written."""
        match = _DAY.match(text)
        if match is None or match[2] is None:
            return text[:LONGEST]
        try:
            on = date(int(match[1]), int(match[2]), int(match[3] or 1))
        except ValueError:
            return text
        if match[3] is None:
            return str(format_date(on, "LLLL y", locale=self._locale))
        pattern = {"day": "d MMMM", "long": "d MMMM y"}.get(length, "d MMM y")
        return str(format_date(on, self._first(pattern, on), locale=self._locale))

    @lru_cache(KEPT)  # noqa: B019 - one for each language, for as long as the process
    def moment(self, ms: int) -> str:
        """A moment of the machine, in UTC, to the minute."""
        at = datetime.fromtimestamp(min(ms, LAST_MOMENT_MS) // 1000, UTC)
        pattern = f"d MMMM y 'à' {_CLOCK} 'UTC'" if self.language == "fr" else "d MMMM y 'at' HH:mm 'UTC'"
        return str(format_datetime(at, self._first(pattern, at), locale=self._locale))

    def moment_of(self, text: str) -> str:
        """The same for a moment in RFC 3339, as the API writes it."""
        return self.moment(int(datetime.fromisoformat(text).timestamp() * 1000))

    @lru_cache(KEPT)  # noqa: B019 - one for each language, for as long as the process
    def date_of(self, ms: int) -> str:
        """The day (UTC) of a moment of the machine."""
        return self.day(datetime.fromtimestamp(ms / 1000, UTC).date().isoformat(), "long")

    @lru_cache(KEPT)  # noqa: B019 - one for each language, for as long as the process
    def clock(self, text: str) -> str:
        """A time of day, `HH:MM…`, as the language writes it."""
        match = re.match(r"([01]\d|2[0-3]):([0-5]\d)", text)
        if match is None:
            return ""
        at = datetime(2000, 1, 1, int(match[1]), int(match[2]), tzinfo=UTC)
        return str(format_time(at, _CLOCK if self.language == "fr" else "HH:mm", locale=self._locale))

    def _first(self, pattern: str, on: date) -> str:
        """The pattern of a date; in French the first of a month is `1er`, which the tables of locales do not know."""
        return pattern.replace("d ", "d'er' ", 1) if self.language == "fr" and on.day == 1 else pattern

    # ---- entries

    def kind(self, kind: str) -> str:
        """What a person calls a kind of entry, with a capital."""
        return sentence(str(self._texts["kinds"].get(kind, kind))[:LONGEST])

    def label(self, kind: str, name: str) -> str:
        """What a person calls a field of a kind, with a capital."""
        fields = self._texts["fields"]
        return sentence(str(fields.get(f"{kind}:{name}") or fields.get(name) or name.replace("_", " ")))

    def word(self, name: str, value: str) -> str:
        """One of a list of choices."""
        words = self._texts["words"]
        meaning = words.get(f"{name}:{value}")
        if meaning is not None:
            return str(meaning)
        return str(words.get(value, value.replace("_", " "))) if name in self._texts["listed"] else value

    def choice(self, name: str, value: str) -> str:
        """One of a list of choices, as a form offers it: with its code, where that is what people know it by."""
        word = self.word(name, value)
        return word if word == value or value.islower() else f"{word} ({value})"

    def title(self, fields: Fields) -> str:
        """What an entry is, in a few words: its kind, and the one choice that tells more than the kind does."""
        kind = str(fields.get("kind"))
        name = {"vehicle.title/1": "type", "vehicle.declared/1": "type", "vehicle.contract/1": "type"}.get(kind)
        if name is not None and isinstance(fields.get(name), str):
            word = sentence(self.word(name, fields[name]))
            return (
                word if kind == "vehicle.title/1" else f"{self.kind(kind)}{self.colon}{self.word(name, fields[name])}"
            )
        if kind == "vehicle.inspection/1" and isinstance(fields.get("result"), str):
            return f"{self.kind(kind)}{self.colon}{self.word('result', fields['result'])}"
        return self.kind(kind)

    @property
    def colon(self) -> str:
        """A colon with its spaces, as each language sets it."""
        return "\u00a0: " if self.language == "fr" else ": "

    def told(self, fields: Fields, besides: tuple[str, ...] = (), author: str = "") -> list[str]:
        """The few fields that tell the story of an entry of a known kind; of another, the first of them with their
        names.

        What the author's name says already is left out.
        """
        kind = str(fields.get("kind"))
        telling = TELLING.get(kind)
        said = (name for name in sorted(fields) if fields[name] is not None)
        names = telling or tuple(name for name in said if name not in COMMON and name not in READINGS)[:6]
        found = []
        for name in names:
            value = fields.get(name)
            if value is None or value in ([], author) or name in besides:
                continue
            text = self.value(name, value, fields)
            is_plain = telling is not None and name not in _NAMED
            found.append(text if is_plain else f"{self.label(kind, name)}{self.colon}{text}")
        return found

    def value(self, name: str, value: object, fields: Fields, depth: int = 0) -> str:
        """One value as a person reads it; `fields` are those beside it."""
        if value is None:
            return "–"
        if isinstance(value, bool):
            return ("oui" if value else "non") if self.language == "fr" else ("yes" if value else "no")
        if isinstance(value, int):
            return self._integer(name, value, fields)
        if isinstance(value, str):
            return self._text(name, value)
        if depth > 3 or not isinstance(value, list | dict):
            return "…"
        if isinstance(value, list):
            return self._items(name, value, depth)
        if isinstance(value.get("scheme"), str) and isinstance(value.get("value"), str):
            return self.subject(value)
        parts = [
            f"{self.label('', key).lower()} {self.value(key, part, value, depth + 1)}"
            for key, part in value.items() if part is not None
        ]  # fmt: skip
        return ", ".join(parts)[:LONGEST]

    def subject(self, subject: Fields) -> str:
        """What a passport is about: `VIN VF1…`, `Plate FR AB-123-CD`."""
        scheme = str(subject.get("scheme"))
        parts = (self._texts["schemes"].get(scheme, scheme), subject.get("country"), subject.get("value"))
        return " ".join(str(part) for part in parts if part)

    def listed(self, kind: str, fields: Fields) -> list[tuple[str, str]]:
        """Everything that an entry says, label and value; what was left blank is left out."""
        return [
            (self.label(kind, name), self.value(name, value, fields))
            for name, value in fields.items()
            if name not in COMMON and value is not None
        ]

    def _items(self, name: str, items: list[Any], depth: int) -> str:
        texts = [self._item(name, item, depth + 1) for item in items[:30]]
        more = f" … ({self.number(len(items))})" if len(items) > 30 else ""
        none = "aucun" if self.language == "fr" else "none"
        return ((f"{NARROW}; " if self.language == "fr" else "; ").join(texts) or none)[:LONGEST] + more

    def _item(self, name: str, item: object, depth: int) -> str:
        if not isinstance(item, dict):
            return self.value(name, item, {}, depth)
        key = next(
            (key for key in ("text", "label", "part", "name", "code") if isinstance(item.get(key), str) and item[key]),
            None,
        )
        if key is None:
            return self.value(name, {key: part for key, part in item.items() if part is not None}, {}, depth)
        # How grave, or in what state, before what it is: a part that is good must not read as one to be mended.
        first = next((name for name in ("severity", "state") if isinstance(item.get(name), str)), None)
        lead = "" if first is None else f"{self.word(first, item[first])}{self.colon}"
        part = "" if key != "text" or not isinstance(item.get("part"), str) else f"{self._text('part', item['part'])}, "
        quantity = item.get("quantity")
        many = f" ×{quantity}" if isinstance(quantity, int) and quantity > 1 else ""
        return f"{lead}{part}{self._text(key, item[key])}{many}"

    def _integer(self, name: str, value: int, fields: Fields) -> str:
        if name.endswith("_cents"):
            currency = fields.get("currency")
            return self.money(value, currency if isinstance(currency, str) else None)
        unit = find_unit(name)
        if unit is not None:
            size, sign = unit
            sign = "tr/min" if sign == "rpm" and self.language == "fr" else sign
            return f"{self.number(value / size if value % size else value // size)}{NARROW}{sign}".strip()
        return str(value) if name.endswith("year") else self.number(value)

    def _text(self, name: str, value: str) -> str:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return self.day(value)
        if f"{name}:{value}" in self._texts["words"]:
            return f"{self.word(name, value)} ({value})"
        return self.word(name, value)[:LONGEST]


@cache
def get_wording(language: Language) -> Wording:
    """The words of a language, made once."""
    return Wording(language)


def sentence(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]
