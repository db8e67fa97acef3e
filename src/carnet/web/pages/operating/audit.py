"""The audit trail, for operators: searched by what was done, by whom, about what and when; and taken away as a file."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Stream

from carnet.errors import Refused
from carnet.services.accounts.auditing import Action
from carnet.services.accounts.registry import find_names
from carnet.services.accounts.trail import Search, make_search
from carnet.services.principals import Principal
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.acts import say_action
from carnet.web.pages.front import FormData
from carnet.web.pages.grounds import name_families
from carnet.web.pages.operating.common import ACT, LOOK, show_page
from carnet.web.pages.searching import give_file, list_found, read_search
from carnet.web.pages.showing import AnyRequest, find_reader_language
from carnet.web.people import get_office

HERE = "/operator/audit"
FIELDS: Final = ("action", "who", "about", "member", "since", "until")


@get(HERE, opt=LOOK, sync_to_thread=True, include_in_schema=False)
def get_trail(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """A page of it, newest first."""
    asked = read_search(request.query_params, FIELDS)
    try:
        return _show(request, desk, principal, asked, make_search(**asked))
    except Refused as refused:
        return _show(request, desk, principal, asked, None, refused=refused)


@post(f"{HERE}/export", opt=ACT, sync_to_thread=True, status_code=200, include_in_schema=False)
def export_trail(data: FormData, desk: TheDesk, principal: ThePrincipal) -> Stream:
    """What was searched for, all of it, as a file."""
    return give_file(get_office(desk), principal, read_search(data, FIELDS), str(data.get("format", "")))


def _show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    asked: dict[str, str],
    wanted: Search | None,
    *,
    refused: Refused | None = None,
) -> Response[str]:
    office, language = get_office(desk), find_reader_language(request, desk)
    before = request.query_params.get("before", "")
    found = list_found(office, principal, language, asked, wanted, before)
    people = [name for event, *_ in found["events"] for name in (event.who, event.about)]
    facts: dict[str, Any] = {
        **found,
        "actions": [(one.value, say_action(language, one)) for one in Action],
        "families": sorted(name_families(language).items(), key=lambda one: one[1]),
        "names": find_names(office, principal, people),
    }
    return show_page(request, desk, principal, "audit.html", refused=refused, **facts)


ROUTES = [get_trail, export_trail]
