"""Members, for operators: who takes part, with which keys, and what they may write; and asking another operator to
change it.

Nothing on these pages changes a member by itself: each form makes a request (`services.approving`). Inviting people of
a member is an operator's own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.ledger.rules.default import default_accreditations
from carnet.ledger.rules.members import NODE_KIND, Member
from carnet.ledger.state import State
from carnet.node.acts import AccreditMember
from carnet.node.reader import Reader
from carnet.services.accounts.clients import list_clients
from carnet.services.accounts.invitations import invite
from carnet.services.accounts.registry import Post, list_accounts
from carnet.services.approving.requests import ask, list_approvals
from carnet.services.approving.wishes import Wish, find_member_id
from carnet.services.keeping import KeyLine, find_key, make_line, plan_ending
from carnet.services.members import plan_enrolment, plan_enrolment_by_file, plan_key, plan_retirement
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal, Role, Standing
from carnet.services.quotas import list_quotas, set_quota
from carnet.types import MemberId, MemberKind
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.once import compute_seed, make_once
from carnet.web.pages.operating.common import ACT, LOOK, show_page
from carnet.web.pages.showing import AnyRequest, find_part, go
from carnet.web.people import get_office

HERE = "/operator/members"
MAX_ENROLMENT = 4_000
SHOWN = 100
"""Members of one page."""

MAX_FOUND = 80


@get(HERE, opt=LOOK, sync_to_thread=True, include_in_schema=False)
def get_members(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Who may be named in this log, and the form that asks for one more."""
    return _show_members(request, desk, principal)


@post(HERE, opt=ACT, sync_to_thread=True, include_in_schema=False)
def ask_for_member(
    data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Ask for a member's admission, with a key of its own or one that is kept here."""
    name, kind = str(data.get("name", "")).strip(), str(data.get("kind", ""))
    enrolment = str(data.get("enrolment", "")).strip()

    def plan(state: State) -> Wish:
        if not enrolment:
            return plan_enrolment(state, name, kind)
        return plan_enrolment_by_file(state, name, kind, enrolment[:MAX_ENROLMENT].encode())

    try:
        return _ask(desk, principal, plan)
    except Refused as refused:
        given = {"name": name, "kind": kind, "enrolment": enrolment}
        return _show_members(request, desk, principal, refused=refused, given=given)


@get(f"{HERE}/{{member:str}}", opt=LOOK, sync_to_thread=True, include_in_schema=False)
def get_member(member: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """One of them."""
    return _show_member(request, desk, principal, _parse(member))


@post(f"{HERE}/{{member:str}}/accreditations", opt=ACT, sync_to_thread=True, include_in_schema=False)
def ask_for_accreditations(
    member: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Ask that the member may write what is ticked, and nothing else."""
    own, given = _parse(member), data.get("may_write", [])
    ticked = {str(one) for one in (given if isinstance(given, list) else [given])}

    def plan(state: State) -> Wish:
        found = state.members.get(own)
        wanted = [one for one in _list_possible(state, found) if f"{one[0]} {one[1]}" in ticked]
        if tuple(wanted) == found.accreditations:
            raise Refused(Reason.NOT_IN_LIST, "nothing was changed: tick or untick something")
        return AccreditMember(own, tuple(wanted))

    return _try(request, desk, principal, own, plan)


@post(f"{HERE}/{{member:str}}/keys", opt=ACT, sync_to_thread=True, include_in_schema=False)
def ask_for_key(
    member: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Ask that one more key of its own is listed."""
    own, enrolment = _parse(member), str(data.get("enrolment", "")).strip()[:MAX_ENROLMENT].encode()
    return _try(request, desk, principal, own, lambda state: plan_key(state, own.hex(), enrolment))


@post(f"{HERE}/{{member:str}}/keys/{{key:str}}", opt=ACT, sync_to_thread=True, include_in_schema=False)
def ask_to_end_key(
    member: FromPath[str],
    key: FromPath[str],
    data: FormData,
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Response[str] | Redirect:
    """Ask that a key is replaced, or revoked."""
    own, how = _parse(member), str(data.get("how", ""))
    since = str(data.get("disputed_since", "")).strip() or None

    def plan(state: State) -> Wish:
        if how not in ("rotate", "revoke"):
            raise Refused(Reason.NOT_IN_LIST, "a key is replaced or revoked", field="how")
        with desk.reading() as reader:
            found, _ = find_key(state.members.all, state.genesis.founders[0].member, key.removeprefix("key_"))
            if found.id != own:
                raise Refused(Reason.UNKNOWN_KEY, "this member lists no such key")
            ending = plan_ending(reader, key.removeprefix("key_"), since, is_rotation=how == "rotate")
        return ending.rotation if how == "rotate" else ending.revocation

    return _try(request, desk, principal, own, plan)


@post(f"{HERE}/{{member:str}}/retire", opt=ACT, sync_to_thread=True, include_in_schema=False)
def ask_to_retire(
    member: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Ask that the member leaves."""
    own = _parse(member)
    return _try(request, desk, principal, own, lambda state: plan_retirement(state, own.hex()))


@post(f"{HERE}/{{member:str}}/quota", opt=ACT, sync_to_thread=True, include_in_schema=False)
def limit_member(
    member: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Give the member a limit of its own, or take it away."""
    own, text = _parse(member), str(data.get("requests_per_minute", "")).replace(" ", "")
    with desk.reading() as reader:
        _get(reader, own)
    try:
        if text and not (text.isascii() and text.isdigit() and len(text) < 12):
            raise Refused(Reason.VALUE_OUT_OF_RANGE, "a quota is a number", field="requests_per_minute")
        set_quota(get_office(desk), principal, own, int(text) if text else None)
    except Refused as refused:
        if refused.reason is Reason.NOT_PERMITTED:
            raise
        return _show_member(request, desk, principal, own, refused=refused)
    return go(f"{HERE}/{member}")


@post(f"{HERE}/{{member:str}}/invitations", opt=ACT, sync_to_thread=True, include_in_schema=False)
def invite_admin(
    member: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str]:
    """A link for an admin of the member, shown once."""
    own = _parse(member)
    with desk.reading() as reader:
        if _get(reader, own).retired is not None:
            raise Refused(Reason.MEMBER_RETIRED, "this member has left: nobody is invited for it")
    seed = compute_seed(desk, principal, f"invite {member}", data)
    try:
        made = invite(get_office(desk), principal, Post(Standing.STAFF, own, Role.ADMIN), seed=seed)
    except Refused as refused:
        if refused.reason is not Reason.CODE_NOT_VALID:
            raise
        return _show_member(request, desk, principal, own, refused=refused)
    return _show_member(request, desk, principal, own, link=made.make_link(desk.origin))


def _ask(desk: Desk, principal: Principal, plan: Callable[[State], Wish]) -> Redirect:
    made = ask(get_office(desk), desk.door, principal, plan(desk.door.state))
    return go(f"/operator/approvals/{made.public_id}")


def _try(
    request: AnyRequest, desk: Desk, principal: Principal, member: MemberId, plan: Callable[[State], Wish]
) -> Response[str] | Redirect:
    """Ask for it, or show the member again with what was wrong."""
    with desk.reading() as reader:
        _get(reader, member)
    try:
        return _ask(desk, principal, plan)
    except Refused as refused:
        if refused.reason is Reason.NOT_PERMITTED:
            raise
        return _show_member(request, desk, principal, member, refused=refused)


def _show_members(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    *,
    refused: Refused | None = None,
    given: dict[str, str] | None = None,
) -> Response[str]:
    with desk.reading() as reader:
        members = reader.state.members.all
    wanted = request.query_params.get("find", "").strip()[:MAX_FOUND]
    found = [one for one in members if wanted.casefold() in one.name.casefold()]
    part = find_part(request, len(found), SHOWN)
    facts: dict[str, Any] = {
        "members": found[part.begin : part.end],
        "member_count": len(members),
        "part": part,
        "wanted": wanted,
        "kinds": [kind.value for kind in MemberKind if kind is not MemberKind.NODE],
        "given": given or {"name": "", "kind": MemberKind.GARAGE.value, "enrolment": ""},
    }
    return show_page(request, desk, principal, "members.html", refused=refused, **facts)


def _show_member(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    member: MemberId,
    *,
    refused: Refused | None = None,
    link: str | None = None,
) -> Response[str]:
    office = get_office(desk)
    with desk.reading() as reader:
        found = _get(reader, member)
        keys = _list_keys(reader, found)
        possible = _list_possible(reader.state, found)
        times = {line.since: reader.get_record(line.since)["at"] for line in keys}
    people = [one for one in list_accounts(office, principal, member) if one.ended_at is None]
    programs = [one for one, _ in list_clients(office, principal) if one.member == member and one.ended_at is None]
    waiting = [
        one for one in list_approvals(office, principal, is_open_only=True) if find_member_id(one.kept.act) == member
    ]
    facts: dict[str, Any] = {
        "member": found,
        "is_node": found.kind == NODE_KIND,
        "keys": keys,
        "times": times,
        "possible": [(kind, basis, (kind, basis, class_) in found.accreditations) for kind, basis, class_ in possible],
        "written": [
            (kind, [one[1] for one in lines]) for kind, lines in groupby(found.accreditations, key=itemgetter(0))
        ],
        "quota": next((one for one in list_quotas(office, principal) if one.member == member), None),
        "people": people,
        "programs": programs,
        "waiting": waiting,
        "link": link,
        "once": make_once(desk),
    }
    return show_page(request, desk, principal, "member.html", refused=refused, **facts)


def _list_keys(reader: Reader, member: Member) -> list[KeyLine]:
    origins = reader.read_key_origins()
    return [make_line(reader, origins, member, key) for key in member.keys]


def _list_possible(state: State, member: Member) -> list[tuple[str, int, int]]:
    """What the rules let such a member write, and what it may write already."""
    return sorted({*default_accreditations(state.rules, member.kind), *member.accreditations})


def _parse(text: str) -> MemberId:
    found = find_id(Prefix.MEMBER, text)
    if found is None:
        raise Refused(Reason.NOT_FOUND, "there is no such member")
    return found


def _get(reader: Reader, member: MemberId) -> Member:
    index = reader.state.members.find_index(member)
    if index is None:
        raise Refused(Reason.NOT_FOUND, "there is no such member")
    return reader.state.members.all[index]


ROUTES = [
    get_members,
    ask_for_member,
    get_member,
    ask_for_accreditations,
    ask_for_key,
    ask_to_end_key,
    ask_to_retire,
    limit_member,
    invite_admin,
]
