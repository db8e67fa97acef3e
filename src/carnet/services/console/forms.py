"""One form for each kind of entry, made from the kind's own schema: so a kind that a vote adds has its form at once.

What people write becomes fields, and what is wrong stands at the input where it was written. It refuses to know how an
input looks, and in which language.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from carnet.errors import Reason, Refused
from carnet.passport.kinds import Schema
from carnet.passport.kinds.language import (
    Choice,
    Clock,
    Code,
    Day,
    FieldSpec,
    Flag,
    Integer,
    Items,
    OneWhen,
    Record,
    SubjectField,
    Text,
    VinField,
)
from carnet.passport.subject import parse_subject
from carnet.services.describing import TELLING
from carnet.services.units import Unit, find_unit, format_quantity, parse_quantity

Input: TypeAlias = Literal["text", "area", "number", "choice", "flag", "day", "clock", "code", "vin", "subject"]
LONG_TEXT: Final = 160
"""A text that may be longer gets room for several lines."""

LONG_ROW: Final = 500
"""The same within a row of a list."""

MAX_ROWS: Final = 20
"""Rows of a list in a form; more come in a file."""

FIRST: Final = {"odometer_state": "read", "currency": "EUR"}
"""What a form begins with, where the field has that choice."""

_ROW = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Box:
    """One input: its name in the form, the field that it fills, and what may be in it."""

    name: str
    field: str
    input: Input
    is_required: bool
    max_length: int = 0
    choices: tuple[str, ...] = ()
    unit: Unit | None = None
    form: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A number in kilometres or in miles, as it was read: two fields of which one is filled."""

    name: str
    field: str
    is_required: bool = False

    @property
    def unit(self) -> str:
        """The name of the input with the unit."""
        return f"{self.name}_unit"


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together in a record."""

    name: str
    field: str
    parts: tuple[Box | Reading, ...]
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of records, `parts` in each row."""

    name: str
    field: str
    parts: tuple[Box, ...]
    max_items: int
    is_required: bool = False

    def list_boxes(self, row: int) -> list[Box]:
        """The inputs of one row, from 0."""
        return [_rename(part, f"{self.name}.{row}.{part.field}") for part in self.parts]


Part: TypeAlias = Box | Reading | Group | Rows


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a kind: what is asked first, and what is seldom filled in."""

    kind: str
    main: tuple[Part, ...]
    more: tuple[Part, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """All of it."""
        return (*self.main, *self.more)

    def list_names(self, rows: Mapping[str, int]) -> Iterator[str]:
        """The names of all inputs, with so many rows in each list."""
        for part in self.parts:
            for box in _list_boxes(part, rows):
                yield box.name
                if isinstance(box, Reading):
                    yield box.unit


class Filled:
    """What was written in a form: good fields, and by input what is wrong."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.errors: dict[str, Refused] = {}
        self.kept_rows: dict[str, list[int]] = {}


def make_form(schema: Schema) -> Form:
    """The form of a kind: first the reading, what must be filled in and what tells the story; then the rest."""
    telling = TELLING.get(schema.kind, ())
    needed_readings = {name for rule in schema.description.rules if isinstance(rule, OneWhen) for name in rule.fields}
    parts = {part.field: part for part in _make_parts(schema.fields, "", needed_readings)}
    first = [part for part in parts.values() if part.field in ("odometer", "old_odometer", "new_odometer")]
    needed = [part for part in parts.values() if part.is_required and part not in first]
    told = [parts[name] for name in telling if name in parts and parts[name] not in (*first, *needed)]
    main = [*first, *needed, *told]
    # A price without its currency says nothing, and the other way round.
    if any(part.field.endswith("_cents") for part in main):
        main += [part for part in parts.values() if part.field == "currency" and part not in main]
    rest = tuple(part for part in parts.values() if part not in main)
    if len(main) < 3:
        main, rest = [*main, *rest[:6]], rest[6:]
    return Form(schema.kind, tuple(main), rest)


def list_first_values(form: Form) -> dict[str, str]:
    """What the inputs of an empty form hold."""
    found = {}
    for part in form.parts:
        for box in _list_boxes(part, {}):
            if isinstance(box, Reading):
                found[box.unit] = "km"
            elif box.name in FIRST and (not box.choices or FIRST[box.name] in box.choices):
                found[box.name] = FIRST[box.name]
    return found


def count_rows(form: Form, values: Mapping[str, str]) -> dict[str, int]:
    """How many rows of each list are filled in, at least one."""
    found = {}
    for part in form.parts:
        if isinstance(part, Rows):
            given = [
                int(name.split(".")[1])
                for name in values
                if re.fullmatch(rf"{part.name}\.\d{{1,2}}\.\w+", name, re.ASCII)
            ]
            found[part.name] = min(max([*given, 0]) + 1, MAX_ROWS, part.max_items)
    return found


def fill(schema: Schema, form: Form, values: Mapping[str, str], common: Mapping[str, Any]) -> Filled:
    """The fields that a form's values give, and what is wrong, by the name of its input. `common` are subject and
    occurred, already good. A blank input gives no field."""
    filled = Filled()
    rows = count_rows(form, values)
    for part in form.parts:
        _fill_part(filled, part, values, rows)
    _drop_lonely_currency(filled.fields)
    checked = {"kind": schema.kind, **common, **filled.fields}
    for fault in schema.find_faults(checked):
        path = str(fault.facts.get("field") or "")
        name = _find_input(filled, form, _blame(schema, path, fault, filled.fields))
        if name is not None and name not in filled.errors:
            filled.errors[name] = fault
    return filled


def unfill(form: Form, fields: Mapping[str, Any], without: Iterable[str] = ()) -> dict[str, str]:
    """The inputs that would give these fields: for a form that corrects an entry, or begins like one."""
    values: dict[str, str] = {}
    for part in form.parts:
        if part.field in without:
            continue
        if isinstance(part, Rows):
            for row, item in enumerate((fields.get(part.field) or [])[:MAX_ROWS]):
                for box in part.list_boxes(row):
                    _unfill_box(values, box, item)
        elif isinstance(part, Group):
            for one in part.parts:
                _unfill_box(values, one, fields.get(part.field) or {})
        else:
            _unfill_box(values, part, fields)
    return values


def is_faithful(schema: Schema, form: Form, fields: Mapping[str, Any]) -> bool:
    """Whether the form holds all that these fields of an entry say: only then may it be corrected by its form."""
    common = {name: fields[name] for name in ("occurred", "subject")}
    filled = fill(schema, form, unfill(form, fields), common)
    own = {name: value for name, value in fields.items() if name not in ("kind", *common)}
    return not filled.errors and _drop_blanks(filled.fields) == _drop_blanks(own)


def _drop_blanks(value: Any) -> Any:
    """A value without what is blank in it: a record as sealed names its absent fields."""
    if isinstance(value, Mapping):
        return {name: _drop_blanks(part) for name, part in value.items() if part is not None}
    return [_drop_blanks(part) for part in value] if isinstance(value, list) else value


# ---- from a schema


def _make_parts(specs: Sequence[FieldSpec], path: str, needed: Collection[str] = ()) -> Iterator[Part]:
    names = {spec.name for spec in specs}
    for spec in specs:
        stem = spec.name.removesuffix("_km")
        if isinstance(spec, Record):
            parts = tuple(_make_parts(spec.fields, f"{path}{spec.name}."))
            yield Group(path + spec.name, spec.name, parts, not spec.optional)  # type: ignore[arg-type]
        elif isinstance(spec, Items):
            boxes = tuple(_make_box(one, "", LONG_ROW) for one in _sort_needed(spec.fields))
            yield Rows(path + spec.name, spec.name, boxes, spec.max_items, not spec.optional)
        elif spec.name.endswith("_km") and f"{stem}_mi" in names:
            yield Reading(path + stem, stem, spec.name in needed)
        elif not (spec.name.endswith("_mi") and f"{spec.name.removesuffix('_mi')}_km" in names):
            yield _make_box(spec, path)


def _sort_needed(specs: Sequence[Any]) -> list[Any]:
    return sorted(specs, key=lambda spec: spec.optional)


def _make_box(spec: Any, path: str, long: int = LONG_TEXT) -> Box:
    name, needed = path + spec.name, not spec.optional
    if isinstance(spec, Text):
        return Box(name, spec.name, "area" if spec.max_length > long else "text", needed, spec.max_length)
    if isinstance(spec, Integer):
        return Box(name, spec.name, "number", needed, 20, unit=find_unit(spec.name))
    if isinstance(spec, Choice):
        return Box(name, spec.name, "choice", needed, choices=spec.choices)
    if isinstance(spec, Code):
        return Box(name, spec.name, "code", needed, 64, form=spec.form)
    inputs: dict[type, Input] = {Flag: "flag", Day: "day", Clock: "clock", VinField: "vin", SubjectField: "subject"}
    return Box(name, spec.name, inputs[type(spec)], needed, 70)


def _rename(box: Box, name: str) -> Box:
    return Box(name, box.field, box.input, box.is_required, box.max_length, box.choices, box.unit, box.form)


def _list_boxes(part: Part, rows: Mapping[str, int]) -> Iterator[Box | Reading]:
    if isinstance(part, Rows):
        for row in range(rows.get(part.name, 1)):
            yield from part.list_boxes(row)
    elif isinstance(part, Group):
        yield from part.parts
    else:
        yield part


# ---- from what was written


def _fill_part(filled: Filled, part: Part, values: Mapping[str, str], rows: Mapping[str, int]) -> None:
    if isinstance(part, Rows):
        items, kept = [], []
        for row in range(rows[part.name]):
            item: dict[str, Any] = {}
            for box in part.list_boxes(row):
                _fill_box(filled, box, values, item)
            if item or any(values.get(box.name, "") for box in part.list_boxes(row)):
                items.append(item)
                kept.append(row)
        filled.kept_rows[part.name] = kept
        if items:
            filled.fields[part.field] = items
    elif isinstance(part, Group):
        record: dict[str, Any] = {}
        for one in part.parts:
            _fill_box(filled, one, values, record)
        if record:
            filled.fields[part.field] = record
    else:
        _fill_box(filled, part, values, filled.fields)


def _fill_box(filled: Filled, box: Box | Reading, values: Mapping[str, str], into: dict[str, Any]) -> None:
    text = values.get(box.name, "").strip()
    if not text:
        return
    try:
        if isinstance(box, Reading):
            unit = "mi" if values.get(box.unit) == "mi" else "km"
            into[f"{box.field}_{unit}"] = parse_quantity(text, None)
        else:
            into[box.field] = _read(box, text)
    except Refused as refused:
        filled.errors[box.name] = refused


def _read(box: Box, text: str) -> Any:
    if box.input == "number":
        return parse_quantity(text, box.unit)
    if box.input == "flag":
        return text == "yes"
    if box.input == "subject":
        return parse_subject(text).to_json()
    if box.input == "code" and box.form in ("country", "currency"):
        return text.upper()
    # A browser sends line ends that no sealed text may hold.
    return " ".join(text.split()) if box.input in ("text", "area") else text


def _drop_lonely_currency(fields: dict[str, Any]) -> None:
    """A currency that stands in the form before anybody wrote an amount is no answer."""
    rows = [row for value in fields.values() if isinstance(value, list) for row in value]
    if not any(name.endswith("_cents") for given in (fields, *rows) for name in given):
        fields.pop("currency", None)


def _blame(schema: Schema, path: str, fault: Refused, fields: Mapping[str, Any]) -> str:
    """The field at which a fault is told: where a reading is missing, the reading."""
    if fault.reason is Reason.FIELDS_CONFLICT:
        for rule in schema.description.rules:
            if isinstance(rule, OneWhen) and rule.field == path and fields.get(rule.field) == rule.value:
                return rule.fields[0]
    return path


def _find_input(filled: Filled, form: Form, path: str) -> str | None:
    """The input that fills a field: `activities[0].text` is that of the first row that was not blank."""
    if path in ("subject", "occurred", "kind") or path.startswith(("subject.", "occurred.")):
        return None
    list_name, found = path.partition("[")[0], _ROW.search(path)
    if found is not None:
        kept = filled.kept_rows.get(list_name, [])
        row = kept[int(found[1])] if int(found[1]) < len(kept) else 0
        return f"{list_name}.{row}{path[found.end() :]}"
    names = {box.name for part in form.parts for box in _list_boxes(part, {}) if isinstance(box, Box)}
    stem = re.sub(r"_(km|mi)\Z", "", path)
    if path in names:
        return path
    readings = {box.name for part in form.parts for box in _list_boxes(part, {}) if isinstance(box, Reading)}
    if stem in readings:
        return stem
    lists = (part for part in form.parts if isinstance(part, Rows) and part.field == path)
    return next((f"{part.name}.0.{part.parts[0].field}" for part in lists), path)


# ---- from fields


def _unfill_box(values: dict[str, str], box: Box | Reading, fields: Mapping[str, Any]) -> None:
    if isinstance(box, Reading):
        for unit in ("km", "mi"):
            value = fields.get(f"{box.field}_{unit}")
            if isinstance(value, int):
                values[box.name], values[box.unit] = str(value), unit
        return
    value = fields.get(box.field)
    if value is None:
        return
    if isinstance(value, bool):
        values[box.name] = "yes" if value else "no"
    elif isinstance(value, int):
        values[box.name] = format_quantity(value, box.unit)
    elif isinstance(value, Mapping):
        values[box.name] = ":".join(str(value[one]) for one in ("scheme", "country", "value") if value.get(one))
    else:
        values[box.name] = str(value)
