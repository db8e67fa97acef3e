"""The sandbox: one invented vehicle, in a network for trying things, that anybody may look at before any account.

It stands under a scheme of its own, so that it is taken for no vehicle. It refuses to be in a network where real
vehicles are, and to show anything else.
"""

from __future__ import annotations

from typing import Any, Final

from carnet.errors import Refused
from carnet.node.prepare import Group, Item
from carnet.node.reader import Reader
from carnet.node.writer import Writer
from carnet.services.access import View, refuse_unknown
from carnet.services.accounts.office import is_test_network
from carnet.types import Basis, Subject
from carnet.vault.codes import HISTORY

VEHICLE: Final = Subject("sandbox", "CARNET-1")

_LIFE: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
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


def open_sandbox(writer: Writer) -> bytes | None:
    """The passport of the sandbox's vehicle, opened if there is none; None in a network that is not for trying things,
    and where the node's operator may not report."""
    if not is_test_network(writer.state.genesis.name):
        return None
    known = writer.find_chain(VEHICLE)
    if known is not None:
        return known.chain16
    wanted = {(kind, int(Basis.REPORTED)) for kind, _, _ in _LIFE}
    for member in writer.state.members.all:
        rights = {(kind, basis) for kind, basis, _ in member.accreditations}
        has_key = any(writer.ring.find_seed(key.digest) and key.revoked is None for key in member.keys)
        if wanted <= rights and has_key and member.retired is None:
            outcome = writer.append(member.id, Basis.REPORTED, [Group([_make_item(*one) for one in _LIFE])])
            return outcome.receipts[0].chain16 if outcome.receipts else None
    return None


def get_view(reader: Reader, passport: bytes | None = None) -> View:
    """What anybody sees: all of the sandbox's vehicle. Raises Refused(UNKNOWN_PASSPORT) for any other passport, and in
    a network that has none."""
    try:
        found = reader.find_subject(VEHICLE) if is_test_network(reader.state.genesis.name) else None
    except Refused:
        found = None
    head = None if found is None else reader.find_head(found)
    if found is None or head is None or head[0] != HISTORY or passport not in (None, found):
        raise refuse_unknown(passport)
    return View(found, None, None, head[1])


def _make_item(kind: str, day: str, fields: dict[str, Any]) -> Item:
    occurred = {"at": day, "precision": "day", "zone": None}
    return Item(kind, {**fields, "kind": kind, "occurred": occurred, "subject": VEHICLE.to_json()})
