"""The passports of the one who asks: opened through the reading door, for today."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

from litestar import Response

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services.access import Holdings, NoHoldings, View, get_view
from carnet.services.entries import Entry
from carnet.services.journaling import find_access, record_access
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal
from carnet.services.proving import CENSUS_PAUSE_MS, Proved, prove
from carnet.services.vehicles import KeptVehicles, Vehicle, open_vehicle
from carnet.web.desk import Desk
from carnet.web.kept import Answer, get_kept, make_answer
from carnet.web.made import Made
from carnet.web.pages.showing import AnyRequest, make_frame
from carnet.web.rendering import render

TOKEN_PLACE: Final = "the token of this form stands here"


def get_holdings(desk: Desk) -> Holdings:
    """Who holds what, as the service of accounts says; nobody anything where there is none."""
    found: Holdings = desk.shelf.get("holdings") or NoHoldings()
    return found


def get_today(desk: Desk) -> date:
    """Today, in UTC."""
    return datetime.fromtimestamp(desk.clock() / 1000, UTC).date()


def open_held(desk: Desk, reader: Reader, principal: Principal, passport: bytes) -> Vehicle:
    """A vehicle that the caller holds. Raises Refused(UNKNOWN_PASSPORT) for any other, as if it did not exist."""
    kept: KeptVehicles = desk.shelf.setdefault("vehicles", KeptVehicles())
    return kept.open(reader, get_view(reader, get_holdings(desk), principal, passport), get_today(desk))


@contextmanager
def opening(desk: Desk, principal: Principal, name: str) -> Iterator[tuple[Reader, Vehicle]]:
    """The vehicle that an address names, with the reader that sees it."""
    with opening_view(desk, principal, name) as (reader, view):
        kept: KeptVehicles = desk.shelf.setdefault("vehicles", KeptVehicles())
        yield reader, kept.open(reader, view, get_today(desk))


@contextmanager
def opening_view(desk: Desk, principal: Principal, name: str) -> Iterator[tuple[Reader, View]]:
    """What the caller may see of the passport that an address names, with the reader that sees it. Raises
    Refused(NOT_FOUND) for no name of a passport, UNKNOWN_PASSPORT."""
    passport = find_id(Prefix.PASSPORT, name)
    if passport is None:
        raise Refused(Reason.NOT_FOUND, "there is nothing at this address, or nothing that you may see")
    with desk.reading() as reader:
        yield reader, get_view(reader, get_holdings(desk), principal, passport)


def show_held(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    name: str,
    template: str,
    list_facts: Callable[[Vehicle, AnyRequest, Desk], dict[str, Any]],
    **facts: Any,
) -> Response[bytes]:
    """A page about a vehicle and nothing else: drawn once, and kept by this worker as long as nothing that it was
    made from is different (`web.kept`). The token of its forms is put in for each reader."""
    frame, cookies = make_frame(request, desk, principal)
    with opening_view(desk, principal, name) as (reader, view):
        today = get_today(desk)
        query = request.scope["query_string"].decode("latin-1")
        worn = "" if frame.look is None else f"{frame.look.public_id} {frame.look.changed_at}"
        address = f"{frame.path}?{query} {frame.language} {frame.theme} {today} {worn}"

        def draw() -> Answer:
            vehicle = open_vehicle(reader, view, today)
            drawn = replace(frame, form_token=TOKEN_PLACE)
            page = render(template, drawn, vehicle=vehicle, **list_facts(vehicle, request, desk), **facts)
            return make_answer(page.encode())

        made = get_kept(desk).get(view, address, reader.find_fingerprint(view.passport), draw)
    body = made.body.replace(TOKEN_PLACE.encode(), frame.form_token.encode())
    return Made(body, 200, "text/html", cookies=cookies)


def note_look(
    desk: Desk, principal: Principal, reader: Reader, view: View, kinds: list[str], action: str = "read"
) -> None:
    """Seal in the holder's journal that the member looked at its own entries of these kinds."""
    access = find_access(principal, view, kinds, len(kinds), action=action, purpose="own entries")
    if access is not None:
        record_access(desk.door, reader, access, desk.clock())


def prove_patiently(desk: Desk, reader: Reader, view: View, entry: bytes | None = None) -> Proved:
    """The proof of what the view shows, or of one entry (its sid). A census may have been taken a moment ago, for
    whomsoever, and the next one comes in a second: a person is spared the asking. Raises Refused as `prove`."""
    try:
        return prove(desk.door, reader, view, desk.clock(), entry=entry)
    except Refused as refused:
        if refused.reason is not Reason.NOTHING_SEALED or not refused.could_retry:
            raise
    time.sleep(CENSUS_PAUSE_MS / 1000)
    return prove(desk.door, reader, view, desk.clock(), entry=entry)


def get_entry(vehicle: Vehicle, seq: int) -> Entry:
    """The entry at a place. Raises Refused(NOT_FOUND)."""
    entry = vehicle.get_entry(seq)
    if entry is None:
        raise Refused(Reason.NOT_FOUND, "this passport has no such entry")
    return entry
