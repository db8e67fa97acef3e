"""The general path: read an entry's fields as a schema document says, and name every fault.

It interprets any sound document, so a voted kind works without a release; `fast` gives the same answers sooner. It
refuses to know where the fields come from, and writes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from carnet.errors import Reason, Refused
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
    Together,
    VinField,
)
from carnet.passport.occurred import AT, check_calendar, check_occurred
from carnet.passport.subject import check_subject
from carnet.passport.vin import check_vin
from carnet.types import INT_MAX, brief, is_plain_text, show

DAY = AT["day"]
CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?", re.ASCII)

_PRECEDENCE = {reason: place for place, reason in enumerate(Reason)}
_MAX_FAULTS = 100


def read_fields(schema: SchemaDocument, fields: object) -> tuple[dict[str, Any], list[Refused]]:
    """(the complete fields in ascending name order, every fault in the order of Reason). The fields are only good
    without fault."""
    if not isinstance(fields, Mapping):
        return {}, [Refused(Reason.WRONG_TYPE, f"the fields are {show(fields)}, not an object", value=brief(fields))]
    faults: list[Refused] = []
    values: dict[str, Any] = {}
    readers: dict[str, Callable[[object], Any]] = {
        "kind": lambda value: _read_kind(schema, value),
        "occurred": lambda value: check_occurred(value).to_json(),
        "subject": lambda value: check_subject(value).to_json(),
    }
    for name, reader in readers.items():
        values[name] = _attempt(reader, fields.get(name), name, faults, optional=False)
    values |= _read_group(schema.fields, schema.rules, fields, "", faults, known=tuple(readers))
    faults.sort(key=lambda fault: _PRECEDENCE[fault.reason])
    return {name: values[name] for name in sorted(values)}, faults


def _read_group(
    specs: Sequence[FieldSpec],
    rules: Sequence[Rule],
    given: Mapping[Any, Any],
    path: str,
    faults: list[Refused],
    known: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Read the fields of an entry or of a record in it; `path` stands before their names in messages, such as
    `defects[2].`."""
    names = [*known, *(spec.name for spec in specs)]
    for name in given:
        if len(faults) >= _MAX_FAULTS:
            return dict.fromkeys(names)
        if not isinstance(name, str) or name not in names:
            faults.append(_refuse_unknown(name, names, path))
    values: dict[str, Any] = {}
    faulty: set[str] = set()
    for spec in specs:
        before = len(faults)
        values[spec.name] = _read_spec(spec, given.get(spec.name), path + spec.name, faults)
        if len(faults) > before:
            faulty.add(spec.name)
    for rule in rules:
        # A rule about a field that could not be read would only repeat its fault.
        fault = _find_rule_fault(rule, values, path) if faulty.isdisjoint(_fields_of(rule)) else None
        if fault is not None:
            faults.append(fault)
    return values


def _read_spec(spec: FieldSpec, value: object, path: str, faults: list[Refused]) -> Any:
    if isinstance(spec, Record) and value is not None:
        if not isinstance(value, Mapping):
            faults.append(_refuse(Reason.WRONG_TYPE, path, "must be an object", value))
            return None
        return _read_group(spec.fields, spec.rules, value, f"{path}.", faults)
    if isinstance(spec, Items) and value is not None:
        return _read_items(spec, value, path, faults)
    return _attempt(lambda given: _read_simple(spec, given, path), value, path, faults, optional=spec.optional)


def _read_items(spec: Items, value: object, path: str, faults: list[Refused]) -> Any:
    if not isinstance(value, (list, tuple)):
        faults.append(_refuse(Reason.WRONG_TYPE, path, "must be a list", value))
        return None
    if len(value) > spec.max_items:
        saying = f"has {len(value)} items, {spec.max_items} at most"
        faults.append(_refuse(Reason.VALUE_OUT_OF_RANGE, path, saying, value))
        return None
    items = []
    for place, item in enumerate(value):
        if isinstance(item, Mapping):
            items.append(_read_group(spec.fields, (), item, f"{path}[{place}].", faults))
        else:
            faults.append(_refuse(Reason.WRONG_TYPE, f"{path}[{place}]", "must be an object", item))
    return items


def _attempt(
    reader: Callable[[object], Any], value: object, path: str, faults: list[Refused], *, optional: bool
) -> Any:
    if value is None:
        if not optional:
            faults.append(Refused(Reason.MISSING_FIELD, f"{path} is missing", field=path))
        return None
    # An enumeration of ours (a StrEnum, say) stands for its value.
    plain = value.value if isinstance(value, Enum) else value
    try:
        return reader(plain)
    except Refused as fault:
        fault.facts.setdefault("field", path)
        faults.append(fault)
        return None


def _read_kind(schema: SchemaDocument, value: object) -> str:
    if not isinstance(value, str):
        raise _refuse(Reason.WRONG_TYPE, "kind", "must be a text", value)
    if value != schema.kind:
        raise _refuse(Reason.NOT_IN_LIST, "kind", f"is {show(value)}, but the schema is of {schema.kind}", value)
    return schema.kind


def _read_simple(spec: FieldSpec, value: object, path: str) -> Any:
    if isinstance(spec, SubjectField):
        return check_subject(value, field=path).to_json()
    if isinstance(spec, Flag):
        if not isinstance(value, bool):
            raise _refuse(Reason.WRONG_TYPE, path, "must be true or false", value)
        return value
    if isinstance(spec, Integer):
        return _read_integer(spec, value, path)
    if not isinstance(value, str):
        raise _refuse(Reason.WRONG_TYPE, path, "must be a text", value)
    # Not str(value), which an enumeration may answer with its own name.
    if isinstance(spec, Text):
        return _read_text(spec, str.__str__(value), path)
    return _read_word(spec, str.__str__(value), path)


def _read_integer(spec: Integer, value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse(Reason.WRONG_TYPE, path, "must be a whole number", value)
    if not -INT_MAX <= value <= INT_MAX:
        raise _refuse(Reason.NUMBER_OUT_OF_RANGE, path, "is beyond the integers that every reader keeps exactly", value)
    if not spec.minimum <= value <= spec.maximum:
        saying = f"is {show(value)}; it lies between {spec.minimum} and {spec.maximum}"
        raise _refuse(Reason.VALUE_OUT_OF_RANGE, path, saying, value)
    return int(value)


def _read_text(spec: Text, value: str, path: str) -> str:
    if not is_plain_text(value):
        saying = "holds a hidden character (control, bidirectional, surrogate), which would mislead whoever reads it"
        raise _refuse(Reason.TEXT_NOT_ALLOWED, path, saying, value)
    text = unicodedata.normalize("NFC", value)
    if not text:
        raise _refuse(Reason.VALUE_OUT_OF_RANGE, path, "is empty; leave it out where the source says nothing", value)
    if len(text) > spec.max_length:
        raise _refuse(Reason.TEXT_TOO_LONG, path, f"has {len(text)} characters, {spec.max_length} at most", value)
    return text


def _read_word(spec: FieldSpec, value: str, path: str) -> str:
    """A text of which not one character is free: a choice, a day, a time, a code, a VIN."""
    if isinstance(spec, Choice):
        if value not in spec.choices and not (spec.national and re.fullmatch(NATIONAL_CODE, value)):
            code = ", or a country's own code such as DE:OM" if spec.national else ""
            saying = f"is {show(value)}; it is one of {', '.join(spec.choices)}{code}"
            raise _refuse(Reason.NOT_IN_LIST, path, saying, value)
    elif isinstance(spec, Day):
        if DAY.fullmatch(value) is None:
            raise _refuse(Reason.INVALID_TIME, path, f"is {show(value)}; a day is written YYYY-MM-DD", value)
        check_calendar(value, field=path)
    elif isinstance(spec, Clock):
        if CLOCK.fullmatch(value) is None:
            raise _refuse(Reason.INVALID_TIME, path, f"is {show(value)}; a time is written HH:MM or HH:MM:SS", value)
    elif isinstance(spec, VinField):
        return check_vin(value).value
    elif isinstance(spec, Code):
        pattern, form = CODE_FORMS[spec.form]
        if re.fullmatch(pattern, value) is None:
            raise _refuse(Reason.VALUE_OUT_OF_RANGE, path, f"is {show(value)}; it is written as {form}", value)
    return value


def _fields_of(rule: Rule) -> set[str]:
    if isinstance(rule, InOrder):
        return {rule.start, rule.end}
    return {*rule.fields, rule.field} if isinstance(rule, OneWhen) else set(rule.fields)


def _find_rule_fault(rule: Rule, values: Mapping[str, Any], path: str) -> Refused | None:
    if isinstance(rule, InOrder):
        start, end = values[rule.start], values[rule.end]
        if start is None or end is None or start <= end:
            return None
        saying = f"is {end}, before {path}{rule.start} {start}"
        return _refuse(Reason.ENDS_BEFORE_START, path + rule.end, saying, end)
    given = [name for name in rule.fields if values[name] is not None]
    named = " and ".join(path + name for name in rule.fields)
    if isinstance(rule, AtMostOne) and len(given) > 1:
        return _refuse_conflict(given, path, f"{named}: only one of them may be given, as it was read")
    if isinstance(rule, Together) and 0 < len(given) < len(rule.fields):
        return _refuse_conflict(given, path, f"{named} must be given together, or not at all")
    if isinstance(rule, OneWhen):
        wanted = values[rule.field] == rule.value
        if wanted and len(given) != 1:
            saying = f"{path}{rule.field} is {rule.value}, so exactly one of {named} must be given"
            return _refuse_conflict([*given, rule.field], path, saying)
        if not wanted and given:
            saying = f"{path}{rule.field} is {show(values[rule.field])}, not {rule.value}, so {named} must be left out"
            return _refuse_conflict([*given, rule.field], path, saying)
    return None


def _refuse_unknown(name: object, names: Sequence[str], path: str) -> Refused:
    # Imported here: needed only to help someone who is already wrong, and slow to load.
    from difflib import get_close_matches

    if not isinstance(name, str):
        return Refused(Reason.WRONG_TYPE, f"a field's name is a text, not {show(name)}", field=path + brief(name))
    near = get_close_matches(name[:60], names, 1)
    hint = f"; did you mean {path}{near[0]}?" if near else ""
    fault = Refused(Reason.UNKNOWN_FIELD, f"there is no field {show(path + name)}{hint}", field=path + brief(name))
    if near:
        fault.facts["suggestion"] = path + near[0]
    return fault


def _refuse(reason: Reason, path: str, saying: str, value: object) -> Refused:
    return Refused(reason, f"{path} {saying}", field=path, value=brief(value))


def _refuse_conflict(given: list[str], path: str, saying: str) -> Refused:
    fields = [path + name for name in given]
    return Refused(Reason.FIELDS_CONFLICT, saying, field=fields[0] if fields else path, fields=fields)
