"""What a JSON body must be like before its type is looked at: an object, each of whose names stands once. And, for
whoever sent something else, what that object holds.

Every parser keeps one of two equal names, silently, and two parsers may keep different ones: what is sealed for good
must not depend on that. It refuses to know what a body is for.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from litestar.handlers import HTTPRouteHandler

from carnet.errors import Reason, Refused
from carnet.types import brief

LARGE: Final = 16 * 1024
"""Bytes from which on a body is not looked through while others wait."""


def find_body_type(handler: Any) -> type[msgspec.Struct] | None:
    """The record that a route takes as its JSON body; None for a route that takes none, or another body."""
    field = handler.parsed_data_field if isinstance(handler, HTTPRouteHandler) else None
    found = None if field is None else field.annotation
    return found if isinstance(found, type) and issubclass(found, msgspec.Struct) else None


def describe_body(handler: Any) -> str:
    """What to send to a route, as the end of a sentence; nothing where it takes no record."""
    found = find_body_type(handler)
    if found is None:
        return ""
    fields = msgspec.structs.fields(found)
    needed = [one.encode_name for one in fields if one.required]
    spare = [one.encode_name for one in fields if not one.required]
    with_needed = f" with {_join(needed)}" if needed else ""
    with_spare = f"; {_join(spare)} may be left out" if spare else ""
    return f"send a JSON object in UTF-8{with_needed}{with_spare}"


def check_names_once(body: bytes) -> None:
    """Raise Refused(DUPLICATE_KEY) for JSON in which a name stands twice in one object. What is no JSON passes: its
    reader says so."""
    try:
        _names.decode(body.decode())
    except (ValueError, RecursionError):
        return


def _check_pairs(pairs: list[tuple[str, object]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) == len(pairs):
        return
    for name, _ in pairs:
        if name not in names:
            saying = f"{brief(name)} stands twice in one object: leave one of the two out"
            raise Refused(Reason.DUPLICATE_KEY, saying, key=brief(name))
        names.remove(name)


# Numbers are left as they are written: only names are looked at. Made once: each append asks it.
_names = json.JSONDecoder(object_pairs_hook=_check_pairs, parse_int=str, parse_float=str)


def _join(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
