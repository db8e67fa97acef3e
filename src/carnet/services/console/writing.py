"""What a member may write at its desk, on which ground, and about which vehicle: the one that a clerk names by VIN or
plate.

It refuses to seal anything: `services.appending` does, or `signing` for a member that keeps its own key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from threading import Lock
from typing import Final

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.ledger.state import State
from carnet.node.authored import list_newer
from carnet.node.reader import Reader
from carnet.node.writing import Writing
from carnet.passport.kinds import Schema, read_schema
from carnet.passport.subject import parse_subject
from carnet.services.plates import Plates
from carnet.types import Basis, Custody, KeyRole, Mark, Millis, Subject

OFTEN: Final = (
    "vehicle.odometer/1", "vehicle.inspection/1", "vehicle.service/1", "vehicle.repair/1", "vehicle.checkup/1",
    "vehicle.assistance/1", "vehicle.accident/1", "vehicle.damage/1", "vehicle.title/1", "vehicle.contract/1",
)  # fmt: skip
"""What desks write most, in this order; whatever else a member may write follows."""

OWN_PROCEDURE: Final = "passport."
"""Kinds that do something to a passport itself have pages of their own, not a form."""

REREAD_MS: Final = 30_000
_FRENCH = re.compile(r"[A-Z]{2}\d{3}[A-Z]{2}", re.ASCII)
_CHANGING: Final = frozenset({"vehicle.identity/1", "passport.corrected/1", "passport.rectified/1"})


def get_basis(member: Member, node_id: bytes) -> Basis:
    """On what ground a member's desk writes: with a key that this node keeps for it, else with its own key."""
    is_kept = any(
        key.custody == Custody.NODE and key.role == KeyRole.AUTHOR and key.revoked is None for key in member.keys
    )
    return Basis.HOSTED if is_kept and member.host == node_id else Basis.OWN_KEY


def list_writable(state: State, member: Member, basis: Basis) -> list[str]:
    """The kinds for which a member has a form: those that the rules let it write and that it is accredited for."""
    accredited = {kind for kind, its, _ in member.accreditations if its == basis}
    found = []
    for kind in accredited:
        if kind.startswith(OWN_PROCEDURE) or state.rules.get_kind(kind).chain != "history":
            continue
        try:
            state.rules.check_may_write(member.kind, kind, basis)
        except Refused:
            continue
        found.append(kind)
    order = {kind: place for place, kind in enumerate(OFTEN)}
    return sorted(found, key=lambda kind: (order.get(kind, len(order)), kind))


def get_schema(reader: Reader, kind: str) -> Schema:
    """The schema of a kind by which an entry of its own can be written. Raises Refused(UNKNOWN_KIND)."""
    document = reader.kinds.get(kind)
    schema = None if document is None else read_schema(document)
    if schema is None or Mark.NONE not in schema.marks:
        raise Refused(Reason.UNKNOWN_KIND, f"no entry of kind {kind[:80]!a} is written here", kind=kind[:80])
    return schema


def read_vehicle(text: str) -> Subject:
    """A VIN, a plate or `scheme:value` as a clerk types it: a French plate with or without what separates its parts,
    which no chassis number looks like. Raises as `parse_subject`."""
    bare = re.sub(r"[\s-]", "", text).upper()
    return parse_subject(f"plate:FR:{bare}" if _FRENCH.fullmatch(bare) else text.strip())


class KnownPlates:
    """The plates that this node's passports know, for one process: read when the first plate is asked for, and again
    when an entry was sealed since that can change them, every half minute at most. For any thread."""

    def __init__(self, writer: Writing, clock: Callable[[], Millis]) -> None:
        self._writer, self._clock = writer, clock
        self._plates, self._after, self._read_at = Plates(writer), -1, 0
        self._lock = Lock()

    def find_vehicle(self, reader: Reader, text: str, day: str) -> Subject:
        """The vehicle that a clerk means: a VIN as it is, a plate as the one that had it on that day.

        Raises Refused as `parse_subject`, and UNKNOWN_PASSPORT, NOT_ALIAS, SUBJECT_MISMATCH for a plate.
        """
        subject = read_vehicle(text)
        if subject.scheme != "plate":
            return subject
        with self._lock:
            lines, last = list_newer(reader, _CHANGING, max(self._after, 0))
            now = self._clock()
            if self._after < 0 or (lines and now >= self._read_at + REREAD_MS):
                self._plates, self._after, self._read_at = Plates(self._writer), last, now
            plates = self._plates
        return plates.get_passport(subject, day)
