"""What the operator's pages share: who may, and what each of them must know to offer an act."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from litestar import Response

from carnet.errors import Refused
from carnet.services.principals import Principal
from carnet.web.desk import Desk
from carnet.web.pages.grounds import name_member_kinds
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, show
from carnet.web.pages.signing_in import is_fresh
from carnet.web.pages.telling import say_code
from carnet.web.policy import FRESH_MS, operator

LOOK: Final = {"policy": operator()}
ACT: Final = {"policy": operator(fresh=True)}


def show_page(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    template: str,
    *,
    refused: Refused | None = None,
    **facts: Any,
) -> Response[str]:
    """A page of the operator's: with what was refused, if something was, and whether acts are offered."""
    language = find_reader_language(request, desk)
    told = {
        "problem": None if refused is None else say_refusal(language, refused),
        "member_kinds": name_member_kinds(language),
        "is_fresh": is_fresh(principal, desk, FRESH_MS),
        "own": principal.account,
        "say_code": partial(say_code, language),
        **facts,
    }
    return show(request, desk, principal, f"operator/{template}", 200 if refused is None else 422, **told)
