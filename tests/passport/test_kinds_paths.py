"""The typed fast path and the general one give the same answer: on good entries, on nearly good ones, and on
rubbish."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.encoding import decode, encode
from carnet.errors import Refused
from carnet.passport.kinds import Schema, get_schema
from carnet.passport.kinds.fast import compile_fast_path
from carnet.passport.kinds.general import read_fields
from carnet.passport.kinds.language import (
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
    SubjectField,
    Text,
    Together,
)
from tests.passport.kind_examples import KINDS, make_fields

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
rubbish = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
days = st.dates(date(1886, 1, 1)).map(str)
texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf"]), min_size=1, max_size=8)

GOOD_SUBJECTS: list[Any] = [
    {"scheme": "histovec", "value": "HVbfd213ec99"},
    {"scheme": "vin", "value": "WVWZZZ1KZ7P123456"},
    {"scheme": "plate", "value": "AB-123-CD", "country": "FR"},
    {"scheme": "chassis", "value": "DS 23 O", "country": None},
]
ODD_SUBJECTS: list[Any] = [
    {"scheme": "vin", "value": "vf1abc"},
    {"scheme": "vin", "value": "VF1O"},
    {"scheme": "plate", "value": "ab123cd", "country": "FR"},
    {"scheme": "plate", "value": "ab123cd", "country": "fr"},
    {"scheme": "plate", "value": "AB-123-CD"},
    {"scheme": "chassis", "value": "1", "country": "FR"},
    {"scheme": "chassis", "value": "a\x00"},
    {"scheme": "Chassis", "value": "1"},
    {"scheme": "chassis", "value": "1" * 65},
    {"scheme": "chassis", "value": "1", "make": "x"},
    {"scheme": "chassis"},
]
GOOD_MOMENTS: list[Any] = [
    {"at": "2009", "precision": "year", "zone": None},
    {"at": "2009-05", "precision": "month", "zone": "UTC"},
    {"at": "2009-05-04", "precision": "day", "zone": "Europe/Paris"},
    {"at": "2024-02-29T23:59", "precision": "minute", "zone": "-11:30"},
    {"at": "1886-01-01T00:00:00", "precision": "second", "zone": "America/Port-au-Prince"},
    {"at": None, "precision": "unknown", "zone": None},
]
moments = st.builds(
    lambda at, precision, zone: {"at": at, "precision": precision, "zone": zone},
    st.none() | st.from_regex(r"(1[89]|20)\d\d(-[01]\d(-[0-3]\d(T[012]\d:[0-5]\d(:[0-6]\d)?)?)?)?", fullmatch=True),
    st.sampled_from(["year", "month", "day", "minute", "second", "unknown", "hour"]),
    st.sampled_from([None, "UTC", "Z", "Europe/Paris", "+02:00", "+15:00", "America/Port-au-Prince", "a b"]),
)


ONE_GOOD: dict[type, Any] = {
    Text: "x",
    Choice: "minor",
    Integer: 1,
    Day: "2020-01-01",
    SubjectField: GOOD_SUBJECTS[0],
}
"""What stands in the required fields of a record while another field of it is odd."""


def good(spec: FieldSpec) -> st.SearchStrategy[Any]:
    """Values that a field takes; texts are not all in normal form."""
    if isinstance(spec, Integer):
        return st.integers(spec.minimum, spec.maximum) | st.sampled_from([spec.minimum, spec.maximum])
    if isinstance(spec, Flag):
        return st.booleans()
    if isinstance(spec, Choice):
        return st.sampled_from([*spec.choices, *(["DE:OM"] if spec.national else [])])
    if isinstance(spec, Day):
        return days
    if isinstance(spec, Clock):
        return st.times().map(lambda time: time.isoformat("seconds")) | st.just("09:30")
    if isinstance(spec, Code):
        return st.just({"country": "FR", "currency": "EUR", "id": "0a" * 16, "sha256": "0a" * 32}[spec.form])
    if isinstance(spec, Text):
        return texts | st.sampled_from(["e\u0301", "x" * spec.max_length, "\u212b" * spec.max_length])
    if isinstance(spec, SubjectField):
        return st.sampled_from(GOOD_SUBJECTS)
    if isinstance(spec, (Record, Items)):
        record = record_of(spec.fields)
        if isinstance(spec, Record):
            # Half of the time without what a rule may forbid.
            record |= record.map(lambda values: leave_out(spec, values))
        return record if isinstance(spec, Record) else st.lists(record, max_size=3)
    return st.sampled_from(["WVWZZZ1KZ7P123456", "VF1", "vf1"])


def odd_values(spec: FieldSpec) -> list[Any]:
    """Values just beyond what a field takes."""
    if isinstance(spec, Integer):
        return [spec.minimum - 1, spec.maximum + 1, float(spec.minimum), str(spec.minimum), 2**70]
    if isinstance(spec, Flag):
        return [0, 1, "true"]
    if isinstance(spec, Choice):
        return ["", "DE:om", "XX", "DE:" + "A" * 17, spec.choices[0].swapcase(), spec.choices[0] + " "]
    if isinstance(spec, Day):
        return ["2023-02-29", "1885-12-31", "2021-W01-1", "20210101", "2021-01-01T10:00", "2021-1-1"]
    if isinstance(spec, Clock):
        return ["24:00", "9:30", "09:60", "09:30:60", "09:30:00.5", "09:30\n", "09:30Z"]
    if isinstance(spec, Code):
        return ["fr", "EURO", "E", "0A" * 16, "0a" * 33, "0a" * 16 + "\n"]
    if isinstance(spec, Text):
        marks = [chr(code) for code in (0, 0x1F, 0x7F, 0x9F, 0x61C, 0x200E, 0x202E, 0x2069, 0xD800, 0xDFFF)]
        return ["", "x" * (spec.max_length + 1), "\ufb2c" * spec.max_length, *marks]
    if isinstance(spec, SubjectField):
        return ODD_SUBJECTS
    if isinstance(spec, (Record, Items)):
        base = {each.name: ONE_GOOD[type(each)] for each in spec.fields if not each.optional}
        found = [base | {each.name: odd} for each in spec.fields for odd in odd_values(each)]
        return [*found, {}] if isinstance(spec, Record) else [*([each] for each in found), [base, {}], (), set()]
    return ["VFO", "1" * 16 + "2", "", "A" * 18]


def leave_out(spec: Record | Items, values: dict[str, Any]) -> dict[str, Any]:
    """The record without the later fields of each of its rules, so that the rules hold."""
    rules = spec.rules if isinstance(spec, Record) else ()
    later = {name for rule in rules for name in ((rule.end,) if isinstance(rule, InOrder) else rule.fields[1:])}
    return {name: value for name, value in values.items() if name not in later}


def record_of(specs: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {each.name: good(each) for each in specs if not each.optional},
        optional={each.name: good(each) | st.none() for each in specs if each.optional},
    )


def keep_rules(schema: Schema, fields: dict[str, Any], draw: st.DrawFn) -> None:
    """Mend an entry so that the rules between its fields hold."""
    for rule in schema.description.rules:
        if isinstance(rule, InOrder):
            fields.pop(draw(st.sampled_from([rule.start, rule.end])), None)
            continue
        for name in rule.fields[1:]:
            fields.pop(name, None)
        specs = {spec.name: spec for spec in schema.fields}
        if isinstance(rule, Together):
            fields |= {name: draw(good(specs[name])) for name in rule.fields}
        elif isinstance(rule, OneWhen):
            fields[rule.field] = draw(good(specs[rule.field]))
            fields.pop(rule.fields[0], None)
            if fields[rule.field] == rule.value:
                fields[rule.fields[0]] = draw(good(specs[rule.fields[0]]))


@st.composite
def entries(draw: st.DrawFn, schema: Schema) -> dict[Any, Any]:
    """A good entry in half of the cases; in the others one field is odd, rubbish, unknown, missing or in conflict."""
    specs = list(schema.fields)
    fields: dict[Any, Any] = draw(record_of(specs))
    keep_rules(schema, fields, draw)
    fields |= {"kind": schema.kind, "subject": draw(st.sampled_from(GOOD_SUBJECTS))}
    fields["occurred"] = draw(st.sampled_from(GOOD_MOMENTS))
    change = draw(st.sampled_from(["none", "none", "none", "odd", "moment", "subject", "rubbish", "missing", "more"]))
    if change == "odd":
        spec = draw(st.sampled_from(specs))
        fields[spec.name] = draw(st.sampled_from(odd_values(spec)))
    elif change == "moment":
        fields["occurred"] = draw(moments)
    elif change == "subject":
        fields["subject"] = draw(st.sampled_from(ODD_SUBJECTS))
    elif change == "rubbish":
        fields[draw(st.sampled_from([*schema.names, "constructor", "__proto__"]))] = draw(rubbish)
    elif change == "missing":
        fields.pop(draw(st.sampled_from(sorted(fields))))
    elif change == "more":
        # Good values, but perhaps against a rule between fields.
        fields |= {spec.name: draw(good(spec)) for spec in specs}
    return fields


def answer(schema: Schema, fields: Any, *, by_document: bool) -> tuple[object, ...]:
    try:
        values = schema.validate_by_document(fields) if by_document else schema.validate(fields)
    except Refused as refused:
        return (refused.reason, refused.message, refused.facts)
    return (values, list(values))


def answer_encoded(schema: Schema, fields: Any) -> tuple[object, ...]:
    (found,) = schema.encode_all([fields])
    if isinstance(found, Refused):
        return (found.reason, found.message, found.facts)
    values = decode(found)
    assert isinstance(values, dict)
    return (values, list(values))


FAST_PATHS = {kind: compile_fast_path(get_schema(kind).description) for kind in KINDS}


def check_agreement(schema: Schema, fields: Any) -> None:
    assert answer(schema, fields, by_document=False) == answer(schema, fields, by_document=True)
    # That could hold of a fast path that never answers, or be hidden by the way back; so, each on its own:
    fast = FAST_PATHS[schema.kind]
    values, faults = read_fields(schema.description, fields)
    quick = fast.read(fields)
    if faults:
        assert quick is None
    else:
        assert quick is None or (quick == values and list(quick) == list(values))
        assert fast.read(values) == values
        assert fast.encode_all([values, msgspec.Raw(msgspec.msgpack.encode(values))]) == [encode(values)] * 2
    assert answer_encoded(schema, fields) == answer(schema, fields, by_document=True)
    check_packed(schema, fields)


def check_packed(schema: Schema, fields: Any) -> None:
    try:
        packed = msgspec.msgpack.encode(fields)
        given = msgspec.msgpack.decode(packed)
    except (TypeError, OverflowError, UnicodeError, msgspec.DecodeError):
        # Nothing that could cross to another process: lone surrogates, integers beyond 64 bits.
        return
    assert answer_encoded(schema, msgspec.Raw(packed)) == answer(schema, given, by_document=True)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_fast_path__says_what_the_general_path_says(kind: str, data: st.DataObject) -> None:
    schema = get_schema(kind)
    check_agreement(schema, data.draw(entries(schema)))


@pytest.mark.parametrize("kind", KINDS)
def test_fast_path__agrees_on_each_odd_value_of_each_field(kind: str) -> None:
    schema = get_schema(kind)
    for spec in schema.fields:
        for value in odd_values(spec):
            check_agreement(schema, make_fields(kind, **{spec.name: value}))
    for subject in [*GOOD_SUBJECTS, *ODD_SUBJECTS]:
        check_agreement(schema, make_fields(kind, subject=subject))


def test_encode_all__judges_each_by_itself() -> None:
    schema = get_schema("vehicle.inspection/1")
    good, bad, odd = (
        make_fields(schema.kind),
        make_fields(schema.kind, centre="\x00"),
        make_fields(schema.kind, centre='"'),
    )
    one, two, three, four = schema.encode_all([good, bad, msgspec.Raw(msgspec.msgpack.encode(odd)), good])
    assert one == four == encode(schema.validate(good))
    assert isinstance(two, Refused)
    assert three == encode(schema.validate(odd))
    assert schema.encode_all([]) == []


@given(rubbish)
def test_fast_path__is_not_surprised_by_rubbish(fields: Any) -> None:
    schema = get_schema("vehicle.inspection/1")
    assert answer(schema, fields, by_document=False) == answer(schema, fields, by_document=True)
    assert answer(schema, fields, by_document=True)[0] == schema.find_faults(fields)[0].reason
