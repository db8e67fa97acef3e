"""The names of things outside the node: a prefix that says what it is, and the id in hexadecimal (ADR 0011).

It refuses to know whether what is named exists.
"""

from __future__ import annotations

import re
from enum import StrEnum

from carnet.errors import Reason, Refused
from carnet.types import brief, show


class Prefix(StrEnum):
    """What a name is of."""

    PASSPORT = "pas"
    ENTRY = "ent"
    MEMBER = "mem"
    KEY = "key"
    SUBMISSION = "sub"
    JOB = "job"
    WEBHOOK = "whk"
    MESSAGE = "msg"
    MAPPING = "map"


_SIZES = {
    Prefix.PASSPORT: 16,
    Prefix.ENTRY: 32,
    Prefix.MEMBER: 16,
    Prefix.KEY: 32,
    Prefix.SUBMISSION: 32,
    Prefix.JOB: 16,
    Prefix.WEBHOOK: 16,
    Prefix.MESSAGE: 16,
    Prefix.MAPPING: 16,
}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)


def format_name(prefix: Prefix, id_: bytes) -> str:
    """`pas_3fa8…`."""
    return f"{prefix}_{id_.hex()}"


def find_id(prefix: Prefix, name: str) -> bytes | None:
    """The id in a name, or None where it is no name of such a thing."""
    given, _, digits = name.partition("_")
    if given != prefix or len(digits) != 2 * _SIZES[prefix] or _HEX.fullmatch(digits) is None:
        return None
    return bytes.fromhex(digits)


def parse_name(prefix: Prefix, name: str, field: str) -> bytes:
    """The id in a name; raises Refused(WRONG_TYPE)."""
    found = find_id(prefix, name)
    if found is None:
        saying = f"{field} is {prefix}_ and {2 * _SIZES[prefix]} hexadecimal digits, not {show(name)}"
        raise Refused(Reason.WRONG_TYPE, saying, field=field, value=brief(name))
    return found


def pattern(prefix: Prefix) -> str:
    """The regular expression of such a name."""
    return rf"^{prefix}_[0-9a-f]{{{2 * _SIZES[prefix]}}}$"
