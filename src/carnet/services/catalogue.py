"""The catalogue of kinds: what can be written in the network, from the rules in force, each with its JSON Schema.

The schema is made from the very document whose digest the rules name, so a kind that a vote adds is here at once. A
JSON Schema cannot say all that a kind's schema says (check digits, calendars, Unicode's normal form): what it refuses
is wrong, and what it lets through may still be refused, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import KindLine, WriterLine
from carnet.node.reader import Reader
from carnet.passport.kinds import Schema, read_schema
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
    Integer,
    Items,
    OneWhen,
    Record,
    Rule,
    SubjectField,
    Text,
    Together,
    VinField,
)
from carnet.passport.occurred import PRECISIONS
from carnet.services.timelines import BASIS_NAMES, MARK_NAMES, Shape
from carnet.types import Basis, Mark

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class WriterShown(Shape, frozen=True, kw_only=True):
    """Who may write a kind: members of this kind, on these grounds, if they are accredited for it."""

    member: str
    bases: list[str]


class KindShown(Shape, frozen=True, kw_only=True):
    """A kind of entry. `schema` is the JSON Schema of `fields` as a request carries them; `class` decides how many must
    endorse it."""

    id: str
    label: str
    chain: Literal["history", "journal"]
    class_: int = msgspec.field(name="class")
    marks: list[str]
    writers: list[WriterShown]
    fields: list[str]
    schema: dict[str, Any]
    object: Literal["kind"] = "kind"


def list_kinds(reader: Reader) -> list[KindShown]:
    """Every kind that the rules in force name, ascending."""
    lines = [line for line in reader.state.rules.lines if isinstance(line, KindLine)]
    return [_show(reader, line) for line in sorted(lines, key=lambda line: line.kind)]


def get_kind(reader: Reader, kind: str) -> KindShown:
    """One of them. Raises Refused(UNKNOWN_KIND)."""
    return _show(reader, reader.state.rules.get_kind(kind))


def _show(reader: Reader, line: KindLine) -> KindShown:
    document = reader.kinds.get(line.kind)
    if document is None:
        raise Refused(Reason.UNKNOWN_KIND, f"this node has no schema of {line.kind}", kind=line.kind)
    schema = read_schema(document)
    return KindShown(
        id=line.kind,
        label=schema.label,
        chain=schema.chain,
        class_=line.class_,
        marks=[MARK_NAMES[Mark(mark)] for mark in sorted(schema.marks)],
        writers=[
            WriterShown(member=one.member, bases=[BASIS_NAMES[Basis(basis)] for basis in one.bases])
            for one in reader.state.rules.lines
            if isinstance(one, WriterLine) and one.kind == line.kind
        ],
        fields=[spec.name for spec in schema.fields],
        schema=make_json_schema(schema),
    )


def make_json_schema(schema: Schema) -> dict[str, Any]:
    """The JSON Schema of the own fields of a kind, as a request carries them: absent is null."""
    made = _make_object(schema.fields, schema.description.rules)
    return {"$schema": DIALECT, "title": schema.label, **made}


def make_occurred_schema() -> dict[str, Any]:
    """The JSON Schema of `occurred`. Spec: 2.3."""
    text = {"type": ["string", "null"], "maxLength": 64}
    return {
        "additionalProperties": False,
        "properties": {"at": text, "precision": {"enum": list(PRECISIONS)}, "zone": text},
        "required": ["at", "precision", "zone"],
        "type": "object",
    }


def _make_object(specs: Iterable[FieldSpec], rules: Iterable[Rule]) -> dict[str, Any]:
    specs = list(specs)
    made: dict[str, Any] = {
        "additionalProperties": False,
        "properties": {spec.name: _make_field(spec) for spec in specs},
        "required": [spec.name for spec in specs if not spec.optional],
        "type": "object",
    }
    told = [_make_rule(rule) for rule in rules]
    together = [one for one in told if one is not None]
    return made | ({"allOf": together} if together else {})


def _make_field(spec: FieldSpec) -> dict[str, Any]:
    made = _make_value(spec) | {"description": spec.label}
    if not spec.optional:
        return made
    if "type" in made:
        return made | {"type": [made["type"], "null"]} | ({"enum": [*made["enum"], None]} if "enum" in made else {})
    return {"anyOf": [made, {"type": "null"}], "description": spec.label}


def _make_value(spec: FieldSpec) -> dict[str, Any]:
    if isinstance(spec, Text):
        return {"type": "string", "minLength": 1, "maxLength": spec.max_length}
    if isinstance(spec, Integer):
        return {"type": "integer", "minimum": spec.minimum, "maximum": spec.maximum}
    if isinstance(spec, Flag):
        return {"type": "boolean"}
    if isinstance(spec, Record):
        return _make_object(spec.fields, spec.rules)
    if isinstance(spec, Items):
        return {"type": "array", "items": _make_object(spec.fields, ()), "maxItems": spec.max_items}
    if isinstance(spec, SubjectField):
        return _SUBJECT
    return _make_word(spec)


def _make_word(spec: Choice | Day | Clock | Code | VinField) -> dict[str, Any]:
    if isinstance(spec, Choice):
        if not spec.national:
            return {"type": "string", "enum": list(spec.choices)}
        return {"anyOf": [{"enum": list(spec.choices)}, {"type": "string", "pattern": f"^{NATIONAL_CODE}$"}]}
    if isinstance(spec, Day):
        return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
    if isinstance(spec, Clock):
        return {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"}
    if isinstance(spec, Code):
        return {"type": "string", "pattern": f"^{CODE_FORMS[spec.form][0]}$"}
    return {"type": "string", "minLength": 1, "maxLength": 17}


def _make_rule(rule: Rule) -> dict[str, Any] | None:
    """What JSON Schema can say of a rule; an order of days it cannot."""
    if isinstance(rule, AtMostOne):
        pairs = [(a, b) for at, a in enumerate(rule.fields) for b in rule.fields[at + 1 :]]
        return {"not": {"anyOf": [_given(a, b) for a, b in pairs]}}
    if isinstance(rule, Together):
        return {"anyOf": [_given(*rule.fields), {"not": {"anyOf": [_given(name) for name in rule.fields]}}]}
    if isinstance(rule, OneWhen):
        one = {"oneOf": [_given(name) for name in rule.fields]}
        none = {"not": {"anyOf": [_given(name) for name in rule.fields]}}
        is_so: Mapping[str, Any] = {"properties": {rule.field: {"const": rule.value}}, "required": [rule.field]}
        return {"if": is_so, "then": one, "else": none}
    return None


def _given(*names: str) -> dict[str, Any]:
    return {"properties": {name: {"not": {"type": "null"}} for name in names}, "required": list(names)}


_SUBJECT: dict[str, Any] = {
    "additionalProperties": False,
    "properties": {
        "country": {"type": ["string", "null"], "pattern": "^[A-Z]{2}$"},
        "scheme": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,31}$"},
        "value": {"type": "string", "minLength": 1, "maxLength": 64},
    },
    "required": ["scheme", "value"],
    "type": "object",
}
