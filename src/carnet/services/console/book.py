"""A member's own book: which entries it sealed, when, in which passports; the newest first, and counted.

A line says no value: to know that one has written is no look into a passport, and no holder's journal notes it. Whoever
opens an entry asks the reading door. It refuses to know lines of another member.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from carnet.errors import Reason, Refused
from carnet.node.authored import Line, Place, count_lines, find_place, list_lines, name_lines
from carnet.node.reader import Reader
from carnet.services.names import Prefix, find_id, format_name
from carnet.services.principals import Principal
from carnet.services.timelines import DEFAULT_LIMIT, Shape, check_limit, format_time
from carnet.types import MemberId, Millis, brief, show

DAY_MS: Final = 86_400_000
MAX_DAYS: Final = 366
JOURNALS: Final = "journal."
"""What the node writes for holders in its operator's name is no day's work of anybody."""

_CURSOR = re.compile(r"(pas_[0-9a-f]{32})\.(\d{1,9})", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class OwnEntry(Shape, frozen=True, kw_only=True):
    """One line: which entry, of which kind, in whose passport, sealed when. `cursor` goes on from it. What it says is
    asked at `entry`, its proof at `proof`."""

    id: str
    kind: str
    passport: str
    subject: dict[str, Any]
    seq: int
    sealed_at: str
    cursor: str
    entry: str
    proof: str
    object: Literal["own_entry"] = "own_entry"


class BookPage(NamedTuple):
    """One page, and whether there are more."""

    entries: list[OwnEntry]
    has_more: bool


class DayOfUse(NamedTuple):
    """A day (UTC), and how many entries of each kind were sealed on it."""

    day: date
    kinds: dict[str, int]

    @property
    def total(self) -> int:
        """Of all kinds."""
        return sum(self.kinds.values())


def list_own(
    reader: Reader,
    principal: Principal,
    *,
    kinds: Collection[str] = (),
    since: Millis | None = None,
    until: Millis | None = None,
    limit: int = DEFAULT_LIMIT,
    starting_after: str | None = None,
) -> BookPage:
    """A page of what the caller's member sealed, the newest first; `since` and `until` (ms, the end not included) are
    about sealing.

    Raises Refused UNKNOWN_MEMBER, UNKNOWN_KIND, VALUE_OUT_OF_RANGE for a limit or a cursor that is none.
    """
    check_limit(limit)
    for kind in kinds:
        if kind not in reader.kinds:
            raise Refused(Reason.UNKNOWN_KIND, "the rules in force name no such kind", pointer="#kind")
    lines = list(islice(iterate_own(reader, principal, kinds, since, until, starting_after), limit + 1))
    return BookPage(describe_lines(reader, lines[:limit]), len(lines) > limit)


def iterate_own(
    reader: Reader,
    principal: Principal,
    kinds: Collection[str] = (),
    since: Millis | None = None,
    until: Millis | None = None,
    starting_after: str | None = None,
    before: Place | None = None,
) -> Iterator[Line]:
    """The lines themselves, as many as are asked for; `before` is a place, as `starting_after` is its name outside.
    Raises as `list_own`."""
    member = get_own_member(principal)
    before = before if starting_after is None else _find_cursor(reader, member, starting_after)
    first = 0 if since is None else reader.find_first_record(since)
    end = None if until is None else reader.find_first_record(until)
    for line in list_lines(reader, member, since=first, before=before, kinds=kinds):
        if (end is None or line.seal < end) and not line.kind.startswith(JOURNALS):
            yield line


def describe_lines(reader: Reader, lines: Sequence[Line]) -> list[OwnEntry]:
    """Lines as they are shown; without those whose passport was erased a moment ago, or is not shown to the member: it
    wrote there for a holder alone."""
    names = name_lines(reader, lines)
    found = []
    for line in lines:
        named = names.get(line.place)
        subject = None if named is None else _find_subject(reader, named.passport)
        if named is None or subject is None:
            continue
        passport, entry = format_name(Prefix.PASSPORT, named.passport), format_name(Prefix.ENTRY, named.sid)
        found.append(
            OwnEntry(
                id=entry,
                kind=line.kind,
                passport=passport,
                subject=subject,
                seq=named.seq,
                sealed_at=format_time(reader.get_record(line.seal)["at"]),  # type: ignore[arg-type]
                cursor=f"{passport}.{named.seq}",
                entry=f"/v1/passports/{passport}/entries/{entry}",
                proof=f"/v1/passports/{passport}/entries/{entry}/proof",
            )
        )
    return found


def _find_subject(reader: Reader, passport: bytes) -> dict[str, object] | None:
    try:
        return reader.get_subject(passport)
    except Refused as refused:
        if refused.reason not in (Reason.UNKNOWN_PASSPORT, Reason.ERASED):
            raise
        return None


def count_days(reader: Reader, principal: Principal, first: date, last: date) -> list[DayOfUse]:
    """How many entries of each kind the caller's member sealed on each day (UTC), from the first to the last.

    Raises Refused(UNKNOWN_MEMBER, ENDS_BEFORE_START, VALUE_OUT_OF_RANGE).
    """
    if last < first:
        raise Refused(Reason.ENDS_BEFORE_START, "the last day is before the first one", field="until")
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    if len(days) > MAX_DAYS:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"at most {MAX_DAYS} days are counted at once", field="since")
    starts = [reader.find_first_record(begin_day(day)) for day in (*days, last + timedelta(days=1))]
    counted = count_lines(reader, get_own_member(principal), starts)
    return [
        DayOfUse(day, {kind: count for kind, count in sorted(kinds.items()) if not kind.startswith(JOURNALS)})
        for day, kinds in zip(days, counted, strict=False)
    ]


def begin_day(day: date) -> Millis:
    """The first moment of a day (UTC), ms."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def parse_day(text: str, field: str) -> date:
    """`YYYY-MM-DD`, from 1970 on, with a day after it. Raises Refused(INVALID_TIME)."""
    try:
        found = date.fromisoformat(text)
        # Before and after days at the ends of the calendar there are none to count.
        if _DAY.fullmatch(text) is None or not 1970 <= found.year <= 9998:
            raise ValueError
        return found
    except ValueError:
        saying = f"{field} is a day such as 2026-11-26, not {show(text)}"
        raise Refused(Reason.INVALID_TIME, saying, field=field, value=brief(text)) from None


def get_own_member(principal: Principal) -> MemberId:
    """The member that a caller acts for, also one that has left. Raises Refused(UNKNOWN_MEMBER)."""
    if principal.member is None:
        raise Refused(Reason.UNKNOWN_MEMBER, "only a member's staff and machines do this: sign in as one of them")
    return principal.member


def _find_cursor(reader: Reader, member: MemberId, text: str) -> Place:
    found = _CURSOR.fullmatch(text)
    passport = None if found is None else find_id(Prefix.PASSPORT, found[1])
    place = None if found is None or passport is None else find_place(reader, member, passport, int(found[2]))
    if place is None:
        saying = f"starting_after is the `cursor` of an entry of this list, not {show(text)}"
        raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, field="starting_after", value=brief(text))
    return place
