"""A member's desk through the API: what it sealed, how much of it on each day, and the codes that it printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from litestar import Response, delete, get
from litestar.params import FromPath, FromQuery, QueryParameter

from carnet.errors import Reason, Refused
from carnet.services.claims import CodeLine, find_printed, list_codes, revoke_code
from carnet.services.console.book import OwnEntry, begin_day, count_days, list_own, parse_day
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Role, Scope
from carnet.services.timelines import DEFAULT_LIMIT, Shape, check_limit, format_time
from carnet.web.api.answers import AnyRequest, answer, answer_fresh
from carnet.web.api.claims import get_office
from carnet.web.api.contract import Contract, ListOf, promise
from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.policy import machine

READERS = machine(Scope.PASSPORTS_READ)
PRINTERS = machine(Scope.CLAIMS_ISSUE)
REVOKERS = machine(Scope.CLAIMS_ISSUE, Role.ADMIN, Role.CLERK)
TAG = "Desk"
MONTH_DAYS = 30

Kinds = Annotated[list[str] | None, QueryParameter(name="kind")]


class OwnEntries(Shape, frozen=True, kw_only=True):
    """A page of your member's entries, the latest sealed first. With `has_more`, ask again with `starting_after` the
    last one's `cursor`."""

    data: list[OwnEntry]
    has_more: bool
    object: Literal["list"] = "list"


class UseShown(Shape, frozen=True, kw_only=True):
    """A day (UTC): how many entries your member sealed on it, in all and of each kind."""

    day: str
    sealed: int
    kinds: dict[str, int]
    object: Literal["use"] = "use"


class PrintedCode(Shape, frozen=True, kw_only=True):
    """A code that your member printed; the code itself was shown once. `made_by` is an account or a client."""

    id: str
    passport: str
    made_by: str
    created_at: str
    valid_until: str
    used_at: str | None
    state: Literal["in_force", "used", "revoked", "over"]
    object: Literal["printed_code"] = "printed_code"


@get(
    "/entries",
    opt=promise(
        READERS,
        Contract(
            TAG,
            answer=OwnEntries,
            refusals=(Reason.UNKNOWN_KIND, Reason.VALUE_OUT_OF_RANGE, Reason.INVALID_TIME),
        ),
    ),
    sync_to_thread=True,
)
def list_own_entries(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    kind: Kinds = None,
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """What your member sealed, in all passports: of some kinds, and sealed from the day `since` to the day `until`
    (UTC, both included). A line holds no value; what an entry says is asked at its `entry`."""
    first = None if since is None else begin_day(parse_day(since, "since"))
    end = None if until is None else begin_day(parse_day(until, "until") + timedelta(days=1))
    with desk.reading() as reader:
        page = list_own(
            reader, principal, kinds=kind or (), since=first, until=end, limit=limit, starting_after=starting_after
        )
    return answer_fresh(request, OwnEntries(data=page.entries, has_more=page.has_more))


@get(
    "/use",
    opt=promise(
        READERS,
        Contract(
            TAG,
            answer=ListOf[UseShown],
            refusals=(Reason.INVALID_TIME, Reason.ENDS_BEFORE_START, Reason.VALUE_OUT_OF_RANGE),
        ),
    ),
    sync_to_thread=True,
)
def list_use(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
) -> Response[bytes]:
    """How many entries your member sealed on each day (UTC), by kind: from `since` to `until`, or in the last thirty
    days. Those of a passport that was erased since are not counted."""
    last = datetime.fromtimestamp(desk.clock() / 1000, UTC).date() if until is None else parse_day(until, "until")
    first = last - timedelta(days=MONTH_DAYS - 1) if since is None else parse_day(since, "since")
    with desk.reading() as reader:
        days = count_days(reader, principal, first, last)
    shown = [UseShown(day=one.day.isoformat(), sealed=one.total, kinds=one.kinds) for one in days]
    return answer_fresh(request, ListOf(data=shown, has_more=False))


@get(
    "/claim-codes",
    opt=promise(PRINTERS, Contract(TAG, answer=ListOf[PrintedCode], refusals=(Reason.VALUE_OUT_OF_RANGE,))),
    sync_to_thread=True,
)
def list_claim_codes(
    desk: TheDesk,
    principal: ThePrincipal,
    request: AnyRequest,
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """The codes that your member printed, the newest first, without their secrets."""
    check_limit(limit)
    found = list_codes(get_office(desk), principal, limit=limit + 1, before=starting_after)
    shown = [_show(line) for line in found[:limit]]
    return answer_fresh(request, ListOf(data=shown, has_more=len(found) > limit))


@delete(
    "/claim-codes/{code:str}",
    opt=promise(REVOKERS, Contract(TAG, answer=PrintedCode, refusals=(Reason.NOT_FOUND, Reason.CODE_NOT_VALID))),
    status_code=200,
    sync_to_thread=True,
)
def revoke_claim_code(desk: TheDesk, principal: ThePrincipal, code: FromPath[str]) -> Response[bytes]:
    """Withdraw a code that was not used, as when its paper was lost. Withdrawn again it stays so."""
    office = get_office(desk)
    revoke_code(office, principal, code)
    line = find_printed(office, principal, code)
    if line is None:
        raise Refused(Reason.NOT_FOUND, "there is no such code, or it is not yours")
    return answer(_show(line))


def _show(line: CodeLine) -> PrintedCode:
    return PrintedCode(
        id=line.id,
        passport=format_name(Prefix.PASSPORT, line.passport),
        made_by=line.made_by,
        created_at=format_time(line.created_at),
        valid_until=format_time(line.until),
        used_at=None if line.used_at is None else format_time(line.used_at),
        state=line.state,  # type: ignore[arg-type]
    )


ROUTES = [list_own_entries, list_use, list_claim_codes, revoke_claim_code]
