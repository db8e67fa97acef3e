"""Claiming a vehicle through the API: a member's program prints a code, a holder's program uses it; and `/v1/me`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody

from carnet.errors import Reason, Refused
from carnet.services.accounts.office import Office, Visit
from carnet.services.claims import claim, issue_code
from carnet.services.journaling import open_journal
from carnet.services.names import Prefix, format_name, pattern
from carnet.services.principals import Role, Scope
from carnet.services.timelines import Shape, format_time
from carnet.web.api.answers import AnyRequest, answer, answer_fresh
from carnet.web.api.contract import Contract, promise
from carnet.web.api.inputs import get_passport_id
from carnet.web.api.quota import get_limit
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.inputs import Input
from carnet.web.policy import OPEN, holder, machine

TAG = "Claims"


class CodeIn(Input, frozen=True, kw_only=True):
    """For which passport a code is wanted: one that your member has opened or serviced."""

    passport: Annotated[str, msgspec.Meta(pattern=pattern(Prefix.PASSPORT))]


class CodeShown(Shape, frozen=True, kw_only=True):
    """A code to print. It is shown this once."""

    id: str
    code: str
    passport: str
    valid_until: str
    object: Literal["claim_code"] = "claim_code"


class ClaimIn(Input, frozen=True, kw_only=True):
    """The code on the paper, and, to be sure, the vehicle that it should be of (VIN, plate, or scheme:value)."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    vehicle: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None


class ClaimShown(Shape, frozen=True, kw_only=True):
    """What a claim came to: `held`, or `contested` where somebody holds the passport: then an operator decides."""

    passport: str
    state: Literal["held", "contested"]
    contest: str | None
    object: Literal["claim"] = "claim"


class Me(Shape, frozen=True, kw_only=True):
    """Who asks, as this service sees it, and how many requests it may send to one worker in a minute."""

    standing: str
    account: str | None
    client: str | None
    member: str | None
    member_name: str | None
    role: str | None
    scopes: list[str]
    requests_per_minute: int
    network: str
    object: Literal["me"] = "me"


def get_office(desk: Desk) -> Office:
    """The accounts of this service. Raises Refused(NOT_FOUND) where it keeps none."""
    found: Office | None = desk.shelf.get("office")
    if found is None:
        raise Refused(Reason.NOT_FOUND, "this service keeps no accounts")
    return found


@post(
    "/claim-codes",
    opt=promise(
        machine(Scope.CLAIMS_ISSUE, Role.ADMIN, Role.CLERK),
        Contract(
            TAG,
            answer=CodeShown,
            body=CodeIn,
            status=201,
            refusals=(Reason.UNKNOWN_PASSPORT, Reason.MEMBER_RETIRED, Reason.VALUE_OUT_OF_RANGE),
        ),
    ),
    sync_to_thread=True,
)
def make_claim_code(desk: TheDesk, principal: ThePrincipal, data: JSONBody[CodeIn]) -> Response[bytes]:
    """A one-time code with which a holder claims a passport that your member opened or serviced. Print it: it is shown
    this once."""
    with desk.reading() as reader:
        issued = issue_code(get_office(desk), reader, principal, get_passport_id(data.passport))
    shown = CodeShown(
        id=issued.id,
        code=issued.code,
        passport=format_name(Prefix.PASSPORT, issued.passport),
        valid_until=format_time(issued.until),
    )
    return answer(shown, 201)


@post(
    "/claims",
    opt=promise(
        holder(),
        Contract(
            TAG,
            answer=ClaimShown,
            body=ClaimIn,
            status=201,
            refusals=(
                Reason.CODE_NOT_VALID, Reason.UNKNOWN_PASSPORT, Reason.INVALID_VIN, Reason.INVALID_PLATE,
                Reason.VALUE_OUT_OF_RANGE,
            ),
        ),
    ),
    sync_to_thread=True,
)  # fmt: skip
def make_claim(desk: TheDesk, principal: ThePrincipal, request: AnyRequest, data: JSONBody[ClaimIn]) -> Response[bytes]:
    """Claim the passport of a code, which is used up. To know a VIN or a plate gives nothing."""
    visit = Visit(request.client.host if request.client is not None else "")
    with desk.reading() as reader:
        claimed = claim(get_office(desk), reader, principal, visit, data.code, data.vehicle)
        if claimed.is_held:
            open_journal(desk.door, reader, claimed.passport, desk.clock())
    shown = ClaimShown(
        passport=format_name(Prefix.PASSPORT, claimed.passport),
        state="held" if claimed.is_held else "contested",
        contest=claimed.contest,
    )
    return answer(shown, 201)


@get("/me", opt=promise(OPEN, Contract("Network", answer=Me)), sync_to_thread=True)
def get_me(desk: TheDesk, principal: ThePrincipal, request: AnyRequest) -> Response[bytes]:
    """Who you are to this service: office, member, role or scopes, and how much you may ask."""
    with desk.reading() as reader:
        state = reader.state
    name = None if principal.member is None else state.members.get(principal.member).name
    shown = Me(
        standing=principal.standing.value,
        account=principal.account,
        client=principal.client,
        member=None if principal.member is None else format_name(Prefix.MEMBER, principal.member),
        member_name=name,
        role=None if principal.role is None else principal.role.value,
        scopes=sorted(scope.value for scope in principal.scopes),
        requests_per_minute=get_limit(principal),
        network=state.genesis.origin,
    )
    return answer_fresh(request, shown)


ROUTES = [make_claim_code, make_claim, get_me]
