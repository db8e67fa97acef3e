"""Signing in the browser: what a clerk of a member with its own key is about to sign, and what comes back signed.

The page holds what is to be sealed until it is signed; the server keeps nothing of it, and checks all of it when it
comes back. Without script an own key cannot be used here: the page says how it is used elsewhere.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, post
from litestar.response import Redirect

from carnet.encoding import b64, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.passport.occurred import check_not_future, check_occurred
from carnet.passport.submission import SIGNATURE_BYTES
from carnet.services.access import get_member
from carnet.services.appending import NewEntry, resolve_chain
from carnet.services.console.signing import (
    Wanted,
    get_own_key,
    make_unsigned,
    read_unsigned,
    seal_signed,
    write_unsigned,
)
from carnet.services.names import Prefix, format_name
from carnet.services.principals import Principal, Role
from carnet.types import Subject
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.front import FormData
from carnet.web.pages.holding import get_holdings
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.policy import staff
from carnet.web.wording import get_wording

WRITERS: Final = staff(Role.ADMIN, Role.CLERK)
MAX_FORM_BYTES: Final = 200_000
"""A form's one entry; files are signed by the script of their own page."""


def show_signing(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    new: NewEntry,
    subject: Subject | None,
    *,
    passport: bytes | None = None,
    digest: str = "",
) -> Response[str]:
    """The page on which the browser signs an entry with its key (`digest`, hexadecimal; else the member's only one).
    Raises Refused as `get_own_key`, `resolve_chain` and `make_unsigned`."""
    with desk.reading() as reader:
        member = get_member(reader.state, principal)
        key = get_own_key(member, digest)
        chain = resolve_chain(reader, get_holdings(desk), principal, passport, subject)
        check_not_future(check_occurred(new.occurred), desk.clock())
        wanted = [Wanted(chain.chain16, new)]
        unsigned = make_unsigned(reader, member, key, wanted, desk.clock(), desk.random_bytes)
    wording = get_wording(find_reader_language(request, desk))
    fields = unsigned.statements[0].fields
    facts: dict[str, Any] = {
        "fields": fields,
        "key": key.digest.hex(),
        "kind": new.kind,
        "listed": wording.listed(new.kind, fields),
        "member": member.name,
        "message": b64(unsigned.message),
        "problem": None,
        "subject": dict(chain.subject),
        "unsigned": write_unsigned(unsigned).decode(),
    }
    return show(request, desk, principal, "console/sign.html", **facts)


@post(
    "/console/sign",
    opt={"policy": WRITERS},
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=MAX_FORM_BYTES,
)
def take_signed(
    data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Seal what was signed, and show its receipt."""
    try:
        # A browser sends line ends of its own.
        unsigned = read_unsigned(str(data.get("unsigned", "")).strip().encode())
        signature = unb64(str(data.get("signature", "")), SIGNATURE_BYTES)
        submitted = seal_signed(desk.door, unsigned, signature, principal.member or b"")
        for turned in submitted.turned:
            raise turned.refused
    except Unverified:
        return _show_problem(request, desk, principal, Refused(Reason.BAD_SIGNATURE, "there is no signature here"))
    except Refused as refused:
        return _show_problem(request, desk, principal, refused)
    first = submitted.receipts[0]
    passport = format_name(Prefix.PASSPORT, first.chain16)
    return go(f"/console/vehicles/{passport}/entries/{first.seq}?sealed")


def _show_problem(request: AnyRequest, desk: Desk, principal: Principal, refused: Refused) -> Response[str]:
    problem = say_refusal(find_reader_language(request, desk), refused)
    return show(request, desk, principal, "console/sign.html", 422, problem=problem)


ROUTES = [take_signed]
