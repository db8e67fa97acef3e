"""One vehicle, section by section; the address of each is the passport's name and a word."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any, Final, TypeAlias

from litestar import Response, get
from litestar.params import FromPath

from carnet.errors import Reason, Refused
from carnet.services.accounts.office import Office
from carnet.services.app_views import list_views
from carnet.services.entries import sort_by_time
from carnet.services.history import GROUPS, list_recent, make_page
from carnet.services.journaling import list_looks
from carnet.services.legal_steps import list_steps
from carnet.services.odometer import find_steps, list_readings, make_charts
from carnet.services.principals import Principal
from carnet.services.titles import list_holder_changes, list_measures, list_titles
from carnet.services.vehicles import BRIEF, INSPECTION, Vehicle, list_plates, list_rubrics, open_vehicle
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import load_translations
from carnet.web.pages.holding import get_today, opening_view, show_held
from carnet.web.pages.showing import AnyRequest, find_part, find_reader_language, show
from carnet.web.policy import holder
from carnet.web.waiting import promptly

Facts: TypeAlias = dict[str, Any]
MAX_LOOKS: Final = 200
READINGS: Final = 40
"""Readings in the table of one page."""

DRAWN: Final = 200
"""The newest readings, which the chart draws: a page is light whatever a passport holds."""

"""The page shows the newest; the API has all of them."""


@get("/vehicles/{passport:str}", opt={"policy": holder()}, include_in_schema=False)
async def get_summary(
    passport: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[bytes]:
    """What the holder came for: the state of the passport, what comes next, who has access, the latest events."""
    return await promptly(show_section, request, desk, principal, passport, "")


@get("/vehicles/{passport:str}/{section:str}", opt={"policy": holder()}, include_in_schema=False)
async def get_section(
    passport: FromPath[str], section: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[bytes]:
    """One of the other sections."""
    return await promptly(show_section, request, desk, principal, passport, section)


def show_section(request: AnyRequest, desk: Desk, principal: Principal, passport: str, section: str) -> Response[bytes]:
    """A section of a vehicle that the caller holds, at whichever address. Raises Refused(NOT_FOUND)."""
    found = SECTIONS.get(section)
    if found is None:
        raise Refused(Reason.NOT_FOUND, "there is nothing at this address, or nothing that you may see")
    template, list_facts = found
    page = f"vehicle/{template}.html"
    return show_held(request, desk, principal, passport, page, list_facts, section=f"/{section}" if section else "")


@get("/vehicles/{passport:str}/looks", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def get_looks(passport: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Who looked at the vehicle. It is not kept: the journal grows while the passport stays as it is."""
    with opening_view(desk, principal, passport) as (reader, view):
        vehicle, looks = open_vehicle(reader, view, get_today(desk)), list_looks(reader, view)
        office = desk.shelf.get("office")
        views = list_views(office, principal, view.passport) if isinstance(office, Office) else []
        names = {one.member: reader.state.members.get(one.member).name for one in views}
    _ = load_translations(find_reader_language(request, desk)).gettext
    facts: dict[str, Any] = {
        "vehicle": vehicle,
        "section": "/looks",
        "heading": _("Who looked"),
        "looks": looks[:MAX_LOOKS],
        "views": views,
        "names": names,
    }
    return show(request, desk, principal, "vehicle/looks.html", **facts)


def _summary(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    say = load_translations(find_reader_language(request, desk)).gettext
    return {
        "brief": [(code, datum) for code, datum in list_rubrics(vehicle.entries) if datum.name in BRIEF],
        "done": say("This passport is yours now.") if "new" in request.query_params else None,
        "recent": list_recent(vehicle.entries),
    }


def _vehicle(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    rubrics = list_rubrics(vehicle.entries)
    by_entry = sorted(rubrics, key=lambda one: -one[1].entry.seq)
    groups = [
        (some[0][1].entry, some) for _, run in groupby(by_entry, lambda one: one[1].entry.seq) if (some := list(run))
    ]
    return {"groups": groups, "plates": list_plates(vehicle.entries)}


def _holder(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    return {"changes": list_holder_changes(vehicle.entries)}


def _status(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    return {"measures": list_measures(vehicle.entries), "titles": list_titles(vehicle.entries)}


def _history(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    chosen = [group for group in GROUPS if group in request.query_params.getall("group", [])]
    after = request.query_params.get("after", "0")
    page = make_page(
        vehicle.entries, chosen, int(after) if after.isascii() and after.isdigit() and len(after) < 7 else 0
    )
    names = list_group_names(request, desk)
    return {"chosen": chosen, "groups": names, "page": page, "query": "".join(f"group={one}&" for one in chosen)}


def list_group_names(request: AnyRequest, desk: Desk) -> list[tuple[str, str]]:
    """The groups of kinds that a reader can choose, each with its name."""
    _ = load_translations(find_reader_language(request, desk)).gettext
    names = {
        "odometer": _("Odometer"),
        "inspections": _("Inspections"),
        "upkeep": _("Servicing"),
        "repairs": _("Repairs"),
        "damage": _("Accidents"),
        "title": _("Title"),
        "contracts": _("Contracts"),
        "declared": _("Declared by the holder"),
        "passport": _("The passport itself"),
    }
    return [(group, names[group]) for group in GROUPS]


def _inspections(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    found = [entry for entry in vehicle.entries if entry.kind == INSPECTION]
    return {"inspections": sort_by_time(found, is_newest_first=True)}


def _odometer(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    judged = [entry for entry in vehicle.entries if entry.kind == "vehicle.odometer_judgement/1" and entry.counts]
    return {"judgements": judged, **list_reading_facts(vehicle, request)}


def list_reading_facts(vehicle: Vehicle, request: AnyRequest) -> Facts:
    """What the charts and the table of readings show."""
    readings = list_readings(vehicle.entries)
    part = find_part(request, len(readings), READINGS)
    return {
        "charts": make_charts(readings[-DRAWN:]),
        "drawn": None if len(readings) <= DRAWN else DRAWN,
        "part": part,
        "readings": readings[::-1][part.begin : part.end],
        "steps": find_steps(readings),
    }


def _contracts(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    return {"contracts": vehicle.contracts}


def _procedures(vehicle: Vehicle, request: AnyRequest, desk: Desk) -> Facts:
    return {"steps": list_steps(vehicle.entries, vehicle.today)}


SECTIONS: Final[dict[str, tuple[str, Callable[[Vehicle, AnyRequest, Desk], Facts]]]] = {
    "": ("summary", _summary),
    "vehicle": ("identity", _vehicle),
    "holder": ("holder", _holder),
    "status": ("status", _status),
    "history": ("history", _history),
    "inspections": ("inspections", _inspections),
    "odometer": ("odometer", _odometer),
    "contracts": ("contracts", _contracts),
    "procedures": ("procedures", _procedures),
}
"""Each section's word in the address: its template, and what that shows."""

ROUTES = [get_summary, get_looks, get_section]
