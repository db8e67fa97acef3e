"""A passport's timeline for whoever may see it: what, when, by whom, on what ground, and where its proof stands.

Newest first, filtered, a page at a time. The same entries without any value are its metadata: nature, source, seal and
state of each datum. It refuses to open what the caller's view hides (`services.access`), and to say that anything is
proved: that is for a proof.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader, ShownEntry
from carnet.services.access import View
from carnet.services.names import Prefix, find_id, format_name
from carnet.services.showing import Standing
from carnet.types import LAST_MOMENT_MS, Basis, Mark, MemberId, Millis, brief, show

MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 50

State = Literal["stands", "contested", "superseded"]
BASIS_NAMES: Final = {
    Basis.OWN_KEY: "own_key",
    Basis.HOSTED: "hosted",
    Basis.REPORTED: "reported",
    Basis.HOLDER: "holder",
}
MARK_NAMES: Final = {
    Mark.NONE: "none",
    Mark.SUPERSEDES: "supersedes",
    Mark.CONTESTS: "contests",
    Mark.TRANSFER: "transfer",
    Mark.MOVE: "move",
}
_PERIOD = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", re.ASCII)


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes over the wire: unknown members are refused."""


class OccurredShown(Shape, frozen=True, kw_only=True):
    """When it happened, as it was written."""

    at: str | None
    precision: str
    zone: str | None


class AuthorShown(Shape, frozen=True, kw_only=True):
    """The member in whose name an entry was signed."""

    id: str
    kind: str
    name: str


class EntryMeta(Shape, frozen=True, kw_only=True):
    """Nature, source and seal of one entry: everything but its values."""

    id: str
    passport: str
    seq: int
    kind: str
    occurred: OccurredShown
    author: AuthorShown
    basis: Literal["own_key", "hosted", "reported", "holder"]
    state: State
    mark: Literal["none", "supersedes", "contests", "transfer", "move"]
    target: str | None
    superseded_by: str | None
    contested_by: list[str]
    certified: bool
    record: int
    sealed_at: str
    submitted_at: str
    key: str
    key_disputed: bool
    erased: bool
    proof: str
    object: Literal["entry"] = "entry"


class EntryShown(EntryMeta, frozen=True, kw_only=True):
    """One entry with its own fields, those of its kind; the common three stand beside them."""

    fields: dict[str, Any] | None
    subject: dict[str, Any]


class PassportShown(Shape, frozen=True, kw_only=True):
    """A passport at a glance, as far as the caller sees it: `entry_count` counts what the caller sees."""

    id: str
    subject: dict[str, Any]
    entry_count: int
    sees: Literal["whole", "own_entries"]
    closed: bool
    epoch: int
    sealed_at: str
    as_of: str | None
    proof: str
    object: Literal["passport"] = "passport"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What of a timeline is asked for: kinds, one author, a period of `occurred` (years, months or days, both ends
    included), a state; and the page."""

    kinds: frozenset[str] = frozenset()
    author: MemberId | None = None
    since: str | None = None
    until: str | None = None
    state: State | None = None
    limit: int = DEFAULT_LIMIT
    starting_after: str | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a timeline, and whether there are more."""

    entries: list[EntryShown]
    has_more: bool


class Opened:
    """A passport as one caller sees it."""

    def __init__(self, reader: Reader, view: View) -> None:
        self._reader, self.view = reader, view
        self._links = view.read_entries(reader)
        self._names = {link.seq: format_name(Prefix.ENTRY, link.sid) for link in self._links}
        self._standing = Standing(reader, view.passport, self._links)
        self._visible = [link for link in self._links if view.is_open(link.member, link.basis)]

    @property
    def entries(self) -> Sequence[ShownEntry]:
        """The links that the caller sees, in order."""
        return self._visible

    def describe(self, link: ShownEntry) -> EntryShown:
        """One of them in full."""
        found = self._standing.describe(link)
        fields: Mapping[str, Any] = found["fields"]
        hidden = {"kind", "occurred", "subject"}
        own = None if link.fields is None else {name: value for name, value in fields.items() if name not in hidden}
        occurred = fields.get("occurred") or {"at": None, "precision": "unknown", "zone": None}
        passport = format_name(Prefix.PASSPORT, self.view.passport)
        return EntryShown(
            id=self._names[link.seq],
            passport=passport,
            seq=link.seq,
            kind=link.kind,
            occurred=OccurredShown(**occurred),
            author=AuthorShown(
                id=format_name(Prefix.MEMBER, link.member), kind=found["by"]["kind"], name=found["by"]["name"]
            ),
            basis=BASIS_NAMES[Basis(link.basis)],  # type: ignore[arg-type]
            state=found["state"],
            mark=MARK_NAMES[Mark(link.mark)],  # type: ignore[arg-type]
            target=self._name(found["target"]),
            superseded_by=self._name(found["superseded_by"]),
            contested_by=[name for name in map(self._name, found["contested_by"]) if name is not None],
            certified=True,
            record=link.seal,
            sealed_at=format_time(link.sealed_at),
            submitted_at=format_time(link.created_ms),
            key=format_name(Prefix.KEY, link.key_digest),
            key_disputed=found["disputed"],
            erased=link.is_erased,
            proof=f"/v1/passports/{passport}/entries/{self._names[link.seq]}/proof",
            fields=own,
            subject=fields.get("subject") or self._reader.get_subject(self.view.passport),
        )

    def describe_passport(self, census_at: Millis | None) -> PassportShown:
        """The passport itself. Its seal and whether it is closed are told to its holder alone as of all entries."""
        visible, name = self._visible, format_name(Prefix.PASSPORT, self.view.passport)
        return PassportShown(
            id=name,
            subject=self._reader.get_subject(self.view.passport),
            entry_count=len(visible),
            sees="whole" if self.view.is_whole else "own_entries",
            closed=any(link.kind == "passport.closed/1" for link in visible),
            epoch=self.view.epoch if self.view.is_whole else 0,
            sealed_at=format_time(visible[-1].sealed_at),
            as_of=None if census_at is None else format_time(census_at),
            proof=f"/v1/passports/{name}/proof",
        )

    def list(self, wanted: Wanted) -> Page:
        """A page, newest first. Raises Refused(VALUE_OUT_OF_RANGE) for a limit, a period or a cursor that is none."""
        check_limit(wanted.limit)
        for name in ("since", "until"):
            _check_period(name, getattr(wanted, name))
        ordered = sorted(self._visible, key=_order, reverse=True)
        found = [link for link in ordered if self._is_wanted(link, wanted)]
        start = self._find_start(ordered, found, wanted.starting_after)
        page = found[start : start + wanted.limit]
        return Page([self.describe(link) for link in page], start + wanted.limit < len(found))

    def _is_wanted(self, link: ShownEntry, wanted: Wanted) -> bool:
        if wanted.kinds and link.kind not in wanted.kinds:
            return False
        if wanted.author is not None and link.member != wanted.author:
            return False
        if wanted.since is not None or wanted.until is not None:
            at = _get_at(link)
            if not at or (wanted.since is not None and at[: len(wanted.since)] < wanted.since[: len(at)]):
                return False
            if wanted.until is not None and at[: len(wanted.until)] > wanted.until:
                return False
        return wanted.state is None or self._standing.describe(link)["state"] == wanted.state

    def _find_start(self, ordered: Sequence[ShownEntry], found: Sequence[ShownEntry], cursor: str | None) -> int:
        if cursor is None:
            return 0
        sid = find_id(Prefix.ENTRY, cursor)
        place = next((at for at, link in enumerate(ordered) if link.sid == sid), None)
        if place is None:
            saying = f"starting_after is the id of an entry of this list, not {show(cursor)}"
            raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, field="starting_after", value=brief(cursor))
        # The entry itself may no longer be among those asked for: what follows it still is.
        after = {link.sid for link in ordered[place + 1 :]}
        return next((at for at, link in enumerate(found) if link.sid in after), len(found))

    def _name(self, seq: int | None) -> str | None:
        """The id of another entry, where the caller sees that one too."""
        if seq is None:
            return None
        link = self._links[seq]
        return self._names[seq] if self.view.is_open(link.member, link.basis) else None


def find_entry(opened: Opened, sid: bytes) -> ShownEntry | None:
    """An entry of the view by its statement's id."""
    return next((link for link in opened.entries if link.sid == sid), None)


def hide_values(entry: EntryShown) -> EntryMeta:
    """The entry without any value. Its subject goes too: it may be a plate."""
    return EntryMeta(**{name: getattr(entry, name) for name in EntryMeta.__struct_fields__})


def format_time(at: Millis) -> str:
    """A moment in UTC to the millisecond, RFC 3339; one that no calendar writes is told as the last that it does."""
    at = min(at, LAST_MOMENT_MS)
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at % 1000:03d}Z"


def check_limit(limit: int) -> None:
    """Raise Refused(VALUE_OUT_OF_RANGE) for a page that nobody can turn."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, f"limit is 1 to {MAX_LIMIT}, not {show(limit)}", field="limit")


def _check_period(name: str, text: str | None) -> None:
    if text is None:
        return
    try:
        if _PERIOD.fullmatch(text) is None:
            raise ValueError
        date.fromisoformat((text + "-01-01")[:10])
    except ValueError:
        saying = f"{name} is a year, a month or a day (2023, 2023-05, 2023-05-04), not {show(text)}"
        raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, field=name, value=brief(text)) from None


def _get_at(link: ShownEntry) -> str:
    occurred: Any = (link.fields or {}).get("occurred") or {}
    return occurred.get("at") or ""


def _order(link: ShownEntry) -> tuple[str, int]:
    return _get_at(link), link.seq
