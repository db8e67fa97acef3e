"""The sandbox: invented vehicles, in a network for trying things, that anybody may look at before any account; each
shows one thing that a program will meet.

They stand under a scheme of their own, so that they are taken for no vehicles. It refuses to be in a network where real
vehicles are, and to show anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from carnet.errors import Refused
from carnet.node.jobs import Group, Item
from carnet.node.reader import Reader
from carnet.node.writer import Writer
from carnet.services.access import View, refuse_unknown
from carnet.services.accounts.office import is_test_network
from carnet.types import Basis, Mark, Subject
from carnet.vault.asker import asking_as_node
from carnet.vault.codes import HISTORY

VEHICLE: Final = Subject("sandbox", "CARNET-1")
WRITABLE: Final = Subject("sandbox", "CARNET-5")
"""The one for first entries, so that the others go on showing what they show."""

Step = tuple[str, str, dict[str, Any]]
"""Kind, day and fields of an entry."""

_LIFE: Final[tuple[Step, ...]] = (
    ("passport.opened/1", "2019-04-02", {"occasion": "file", "source": "invented"}),
    ("vehicle.identity/1", "2019-04-02", {"make": "Exemple", "model": "Berline", "first_registration": "2019-04-02"}),
    ("vehicle.odometer/1", "2020-04-10", {"odometer_km": 14_210, "odometer_state": "read"}),
    ("vehicle.service/1", "2021-05-06", {"odometer_km": 29_880, "activities": [{"text": "oil and filter"}]}),
    (
        "vehicle.inspection/1",
        "2023-03-28",
        {"nature": "VTP", "result": "A", "odometer_km": 58_004, "odometer_state": "read"},
    ),
    ("vehicle.odometer/1", "2024-04-02", {"odometer_km": 71_350, "odometer_state": "read"}),
)


class Simulated(NamedTuple):
    """One vehicle of the sandbox: what it shows, its life, and what later takes the place of its last entry."""

    subject: Subject
    shows: str
    life: tuple[Step, ...]
    correction: Step | None = None


def _make_reading(day: str, km: int, **more: Any) -> Step:
    return "vehicle.odometer/1", day, {"odometer_km": km, "odometer_state": "read", **more}


SIMULATED: Final = (
    Simulated(VEHICLE, "An ordinary life: opened, described, read, serviced, inspected.", _LIFE),
    Simulated(
        Subject("sandbox", "CARNET-2"),
        "A reading that was corrected: the old one stays, its state is superseded, and it names what replaced it.",
        (*_LIFE[:2], _make_reading("2022-06-01", 41_000), _make_reading("2023-06-01", 520_300)),
        _make_reading("2023-06-01", 52_030),
    ),
    Simulated(
        Subject("sandbox", "CARNET-3"),
        "Readings that fall: all of them stand, since nobody corrected any; what to think of it is the reader's.",
        (*_LIFE[:2], _make_reading("2021-02-03", 98_400), _make_reading("2022-02-08", 61_150)),
    ),
    Simulated(
        Subject("sandbox", "CARNET-4"),
        "Few things known: an entry of which only the year is known, and nothing that describes the vehicle.",
        (_LIFE[0], ("vehicle.odometer/1", "2018", {"odometer_km": 7_900, "odometer_state": "read"})),
    ),
    Simulated(WRITABLE, "One to write in: what members of this network tried with their keys.", _LIFE[:2]),
)
"""In the order in which they are listed."""


def open_sandbox(writer: Writer) -> bytes | None:
    """The passport of the sandbox's first vehicle; those that are missing are opened. None in a network that is not for
    trying things, and where the node's operator may not report."""
    if not is_test_network(writer.state.genesis.name):
        return None
    author = _find_author(writer)
    for one in SIMULATED:
        if author is not None and writer.find_chain(one.subject) is None:
            _open(writer, author, one)
    known = writer.find_chain(VEHICLE)
    return None if known is None else known.chain16


def list_views(reader: Reader) -> list[tuple[Simulated, View]]:
    """The vehicles that there are, as anybody sees them: all of each. Raises Refused(UNKNOWN_PASSPORT) in a network
    that has none."""
    found = [(one, view) for one in SIMULATED if (view := _find_view(reader, one.subject)) is not None]
    if not found:
        raise refuse_unknown(None)
    return found


def get_view(reader: Reader, passport: bytes | None = None) -> View:
    """What anybody sees of a vehicle of the sandbox, of the first if none is named: all of it. Raises
    Refused(UNKNOWN_PASSPORT) for any other passport, and in a network that has no sandbox."""
    for one in SIMULATED:
        view = _find_view(reader, one.subject)
        if view is not None and passport in (None, view.passport):
            return view
    raise refuse_unknown(passport)


@contextmanager
def opening(reader: Reader, passport: bytes) -> Iterator[View]:
    """What anybody sees of a vehicle of the sandbox, opened within the block, also for a visitor. Raises as
    `get_view`."""
    view = get_view(reader, passport)
    with asking_as_node():
        yield view


def _find_view(reader: Reader, subject: Subject) -> View | None:
    try:
        found = reader.find_subject(subject) if is_test_network(reader.state.genesis.name) else None
    except Refused:
        return None
    head = None if found is None else reader.find_head(found)
    return None if found is None or head is None or head[0] != HISTORY else View(found, None, None, head[1])


def _find_author(writer: Writer) -> bytes | None:
    """A member that may report all of it, and whose key is here."""
    wanted = {(kind, int(Basis.REPORTED)) for one in SIMULATED for kind, _, _ in one.life}
    for member in writer.state.members.all:
        rights = {(kind, basis) for kind, basis, _ in member.accreditations}
        has_key = any(writer.ring.find_seed(key.digest) and key.revoked is None for key in member.keys)
        if wanted <= rights and has_key and member.retired is None:
            return member.id
    return None


def _open(writer: Writer, author: bytes, one: Simulated) -> None:
    items = [_make_item(one.subject, step) for step in one.life]
    outcome = writer.append(author, Basis.REPORTED, [Group(items)])
    chain = writer.find_chain(one.subject)
    if one.correction is not None and chain is not None and outcome.receipts:
        corrected = _make_item(one.subject, one.correction)
        marked = corrected._replace(mark=Mark.SUPERSEDES, target=outcome.receipts[-1].sid)
        writer.append(author, Basis.REPORTED, [Group([marked], chain)])


def _make_item(subject: Subject, step: Step) -> Item:
    kind, day, fields = step
    precision = {4: "year", 7: "month"}.get(len(day), "day")
    occurred = {"at": day, "precision": precision, "zone": None}
    return Item(kind, {**fields, "kind": kind, "occurred": occurred, "subject": subject.to_json()})
