"""The operator's pages: is the node well, what is in its log, who are its members; and the one thing that an
operator decides here, a claim of a passport that has a holder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services.claims import decide, list_contests
from carnet.services.exporting import is_census_due
from carnet.services.showing import find_census_time
from carnet.types import Millis
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.showing import AnyRequest, go, show
from carnet.web.people import get_office
from carnet.web.policy import operator

RECORDS: Final = 50


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """The node at a glance; times are ms."""

    network: str
    is_ready: bool
    record_count: int
    passport_count: int
    entry_count: int
    member_count: int
    checkpoint_size: int | None
    census_at: Millis | None
    is_census_behind: bool


@get("/operator", opt={"policy": operator()}, sync_to_thread=True, include_in_schema=False)
def get_node(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Whether it writes, and how much it keeps."""
    with desk.reading() as reader:
        node = look_at_node(reader, is_ready=_is_ready(desk))
        names = {member.id: member.name for member in reader.state.members.all}
    office = desk.shelf.get("office")
    claims = [one for one in list_contests(office, principal) if one.decided_at is None] if office is not None else []
    facts: dict[str, Any] = {"claims": claims, "names": names, "node": node, "read_at": desk.clock()}
    return show(request, desk, principal, "operator.html", **facts)


@post(
    "/operator/claims/{contest:str}", opt={"policy": operator(fresh=True)}, sync_to_thread=True, include_in_schema=False
)
def decide_claim(contest: FromPath[str], data: FormData, desk: TheDesk, principal: ThePrincipal) -> Redirect:
    """Grant a claim of a passport that has a holder, or dismiss it."""
    decision = str(data.get("decision"))
    if decision not in ("grant", "dismiss"):
        raise Refused(Reason.NOT_IN_LIST, "the decision is grant or dismiss", field="decision")
    with desk.reading() as reader:
        decide(get_office(desk), reader, principal, contest, is_granted=decision == "grant")
    return go("/operator")


@get("/operator/log", opt={"policy": operator()}, sync_to_thread=True, include_in_schema=False)
def get_log(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The latest records, and the newest checkpoint."""
    before = request.query_params.get("before", "")
    with desk.reading() as reader:
        size = reader.state.size
        end = min(size, int(before)) if before.isascii() and before.isdigit() and len(before) < 16 else size
        first = max(0, end - RECORDS)
        records = [_describe(reader, index) for index in reversed(range(first, end))]
        checkpoint = _find_checkpoint(reader)
    note = None if checkpoint is None else checkpoint[1].decode()
    return show(request, desk, principal, "operator_log.html", records=records, older=first or None, note=note)


def look_at_node(reader: Reader, *, is_ready: bool) -> NodeSeen:
    """What a reader sees of its node."""
    checkpoint = _find_checkpoint(reader)
    return NodeSeen(
        network=reader.state.genesis.origin,
        is_ready=is_ready,
        record_count=reader.state.size,
        passport_count=reader.count_passports(),
        entry_count=reader.count_entries(),
        member_count=len(reader.state.members.all),
        checkpoint_size=None if checkpoint is None else checkpoint[0],
        census_at=find_census_time(reader),
        is_census_behind=is_census_due(reader),
    )


def _is_ready(desk: Desk) -> bool:
    try:
        desk.door.check_alive()
    except (Refused, OSError):
        return False
    return True


def _find_checkpoint(reader: Reader) -> tuple[int, bytes] | None:
    try:
        return reader.get_checkpoint()
    except Refused as refused:
        if refused.reason is not Reason.NOTHING_SEALED:
            raise
        return None


def _describe(reader: Reader, index: int) -> dict[str, Any]:
    record = reader.get_record(index)
    return {"at": record["at"], "index": index, "type": str(record.get("type"))}


ROUTES = [get_node, decide_claim, get_log]
