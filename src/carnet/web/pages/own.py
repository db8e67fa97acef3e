"""A member's vehicles: those in whose passports it has written, its own entries with their proofs, and what it does
about one that was wrong or is contested.

A look into a passport that somebody holds is sealed in the holder's journal before the page goes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.passport.kinds import Schema, read_schema
from carnet.services.access import View, get_view
from carnet.services.console.book import OwnEntry, describe_lines, iterate_own
from carnet.services.console.forms import is_faithful, make_form
from carnet.services.console.signing import name_own_keys
from carnet.services.console.vehicles import OwnEntryOpened, OwnVehicle, open_own
from carnet.services.console.writing import get_basis
from carnet.services.entries import Entry
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal
from carnet.types import Mark
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import load_translations
from carnet.web.pages.holding import get_holdings, get_today, note_look, opening_view, prove_patiently
from carnet.web.pages.once import make_once
from carnet.web.pages.showing import AnyRequest, find_look_of_member, find_part, find_reader_language, go, show
from carnet.web.pages.writing import get_plates, make_slug, say_vehicle
from carnet.web.policy import staff
from carnet.web.wording import get_wording

STAFF: Final = staff()
HERE: Final = "/console/vehicles"
ENTRY: Final = f"{HERE}/{{passport:str}}/entries/{{seq:int}}"
RECENT: Final = 200
"""So many of the last entries are looked through for vehicles."""

SHOWN: Final = 30
ENTRIES: Final = 50
"""Own entries on one page of a vehicle."""

DONE: Final = ("sealed", "corrected", "withdrawn", "answered")
_UNFINDABLE: Final = frozenset({Reason.UNKNOWN_PASSPORT, Reason.ERASED, Reason.NOT_ALIAS, Reason.SUBJECT_MISMATCH})


@get(HERE, opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def list_vehicles(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str] | Redirect:
    """Find one by VIN or plate; and those written about last."""
    wanted = request.query_params.get("q", "").strip()[:70]
    error, is_unknown = "", False
    with desk.reading() as reader:
        if wanted:
            try:
                passport = _find(desk, reader, principal, wanted)
                return go(f"{HERE}/{format_name(Prefix.PASSPORT, passport)}")
            except Refused as refused:
                is_unknown = refused.reason in _UNFINDABLE
                error = "" if is_unknown else say_vehicle(find_reader_language(request, desk), refused)
        recent = _list_recent(reader, principal)
    facts: dict[str, Any] = {"wanted": wanted, "error": error, "is_unknown": is_unknown, "recent": recent}
    return show(request, desk, principal, "console/vehicles.html", 422 if error else 200, **facts)


@get(f"{HERE}/{{passport:str}}", opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_vehicle(passport: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The member's own entries in one passport, with what came of them."""
    with opening_own(desk, principal, passport) as (reader, view, vehicle):
        note_look(desk, principal, reader, view, [one.entry.kind for one in vehicle.entries])
        is_coded = any(one.entry.kind in CODED for one in vehicle.entries)
    look = find_look_of_member(desk, principal.member)
    part = find_part(request, len(vehicle.entries), ENTRIES)
    facts: dict[str, Any] = {"vehicle": vehicle, "is_coded": is_coded, "part": part}
    return show(request, desk, principal, "console/vehicle.html", look=look, **facts)


@get(ENTRY, opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_own_entry(
    passport: FromPath[str], seq: FromPath[int], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str]:
    """One own entry: its receipt, all that it says, its proof, and what can be done about it."""
    with opening_own(desk, principal, passport) as (reader, view, vehicle):
        one = get_own(vehicle, seq)
        note_look(desk, principal, reader, view, [one.entry.kind])
        facts = list_entry_facts(desk, reader, principal, vehicle, one)
    language = find_reader_language(request, desk)
    say = load_translations(language).gettext
    done = {
        "sealed": say("It is sealed."),
        "corrected": say("The correction is sealed, and takes the place of the old entry."),
        "withdrawn": say("The entry is withdrawn: it stays visible, struck through."),
        "answered": say("Your answer is sealed beside the objection."),
    }
    facts["done"] = next((done[name] for name in DONE if name in request.query_params), None)
    facts["was_sealed"] = "sealed" in request.query_params
    facts["listed"] = get_wording(language).listed(one.entry.kind, one.entry.fields)
    return show(request, desk, principal, "console/entry.html", **facts)


@get(f"{HERE}/{{passport:str}}/proof", opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_own_proofs(passport: FromPath[str], desk: TheDesk, principal: ThePrincipal) -> Response[bytes]:
    """The proof of all that the member wrote in a passport, as a file."""
    return _prove(desk, principal, passport, None)


@get(f"{ENTRY}/proof", opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_own_proof(
    passport: FromPath[str], seq: FromPath[int], desk: TheDesk, principal: ThePrincipal
) -> Response[bytes]:
    """The proof of one own entry, as a file; the others are counted in it, not shown."""
    return _prove(desk, principal, passport, seq)


@contextmanager
def opening_own(desk: Desk, principal: Principal, name: str) -> Iterator[tuple[Reader, View, OwnVehicle]]:
    """The vehicle that an address names, as the caller's member sees it.

    Raises Refused(NOT_FOUND, UNKNOWN_PASSPORT)."""
    with opening_view(desk, principal, name) as (reader, view):
        yield reader, view, open_own(reader, view)


def get_own(vehicle: OwnVehicle, seq: int) -> OwnEntryOpened:
    """The own entry at a place. Raises Refused(NOT_FOUND)."""
    found = vehicle.find(seq)
    if found is None:
        raise Refused(Reason.NOT_FOUND, "your organisation has no such entry in this passport")
    return found


def list_entry_facts(
    desk: Desk, reader: Reader, principal: Principal, vehicle: OwnVehicle, one: OwnEntryOpened
) -> dict[str, Any]:
    """What the page of an own entry shows, whatever was done before."""
    member = reader.state.members.get(principal.member or b"")
    basis = get_basis(member, desk.door.node_id)
    rights = {kind for kind, its, _ in member.accreditations if its == basis} if member.retired is None else set()
    entry, schema = one.entry, read_schema(reader.kinds[one.entry.kind])
    stands = entry.is_standing and not vehicle.is_closed and entry.basis == basis and entry.seq > 0
    return {
        "entry": entry,
        "is_correctable": stands and not entry.is_erased and entry.kind in rights and _has_form(schema, entry),
        "is_withdrawable": stands and "passport.corrected/1" in rights,
        "is_answerable": not vehicle.is_closed and "passport.contested/1" in rights,
        "once": make_once(desk),
        "one": one,
        "own_keys": name_own_keys(member),
        "reasons": WITHDRAWALS,
        "slug": make_slug(entry.kind),
        "vehicle": vehicle,
    }


CODED: Final = frozenset(
    {
        "passport.opened/1", "vehicle.checkup/1", "vehicle.inspection/1", "vehicle.odometer_replacement/1",
        "vehicle.repair/1", "vehicle.service/1",
    }
)  # fmt: skip
"""Whoever wrote one of these may give out a code for the passport (`services.claims`)."""

WITHDRAWALS: Final = (
    "typing_error", "wrong_vehicle", "wrong_unit", "wrong_date", "duplicate", "did_not_happen", "other",
)  # fmt: skip
"""What was wrong with an entry that is taken back."""


def _has_form(schema: Schema, entry: Entry) -> bool:
    """Whether a form can hold all that the entry says, so that a correction by it loses nothing."""
    is_own_kind = Mark.SUPERSEDES in schema.marks and not entry.kind.startswith("passport.")
    is_dated = entry.day is not None and len(entry.day) == len("YYYY-MM-DD")
    return is_own_kind and is_dated and is_faithful(schema, make_form(schema), entry.fields)


def _find(desk: Desk, reader: Reader, principal: Principal, text: str) -> bytes:
    """The passport of a vehicle that the member has written about. Raises Refused as `find_vehicle` and `get_view`."""
    subject = get_plates(desk).find_vehicle(reader, text, get_today(desk).isoformat())
    passport = reader.find_subject(subject)
    return get_view(reader, get_holdings(desk), principal, passport or bytes(16)).passport


def _list_recent(reader: Reader, principal: Principal) -> list[OwnEntry]:
    """The latest own entry about each of the vehicles written about last."""
    newest: dict[str, OwnEntry] = {}
    for one in describe_lines(reader, list(islice(iterate_own(reader, principal), RECENT))):
        newest.setdefault(one.passport, one)
        if len(newest) == SHOWN:
            break
    return list(newest.values())


def _prove(desk: Desk, principal: Principal, passport: str, seq: int | None) -> Response[bytes]:
    with opening_own(desk, principal, passport) as (reader, view, vehicle):
        entries = vehicle.entries if seq is None else (get_own(vehicle, seq),)
        note_look(desk, principal, reader, view, [one.entry.kind for one in entries], "export")
        only = None if seq is None else bytes.fromhex(entries[0].entry.statement)
        proved = prove_patiently(desk, reader, view, only)
    name = vehicle.passport[:8] + ("" if seq is None else f"-{seq}")
    headers = {"Content-Disposition": f'attachment; filename="{name}.carnet"'}
    return Response(proved.data, media_type="application/octet-stream", headers=headers)


ROUTES = [list_vehicles, get_vehicle, get_own_entry, get_own_proofs, get_own_proof]
