"""The odometer readings that one member gave in its own word, for many passports at once.

It opens those entries alone, and says nothing of anybody else's. It refuses to judge a reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from carnet.node.authored import find_keys
from carnet.node.jobs import ChainRef
from carnet.node.lookup import ask_many, open_content
from carnet.node.reader import Reader
from carnet.types import Basis, Mark, MemberId

MOST: Final = 8
"""Readings of one passport that are looked at, the last sealed first: who writes more often sees the last ones."""

REPLACEMENT: Final = "vehicle.odometer_replacement/1"
_NAMES: Final = (
    ("odometer_km", "km"), ("odometer_mi", "mi"), ("new_odometer_km", "km"), ("new_odometer_mi", "mi"),
)  # fmt: skip


class OwnReading(NamedTuple):
    """A reading that stands: its entry's place and kind, its day (`YYYY-MM-DD`), value and unit, as written. Of an
    odometer that was replaced, and whose first value was not written down, the unit is empty."""

    seq: int
    kind: str
    day: str
    value: int
    unit: str

    @property
    def begins_odometer(self) -> bool:
        """Whether another odometer counts from here on."""
        return self.kind == REPLACEMENT


def read_own_readings(
    reader: Reader, member: MemberId, chains: Iterable[ChainRef], *, besides: int | None = None, most: int = MOST
) -> dict[int, list[OwnReading]]:
    """A member's standing readings in these passports, by the number of the chain: two questions for all of them.

    What was corrected or withdrawn is left out, and so is the entry at the place `besides`, which is being corrected,
    and whatever was said on a holder's word. Of each passport at most `most` are opened, those that were sealed last.
    Raises Refused(UNKNOWN_MEMBER).
    """
    refs = {ref.id: ref for ref in chains}
    numbers, kinds = sorted(refs), _find_kinds(reader)
    keys = find_keys(reader, member)
    if not numbers or not kinds or not keys:
        return {}
    gone = _find_gone(reader, numbers)
    query = (
        "SELECT entry.chain, seq, kind, sid, secret, content FROM entry"  # noqa: S608 - numbers of our own
        " JOIN submission ON submission.id = entry.submission"
        f" WHERE author_key IN ({_join(keys)}) AND basis <> {int(Basis.HOLDER)} AND kind IN ({_join(kinds)})"
        " AND secret IS NOT NULL AND content IS NOT NULL AND entry.chain IN (?) ORDER BY entry.chain, seq DESC"
    )
    found: dict[int, list[OwnReading]] = {}
    for chain, seq, kind_id, sid, secret, content in ask_many(reader.connection, query, numbers):
        own = found.setdefault(chain, [])
        if len(own) >= most or seq == besides or (chain, bytes(sid)) in gone:
            continue
        kind, names = reader.stored_kinds.names_of[kind_id]
        reading = _read(seq, kind, open_content(refs[chain], kind, names, sid, secret, content).fields)
        if reading is not None:
            own.append(reading)
    return found


def _find_gone(reader: Reader, numbers: list[int]) -> set[tuple[int, bytes]]:
    """What another entry has taken the place of, or taken back."""
    query = f"SELECT chain, target FROM entry WHERE mark = {int(Mark.SUPERSEDES)} AND chain IN (?)"  # noqa: S608
    return {(chain, bytes(target)) for chain, target in ask_many(reader.connection, query, numbers)}


def _find_kinds(reader: Reader) -> list[int]:
    """The numbers of the kinds that can say a reading."""
    wanted = {name for name, _ in _NAMES}
    return [number for number, (_, names) in reader.stored_kinds.names_of.items() if not wanted.isdisjoint(names)]


def _read(seq: int, kind: str, fields: Mapping[str, object]) -> OwnReading | None:
    occurred = fields.get("occurred")
    at = occurred.get("at") if isinstance(occurred, dict) else None
    if not isinstance(at, str) or len(at) < 10:
        # Of a month or a year nobody knows whether it was before or after.
        return None
    for name, unit in _NAMES:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return OwnReading(seq, kind, at[:10], value, unit)
    return OwnReading(seq, kind, at[:10], 0, "") if kind == REPLACEMENT else None


def _join(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
