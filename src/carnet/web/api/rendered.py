"""The published contract as people read it: operations by tag, with parameters, bodies, answers and refusals.

Made from the OpenAPI document itself, so that it cannot drift, and by our own hand, so that no foreign script is
needed. It refuses to know markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

VERBS: Final = ("get", "post", "put", "patch", "delete")
_REF: Final = "#/components/schemas/"


class TypeShown(NamedTuple):
    """What a value is: words, and the name of a shape that they speak of, if any."""

    words: str
    shape: str | None = None


class FieldShown(NamedTuple):
    """A member of a shape, or a parameter: its name and type, whether it must be there, and what is said of it.
    `place` is that of a parameter: path, query or header."""

    name: str
    type: TypeShown
    is_required: bool
    told: str
    place: str = ""


class BodyShown(NamedTuple):
    """What is sent or answered: its media type, its shape, and an example as JSON text."""

    media: str
    type: TypeShown
    example: str | None


class OperationShown(NamedTuple):
    """One verb of one address. `refusals` are (status, codes)."""

    id: str
    verb: str
    path: str
    told: str
    who: str
    parameters: Sequence[FieldShown]
    bodies: Sequence[BodyShown]
    status: str
    answers: Sequence[BodyShown]
    refusals: Sequence[tuple[str, Sequence[str]]]
    curl: str


class ShapeShown(NamedTuple):
    """A shape by its name, and as it is called: what it is, and its members."""

    name: str
    title: str
    told: str
    fields: Sequence[FieldShown]


def list_tags(document: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The tags, each with the number of its operations."""
    counts: dict[str, int] = {}
    for _, _, operation in _walk(document):
        counts[operation["tags"][0]] = counts.get(operation["tags"][0], 0) + 1
    return sorted(counts.items())


def list_operations(document: Mapping[str, Any], tag: str, origin: str) -> list[OperationShown]:
    """The operations of a tag, by address; empty for a tag that there is not."""
    return [
        _show_operation(path, verb, operation, origin)
        for path, verb, operation in _walk(document)
        if tag in operation["tags"]
    ]


def list_shapes(document: Mapping[str, Any], tag: str) -> list[ShapeShown]:
    """Every shape that the operations of a tag speak of, and those that these speak of, by name."""
    schemas, found, waiting = document["components"]["schemas"], set[str](), list[str]()
    for _, _, operation in _walk(document):
        if tag in operation["tags"]:
            waiting += _find_refs(operation)
    while waiting:
        name = waiting.pop()
        if name not in found and name != "Problem":
            found.add(name)
            waiting += _find_refs(schemas[name])
    return [_show_shape(name, schemas[name]) for name in sorted(found)]


def say_type(schema: Mapping[str, Any]) -> TypeShown:
    """A schema in a few words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(_REF)
        return TypeShown(_call(name), name)
    options = schema.get("anyOf")
    if options:
        kept = [one for one in options if one != {"type": "null"}]
        said = [say_type(one) for one in kept]
        words = " or ".join(one.words for one in said) + (" or null" if len(kept) < len(options) else "")
        return TypeShown(words, next((one.shape for one in said if one.shape), None))
    if "const" in schema:
        return TypeShown(json.dumps(schema["const"]))
    if "enum" in schema:
        return TypeShown(" | ".join(json.dumps(one) for one in schema["enum"]))
    if schema.get("type") == "array":
        inner = say_type(schema.get("items", {}))
        return TypeShown(f"list of {inner.words}", inner.shape)
    return TypeShown(_say_plain(schema))


def _call(name: str) -> str:
    """A shape's name for people: that of a page of a list is made of what is in it."""
    return f"page of {name.removeprefix('ListOf_').removesuffix('_')}" if name.startswith("ListOf_") else name


def _say_plain(schema: Mapping[str, Any]) -> str:
    kinds = schema.get("type", "anything")
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    limits = []
    for name, sign in (("minLength", "≥"), ("maxLength", "≤"), ("minimum", "≥"), ("maximum", "≤")):
        if name in schema:
            limits.append(f"{sign} {schema[name]}" + (" characters" if "Length" in name else ""))
    if "pattern" in schema:
        limits.append(str(schema["pattern"]))
    return f"{words} ({', '.join(limits)})" if limits else words


def _walk(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, found in document["paths"].items():
        for verb in VERBS:
            if verb in found:
                yield path, verb.upper(), found[verb]


def _find_refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["$ref"]).removeprefix(_REF)] if isinstance(value.get("$ref"), str) else []
        return own + [name for inner in value.values() for name in _find_refs(inner)]
    return [name for inner in value for name in _find_refs(inner)] if isinstance(value, list) else []


def _show_operation(path: str, verb: str, operation: Mapping[str, Any], origin: str) -> OperationShown:
    told, _, who = str(operation["description"]).partition("\n\nWho: ")
    responses = operation["responses"]
    good = next(status for status in responses if status < "300")
    bodies = _show_bodies(operation.get("requestBody", {}).get("content", {}))
    refusals = [
        (status, str(one["description"]).removeprefix("Refused: ").split(", "))
        for status, one in responses.items()
        if status >= "400"
    ]
    return OperationShown(
        id=operation["operationId"],
        verb=verb,
        path=path,
        told=told.replace("`", ""),
        who=who,
        parameters=[_show_parameter(one) for one in operation["parameters"]],
        bodies=bodies,
        status=good,
        answers=_show_bodies(responses[good].get("content", {})),
        refusals=refusals,
        curl=_make_curl(path, verb, operation, bodies, origin),
    )


def _show_parameter(found: Mapping[str, Any]) -> FieldShown:
    return FieldShown(
        found["name"], say_type(found["schema"]), found["required"], found.get("description", ""), found["in"]
    )


def _show_bodies(content: Mapping[str, Any]) -> list[BodyShown]:
    return [
        BodyShown(media, say_type(one.get("schema", {})), show_example(one.get("example")))
        for media, one in content.items()
    ]


def show_example(example: object) -> str | None:
    return None if example is None else json.dumps(example, indent=2, ensure_ascii=False)


def _show_shape(name: str, schema: Mapping[str, Any]) -> ShapeShown:
    required = set(schema.get("required", ()))
    fields = [
        FieldShown(field, say_type(one), field in required, str(one.get("description", "")))
        for field, one in schema.get("properties", {}).items()
    ]
    return ShapeShown(name, _call(name), " ".join(str(schema.get("description", "")).replace("`", "").split()), fields)


def _make_curl(path: str, verb: str, operation: Mapping[str, Any], bodies: Sequence[BodyShown], origin: str) -> str:
    words = ["curl -s"] if verb == "GET" else [f"curl -s -X {verb}"]
    if "security" in operation:
        words.append('-H "Authorization: Bearer $KEY"')
    if bodies:
        words.append(f"-H 'Content-Type: {bodies[0].media}'")
        example = bodies[0].example
        sent = json.dumps(json.loads(example), ensure_ascii=False) if example else None
        words.append(f"-d '{sent}'" if sent and "'" not in sent else "--data-binary @FILE")
    return " ".join([*words, f"'{origin}{path}'"])
