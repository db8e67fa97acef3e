"""The audit trail of a member, for its admins and auditors: searched by what was done, by whom and when, and taken away
as a file."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Stream

from carnet.errors import Refused
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.registry import list_names
from carnet.services.accounts.trail import Search, make_search
from carnet.services.principals import Principal, Role
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.acts import say_action
from carnet.web.pages.front import FormData
from carnet.web.pages.sayings import say_fault
from carnet.web.pages.searching import give_file, list_found, read_search
from carnet.web.pages.showing import AnyRequest, find_reader_language, show
from carnet.web.people import get_office
from carnet.web.policy import staff

AUDITORS: Final = staff(Role.ADMIN, Role.AUDITOR)
HERE: Final = "/organisation/audit"
FIELDS: Final = ("action", "who", "since", "until")
FAMILIES: Final = ("session", "account", "client", "claim", "access", "approval", "webhook")
"""What a member's people look for, by the beginning of its actions; everything is there without a choice."""


@get(HERE, opt={"policy": AUDITORS}, sync_to_thread=True, include_in_schema=False)
def get_trail(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """A page of it, newest first."""
    asked = read_search(request.query_params, FIELDS)
    try:
        return _show(request, desk, principal, asked, make_search(**asked))
    except Refused as refused:
        return _show(request, desk, principal, asked, None, refused)


@post(f"{HERE}/export", opt={"policy": AUDITORS}, sync_to_thread=True, status_code=200, include_in_schema=False)
def export_trail(data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Stream | Response[str]:
    """What was searched for, all of it, as a file."""
    asked = read_search(data, FIELDS)
    format_ = "json" if data.get("format") == "json" else "csv"
    try:
        return give_file(get_office(desk), principal, asked, format_)
    except Refused as refused:
        return _show(request, desk, principal, asked, None, refused)


def _show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    asked: dict[str, str],
    wanted: Search | None,
    refused: Refused | None = None,
) -> Response[str]:
    office, language = get_office(desk), find_reader_language(request, desk)
    before = request.query_params.get("before", "")
    actions = [(one.value, say_action(language, one)) for one in Action if one.value.partition(".")[0] in FAMILIES]
    facts: dict[str, Any] = {
        **list_found(office, principal, language, asked, wanted, before),
        "actions": actions,
        "names": list_names(office, principal),
        "own": principal.account,
        "problem": None if refused is None else say_fault(language, refused),
    }
    return show(request, desk, principal, "console/trail.html", 200 if refused is None else 422, **facts)


ROUTES = [get_trail, export_trail]
