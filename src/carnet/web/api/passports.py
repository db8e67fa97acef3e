"""`/v1/passports`: open one, find the one of a vehicle, list those that one holds, look at one."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from carnet.errors import Reason, Refused
from carnet.services.access import find_by_subject
from carnet.services.appending import Sealed, open_passport, read_subject
from carnet.services.journaling import LookShown, list_looks
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Role, Scope, Standing
from carnet.services.showing import find_census_time
from carnet.services.timelines import DEFAULT_LIMIT, Opened, PassportShown, Shape, check_limit
from carnet.web.api.answers import answer_fresh, answer_once, get_holdings, note_access, viewing
from carnet.web.api.contract import Contract, ListOf, promise
from carnet.web.api.inputs import PassportIn, get_subject
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.policy import holder, machine

READERS = machine(Scope.PASSPORTS_READ) | holder()
OPENERS = machine(Scope.PASSPORTS_OPEN, Role.ADMIN, Role.CLERK)
TAG = "Passports"


class PassportFound(Shape, frozen=True, kw_only=True):
    """A passport by its name. Whether you may look into it, `url` will say."""

    id: str
    url: str


@post(
    "/passports",
    opt=promise(
        OPENERS,
        Contract(
            TAG,
            answer=Sealed,
            body=PassportIn,
            status=201,
            is_idempotent=True,
            refusals=(
                Reason.NOT_ACCREDITED, Reason.MEMBER_RETIRED, Reason.SUBJECT_TAKEN, Reason.SUBJECT_MISMATCH,
                Reason.INVALID_VIN, Reason.ERASED, Reason.UNKNOWN_KEY,
            ),
            example={"subject": {"scheme": "vin", "value": "VF1RFB00X56123456"}, "occasion": "first_registration"},
        ),
    ),
    sync_to_thread=True,
)  # fmt: skip
def open_one(
    desk: TheDesk, principal: ThePrincipal, request: Request[Any, Any, Any], data: JSONBody[PassportIn]
) -> Response[bytes]:
    """Open the passport of a vehicle that has none. Registration authorities, manufacturers, dealers and inspection
    centres do; one that has a passport already is named to them, and to nobody else."""
    subject = get_subject(data.subject)

    def work(seed: bytes | None, now: int) -> Sealed:
        with desk.reading() as reader:
            return open_passport(desk.door, reader, principal, subject, data.occasion, now, seed)

    return answer_once(desk, principal, request, data, work)


@get(
    "/passports",
    opt=promise(
        READERS,
        Contract(TAG, answer=ListOf[PassportFound], refusals=(Reason.UNKNOWN_PASSPORT, Reason.INVALID_VIN)),
    ),
    sync_to_thread=True,
)
def list_some(
    desk: TheDesk,
    principal: ThePrincipal,
    request: Request[Any, Any, Any],
    scheme: FromQuery[str | None] = None,
    value: FromQuery[str | None] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The passport of the vehicle that `scheme` and `value` name (a list of one, or 404), or without them the
    passports that you hold."""
    check_limit(limit)
    if value is not None:
        subject = read_subject({"scheme": scheme or "vin", "value": value}, "value")
        with desk.reading() as reader:
            found = [find_by_subject(reader, get_holdings(desk), principal, subject)]
    else:
        found = _list_held(desk, principal.account if principal.standing is Standing.HOLDER else None)
    names = [format_name(Prefix.PASSPORT, one) for one in found]
    start = _find_start(names, starting_after)
    page = [PassportFound(id=name, url=f"/v1/passports/{name}") for name in names[start : start + limit]]
    return answer_fresh(request, ListOf(data=page, has_more=start + limit < len(names)))


@get(
    "/passports/{passport:str}",
    opt=promise(READERS, Contract(TAG, answer=PassportShown, refusals=(Reason.UNKNOWN_PASSPORT, Reason.ERASED))),
    sync_to_thread=True,
)
def get_one(
    desk: TheDesk, principal: ThePrincipal, request: Request[Any, Any, Any], passport: FromPath[str]
) -> Response[bytes]:
    """A passport at a glance, as far as you see it: its holder all of it, a member what it wrote."""
    with viewing(desk, principal, passport) as (reader, view):
        opened = Opened(reader, view)
        note_access(desk, principal, reader, view, [link.kind for link in opened.entries])
        return answer_fresh(request, opened.describe_passport(find_census_time(reader)))


@get(
    "/passports/{passport:str}/looks",
    opt=promise(
        holder(),
        Contract(
            TAG, answer=ListOf[LookShown], refusals=(Reason.UNKNOWN_PASSPORT, Reason.ERASED, Reason.VALUE_OUT_OF_RANGE)
        ),
    ),
    sync_to_thread=True,
)
def list_passport_looks(
    desk: TheDesk,
    principal: ThePrincipal,
    request: Request[Any, Any, Any],
    passport: FromPath[str],
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Who looked at your vehicle since you hold it, the newest first: which member, what for, how many entries of which
    kinds."""
    check_limit(limit)
    with viewing(desk, principal, passport) as (reader, view):
        looks = list_looks(reader, view)
    start = _find_start([look.id for look in looks], starting_after)
    page = looks[start : start + limit]
    return answer_fresh(request, ListOf(data=page, has_more=start + limit < len(looks)))


def _list_held(desk: Desk, account: str | None) -> list[bytes]:
    if account is None:
        raise Refused(Reason.MISSING_FIELD, "name the vehicle: ?scheme=vin&value=…", pointer="#value")
    with desk.reading() as reader:
        holdings = get_holdings(desk)
        heads = [(one, reader.find_head(one)) for one in holdings.list_held(account)]
        return [one for one, head in heads if head is not None and holdings.find_holder(one, head[1]) == account]


def _find_start(names: list[str], cursor: str | None) -> int:
    if cursor is None:
        return 0
    if cursor not in names:
        raise Refused(Reason.VALUE_OUT_OF_RANGE, "starting_after is the id of one of this list", field="starting_after")
    return names.index(cursor) + 1


ROUTES = [open_one, list_some, get_one, list_passport_looks]
