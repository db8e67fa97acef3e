"""The built-in kinds of entry: each a versioned schema, named by the rules document, with a typed fast path.

`get_schema("vehicle.inspection/1").validate(fields)` gives the complete, normal fields of an entry, or refuses with a
reason. A kind's version never changes once the rules document names it: a field more is another version. It refuses
to know who may write a kind and how many must endorse it.
"""

from __future__ import annotations

from carnet.errors import Reason, Refused
from carnet.passport.kinds import (
    accident,
    claims,
    holder,
    inspection,
    journal,
    life,
    measured,
    opening,
    papers,
    passport,
    upkeep,
    vehicle,
    workshop,
)
from carnet.passport.kinds.schema import Schema, read_schema
from carnet.types import brief, show

__all__ = ["Schema", "all_kinds", "get_schema", "read_schema"]

_FAMILIES = (
    opening,
    life,
    vehicle,
    inspection,
    workshop,
    upkeep,
    measured,
    accident,
    claims,
    papers,
    holder,
    passport,
    journal,
)
_SCHEMAS: dict[str, Schema] = {schema.kind: schema for family in _FAMILIES for schema in family.KINDS}


def all_kinds() -> tuple[str, ...]:
    """The names of the built-in kinds, in ascending order."""
    return tuple(sorted(_SCHEMAS))


def get_schema(kind: object) -> Schema:
    """The schema of a built-in kind; Refused UNKNOWN_KIND with the closest name as `suggestion`, if one is close."""
    schema = _SCHEMAS.get(kind) if isinstance(kind, str) else None
    if schema is not None:
        return schema
    near = _find_nearest(kind) if isinstance(kind, str) else None
    if near is None:
        message = f"there is no kind {show(kind)}; one is written like vehicle.odometer/1; there are {_list_kinds()}"
        raise Refused(Reason.UNKNOWN_KIND, message, field="kind", value=brief(kind))
    message = f"there is no kind {show(kind)}; did you mean {near}?"
    raise Refused(Reason.UNKNOWN_KIND, message, field="kind", value=brief(kind), suggestion=near)


def _list_kinds() -> str:
    """Every kind once, by family: "passport (closed, opened, …), vehicle (…)"."""
    families: dict[str, list[str]] = {}
    for name in all_kinds():
        family, _, word = name.partition("/")[0].partition(".")
        families.setdefault(family, []).append(word)
    return ", ".join(f"{family} ({', '.join(words)})" for family, words in families.items())


def _find_nearest(kind: str) -> str | None:
    # Imported here: needed only to help someone who is already wrong, and slow to load.
    from difflib import get_close_matches

    # People forget the version, or the family, before they misspell the word.
    word = kind.partition("/")[0].lower()
    for name in all_kinds():
        family, _, rest = name.partition("/")[0].partition(".")
        if word in (f"{family}.{rest}", rest):
            return name
    return next(iter(get_close_matches(kind[:80].lower(), all_kinds(), 1)), None)
