"""The keys with which a member signs: those that this node keeps for it, and its own, made in this browser or brought
as a file. No secret is ever sent here.

A key says nothing until the network lists it. That is the operator's act: the page gives the file that shows the
operator that the member has it (docs/spec 3.3).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from litestar import Response, get

from carnet.encoding import b64
from carnet.ledger.rules.members import compute_enrolment
from carnet.services.members import list_keys
from carnet.services.principals import Role
from carnet.types import Custody, KeyRole
from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.pages.showing import AnyRequest, show
from carnet.web.policy import staff

WRITERS: Final = staff(Role.ADMIN, Role.CLERK)


class KeyShown(NamedTuple):
    """A listed key: its digest, whether the member keeps it itself, and whether it is in force."""

    digest: str
    is_own: bool
    is_in_force: bool


@get("/organisation/keys", opt={"policy": WRITERS}, sync_to_thread=True, include_in_schema=False)
def get_keys(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Which keys are listed, and one more made or brought."""
    with desk.reading() as reader:
        state = reader.state
        member = state.members.get(principal.member or b"")
    listed = [
        KeyShown(one.key.digest.hex(), one.key.custody == Custody.OWN, one.key.revoked is None)
        for one in list_keys((member,))
        if one.key.role == KeyRole.AUTHOR
    ]
    enrolment = compute_enrolment(state.net, member.id, KeyRole.AUTHOR, Custody.OWN)
    facts: dict[str, Any] = {
        "enrolment": b64(enrolment),
        "listed": listed,
        "member": member.name,
        "member_id": b64(member.id),
        "member_name": member.id.hex(),
        "network": state.genesis.origin,
    }
    return show(request, desk, principal, "console/keys.html", **facts)


ROUTES = [get_keys]
