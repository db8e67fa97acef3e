"""One entry: all that it says, its proof, and an objection to it; and the proof of the whole passport."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from carnet.errors import Refused
from carnet.services.access import get_view
from carnet.services.appending import append
from carnet.services.declaring import REASONS, find_same, make_objection
from carnet.services.documents import list_documents
from carnet.services.names import Prefix, find_id
from carnet.services.principals import Principal
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.language import load_translations
from carnet.web.pages.adding import list_kept
from carnet.web.pages.front import FormData
from carnet.web.pages.holding import get_entry, get_holdings, opening, prove_patiently
from carnet.web.pages.once import compute_seed, make_once
from carnet.web.pages.sayings import say_refusal
from carnet.web.pages.showing import AnyRequest, find_reader_language, go, show
from carnet.web.policy import holder
from carnet.web.wording import get_wording

DONE = ("added", "contested")


@get(
    "/vehicles/{passport:str}/entries/{seq:int}", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False
)
def get_one(
    passport: FromPath[str], seq: FromPath[int], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str]:
    """All that an entry says, who said it, and what came of it."""
    with opening(desk, principal, passport) as (reader, vehicle):
        entry = get_entry(vehicle, seq)
        kept = list_kept(desk, reader, vehicle, [entry])
    language = find_reader_language(request, desk)
    wording = get_wording(language)
    say = load_translations(language).gettext
    done = {
        "added": say("It is sealed in the passport."),
        "contested": say("Your objection is sealed in the passport."),
    }
    facts: dict[str, Any] = {
        "done": next((done[name] for name in DONE if name in request.query_params), None),
        "files": [one for one in list_documents([entry], kept) if one.is_here],
        "heading": wording.title(entry.fields),
        "listed": wording.listed(entry.kind, entry.fields),
    }
    return show(request, desk, principal, "entry.html", vehicle=vehicle, section="/entry", entry=entry, **facts)


@get("/vehicles/{passport:str}/proof", opt={"policy": holder()}, sync_to_thread=True, include_in_schema=False)
def get_passport_proof(passport: FromPath[str], desk: TheDesk, principal: ThePrincipal) -> Response[bytes]:
    """The proof of the whole passport, as a file."""
    return _prove(desk, principal, passport, None)


@get(
    "/vehicles/{passport:str}/entries/{seq:int}/proof",
    opt={"policy": holder()},
    sync_to_thread=True,
    include_in_schema=False,
)
def get_entry_proof(
    passport: FromPath[str], seq: FromPath[int], desk: TheDesk, principal: ThePrincipal
) -> Response[bytes]:
    """The proof of one entry, as a file; the others are counted in it, not shown."""
    return _prove(desk, principal, passport, seq)


def _prove(desk: Desk, principal: Principal, passport: str, seq: int | None) -> Response[bytes]:
    with opening(desk, principal, passport) as (reader, vehicle):
        entry = None if seq is None else bytes.fromhex(get_entry(vehicle, seq).statement)
        view = get_view(reader, get_holdings(desk), principal, bytes.fromhex(vehicle.passport))
        proved = prove_patiently(desk, reader, view, entry)
    name = vehicle.passport[:8] + ("" if seq is None else f"-{seq}")
    headers = {"Content-Disposition": f'attachment; filename="{name}.carnet"'}
    return Response(proved.data, media_type="application/octet-stream", headers=headers)


@get(
    "/vehicles/{passport:str}/entries/{seq:int}/contest",
    opt={"policy": holder()},
    sync_to_thread=True,
    include_in_schema=False,
)
def ask_for_objection(
    passport: FromPath[str], seq: FromPath[int], request: AnyRequest, desk: TheDesk, principal: ThePrincipal
) -> Response[str]:
    """The form for an objection."""
    return _show_objection(request, desk, principal, passport, seq, {"reason": "wrong_value", "note": ""})


@post(
    "/vehicles/{passport:str}/entries/{seq:int}/contest",
    opt={"policy": holder()},
    sync_to_thread=True,
    include_in_schema=False,
)
def contest(
    passport: FromPath[str],
    seq: FromPath[int],
    data: FormData,
    request: AnyRequest,
    desk: TheDesk,
    principal: ThePrincipal,
) -> Response[str] | Redirect:
    """Seal the objection, and go to the entry; or the form again with what was wrong."""
    language = find_reader_language(request, desk)
    _ = load_translations(language).gettext
    values = {"reason": str(data.get("reason", "")), "note": str(data.get("note", "")).strip()}
    errors = {}
    if values["reason"] not in REASONS:
        errors["reason"] = _("Choose one of these.")
    if not values["note"]:
        errors["note"] = _("Say in a few words what is wrong.")
    if errors:
        return _show_objection(request, desk, principal, passport, seq, values, errors)
    try:
        with opening(desk, principal, passport) as (reader, vehicle):
            target = get_entry(vehicle, seq)
            new = make_objection(target, values["reason"], values["note"], vehicle.today.isoformat())
            if find_same(vehicle.entries, new) is None:
                append(
                    desk.door, reader, get_holdings(desk), principal, new,
                    passport=find_id(Prefix.PASSPORT, passport), subject=None, now=desk.clock(),
                    seed=compute_seed(desk, principal, f"contest {vehicle.passport}.{seq}", data),
                )  # fmt: skip
    except Refused as refused:
        return _show_objection(request, desk, principal, passport, seq, values, {}, say_refusal(language, refused))
    return go(f"/vehicles/{passport}/entries/{seq}?contested")


def _show_objection(
    request: AnyRequest,
    desk: Desk,
    principal: Principal,
    passport: str,
    seq: int,
    values: dict[str, str],
    errors: dict[str, str] | None = None,
    problem: str | None = None,
) -> Response[str]:
    with opening(desk, principal, passport) as (_, vehicle):
        entry = get_entry(vehicle, seq)
    language = find_reader_language(request, desk)
    wording = get_wording(language)
    facts: dict[str, Any] = {
        "entry": entry,
        "errors": errors or {},
        "heading": load_translations(language).gettext("Contest this entry"),
        "once": make_once(desk),
        "problem": problem,
        "reasons": [(code, wording.word("reason", code)) for code in REASONS],
        "values": values,
    }
    code = 200 if errors is None else 422
    return show(request, desk, principal, "contest.html", code, vehicle=vehicle, section="/entry", **facts)


ROUTES = [get_one, get_passport_proof, get_entry_proof, ask_for_objection, contest]
