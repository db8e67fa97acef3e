"""Showing: a passport of this node opened for a person, with what its marks come to.

It gives the same shape as the verifier's report (clause 5.10), so that one timeline shows both; and it refuses to say
that anything is proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader, ShownEntry
from carnet.services.reading import get_passport
from carnet.types import Mark

RECTIFIED = "passport.rectified/1"


@dataclass(frozen=True, slots=True)
class Opened:
    """A passport with its entries in order. `sealed_at` is when its newest entry was sealed (ms), `census_at` when it
    was last counted, None if never; `epoch` the number of changes of holder."""

    passport: str
    subject: dict[str, object]
    entry_count: int
    epoch: int
    sealed_at: int
    census_at: int | None
    is_closed: bool
    entries: list[dict[str, Any]]

    def to_document(self) -> dict[str, object]:
        """The object of `show --json`."""
        return {
            "as_of": self.census_at,
            "closed": self.is_closed,
            "entries": self.entries,
            "epoch": self.epoch,
            "links": self.entry_count,
            "passport": self.passport,
            "sealed_at": self.sealed_at,
            "subject": self.subject,
        }


def open_passport(reader: Reader, which: str, kinds: frozenset[str] | None = None) -> Opened:
    """The passport that a person names, its entries of these kinds (None: all). Raises Refused(UNKNOWN_PASSPORT,
    ERASED).
    """
    chain = get_passport(reader, which)
    entries = list(reader.read_entries(chain))
    standing = Standing(reader, chain, entries)
    return Opened(
        passport=chain.hex(),
        subject=reader.get_subject(chain),
        entry_count=len(entries),
        epoch=sum(entry.mark == Mark.TRANSFER for entry in entries),
        sealed_at=entries[-1].sealed_at,
        census_at=find_census_time(reader),
        is_closed=any(entry.kind == "passport.closed/1" for entry in entries),
        entries=[standing.describe(entry) for entry in entries if kinds is None or entry.kind in kinds],
    )


def find_census_time(reader: Reader) -> int | None:
    """When the latest census was taken, ms."""
    try:
        at = reader.get_record(reader.get_census_index())["at"]
    except Refused as refused:
        if refused.reason is not Reason.NOTHING_SEALED:
            raise
        return None
    return at if isinstance(at, int) else None


class Standing:
    """What the marks of one chain come to, and each entry described by it. Spec: 2.9, 5.10."""

    def __init__(self, reader: Reader, chain: bytes, entries: Sequence[ShownEntry]) -> None:
        self._reader = reader
        self._seals = _find_seals(reader, chain)
        self._by_sid = {entry.sid: entry for entry in entries}
        self._superseded: dict[int, int] = {}
        self._contested: dict[int, list[int]] = {}
        for entry in entries:
            target = self._by_sid.get(entry.target)
            if entry.mark not in (Mark.SUPERSEDES, Mark.CONTESTS) or target is None:
                continue
            if entry.mark == Mark.SUPERSEDES and self._is_held(entry, target):
                self._superseded[target.seq] = entry.seq
            else:
                self._contested.setdefault(target.seq, []).append(entry.seq)

    def describe(self, entry: ShownEntry) -> dict[str, Any]:
        """The entry as clause 5.10 reports one, and the seq that it is about."""
        member = self._reader.state.members.get(entry.member)
        key = member.find_key(entry.key_digest)
        superseded_by, contested_by = self._superseded.get(entry.seq), self._contested.get(entry.seq, [])
        state = "superseded" if superseded_by is not None else "contested" if contested_by else "stands"
        target = self._by_sid.get(entry.target)
        return {
            "basis": entry.basis,
            "by": {"id": member.id.hex(), "kind": str(member.kind), "name": member.name},
            "contested_by": contested_by,
            "disputed": key is not None and key.disputed_since is not None and key.disputed_since <= entry.seal,
            "erased": entry.is_erased,
            "fields": {"kind": entry.kind} if entry.fields is None else entry.fields,
            "mark": entry.mark,
            "sealed_at": entry.sealed_at,
            "seq": entry.seq,
            "state": state,
            "statement": entry.sid.hex(),
            "submitted_at": entry.created_ms,
            "superseded_by": superseded_by,
            "target": None if target is None else target.seq,
        }

    def _is_held(self, correction: ShownEntry, target: ShownEntry) -> bool:
        if (correction.member, correction.basis) == (target.member, target.basis):
            return True
        accreditations: Sequence[Any] = self._reader.state.members.get(correction.member).accreditations
        if correction.seq < len(self._seals):
            # As of its own seal: what the corrector may do today says nothing about then.
            record: Any = self._reader.get_record(self._seals[correction.seq])
            leaf: Any = self._reader.get_member(record["members"]["index"], correction.member)[1]
            accreditations = leaf["accreditations"]
        return any(kind == RECTIFIED and basis == correction.basis for kind, basis, _ in accreditations)


def _find_seals(reader: Reader, chain: bytes) -> list[int]:
    """The seal of each link that a census knows, by seq."""
    try:
        return [link.seal for link in reader.get_links(chain)]
    except Refused as refused:
        if refused.reason is not Reason.NOTHING_SEALED:
            raise
        return []
