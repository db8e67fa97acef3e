"""Which of a member's entries are contested and wait for an answer.

Objections are few. A process reads those that were sealed since it last looked, and keeps at hand whose entries they
are about. It refuses to keep what an objection says: who is shown that asks the reading door.
"""

from __future__ import annotations

from threading import Lock
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.node.authored import find_target, list_newer
from carnet.node.reader import Reader
from carnet.services.access import Holdings, get_view
from carnet.services.console.book import get_own_member
from carnet.services.console.vehicles import OwnEntryOpened, open_own
from carnet.services.principals import Principal
from carnet.types import MemberId

CONTESTED: Final = "passport.contested/1"
MOST: Final = 20
"""So many are shown; whoever has more begins with these."""


class OpenContest(NamedTuple):
    """A contested entry of one's own, in the passport (16 bytes) of a vehicle, with the objections that wait."""

    passport: bytes
    subject: dict[str, object]
    entry: OwnEntryOpened


class Contests:
    """What one process knows of objections. For any thread."""

    def __init__(self) -> None:
        self._after = 0
        self._by_member: dict[MemberId, dict[tuple[bytes, int], None]] = {}
        self._lock = Lock()

    def list_open(self, reader: Reader, holdings: Holdings, principal: Principal) -> list[OpenContest]:
        """Those of the caller's member that nobody has answered, the newest first; at most `MOST`.

        Raises Refused(UNKNOWN_MEMBER).
        """
        member = get_own_member(principal)
        self._read_on(reader)
        found = []
        for passport, seq in reversed(list(self._by_member.get(member, ()))):
            try:
                vehicle = open_own(reader, get_view(reader, holdings, principal, passport))
            except Refused as refused:
                if refused.reason not in (Reason.UNKNOWN_PASSPORT, Reason.ERASED):
                    raise
                continue
            entry = vehicle.find(seq)
            if entry is not None and entry.waits:
                found.append(OpenContest(passport, vehicle.subject, entry))
            if len(found) == MOST:
                break
        return found

    def _read_on(self, reader: Reader) -> None:
        with self._lock:
            lines, self._after = list_newer(reader, {CONTESTED}, self._after)
            for line in lines:
                target = find_target(reader, line)
                if target is not None:
                    passport, seq, member = target
                    self._by_member.setdefault(member, {})[passport, seq] = None
