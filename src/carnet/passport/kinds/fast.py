"""The typed fast path: a schema compiled once into a msgspec type and a few checks, for entries by the million.

It only ever says yes. Whatever it does not recognise as already good and already normal, it hands to the general path,
which mends or refuses it with a reason; so the two can differ in speed alone (a property test holds them together).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec

from carnet.encoding import is_plain_json
from carnet.errors import Refused
from carnet.passport.kinds.general import CLOCK, DAY
from carnet.passport.kinds.language import (
    CODE_FORMS,
    NATIONAL_CODE,
    AtMostOne,
    Choice,
    Clock,
    Code,
    Day,
    FieldSpec,
    Flag,
    InOrder,
    Integer,
    Items,
    OneWhen,
    Record,
    Rule,
    SchemaDocument,
    SubjectField,
    Text,
    VinField,
)
from carnet.passport.occurred import AT, FIRST_YEAR, ZONE
from carnet.passport.subject import find_subject, is_histovec
from carnet.passport.vin import check_vin
from carnet.types import FORBIDDEN_TEXT

# Only a shortcut past the pattern, which would say the same.
_FREQUENT_ZONES = frozenset({"UTC", "Europe/Paris", "Europe/London", "Europe/Berlin"})

_FIRST_DAY = f"{FIRST_YEAR}-01-01"
_FIND_AT: dict[str, Callable[[str], re.Match[str] | None]] = {
    str(precision): pattern.fullmatch for precision, pattern in AT.items()
}

Check: TypeAlias = Callable[[Any], bool]
IsGood: TypeAlias = Callable[[Any, bool], bool]


class _Occurred(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: str | None
    precision: Literal["year", "month", "day", "minute", "second", "unknown"]
    zone: str | None


# The canonical encoding of an entry: names stand in ascending order in each of the types here.
_write = msgspec.json.Encoder().encode
_write_lines = msgspec.json.Encoder().encode_lines
_ARRAY = b"\xdd"
"""How an array of MessagePack begins whose length has 4 bytes."""


# Names ascending, and no country but that of a plate: written as it is signed.
class _Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    country: str | None = None
    scheme: str
    value: str


class FastPaths(NamedTuple):
    """Two functions that give None where the general path must look: the complete fields, in ascending name order;
    and, for each of many, their canonical bytes. Of many, each may be given as MessagePack."""

    read: Callable[[object], dict[str, Any] | None]
    encode_all: Callable[[Sequence[object]], list[bytes | None]]


def compile_fast_path(schema: SchemaDocument) -> FastPaths:
    """The fast paths of one kind."""
    named: dict[str, Any] = {spec.name: _as_field(spec) for spec in schema.fields}
    kind_type: Any = Literal[schema.kind]
    named |= {"kind": ("kind", kind_type), "occurred": ("occurred", _Occurred), "subject": ("subject", _Subject)}
    names = sorted(named)
    # Not frozen: the subject is put into its normal writing.
    entry_type = _define("Entry", [named[name] for name in names], frozen=False)
    is_good = _compile_group(schema.fields, schema.rules, names)
    lists = [spec.name for spec in schema.fields if isinstance(spec, Items)]
    unpack = msgspec.msgpack.Decoder(entry_type).decode
    unpack_all = msgspec.msgpack.Decoder(list[entry_type]).decode  # type: ignore[valid-type]

    def take(fields: Any) -> Any:
        """The entry, or None."""
        try:
            if isinstance(fields, msgspec.Raw):
                return unpack(fields)
            entry = msgspec.convert(fields, entry_type)
        except (msgspec.DecodeError, TypeError, ValueError, OverflowError):
            return None
        for name in lists:
            # A set would be taken as a list, in an order that changes from one run to the next.
            if not isinstance(fields.get(name), (list, tuple, type(None))):
                return None
        return entry

    def read(fields: object) -> dict[str, Any] | None:
        entry = take(fields)
        if entry is None or not _has_good_frame(entry) or not is_good(entry, False):
            return None
        values: dict[str, Any] = msgspec.to_builtins(entry)
        return values

    def take_all(given: Sequence[Any]) -> list[Any]:
        """The entry or None of each: of many together, if all of them are good."""
        if {type(one) for one in given} == {msgspec.Raw}:
            try:
                entries: list[Any] = unpack_all(_ARRAY + len(given).to_bytes(4, "big") + b"".join(given))
            except (msgspec.DecodeError, OverflowError):
                pass
            else:
                return entries
        return [take(one) for one in given]

    # Step by step for all of them, not entry by entry: that is a third faster. Measure before adding a line.
    def encode_all(given: Sequence[object]) -> list[bytes | None]:
        entries = take_all(given)
        framed = [entry is not None and _has_good_frame(entry) for entry in entries]
        if all(framed) and (whole := _encode_lines(entries)) is not None:
            is_plain = is_plain_json(whole)
            return [
                one if is_good(entry, is_plain or is_plain_json(one)) else None
                for entry, one in zip(entries, whole.split(b"\n"), strict=False)
            ]
        encoded = [_encode(entry) if is_framed else None for entry, is_framed in zip(entries, framed, strict=True)]
        return [
            one if one is not None and is_good(entry, is_plain_json(one)) else None
            for entry, one in zip(entries, encoded, strict=True)
        ]

    return FastPaths(read, encode_all)


def _encode_lines(entries: Sequence[object]) -> bytes | None:
    """Each in a line of its own: what is written has no line end, but as an escape."""
    try:
        return _write_lines(entries)
    except UnicodeError:
        return None


def _encode(entry: object) -> bytes | None:
    try:
        return _write(entry)
    except UnicodeError:
        return None


def _has_good_frame(entry: Any) -> bool:
    """Whether time and subject are good; the subject is in its normal writing afterwards."""
    occurred = entry.occurred
    if not _is_moment(occurred.at, occurred.precision, occurred.zone):
        return False
    subject = entry.subject
    if subject.scheme == "histovec" and subject.country is None and is_histovec(subject.value):
        # Normal as it is: in a file in random order, what is remembered is gone before it is asked for again.
        return True
    entry.subject = subject = _find_normal(subject)
    return subject is not None


@lru_cache(maxsize=4096)
def _find_normal(given: _Subject) -> _Subject | None:
    """The subject in its normal writing; remembered, since a file says many things in a row about one vehicle."""
    found = find_subject(given.scheme, given.value, given.country)
    return None if found is None else _Subject(scheme=found.scheme, value=found.value, country=found.country)


def _define(name: str, fields: Sequence[Any], *, frozen: bool = True) -> type[msgspec.Struct]:
    return msgspec.defstruct(name, fields, frozen=frozen, forbid_unknown_fields=True, kw_only=True)


def _as_field(spec: FieldSpec) -> tuple[Any, ...]:
    """The field of a msgspec type: (name, type), with null for default where it is optional."""
    kind = _as_type(spec)
    return (spec.name, kind | None, None) if spec.optional else (spec.name, kind)


def _as_type(spec: FieldSpec) -> Any:
    if isinstance(spec, Integer):
        return Annotated[int, msgspec.Meta(ge=spec.minimum, le=spec.maximum)]
    if isinstance(spec, Flag):
        return bool
    if isinstance(spec, Text):
        return Annotated[str, msgspec.Meta(min_length=1, max_length=spec.max_length)]
    if isinstance(spec, Choice) and not spec.national:
        return Literal[spec.choices]
    if isinstance(spec, SubjectField):
        return _Subject
    if isinstance(spec, (Record, Items)):
        record = _define("Record", [_as_field(each) for each in spec.fields])
        return record if isinstance(spec, Record) else Annotated[list[record], msgspec.Meta(max_length=spec.max_items)]  # type: ignore[valid-type]
    return str


def _compile_group(specs: Sequence[FieldSpec], rules: Sequence[Rule], names: Sequence[str]) -> IsGood:
    """What the msgspec type does not say by itself about an entry, a record or an item with these names. It is told
    whether all of its texts are known to be plain."""
    places = {name: place for place, name in enumerate(names)}
    texts = [places[spec.name] for spec in specs if isinstance(spec, Text)]
    # Choices stand in most entries: the loop checks them without a call.
    words = [(places[s.name], frozenset([*s.choices, None])) for s in specs if isinstance(s, Choice) and s.national]
    checks = [(places[spec.name], check) for spec in specs if (check := _compile_check(spec)) is not None]
    groups = [(places[spec.name], _compile_nested(spec)) for spec in specs if isinstance(spec, (Record, Items))]
    laws = [_compile_rule(rule, places) for rule in rules]
    as_tuple = msgspec.structs.astuple

    def is_good(record: Any, is_plain: bool) -> bool:
        values = as_tuple(record)
        if not is_plain:
            for place in texts:
                value = values[place]
                if value is not None and not (value.isprintable() if value.isascii() else _is_normal_text(value)):
                    return False
        for place, choices in words:
            value = values[place]
            if value not in choices and not _is_national_code(value):
                return False
        for place, check in checks:
            value = values[place]
            if value is not None and not check(value):
                return False
        for place, is_group in groups:
            value = values[place]
            if value is not None and not is_group(value, is_plain):
                return False
        for law in laws:  # noqa: SIM110 - all() over a generator takes a third longer, once per entry
            if not law(values):
                return False
        return True

    return is_good


def _compile_nested(spec: Record | Items) -> IsGood:
    names = [each.name for each in spec.fields]
    if isinstance(spec, Record):
        return _compile_group(spec.fields, spec.rules, names)
    is_item = _compile_group(spec.fields, (), names)
    return lambda items, is_plain: all(is_item(item, is_plain) for item in items)


def _compile_check(spec: FieldSpec) -> Callable[[Any], object] | None:
    """A function that gives something true for a good value, or None where there is nothing left to check."""
    if isinstance(spec, Day):
        return _is_day
    if isinstance(spec, Clock):
        return CLOCK.fullmatch
    if isinstance(spec, VinField):
        return _is_normal_vin
    if isinstance(spec, SubjectField):
        return _is_normal_subject
    if isinstance(spec, Code):
        return re.compile(CODE_FORMS[spec.form][0]).fullmatch
    return None


_is_national_code = re.compile(NATIONAL_CODE).fullmatch


def _compile_rule(rule: Rule, places: Mapping[str, int]) -> Check:
    if isinstance(rule, InOrder):
        start, end = places[rule.start], places[rule.end]
        return lambda values: values[start] is None or values[end] is None or values[start] <= values[end]
    among = [places[name] for name in rule.fields]
    first, last = among[0], among[-1]

    def count_of_two(values: Sequence[Any]) -> int:
        return (values[first] is not None) + (values[last] is not None)

    def count_of_many(values: Sequence[Any]) -> int:
        given = 0
        for place in among:
            if values[place] is not None:
                given += 1
        return given

    count = count_of_two if len(among) == 2 else count_of_many
    if isinstance(rule, AtMostOne):
        return lambda values: count(values) <= 1
    if isinstance(rule, OneWhen):
        field, wanted = places[rule.field], rule.value
        return lambda values: count(values) == (1 if values[field] == wanted else 0)
    return lambda values: count(values) in (0, len(among))


def _is_moment(at: str | None, precision: str, zone: str | None) -> bool:
    """The same rules as `occurred.check_occurred`, without a word to say."""
    if at is None:
        return zone is None and precision == "unknown"
    find = _FIND_AT.get(precision)
    if find is None or find(at) is None:
        return False
    if zone is not None and zone not in _FREQUENT_ZONES and ZONE.fullmatch(zone) is None:
        return False
    return _is_in_calendar(at[:10] if len(at) >= 10 else at + "-01-01"[len(at) - 10 :])


@lru_cache(maxsize=4096)
def _is_in_calendar(day: str) -> bool:
    try:
        date.fromisoformat(day)
        return day >= _FIRST_DAY
    except ValueError:
        return False


def _is_day(value: str) -> bool:
    return DAY.fullmatch(value) is not None and _is_in_calendar(value)


def _is_normal_text(value: str) -> bool:
    return FORBIDDEN_TEXT.search(value) is None and unicodedata.is_normalized("NFC", value)


def _is_normal_vin(value: str) -> bool:
    try:
        return check_vin(value).value == value
    except Refused:
        return False


def _is_normal_subject(given: _Subject) -> bool:
    return _find_normal(given) == given
