"""Forms made from kinds: what is sealed comes back from the form unchanged, and what is wrong stands where it was
written."""

from __future__ import annotations

from typing import Any

import pytest

from carnet.errors import Reason, Refused
from carnet.passport.kinds import all_kinds, get_schema
from carnet.services.console.forms import fill, is_faithful, list_first_values, make_form, unfill
from carnet.services.console.writing import read_vehicle
from carnet.services.units import find_unit, format_quantity, parse_quantity
from carnet.types import Subject
from tests.passport.kind_examples import make_fields

KINDS = [kind for kind in all_kinds() if kind.startswith("vehicle.")]
COMMON = {
    "occurred": {"at": "2024-03-05", "precision": "day", "zone": None},
    "subject": {"scheme": "vin", "value": "WVWZZZ1KZ7P123456"},
}


def read(kind: str, **values: str) -> tuple[dict[str, Any], dict[str, Refused]]:
    schema = get_schema(kind)
    filled = fill(schema, make_form(schema), {name.replace("__", "."): text for name, text in values.items()}, COMMON)
    return filled.fields, filled.errors


@pytest.mark.parametrize("kind", KINDS)
def test_form__holds_all_that_an_entry_of_its_kind_says(kind: str) -> None:
    schema = get_schema(kind)
    # An empty list says "none", which no form does: left blank, it says nothing.
    fields = schema.validate({name: value for name, value in make_fields(kind).items() if value != []})
    form = make_form(schema)
    assert is_faithful(schema, form, fields)
    filled = fill(schema, form, unfill(form, fields), {name: fields[name] for name in COMMON})
    assert schema.validate({"kind": kind, **{name: fields[name] for name in COMMON}, **filled.fields}) == fields


@pytest.mark.parametrize("kind", KINDS)
def test_form__asks_for_what_the_schema_needs_first(kind: str) -> None:
    schema = get_schema(kind)
    form = make_form(schema)
    needed = {spec.name for spec in schema.fields if not spec.optional}
    assert needed <= {part.field for part in form.main}
    _, errors = read(kind, **list_first_values(form))
    names = {name.partition(".")[0] for name in errors}
    assert needed - set(list_first_values(form)) <= names | {"odometer_state"}
    told = {spec.name for spec in schema.fields}
    covered = {part.field for part in form.parts}
    stems = {f"{field}_{unit}" for field in covered for unit in ("km", "mi")}
    assert told <= covered | stems


def test_form__of_an_entry_that_it_cannot_hold() -> None:
    schema = get_schema("vehicle.service/1")
    form = make_form(schema)
    for activities in ([], [{"text": "a"}] * 21, [{"text": "two  blanks"}]):
        fields = schema.validate({"kind": "vehicle.service/1", **COMMON, "activities": activities})
        assert not is_faithful(schema, form, fields)


def test_fill__names_the_input_of_every_fault() -> None:
    _, errors = read("vehicle.odometer/1", odometer="12,5", odometer_state="read")
    assert {name: fault.reason for name, fault in errors.items()} == {"odometer": Reason.WRONG_TYPE}
    _, errors = read("vehicle.odometer/1", odometer="", odometer_state="read")
    assert {name: fault.reason for name, fault in errors.items()} == {"odometer": Reason.FIELDS_CONFLICT}
    _, errors = read("vehicle.odometer/1", odometer="99999999", odometer_unit="mi", odometer_state="read")
    assert {name: fault.reason for name, fault in errors.items()} == {"odometer": Reason.VALUE_OUT_OF_RANGE}
    _, errors = read("vehicle.service/1", activities__0__text="a", activities__4__code="b", next_due__date="2024-02-30")
    assert {name: fault.reason for name, fault in errors.items()} == {
        "activities.4.text": Reason.MISSING_FIELD,
        "next_due.date": Reason.INVALID_TIME,
    }
    fields, errors = read("vehicle.contract/1", state="opened", type="insurance", currency="EUR")
    assert (fields, errors) == ({"state": "opened", "type": "insurance"}, {})
    _, errors = read("vehicle.contract/1", state="opened", type="insurance", price_cents="12,345")
    assert errors["price_cents"].reason is Reason.WRONG_TYPE


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("odometer_km", "123\u202f456", 123_456), ("odometer_km", "1,234,567", 1_234_567), ("seats", "5", 5),
        ("power_w", "77,5", 77_500), ("power_w", "1 234.567", 1_234_567), ("price_cents", "1 189,90", 118_990),
        ("price_cents", "12.5", 1_250), ("ambient_temperature_c", "-12", -12), ("fuel_trim_permille", "-1,5", -15),
        ("co2_g_per_km", "120", 120),
    ],
)  # fmt: skip
def test_quantity__as_people_write_it(name: str, text: str, value: int) -> None:
    unit = find_unit(name)
    assert parse_quantity(text, unit) == value
    assert parse_quantity(format_quantity(value, unit), unit) == value


@pytest.mark.parametrize("name, text", [("seats", "5,5"), ("seats", "five"), ("price_cents", "1,234"), ("power_w", "")])
def test_quantity__refused_wrong_type(name: str, text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_quantity(text, find_unit(name))
    assert refused.value.reason is Reason.WRONG_TYPE


def test_read_vehicle__as_a_clerk_types_it() -> None:
    for text in ("AB-123-CD", "ab 123 cd", " AB123CD "):
        assert read_vehicle(text) == Subject("plate", "AB-123-CD", "FR")
    assert read_vehicle("wvwzzz1kz7p123456") == Subject("vin", "WVWZZZ1KZ7P123456")
    assert read_vehicle("plate:DE:B-AB 123").country == "DE"
