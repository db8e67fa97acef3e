"""The catalogue of kinds: a JSON Schema for each kind of the rules, which lets every good entry through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from carnet.errors import Refused
from carnet.passport.kinds import all_kinds, get_schema
from carnet.services.catalogue import get_kind, list_kinds, make_json_schema, make_occurred_schema
from tests.node.home import make_node
from tests.passport.kind_examples import DAY, make_fields

COMMON = {"kind", "occurred", "subject"}


def own_fields(kind: str) -> dict[str, Any]:
    return {name: value for name, value in make_fields(kind).items() if name not in COMMON}


def validator(kind: str) -> Any:
    return jsonschema_rs.Draft202012Validator(make_json_schema(get_schema(kind)))


@pytest.mark.parametrize("kind", all_kinds())
def test_json_schema__takes_the_good_entry_and_its_normal_form(kind: str) -> None:
    schema = get_schema(kind)
    complete = {name: value for name, value in schema.validate(make_fields(kind)).items() if name not in COMMON}
    assert validator(kind).is_valid(own_fields(kind))
    assert validator(kind).is_valid(complete)


@pytest.mark.parametrize("kind", all_kinds())
def test_json_schema__refuses_what_the_kind_refuses(kind: str) -> None:
    """One fault at a time: an unknown field; each field with a value of another type; each required field absent."""
    schema, good = get_schema(kind), own_fields(kind)
    faulty = [good | {"no_such_field": 1}, *(good | {spec.name: [1.5]} for spec in schema.fields)]
    faulty += [{name: value for name, value in good.items() if name != spec.name} for spec in schema.fields
               if not spec.optional]  # fmt: skip
    for fields in faulty:
        assert not validator(kind).is_valid(fields), fields
        with pytest.raises(Refused):
            schema.validate(
                make_fields(kind) | fields
                if len(fields) >= len(good)
                else {name: value for name, value in make_fields(kind).items() if name in {*fields, *COMMON}}
            )


def test_json_schema__says_the_rules_between_fields() -> None:
    odometer = own_fields("vehicle.odometer/1")
    assert not validator("vehicle.odometer/1").is_valid(odometer | {"odometer_km": 1, "odometer_mi": 1})
    assert not validator("vehicle.declared/1").is_valid({"type": "note", "price_cents": 5})
    accessed = own_fields("journal.accessed/1")
    assert not validator("journal.accessed/1").is_valid(accessed | {"assignee_type": "person"})


def test_list__is_that_of_the_rules_in_force(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    with node.read() as reader:
        found = list_kinds(reader)
        assert [kind.id for kind in found] == list(all_kinds())
        odometer = get_kind(reader, "vehicle.odometer/1")
    writers = {one.member: one.bases for one in odometer.writers}
    assert writers["garage"] == ["own_key", "hosted"]
    assert writers["data_service"] == ["own_key", "hosted", "reported", "holder"]
    assert "odometer_km" in odometer.fields


def test_occurred_schema__takes_a_day() -> None:
    assert jsonschema_rs.Draft202012Validator(make_occurred_schema()).is_valid(DAY)
