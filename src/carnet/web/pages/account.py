"""My account: passkeys, recovery codes, where one is signed in, claims of one's vehicles, and what was done.

Whatever changes how one gets in asks for a confirmation first. It needs script for nothing but a new passkey.
"""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.services.accounts.auditing import list_events
from carnet.services.accounts.passkeys import begin_add, finish_add, list_passkeys, remove_passkey
from carnet.services.accounts.recovery import count_codes, renew_codes
from carnet.services.accounts.registry import end_account, get_account_by_id
from carnet.services.accounts.sessions import end_other_sessions, end_session, list_sessions
from carnet.services.claims import give_up, list_contests, object_to
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal, Standing
from carnet.web.cookies import SESSION
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.acts import say_action
from carnet.web.pages.front import FormData
from carnet.web.pages.grounds import name_standings
from carnet.web.pages.holding import get_holdings
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.pages.signing_in import (
    NoInput,
    answer_options,
    find_token,
    is_fresh,
    read_answer,
    show_codes,
)
from carnet.web.people import get_office
from carnet.web.policy import FRESH_MS, holder, signed_in

EVENTS = 20


@get("/account", opt={"policy": signed_in()}, sync_to_thread=True, include_in_schema=False)
def get_account_page(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Everything about one's own account, on one page."""
    return _show(request, desk, principal)


@post(
    "/ceremonies/passkey",
    opt={"policy": signed_in(fresh=True)},
    sync_to_thread=True,
    status_code=200,
    include_in_schema=False,
)
def get_passkey_options(desk: TheDesk, principal: ThePrincipal, data: JSONBody[NoInput]) -> Response[bytes]:
    """What to ask the authenticator for one more passkey."""
    return answer_options(begin_add(get_office(desk), desk.origin, principal))


@post("/account/passkeys", opt={"policy": signed_in(fresh=True)}, sync_to_thread=True, include_in_schema=False)
def add_passkey(
    data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Keep one more passkey."""
    name = str(data.get("name", "")) or "Passkey"
    try:
        finish_add(get_office(desk), desk.origin, principal, read_answer(data), name)
    except Refused as refused:
        return _show(request, desk, principal, refused)
    return go("/account#passkeys")


@post(
    "/account/passkeys/{passkey:str}/remove",
    opt={"policy": signed_in(fresh=True)},
    sync_to_thread=True,
    include_in_schema=False,
)
def remove_one_passkey(
    passkey: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal, data: FormData
) -> Response[str] | Redirect:
    """Remove a passkey, but never the last one."""
    try:
        remove_passkey(get_office(desk), principal, passkey, find_token(request, desk) or "")
    except Refused as refused:
        if refused.reason is not Reason.LAST_PASSKEY:
            raise
        return _show(request, desk, principal, refused)
    return go("/account#passkeys")


@post("/account/codes", opt={"policy": signed_in(fresh=True)}, sync_to_thread=True, include_in_schema=False)
def renew(request: AnyRequest, desk: TheDesk, principal: ThePrincipal, data: FormData) -> Response[str]:
    """New recovery codes, shown once."""
    return show_codes(request, desk, principal.standing, renew_codes(get_office(desk), principal))


@post("/account/sessions/{session:str}/end", opt={"policy": signed_in()}, sync_to_thread=True, include_in_schema=False)
def end_one_session(session: FromPath[str], desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """Sign out somewhere else."""
    end_session(get_office(desk), principal, session)
    return go("/account#sessions")


@post("/account/sessions/end-others", opt={"policy": signed_in()}, sync_to_thread=True, include_in_schema=False)
def end_others(request: AnyRequest, desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """Sign out everywhere else."""
    end_other_sessions(get_office(desk), principal, find_token(request, desk) or "")
    return go("/account#sessions")


@post("/account/end", opt={"policy": signed_in(fresh=True)}, sync_to_thread=True, include_in_schema=False)
def end_own_account(desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """End one's account. What was certified stays; who held which vehicle ends."""
    end_account(get_office(desk), principal, principal.account or "")
    return go("/", [desk.cookies.end(SESSION)])


@post("/account/contests/{contest:str}/object", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def object_to_claim(contest: FromPath[str], desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """The present holder says no to somebody's claim."""
    object_to(get_office(desk), principal, contest)
    return go("/account#claims")


@post(
    "/vehicles/{passport:str}/give-up", opt={"policy": holder(fresh=True)}, sync_to_thread=True, include_in_schema=False
)
def give_vehicle_up(passport: FromPath[str], desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """Hold a vehicle no more."""
    chain = find_id(Prefix.PASSPORT, passport)
    if chain is None:
        raise Refused(Reason.NOT_FOUND, "there is nothing at this address, or nothing that you may see")
    give_up(get_office(desk), principal, chain)
    return go("/vehicles?given-up")


def _show(request: AnyRequest, desk: Desk, principal: Principal, refused: Refused | None = None) -> Response[str]:
    office, language = get_office(desk), find_reader_language(request, desk)
    problem = None
    if refused is not None:
        problem = say_refusal(language, refused)
    facts: dict[str, Any] = {
        "account": get_account_by_id(office, principal.account or ""),
        "passkeys": list_passkeys(office, principal),
        "sessions": list_sessions(office, principal, find_token(request, desk) or ""),
        "code_count": count_codes(office, principal),
        "contests": list_contests(office, principal) if principal.standing is Standing.HOLDER else [],
        # Whoever claims a vehicle, or holds it no more, has no page of it.
        "held": frozenset(get_holdings(desk).list_held(principal.account or "")),
        "standings": name_standings(language),
        "events": [
            (event, say_action(language, event.action)) for event in list_events(office, principal, limit=EVENTS)
        ],
        "is_fresh": is_fresh(principal, desk, FRESH_MS),
        "is_recovered": "recovered" in request.query_params,
        "problem": problem,
    }
    return show(request, desk, principal, "account.html", 200 if refused is None else 422, **facts)


ROUTES = [
    get_account_page,
    get_passkey_options,
    add_passkey,
    remove_one_passkey,
    renew,
    end_one_session,
    end_others,
    end_own_account,
    object_to_claim,
    give_vehicle_up,
]
