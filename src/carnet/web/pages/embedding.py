"""The passport in a frame of a member's own app, and the page on which its holder lets it be shown there.

The frame has no cookie and no session. Its holder opens our own page in a window beside it, which hands the frame a
token for one vehicle, window to window, under our own origin: the page around the frame gets neither. It refuses to
write anything, since whoever frames a page decides what is seen around it. Design: ADR 17; security 6, 9, 12, 33.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.services.accounts.throttling import Attempt, count_attempt
from carnet.services.app_views import VALID_MS, end_view, grant_view, use_view
from carnet.services.appearance.looks import Look
from carnet.services.history import list_recent, make_page
from carnet.services.journaling import record_access
from carnet.services.names import Prefix, find_id
from carnet.services.vehicles import open_vehicle
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.headers import make_framed_csp
from carnet.web.language import Language, choose_language
from carnet.web.pages.front import FormData
from carnet.web.pages.holding import get_holdings, get_today, opening_view
from carnet.web.pages.showing import AnyRequest, find_look_of_member, find_theme, go, show
from carnet.web.pages.vehicle import list_reading_facts
from carnet.web.pages.with_member import COMERS, HERE, find_way_out
from carnet.web.people import get_address, get_office
from carnet.web.policy import HARMLESS, OPEN, holder
from carnet.web.rendering import Frame, Theme, render

FRAME: Final = "/embed/{member:str}/vehicles/{passport:str}"
SECTIONS: Final = ("summary", "history", "odometer")


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame: of which member and vehicle, within a page of which origin, in which language and theme."""

    look: Look
    passport: bytes
    app: str
    language: Language
    theme: Theme

    @property
    def name(self) -> str:
        """`pas_…`."""
        return f"pas_{self.passport.hex()}"


# ---- the frame


@get(FRAME, opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_frame(
    member: FromPath[str],
    passport: FromPath[str],
    request: AnyRequest,
    desk: TheDesk,
    app: FromQuery[str] = "",
    theme: FromQuery[str] = "",
    lang: FromQuery[str] = "",
) -> Response[str]:
    """The frame before its holder has opened it: it says nothing of any vehicle, and is framed by `app` alone."""
    shown = _read(member, passport, request, desk, {"app": app, "theme": theme, "lang": lang})
    return _show_closed(shown)


@post(FRAME, opt={"policy": HARMLESS}, sync_to_thread=True, status_code=200, include_in_schema=False)
def open_frame(
    member: FromPath[str], passport: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk
) -> Response[str]:
    """The passport, for a token that its holder has granted; or the closed frame again. It is a POST so that the token
    stands in no address."""
    shown = _read(member, passport, request, desk, data)
    office = get_office(desk)
    with desk.reading() as reader:
        used = use_view(office, reader, get_holdings(desk), shown.look, shown.passport, str(data.get("view", "")))
        if used is None or used.origin != shown.app:
            count_attempt(office, Attempt.VIEW_BY_ADDRESS, get_address(request))
            return _show_closed(shown, is_ended=True)
        with used.asking():
            vehicle = open_vehicle(reader, used.view, get_today(desk))
        if used.is_first:
            # The holder's journal has it before the answer goes out.
            access = used.make_access(shown.look.member, len(vehicle.entries))
            record_access(desk.door, reader, access, desk.clock())
    section = str(data.get("section", ""))
    after = str(data.get("after", "0"))
    facts: dict[str, Any] = {
        "section": section if section in SECTIONS else SECTIONS[0],
        "vehicle": vehicle,
        "recent": list_recent(vehicle.entries),
        "page": make_page(
            vehicle.entries, [], int(after) if after.isascii() and after.isdigit() and len(after) < 7 else 0
        ),
        **list_reading_facts(vehicle, request),
        "token": str(data["view"]),
        "until": used.until,
    }
    return _answer(shown, "embed/passport.html", **facts)


def _read(member: str, passport: str, request: AnyRequest, desk: Desk, given: Mapping[str, Any]) -> Shown:
    """What the frame is. Raises Refused(NOT_FOUND) alike for a member without a look, and for an origin that it has not
    registered: such a page is framed by nobody."""
    look = find_look_of_member(desk, find_id(Prefix.MEMBER, member))
    chain = find_id(Prefix.PASSPORT, passport)
    app = str(given.get("app", ""))
    if look is None or chain is None or not look.may_frame(app):
        raise Refused(Reason.NOT_FOUND, "nothing is shown here: the page around it is not registered by its member")
    language = choose_language(str(given.get("lang", "")), None, request.headers.get("accept-language"))
    return Shown(look, chain, app, language, find_theme(str(given.get("theme", ""))))


def _show_closed(shown: Shown, *, is_ended: bool = False) -> Response[str]:
    return _answer(shown, "embed/closed.html", 403 if is_ended else 200, is_ended=is_ended)


def _answer(shown: Shown, template: str, status: int = 200, **facts: Any) -> Response[str]:
    path = f"/with/{shown.look.public_id}/vehicles/{shown.name}"
    frame = Frame(language=shown.language, theme=shown.theme, path=path, look=shown.look)
    page = render(template, frame, shown=shown, **facts)
    headers = {"Content-Security-Policy": make_framed_csp(shown.app)}
    return Response(page, status_code=status, media_type="text/html", headers=headers)


# ---- the window beside it


@get(f"{HERE}/vehicles/{{passport:str}}/open", opt={"policy": COMERS}, sync_to_thread=True, include_in_schema=False)
def ask_to_open(
    member: FromPath[str],
    passport: FromPath[str],
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
    app: FromQuery[str] = "",
) -> Response[str] | Redirect:
    """What will be shown, where, to whom, and until when; with one button."""
    way_out = find_way_out(request, desk, principal)
    if way_out is not None:
        return way_out
    look = _get_look(desk, member, app)
    with opening_view(desk, principal, passport) as (reader, view):
        vehicle = open_vehicle(reader, view, get_today(desk))
    facts: dict[str, Any] = {"app": app, "vehicle": vehicle, "hours": VALID_MS // 3_600_000, "token": None}
    return show(request, desk, principal, "open_in_app.html", look=look, **facts)


@post(f"{HERE}/vehicles/{{passport:str}}/open", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def let_open(
    member: FromPath[str],
    passport: FromPath[str],
    data: FormData,
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Response[str]:
    """Grant the view, and hand its token to the frame that opened this window."""
    app = str(data.get("app", ""))
    look = _get_look(desk, member, app)
    with opening_view(desk, principal, passport) as (reader, view):
        vehicle = open_vehicle(reader, view, get_today(desk))
        granted = grant_view(get_office(desk), reader, get_holdings(desk), principal, view.passport, look, app)
    facts: dict[str, Any] = {"app": app, "vehicle": vehicle, "hours": VALID_MS // 3_600_000, "token": granted.token}
    return show(request, desk, principal, "open_in_app.html", look=look, **facts)


@post(
    "/vehicles/{passport:str}/views/{view:str}/end",
    opt={"policy": holder()},
    sync_to_thread=True,
    include_in_schema=False,
)
def end_one_view(
    passport: FromPath[str], view: FromPath[str], data: FormData, desk: TheDesk, principal: ThePrincipal
) -> Redirect:
    """Show it there no more, from the next request on."""
    with opening_view(desk, principal, passport):
        end_view(get_office(desk), principal, view)
    return go(f"/vehicles/{passport}/looks")


def _get_look(desk: Desk, member: str, app: str) -> Look:
    look = find_look_of_member(desk, find_id(Prefix.MEMBER, member))
    if look is None or not look.may_frame(app):
        raise Refused(Reason.NOT_FOUND, "the page that asks for this is not registered by its member")
    return look


ROUTES = [get_frame, open_frame, ask_to_open, let_open, end_one_view]
