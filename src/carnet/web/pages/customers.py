"""Customers invited from a list: its vehicles get codes and links, once, for the member's own mailing or for paper.

What comes back is shown on this page and in the file that it holds, and never again. It refuses to keep the list.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.response import Stream

from carnet.errors import Reason, Refused
from carnet.services.customer_lists import MAX_BYTES, MAX_ROWS, Customers, read_customers
from carnet.services.customers import Invited, find_passport, iterate_invited, write_invited
from carnet.services.principals import Principal, Role
from carnet.services.timelines import format_time
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import Language, load_translations
from carnet.web.pages.adding import Upload
from carnet.web.pages.codes import draw_qr
from carnet.web.pages.holding import get_today
from carnet.web.pages.once import make_once, read_once
from carnet.web.pages.sayings import say_refusal, say_vin
from carnet.web.pages.showing import AnyRequest, find_look_of_member, find_reader_language, show
from carnet.web.pages.writing import get_plates
from carnet.web.people import get_office
from carnet.web.policy import staff

HERE: Final = "/console/customers"
SHOWN_ROWS: Final = 300
"""What one page can show and print; a longer list comes back as a file alone, sent while its codes are made."""

WRITERS = staff(Role.ADMIN, Role.CLERK)
_LIMITS: Final[dict[str, Any]] = {"error": "", "limit": MAX_ROWS, "shown": SHOWN_ROWS}


@get(HERE, opt={"policy": WRITERS}, sync_to_thread=False, include_in_schema=False)
def ask_for_list(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The form for a list."""
    return _show_form(request, desk, principal)


@post(
    HERE,
    opt={"policy": WRITERS},
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=MAX_BYTES + 100_000,
)
def invite_from_list(
    data: Upload, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Stream:
    """Codes for the vehicles of a list: as a file, and as a sheet to print if it is not too long."""
    language = find_reader_language(request, desk)
    upload = data.get("file")
    content = upload.file.read(MAX_BYTES + 1) if isinstance(upload, UploadFile) else b""
    try:
        if not content:
            raise Refused(Reason.MISSING_FIELD, "choose a file", field="file")
        customers = read_customers(content, desk.clock())
    except Refused as refused:
        error = _say_of_list(language, refused)
        return _show_form(request, desk, principal, error)
    look, today = find_look_of_member(desk, principal.member), get_today(desk).isoformat()
    making = iterate_invited(
        get_office(desk),
        desk.reading,
        principal,
        customers.vehicles,
        lambda reader, vehicle: find_passport(get_plates(desk), reader, vehicle, today),
        origin=desk.origin,
        look=look,
        once=read_once(desk, data),
    )
    if len(customers.rows) > SHOWN_ROWS:
        pieces = write_invited(customers, making, lambda refused: _say(language, refused), format_time)
        headers = {"Content-Disposition": 'attachment; filename="codes.csv"', "Cache-Control": "no-store"}
        return Stream(pieces, media_type="text/csv; charset=utf-8", headers=headers)
    invited = list(making)
    with desk.reading() as reader:
        member = reader.state.members.get(principal.member or b"").name
    facts = _list_facts(language, customers, invited)
    return show(request, desk, principal, "console/invited.html", look=look, member=member, **facts)


def _show_form(request: AnyRequest, desk: Desk, principal: Principal, error: str = "") -> Response[str]:
    facts = _LIMITS | {"error": error, "once": make_once(desk)}
    return show(request, desk, principal, "console/customers.html", 422 if error else 200, **facts)


def _list_facts(language: Language, customers: Customers, invited: list[Invited]) -> dict[str, Any]:
    def say(refused: Refused) -> str:
        return _say(language, refused)

    file = b"".join(write_invited(customers, invited, say, format_time))
    lines = [
        (customers.label(at), one, None if one.refused is None else say(one.refused)) for at, one in enumerate(invited)
    ]
    return {
        "lines": lines,
        "papers": [(label, one, draw_qr(str(one.link))) for label, one, wrong in lines if wrong is None],
        "made": sum(one.issued is not None for one in invited),
        "file": b64encode(file).decode(),
        "column": customers.columns[customers.vehicle],
    }


def _say(language: Language, refused: Refused) -> str:
    _ = load_translations(language).gettext
    if refused.reason is Reason.MISSING_FIELD:
        return _("This row names no vehicle.")
    if refused.reason is Reason.UNKNOWN_PASSPORT:
        return _("Your organisation has neither opened nor serviced this vehicle here: write that entry first.")
    if refused.reason in (Reason.INVALID_VIN, Reason.INVALID_PLATE, Reason.VALUE_OUT_OF_RANGE):
        return say_vin(language, refused)
    return say_refusal(language, refused)


def _say_of_list(language: Language, refused: Refused) -> str:
    _ = load_translations(language).gettext
    sentences = {
        Reason.MISSING_FIELD: _("This list needs a column with VINs or plates, and at least one row."),
        Reason.REQUEST_TOO_LARGE: _("This list is too long: send at most 10,000 rows at a time."),
        Reason.UNREADABLE_FILE: _("This file cannot be read: save it as CSV or XLSX, and send it again."),
    }
    return sentences.get(refused.reason) or say_refusal(language, refused)


ROUTES = [ask_for_list, invite_from_list]
