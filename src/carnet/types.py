"""Small things that every layer shares: identifiers, moments, the subject of a passport, and the lists that are
numbers in signed bytes.

It refuses to know what a valid VIN, plate or kind of entry is (see `passport`), and how anything is hashed (see
`encoding`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import IntEnum, StrEnum
from typing import TypeAlias

import msgspec

from carnet.errors import Reason, Refused

Millis: TypeAlias = int
"""Milliseconds since 1970-01-01T00:00:00Z, never negative."""

ChainId: TypeAlias = bytes
"""The first 16 bytes of a chain's digest; a history's id is its passport's id. Source: format.md, Statement."""

MemberId: TypeAlias = bytes
"""16 bytes that name a member (a node is one too) for ever, whatever its keys."""

Fact: TypeAlias = str | int
"""What a sentence is filled in with: a text as it stands, or a whole number, which each language writes its own way."""

make_tuple = tuple.__new__
"""Makes one of a NamedTuple's class from the values of all its fields, in their order. The class itself is called by
names and defaults first, which takes longer than the tuple: what is made for each row is made so."""

ID_BYTES = 16
LAST_MOMENT_MS: Millis = 253_402_300_799_999
"""The last millisecond of the year 9999: no calendar writes a later one. A proof may hold any moment up to 2^53-1."""

INT_MAX = 2**53 - 1
"""The largest integer that the canonical encoding carries. Source: format.md, Bytes."""

# format.md, Bytes: no C0 or C1 control, no bidirectional control, no lone surrogate. They hide or reorder what a
# person reads.
FORBIDDEN_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

SCHEME = re.compile(r"[a-z][a-z0-9_]{0,31}")
SUBJECT_VALUE_MAX_LENGTH = 64

_HEX_ID = re.compile(r"[0-9a-f]{32}")


class Basis(IntEnum):
    """On what ground a statement is made. Source: format.md, Statement."""

    OWN_KEY = 1
    """The member signed with a key of its own."""
    HOSTED = 2
    """The node signed for a member that it hosts."""
    REPORTED = 3
    """An importer speaks for a file."""
    HOLDER = 4
    """The operator says that the holder said it."""


class Mark(IntEnum):
    """What a statement does to its chain, beyond adding to it. Source: format.md, Marks."""

    NONE = 0
    SUPERSEDES = 1
    CONTESTS = 2
    TRANSFER = 3
    MOVE = 4


class KeyRole(IntEnum):
    """What a key may sign; one key has one role, for ever. Source: format.md, Members."""

    AUTHOR = 1
    HOLDER_AUTHOR = 2
    NODE = 3


class Custody(IntEnum):
    """Who holds the private part of a key. Source: format.md, Members."""

    OWN = 1
    NODE = 2


class MemberKind(StrEnum):
    """The kinds of organisation of rules.md §1, and the pure node that hosts others without writing itself."""

    MANUFACTURER = "manufacturer"
    DISTRIBUTOR = "distributor"
    DEALER = "dealer"
    REGISTRATION_AUTHORITY = "registration_authority"
    RENTAL_COMPANY = "rental_company"
    INSURER = "insurer"
    DAMAGE_EXPERT = "damage_expert"
    LENDER = "lender"
    ASSISTANCE_COMPANY = "assistance_company"
    GARAGE = "garage"
    INSPECTION_CENTRE = "inspection_centre"
    PARTS_SUPPLIER = "parts_supplier"
    PLATFORM = "platform"
    DISMANTLER = "dismantler"
    DATA_SERVICE = "data_service"
    STORAGE_PROVIDER = "storage_provider"
    PUBLIC_AUTHORITY = "public_authority"
    NODE = "node"


class Subject(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """What a statement is about: a value under a scheme (`vin`, `plate`, `histovec` …), with a country for plates only.

    Only a shape: `carnet.passport.subject.check_subject` says whether the value is possible. Source: format.md, Fields.
    """

    scheme: str
    value: str
    country: str | None = None

    def to_json(self) -> dict[str, object]:
        """The signed form, names ascending; `country` is present for plates only."""
        if self.scheme == "plate":
            return {"country": self.country, "scheme": self.scheme, "value": self.value}
        return {"scheme": self.scheme, "value": self.value}

    def __str__(self) -> str:
        """`vin:VF1…`, `plate:FR:AB-123-CD`: what a person types, and what `parse_subject` reads."""
        if self.country is not None:
            return f"{self.scheme}:{self.country}:{self.value}"
        return f"{self.scheme}:{self.value}"


def hex_id(value: bytes) -> str:
    """The 32 lower-case hexadecimal digits of a 16-byte id. Raises ValueError for another length (our own bug, never
    input)."""
    if len(value) != ID_BYTES:
        raise ValueError(f"an id has {ID_BYTES} bytes, not {len(value)}")
    return value.hex()


def parse_hex_id(text: str) -> bytes:
    """The 16 bytes of an id written as 32 lower-case hexadecimal digits; Refused WRONG_TYPE otherwise."""
    if _HEX_ID.fullmatch(text) is None:
        raise Refused(
            Reason.WRONG_TYPE,
            f"{show(text)} is not an id: an id is 32 hexadecimal digits, 0-9 and a-f",
            value=brief(text),
        )
    return bytes.fromhex(text)


def is_plain_text(text: str) -> bool:
    """Whether a text holds no control, bidirectional control or lone surrogate. Source: format.md, Bytes."""
    if text.isascii():
        return text.isprintable() or not text
    return FORBIDDEN_TEXT.search(text) is None


def brief(value: object, limit: int = 60) -> str:
    """A value as a fact of a refusal: short, printable, and cheap whatever came in (a giant number is described, not
    written)."""
    if isinstance(value, str):
        text = value if len(value) <= limit else value[:limit] + "…"
        return FORBIDDEN_TEXT.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        digit_count = value.bit_length() * 30103 // 100000 + 1
        return str(int(value)) if digit_count <= limit else f"a number of about {digit_count} digits"
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return str(value) if isinstance(value, float) else f"a {type(value).__name__}"


def show(value: object, limit: int = 60) -> str:
    """The same as a sentence quotes it: a text stands between quotation marks."""
    return f'"{brief(value, limit)}"' if isinstance(value, str) else brief(value, limit)


def fill_in(text: str, facts: Mapping[str, Fact], number: Callable[[int], str] = "{:,}".format) -> str:
    """A sentence with its facts in the places of `%(name)s`; `number` writes a whole number as the language does.
    Raises KeyError for a fact that is wanting (our own bug)."""
    return text % {name: number(fact) if isinstance(fact, int) else fact for name, fact in facts.items()}
