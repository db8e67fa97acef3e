"""My organisation: a member's admin invites its people and gives its programs keys. It works without script.

An invitation and a key are shown on the page that made them, and never again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.services.accounts.clients import add_client, end_client, issue_key, list_clients, parse_scopes, rotate_key
from carnet.services.accounts.invitations import invite
from carnet.services.accounts.registry import HOLDER, Post, change_role, end_account, list_accounts, list_last_seen
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.holding import get_today
from carnet.web.pages.once import compute_seed, make_once
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_part, find_reader_language, go, show
from carnet.web.pages.signing_in import is_fresh
from carnet.web.pages.using import chart_calls
from carnet.web.people import get_office
from carnet.web.policy import FRESH_MS, staff

ADMINS, FRESH_ADMINS = staff(Role.ADMIN), staff(Role.ADMIN, fresh=True)
HERE = "/organisation"
CALLS_DAYS: Final = 30
SHOWN: Final = 50
"""People, and programs, of one page: each has its forms."""


@get(HERE, opt={"policy": ADMINS}, sync_to_thread=True, include_in_schema=False)
def get_organisation(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Its people and its programs."""
    return _show(request, desk, principal)


@post(f"{HERE}/invitations", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def invite_somebody(data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """A link for one person, shown once."""
    role = str(data.get("role", ""))
    if role != "holder" and role not in set(Role):
        return _show(request, desk, principal, refused=Refused(Reason.NOT_IN_LIST, "choose a role"))
    post_ = HOLDER if role == "holder" else Post(Standing.STAFF, principal.member, Role(role))
    try:
        made = invite(get_office(desk), principal, post_, seed=compute_seed(desk, principal, f"invite {role}", data))
    except Refused as refused:
        if refused.reason is not Reason.CODE_NOT_VALID:
            raise
        return _show(request, desk, principal, refused=refused)
    return _show(request, desk, principal, link=made.make_link(desk.origin))


@post(f"{HERE}/people/{{account:str}}/end", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def end_somebody(account: FromPath[str], desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """End the account of somebody who has left."""
    end_account(get_office(desk), principal, account)
    return go(HERE)


@post(f"{HERE}/people/{{account:str}}/role", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def change_somebody(
    account: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal, data: FormData
) -> Response[str] | Redirect:
    """Another role for somebody, from their next request on."""
    role = str(data.get("role", ""))
    if role not in set(Role):
        return _show(request, desk, principal, refused=Refused(Reason.NOT_IN_LIST, "choose a role"))
    change_role(get_office(desk), principal, account, Role(role))
    return go(HERE)


@post(f"{HERE}/programs", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def add_program(data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """A program with a key, shown once."""
    office, given = get_office(desk), data.get("scope", [])
    words = [str(word) for word in (given if isinstance(given, list) else [given])]
    try:
        member, name, scopes = principal.member or b"", str(data.get("name", "")), parse_scopes(words)
        seed = compute_seed(desk, principal, f"program {sorted(scopes)} {name}", data)
        client = add_client(office, principal, member, name, scopes, seed=seed)
    except Refused as refused:
        if refused.reason is Reason.NOT_PERMITTED:
            raise
        return _show(request, desk, principal, refused=refused)
    seed = compute_seed(desk, principal, f"key {client.public_id}", data)
    return _show(request, desk, principal, key=issue_key(office, principal, client.public_id, seed=seed).secret)


@post(
    f"{HERE}/programs/{{client:str}}/rotate",
    opt={"policy": FRESH_ADMINS},
    sync_to_thread=True,
    include_in_schema=False,
)
def rotate_program(
    client: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal, data: FormData
) -> Response[str]:
    """A new key; the one before it is good for one day more."""
    try:
        seed = compute_seed(desk, principal, f"rotate {client}", data)
        secret = rotate_key(get_office(desk), principal, client, seed=seed).secret
    except Refused as refused:
        if refused.reason is not Reason.TOO_MANY_KEYS:
            raise
        return _show(request, desk, principal, refused=refused)
    return _show(request, desk, principal, key=secret)


@post(f"{HERE}/programs/{{client:str}}/end", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def end_program(client: FromPath[str], desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """End a program with all its keys."""
    end_client(get_office(desk), principal, client)
    return go(HERE)


def _show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    *,
    link: str | None = None,
    key: str | None = None,
    refused: Refused | None = None,
) -> Response[str]:
    office, now = get_office(desk), desk.clock()
    language = find_reader_language(request, desk)
    with desk.reading() as reader:
        member = reader.state.members.get(principal.member or b"")
    people = [one for one in list_accounts(office, principal) if one.ended_at is None]
    programs = [one for one in list_clients(office, principal) if one[0].ended_at is None]
    part, program_part = find_part(request, len(people), SHOWN), find_part(request, len(programs), SHOWN, "programs")
    programs = programs[program_part.begin : program_part.end]
    today = get_today(desk)
    asking = chart_calls(desk, principal, today - timedelta(days=CALLS_DAYS - 1), today)
    facts: dict[str, Any] = {
        "asking": asking,
        "calls_total": sum(bar.total for bar in asking),
        "member": member.name,
        "people": people[part.begin : part.end],
        "part": part,
        "program_part": program_part,
        "programs": [(client, [key for key in keys if key.is_in_force(now)]) for client, keys in programs],
        "scopes": list(Scope),
        "once": make_once(desk),
        "own": principal.account,
        "roles": [role.value for role in Role],
        "seen": list_last_seen(office, principal),
        "is_fresh": is_fresh(principal, desk, FRESH_MS),
        "link": link,
        "key": key,
        "problem": None if refused is None else say_refusal(language, refused),
    }
    return show(request, desk, principal, "organisation.html", 200 if refused is None else 422, **facts)


ROUTES = [get_organisation, invite_somebody, end_somebody, change_somebody, add_program, rotate_program, end_program]
