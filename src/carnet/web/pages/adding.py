"""What the holder adds: the choice of what, the form, the file that goes with it, and a declaration corrected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services import attachments
from carnet.services.appending import append
from carnet.services.declaring import DECLARED, TYPES, Addition, find_same, make_declaration
from carnet.services.documents import list_digests, list_documents
from carnet.services.entries import Entry
from carnet.services.principals import Principal
from carnet.services.vehicles import Vehicle
from carnet.vault.attachments import SALT_BYTES
from carnet.vault.people.store import PeopleStore
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import Language, load_translations
from carnet.web.pages.holding import get_entry, get_holdings, opening
from carnet.web.pages.once import compute_seed, make_once
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.policy import holder
from carnet.web.wording import get_wording

MAX_FORM_BYTES: Final = 32 * 1024 * 1024
"""Far more than a file may have, so that what was typed beside a photo that is too large is read, and given back."""

MAX_WORK: Final = 100
MAX_LINE: Final = 400
BLANK: Final = dict.fromkeys(("day", "title", "odometer", "work", "establishment", "price", "note"), "") | {
    "unit": "km"
}
SEPARATOR: Final = "[ .,'\u2019\u00a0\u202f]"
_READING: Final = re.compile(rf"\d{{1,7}}|\d{{1,3}}(?:{SEPARATOR}\d{{3}}){{1,2}}", re.ASCII)
_PRICE: Final = re.compile(r"(\d{1,9})(?:[.,](\d{1,2}))?", re.ASCII)

Upload = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]


@get("/vehicles/{passport:str}/add", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def ask_for_addition(
    passport: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """What to add; with `?type=`, its form; of a closed passport the page that says so."""
    chosen = request.query_params.get("type")
    with opening(desk, principal, passport) as (_, vehicle):
        if vehicle.status == "closed":
            return go(f"/vehicles/{passport}")
    values = BLANK | {"day": vehicle.today.isoformat()}
    return _show(request, desk, principal, vehicle, chosen if chosen in TYPES else None, values)


@post(
    "/vehicles/{passport:str}/add",
    opt={"policy": holder()},
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=MAX_FORM_BYTES,
)
def add(
    passport: FromPath[str], data: Upload, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Seal it, and go to the entry; or the form again with what was wrong."""
    return _take(passport, None, data, request, desk, principal)


@get(
    "/vehicles/{passport:str}/entries/{seq:int}/correct",
    opt={"policy": holder()},
    sync_to_thread=True,
    include_in_schema=False,
)
def ask_for_correction(
    passport: FromPath[str], seq: FromPath[int], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """The form of a declaration, filled with what it says now; of a closed passport the page that says so."""
    with opening(desk, principal, passport) as (_, vehicle):
        entry = _get_declared(vehicle, seq)
        if vehicle.status == "closed":
            return go(f"/vehicles/{passport}")
    return _show(request, desk, principal, vehicle, str(entry.find("type")), _fill(entry), corrects=entry)


@post(
    "/vehicles/{passport:str}/entries/{seq:int}/correct",
    opt={"policy": holder()},
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=MAX_FORM_BYTES,
)
def correct(
    passport: FromPath[str],
    seq: FromPath[int],
    data: Upload,
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Response[str] | Redirect:
    """Seal the declaration that takes the other's place."""
    return _take(passport, seq, data, request, desk, principal)


@get("/vehicles/{passport:str}/documents", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def get_documents(
    passport: FromPath[str], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str]:
    """Every document that an entry seals, and which of them are kept here."""
    with opening(desk, principal, passport) as (reader, vehicle):
        documents = list_documents(vehicle.entries, list_kept(desk, reader, vehicle, vehicle.entries))
    facts: dict[str, Any] = {"vehicle": vehicle, "section": "/documents", "documents": documents}
    return show(request, desk, principal, "vehicle/documents.html", **facts)


@get(
    "/vehicles/{passport:str}/files/{digest:str}",
    opt={"policy": holder()},
    sync_to_thread=True,
    include_in_schema=False,
)
def get_file(passport: FromPath[str], digest: FromPath[str], desk: TheDesk, principal: ThePrincipal) -> Response[bytes]:
    """A file of the passport. It is given to be kept, never to be shown within a page of ours."""
    with opening(desk, principal, passport) as (reader, vehicle):
        chain = reader.get_chain(bytes.fromhex(vehicle.passport))
        people = find_people(desk)
        found = None if people is None else attachments.find(people, chain, digest)
    if found is None:
        raise Refused(Reason.NOT_FOUND, "this passport keeps no such file")
    data, media_type = found
    ending = {"application/pdf": "pdf", "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}.get(
        media_type, "bin"
    )
    headers = {
        "Content-Disposition": f'attachment; filename="{digest[:12]}.{ending}"',
        "Content-Security-Policy": "sandbox",
    }
    return Response(data, media_type=media_type, headers=headers)


def find_people(desk: Desk) -> PeopleStore | None:
    """The store in which files are kept; None for a desk without one."""
    office = desk.shelf.get("office")
    found = desk.shelf.get("people") if office is None else office.people
    return found if isinstance(found, PeopleStore) else None


def list_kept(desk: Desk, reader: Reader, vehicle: Vehicle, entries: Sequence[Entry]) -> set[str]:
    """The files that these entries name and that are kept here, by digest."""
    digests = [digest for entry in entries for digest in list_digests(entry.fields)]
    people = find_people(desk)
    if people is None or not digests:
        return set()
    return attachments.list_kept(people, reader.get_chain(bytes.fromhex(vehicle.passport)), digests)


def _take(
    passport: str, seq: int | None, data: dict[str, Any], request: AnyRequest, desk: Desk, principal: Principal
) -> Response[str] | Redirect:
    language = find_reader_language(request, desk)
    values = BLANK | {name: str(data.get(name) or "").strip() for name in BLANK}
    upload = data.get("file")
    content = upload.file.read(attachments.MAX_FILE_BYTES + 1) if isinstance(upload, UploadFile) else b""
    with opening(desk, principal, passport) as (reader, vehicle):
        corrects = None if seq is None else _get_declared(vehicle, seq)
        type_ = str(data.get("type")) if corrects is None else str(corrects.find("type"))
        addition, errors = read_addition(language, type_, values, vehicle.today)
        problem = None
        if addition is not None:
            try:
                seed = compute_seed(desk, principal, f"add {vehicle.passport}.{seq}", data)
                entry = _seal(desk, principal, reader, vehicle, addition, content, corrects, seed)
                return go(f"/vehicles/{passport}/entries/{entry}?added")
            except Refused as refused:
                if refused.facts.get("field") == "file":
                    errors["file"] = say_refusal(language, refused)
                else:
                    problem = say_refusal(language, refused)
    return _show(
        request, desk, principal, vehicle, type_ if type_ in TYPES else None, values, errors, problem, corrects
    )


def _seal(
    desk: Desk,
    principal: Principal,
    reader: Reader,
    vehicle: Vehicle,
    addition: Addition,
    content: bytes,
    corrects: Entry | None,
    seed: bytes,
) -> int:
    """Keep the file, then seal the entry that names it; its place. A file whose entry is refused stays unnamed, and
    goes with the passport."""
    chain = reader.get_chain(bytes.fromhex(vehicle.passport))
    digest = None if corrects is None else corrects.find_text("photo_sha256") or corrects.find_text("document_sha256")
    if content:
        people = find_people(desk)
        if people is None:
            raise Refused(Reason.MAY_NOT_WRITE, "this node keeps no files", field="file")
        digest = attachments.keep(people, chain, content, salt=desk.random_bytes(SALT_BYTES), now=desk.clock())
    new = make_declaration(replace(addition, digest=digest), corrects)
    same = find_same(vehicle.entries, new)
    if same is not None:
        return same.seq
    sealed = append(
        desk.door,
        reader,
        get_holdings(desk),
        principal,
        new,
        passport=chain.chain16,
        subject=None,
        now=desk.clock(),
        seed=seed,
    )
    return sealed.seq


def read_addition(
    language: Language, type_: str, values: dict[str, str], today: date
) -> tuple[Addition | None, dict[str, str]]:
    """What a form says, or what is wrong with it, by field."""
    _ = load_translations(language).gettext
    errors: dict[str, str] = {}
    day, odometer, price = _read_day(values["day"]), _read_reading(values["odometer"]), _read_price(values["price"])
    if day is None:
        errors["day"] = _("This is no day of the calendar: choose it again.")
    elif day > today:
        errors["day"] = _("This day is still to come: give the day on which it happened.")
    if values["odometer"] and odometer is None:
        errors["odometer"] = _("Write the number as the dashboard shows it, without decimals.")
    elif type_ == "reading" and odometer is None:
        errors["odometer"] = _("This is needed.")
    if values["price"] and price is None:
        errors["price"] = _("Write the amount in euros, such as 189.90.")
    if type_ in ("invoice", "document") and not values["title"]:
        errors["title"] = _("This is needed.")
    work = [line.strip() for line in values["work"].splitlines() if line.strip()]
    if type_ == "own_work" and not work:
        errors["work"] = _("Say what you did.")
    if len(work) > MAX_WORK or any(len(line) > MAX_LINE for line in work):
        errors["work"] = _("At most %(lines)s lines of %(length)s characters: shorten it, or make two entries.") % {
            "lines": MAX_WORK, "length": MAX_LINE,
        }  # fmt: skip
    if type_ == "note" and not values["note"]:
        errors["note"] = _("Write something.")
    if errors or day is None or type_ not in TYPES:
        return None, errors
    given = {name: values[name] or None for name in ("title", "establishment", "note")}
    unit = "mi" if values["unit"] == "mi" else "km"
    # Browsers send line ends that no sealed text may hold.
    note = None if given["note"] is None else " ".join(given["note"].split())
    return Addition(
        type_, day.isoformat(), odometer, unit, given["title"], work, given["establishment"], price, note
    ), errors


def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        return None


def _read_reading(text: str) -> int | None:
    """Digits, thousands apart or not: "123456", "123 456", "123,456"; never a decimal fraction."""
    return int(re.sub(r"\D", "", text)) if _READING.fullmatch(text) else None


def _read_price(text: str) -> int | None:
    """Hundredths of a euro: "1 189,90", "1189.9"."""
    found = _PRICE.fullmatch(re.sub("[ \u00a0\u202f]", "", text))
    return None if found is None else int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))


def _get_declared(vehicle: Vehicle, seq: int) -> Entry:
    """A standing declaration. Raises Refused(NOT_FOUND)."""
    entry = get_entry(vehicle, seq)
    if entry.kind != DECLARED or not entry.is_standing or entry.is_erased:
        raise Refused(Reason.NOT_FOUND, "this entry is not yours to correct, or was corrected already")
    return entry


def _fill(entry: Entry) -> dict[str, str]:
    reading = entry.find_reading()
    price = entry.find("price_cents")
    return {
        "day": entry.day or "",
        "title": entry.find_text("title") or "",
        "odometer": "" if reading is None else str(reading[0]),
        "unit": "km" if reading is None else reading[1],
        "work": "\n".join(str(one["text"]) for one in entry.find("activities") or []),
        "establishment": entry.find_text("establishment") or "",
        "price": f"{price // 100}.{price % 100:02d}" if isinstance(price, int) else "",
        "note": entry.find_text("note") or "",
    }


def _show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    vehicle: Vehicle,
    type_: str | None,
    values: dict[str, str],
    errors: dict[str, str] | None = None,
    problem: str | None = None,
    corrects: Entry | None = None,
) -> Response[str]:
    language = find_reader_language(request, desk)
    base = f"/vehicles/pas_{vehicle.passport}"
    facts: dict[str, Any] = {
        "action": f"{base}/add" if corrects is None else f"{base}/entries/{corrects.seq}/correct",
        "back": base if corrects is None else f"{base}/entries/{corrects.seq}",
        "errors": errors or {},
        "file_limit": get_wording(language).megabytes(attachments.MAX_FILE_BYTES),
        "file_bytes": attachments.MAX_FILE_BYTES,
        "heading": _name(language, type_, corrects),
        "once": make_once(desk),
        "problem": problem,
        "type": type_,
        "values": values,
    }
    code = 200 if errors is None and problem is None else 422
    return show(request, desk, principal, "write.html", code, vehicle=vehicle, section="/add", **facts)


def _name(language: Language, type_: str | None, corrects: Entry | None) -> str:
    _ = load_translations(language).gettext
    if corrects is not None:
        wording, what = get_wording(language), _("Correct this entry")
        return f"{what}{wording.colon}{wording.title(corrects.fields)}"
    names = {
        "reading": _("Add a reading"),
        "own_work": _("Add work of your own"),
        "invoice": _("Add an invoice"),
        "document": _("Add a document"),
        "note": _("Add a note"),
    }
    return _("Add to the passport") if type_ is None else names[type_]


ROUTES = [ask_for_addition, add, ask_for_correction, correct, get_documents, get_file]
