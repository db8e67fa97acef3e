"""A draft: one entry that somebody means to sign, as a person or a program writes it down.

Knows the shape of the document and what the kind's schema asks; refuses to know who will sign it, and with which key.
Spec: 2.2 to 2.8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.passport.kinds import Schema, get_schema
from carnet.passport.statement import NO_TARGET
from carnet.types import Mark, brief, parse_hex_id, show

FORMAT: Final = "draft/1"
_NAMES: Final = ("carnet", "class", "fields", "kind", "mark", "network", "occurred", "passport", "subject", "target")
_SID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Draft(NamedTuple):
    """What will be stated: chain 16 bytes, kind, class (None: that of a new network), mark, target 32 bytes, the
    complete fields in ascending name order. `network` is the origin it is meant for, None if it does not say."""

    chain: bytes
    kind: str
    class_: int | None
    mark: int
    target: bytes
    fields: dict[str, Any]
    network: str | None


def read_draft(document: object) -> Draft:
    """The draft in a JSON document, its fields complete and normal.

    Raises Refused: UNREADABLE_FILE for what is no draft, UNKNOWN_FIELD, MISSING_FIELD, UNKNOWN_KIND, WRONG_TYPE,
    WRONG_MARK, and as `Schema.validate` does.
    """
    if not isinstance(document, Mapping) or document.get("carnet") != FORMAT:
        raise Refused(Reason.UNREADABLE_FILE, f'this is no draft: a draft is an object with "carnet": "{FORMAT}"')
    for name in document:
        if name not in _NAMES:
            raise Refused(Reason.UNKNOWN_FIELD, f"a draft has no {show(name)}; it has {', '.join(_NAMES)}", field=name)
    for name in ("fields", "kind", "occurred", "passport", "subject"):
        if document.get(name) is None:
            raise Refused(Reason.MISSING_FIELD, f"the draft lacks {name}", field=name)
    schema = get_schema(document["kind"])
    fields = _join_fields(document)
    class_, network = document.get("class"), document.get("network")
    if class_ is not None and (not _is_integer(class_) or not 1 <= class_ <= 255):
        raise _refuse("class", "is a number from 1 to 255", class_)
    if network is not None and not isinstance(network, str):
        raise _refuse("network", "is the origin of a network", network)
    if not isinstance(document["passport"], str):
        raise _refuse("passport", "is an id of 32 hexadecimal digits", document["passport"])
    mark, target = _read_mark(schema, document)
    return Draft(
        parse_hex_id(document["passport"].lower()), schema.kind, class_, mark, target, schema.validate(fields), network
    )


def make_draft(
    schema: Schema, *, passport: bytes, subject: Mapping[str, object], class_: int, network: str
) -> dict[str, object]:
    """A draft of this kind to be filled in: every field stands in it as null."""
    return {
        "carnet": FORMAT,
        "class": class_,
        "fields": {spec.name: None for spec in schema.fields},
        "kind": schema.kind,
        "mark": int(min(schema.marks)),
        "network": network,
        "occurred": {"at": None, "precision": "day", "zone": None},
        "passport": passport.hex(),
        "subject": dict(subject),
        "target": None,
    }


def _join_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """The kind's own fields with the three that every statement has (2.3), which stand beside them in a draft."""
    given = document["fields"]
    if not isinstance(given, Mapping):
        raise _refuse("fields", "is an object", given)
    common = {name: document[name] for name in ("kind", "occurred", "subject")}
    for name in common:
        if name in given:
            raise Refused(Reason.UNKNOWN_FIELD, f"{name} stands beside fields, not in it", field=f"fields.{name}")
    return {**given, **common}


def _read_mark(schema: Schema, document: Mapping[str, Any]) -> tuple[int, bytes]:
    """Mark and target, which belong together. Spec: 2.7, 2.8."""
    mark, target = document.get("mark", 0), document.get("target")
    if not _is_integer(mark):
        raise _refuse("mark", "is a number", mark)
    if target is not None and (not isinstance(target, str) or _SID.fullmatch(target) is None):
        raise _refuse("target", "is the statement id of an entry, 64 hexadecimal digits", target)
    if mark not in schema.marks:
        allowed = ", ".join(str(int(one)) for one in sorted(schema.marks))
        raise Refused(Reason.WRONG_MARK, f"{schema.kind} bears mark {allowed}, not {show(mark)}", mark=brief(mark))
    has_target = mark not in (Mark.NONE, Mark.TRANSFER)
    if has_target != (target is not None):
        saying = "needs the target that it is about" if has_target else "has no target"
        raise Refused(Reason.WRONG_MARK, f"mark {mark} {saying}", mark=mark)
    return mark, NO_TARGET if target is None else bytes.fromhex(target)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse(name: str, saying: str, value: object) -> Refused:
    return Refused(Reason.WRONG_TYPE, f"{name} {saying}, not {show(value)}", field=name, value=brief(value))
