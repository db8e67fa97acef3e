"""Appending one entry, or opening a passport, through the service: who may say it, about which vehicle, the receipt.

    a member's staff or machine   in the member's name, signed by the node for it (basis 2)
    the holder                    in the operator's name, "the holder said it" (basis 4)

What is signed elsewhere by a member's own key comes in through `submitting`. A caller names the passport, or the
vehicle, or both. A member that has written in a passport may name it alone; any other shows that it has the vehicle
before it by naming that too. It refuses to tell anyone else whether a passport exists. Source: rules, §3 and §4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import shake_256
from typing import Any, Literal, cast

import msgspec

from carnet.errors import Reason, Refused
from carnet.ledger.rules.document import WriterLine
from carnet.ledger.rules.members import Member
from carnet.ledger.state import State
from carnet.node.jobs import OPENINGS, ChainRef, Group, Item, Prepared
from carnet.node.placing import Outcome, Receipt
from carnet.node.prepare import check_mark
from carnet.node.reader import Reader
from carnet.node.writer import Writer
from carnet.node.writing import Writing
from carnet.passport.kinds import read_schema
from carnet.passport.occurred import check_not_future, check_occurred
from carnet.passport.statement import NO_TARGET
from carnet.passport.subject import check_subject, encode_subject
from carnet.services.access import OPENING, Holdings, get_member, get_view, may_open, refuse_unknown
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal, Standing
from carnet.services.receipts import make_receipt
from carnet.services.timelines import Shape
from carnet.types import Basis, Custody, KeyRole, Mark, MemberId, Millis, Subject
from carnet.vault.asker import asking_as_node
from carnet.vault.codes import HISTORY

NOT_BY_HOLDER = frozenset({"passport.transferred/1"})
"""What the writer table allows on the holder's word, and this service does not take yet: a sale has a procedure."""

_STALE = frozenset({Reason.RULES_NOT_IN_FORCE, Reason.KEY_REVOKED})
_CLOSER = _STALE | {Reason.STATEMENT_LINKED, Reason.SUBJECT_TAKEN}


class NewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry to be made: the kind's own fields, when it happened, and what it does to an earlier one (its sid)."""

    kind: str
    occurred: Mapping[str, Any]
    fields: Mapping[str, Any]
    corrects: bytes | None = None
    contests: bytes | None = None


class ReceiptShown(Shape, frozen=True, kw_only=True):
    """The node's signed word that a statement stands in its chain (docs/spec 3.11). Bytes are in Base64, times in ms.
    `record` is the log index of its seal."""

    accepted_ms: int
    deadline_ms: int
    key: str
    passport: str
    record: int
    seq: int
    sig: str
    signed: str
    statement: str


class Sealed(Shape, frozen=True, kw_only=True):
    """What became of a write: durable, and where. Here `accepted` and `sealed` are one transaction."""

    entry: str
    passport: str
    seq: int
    receipt: ReceiptShown
    proof: str
    state: Literal["accepted", "sealed"] = "sealed"
    object: Literal["receipt"] = "receipt"


class Ready(msgspec.Struct, frozen=True):
    """An entry that its caller may make, ready to be sealed: in whose name, on what ground, in which chain."""

    member: MemberId
    basis: int
    group: Group


def append(
    writer: Writing,
    reader: Reader,
    holdings: Holdings,
    principal: Principal,
    new: NewEntry,
    *,
    passport: bytes | None,
    subject: Subject | None,
    now: Millis,
    seed: bytes | None = None,
) -> Sealed:
    """Seal one entry; when it returns, it is durable. Asked again with the same `seed` (of an idempotency key) it gives
    the receipt of the first time.

    Raises Refused as `make_ready` does, and what the kind's schema and the writer refuse.
    """
    ready = make_ready(reader, holdings, principal, new, passport=passport, subject=subject, now=now)
    return seal_one(writer, ready.member, ready.basis, ready.group, seed)


def make_ready(
    reader: Reader,
    holdings: Holdings,
    principal: Principal,
    new: NewEntry,
    *,
    passport: bytes | None,
    subject: Subject | None,
    now: Millis,
) -> Ready:
    """All that is asked of the store before an entry is sealed, so that its reader need not wait for the disk.

    Raises Refused UNKNOWN_PASSPORT (also for what the caller may not know of), SUBJECT_MISMATCH, UNKNOWN_KIND,
    NOT_ACCREDITED, MAY_NOT_WRITE, WRONG_CHAIN, TIME_IN_FUTURE, WRONG_MARK.
    """
    member, basis = find_author(reader.state, principal, new.kind)
    try:
        chain = resolve_chain(reader, holdings, principal, passport, subject)
    except Refused as refused:
        if refused.reason is Reason.UNKNOWN_PASSPORT and subject is not None:
            _check_as_if_there(reader, new, subject, now)
        raise
    check_not_future(check_occurred(new.occurred), now)
    return Ready(member.id, basis, Group([make_item(new, chain.subject)], chain))


def open_passport(
    writer: Writing,
    reader: Reader,
    principal: Principal,
    subject: Subject,
    occasion: str,
    now: Millis,
    seed: bytes | None = None,
) -> Sealed:
    """Open the passport of a vehicle that has none, in the name of a member that is accredited for it. `seed` as in
    `append`.

    Raises Refused(SUBJECT_TAKEN), with the passport that there is, only to a member that may open; NOT_ACCREDITED to
    all others, whether there is one or not.
    """
    member = get_member(reader.state, principal)
    if not may_open(reader.state, principal):
        raise Refused(
            Reason.NOT_ACCREDITED,
            f"{member.name} is not accredited to open passports: registration authorities, manufacturers, dealers and"
            " inspection centres are",
            member=format_name(Prefix.MEMBER, member.id),
        )
    fields = {
        "kind": OPENING,
        "occasion": occasion,
        "occurred": {"at": _format_day(now), "precision": "day", "zone": "UTC"},
        "subject": subject.to_json(),
    }
    try:
        return seal_one(writer, member.id, Basis.HOSTED, Group([Item(OPENING, fields)]), seed)
    except Refused as refused:
        if refused.reason is Reason.SUBJECT_TAKEN and isinstance(refused.facts.get("passport"), str):
            raise Refused(
                refused.reason,
                "this vehicle has a passport already: append to it",
                passport=f"{Prefix.PASSPORT}_{refused.facts['passport']}",
            ) from None
        raise


def find_author(state: State, principal: Principal, kind: str) -> tuple[Member, int]:
    """In whose name, and on what ground, a caller says a kind of entry.

    Raises Refused UNKNOWN_MEMBER, MEMBER_RETIRED, UNKNOWN_KIND, WRONG_CHAIN, MAY_NOT_WRITE, NOT_ACCREDITED.
    """
    line = state.rules.get_kind(kind)
    if kind in OPENINGS or line.chain != "history":
        raise Refused(Reason.WRONG_CHAIN, f"{kind} is not appended to a passport's history", kind=kind)
    if principal.standing is Standing.HOLDER:
        member = find_speaker(state)
        if member is None or kind in NOT_BY_HOLDER:
            raise Refused(Reason.MAY_NOT_WRITE, f"{kind} is not taken from a holder here", kind=kind)
        basis = Basis.HOLDER
    else:
        member, basis = get_member(state, principal), Basis.HOSTED
    state.rules.check_may_write(member.kind, kind, basis)
    member.check_accredited(kind, basis, line.class_)
    return member, basis


def find_speaker(state: State) -> Member | None:
    """The member with a holder-author key of this node: it says what the holders said."""
    for member in state.members.all:
        if member.retired is None and _has_holder_key(member):
            return member
    return None


def enrol_speaker(writer: Writer) -> Member | None:
    """Give this node's operator a holder-author key, once; None where its kind may say nothing for holders."""
    found = find_speaker(writer.state)
    if found is not None:
        return found
    for member in writer.state.members.all:
        is_ours = any(key.revoked is None and writer.keeps_key(key.digest) for key in member.keys)
        if is_ours and member.retired is None and list_holder_kinds(writer.state, member):
            writer.add_key(member.id, role=KeyRole.HOLDER_AUTHOR)
            return writer.state.members.get(member.id)
    return None


def list_holder_kinds(state: State, member: Member) -> list[str]:
    """The kinds of history that a member may say on the holder's word, ascending."""
    rights = {kind for kind, basis, _ in member.accreditations if basis == Basis.HOLDER}
    allowed = {
        line.kind
        for line in state.rules.lines
        if isinstance(line, WriterLine) and line.member == member.kind and Basis.HOLDER in line.bases
    }
    found = (rights & allowed) - NOT_BY_HOLDER
    return sorted(kind for kind in found if state.rules.get_kind(kind).chain == "history")


def make_item(new: NewEntry, subject: Mapping[str, object]) -> Item:
    """The statement to make. Raises Refused(WRONG_MARK) for one that would both correct and contest, and
    UNKNOWN_FIELD for a common field that stands among the kind's own."""
    if new.corrects is not None and new.contests is not None:
        raise Refused(Reason.WRONG_MARK, "an entry corrects another or contests it, not both")
    for name in ("kind", "occurred", "subject"):
        if name in new.fields:
            raise Refused(Reason.UNKNOWN_FIELD, f"{name} stands beside fields, not in it", field=f"fields.{name}")
    mark, target = Mark.NONE, NO_TARGET
    if new.corrects is not None:
        mark, target = Mark.SUPERSEDES, new.corrects
    elif new.contests is not None:
        mark, target = Mark.CONTESTS, new.contests
    common = {"kind": new.kind, "occurred": new.occurred, "subject": subject}
    return Item(new.kind, {**new.fields, **common}, mark=mark, target=target)


def _check_as_if_there(reader: Reader, new: NewEntry, subject: Subject, now: Millis) -> None:
    """Raise what would be refused if the vehicle had a passport. An entry that nobody would take must not tell whether
    there is one: who is told that leaves a signature there."""
    check_not_future(check_occurred(new.occurred), now)
    item, schema = make_item(new, subject.to_json()), read_schema(reader.kinds[new.kind])
    schema.validate(cast("Mapping[str, Any]", item.fields))
    check_mark(item, schema.marks, has_source=False)
    if item.mark != Mark.NONE:
        raise Refused(Reason.UNKNOWN_TARGET, "no earlier entry of this passport has this id", target=item.target.hex())


def seal_one(writer: Writing, member: MemberId, basis: int, group: Group, seed: bytes | None = None) -> Sealed:
    """One submission of one entry. Raises its refusal.

    With a `seed`, the statement's secret comes from it and from all that the statement says: the same request gives the
    same statement, which stands once, and whoever asks again gets the receipt that it got.
    """
    prepared, outcome = _seal(writer, member, basis, group, seed)
    if outcome.refused is not None and outcome.refused.reason in _STALE:
        # Rules or keys changed since this process last saw them: nothing was sealed, and it is made again.
        prepared, outcome = _seal(writer, member, basis, group, seed)
    try:
        return describe_sealed(writer, get_receipt(outcome))
    except Refused as refused:
        is_again = refused.reason in (Reason.STATEMENT_LINKED, Reason.SUBJECT_TAKEN)
        if seed is None or not is_again:
            raise
        made = prepared.groups[0]
        found = writer.find_receipt(0, made.chain16, made.rows[0].sid)
        if found is None:
            raise
        return describe_sealed(writer, found)


async def seal_soon(writer: Writing, prepared: Prepared, again: Callable[[], Sealed]) -> Sealed:
    """The same from an event loop, for what `prepare_one` prepared. `again` is `seal_one` of it, for the rare case that
    has to be looked at more closely; it is called in a thread."""
    outcome = await writer.commit_soon(prepared)
    refused = [outcome.refused.reason] if outcome.refused is not None else [one.reason for one in outcome.refusals]
    if _CLOSER.isdisjoint(refused):
        return describe_sealed(writer, get_receipt(outcome))
    # Nothing was sealed now: either it is made again, or what the same seed made before is found.
    return await asyncio.to_thread(again)


def prepare_one(writer: Writing, member: MemberId, basis: int, group: Group, seed: bytes | None = None) -> Prepared:
    """One submission of one entry, ready for the writer. Raises what its schema refuses."""
    job = writer.make_job(member, basis, [group])
    if seed is not None:
        job = job._replace(randomness=_derive(seed, job.randomness, group))
    prepared = writer.prepare(job)
    for refusal in prepared.refusals:
        raise refusal.to_error()
    return prepared


def _seal(writer: Writing, member: MemberId, basis: int, group: Group, seed: bytes | None) -> tuple[Prepared, Outcome]:
    prepared = prepare_one(writer, member, basis, group, seed)
    return prepared, writer.commit([prepared])[0]


def _derive(seed: bytes, randomness: bytes, group: Group) -> bytes:
    """As much randomness as was there, from the seed and everything that will be encrypted with it: one key never
    encrypts two texts."""
    told = msgspec.json.encode([group.chain.chain16 if group.chain else None, group.items], order="sorted")
    return shake_256(b"carnet/append\n" + len(seed).to_bytes(4, "big") + seed + told).digest(len(randomness))


def get_receipt(outcome: Outcome) -> Receipt:
    """The one receipt of a submission of one entry; raises its refusal."""
    if outcome.refused is not None:
        raise outcome.refused
    for refusal in outcome.refusals:
        if refusal.reason is Reason.UNKNOWN_PASSPORT:
            # With the words of one that was not found, and without its id.
            raise refuse_unknown(None)
        raise refusal.to_error()
    return outcome.receipts[0]


def describe_sealed(writer: Writing, receipt: Receipt) -> Sealed:
    """The answer to a write."""
    entry, passport = format_name(Prefix.ENTRY, receipt.sid), format_name(Prefix.PASSPORT, receipt.chain16)
    return Sealed(
        entry=entry,
        passport=passport,
        seq=receipt.seq,
        receipt=ReceiptShown(**cast("dict[str, Any]", make_receipt(writer, receipt))),
        proof=f"/v1/passports/{passport}/entries/{entry}/proof",
    )


def read_subject(value: object, field: str = "subject") -> Subject:
    """The vehicle that a caller names, in its normal writing. Raises as `check_subject` does, and
    Refused(SUBJECT_MISMATCH) for a plate, which names no passport."""
    if isinstance(value, Mapping) and value.get("scheme") == "plate":
        raise Refused(
            Reason.SUBJECT_MISMATCH, "a plate names no passport: vehicles change them. Give the VIN", field=field
        )
    return check_subject(value, field=field)


def resolve_chain(
    reader: Reader, holdings: Holdings, principal: Principal, passport: bytes | None, subject: Subject | None
) -> ChainRef:
    """The chain that the caller means and may know of."""
    if passport is None and subject is None:
        raise Refused(Reason.MISSING_FIELD, "name the passport, or the vehicle as subject", field="subject")
    if subject is None:
        view = get_view(reader, holdings, principal, cast("bytes", passport))
        return reader.get_chain(view.passport)
    if principal.standing is Standing.HOLDER:
        chain = _find_held(reader, holdings, principal, passport, subject)
    else:
        chain = _find_before(reader, holdings, principal, passport, subject)
    if chain.type != HISTORY:
        raise refuse_unknown(passport)
    return chain


def _find_held(
    reader: Reader, holdings: Holdings, principal: Principal, passport: bytes | None, subject: Subject
) -> ChainRef:
    chain = (
        _find_by_subject(reader, subject)
        if passport is None
        else reader.get_chain(get_view(reader, holdings, principal, passport).passport)
    )
    if chain is None:
        raise refuse_unknown(passport)
    get_view(reader, holdings, principal, chain.chain16)
    _check_subject(chain, subject)
    return chain


def _find_before(
    reader: Reader, holdings: Holdings, principal: Principal, passport: bytes | None, subject: Subject
) -> ChainRef:
    """A member that names the vehicle has it before it, and may write in its passport."""
    # Its first entry is prepared under the passport's key, which is not shown to it.
    with asking_as_node():
        chain = _find_by_subject(reader, subject)
    if passport is None or (chain is not None and chain.chain16 == passport):
        if chain is None:
            raise refuse_unknown(passport)
        return chain
    # Passport and vehicle do not agree: said only to one that knows the passport already.
    _check_subject(reader.get_chain(get_view(reader, holdings, principal, passport).passport), subject)
    raise refuse_unknown(passport)


def _find_by_subject(reader: Reader, subject: Subject) -> ChainRef | None:
    try:
        return reader.find_chain(subject)
    except Refused as refused:
        if refused.reason is not Reason.ERASED:
            raise
        return None


def _check_subject(chain: ChainRef, subject: Subject) -> None:
    if chain.encoded_subject != encode_subject(subject):
        raise Refused(Reason.SUBJECT_MISMATCH, "this passport is about another vehicle", field="subject")


def _has_holder_key(member: Member) -> bool:
    return any(
        key.role == KeyRole.HOLDER_AUTHOR and key.custody == Custody.NODE and key.revoked is None for key in member.keys
    )


def _format_day(now: Millis) -> str:
    return datetime.fromtimestamp(now // 1000, UTC).strftime("%Y-%m-%d")
