"""The holder's vehicles: one card each, and a vehicle claimed with a code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from litestar import Response, get, post
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.passport.subject import parse_subject
from carnet.services.access import get_view
from carnet.services.accounts.office import Office
from carnet.services.claims import is_vehicle, list_contests
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal
from carnet.services.vehicles import Vehicle
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import load_translations
from carnet.web.pages.front import FormData
from carnet.web.pages.holding import get_holdings, open_held
from carnet.web.pages.sayings import say_refusal, say_vin
from carnet.web.pages.showing import AnyRequest, find_part, find_reader_language, go, show
from carnet.web.policy import holder

CARDS: Final = 24
"""Vehicles on one page."""

Claim: TypeAlias = Callable[[Reader, Principal, str, str, str], tuple[bytes, bool]]
"""(reader, principal, the caller's address, code, vehicle) → the passport, and whether it is held now, else
contested."""


@get("/vehicles", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def list_vehicles(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Every vehicle that the account holds."""
    return show_vehicles(request, desk, principal)


def show_vehicles(request: AnyRequest, desk: Desk, principal: Principal) -> Response[str]:
    """The page of all vehicles of a holder, at whichever address."""
    claimed = _list_claimed(desk, principal)
    # What somebody else claims comes first, so that it is on the first page.
    held = sorted(get_holdings(desk).list_held(str(principal.account)), key=lambda chain: chain.hex() not in claimed)
    part = find_part(request, len(held), CARDS)
    with desk.reading() as reader:
        shown = held[part.begin : part.end]
        vehicles = [vehicle for chain in shown if (vehicle := _find(desk, reader, principal, chain)) is not None]
    _ = load_translations(find_reader_language(request, desk)).gettext
    said = {
        "contested": _("The claim is with the operator: whoever holds the passport now was told."),
        "given-up": _("This passport is in your name no more. What was certified stays in it."),
    }
    done = next((said[name] for name in said if name in request.query_params), None)
    facts: dict[str, Any] = {"vehicles": vehicles, "claimed": claimed, "done": done, "part": part}
    return show(request, desk, principal, "vehicles.html", **facts)


@get("/vehicles/add", opt={"policy": holder()}, sync_to_thread=False, include_in_schema=False)
def ask_for_vehicle(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The form: which vehicle, and the code."""
    return show_form(request, desk, principal)


def show_form(request: AnyRequest, desk: Desk, principal: Principal) -> Response[str]:
    """The empty form, at whichever address."""
    values = {"vehicle": request.query_params.get("vehicle", ""), "code": ""}
    return show(request, desk, principal, "add.html", values=values, errors={}, problem=None)


@post("/vehicles/add", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def add_vehicle(
    data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Claim it, and go to it; or the form again with what was wrong."""
    return take_form(data, request, desk, principal)


def take_form(
    data: dict[str, Any], request: AnyRequest, desk: Desk, principal: Principal, base: str = ""
) -> Response[str] | Redirect:
    """What the form brought; `base` stands before the address of the vehicle."""
    language = find_reader_language(request, desk)
    _ = load_translations(language).gettext
    values = {name: str(data.get(name, "")).strip() for name in ("vehicle", "code")}
    errors = {name: _("This is needed.") for name, value in values.items() if not value}
    problem = None
    if "vehicle" not in errors:
        try:
            parse_subject(values["vehicle"])
        except Refused as refused:
            errors["vehicle"] = say_vin(language, refused)
    if not errors:
        try:
            return _claim(request, desk, principal, values, base)
        except Refused as refused:
            held = _find_held(desk, principal, values["vehicle"]) if refused.reason is Reason.CODE_NOT_VALID else None
            if held is not None:
                # The form was sent twice: the first has used the code up.
                return go(f"{base}/vehicles/{format_name(Prefix.PASSPORT, held)}?new")
            if refused.reason is Reason.CODE_NOT_VALID:
                errors["code"] = _("This code is not in force for this vehicle: compare both with your paper.")
            elif refused.reason is Reason.TOO_MANY_REQUESTS:
                raise
            else:
                problem = say_refusal(language, refused)
    # What was typed as the code is not sent back.
    values["code"] = ""
    return show(request, desk, principal, "add.html", 422, values=values, errors=errors, problem=problem)


def _claim(request: AnyRequest, desk: Desk, principal: Principal, values: dict[str, str], base: str) -> Redirect:
    claim = cast("Claim | None", desk.shelf.get("claim"))
    if claim is None:
        raise Refused(Reason.NOT_PERMITTED, "this node gives out no codes")
    address = "" if request.client is None else request.client.host
    with desk.reading() as reader:
        passport, is_held = claim(reader, principal, address, values["code"], values["vehicle"])
    place = f"{format_name(Prefix.PASSPORT, passport)}?new" if is_held else ""
    return go(f"{base}/vehicles/{place}" if is_held else f"{base}/vehicles?contested")


def _find_held(desk: Desk, principal: Principal, vehicle: str) -> bytes | None:
    """The passport of a VIN or plate among those that the caller holds."""
    with desk.reading() as reader:
        for passport in get_holdings(desk).list_held(principal.account or ""):
            try:
                view = get_view(reader, get_holdings(desk), principal, passport)
            except Refused:
                continue
            if is_vehicle(reader, view.passport, vehicle):
                return view.passport
    return None


def _list_claimed(desk: Desk, principal: Principal) -> frozenset[str]:
    """The caller's passports (hexadecimal) that somebody else claims, and to which the caller has not objected yet."""
    office = desk.shelf.get("office")
    if not isinstance(office, Office):
        return frozenset()
    contests = list_contests(office, principal)
    return frozenset(one.passport.hex() for one in contests if one.state == "open" and one.holder == principal.account)


def _find(desk: Desk, reader: Reader, principal: Principal, chain: bytes) -> Vehicle | None:
    """The vehicle; None for one that was erased, or that changed hands a moment ago."""
    try:
        return open_held(desk, reader, principal, chain)
    except Refused as refused:
        if refused.reason not in (Reason.UNKNOWN_PASSPORT, Reason.ERASED):
            raise
        return None


ROUTES = [list_vehicles, ask_for_vehicle, add_vehicle]
