"""For developers, open to everyone: a quickstart that works when it is pasted, the vehicles of the sandbox, the
rendered contract, the events of webhooks, and how the API is.

The frame is in both languages; the reference is in English, as the contract is.
"""

from __future__ import annotations

import time
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath

from carnet import __version__
from carnet.errors import Reason, Refused
from carnet.services.names import Prefix, format_name
from carnet.services.sandbox import WRITABLE, Simulated, list_views
from carnet.services.webhooks import events
from carnet.services.webhooks.messages import MAX_FAILING_MS, PAUSES_MS
from carnet.web.api.changes import CHANGES
from carnet.web.api.openapi import make_openapi
from carnet.web.api.quota import CALLER_LIMIT, VISITOR_LIMIT
from carnet.web.api.rendered import list_operations, list_shapes, list_tags, show_example
from carnet.web.desk import Desk, TheDesk, ThePrincipal
from carnet.web.pages.showing import AnyRequest, show
from carnet.web.policy import OPEN

HERE: Final = "/developers"


@get(HERE, opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_developers(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """Begin here: what one can do before any account, and with a key."""
    vehicles = _list_vehicles(desk)
    return show(
        request,
        desk,
        principal,
        "developers/start.html",
        origin=desk.origin,
        first=vehicles[0][1] if vehicles else None,
        vehicles=vehicles,
        written=next((one.subject for one, _ in vehicles if one.subject == WRITABLE), None),
        tags=list_tags(_get_document(request)),
    )


@get(f"{HERE}/reference", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_reference(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """The parts of the API."""
    document = _get_document(request)
    parts = [(tag, list_operations(document, tag, desk.origin)) for tag, _ in list_tags(document)]
    return show(request, desk, principal, "developers/reference.html", parts=parts)


@get(f"{HERE}/reference/{{tag:str}}", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_reference_part(
    request: AnyRequest, desk: TheDesk, principal: ThePrincipal, tag: FromPath[str]
) -> Response[str]:
    """One part: its operations, with every parameter, body, answer and refusal."""
    document = _get_document(request)
    name = next((one for one, _ in list_tags(document) if one.lower() == tag), None)
    if name is None:
        raise Refused(Reason.NOT_FOUND, "the API has no such part")
    return show(
        request,
        desk,
        principal,
        "developers/part.html",
        tag=name,
        tags=list_tags(document),
        operations=list_operations(document, name, desk.origin),
        shapes=list_shapes(document, name),
    )


@get(f"{HERE}/events", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_events(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """What webhooks tell, and how a signature is checked."""
    told = [(event, show_example(events.make_example(event))) for event in events.EVENTS]
    return show(
        request,
        desk,
        principal,
        "developers/events.html",
        events=told,
        pauses=[pause // 1000 for pause in PAUSES_MS],
        failing_days=MAX_FAILING_MS // 86_400_000,
    )


@get(f"{HERE}/status", opt={"policy": OPEN}, sync_to_thread=True, include_in_schema=False)
def get_status(request: AnyRequest, desk: TheDesk, principal: ThePrincipal) -> Response[str]:
    """How the API is now, its version and limits, and what changed."""
    parts = {"store": _check(lambda: _read_network(desk)), "writer": _check(desk.door.check_alive)}
    return show(
        request,
        desk,
        principal,
        "developers/status.html",
        parts=parts,
        is_well=all(took is not None for took in parts.values()),
        network=_read_network(desk) if parts["store"] is not None else "",
        version=__version__,
        caller_limit=CALLER_LIMIT,
        visitor_limit=VISITOR_LIMIT,
        max_body=desk.settings.max_body_bytes,
        changes=CHANGES,
    )


def _check(ask: Any) -> float | None:
    """How long a part took to answer, in ms; None where it did not."""
    began = time.perf_counter()
    try:
        ask()
    except (Refused, OSError):
        return None
    return (time.perf_counter() - began) * 1000


def _read_network(desk: Desk) -> str:
    with desk.reading() as reader:
        return reader.state.genesis.name


def _list_vehicles(desk: Desk) -> list[tuple[Simulated, str]]:
    with desk.reading() as reader:
        try:
            return [(one, format_name(Prefix.PASSPORT, view.passport)) for one, view in list_views(reader)]
        except Refused:
            return []


def _get_document(request: AnyRequest) -> dict[str, Any]:
    """The contract, made once for each worker."""
    shelf = request.app.state.desk.shelf
    if "openapi document" not in shelf:
        shelf["openapi document"] = make_openapi(request.app)
    found: dict[str, Any] = shelf["openapi document"]
    return found


ROUTES = [get_developers, get_reference, get_reference_part, get_events, get_status]
