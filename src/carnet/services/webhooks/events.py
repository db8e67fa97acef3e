"""What a webhook can tell: each kind of event with its shape, what it means, and an example.

The published contract, the pages and the documentation are made from this list. It refuses to hold any value of an
entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec

from carnet.errors import Reason, Refused
from carnet.services.names import Prefix, format_name
from carnet.services.timelines import Shape, format_time
from carnet.types import Millis

MAX_ENTRIES: Final = 100
"""Entries that one message names."""

Time: TypeAlias = Annotated[str, msgspec.Meta(description="RFC 3339, in UTC")]


class EntryNamed(Shape, frozen=True, kw_only=True):
    """One of your entries: its id, its passport's, and its kind."""

    entry: str
    passport: str
    kind: str


class Sealed(Shape, frozen=True, kw_only=True):
    """A submission of yours that was sealed: how many of its entries stand in passports, and the first hundred of
    them. With `has_more` there are more: the receipts, or the outcomes of the file, name all."""

    submission: str
    entry_count: int
    entries: list[EntryNamed]
    has_more: bool


class Marked(Shape, frozen=True, kw_only=True):
    """An entry of yours of which somebody else said something. Who, and what, is asked for with its id."""

    entry: str
    passport: str
    kind: str


class FileEnded(Shape, frozen=True, kw_only=True):
    """A file of yours that has ended: its job and its format."""

    job: str
    format: str


class Claimed(Shape, frozen=True, kw_only=True):
    """A passport for which a code of yours was used."""

    passport: str


class Contested(Shape, frozen=True, kw_only=True):
    """A passport that somebody holds, for which a code of yours was used: an operator decides."""

    passport: str
    contest: str


class KeyEnds(Shape, frozen=True, kw_only=True):
    """A key of one of your programs that ends soon: its public beginning, and when."""

    client: str
    hint: str
    until: Time


class Tested(Shape, frozen=True, kw_only=True):
    """A message that somebody sent to try the address."""

    webhook: str


class EventKind(NamedTuple):
    """One kind of event: what it is called, the shape of its data, what it means, and an example of the data."""

    name: str
    data: type[Shape]
    meaning: str
    example: Shape


_PASSPORT: Final = format_name(Prefix.PASSPORT, bytes.fromhex("3fa8" * 8))
_ENTRY: Final = format_name(Prefix.ENTRY, bytes.fromhex("9c41" * 16))
_SUBMISSION: Final = format_name(Prefix.SUBMISSION, bytes.fromhex("07d2" * 16))
_AT: Final = 1_795_600_000_000
_NAMED: Final = EntryNamed(entry=_ENTRY, passport=_PASSPORT, kind="vehicle.service/1")

ENTRY_SEALED: Final = "entry.sealed"
ENTRY_SUPERSEDED: Final = "entry.superseded"
ENTRY_CONTESTED: Final = "entry.contested"
FILE_DONE: Final = "file.done"
FILE_FAILED: Final = "file.failed"
CLAIM_CLAIMED: Final = "claim.claimed"
CLAIM_CONTESTED: Final = "claim.contested"
KEY_EXPIRING: Final = "key.expiring"
TEST: Final = "webhook.test"

EVENTS: Final = (
    EventKind(
        ENTRY_SEALED,
        Sealed,
        "Entries of yours were sealed, whichever way they came in: one message for each submission.",
        Sealed(submission=_SUBMISSION, entry_count=1, entries=[_NAMED], has_more=False),
    ),
    EventKind(
        ENTRY_SUPERSEDED,
        Marked,
        "Somebody else corrected an entry of yours, which no longer stands.",
        Marked(entry=_ENTRY, passport=_PASSPORT, kind="vehicle.odometer/1"),
    ),
    EventKind(
        ENTRY_CONTESTED,
        Marked,
        "Somebody else contested an entry of yours. It stands, and the contest is shown beside it.",
        Marked(entry=_ENTRY, passport=_PASSPORT, kind="vehicle.odometer/1"),
    ),
    EventKind(
        FILE_DONE,
        FileEnded,
        "A file job has ended: its rows are sealed, or told as faulty.",
        FileEnded(job=format_name(Prefix.JOB, bytes.fromhex("51ce" * 8)), format="mapping"),
    ),
    EventKind(
        FILE_FAILED,
        FileEnded,
        "A file job could not be read to its end. What was sealed before stays.",
        FileEnded(job=format_name(Prefix.JOB, bytes.fromhex("51ce" * 8)), format="mapping"),
    ),
    EventKind(CLAIM_CLAIMED, Claimed, "A holder claimed a passport with a code of yours.", Claimed(passport=_PASSPORT)),
    EventKind(
        CLAIM_CONTESTED,
        Contested,
        "A code of yours was used for a passport that somebody holds already: an operator decides.",
        Contested(passport=_PASSPORT, contest="con_" + "b7" * 16),
    ),
    EventKind(
        KEY_EXPIRING,
        KeyEnds,
        "A key of one of your programs ends within fourteen days: rotate it.",
        KeyEnds(client="cli_" + "40" * 16, hint="ck_live_AbC123", until=format_time(_AT)),
    ),
    EventKind(
        TEST,
        Tested,
        "Somebody pressed the button that sends a test. It is sent to that address alone, whatever it takes.",
        Tested(webhook="whk_" + "2e" * 16),
    ),
)
"""Every kind of event, in the order in which people meet them."""

NAMES: Final = tuple(event.name for event in EVENTS if event.name != TEST)
"""Those that a webhook can be asked to tell."""


def parse_kinds(words: Iterable[str]) -> tuple[str, ...]:
    """Kinds by their names, each once, in the order of the list; all of them where none is named. Raises
    Refused(NOT_IN_LIST)."""
    wanted = set(words)
    for word in sorted(wanted - set(NAMES)):
        saying = f"there is no event {word[:40]!a}; there are {', '.join(NAMES)}"
        raise Refused(Reason.NOT_IN_LIST, saying, field="events")
    return tuple(name for name in NAMES if not wanted or name in wanted)


def make_payload(kind: str, at: Millis, data: Shape) -> bytes:
    """What is sent and signed: `type`, `timestamp` and `data`, as JSON."""
    return msgspec.json.encode({"type": kind, "timestamp": format_time(at), "data": data})


def make_example(event: EventKind) -> dict[str, Any]:
    """An example of the whole payload."""
    found: dict[str, Any] = msgspec.json.decode(make_payload(event.name, _AT, event.example))
    return found
