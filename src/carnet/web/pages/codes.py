"""Codes for customers: one made for a passport and printed with all that the customer needs to know, in the customer's
language; those that were made, and one withdrawn.

A code is shown on the page that made it, and never again; that page, sent once more, shows it once more. In the QR
code it stands behind the `#`, so that no server on the way sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import segno
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.node.reader import Reader
from carnet.services.access import get_view
from carnet.services.claims import CodeLine, IssuedCode, list_codes, revoke_code
from carnet.services.console.codes import Earlier, print_code
from carnet.services.customers import make_claim_link
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal, Role
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import Language, find_language, load_translations
from carnet.web.pages.front import FormData
from carnet.web.pages.holding import get_holdings, get_today
from carnet.web.pages.once import make_once, read_once
from carnet.web.pages.sayings import say_refusal, say_vin
from carnet.web.pages.showing import AnyRequest, find_look_of_member, find_reader_language, go, make_frame, show
from carnet.web.pages.writing import get_plates, say_vehicle
from carnet.web.people import get_office
from carnet.web.policy import staff
from carnet.web.rendering import render

STAFF, WRITERS = staff(), staff(Role.ADMIN, Role.CLERK)
HERE: Final = "/console/codes"
SHOWN: Final = 50
_UNFINDABLE: Final = frozenset({Reason.UNKNOWN_PASSPORT, Reason.ERASED, Reason.NOT_ALIAS, Reason.SUBJECT_MISMATCH})


@get(HERE, opt={"policy": STAFF}, sync_to_thread=True, include_in_schema=False)
def get_codes(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The form for a code, and those that were made."""
    passport, vehicle = find_id(Prefix.PASSPORT, request.query_params.get("passport", "")), ""
    if passport is not None:
        with desk.reading() as reader:
            try:
                subject = reader.get_subject(get_view(reader, get_holdings(desk), principal, passport).passport)
                vehicle = f"{subject['scheme']}:{subject['value']}"
            except Refused:
                vehicle = ""
    values = {"vehicle": vehicle, "language": find_reader_language(request, desk)}
    return _show(request, desk, principal, values)


@post(HERE, opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def make_code(data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Make one, and show the page to print."""
    language = find_reader_language(request, desk)
    wanted = find_language(str(data.get("language"))) or language
    values = {"vehicle": str(data.get("vehicle", "")).strip()[:70], "language": wanted}
    try:
        with desk.reading() as reader:
            passport = _find_passport(desk, reader, values["vehicle"])
            once, earlier = read_once(desk, data), _read_earlier(data)
            issued = print_code(get_office(desk), reader, principal, passport, once=once, earlier=earlier)
            subject = reader.get_subject(passport)
            member = reader.state.members.get(principal.member or b"").name
    except Refused as refused:
        if refused.reason in (Reason.TOO_MANY_REQUESTS, Reason.NOT_PERMITTED):
            raise
        return _show(request, desk, principal, values, _say(language, refused))
    if not isinstance(issued, IssuedCode):
        return _show(request, desk, principal, values | {"once": once}, earlier=issued)
    return _print(request, desk, principal, wanted, issued, {"member": member, "subject": subject})


@post(f"{HERE}/{{code:str}}/revoke", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def withdraw_code(code: FromPath[str], desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """End one that was not used."""
    revoke_code(get_office(desk), principal, code)
    return go(HERE)


def draw_qr(text: str) -> str:
    """The QR code of a text as an SVG that prints well: level M, with its quiet zone, without any style."""
    made = segno.make(text, error="m", micro=False)
    return str(made.svg_inline(border=4, omitsize=True, svgclass="qr", lineclass=None, title=None))


def _find_passport(desk: Desk, reader: Reader, vehicle: str) -> bytes:
    """The passport of a vehicle; of none, an id that no passport has, so that both are refused alike."""
    if not vehicle:
        raise Refused(Reason.MISSING_FIELD, "a VIN or a plate")
    subject = get_plates(desk).find_vehicle(reader, vehicle, get_today(desk).isoformat())
    return reader.find_subject(subject) or bytes(16)


def _read_earlier(data: dict[str, Any]) -> Earlier:
    given = str(data.get("earlier", ""))
    return Earlier(given) if given in (Earlier.WITHDRAW, Earlier.KEEP) else Earlier.TELL


def _say(language: Language, refused: Refused) -> str:
    _ = load_translations(language).gettext
    if refused.reason is Reason.MISSING_FIELD and not refused.facts:
        return _("This is needed.")
    if refused.reason in _UNFINDABLE:
        return _("Your organisation has neither opened nor serviced this vehicle here: write that entry first.")
    if refused.reason is Reason.CODE_NOT_VALID:
        return _("The code of this form was used or withdrawn since. Send it once more for a new one.")
    if refused.reason is Reason.WRITER_BUSY:
        return say_vehicle(language, refused)
    if refused.reason in (Reason.INVALID_VIN, Reason.INVALID_PLATE, Reason.VALUE_OUT_OF_RANGE):
        return say_vin(language, refused)
    return say_refusal(language, refused)


def _show(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    values: dict[str, str],
    error: str = "",
    earlier: Sequence[CodeLine] = (),
) -> Response[str]:
    before = request.query_params.get("before") if request.method == "GET" else None
    try:
        lines = list_codes(get_office(desk), principal, limit=SHOWN + 1, before=before)
    except Refused as refused:
        if refused.reason is not Reason.VALUE_OUT_OF_RANGE:
            raise
        raise Refused(Reason.NOT_FOUND, "there is no such code in your list") from None
    older, lines = lines[SHOWN - 1].id if len(lines) > SHOWN else None, lines[:SHOWN]
    subjects: dict[bytes, dict[str, object] | None] = {}
    with desk.reading() as reader:
        for line in lines:
            try:
                subjects[line.passport] = reader.get_subject(line.passport)
            except Refused:
                # Erased since: the code is good for nothing, and is told without a vehicle.
                subjects[line.passport] = None
    values = {"once": make_once(desk)} | values
    facts: dict[str, Any] = {"values": values, "error": error, "earlier": earlier}
    facts |= {"codes": lines, "subjects": subjects, "older": older, "is_first": before is None}
    return show(request, desk, principal, "console/codes.html", 422 if error else 200, **facts)


def _print(
    request: AnyRequest, desk: Desk, principal: Principal, language: Language, issued: IssuedCode, facts: dict[str, Any]
) -> Response[str]:
    """The page in the customer's language; the clerk's own comes back with the next one."""
    frame, cookies = make_frame(request, desk, principal)
    subject = facts["subject"]
    vehicle = subject["value"] if subject["scheme"] == "vin" else f"{subject['scheme']}:{subject['value']}"
    look = find_look_of_member(desk, principal.member)
    base = "" if look is None else f"/with/{look.public_id}"
    link = make_claim_link(desk.origin, look, vehicle, issued.code)
    page = render(
        "console/code.html", replace(frame, language=language, look=look),
        code=issued.code, until=issued.until, qr=draw_qr(link), address=f"{desk.origin}{base}/vehicles/add", **facts,
    )  # fmt: skip
    return Response(page, status_code=200, media_type="text/html", cookies=cookies)


ROUTES = [get_codes, make_code, withdraw_code]
