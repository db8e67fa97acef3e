"""Getting in and out: sign in, make an account, get in again with a code, confirm, sign out.

A ceremony with a passkey needs script: it asks for the options as JSON, and sends the authenticator's answer as a form
like any other. Secrets come in forms or in the fragment of a link, never in an address. Design: security 1–7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.services.accounts.passkeys import (
    begin_confirm,
    begin_sign_in,
    begin_sign_up,
    finish_confirm,
    finish_sign_in,
    finish_sign_up,
)
from carnet.services.accounts.recovery import SignedIn, recover
from carnet.services.accounts.sessions import LIMITS, sign_out
from carnet.services.principals import Principal, Standing
from carnet.web.cookies import SESSION
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.inputs import Input
from carnet.web.pages.front import FormData
from carnet.web.pages.showing import AnyRequest, find_back, go, show
from carnet.web.people import get_office, get_visit
from carnet.web.policy import OPEN, signed_in

MAX_ANSWER: Final = 20_000
HOMES: Final = {Standing.HOLDER: "/vehicles", Standing.OPERATOR: "/operator", Standing.STAFF: "/console"}


class NoInput(Input, frozen=True):
    """Nothing is needed."""


class SignUpIn(Input, frozen=True):
    """A new account: how its person is called, and the code of the invitation, if there is one."""

    name: str
    code: str = ""


# ---- signing in


@get("/sign-in", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def ask_to_sign_in(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The page with the one button."""
    return _show_sign_in(request, desk, principal, request.query_params.get("back"))


@post("/ceremonies/sign-in", opt={"policy": OPEN}, sync_to_thread=True, status_code=200, include_in_schema=False)
def get_sign_in_options(request: AnyRequest, desk: TheDesk, data: JSONBody[NoInput]) -> Response[bytes]:
    """What to ask the authenticator; it names nobody."""
    return answer_options(begin_sign_in(get_office(desk), desk.origin, get_visit(request)))


@post("/sign-in", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def enter(data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str] | Redirect:
    """Sign in with the authenticator's answer, and go where one wanted to; or the page again."""
    office, visit = get_office(desk), get_visit(request)
    try:
        done = finish_sign_in(office, desk.origin, visit, read_answer(data), find_token(request, desk))
    except Refused as refused:
        if refused.reason is not Reason.SIGN_IN_FAILED:
            raise
        return _show_sign_in(request, desk, principal, data.get("back"), is_failed=True)
    return go(find_back(data.get("back"), HOMES[done.account.standing]), [make_cookie(desk, done)])


@post("/sign-out", opt={"policy": signed_in()}, sync_to_thread=True, include_in_schema=False)
def leave(data: FormData, request: AnyRequest, desk: TheDesk) -> Redirect:
    """End the session in the store, and forget it in the browser."""
    sign_out(get_office(desk), find_token(request, desk) or "")
    return go("/", [desk.cookies.end(SESSION)])


# ---- signing up


@get("/join", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def ask_to_join(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The form of a new account. The code of an invitation stands in the fragment of its link, which is not sent."""
    return _show_join(request, desk, principal, request.query_params.get("back"))


@post("/ceremonies/join", opt={"policy": OPEN}, sync_to_thread=True, status_code=200, include_in_schema=False)
def get_join_options(request: AnyRequest, desk: TheDesk, data: JSONBody[SignUpIn]) -> Response[bytes]:
    """What to ask the authenticator for a new account."""
    visit = get_visit(request)
    return answer_options(begin_sign_up(get_office(desk), desk.origin, visit, data.name, data.code or None))


@post("/join", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def join(data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Make the account, and show its recovery codes, once."""
    office, visit = get_office(desk), get_visit(request)
    try:
        done = finish_sign_up(office, desk.origin, visit, read_answer(data), find_token(request, desk))
    except Refused as refused:
        if refused.reason not in (Reason.SIGN_IN_FAILED, Reason.CODE_NOT_VALID):
            raise
        return _show_join(request, desk, principal, data.get("back"), is_failed=True)
    signed_in_now = SignedIn(done.account, done.token)
    back = find_back(data.get("back"), "")
    return show_codes(request, desk, done.account.standing, done.codes, signed_in_now, back)


# ---- getting in again


@get("/recover", opt={"policy": OPEN}, sync_to_thread=False, include_in_schema=False)
def ask_for_code(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The form for a recovery code. It needs no script."""
    return show(request, desk, principal, "recover.html", is_failed=False)


@post("/recover", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def enter_with_code(
    data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Sign in with a code, and go to where a new passkey is added."""
    try:
        code = str(data.get("code", ""))
        done = recover(get_office(desk), get_visit(request), code, find_token(request, desk))
    except Refused as refused:
        if refused.reason is not Reason.SIGN_IN_FAILED:
            raise
        back = find_back(data.get("back"), "")
        return show(request, desk, principal, "recover.html", 422, onward=back, is_failed=True)
    return go("/account?recovered", [make_cookie(desk, done)])


# ---- confirming


@get("/confirm", opt={"policy": signed_in()}, sync_to_thread=False, include_in_schema=False)
def ask_to_confirm(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The page before a dangerous act."""
    return _show_confirm(request, desk, principal)


@post("/ceremonies/confirm", opt={"policy": signed_in()}, sync_to_thread=True, status_code=200, include_in_schema=False)
def get_confirm_options(desk: TheDesk, principal: ThePrincipal, data: JSONBody[NoInput]) -> Response[bytes]:
    """What to ask the authenticator of whoever is signed in."""
    return answer_options(begin_confirm(get_office(desk), desk.origin, principal))


@post("/confirm", opt={"policy": signed_in()}, sync_to_thread=True, include_in_schema=False)
def confirm(data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str] | Redirect:
    """Renew the session, and go back to the act."""
    token = find_token(request, desk) or ""
    try:
        renewed = finish_confirm(get_office(desk), desk.origin, principal, token, read_answer(data))
    except Refused as refused:
        if refused.reason is not Reason.SIGN_IN_FAILED:
            raise
        return _show_confirm(request, desk, principal, is_failed=True)
    age_s = LIMITS[principal.standing].absolute_ms // 1000
    return go(find_back(data.get("back"), "/account"), [desk.cookies.make(SESSION, renewed, age_s)])


# ---- what the pages of accounts share


def find_token(request: AnyRequest, desk: Desk) -> str | None:
    """The session's token that the browser has."""
    return request.cookies.get(desk.cookies.session)


def make_cookie(desk: Desk, done: SignedIn) -> Cookie:
    """The cookie of a new session; it lasts no longer than the session can."""
    return desk.cookies.make(SESSION, done.token, LIMITS[done.account.standing].absolute_ms // 1000)


def read_answer(data: Mapping[str, Any]) -> dict[str, Any]:
    """The authenticator's answer of a form; empty where it cannot be read, and signs nobody in."""
    text = data.get("answer")
    if not isinstance(text, str) or len(text) > MAX_ANSWER:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def answer_options(options: Mapping[str, Any]) -> Response[bytes]:
    """Options for the browser, as JSON."""
    return Response(msgspec.json.encode(options), media_type="application/json")


def show_codes(
    request: AnyRequest,
    desk: Desk,
    standing: Standing,
    codes: Sequence[str],
    done: SignedIn | None = None,
    back: str = "",
) -> Response[str]:
    """The recovery codes, once; with `done` in the session that begins now, which the forms of the page belong to. From
    it one goes on to `back`, or home."""
    home, begins = back or HOMES.get(standing, "/account"), None if done is None else done.token
    response = show(
        request, desk, Principal(standing), "codes.html", begins=begins, onward=back, codes=codes, home=home
    )
    if done is not None:
        response.cookies.append(make_cookie(desk, done))
    return response


def is_fresh(principal: Principal, desk: Desk, within_ms: int) -> bool:
    """Whether whoever asks has confirmed lately enough for a dangerous act."""
    return principal.confirmed_at is not None and desk.clock() - principal.confirmed_at <= within_ms


def _show_sign_in(
    request: AnyRequest, desk: Desk, principal: Principal, back: object, *, is_failed: bool = False
) -> Response[str]:
    facts: dict[str, Any] = {"is_failed": is_failed, "is_open": get_office(desk).is_open}
    status = 422 if is_failed else 200
    return show(request, desk, principal, "sign_in.html", status, onward=find_back(back, ""), **facts)


def _show_join(
    request: AnyRequest, desk: Desk, principal: Principal, back: object, *, is_failed: bool = False
) -> Response[str]:
    facts: dict[str, Any] = {"is_failed": is_failed, "is_open": get_office(desk).is_open}
    status = 422 if is_failed else 200
    return show(request, desk, principal, "join.html", status, onward=find_back(back, ""), **facts)


def _show_confirm(request: AnyRequest, desk: Desk, principal: Principal, *, is_failed: bool = False) -> Response[str]:
    back, status = find_back(request.query_params.get("back"), "/account"), 422 if is_failed else 200
    return show(request, desk, principal, "confirm.html", status, onward=back, is_failed=is_failed)


ROUTES = [
    ask_to_sign_in,
    get_sign_in_options,
    enter,
    leave,
    ask_to_join,
    get_join_options,
    join,
    ask_for_code,
    enter_with_code,
    ask_to_confirm,
    get_confirm_options,
    confirm,
]
