"""One form for each kind of entry that a member may write, and the sealing of what was written.

It works without script: a list grows by a button, and what was wrong stands at its input with all else kept. A member
that keeps its own key is handed on to sign (`pages.own_signing`).
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import Member
from carnet.node.reader import Reader
from carnet.passport.kinds import Schema
from carnet.passport.occurred import check_not_future, check_occurred
from carnet.services.access import get_member, may_open
from carnet.services.appending import NewEntry, append, open_passport
from carnet.services.console.forms import Filled, Form, count_rows, fill, list_first_values, make_form, unfill
from carnet.services.console.signing import name_own_keys
from carnet.services.console.vehicles import open_own
from carnet.services.console.writing import KnownPlates, get_basis, get_schema, list_writable
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal, Role
from carnet.types import Basis, Subject
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import Language, load_translations
from carnet.web.pages.doubting import find_own_doubt, name_doubt, say_doubt
from carnet.web.pages.front import FormData
from carnet.web.pages.holding import get_holdings, get_today, note_look, opening_view
from carnet.web.pages.own_signing import show_signing
from carnet.web.pages.sayings import say_fault, say_refusal, say_vin
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.pages.writing_words import list_helps
from carnet.web.policy import staff

WRITERS: Final = staff(Role.ADMIN, Role.CLERK)
OCCASIONS: Final = ("first_registration", "import", "inspection", "service", "sale", "other")
UNLIKE: Final = frozenset({"odometer", "old_odometer", "new_odometer", "note", "report_number", "reference"})
"""What another entry of the same kind does not take over."""

MAX_TEXT: Final = 4_000
_SLUG = re.compile(r"([a-z0-9_.]{3,100})-([1-9]\d{0,3})", re.ASCII)
_PLATE_REASONS: Final = frozenset({Reason.UNKNOWN_PASSPORT, Reason.NOT_ALIAS, Reason.SUBJECT_MISMATCH})
_VEHICLE_REASONS: Final = frozenset({Reason.UNKNOWN_PASSPORT, Reason.ERASED, Reason.WRONG_CHAIN})


class Written(NamedTuple):
    """A form that was sent: what its inputs held, the vehicle and the day if they are good, the fields, the errors by
    input in words."""

    values: dict[str, str]
    subject: Subject | None
    day: str
    filled: Filled
    errors: dict[str, str]


class Known(NamedTuple):
    """Who writes, on what ground, and by which form."""

    member: Member
    basis: Basis
    schema: Schema
    form: Form


def make_slug(kind: str) -> str:
    """A kind as it stands in an address: `vehicle.odometer-1`."""
    return kind.replace("/", "-")


def read_slug(slug: str) -> str:
    """The kind of an address. Raises Refused(NOT_FOUND)."""
    found = _SLUG.fullmatch(slug)
    if found is None:
        raise Refused(Reason.NOT_FOUND, "there is no such kind of entry")
    return f"{found[1]}/{found[2]}"


@get("/console/write", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def choose_kind(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """What to write: the kinds that the member is accredited for."""
    with desk.reading() as reader:
        member = get_member(reader.state, principal)
        basis = get_basis(member, desk.door.node_id)
        kinds = [(make_slug(kind), kind) for kind in list_writable(reader.state, member, basis)]
    vehicle = request.query_params.get("vehicle", "")[:100]
    return show(request, desk, principal, "console/kinds.html", kinds=kinds, member=member.name, vehicle=vehicle)


@get("/console/write/{slug:str}", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def ask_for_entry(slug: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The form of a kind; with `?like=` begun as an own entry of that kind was."""
    with desk.reading() as reader:
        known = find_known(desk, reader, principal, read_slug(slug))
    values = list_first_values(known.form) | {"day": get_today(desk).isoformat()}
    values["vehicle"] = request.query_params.get("vehicle", "")[:100]
    values |= _begin_like(desk, principal, known, request.query_params.get("like", ""))
    values["once"] = desk.random_bytes(16).hex()
    return show_form(request, desk, principal, known, values)


@post("/console/write/{slug:str}", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def write_entry(
    slug: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Seal it, and show its receipt; or the form again, with one row more or with what was wrong."""
    language = find_reader_language(request, desk)
    values = read_values(data)
    with desk.reading() as reader:
        known = find_known(desk, reader, principal, read_slug(slug))
        written = read_written(desk, reader, known, language, values)
    added = str(data.get("more", ""))[:80]
    if added:
        return show_form(request, desk, principal, known, values, added=added)
    if written.errors or written.subject is None:
        return show_form(request, desk, principal, known, values, errors=written.errors)
    new = make_new(known, written)
    doubt = find_own_doubt(desk, principal, known.member.id, written.subject, written.day, written.filled.fields)
    sure = "" if doubt is None else name_doubt(doubt, written.subject, written.day, written.filled.fields)
    if doubt is not None and values.get("sure") != sure:
        told = say_doubt(language, doubt)
        return show_form(request, desk, principal, known, values | {"sure": sure}, doubt=told)
    if known.basis == Basis.OWN_KEY:
        return _hand_on(request, desk, principal, known, written, new)
    try:
        return _seal(desk, principal, known, written, new)
    except Refused as refused:
        may = refused.reason is Reason.UNKNOWN_PASSPORT and may_open(desk.door.state, principal)
        if may and not values.get("occasion"):
            return show_form(request, desk, principal, known, values | {"occasion": "?"}, is_opening=True)
        errors, problem = place_refusal(language, refused)
        return show_form(request, desk, principal, known, values, errors=errors, problem=problem)


def find_known(desk: Desk, reader: Reader, principal: Principal, kind: str) -> Known:
    """Who writes, and by which form. Raises Refused(NOT_FOUND) for a kind that this member has no form for."""
    member = get_member(reader.state, principal)
    basis = get_basis(member, desk.door.node_id)
    if kind not in list_writable(reader.state, member, basis):
        raise Refused(Reason.NOT_FOUND, "there is no such form for your organisation")
    schema = get_schema(reader, kind)
    return Known(member, basis, schema, make_form(schema))


def read_values(data: dict[str, Any]) -> dict[str, str]:
    """What the inputs of a form held; of a name that came twice, the last."""
    return {
        str(name): str(value[-1] if isinstance(value, list) and value else value)[:MAX_TEXT].strip()
        for name, value in data.items()
        if name not in ("form_token", "more")
    }


def read_written(
    desk: Desk, reader: Reader, known: Known, language: Language, values: dict[str, str], subject: Subject | None = None
) -> Written:
    """What a form says, and what is wrong with it. With `subject` the vehicle is known already."""
    _ = load_translations(language).gettext
    errors = {}
    day = values.get("day", "")
    try:
        occurred = check_occurred({"at": day or None, "precision": "day", "zone": None})
        check_not_future(occurred, desk.clock())
    except Refused as refused:
        errors["day"] = say_fault(language, refused)
    if subject is None:
        try:
            if not values.get("vehicle"):
                raise Refused(Reason.MISSING_FIELD, "a VIN or a plate")
            subject = get_plates(desk).find_vehicle(reader, values["vehicle"], day)
        except Refused as refused:
            is_missing = refused.reason is Reason.MISSING_FIELD and not values.get("vehicle")
            errors["vehicle"] = _("This is needed.") if is_missing else say_vehicle(language, refused)
    # For judging the fields alone a vehicle that is not known yet stands in.
    about = Subject("unknown", "x") if subject is None else subject
    common = {"occurred": _occurred(day if "day" not in errors else "2000-01-01"), "subject": about.to_json()}
    filled = fill(known.schema, known.form, values, common)
    errors |= {name: say_fault(language, fault) for name, fault in filled.errors.items() if name not in errors}
    return Written(values, subject, day, filled, errors)


def make_new(known: Known, written: Written, corrects: bytes | None = None) -> NewEntry:
    """The entry of a form without errors."""
    return NewEntry(
        kind=known.schema.kind, occurred=_occurred(written.day), fields=written.filled.fields, corrects=corrects
    )


def place_refusal(language: Language, refused: Refused) -> tuple[dict[str, str], str | None]:
    """Where a refusal of the sealing is told: at an input, or above the form."""
    _ = load_translations(language).gettext
    if refused.reason in _VEHICLE_REASONS:
        text = _(
            "This vehicle has no passport here, and your organisation opens none. A dealer or an inspection centre can."
        )
        return {"vehicle": text}, None
    if refused.reason is Reason.TIME_IN_FUTURE:
        return {"day": say_fault(language, refused)}, None
    return {}, say_refusal(language, refused)


def show_form(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    known: Known,
    values: dict[str, str],
    *,
    errors: dict[str, str] | None = None,
    problem: str | None = None,
    doubt: str | None = None,
    added: str = "",
    is_opening: bool = False,
    corrects: Any = None,
    action: str | None = None,
) -> Response[str]:
    """The form with what was written, one row more in the list `added`, and the cursor where it is needed."""
    language = find_reader_language(request, desk)
    rows = count_rows(known.form, values)
    if added in rows:
        rows[added] = min(rows[added] + 1, 20)
    is_faulty = errors is not None or problem is not None
    facts: dict[str, Any] = {
        "action": action or f"/console/write/{make_slug(known.schema.kind)}",
        "added": f"{added}.{rows[added] - 1}" if added in rows else "",
        "corrects": corrects,
        "doubt": doubt,
        "errors": errors or {},
        "form": known.form,
        "helps": list_helps(language),
        "is_opening": is_opening or bool(values.get("occasion")),
        "is_own": known.basis == Basis.OWN_KEY,
        "kind": known.schema.kind,
        "member": known.member.name,
        "occasions": OCCASIONS,
        "own_keys": name_own_keys(known.member),
        "problem": problem,
        "rows": rows,
        "today": get_today(desk).isoformat(),
        "values": values,
    }
    return show(request, desk, principal, "console/write.html", 422 if is_faulty else 200, **facts)


def get_plates(desk: Desk) -> KnownPlates:
    """The plates that this worker knows."""
    found: KnownPlates = desk.shelf.setdefault("plates", KnownPlates(desk.door, desk.clock))
    return found


def _seal(desk: Desk, principal: Principal, known: Known, written: Written, new: NewEntry) -> Redirect:
    """Open the passport if that was asked for, seal the entry, and go to it. What was sent twice is sealed once."""
    subject, once = written.subject, written.values.get("once", "")
    seed = f"console {principal.account} {once}".encode() if re.fullmatch(r"[0-9a-f]{32}", once) else None
    now = desk.clock()
    if subject is not None and written.values.get("occasion") in OCCASIONS:
        with desk.reading() as reader:
            if reader.find_subject(subject) is None:
                occasion = written.values["occasion"]
                open_passport(desk.door, reader, principal, subject, occasion, now, seed and seed + b" opening")
    with desk.reading() as reader:
        sealed = append(
            desk.door, reader, get_holdings(desk), principal, new, passport=None, subject=subject, now=now, seed=seed
        )
    return go(f"/console/vehicles/{sealed.passport}/entries/{sealed.seq}?sealed")


def _hand_on(
    request: AnyRequest, desk: Desk, principal: Principal, known: Known, written: Written, new: NewEntry
) -> Response[str]:
    language = find_reader_language(request, desk)
    try:
        return show_signing(request, desk, principal, new, written.subject, digest=written.values.get("key", ""))
    except Refused as refused:
        errors, problem = place_refusal(language, refused)
        return show_form(request, desk, principal, known, written.values, errors=errors, problem=problem)


def _begin_like(desk: Desk, principal: Principal, known: Known, like: str) -> dict[str, str]:
    """What another entry takes over from an own one, `pas_….seq`: all but the vehicle, the reading and its own
    numbers."""
    name, _, seq = like.partition(".")
    if find_id(Prefix.PASSPORT, name) is None or not re.fullmatch(r"\d{1,9}", seq, re.ASCII):
        return {}
    try:
        with opening_view(desk, principal, name) as (reader, view):
            entry = open_own(reader, view).find(int(seq))
            if entry is not None:
                note_look(desk, principal, reader, view, [entry.entry.kind])
    except Refused:
        return {}
    if entry is None or entry.entry.kind != known.schema.kind:
        return {}
    fields = entry.entry.fields
    unit = {f"{stem}_unit": "mi" for stem in ("odometer",) if isinstance(fields.get(f"{stem}_mi"), int)}
    return unit | unfill(known.form, fields, UNLIKE)


def _occurred(day: str) -> dict[str, Any]:
    return {"at": day, "precision": "day", "zone": None}


def say_vehicle(language: Language, refused: Refused) -> str:
    """What is wrong with a vehicle that a clerk named."""
    _ = load_translations(language).gettext
    if refused.reason is Reason.WRITER_BUSY:
        return _("The plates are being read for the first time: try again in a minute, or give the VIN.")
    if refused.reason in _PLATE_REASONS:
        return _("No passport here had this plate on that day: look at both, or give the VIN.")
    return say_vin(language, refused)


ROUTES = [choose_kind, ask_for_entry, write_entry]
