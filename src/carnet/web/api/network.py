"""What anybody may know of the network: members and their keys, kinds of entry, the checkpoint, the policy; having a
proof checked; and who one is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import FromPath, FromQuery, QueryParameter

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.passport.subject import parse_subject
from carnet.proof.bundle import MAX_BUNDLE_BYTES
from carnet.proof.verify import Asked, Finding, Verdict, verify_bundle
from carnet.services.catalogue import KindShown, get_kind, list_kinds
from carnet.services.explaining import VERDICTS, get_sentence
from carnet.services.members import CUSTODY_NAMES, ROLE_NAMES
from carnet.services.names import Prefix, find_id, format_name, parse_name
from carnet.services.timelines import BASIS_NAMES, DEFAULT_LIMIT, Shape, check_limit
from carnet.signing import SignatureCache
from carnet.tlog.policy import parse_policy
from carnet.types import Basis, Custody, KeyRole
from carnet.web.api.answers import AnyRequest, answer, answer_fresh
from carnet.web.api.contract import JSON, PLAIN, PROOF, Contract, ListOf, promise
from carnet.web.desk import Desk, TheDesk
from carnet.web.policy import HARMLESS, OPEN

TAG = "Network"
DAY_MS = 86_400_000


class AccreditationShown(Shape, frozen=True, kw_only=True):
    """A kind of entry that a member may write, and on what ground."""

    kind: str
    basis: str


class KeyShown(Shape, frozen=True, kw_only=True):
    """A public key of a member. `revoked` and `disputed_since` are log indices."""

    id: str
    role: str
    custody: str
    revoked: int | None
    disputed_since: int | None


class MemberShown(Shape, frozen=True, kw_only=True):
    """An organisation of the network. `retired` is the log index at which it left."""

    id: str
    name: str
    kind: str
    host: str
    retired: int | None
    accreditations: list[AccreditationShown]
    keys: list[KeyShown]
    object: Literal["member"] = "member"


class FindingShown(Shape, frozen=True, kw_only=True):
    """One of the four findings: its state, and the code and sentence of the check that ended it."""

    state: str
    code: str | None
    saying: str | None


class VerificationShown(Shape, frozen=True, kw_only=True):
    """What this node's verifier says of a proof, under this node's policy. Whoever needs more than our word verifies
    it without us. `report` is that of docs/spec 5.10."""

    verdict: Literal["genuine", "altered", "cannot_tell", "not_as_asked"]
    exit: int
    saying: str
    authority: FindingShown
    completeness: FindingShown
    freshness: FindingShown
    integrity: FindingShown
    asked: list[str]
    report: dict[str, Any] | None
    object: Literal["verification"] = "verification"


_WORDS = {0: "genuine", 10: "altered", 11: "cannot_tell", 12: "not_as_asked"}


@get("/members", opt=promise(OPEN, Contract(TAG, answer=ListOf[MemberShown])), sync_to_thread=True)
def list_members(
    desk: TheDesk,
    request: AnyRequest,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The members, in the order of their enrolment; those that have left too."""
    check_limit(limit)
    with desk.reading() as reader:
        members = reader.state.members.all
    start = 0
    if starting_after is not None:
        after = parse_name(Prefix.MEMBER, starting_after, "starting_after")
        places = [place for place, member in enumerate(members) if member.id == after]
        if not places:
            raise Refused(Reason.VALUE_OUT_OF_RANGE, "starting_after is no member", pointer="#starting_after")
        start = places[0] + 1
    page = [_show_member(member) for member in members[start : start + limit]]
    return answer_fresh(request, ListOf(data=page, has_more=start + limit < len(members)))


@get(
    "/members/{member:str}",
    opt=promise(OPEN, Contract(TAG, answer=MemberShown, refusals=(Reason.NOT_FOUND,))),
    sync_to_thread=True,
)
def get_member(desk: TheDesk, request: AnyRequest, member: FromPath[str]) -> Response[bytes]:
    """A member with its keys and what it is accredited for."""
    wanted = find_id(Prefix.MEMBER, member)
    with desk.reading() as reader:
        members = reader.state.members
    if wanted is None or members.find_index(wanted) is None:
        raise Refused(Reason.NOT_FOUND, "there is no such member")
    return answer_fresh(request, _show_member(members.get(wanted)))


@get("/kinds", opt=promise(OPEN, Contract(TAG, answer=ListOf[KindShown])), sync_to_thread=True)
def list_all_kinds(desk: TheDesk, request: AnyRequest) -> Response[bytes]:
    """Every kind of entry that the rules in force name, with the JSON Schema of its fields."""
    with desk.reading() as reader:
        return answer_fresh(request, ListOf(data=list_kinds(reader), has_more=False))


@get(
    "/kinds/{name:str}/{version:str}",
    opt=promise(OPEN, Contract(TAG, answer=KindShown, refusals=(Reason.NOT_FOUND,))),
    sync_to_thread=True,
)
def get_one_kind(desk: TheDesk, request: AnyRequest, name: FromPath[str], version: FromPath[str]) -> Response[bytes]:
    """One kind of entry, such as `/v1/kinds/vehicle.odometer/1`."""
    try:
        with desk.reading() as reader:
            return answer_fresh(request, get_kind(reader, f"{name}/{version}"))
    except Refused as refused:
        if refused.reason is not Reason.UNKNOWN_KIND:
            raise
        raise Refused(Reason.NOT_FOUND, "the rules in force name no such kind") from None


@get(
    "/checkpoint",
    opt=promise(OPEN, Contract(TAG, media=PLAIN, refusals=(Reason.NOTHING_SEALED,))),
    sync_to_thread=True,
)
def get_checkpoint(desk: TheDesk) -> Response[bytes]:
    """The newest signed checkpoint of the log, as a C2SP signed note."""
    with desk.reading() as reader:
        note = reader.get_checkpoint()[1]
    return Response(note, media_type=PLAIN)


@get("/policy", opt=promise(OPEN, Contract(TAG, media=PLAIN)), sync_to_thread=True)
def get_policy(desk: TheDesk) -> Response[bytes]:
    """The trust policy of this network, as at `/.well-known/carnet-policy`. To choose it is the reader's decision."""
    with desk.reading() as reader:
        return Response(reader.get_policy(), media_type=PLAIN)


@post(
    "/verifications",
    opt=promise(
        HARMLESS,
        Contract(
            "Proofs",
            answer=VerificationShown,
            takes=(PROOF, JSON, "application/octet-stream"),
            refusals=(Reason.REQUEST_TOO_LARGE, Reason.INVALID_VIN, Reason.VALUE_OUT_OF_RANGE),
        ),
    ),
    status_code=200,
    request_max_body_size=MAX_BUNDLE_BYTES,
)
async def verify_proof(
    desk: TheDesk,
    request: AnyRequest,
    subject: FromQuery[str | None] = None,
    max_age_days: Annotated[int | None, QueryParameter(ge=0, le=36_500)] = None,
    complete: FromQuery[bool] = False,
) -> Response[bytes]:
    """Have a proof checked: send the bytes of a `.carnet` file. Nothing of it is kept."""
    data = await request.body()
    asked = Asked(
        complete=complete,
        max_age=None if max_age_days is None else max_age_days * DAY_MS,
        subject=None if subject is None else parse_subject(subject).to_json(),
    )
    return await sync_to_thread(_verify, desk, data, asked)


def _verify(desk: Desk, data: bytes, asked: Asked) -> Response[bytes]:
    with desk.reading() as reader:
        policy = parse_policy(reader.get_policy())
    verdict = verify_bundle(data, policy, desk.clock(), asked, SignatureCache(1024))
    return answer(show_verdict(verdict))


def show_verdict(verdict: Verdict) -> VerificationShown:
    """The verifier's answer as the API gives it."""
    document: dict[str, Any] = verdict.to_document()
    code = verdict.exit_code
    return VerificationShown(
        verdict=_WORDS[code],  # type: ignore[arg-type]
        exit=code,
        saying=VERDICTS[code][1],
        asked=list(verdict.asked),
        report=document["report"],
        authority=_show_finding(verdict.authority),
        completeness=_show_finding(verdict.completeness),
        freshness=_show_finding(verdict.freshness),
        integrity=_show_finding(verdict.integrity),
    )


def _show_finding(found: Finding) -> FindingShown:
    saying = None if found.code is None else get_sentence(found.code)
    return FindingShown(state=found.state, code=found.code, saying=saying)


def _show_member(member: Member) -> MemberShown:
    return MemberShown(
        id=format_name(Prefix.MEMBER, member.id),
        name=member.name,
        kind=str(member.kind),
        host=format_name(Prefix.MEMBER, member.host),
        retired=member.retired,
        accreditations=[
            AccreditationShown(kind=kind, basis=BASIS_NAMES[Basis(basis)]) for kind, basis, _ in member.accreditations
        ],
        keys=[
            KeyShown(
                id=format_name(Prefix.KEY, key.digest),
                role=ROLE_NAMES[KeyRole(key.role)],
                custody=CUSTODY_NAMES[Custody(key.custody)],
                revoked=key.revoked,
                disputed_since=key.disputed_since,
            )
            for key in member.keys
        ],
    )


ROUTES = [
    list_members,
    get_member,
    list_all_kinds,
    get_one_kind,
    get_checkpoint,
    get_policy,
    verify_proof,
]
