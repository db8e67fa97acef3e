"""The typed fast path and the general one give the same answer: on good entries, on nearly good ones, and on
rubbish."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.errors import Refused
from carnet.passport.kinds import Schema, get_schema
from carnet.passport.kinds.fast import compile_fast_path
from carnet.passport.kinds.general import read_fields
from carnet.passport.kinds.language import Choice, Clock, Code, Day, FieldSpec, Flag, Integer, Items, Record, Text
from tests.passport.kind_examples import KINDS

days = st.dates().map(str) | st.sampled_from(["2024-02-29", "2023-02-29", "1885-12-31", "1886-01-01", "2021-W01-1"])
clocks = st.times().map(lambda time: time.isoformat("seconds")) | st.sampled_from(
    ["24:00", "9:30", "09:30", "12:00:60"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
rubbish = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
hexes = st.text("0123456789abcdef", min_size=32, max_size=64)

subjects = st.one_of(
    st.fixed_dictionaries({"scheme": st.just("histovec"), "value": hexes.map("HV".__add__)}),
    st.fixed_dictionaries(
        {"scheme": st.just("vin"), "value": st.sampled_from(["WVWZZZ1KZ7P123456", "vf1abc", "VF1O"])}
    ),
    st.fixed_dictionaries(
        {
            "scheme": st.sampled_from(["plate", "chassis"]),
            "value": st.sampled_from(["AB-123-CD", "ab123cd", "?"]),
            "country": st.sampled_from(["FR", "fr", None]),
        }
    ),
)
moments = st.builds(
    lambda at, precision, zone: {"at": at, "precision": precision, "zone": zone},
    st.none() | st.from_regex(r"(1[89]|20)\d\d(-[01]\d(-[0-3]\d(T[012]\d:[0-5]\d(:[0-6]\d)?)?)?)?", fullmatch=True),
    st.sampled_from(["year", "month", "day", "minute", "second", "unknown", "hour"]),
    st.sampled_from([None, "UTC", "Z", "Europe/Paris", "+02:00", "+15:00", "America/Port-au-Prince", "a b"]),
) | days.map(lambda at: {"at": at, "precision": "day", "zone": "UTC"})


def values_of(spec: FieldSpec) -> st.SearchStrategy[Any]:
    """Values of a field, good more often than not."""
    if isinstance(spec, Integer):
        low, high = spec.minimum, spec.maximum
        return st.integers(low, high) | st.sampled_from([low - 1, low, high, high + 1])
    if isinstance(spec, Flag):
        return st.booleans()
    if isinstance(spec, Choice):
        return st.sampled_from([*spec.choices, "", "DE:OM", "XX:1", "DE:om"])
    if isinstance(spec, Day):
        return days
    if isinstance(spec, Clock):
        return clocks
    if isinstance(spec, Code):
        return hexes | st.sampled_from(["FR", "EUR", "0" * 32, "a" * 64])
    if isinstance(spec, Text):
        return st.text(st.characters(), max_size=10) | st.just("x" * (spec.max_length + 1)) | st.just("e\u0301")
    if isinstance(spec, (Record, Items)):
        record = st.fixed_dictionaries(
            {each.name: values_of(each) for each in spec.fields if not each.optional},
            optional={each.name: values_of(each) | st.none() for each in spec.fields if each.optional},
        )
        return record if isinstance(spec, Record) else st.lists(record, max_size=3)
    return subjects if spec.name == "subject" else st.sampled_from(["WVWZZZ1KZ7P123456", "VF1", "vf1", "VFO"])


@st.composite
def entries(draw: st.DrawFn, schema: Schema) -> dict[Any, Any]:
    """An entry of which each field is likely good, then, in one case of three, one field replaced by rubbish."""
    fields: dict[Any, Any] = {"kind": schema.kind, "subject": draw(subjects), "occurred": draw(moments)}
    for spec in schema.fields:
        if not spec.optional or draw(st.booleans()):
            fields[spec.name] = draw(values_of(spec))
    if "odometer_state" in fields:
        keep = draw(st.sampled_from(["odometer_km", "odometer_mi", None]))
        for name in ("odometer_km", "odometer_mi"):
            fields.pop(name, None)
        fields["odometer_state"] = "read" if keep else draw(st.sampled_from(["read", "not_stated"]))
        if keep:
            fields[keep] = draw(st.integers(0, 300_000))
    if draw(st.integers(0, 2)) == 0:
        fields[draw(st.sampled_from([*schema.names, "constructor", "__proto__"]))] = draw(rubbish)
    return fields


def answer(schema: Schema, fields: Any, *, by_document: bool) -> tuple[object, ...]:
    try:
        values = schema.validate_by_document(fields) if by_document else schema.validate(fields)
    except Refused as refused:
        return (refused.reason, refused.message, refused.facts)
    return (values, list(values))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(data=st.data())
def test_fast_path__says_what_the_general_path_says(kind: str, data: st.DataObject) -> None:
    schema = get_schema(kind)
    fields = data.draw(entries(schema))
    assert answer(schema, fields, by_document=False) == answer(schema, fields, by_document=True)
    # The above could hold of a fast path that never answers, or be hidden by the way back; so, each on its own:
    fast = compile_fast_path(schema.description)
    values, faults = read_fields(schema.description, fields)
    quick = fast(fields)
    if faults:
        assert quick is None
    else:
        assert quick is None or (quick == values and list(quick) == list(values))
        assert fast(values) == values


@given(rubbish)
def test_fast_path__is_not_surprised_by_rubbish(fields: Any) -> None:
    schema = get_schema("vehicle.inspection/1")
    assert answer(schema, fields, by_document=False) == answer(schema, fields, by_document=True)
    assert answer(schema, fields, by_document=True)[0] == schema.find_faults(fields)[0].reason
