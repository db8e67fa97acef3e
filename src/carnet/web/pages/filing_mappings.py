"""How a member's files are read, and tables to fill in: what is kept can be looked at, renamed and forgotten."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Reason, Refused
from carnet.formats.columns import find_meanings
from carnet.formats.mapping_document import Mapping
from carnet.formats.templates import get_template
from carnet.services.filing.mappings import Saved, list_saved, remove, rename
from carnet.services.filing.template_files import MEDIA_TYPE, write_template
from carnet.services.principals import Principal, Role
from carnet.web.api.files import get_sender
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import Language
from carnet.web.pages.filing_words import say_meaning
from carnet.web.pages.front import FormData
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.people import get_office
from carnet.web.policy import staff
from carnet.web.wording import get_wording

CLERKS = staff(Role.ADMIN, Role.CLERK)
HERE: Final = "/console/files/mappings"


@get(HERE, opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def get_console_mappings(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Every mapping of the member, with what its columns mean."""
    return _show(request, desk, principal)


@post(f"{HERE}/{{mapping:str}}/rename", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def rename_console_mapping(
    mapping: FromPath[str], data: FormData, request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str] | Redirect:
    """Give it another name."""
    try:
        rename(get_office(desk), principal, get_sender(desk, principal), mapping, str(data.get("name", "")))
    except Refused as refused:
        if refused.reason is Reason.NOT_FOUND:
            raise
        return _show(request, desk, principal, refused)
    return go(HERE)


@post(f"{HERE}/{{mapping:str}}/remove", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def remove_console_mapping(mapping: FromPath[str], desk: TheDesk, principal: ThePrincipal, data: FormData) -> Redirect:
    """Forget it."""
    remove(get_office(desk), principal, get_sender(desk, principal), mapping)
    return go(HERE)


@get("/console/files/templates/{name:str}", opt={"policy": CLERKS}, sync_to_thread=True, include_in_schema=False)
def get_console_template(name: FromPath[str], request: AnyRequest, desk: TheDesk) -> Response[bytes]:
    """The table of a kind, to be filled in."""
    template = get_template(name.removesuffix(".xlsx"))
    if template is None:
        raise Refused(Reason.NOT_FOUND, "there is no such table")
    language = find_reader_language(request, desk)
    headers = {"Content-Disposition": f'attachment; filename="carnet-{template.name}-{language}.xlsx"'}
    data = write_template(template, language, get_wording(language).kind(template.kind))
    return Response(data, media_type=MEDIA_TYPE, headers=headers)


def _show(request: AnyRequest, desk: Desk, principal: Principal, refused: Refused | None = None) -> Response[str]:
    language = find_reader_language(request, desk)
    found = list_saved(get_office(desk), get_sender(desk, principal))
    facts: dict[str, Any] = {
        "mappings": [(one, _list_meanings(one, language)) for one in found],
        "problem": None if refused is None else say_refusal(language, refused),
    }
    return show(request, desk, principal, "console/mappings.html", 200 if refused is None else 422, **facts)


def _list_meanings(one: Saved, language: Language) -> list[tuple[str, str]]:
    mapping = msgspec.convert(one.document, Mapping)
    meanings = find_meanings(mapping)
    return [
        (name, say_meaning(language, mapping.kind, meanings[name]) if name in meanings else "") for name in one.columns
    ]


ROUTES: list[Any] = [get_console_mappings, rename_console_mapping, remove_console_mapping, get_console_template]
