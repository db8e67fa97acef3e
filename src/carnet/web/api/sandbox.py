"""`/v1/sandbox`: vehicles to try the API with, before any account; in a test or demonstration network only."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath, FromQuery

from carnet.errors import Reason
from carnet.services.names import Prefix, format_name
from carnet.services.proving import prove
from carnet.services.sandbox import list_views, opening
from carnet.services.showing import find_census_time
from carnet.services.timelines import DEFAULT_LIMIT, EntryShown, Opened, PassportShown, Wanted
from carnet.web.api.answers import AnyRequest, answer_fresh
from carnet.web.api.contract import PROOF, Contract, ListOf, promise
from carnet.web.api.inputs import get_passport_id
from carnet.web.api.passports import PassportFound
from carnet.web.desk import TheDesk
from carnet.web.policy import OPEN

TAG = "Sandbox"
UNSEEN = (Reason.UNKNOWN_PASSPORT,)


@get(
    "/sandbox/passports",
    opt=promise(OPEN, Contract(TAG, answer=ListOf[PassportFound], refusals=UNSEEN)),
    sync_to_thread=True,
)
def list_sandbox(desk: TheDesk, request: AnyRequest) -> Response[bytes]:
    """The vehicles of the sandbox, each of which shows something (`/developers`); 404 in a network where real vehicles
    are."""
    with desk.reading() as reader:
        names = [format_name(Prefix.PASSPORT, view.passport) for _, view in list_views(reader)]
    found = [PassportFound(id=name, url=f"/v1/sandbox/passports/{name}") for name in names]
    return answer_fresh(request, ListOf(data=found, has_more=False))


@get(
    "/sandbox/passports/{passport:str}",
    opt=promise(OPEN, Contract(TAG, answer=PassportShown, refusals=UNSEEN)),
    sync_to_thread=True,
)
def get_sandbox(desk: TheDesk, request: AnyRequest, passport: FromPath[str]) -> Response[bytes]:
    """One of them at a glance, as `/v1/passports/…` shows a vehicle to its holder."""
    with desk.reading() as reader, opening(reader, get_passport_id(passport)) as view:
        opened = Opened(reader, view)
        return answer_fresh(request, opened.describe_passport(find_census_time(reader)))


@get(
    "/sandbox/passports/{passport:str}/entries",
    opt=promise(OPEN, Contract(TAG, answer=ListOf[EntryShown], refusals=(*UNSEEN, Reason.VALUE_OUT_OF_RANGE))),
    sync_to_thread=True,
)
def list_sandbox_entries(
    desk: TheDesk,
    request: AnyRequest,
    passport: FromPath[str],
    limit: FromQuery[int] = DEFAULT_LIMIT,
    starting_after: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Its timeline, newest first."""
    with desk.reading() as reader, opening(reader, get_passport_id(passport)) as view:
        opened = Opened(reader, view)
        page = opened.list(Wanted(limit=limit, starting_after=starting_after))
    return answer_fresh(request, ListOf(data=page.entries, has_more=page.has_more))


@get(
    "/sandbox/passports/{passport:str}/proof",
    opt=promise(OPEN, Contract(TAG, media=PROOF, refusals=(*UNSEEN, Reason.NOTHING_SEALED))),
    sync_to_thread=True,
)
def get_sandbox_proof(desk: TheDesk, passport: FromPath[str]) -> Response[bytes]:
    """Its proof, which verifies under this network's policy, and under no other's."""
    with desk.reading() as reader, opening(reader, get_passport_id(passport)) as view:
        proved = prove(desk.door, reader, view, desk.clock())
    return Response(proved.data, media_type=PROOF)


ROUTES = [list_sandbox, get_sandbox, list_sandbox_entries, get_sandbox_proof]
