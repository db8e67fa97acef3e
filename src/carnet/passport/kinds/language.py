"""The language in which a kind of entry is described: fields with their types and limits, and the rules between fields.

A schema is data. Its document is plain JSON; the document's digest stands in the rules document, so that a vote can
add a kind without a release, and any changed limit is another digest. What each type means is fixed here, by name and
for ever. It refuses to know who may write a kind, and how many must endorse it: the rules document says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from carnet.errors import Reason, Refused
from carnet.types import INT_MAX, Mark, show

SCHEMA_FORMAT: Literal[1] = 1
"""The version of this language itself; a document of another one is not read."""

COMMON_FIELDS = ("kind", "occurred", "subject")
"""In every statement, and always shown. Source: format.md, Fields."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
KIND = re.compile(r"[a-z][a-z0-9_]{0,31}(?:\.[a-z][a-z0-9_]{0,31}){1,3}/[1-9][0-9]{0,3}")

NATIONAL_CODE = r"[A-Z]{2}:[A-Z0-9_]{1,16}"
"""A code of a country whose own list this schema does not hold, such as `DE:OM`."""

Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Length = Annotated[int, msgspec.Meta(ge=1, le=4000)]
Size = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Bound = Annotated[int, msgspec.Meta(ge=-INT_MAX, le=INT_MAX)]


class _Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    name: Name
    label: Label
    optional: bool = True


class Text(_Spec, frozen=True, tag="text"):
    """Words as written: NFC, no control or bidirectional character, 1 to `max_length` code points."""

    max_length: Length


class Integer(_Spec, frozen=True, tag="integer"):
    """A count or a quantity, whose unit is in its name."""

    minimum: Bound
    maximum: Bound


class Flag(_Spec, frozen=True, tag="flag"):
    """True or false."""


class Choice(_Spec, frozen=True, tag="choice"):
    """One of a list, or, where `national` is true, also a country's own code (`DE:OM`)."""

    choices: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...], msgspec.Meta(min_length=1)
    ]
    national: bool = False


class Day(_Spec, frozen=True, tag="day"):
    """A day of the calendar since 1886, `YYYY-MM-DD`."""


class Clock(_Spec, frozen=True, tag="clock"):
    """A time of day, `HH:MM` or `HH:MM:SS`."""


class Code(_Spec, frozen=True, tag="code"):
    """A text of a fixed form, by the form's name (see `CODE_FORMS`)."""

    form: Literal["country", "currency", "id", "sha256"]


class VinField(_Spec, frozen=True, tag="vin"):
    """A VIN or a legacy chassis number, as `passport.vin` reads it."""


class SubjectField(_Spec, frozen=True, tag="subject"):
    """What something is about, as `passport.subject` reads it."""


class Record(_Spec, frozen=True, tag="record"):
    """Some fields together; absent optional ones are written as null."""

    fields: tuple[SimpleSpec, ...]
    rules: tuple[Rule, ...] = ()


class Items(_Spec, frozen=True, tag="items"):
    """A list of records. An empty list says "none"; null says that the source does not tell."""

    fields: tuple[SimpleSpec, ...]
    max_items: Size


SimpleSpec: TypeAlias = Text | Integer | Flag | Choice | Day | Clock | Code | VinField | SubjectField
FieldSpec: TypeAlias = SimpleSpec | Record | Items

CODE_FORMS: dict[str, tuple[str, str]] = {
    "country": (r"[A-Z]{2}", "two capital letters (ISO 3166-1), such as FR"),
    "currency": (r"[A-Z]{3}", "three capital letters (ISO 4217), such as EUR"),
    "id": (r"[0-9a-f]{32}", "32 hexadecimal digits"),
    "sha256": (r"[0-9a-f]{64}", "64 hexadecimal digits (SHA-256)"),
}


class AtMostOne(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="at_most_one"):
    """Of these fields one at most is given: FIELDS_CONFLICT."""

    fields: tuple[Name, ...]


class Together(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="together"):
    """These fields are all given, or none: FIELDS_CONFLICT."""

    fields: tuple[Name, ...]


class OneWhen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="one_when"):
    """Exactly one of these fields is given when `field` is `value`, none otherwise: FIELDS_CONFLICT."""

    field: Name
    value: str
    fields: tuple[Name, ...]


class InOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="in_order"):
    """The day `end` is not before the day `start`, where both are given: ENDS_BEFORE_START."""

    start: Name
    end: Name


Rule: TypeAlias = AtMostOne | Together | OneWhen | InOrder


class SchemaDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole description of a kind, as hashed."""

    format: Literal[1] = SCHEMA_FORMAT
    kind: str
    label: Label
    chain: Literal["history", "journal"]
    marks: tuple[Annotated[int, msgspec.Meta(ge=0, le=4)], ...]
    fields: tuple[FieldSpec, ...]
    rules: tuple[Rule, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: objects, arrays, texts, integers, booleans."""
        # By way of JSON, so that an array is a list here as it is for whoever reads the document.
        document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return document


def read_document(document: object) -> SchemaDocument:
    """Read a schema that came from outside (a voted rules document); Refused WRONG_TYPE where it is not one.

    Everything that a validator relies on later is checked here, once.
    """
    try:
        schema = msgspec.convert(document, SchemaDocument)
    except msgspec.ValidationError as error:
        raise Refused(Reason.WRONG_TYPE, f"this is not a schema of a kind: {error}") from None
    check_schema(schema)
    return schema


def check_schema(schema: SchemaDocument) -> None:
    """Refuse (WRONG_TYPE) a schema whose names clash, whose order is not the ascending one, or whose rules name
    nothing."""
    if KIND.fullmatch(schema.kind) is None:
        raise _refused(schema, f"{show(schema.kind)} is not a kind; one is written like vehicle.odometer/1")
    if not schema.marks or list(schema.marks) != sorted({Mark(mark) for mark in schema.marks}):
        raise _refused(schema, "its marks are not listed once each, in ascending order")
    _check_fields(schema, schema.fields, schema.rules, reserved=COMMON_FIELDS)
    for spec in schema.fields:
        if isinstance(spec, (Record, Items)):
            _check_fields(schema, spec.fields, spec.rules if isinstance(spec, Record) else (), reserved=())


def _check_fields(
    schema: SchemaDocument, fields: tuple[Any, ...], rules: tuple[Rule, ...], reserved: tuple[str, ...]
) -> None:
    names = [spec.name for spec in fields]
    if names != sorted(set(names)) or any(name in reserved for name in names):
        raise _refused(schema, "its fields are not named once each, in ascending order, apart from the common ones")
    by_name = {spec.name: spec for spec in fields}
    for spec in fields:
        if isinstance(spec, Choice) and len(set(spec.choices)) != len(spec.choices):
            raise _refused(schema, f"the choices of {spec.name} repeat themselves")
        if isinstance(spec, Integer) and spec.minimum > spec.maximum:
            raise _refused(schema, f"the limits of {spec.name} are the wrong way round")
    for rule in rules:
        names_in_rule = list(_names_in(rule))
        if len(names_in_rule) < 2 or len(set(names_in_rule)) != len(names_in_rule):
            raise _refused(schema, "a rule names fewer than two fields, or one of them twice")
        for name in names_in_rule:
            if name not in by_name:
                raise _refused(schema, f"a rule names {name}, which is not a field")
        if isinstance(rule, InOrder) and not all(isinstance(by_name[name], Day) for name in (rule.start, rule.end)):
            raise _refused(schema, f"{rule.start} and {rule.end} are not both days")


def _names_in(rule: Rule) -> Iterator[str]:
    if isinstance(rule, InOrder):
        yield from (rule.start, rule.end)
        return
    yield from rule.fields
    if isinstance(rule, OneWhen):
        yield rule.field


def _refused(schema: SchemaDocument, saying: str) -> Refused:
    return Refused(
        Reason.WRONG_TYPE, f"the schema of {show(schema.kind)} is not sound: {saying}", kind=show(schema.kind)
    )
