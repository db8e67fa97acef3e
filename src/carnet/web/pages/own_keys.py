"""The keys with which a member signs: those that this node keeps for it, and its own, made in this browser or brought
as a file. No secret is ever sent here.

A key says nothing until the network lists it. The member's admin asks for that with the enrolment, which shows that the
member has the key (docs/spec 3.3), and an operator decides (`services.approving`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.encoding import b64
from carnet.errors import Reason, Refused
from carnet.ledger.rules.members import compute_enrolment
from carnet.node.acts import AddKey, RevokeKey
from carnet.services.approving.requests import Approval, ask, list_asked
from carnet.services.members import list_keys, plan_key
from carnet.services.principals import Principal, Role
from carnet.types import Custody, KeyRole
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import load_translations
from carnet.web.pages.front import FormData
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.pages.signing_in import is_fresh
from carnet.web.people import get_office
from carnet.web.policy import FRESH_MS, staff

WRITERS: Final = staff(Role.ADMIN, Role.CLERK)
FRESH_ADMINS: Final = staff(Role.ADMIN, fresh=True)
HERE: Final = "/organisation/keys"
MAX_ENROLMENT: Final = 2_000


class KeyShown(NamedTuple):
    """A listed key: its digest, whether the member keeps it itself, and whether it is in force."""

    digest: str
    is_own: bool
    is_in_force: bool


class Asked(NamedTuple):
    """A request about a key: whether it is to be listed or ended, its digest, and how far it is."""

    is_listing: bool
    digest: str
    approval: Approval


@get(HERE, opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def get_keys(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Which keys are listed, what was asked for, and one more made or brought."""
    return _show(request, desk, principal)


@post(HERE, opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def ask_for_listing(
    data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Ask that the key of an enrolment be listed."""
    # A text area sends line ends of its own; the file has one, at its end.
    enrolment = str(data.get("enrolment", "")).strip()[:MAX_ENROLMENT].encode()
    try:
        wish = plan_key(desk.door.state, (principal.member or b"").hex(), enrolment)
        ask(get_office(desk), desk.door, principal, wish)
    except Refused as refused:
        return _show(request, desk, principal, refused)
    return go(f"{HERE}?asked")


@post(f"{HERE}/{{digest:str}}/end", opt={"policy": FRESH_ADMINS}, sync_to_thread=True, include_in_schema=False)
def ask_for_end(
    digest: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Ask that one of the member's keys be revoked."""
    member = desk.door.state.members.get(principal.member or b"")
    key = next((key for key in member.keys if key.digest.hex() == digest), None)
    if key is None:
        raise Refused(Reason.NOT_FOUND, "your organisation lists no such key")
    try:
        ask(get_office(desk), desk.door, principal, RevokeKey(member.id, key.digest))
    except Refused as refused:
        return _show(request, desk, principal, refused)
    return go(f"{HERE}?asked")


def _show(request: AnyRequest, desk: Desk, principal: Principal, refused: Refused | None = None) -> Response[str]:
    with desk.reading() as reader:
        state = reader.state
        member = state.members.get(principal.member or b"")
    listed = [
        KeyShown(one.key.digest.hex(), one.key.custody == Custody.OWN, one.key.revoked is None)
        for one in list_keys((member,))
        if one.key.role == KeyRole.AUTHOR
    ]
    enrolment = compute_enrolment(state.net, member.id, KeyRole.AUTHOR, Custody.OWN)
    language = find_reader_language(request, desk)
    _ = load_translations(language).gettext
    is_wrong = refused is not None and refused.reason in (Reason.UNREADABLE_FILE, Reason.BAD_SIGNATURE)
    facts: dict[str, Any] = {
        "asked": [_describe(one) for one in list_asked(get_office(desk), principal) if _is_about_key(one)],
        "enrolment": b64(enrolment),
        "is_admin": principal.role is Role.ADMIN,
        "is_fresh": is_fresh(principal, desk, FRESH_MS),
        "is_asked": "asked" in request.query_params,
        "listed": listed,
        "member": member.name,
        "member_id": b64(member.id),
        "member_name": member.id.hex(),
        "network": state.genesis.origin,
        "problem": None
        if refused is None
        else _("This is no enrolment of a key of yours: look at the file again.")
        if is_wrong
        else say_refusal(language, refused),
    }
    return show(request, desk, principal, "console/keys.html", 200 if refused is None else 422, **facts)


def _is_about_key(approval: Approval) -> bool:
    return isinstance(approval.kept.act, AddKey | RevokeKey)


def _describe(approval: Approval) -> Asked:
    act = approval.kept.act
    if isinstance(act, AddKey) and act.key is not None:
        return Asked(True, act.key.digest.hex(), approval)
    return Asked(False, act.key.hex() if isinstance(act, RevokeKey) else "", approval)


ROUTES = [get_keys, ask_for_listing, ask_for_end]
