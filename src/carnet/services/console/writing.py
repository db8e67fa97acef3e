"""What a member may write at its desk, on which ground, and about which vehicle: the one that a clerk names by VIN or
plate.

It refuses to seal anything: `services.appending` does, or `signing` for a member that keeps its own key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock, Thread
from typing import Final

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.ledger.state import State
from carnet.node.authored import list_newer
from carnet.node.reader import Reader
from carnet.node.writing import Writing
from carnet.passport.kinds import Schema, read_schema
from carnet.passport.subject import parse_subject
from carnet.passport.vin import NEARLY_VIN_LENGTH, check_not_short
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
PATIENCE_S: Final = 2.0
"""So long a request waits for plates that are being read."""

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
    """The plates that this node's passports know, for one process. For any thread.

    They are read when the first plate is asked for, and again when an entry was sealed since that can change them,
    every half minute at most. There is no index of plates (`node.declared`), so on a node with very many vehicles that
    takes a while: it is done beside the requests, which are answered meanwhile from what was read before.
    """

    def __init__(self, writer: Writing, clock: Callable[[], Millis], patience_s: float = PATIENCE_S) -> None:
        self._writer, self._clock, self._patience_s = writer, clock, patience_s
        self._plates: Plates | None = None
        self._after, self._read_at = 0, 0
        self._reading: Future[Plates] | None = None
        self._lock = Lock()

    def find_vehicle(self, reader: Reader, text: str, day: str) -> Subject:
        """The vehicle that a clerk means: a VIN as it is, a plate as the one that had it on that day.

        Raises Refused as `parse_subject`; INVALID_VIN for a number that no passport has and that is nearly a VIN,
        unless it is written with its scheme; UNKNOWN_PASSPORT, NOT_ALIAS, SUBJECT_MISMATCH for a plate; WRITER_BUSY
        while plates are read for the first time.
        """
        subject = read_vehicle(text)
        if subject.scheme == "vin" and ":" not in text and reader.find_subject(subject) is None:
            # Whoever writes on would open a passport of another vehicle.
            check_not_short(subject.value, f"If it is right, write vin:{subject.value}", shortest=NEARLY_VIN_LENGTH)
        if subject.scheme != "plate":
            return subject
        with self._lock:
            if self._reading is None and self._is_outdated(reader):
                self._reading = Future()
                Thread(target=self._read, args=(self._reading,), daemon=True).start()
            reading, plates = self._reading, self._plates
        if reading is not None:
            with suppress(TimeoutError):
                plates = reading.result(self._patience_s)
        if plates is None:
            raise Refused(
                Reason.WRITER_BUSY,
                "the plates of this node are being read: ask again, or give the VIN",
                could_retry=True,
            )
        return plates.get_passport(subject, day)

    def _is_outdated(self, reader: Reader) -> bool:
        lines, last = list_newer(reader, _CHANGING, self._after)
        now = self._clock()
        if self._plates is None or (lines and now >= self._read_at + REREAD_MS):
            self._after, self._read_at = last, now
            return True
        return False

    def _read(self, reading: Future[Plates]) -> None:
        try:
            plates = Plates(self._writer)
            plates.is_known(Subject("plate", "", ""))
        except BaseException as error:
            with self._lock:
                # Whoever asks next reads them again.
                self._reading, self._after = None, 0
            reading.set_exception(error)
            return
        with self._lock:
            self._plates, self._reading = plates, None
        reading.set_result(plates)
