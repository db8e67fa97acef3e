"""The holder's own pages under a member's name: `/with/mem_…` stands before their address, and they wear its look.

Whatever such a page shows is what the holder sees at Carnet's own address, where each of them leads once the member has
no look, or has left the network. It refuses to show a member's people anything. Design: ADR 17.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal, Standing
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.showing import WITH, AnyRequest, find_look_of, go, show
from carnet.web.pages.vehicle import SECTIONS, show_section
from carnet.web.pages.vehicles import show_form, show_vehicles, take_form
from carnet.web.people import get_office
from carnet.web.policy import OPEN, Policy, holder

HERE: Final = "/with/{member:str}"
COMERS: Final = Policy(frozenset({Standing.VISITOR, Standing.HOLDER}))
"""Holders, and whoever will be one once they have signed in."""


@get(HERE, opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def welcome(
    member: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Where a member's customers come in. A holder goes on to their vehicles."""
    look = find_look_of(desk, request.scope["path"])
    if look is None:
        return go("/")
    if principal.standing is Standing.HOLDER:
        return go(f"{WITH}{look.public_id}/vehicles")
    facts: dict[str, Any] = {"has_code": False, "is_open": get_office(desk).is_open}
    return show(request, desk, principal, "welcome.html", onward=f"{WITH}{look.public_id}/vehicles", **facts)


@get(f"{HERE}/vehicles", opt={"policy": COMERS}, sync_to_thread=True, include_in_schema=False)
def list_vehicles(
    member: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Every vehicle that the account holds, whoever opened its passport."""
    return find_way_out(request, desk, principal) or show_vehicles(request, desk, principal)


@get(f"{HERE}/vehicles/add", opt={"policy": COMERS}, sync_to_thread=True, include_in_schema=False)
def ask_for_vehicle(
    member: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """The form for a code. Its link has the code in the fragment, which is not sent; who has not signed in yet is told
    what it is, and keeps it."""
    look = find_look_of(desk, request.scope["path"])
    if look is not None and principal.is_visitor:
        facts: dict[str, Any] = {"has_code": True, "is_open": get_office(desk).is_open}
        return show(request, desk, principal, "welcome.html", onward=request.scope["path"], **facts)
    return find_way_out(request, desk, principal) or show_form(request, desk, principal)


@post(f"{HERE}/vehicles/add", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def add_vehicle(
    member: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Claim it, and go to it."""
    look = find_look_of(desk, request.scope["path"])
    return take_form(data, request, desk, principal, "" if look is None else f"{WITH}{look.public_id}")


@get(f"{HERE}/vehicles/{{passport:str}}", opt={"policy": COMERS}, sync_to_thread=True, include_in_schema=False)
def get_summary(
    member: FromPath[str], passport: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[bytes] | Redirect:
    """The summary of a vehicle, as its holder sees it."""
    return find_way_out(request, desk, principal) or show_section(request, desk, principal, passport, "")


@get(
    f"{HERE}/vehicles/{{passport:str}}/{{section:str}}",
    opt={"policy": COMERS},
    sync_to_thread=True,
    include_in_schema=False,
)
def get_section(
    member: FromPath[str],
    passport: FromPath[str],
    section: FromPath[str],
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Response[bytes] | Redirect:
    """Another section; what is no section (adding, documents, a proof) is at Carnet's own address."""
    way_out = find_way_out(request, desk, principal)
    if way_out is None and section not in SECTIONS:
        return go(_find_own(request))
    return way_out or show_section(request, desk, principal, passport, section)


@get(
    f"{HERE}/vehicles/{{passport:str}}/entries/{{seq:int}}",
    opt={"policy": COMERS},
    sync_to_thread=True,
    include_in_schema=False,
)
def get_entry(
    member: FromPath[str],
    passport: FromPath[str],
    seq: FromPath[int],
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Redirect:
    """One entry with its proof, at Carnet's own address."""
    return find_way_out(request, desk, principal) or go(_find_own(request))


def find_way_out(request: AnyRequest, desk: Desk, principal: Principal) -> Redirect | None:
    """The way out of a page: to the same one of our own where the member has no look; and for who has not signed in, to
    where they do, and back. None for whoever may stay."""
    path: str = request.scope["path"]
    if find_look_of(desk, path) is None:
        return go(_find_own(request))
    query = request.scope["query_string"].decode("latin-1")
    return go(f"/sign-in?back={quote(path + '?' * bool(query) + query, safe='')}") if principal.is_visitor else None


def _find_own(request: AnyRequest) -> str:
    """The same address without the member. Raises Refused(NOT_FOUND) for one that names no passport of ours."""
    path: str = request.scope["path"].removeprefix(WITH).partition("/")[2]
    name = path.removeprefix("vehicles").strip("/").partition("/")[0]
    if name not in ("", "add") and find_id(Prefix.PASSPORT, name) is None:
        raise Refused(Reason.NOT_FOUND, "there is nothing at this address, or nothing that you may see")
    return f"/{path}"


ROUTES = [welcome, list_vehicles, ask_for_vehicle, add_vehicle, get_summary, get_section, get_entry]
