"""The operator's first page: is the node well, what wants attention, what is in its log; and the one thing that an
operator decides here, a claim of a passport that has a holder. What else an operator does is in `pages.operating`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.node.door import RemoteWriter
from carnet.node.reader import Reader
from carnet.services.aging import list_program_keys, list_signing_keys
from carnet.services.approving.requests import list_approvals
from carnet.services.claims import decide, list_contests
from carnet.services.doctor import examine
from carnet.services.exporting import is_census_due
from carnet.services.principals import Principal
from carnet.services.serving import choose_worker_count
from carnet.services.showing import find_census_time
from carnet.services.status import Status, get_status
from carnet.types import Millis
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.pages.telling import say_code, say_finding
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


@dataclass(frozen=True, slots=True)
class WriterSeen:
    """How the writer fares: `state` is ok, stopped or away, with what it said, in English, and the code of the reason;
    what it sealed since it was started, and the ms that one commit took on average. None where its own process answers
    this."""

    state: str
    said: str = ""
    cause: str = ""
    commits: int | None = None
    entries: int | None = None
    commit_ms: float | None = None


@get("/operator", opt={"policy": operator()}, sync_to_thread=True, include_in_schema=False)
def get_node(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Whether it writes, how much it keeps, and what wants attention."""
    writer = look_at_writer(desk)
    with desk.reading() as reader:
        node = look_at_node(reader, is_ready=writer.state == "ok")
        names = {member.id: member.name for member in reader.state.members.all}
    office, now, language = get_office(desk), desk.clock(), find_reader_language(request, desk)
    status = get_status(desk.home)
    facts: dict[str, Any] = {
        "attention": _list_attention(desk, principal, status),
        "checks": [(one, say_finding(language, one)) for one in examine(desk.home, os.environ)],
        "claims": list_contests(office, principal, is_open_only=True),
        "disk_percent": 100 - 100 * status.disk_free // max(1, status.disk_total),
        "names": names,
        "node": node,
        "read_at": now,
        "status": status,
        "worker_count": choose_worker_count(desk.settings),
        "writer": writer,
        "writer_says": say_code(language, writer.cause),
    }
    return show(request, desk, principal, "operator.html", **facts)


def look_at_writer(desk: Desk) -> WriterSeen:
    """How the writer of this node fares."""
    try:
        if not isinstance(desk.door, RemoteWriter):
            desk.door.check_alive()
            return WriterSeen("ok")
        health = desk.door.get_health()
    except OSError as error:
        return WriterSeen("away", str(error), Reason.WRITER_AWAY.value)
    except Refused as refused:
        state = "away" if refused.reason is Reason.WRITER_AWAY else "stopped"
        return WriterSeen(state, refused.message, str(refused.facts.get("cause") or refused.reason.value))
    average = 1000 * health.commit_seconds / health.commits if health.commits else None
    state = "ok" if health.failure is None else "stopped"
    return WriterSeen(state, health.failure or "", health.cause, health.commits, health.entries, average)


def _list_attention(desk: Desk, principal: Principal, status: Status) -> dict[str, int]:
    """What waits for an operator, by a code, with how many of each."""
    office = get_office(desk)
    waiting = [one for one in list_approvals(office, principal, is_open_only=True) if one.asked_by != principal.account]
    found = {
        "approvals": len(waiting),
        "old_keys": sum(one.is_old for one in list_signing_keys(status.seen, desk.clock())),
        "program_keys": sum(one.why is not None for one in list_program_keys(office, principal)),
    }
    return {code: count for code, count in found.items() if count}


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
