"""`/v1/passports/…/entries` and `/v1/entries`: the timeline with its filters, one entry, its proof; appending; and
submissions that a member signed with its own key."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from carnet.errors import Reason, Refused
from carnet.node.jobs import Prepared
from carnet.node.reader import Reader
from carnet.passport.submission import MAX_SUBMISSION_BYTES
from carnet.services.access import get_member
from carnet.services.appending import (
    NewEntry,
    Ready,
    ReceiptShown,
    Sealed,
    make_ready,
    prepare_one,
    seal_one,
    seal_soon,
)
from carnet.services.names import Prefix, format_name, parse_name
from carnet.services.principals import Principal, Role, Scope
from carnet.services.proving import prove
from carnet.services.receipts import make_receipts
from carnet.services.submitting import submit
from carnet.services.timelines import (
    DEFAULT_LIMIT,
    EntryMeta,
    EntryShown,
    Opened,
    Shape,
    State,
    Wanted,
    find_entry,
    hide_values,
)
from carnet.types import Millis, Subject
from carnet.web.api.answers import (
    AnyRequest,
    Look,
    answer,
    answer_fresh,
    answer_kept,
    answer_once_soon,
    answer_tagged,
    find_look,
    get_holdings,
    note_access,
    seal_look,
    viewing,
)
from carnet.web.api.contract import JSON, PROOF, Contract, ListOf, promise
from carnet.web.api.inputs import (
    EntryIn,
    VehicleEntryIn,
    get_entry_id,
    get_new_entry,
    get_passport_id,
    get_subject,
    point_out,
)
from carnet.web.api.passports import READERS
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.kept import Answer
from carnet.web.policy import holder, machine
from carnet.web.waiting import in_thread, promptly

APPENDERS = machine(Scope.ENTRIES_APPEND, Role.ADMIN, Role.CLERK)
TAG = "Entries"
UNSEEN = (Reason.UNKNOWN_PASSPORT, Reason.ERASED)
UNWRITTEN = (
    Reason.UNKNOWN_PASSPORT, Reason.ERASED, Reason.SUBJECT_MISMATCH, Reason.PASSPORT_CLOSED, Reason.UNKNOWN_KIND,
    Reason.UNKNOWN_FIELD, Reason.MISSING_FIELD, Reason.WRONG_TYPE, Reason.NOT_IN_LIST, Reason.VALUE_OUT_OF_RANGE,
    Reason.TEXT_TOO_LONG, Reason.FIELDS_CONFLICT, Reason.INVALID_VIN, Reason.INVALID_TIME, Reason.TIME_IN_FUTURE,
    Reason.ENDS_BEFORE_START, Reason.MAY_NOT_WRITE, Reason.NOT_ACCREDITED, Reason.UNKNOWN_KEY, Reason.MEMBER_RETIRED,
    Reason.WRONG_CHAIN, Reason.WRONG_MARK, Reason.UNKNOWN_TARGET, Reason.TARGET_IS_OPENING,
)  # fmt: skip

Kinds = Annotated[list[str] | None, QueryParameter(name="kind")]


class EntryWithProof(EntryShown, frozen=True, kw_only=True):
    """An entry; with `?proof=1` its proof too, as the text of a `.carnet` file."""

    bundle: str | None = None


class SealedWithProof(Sealed, frozen=True, kw_only=True):
    """What became of a write; with `?proof=1` its proof too, as the text of a `.carnet` file."""

    bundle: str | None = None


class TurnedAway(Shape, frozen=True, kw_only=True):
    """A statement of a submission that was not taken: its place from 0, and why."""

    place: int
    statement: str
    code: str
    detail: str


class Submitted(Shape, frozen=True, kw_only=True):
    """What became of a submission: receipts in its order, `sealed` of them new; what was turned away."""

    member: str
    sealed: int
    receipts: list[ReceiptShown]
    turned_away: list[TurnedAway]
    object: Literal["submission"] = "submission"


class Asked(NamedTuple):
    """What a list was asked for, as it stands in the address."""

    kind: list[str] | None
    author: str | None
    since: str | None
    until: str | None
    in_state: State | None
    limit: int
    starting_after: str | None


def _make_wanted(reader: Reader, asked: Asked) -> Wanted:
    for one in asked.kind or ():
        if one not in reader.kinds:
            raise Refused(Reason.UNKNOWN_KIND, "the rules in force name no such kind", pointer="#kind")
    return Wanted(
        kinds=frozenset(asked.kind or ()),
        author=None if asked.author is None else parse_name(Prefix.MEMBER, asked.author, "author"),
        since=asked.since,
        until=asked.until,
        state=asked.in_state,
        limit=asked.limit,
        starting_after=asked.starting_after,
    )


async def _answer_list(
    desk: Desk, principal: Principal, request: AnyRequest, passport: str, asked: Asked, *, is_metadata: bool = False
) -> Response[bytes]:
    made, look = await promptly(_look, desk, principal, request, passport, asked, is_metadata=is_metadata)
    await seal_look(desk, look)
    return answer_tagged(request, made)


def _look(
    desk: Desk, principal: Principal, request: AnyRequest, passport: str, asked: Asked, *, is_metadata: bool
) -> tuple[Answer, Look | None]:
    with viewing(desk, principal, passport) as (reader, view):
        wanted = _make_wanted(reader, asked)

        def make() -> tuple[object, list[str]]:
            page = Opened(reader, view).list(wanted)
            shown: list[EntryMeta | EntryShown] = [
                hide_values(entry) if is_metadata else entry for entry in page.entries
            ]
            return ListOf(data=shown, has_more=page.has_more), [entry.kind for entry in page.entries]

        made = answer_kept(desk, request, reader, view, make)
        purpose = "metadata" if is_metadata else "own entries"
        return made, find_look(desk, principal, reader, view, list(made.kinds), purpose=purpose)


@get(
    "/passports/{passport:str}/entries",
    opt=promise(READERS, Contract(TAG, answer=ListOf[EntryShown], refusals=(*UNSEEN, Reason.UNKNOWN_KIND))),
)
async def list_entries(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    passport: FromPath[str],
    kind: Kinds = None,
    author: FromQuery[str | None] = None,
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    in_state: FromQuery[State | None] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The timeline, newest first: of some kinds, one author, a period of when it happened, one state."""
    asked = Asked(kind, author, since, until, in_state, limit, starting_after)
    return await _answer_list(desk, principal, request, passport, asked)


@get(
    "/passports/{passport:str}/metadata",
    opt=promise(READERS, Contract(TAG, answer=ListOf[EntryMeta], refusals=(*UNSEEN, Reason.UNKNOWN_KIND))),
)
async def list_metadata(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    passport: FromPath[str],
    kind: Kinds = None,
    author: FromQuery[str | None] = None,
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    in_state: FromQuery[State | None] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Nature, source, seal and state of each entry of the timeline, without any value."""
    asked = Asked(kind, author, since, until, in_state, limit, starting_after)
    return await _answer_list(desk, principal, request, passport, asked, is_metadata=True)


@get(
    "/passports/{passport:str}/entries/{entry:str}",
    opt=promise(
        READERS, Contract(TAG, answer=EntryWithProof, refusals=(*UNSEEN, Reason.NOTHING_SEALED, Reason.PROOF_TOO_LARGE))
    ),
    sync_to_thread=True,
)
def get_entry(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    passport: FromPath[str],
    entry: FromPath[str],
    proof: FromQuery[bool] = False,
) -> Response[bytes]:
    """One entry; with `?proof=1` its proof beside it."""
    sid = get_entry_id(entry)
    with viewing(desk, principal, passport) as (reader, view):
        opened = Opened(reader, view)
        link = find_entry(opened, sid)
        if link is None:
            raise Refused(Reason.UNKNOWN_PASSPORT, "there is no such entry here, or you may not see it")
        note_access(desk, principal, reader, view, [link.kind])
        shown = msgspec.structs.asdict(opened.describe(link))
        bundle = prove(desk.door, reader, view, desk.clock(), entry=sid).data.decode() if proof else None
    return answer_fresh(request, EntryWithProof(**shown, bundle=bundle))


@post(
    "/passports/{passport:str}/entries",
    opt=promise(
        APPENDERS | holder(),
        Contract(
            TAG,
            answer=SealedWithProof,
            body=EntryIn,
            status=201,
            is_idempotent=True,
            refusals=UNWRITTEN,
            example={
                "kind": "vehicle.odometer/1",
                "occurred": {"at": "2026-03-02", "precision": "day", "zone": None},
                "fields": {"odometer_km": 61250, "odometer_state": "read", "method": "dash"},
            },
        ),
        is_short=True,
    ),
)
async def append_entry(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    passport: FromPath[str],
    data: JSONBody[EntryIn],
    proof: FromQuery[bool] = False,
) -> Response[bytes]:
    """Append an entry. A member that has not written in this passport names the vehicle too; a holder's entry is marked
    as declared by the holder."""
    wanted = get_passport_id(passport)
    subject = None if data.subject is None else get_subject(data.subject)

    async def work(seed: bytes | None, now: int) -> SealedWithProof:
        return await _append(desk, principal, get_new_entry(data), wanted, subject, seed, now, proof=proof)

    return await answer_once_soon(desk, principal, request, [data, proof], work)


@post(
    "/entries",
    opt=promise(
        APPENDERS,
        Contract(
            TAG,
            answer=SealedWithProof,
            body=VehicleEntryIn,
            status=201,
            is_idempotent=True,
            refusals=UNWRITTEN,
            example={
                "subject": {"scheme": "vin", "value": "VF1RFB00X56123456"},
                "kind": "vehicle.odometer/1",
                "occurred": {"at": "2026-03-02", "precision": "day", "zone": None},
                "fields": {"odometer_km": 61250, "odometer_state": "read", "method": "dash"},
            },
        ),
        is_short=True,
    ),
)
async def append_to_vehicle(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    data: JSONBody[VehicleEntryIn],
    proof: FromQuery[bool] = False,
) -> Response[bytes]:
    """Append an entry to the passport of the vehicle that you have before you."""
    subject = get_subject(data.subject)

    async def work(seed: bytes | None, now: int) -> SealedWithProof:
        return await _append(desk, principal, get_new_entry(data), None, subject, seed, now, proof=proof)

    return await answer_once_soon(desk, principal, request, [data, proof], work)


async def _append(
    desk: Desk,
    principal: Principal,
    new: NewEntry,
    passport: bytes | None,
    subject: Subject | None,
    seed: bytes | None,
    now: Millis,
    *,
    proof: bool,
) -> SealedWithProof:
    try:
        ready, prepared = await promptly(_prepare, desk, principal, new, passport, subject, seed, now)
        member, basis, group = ready.member, ready.basis, ready.group
        sealed = await seal_soon(desk.door, prepared, lambda: seal_one(desk.door, member, basis, group, seed))
    except Refused as refused:
        point_out(refused, new)
        raise
    if proof:
        return await in_thread(_with_proof, desk, principal, sealed)
    return SealedWithProof(**msgspec.structs.asdict(sealed))


def _prepare(
    desk: Desk,
    principal: Principal,
    new: NewEntry,
    passport: bytes | None,
    subject: Subject | None,
    seed: bytes | None,
    now: Millis,
) -> tuple[Ready, Prepared]:
    """The entry, ready to be sealed. Rules and members of a moment ago will do, since the writer asks again; what they
    would refuse is looked at once more as it is now."""
    holdings = get_holdings(desk)
    try:
        with desk.readers.reading(is_glance=True) as reader:
            ready = make_ready(reader, holdings, principal, new, passport=passport, subject=subject, now=now)
    except Refused:
        with desk.reading() as reader:
            ready = make_ready(reader, holdings, principal, new, passport=passport, subject=subject, now=now)
    return ready, prepare_one(desk.door, ready.member, ready.basis, ready.group, seed)


def _with_proof(desk: Desk, principal: Principal, sealed: Sealed) -> SealedWithProof:
    shown = msgspec.structs.asdict(sealed)
    with viewing(desk, principal, sealed.passport) as (reader, view):
        try:
            bundle = prove(desk.door, reader, view, desk.clock(), entry=get_entry_id(sealed.entry)).data.decode()
        except Refused as refused:
            if refused.reason is not Reason.NOTHING_SEALED:
                raise
            # It is sealed, and that is the answer; its proof is there in a moment, at its own address.
            bundle = None
    return SealedWithProof(**shown, bundle=bundle)


@post(
    "/submissions",
    opt=promise(
        machine(Scope.ENTRIES_APPEND, Role.ADMIN, Role.CLERK),
        Contract(
            TAG,
            answer=Submitted,
            takes=(JSON,),
            status=201,
            refusals=(
                Reason.UNREADABLE_FILE, Reason.WRONG_NETWORK, Reason.UNKNOWN_MEMBER, Reason.UNKNOWN_KEY,
                Reason.WRONG_CUSTODY, Reason.BAD_SIGNATURE, Reason.FIELDS_MISMATCH, Reason.FIELDS_CONFLICT,
                Reason.STATEMENT_LINKED, Reason.NOT_PERMITTED,
            ),
        ),
    ),
    request_max_body_size=MAX_SUBMISSION_BYTES,
)  # fmt: skip
async def take_submission(desk: TheDesk, principal: ThePrincipal, request: AnyRequest) -> Response[bytes]:
    """Seal what your member signed with its own key, elsewhere (`carnet sign`, or the SDK): a `submission/1` document.
    Sent again it gets the same receipts."""
    data = await request.body()
    return await in_thread(_take_submission, desk, principal, data)


def _take_submission(desk: Desk, principal: Principal, data: bytes) -> Response[bytes]:
    with desk.reading() as reader:
        own = get_member(reader.state, principal)
    submitted = submit(desk.door, data, own.id)
    receipts = msgspec.convert(make_receipts(desk.door, submitted.receipts), list[ReceiptShown])
    turned = [
        TurnedAway(place=one.place, statement=one.sid.hex(), code=one.refused.reason.value, detail=one.refused.message)
        for one in submitted.turned
    ]
    found = Submitted(
        member=format_name(Prefix.MEMBER, submitted.member.id),
        sealed=submitted.sealed_count,
        receipts=receipts,
        turned_away=turned,
    )
    return answer(found, 201)


@get(
    "/passports/{passport:str}/proof",
    opt=promise(
        READERS, Contract("Proofs", media=PROOF, refusals=(*UNSEEN, Reason.NOTHING_SEALED, Reason.PROOF_TOO_LARGE))
    ),
    sync_to_thread=True,
)
def get_passport_proof(desk: TheDesk, principal: ThePrincipal, passport: FromPath[str]) -> Response[bytes]:
    """The proof of all that you see of a passport, as a `.carnet` file: anybody can verify it, offline."""
    return _answer_proof(desk, principal, passport, None)


@get(
    "/passports/{passport:str}/entries/{entry:str}/proof",
    opt=promise(
        READERS, Contract("Proofs", media=PROOF, refusals=(*UNSEEN, Reason.NOTHING_SEALED, Reason.PROOF_TOO_LARGE))
    ),
    sync_to_thread=True,
)
def get_entry_proof(
    desk: TheDesk, principal: ThePrincipal, passport: FromPath[str], entry: FromPath[str]
) -> Response[bytes]:
    """The proof of one entry, as a `.carnet` file. It shows the passport's opening too, as every proof does."""
    return _answer_proof(desk, principal, passport, get_entry_id(entry))


def _answer_proof(desk: Desk, principal: Principal, passport: str, entry: bytes | None) -> Response[bytes]:
    with viewing(desk, principal, passport) as (reader, view):
        kinds = [link.kind for link in Opened(reader, view).entries if entry in (None, link.sid)]
        note_access(desk, principal, reader, view, kinds, action="export", purpose="proof")
        proved = prove(desk.door, reader, view, desk.clock(), entry=entry)
    name = format_name(Prefix.PASSPORT, proved.passport) if entry is None else format_name(Prefix.ENTRY, entry)
    headers = {"Content-Disposition": f'attachment; filename="{name}.carnet"'}
    return Response(proved.data, media_type=PROOF, headers=headers)


ROUTES = [
    list_entries,
    list_metadata,
    get_entry,
    append_entry,
    append_to_vehicle,
    take_submission,
    get_passport_proof,
    get_entry_proof,
]
