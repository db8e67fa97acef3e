"""Words, numbers and dates of both languages; and that every message is translated, and every translation is said."""

from __future__ import annotations

import re

import pytest

from carnet.web.language import choose_language, load_translations
from carnet.web.pages.adding import _read_price, _read_reading
from carnet.web.rendering import make_drums
from carnet.web.wording import get_wording
from tests.web.messages import WEB, extract_messages, read_french

FRENCH, ENGLISH = get_wording("fr"), get_wording("en")


def test_messages__all_are_translated_and_none_is_left_over() -> None:
    said = {message.id if isinstance(message.id, str) else message.id[0]: message for message in extract_messages()}
    known = {message.id if isinstance(message.id, str) else message.id[0]: message for message in read_french()}
    assert set(said) == set(known)
    blank = [
        key
        for key, one in known.items()
        if key and not all([one.string] if isinstance(one.string, str) else one.string)
    ]
    assert blank == []


def test_messages__none_waits_for_a_second_look() -> None:
    # The catalogue as it is loaded leaves out what is fuzzy, and a page would say it in English.
    assert [message.id for message in read_french() if message.id and message.fuzzy] == []


def test_messages__a_translation_keeps_the_places_to_fill() -> None:
    for message in read_french():
        if message.id:
            ids = [message.id] if isinstance(message.id, str) else list(message.id)
            strings = [message.string] if isinstance(message.string, str) else list(message.string)
            wanted = {name for text in ids for name in re.findall(r"%\(\w+\)s", text)}
            assert {name for text in strings for name in re.findall(r"%\(\w+\)s", text)} == wanted, ids


def test_messages__french_spaces_do_not_break() -> None:
    for message in read_french():
        if not message.id:
            # The catalogue's own header.
            continue
        for text in [message.string] if isinstance(message.string, str) else message.string:
            assert not re.search(r" [;:!?»]|« ", text), text
            # Imprimerie nationale: a narrow space before ; ? and !, a whole one before a colon and inside the quotes.
            assert not re.search(r"(?<!\u202f)[;?!](?=\s|$)|(?<!\u00a0):(?=\s|$)", text), text
            assert not re.search(r"«[^\u00a0]|[^\u00a0]»", text), text
            assert not re.search(r"[^\W\d_]'[^\W\d_]", text), f"an apostrophe is ’: {text}"


NEVER_ONE = frozenset({"most", "lines", "length", "limit", "free", "size", "days", "drawn", "statements"})
"""Numbers that messages name and that are never 0 or 1: limits, and sizes in bytes; and what is no number."""
MANY = frozenset(
    {
        "%(count)s columns separated by %(separator)s",
        "%(count)s new files are possible",
        "%(count)s of %(all)s rows would be faulty, most often for %(rule)s",
        "%(count)s of %(all)s rows would be faulty, most often for %(rule)s in %(column)s",
        "Taken: it answered %(status)s after %(took)s ms.",
    }
)


def test_messages__french_agrees_with_0_and_1_as_with_many() -> None:
    """A number before a plural is one of a message that has a singular too."""
    found = {}
    for message in read_french():
        if isinstance(message.id, str) and message.id and message.id not in MANY:
            text = str(message.string)
            named = re.findall(r"%\((\w+)\)s[ \u00a0\u202f](?!vous |dans )[^\W\d_]+[sx]\b", text)
            if any(name not in NEVER_ONE for name in named) and not re.search(r"(?i)au plus|jusqu’à", text):
                found[message.id] = text
    assert found == {}


OTHER_WORDS = {
    "détenteur": "titulaire", "passeport": "carnet", "écrivain": "processus d’écriture", "revendi": "réclamer, demande",
    "phrase secrète": "phrase de passe", "trop gros": "trop volumineux", "trop grand:": "trop volumineux",
}  # fmt: skip


def test_messages__french_has_one_word_for_one_thing() -> None:
    for message in read_french():
        for text in [message.string] if isinstance(message.string, str) else message.string:
            assert [word for word in OTHER_WORDS if word in text.lower()] == [], text
            assert not re.search(r"\b(tu|ton|tes|toi)\b", text.lower()), text


@pytest.mark.parametrize(
    "asked, kept, accepted, chosen",
    [
        (None, None, None, "fr"),
        (None, None, "en-GB,en;q=0.9", "en"),
        (None, None, "de,en;q=0.5,fr;q=0.8", "fr"),
        (None, None, "en;q=0,fr;q=0.1", "fr"),
        (None, "en", "fr", "en"),
        ("fr", "en", "en", "fr"),
        ("xx", None, "en", "en"),
        (None, None, "en;q=high," * 100, "fr"),
    ],
)
def test_language__of_address_cookie_and_browser(
    asked: str | None, kept: str | None, accepted: str | None, chosen: str
) -> None:
    assert choose_language(asked, kept, accepted) == chosen


def test_numbers_and_dates__of_both_languages() -> None:
    assert (FRENCH.reading(1_234_567, "km"), ENGLISH.reading(1_234_567, "km")) == (
        "1\u202f234\u202f567\u202fkm",
        "1,234,567\u202fkm",
    )
    assert (FRENCH.day("2026-11-05", "long"), ENGLISH.day("2026-11-05", "long")) == (
        "5 novembre 2026",
        "5 November 2026",
    )
    assert (FRENCH.day("2026-11-01"), FRENCH.day("2026-11-11", "day")) == ("1er nov. 2026", "11 novembre")
    assert (FRENCH.day("2026-11"), FRENCH.day("2026"), FRENCH.day("someday")) == ("novembre 2026", "2026", "someday")
    assert (FRENCH.clock("07:05:10"), ENGLISH.clock("07:05")) == ("7\u00a0h\u00a005", "07:05")
    assert (FRENCH.money(18_990, "EUR"), ENGLISH.money(1_840_000, "EUR")) == ("189,90\u00a0€", "€18,400")
    assert FRENCH.moment(1_795_646_691_810) == "25 novembre 2026 à 22\u00a0h\u00a044 UTC"
    # What an author may have signed, and no calendar writes.
    assert FRENCH.moment(2**53 - 1) == "31 décembre 9999 à 23\u00a0h\u00a059 UTC"


def test_entry__in_words() -> None:
    inspection = {
        "kind": "vehicle.inspection/1",
        "result": "S",
        "nature": "VTP",
        "defects": [{"text": "disc", "severity": "major"}],
    }
    assert FRENCH.title(inspection) == "Contrôle technique\u00a0: défaillances majeures, contre-visite"
    assert ENGLISH.told(inspection, ("result",)) == ["periodic (VTP)", "major: disc"]
    replaced = {"kind": "vehicle.odometer_replacement/1", "old_odometer_mi": 33_376, "new_odometer_km": 53_714}
    assert ENGLISH.shown_reading(replaced) == "33,376\u202fmi → 53,714\u202fkm"


def test_entry__an_author_is_not_told_twice() -> None:
    fields = {"kind": "vehicle.odometer_replacement/1", "reason": "defect", "workshop": "The garage"}
    assert ENGLISH.told(fields, author="The garage") == ["defect"]


@pytest.mark.parametrize(
    "text, value",
    [
        ("123456", 123_456), ("123 456", 123_456), ("123\u202f456", 123_456), ("1,234,567", 1_234_567),
        ("12.345", 12_345),
        ("123,45", None), ("12 34", None), ("1234567890", None), ("12,3456", None), ("-5", None), ("", None),
        ("١٢٣", None),
    ],
)  # fmt: skip
def test_form__a_reading_as_people_write_it(text: str, value: int | None) -> None:
    assert _read_reading(text) == value


@pytest.mark.parametrize(
    "text, cents",
    [("189,90", 18_990), ("1 189.9", 118_990), ("12", 1_200), ("1,234", None), ("twelve", None), ("", None)],
)
def test_form__a_price_as_people_write_it(text: str, cents: int | None) -> None:
    assert _read_price(text) == cents


def test_drums__six_or_more_with_leading_zeros_dimmed() -> None:
    assert make_drums(21_056)[0] == ("0", "zero")
    assert "".join(digit for digit, _ in make_drums(1_234_567)) == "1234567"
    assert make_drums(0)[-1] == ("0", "last")


def test_english__has_the_apostrophes_of_print() -> None:
    assert load_translations("en").gettext("the vehicle's passport") == "the vehicle\u2019s passport"


def test_messages__none_hides_in_an_f_string() -> None:
    """The catalogue's tool does not look into them."""
    pages = WEB / "pages"
    assert [
        path.name for path in pages.glob("*.py") if re.search(r"\{(_|say)\(", path.read_text(encoding="utf-8"))
    ] == []
