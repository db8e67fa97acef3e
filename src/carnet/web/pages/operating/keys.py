"""Keys, for operators: those that sign, with their age, and those of programs, with their end."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from carnet.node.glance import glance
from carnet.services.aging import list_program_keys, list_signing_keys
from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.pages.operating.common import LOOK, show_page
from carnet.web.pages.showing import AnyRequest, find_part
from carnet.web.people import get_office

HERE = "/operator/keys"
SHOWN: Final = 100
"""Keys of one page, of either sort."""


@get(HERE, opt=LOOK, sync_to_thread=True, include_in_schema=False)
def get_keys(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """All that are in force."""
    seen = glance(desk.home)
    signing, programs = list_signing_keys(seen, desk.clock()), list_program_keys(get_office(desk), principal)
    part, program_part = find_part(request, len(signing), SHOWN), find_part(request, len(programs), SHOWN, "programs")
    facts: dict[str, Any] = {
        "signing": signing[part.begin : part.end],
        "programs": programs[program_part.begin : program_part.end],
        "part": part,
        "program_part": program_part,
        "members": {one.id: one.name for one in seen.state.members.all},
        "node": seen.state.genesis.founders[0].member,
    }
    return show_page(request, desk, principal, "keys.html", **facts)


ROUTES = [get_keys]
