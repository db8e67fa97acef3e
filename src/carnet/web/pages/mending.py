"""What a member does about an own entry that was wrong or is contested: correct it, withdraw it, or answer.

Nothing that is sealed is changed: each of the three is an entry of its own, with its mark. Source: docs/spec 2.8, 2.9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.services.access import get_member
from carnet.services.appending import NewEntry, append
from carnet.services.console.forms import make_form, unfill
from carnet.services.console.vehicles import OwnEntryOpened, OwnVehicle
from carnet.services.console.writing import get_basis, get_schema
from carnet.services.declaring import CONTESTED
from carnet.services.principals import Principal, Role
from carnet.types import Basis, Subject
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import load_translations
from carnet.web.pages.doubting import find_own_doubt, name_doubt, say_doubt
from carnet.web.pages.front import FormData
from carnet.web.pages.holding import get_holdings, get_today, note_look
from carnet.web.pages.once import compute_seed, make_once
from carnet.web.pages.own import ENTRY, WITHDRAWALS, get_own, list_entry_facts, opening_own
from carnet.web.pages.own_signing import show_signing
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.pages.writing import Known, make_new, place_refusal, read_values, read_written, show_form
from carnet.web.policy import staff
from carnet.web.wording import get_wording

WRITERS: Final = staff(Role.ADMIN, Role.CLERK)
WITHDRAWN: Final = "passport.corrected/1"


@get(f"{ENTRY}/correct", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def ask_for_correction(
    passport: FromPath[str], seq: FromPath[int], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str]:
    """The form of an own entry, filled with what it says now."""
    vehicle, one, known = _open(desk, principal, passport, seq)
    values = unfill(known.form, one.entry.fields) | {"day": one.entry.day or "", "once": desk.random_bytes(16).hex()}
    return _show(request, desk, principal, vehicle, one, known, values)


@post(f"{ENTRY}/correct", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def correct_entry(
    passport: FromPath[str],
    seq: FromPath[int],
    data: FormData,
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Response[str] | Redirect:
    """Seal what takes its place; or the form again with what was wrong."""
    if _is_over(desk, principal, passport, seq):
        return _tell_over(request, desk, principal, passport, seq)
    vehicle, one, known = _open(desk, principal, passport, seq)
    language = find_reader_language(request, desk)
    values = read_values(data)
    # The vehicle is the entry's own: a correction about another one is a withdrawal and a new entry.
    subject = Subject(**one.entry.fields["subject"])
    with desk.reading() as reader:
        written = read_written(desk, reader, known, language, values, subject)
    added = str(data.get("more", ""))[:80]
    if added or written.errors:
        errors = None if added else written.errors
        return _show(request, desk, principal, vehicle, one, known, values, errors=errors, added=added)
    fields = written.filled.fields
    doubt = find_own_doubt(desk, principal, known.member.id, subject, written.day, fields, besides=seq)
    sure = "" if doubt is None else name_doubt(doubt, subject, written.day, fields)
    if doubt is not None and values.get("sure") != sure:
        told = say_doubt(language, doubt)
        return _show(request, desk, principal, vehicle, one, known, values | {"sure": sure}, doubt=told)
    new = make_new(known, written, bytes.fromhex(one.entry.statement))
    if written.day == one.entry.day:
        # The hour that a file gave is not in the form, and stays.
        new = msgspec.structs.replace(new, occurred=one.entry.fields["occurred"])
    try:
        seed = compute_seed(desk, principal, f"corrected {passport}.{seq}", data)
        return _seal(request, desk, principal, vehicle, new, "corrected", values.get("key", ""), seed=seed)
    except Refused as refused:
        errors, problem = place_refusal(language, refused)
        return _show(request, desk, principal, vehicle, one, known, values, errors=errors, problem=problem)


@post(f"{ENTRY}/withdraw", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def withdraw_entry(
    passport: FromPath[str],
    seq: FromPath[int],
    data: FormData,
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Response[str] | Redirect:
    """Take an own entry back, with the reason."""

    def make(one: OwnEntryOpened, values: dict[str, str]) -> NewEntry:
        reason = values.get("reason", "")
        if reason not in WITHDRAWALS:
            raise Refused(Reason.NOT_IN_LIST, f"the reason is one of {', '.join(WITHDRAWALS)}")
        fields = {"reason": reason} | ({"note": " ".join(values["note"].split())} if values.get("note") else {})
        return NewEntry(
            kind=WITHDRAWN, occurred=_today(desk), fields=fields, corrects=bytes.fromhex(one.entry.statement)
        )

    return _speak(request, desk, principal, passport, seq, data, make, "withdrawn")


@post(f"{ENTRY}/answer", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def answer_objection(
    passport: FromPath[str],
    seq: FromPath[int],
    data: FormData,
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Response[str] | Redirect:
    """Contest an objection to an own entry: both stay visible, and whoever reads them judges."""

    def make(one: OwnEntryOpened, values: dict[str, str]) -> NewEntry:
        objection = next((each for each in one.objections if str(each.seq) == values.get("objection")), None)
        note = " ".join(values.get("note", "").split())
        if objection is None or not note:
            raise Refused(Reason.MISSING_FIELD, "say in a few words why the entry is right")
        return NewEntry(
            kind=CONTESTED,
            occurred=_today(desk),
            fields={"reason": "other", "note": note},
            contests=bytes.fromhex(objection.statement),
        )

    return _speak(request, desk, principal, passport, seq, data, make, "answered")


def _speak(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    passport: str,
    seq: int,
    data: dict[str, Any],
    make: Callable[[OwnEntryOpened, dict[str, str]], NewEntry],
    done: str,
) -> Response[str] | Redirect:
    """Seal what a form says about an own entry, and go back to it; or its page again with what was refused."""
    if _is_over(desk, principal, passport, seq):
        return _tell_over(request, desk, principal, passport, seq)
    with opening_own(desk, principal, passport) as (_, _view, vehicle):
        one = get_own(vehicle, seq)
    values = read_values(data)
    try:
        new = make(one, values)
        # The same said twice is one entry: a double click of who answers must not stand in the passport for good.
        seed = compute_seed(desk, principal, f"{done} {passport}.{seq}", data)
        return _seal(request, desk, principal, vehicle, new, done, values.get("key", ""), back=seq, seed=seed)
    except Refused as refused:
        told = say_refusal(find_reader_language(request, desk), refused)
        return _show_entry(request, desk, principal, passport, seq, told)


def _is_over(desk: Desk, principal: Principal, passport: str, seq: int) -> bool:
    """Whether another entry has taken this own one's place already, maybe a moment ago by the same form."""
    with opening_own(desk, principal, passport) as (_, _view, vehicle):
        return get_own(vehicle, seq).entry.superseded_by is not None


def _tell_over(request: AnyRequest, desk: Desk, principal: Principal, passport: str, seq: int) -> Response[str]:
    _ = load_translations(find_reader_language(request, desk)).gettext
    told = _("This entry was corrected or withdrawn already: nothing more was sealed. See what takes its place.")
    return _show_entry(request, desk, principal, passport, seq, told)


def _open(desk: Desk, principal: Principal, passport: str, seq: int) -> tuple[OwnVehicle, OwnEntryOpened, Known]:
    """An own entry that can be corrected, and its form. Raises Refused(NOT_FOUND) for another."""
    with opening_own(desk, principal, passport) as (reader, view, vehicle):
        one = get_own(vehicle, seq)
        member = get_member(reader.state, principal)
        if not list_entry_facts(desk, reader, principal, vehicle, one)["is_correctable"]:
            raise Refused(Reason.NOT_FOUND, "this entry cannot be corrected here, or was corrected already")
        note_look(desk, principal, reader, view, [one.entry.kind])
        schema = get_schema(reader, one.entry.kind)
        return vehicle, one, Known(member, get_basis(member, desk.door.node_id), schema, make_form(schema))


def _seal(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    vehicle: OwnVehicle,
    new: NewEntry,
    done: str,
    key: str,
    back: int | None = None,
    seed: bytes | None = None,
) -> Response[str] | Redirect:
    """Seal it, or hand it on to be signed; then to the new entry, or `back` to the one that it is about."""
    passport = bytes.fromhex(vehicle.passport)
    with desk.reading() as reader:
        is_own = get_basis(get_member(reader.state, principal), desk.door.node_id) == Basis.OWN_KEY
    if is_own:
        return show_signing(request, desk, principal, new, None, passport=passport, digest=key)
    with desk.reading() as reader:
        sealed = append(
            desk.door, reader, get_holdings(desk), principal, new,
            passport=passport, subject=None, now=desk.clock(), seed=seed,
        )  # fmt: skip
    place = sealed.seq if back is None else back
    return go(f"/console/vehicles/{sealed.passport}/entries/{place}?{done}")


def _show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    vehicle: OwnVehicle,
    one: OwnEntryOpened,
    known: Known,
    values: dict[str, str],
    **more: Any,
) -> Response[str]:
    action = f"/console/vehicles/pas_{vehicle.passport}/entries/{one.entry.seq}/correct"
    values = values | {"once": values.get("once") or make_once(desk)}
    return show_form(request, desk, principal, known, values, corrects=vehicle, action=action, **more)


def _show_entry(
    request: AnyRequest, desk: Desk, principal: Principal, passport: str, seq: int, problem: str
) -> Response[str]:
    """The entry's page again, with why nothing was done."""
    with opening_own(desk, principal, passport) as (reader, view, vehicle):
        one = get_own(vehicle, seq)
        note_look(desk, principal, reader, view, [one.entry.kind])
        facts = list_entry_facts(desk, reader, principal, vehicle, one)
    language = find_reader_language(request, desk)
    facts |= {"done": None, "was_sealed": False, "problem": problem}
    facts["listed"] = get_wording(language).listed(one.entry.kind, one.entry.fields)
    return show(request, desk, principal, "console/entry.html", 422, **facts)


def _today(desk: Desk) -> dict[str, Any]:
    return {"at": get_today(desk).isoformat(), "precision": "day", "zone": None}


ROUTES = [ask_for_correction, correct_entry, withdraw_entry, answer_objection]
