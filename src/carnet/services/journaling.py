"""The holder's journal: every look that somebody else took at the passport, sealed before its answer goes out.

A journal is a chain of its own for each passport and epoch, opened at the claim or at the first look. Its name cannot
be tied to the passport without the node's keys. It says who looked, why, at which kinds and how many; never a value.
It refuses to let an answer go before the look is durable: that costs a reader one commit of the writer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.ledger.state import State
from carnet.node.jobs import Group, Item, Prepared
from carnet.node.placing import Outcome
from carnet.node.reader import Reader, ShownEntry
from carnet.node.writing import Writing
from carnet.services.access import View, refuse_unknown
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal
from carnet.services.timelines import Shape, format_time
from carnet.types import Basis, Custody, KeyRole, MemberId, Millis
from carnet.vault.asker import asking_as_node
from carnet.vault.waiting import check_may_wait

OPENED, ACCESSED = "journal.opened/1", "journal.accessed/1"


@dataclass(frozen=True, slots=True)
class Access:
    """A look at a passport: by which member, what for, at how many entries of which kinds."""

    passport: bytes
    epoch: int
    member: MemberId
    action: str
    purpose: str
    entry_count: int
    kinds: tuple[str, ...]


class LookShown(Shape, frozen=True, kw_only=True):
    """A look at a passport by somebody else than its holder, as it was sealed before the answer went out."""

    id: str
    member: str
    member_name: str
    action: str
    purpose: str
    entry_count: int | None
    kinds: list[str]
    at: str
    object: Literal["look"] = "look"


def find_access(
    principal: Principal, view: View, kinds: Iterable[str], entry_count: int, *, action: str = "read", purpose: str
) -> Access | None:
    """The look that is to be recorded; None for the holder's own, and where nobody holds the passport yet."""
    if view.is_whole or view.holder is None or principal.member is None:
        return None
    return Access(view.passport, view.epoch, principal.member, action, purpose, entry_count, tuple(sorted(set(kinds))))


def record_access(writer: Writing, reader: Reader, access: Access, now: Millis) -> bool:
    """Seal the look in the journal of this epoch, opening it if it is the first; when this returns it is durable.

    False where nobody on this node may keep journals: its operator is neither a data service nor a platform, or the
    journal was erased.
    """
    check_may_wait()
    keeper = find_keeper(writer.state)
    if keeper is None:
        return False
    try:
        _record(writer, reader, keeper, access, now)
    except Refused as refused:
        if refused.reason is Reason.ERASED:
            return False
        if refused.reason is not Reason.SUBJECT_TAKEN:
            raise
        # Another look opened the journal a moment ago.
        reader.refresh()
        _record(writer, reader, keeper, access, now)
    return True


def prepare_look(writer: Writing, reader: Reader, access: Access, now: Millis) -> Prepared | None:
    """The look, ready for the writer; None where nobody on this node may keep journals."""
    keeper = find_keeper(reader.state)
    if keeper is None:
        return None
    return writer.prepare(writer.make_job(keeper.id, Basis.HOSTED, [_make_group(reader, access, now)]))


async def is_sealed_soon(writer: Writing, look: Prepared) -> bool:
    """Seal, from an event loop, what `prepare_look` has prepared; whether it is sealed, and durable, now. If not,
    nothing of it is, and `record_access` finds out why."""
    outcome = await writer.commit_soon(look)
    return outcome.refused is None and not outcome.refusals


def open_journal(writer: Writing, reader: Reader, passport: bytes, now: Millis) -> bytes | None:
    """The journal of the passport's present epoch, opened if there is none; None where nobody here may keep one.

    Raises Refused(UNKNOWN_PASSPORT).
    """
    head, keeper = reader.find_head(passport), find_keeper(writer.state)
    if head is None:
        raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such passport here", passport=passport.hex())
    with asking_as_node():
        known = reader.find_journal(passport, head[1])
    if known is not None or keeper is None:
        return None if known is None else known.chain16
    outcome = writer.append(keeper.id, Basis.HOSTED, [Group([_make_opening(reader, passport, head[1], now)])])
    for refusal in outcome.refusals:
        raise refusal.to_error()
    return outcome.receipts[0].chain16


def list_looks(reader: Reader, view: View) -> list[LookShown]:
    """Who looked at a passport in the present holder's time, the newest first; for its holder alone.

    Raises Refused(UNKNOWN_PASSPORT) for any other view.
    """
    if not view.is_whole or view.holder is None:
        raise refuse_unknown(view.passport)
    # The journal is a chain of its own, which no database can tie to the passport: whoever may not open this one is
    # told here that there is none.
    reader.get_chain(view.passport)
    with asking_as_node():
        journal = reader.find_journal(view.passport, view.epoch)
        links = [] if journal is None else list(reader.read_entries(journal.chain16))
    looks = [link for link in links if link.kind == ACCESSED and link.fields is not None]
    return [_show(reader, link) for link in reversed(looks)]


def _show(reader: Reader, link: ShownEntry) -> LookShown:
    fields: Mapping[str, Any] = link.fields or {}
    member = bytes.fromhex(str(fields["assignee_member"]))
    return LookShown(
        id=format_name(Prefix.ENTRY, link.sid),
        member=format_name(Prefix.MEMBER, member),
        member_name=reader.state.members.get(member).name,
        action=str(fields["action"]),
        purpose=str(fields["purpose"]),
        entry_count=fields["entry_count"],
        kinds=[one["kind"] for one in fields["scope"] or ()],
        at=format_time(link.sealed_at),
    )


def find_keeper(state: State) -> Member | None:
    """The member that may write journals in this node's name: accredited for accesses on basis 2, with a key that the
    node keeps."""
    for member in state.members.all:
        has_key = any(
            key.role == KeyRole.AUTHOR and key.custody == Custody.NODE and key.revoked is None for key in member.keys
        )
        rights = {(kind, basis) for kind, basis, _ in member.accreditations}
        is_accredited = {(OPENED, int(Basis.HOSTED)), (ACCESSED, int(Basis.HOSTED))} <= rights
        if has_key and member.retired is None and is_accredited:
            return member
    return None


def _record(writer: Writing, reader: Reader, keeper: Member, access: Access, now: Millis) -> Outcome:
    outcome = writer.append(keeper.id, Basis.HOSTED, [_make_group(reader, access, now)])
    for refusal in outcome.refusals:
        raise refusal.to_error()
    return outcome


def _make_group(reader: Reader, access: Access, now: Millis) -> Group:
    with asking_as_node():
        journal = reader.find_journal(access.passport, access.epoch)
    items = [] if journal is not None else [_make_opening(reader, access.passport, access.epoch, now)]
    items.append(_make_access(reader, access, now))
    return Group(items, journal)


def _make_opening(reader: Reader, passport: bytes, epoch: int, now: Millis) -> Item:
    return _make_item(reader, OPENED, passport, epoch, now)


def _make_access(reader: Reader, access: Access, now: Millis) -> Item:
    return _make_item(
        reader,
        ACCESSED,
        access.passport,
        access.epoch,
        now,
        action=access.action,
        assignee_member=access.member.hex(),
        assignee_type="member",
        entry_count=access.entry_count,
        purpose=access.purpose,
        scope=[{"field": None, "kind": kind} for kind in access.kinds],
    )


def _make_item(reader: Reader, kind: str, passport: bytes, epoch: int, now: Millis, **fields: object) -> Item:
    subject = reader.get_journal_subject(passport, epoch).to_json()
    common = {"epoch": epoch, "kind": kind, "occurred": make_moment(now), "passport": passport.hex()}
    return Item(kind, {**common, "subject": subject, **fields})


def make_moment(now: Millis) -> dict[str, object]:
    """This moment as `occurred`, to the second. Spec: 2.3."""
    at = datetime.fromtimestamp(now // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {"at": at, "precision": "second", "zone": "UTC"}
