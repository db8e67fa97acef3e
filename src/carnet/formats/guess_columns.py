"""What the values of one column look like: days in a form, numbers in a writing, VINs, plates, words of a short list.

It looks at values only, at no name; it counts, and leaves the meaning to `guess_plan`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from carnet.errors import Refused
from carnet.formats.dates import MIDNIGHT, get_date_reader
from carnet.formats.mapping_document import Number
from carnet.formats.remarks import Remark, remark
from carnet.formats.values import close_gaps, strip_vin
from carnet.passport.plate import check_plate
from carnet.passport.vin import VIN_LENGTH, check_vin

Sort = Literal["blank", "vin", "day", "clock", "number", "plate", "word", "text"]

_BLANKS = frozenset({"", "-", "--", "n/a", "na", "null", "none", "nc", "n.c.", "?"})
_NUMBER = re.compile(
    r"[+-]?(?P<whole>\d{1,3}(?:(?P<group>[ \u00a0\u2009\u202f.,'\u2019])\d{3})+|\d+)(?:(?P<decimal>[.,])(?P<part>\d+))?"
    r"(?:\s*(?P<suffix>[A-Za-z²³]{1,8}))?",
    re.ASCII,
)
_GROUPS = {"\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2019": "'"}
_MIDNIGHT = re.compile(r"[ T]0?0:00(:00(\.0+)?)?(Z|[+-]00:?00)?$", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?", re.ASCII)
_CLOCKS = ("", " HH:MM", " HH:MM:SS")
_SUREST_FIRST = (
    "yyyy-mm-dd",
    "yyyymmdd",
    "yyyy/mm/dd",
    "dd/mm/yyyy",
    "mm/dd/yyyy",
    "dd.mm.yyyy",
    "dd-mm-yyyy",
    "mm-dd-yyyy",
    "dd/mm/yy",
    "mm/dd/yy",
    "dd-month-yyyy",
    "dd-month-yy",
)
_PLATE_COUNTRIES = ("FR", "GB", "NL", "BE", "ES", "IT")
_NEVER = str.maketrans("IOQ", "100")
_ENOUGH = 0.9
"""Of the values of a column, so many must agree for it to be of a sort; in a short file all but one, so that one slip
does not make nothing of a whole column: it is a cell to mend."""


class Column(NamedTuple):
    """One column: its name, what its values are, and how sure that is (0 to 100).

    `form` is that of its days, `number` the writing of its numbers, `country` that of its plates, `words` its values
    where they are few, `empty` those that say nothing, `doubt` a remark where another reading is possible.
    """

    name: str
    sort: Sort
    confidence: int
    form: str | None = None
    number: Number | None = None
    country: str | None = None
    words: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    doubt: Remark | None = None
    largest: int = 0
    smallest: int = 0


def compute_column(name: str, values: Sequence[str]) -> Column:
    """What a column looks like, by the values of a sample of rows."""
    said = [value.strip() for value in values]
    empty = tuple(sorted({value for value in said if value and value.lower() in _BLANKS}))
    said = [value for value in said if value.lower() not in _BLANKS]
    if not said:
        return Column(name, "blank", 100, empty=empty)
    for look in (_look_for_vins, _look_for_days, _look_for_clocks, _look_for_numbers, _look_for_plates):
        found = look(name, said)
        if found is not None:
            return found._replace(empty=empty)
    words = Counter(said)
    if len(words) <= 20 and len(words) * 2 <= len(said) + 2:
        return Column(name, "word", 80, words=tuple(word for word, _ in words.most_common()), empty=empty)
    return Column(name, "text", 80, empty=empty)


def _is_enough(share: float, said: Sequence[str]) -> bool:
    odd = round((1 - share) * len(said))
    return share >= _ENOUGH or (odd == 1 and len(said) >= 3)


def _share(said: Sequence[str], is_one: Callable[[str], object]) -> float:
    return sum(bool(is_one(value)) for value in said) / len(said)


def _look_for_vins(name: str, said: Sequence[str]) -> Column | None:
    bare = [strip_vin(value) for value in said]
    # Gaps, or a letter that no VIN has, in one or in all of them, make no other column of it: they are cells to mend.
    if not _is_enough(_share(bare, _is_nearly_vin), bare):
        return None
    return Column(name, "vin", round(100 * _share(bare, _is_vin)))


def _is_vin(value: str) -> bool:
    try:
        return len(value) == VIN_LENGTH and not value.isdecimal() and not check_vin(value).is_legacy
    except Refused:
        return False


def _is_nearly_vin(value: str) -> bool:
    if _is_vin(value):
        return True
    bare = close_gaps(value) or ""
    return bare.isascii() and any(map(str.isdigit, bare)) and _is_vin(bare.upper().translate(_NEVER))


def _look_for_days(name: str, said: Sequence[str]) -> Column | None:
    fits: dict[str, float] = {}
    for form in (f"{day}{clock}" for clock in _CLOCKS for day in _SUREST_FIRST):
        read = get_date_reader(form)

        def is_day(value: str, read: Callable[[str, str | None], object] = read) -> bool:
            try:
                return bool(read(value, None))
            except Refused:
                return False

        if is_day(said[0]) or (len(said) > 1 and is_day(said[1])):
            share = _share(said, is_day)
            if _is_enough(share, said):
                fits[form] = share
    found = _tell_day_form(name, said, fits)
    if found is None or found.form is None or not all(map(_MIDNIGHT.search, said)):
        return found
    # Programs that know no day without a time write its midnight: the form says so, and takes no other time.
    return found._replace(form=f"{'yyyy-mm-dd' if found.form == 'iso' else found.form.partition(' ')[0]}{MIDNIGHT}")


def _tell_day_form(name: str, said: Sequence[str], fits: Mapping[str, float]) -> Column | None:
    """The form of the days, by the share of the values that each form fits."""
    if not fits:
        iso = get_date_reader("iso")

        def is_moment(value: str) -> bool:
            try:
                return len(value) > 10 and bool(iso(value, None))
            except Refused:
                return False

        return Column(name, "day", 95, form="iso") if _is_enough(_share(said, is_moment), said) else None
    # A few days above 12 tell the order of all the others; a single one among many may be a slip.
    best = [form for form, share in fits.items() if share == max(fits.values())]
    twin = _put_day_first(best[0])
    if len(best) == 1 and twin != best[0] and fits.get(twin, 0.0) >= max(_ENOUGH, fits[best[0]] - 1.5 / len(said)):
        best = [twin, *best]
    if len(best) == 1:
        return Column(name, "day", 98, form=best[0])
    if _put_day_first(best[0]) == _put_day_first(best[1]):
        doubt = remark("either_order", column=name)
        return Column(name, "day", 60, form=_put_day_first(best[0]), doubt=doubt)
    return Column(name, "day", 90, form=best[0])


def _put_day_first(form: str) -> str:
    return re.sub(r"mm([/-])dd", r"dd\1mm", form)


def _look_for_clocks(name: str, said: Sequence[str]) -> Column | None:
    return Column(name, "clock", 95) if _is_enough(_share(said, _CLOCK.fullmatch), said) else None


def _look_for_numbers(name: str, said: Sequence[str]) -> Column | None:
    found = [match for value in said if (match := _NUMBER.fullmatch(value)) is not None]
    if not _is_enough(len(found) / len(said), said):
        return None
    suffixes = Counter(match["suffix"].lower() for match in found if match["suffix"])
    suffix = suffixes.most_common(1)[0][0] if suffixes else None
    decimals, groups, doubt = _tell_marks(name, found)
    whole = [int(re.sub(r"\D", "", match["whole"])) for match in found]
    number = Number(decimal=decimals, group=groups, suffix=suffix)
    confidence = 60 if doubt else 95
    return Column(
        name,
        "number",
        confidence,
        number=number,
        doubt=doubt,
        largest=min(max(whole), 10**12),
        smallest=min(*whole, 10**12),
    )


def _tell_marks(
    name: str, found: Sequence[re.Match[str]]
) -> tuple[Literal[".", ","], Literal[" ", ".", ",", "'"] | None, Remark | None]:
    """The decimal mark, the mark between groups, and the doubt that stays where one mark could be either."""
    groups = Counter(_GROUPS.get(match["group"], match["group"]) for match in found if match["group"])
    decimals = Counter(match["decimal"] for match in found if match["decimal"])
    group = groups.most_common(1)[0][0] if groups else None
    decimal = decimals.most_common(1)[0][0] if decimals else None
    if group == decimal and group is not None:
        # "1.234" and "12.5" in one column: a mark that is not always before three digits is a decimal one.
        group = None
    doubt = None
    if group in (".", ",") and decimal is None:
        doubt = remark("either_mark", column=name, mark=repr(group))
    if decimal is None:
        # Where no fraction was seen, a mark that stands between groups is none of a fraction.
        decimal = "," if "." in groups else "."
    return decimal, group, doubt  # type: ignore[return-value]


def _look_for_plates(name: str, said: Sequence[str]) -> Column | None:
    best: tuple[float, str] = (0.0, "")
    for country in _PLATE_COUNTRIES:

        def is_plate(value: str, country: str = country) -> bool:
            try:
                # Short plates exist, and so do the names of models: A4, 500, C3.
                bare = re.sub(r"[\W_]", "", value)
                return len(bare) >= 5 and any(c.isdigit() for c in bare) and bool(check_plate(country, value))
            except Refused:
                return False

        best = max(best, (_share(said, is_plate), country), key=lambda pair: pair[0])
    share, country = best
    if not _is_enough(share, said):
        return None
    doubt = None if country == "FR" else remark("plate_country", column=name, country=country)
    return Column(name, "plate", round(90 * share), country=country, doubt=doubt)
