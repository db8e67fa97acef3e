"""What waits for a second operator, and what was decided: each request with what it would change, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.node.acts import EnrolMember
from carnet.node.reader import Reader
from carnet.services.accounts.office import Office
from carnet.services.accounts.registry import find_names
from carnet.services.approving.changes import find_subject, list_changes
from carnet.services.approving.requests import (
    Approval,
    ask,
    count_approvals,
    get_approval,
    grant,
    list_approvals,
    refuse,
    take_link,
    withdraw,
)
from carnet.services.approving.wishes import InviteOperator
from carnet.services.principals import Principal
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.once import compute_seed, make_once
from carnet.web.pages.operating.common import ACT, LOOK, show_page
from carnet.web.pages.showing import AnyRequest, find_part, go
from carnet.web.people import get_office

HERE = "/operator/approvals"
SHOWN = 100
"""Requests of one page."""


@get(HERE, opt=LOOK, sync_to_thread=True, include_in_schema=False)
def get_approvals(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Those that wait, then the others."""
    office = get_office(desk)
    part = find_part(request, count_approvals(office, principal), SHOWN)
    found = list_approvals(office, principal, limit=SHOWN, skip=part.begin)
    with desk.reading() as reader:
        lines = [(one, _name_subject(reader, one)) for one in found]
    waits = ("open", "granted")
    facts: dict[str, Any] = {
        "waiting": [line for line in lines if line[0].state in waits],
        "decided": [line for line in lines if line[0].state not in waits],
        "names": _find_names(office, principal, found),
        "part": part,
    }
    return show_page(request, desk, principal, "approvals.html", **facts)


@post("/operator/operators", opt=ACT, sync_to_thread=True, include_in_schema=False)
def ask_for_operator(data: FormData, desk: TheDesk, principal: ThePrincipal) -> Redirect:
    """Ask that one more operator is let in."""
    made = ask(get_office(desk), desk.door, principal, InviteOperator())
    return go(f"{HERE}/{made.public_id}")


@get(f"{HERE}/{{approval:str}}", opt=LOOK, sync_to_thread=True, include_in_schema=False)
def get_one(approval: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """What it would change, and the two answers to it."""
    return _show(request, desk, principal, get_approval(get_office(desk), principal, approval))


@post(f"{HERE}/{{approval:str}}", opt=ACT, sync_to_thread=True, include_in_schema=False)
def decide(
    approval: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Grant somebody else's request and have it carried out, refuse it, or take one's own back."""
    office, decision = get_office(desk), str(data.get("decision", ""))
    try:
        if decision == "grant":
            grant(office, desk.door, principal, approval)
        elif decision == "refuse":
            refuse(office, principal, approval)
        elif decision == "withdraw":
            withdraw(office, principal, approval)
        else:
            raise Refused(Reason.NOT_IN_LIST, "the decision is grant, refuse or withdraw", field="decision")
    except Refused as refused:
        if refused.reason not in (Reason.APPROVAL_DECIDED, Reason.SECOND_OPERATOR_NEEDED):
            raise
        return _show(request, desk, principal, get_approval(office, principal, approval), refused=refused)
    return go(f"{HERE}/{approval}")


@post(f"{HERE}/{{approval:str}}/link", opt=ACT, sync_to_thread=True, include_in_schema=False)
def get_link(
    approval: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str]:
    """The link of an operator who was admitted, shown once to whoever asked."""
    office = get_office(desk)
    made = take_link(office, principal, approval, compute_seed(desk, principal, f"link {approval}", data))
    found = get_approval(office, principal, approval)
    return _show(request, desk, principal, found, link=made.make_link(desk.origin))


def _show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    approval: Approval,
    *,
    refused: Refused | None = None,
    link: str | None = None,
) -> Response[str]:
    with desk.reading() as reader:
        facts: dict[str, Any] = {
            "approval": approval,
            "subject": find_subject(reader, approval.kept.act),
            "title": _name_subject(reader, approval),
            "changes": list_changes(reader, approval.kept.act),
        }
    facts |= {
        "names": _find_names(get_office(desk), principal, [approval]),
        "link": link,
        "once": make_once(desk),
        "has_link": isinstance(approval.kept.act, InviteOperator)
        and (approval.state, approval.outcome, approval.asked_by) == ("done", None, principal.account),
    }
    return show_page(request, desk, principal, "approval.html", refused=refused, **facts)


def _find_names(office: Office, principal: Principal, shown: Sequence[Approval]) -> dict[str, str]:
    """How those are called who asked and decided."""
    return find_names(office, principal, (name for one in shown for name in (one.asked_by, one.decided_by or "")))


def _name_subject(reader: Reader, approval: Approval) -> str | None:
    """How the member is called that it is about."""
    act = approval.kept.act
    if isinstance(act, EnrolMember):
        return act.name
    found = find_subject(reader, act)
    return None if found is None else found.name


ROUTES = [get_approvals, ask_for_operator, get_one, decide, get_link]
