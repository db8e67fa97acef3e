"""What is asked of every request before its handler runs: who asks, whether they may, whether the form is our own, and
whether the body and the query are of the shape that the route takes.

Nothing of the body is given to a handler before that. Design: security 5, 8, 10, 16.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, Final

from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.params import BodyKwarg
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send

from carnet.errors import Reason, Refused
from carnet.services.asking import asking_as
from carnet.services.principals import VISITOR, Principal
from carnet.web.bodies import LARGE, check_names_once, describe_body, find_body_type
from carnet.web.cookies import FORM_FIELD, FORM_HEADER, is_form_token
from carnet.web.desk import Desk
from carnet.web.headers import find_header, find_text, name_methods
from carnet.web.made import Made
from carnet.web.matching import check_is_matched
from carnet.web.people import note_denial
from carnet.web.policy import Policy, is_answering_options
from carnet.web.principal import AUTHORIZATION, find_principal, has_credential
from carnet.web.problems import Fault, InvalidInput
from carnet.web.short import ShortWay
from carnet.web.turns import Turns, find_name
from carnet.web.waiting import in_thread, promptly
from carnet.web.written import keep_written

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
# Types that a page of another site can send without being asked first (the Fetch standard's safelist).
_FORGEABLE: Final = FORMS | {"text/plain", ""}
_MENDED_AND_SENT_AGAIN: Final = frozenset({Reason.NOT_SIGNED_IN, Reason.CONFIRMATION_NEEDED})
LATE_S: Final = 0.2
"""So much later somebody known is told of too many requests."""

LET_IN_S: Final = 1.0
"""Whoever was let in longer ago, and has been sending or has waited for their turn since, is let in anew."""

MAX_QUERY_VALUE: Final = 2_000
_JSON: Final = "application/json"
_PLAIN_NUMBER: Final = re.compile(r"[0-9]+")


def prepare_guard(app: Litestar) -> None:
    """Note of each route, once, which bodies and query parameters it takes; and of one without a page how many parts of
    its address are above the nearest page."""
    pages = {route.path for route in app.routes if isinstance(route, HTTPRoute) and "GET" in route.route_handler_map}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, model in route.route_handler_map.values():
                if is_answering_options(handler):
                    handler.opt["allow"] = name_methods(route.methods)
                else:
                    handler.opt["media_types"] = takes = _find_media_types(handler)
                    handler.opt["has_page"] = route.path in pages
                    handler.opt["parts_below_page"] = _count_below(route.path, pages)
                    handler.opt["is_record"] = find_body_type(handler) is not None and _JSON in takes
                    handler.opt["wants"] = describe_body(handler)
                    asked = model.expected_query_params
                    handler.opt["query"] = {one.field_alias: one.is_sequence for one in asked}
                    types = handler.parsed_fn_signature.parameters
                    handler.opt["numbers"] = frozenset(
                        one.field_alias
                        for one in asked
                        if one.field_name in types and types[one.field_name].annotation is int
                    )
                    handler.opt["short"] = ShortWay(handler) if handler.opt.get("is_short") else None


def _count_below(path: str, pages: set[str]) -> int:
    parts = path.split("/")
    return next((cut for cut in range(len(parts)) if "/".join(parts[: len(parts) - cut]) in pages), len(parts) - 1)


def _find_media_types(handler: HTTPRouteHandler) -> frozenset[str]:
    """The types of body that a route takes: those that it says itself, or that of its parameter `data`."""
    said = handler.opt.get("media_types")
    if said is not None:
        return frozenset(said)
    data = handler.parsed_data_field
    if data is None:
        return frozenset()
    kwarg = data.kwarg_definition
    media_type = kwarg.media_type if isinstance(kwarg, BodyKwarg) else _JSON
    return frozenset({str(getattr(media_type, "value", media_type))})


class Guard:
    """Asked between the routing and everything that belongs to a route. It stands here as a middleware since Litestar
    copies a handler, with all of its sixty parts, for each of the guards that it calls so. `count` counts a request of
    the API."""

    def __init__(self, app: ASGIApp, *, count: Callable[[Scope, Desk], None]) -> None:
        self._app, self._count = app, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or raise Refused."""
        handler: Any = scope["route_handler"]
        if not is_answering_options(handler):
            connection: Request[Any, Any, Any] = Request(scope, receive, send)
            desk: Desk = connection.app.state.desk
            came_at = time.monotonic()
            await check_request(connection, handler, desk)
            principal: Principal = connection.scope["state"]["principal"]
            name = find_name(principal)
            # From here on, and in every thread that goes on with it, the database is asked for this caller.
            with asking_as(principal):
                if name is not None:
                    # Of the whole app: of a guard there is one for each handler.
                    turns: Turns = connection.app.state.turns
                    async with turns.taken(name):
                        await self._go_on(connection, receive, send, desk, came_at, LATE_S)
                    return
                await self._go_on(connection, receive, send, desk, came_at, 0.0)
            return
        # Litestar's own answer names the methods of one handler, and an address may have several.
        await Made(b"", 204, headers={"Allow": handler.opt["allow"]}).send(scope, receive, send)

    async def _go_on(
        self,
        connection: Request[Any, Any, Any],
        receive: Receive,
        send: Send,
        desk: Desk,
        came_at: float,
        late_s: float,
    ) -> None:
        scope = connection.scope
        # Counted in its turn, and told a little later: whoever sends on, though told to wait, would otherwise keep this
        # worker busy with telling.
        if scope["path"].startswith("/v1/"):
            try:
                self._count(scope, desk)
            except Refused:
                await asyncio.sleep(late_s)
                raise
        if scope["method"] not in READING:
            await _read(connection)
        if time.monotonic() - came_at > LET_IN_S:
            # Whoever sends slowly could otherwise write for as long as that takes, once their key was revoked.
            await _let_in(connection, scope["route_handler"], desk)
        if scope["route_handler"].opt["is_record"]:
            body = await connection.body()
            if len(body) < LARGE:
                check_names_once(body)
            else:
                await in_thread(check_names_once, body)
        short: ShortWay | None = scope["route_handler"].opt["short"]
        if short is None or not await short.has_answered(connection, receive, send, desk, scope["state"]["principal"]):
            await self._app(scope, receive, send)


async def check_request(connection: Request[Any, Any, Any], handler: BaseRouteHandler, desk: Desk) -> None:
    """What is asked of every route. Raises Refused."""
    principal = await _let_in(connection, handler, desk)
    if connection.scope["method"] not in READING:
        media_type = _get_media_type(connection.scope)
        # A bearer credential is never sent by itself, as a browser sends a cookie.
        if find_header(connection.scope, AUTHORIZATION) is None and not handler.opt["policy"].is_harmless:
            await _check_own_form(connection, principal, desk, media_type)
        _check_media_type(connection, handler, media_type)
        if connection.scope["path"].startswith("/v1/"):
            check_is_matched(connection.scope, is_matched=handler.opt.get("is_matched", False))
    if connection.scope["query_string"] and connection.scope["path"].startswith("/v1/"):
        _check_query(connection, handler)


async def _let_in(connection: Request[Any, Any, Any], handler: BaseRouteHandler, desk: Desk) -> Principal:
    """Who asks, if they may ask this now; kept in the request's state. Raises Refused."""
    policy: Policy = handler.opt["policy"]
    principal = VISITOR
    if has_credential(connection, desk.cookies) and not handler.opt.get("reads_bearer_itself"):
        principal = await promptly(find_principal, connection, desk.callers, desk.cookies)
    connection.scope["state"]["principal"] = principal
    try:
        policy.check(principal, desk.clock())
    except Refused as refused:
        if refused.reason is Reason.NOT_PERMITTED:
            await in_thread(note_denial, desk, principal, connection)
        if refused.reason in _MENDED_AND_SENT_AGAIN:
            await keep_written(connection, desk)
        raise
    return principal


async def _read(connection: Request[Any, Any, Any]) -> None:
    """Have all of the body here: the handler is given what was read."""
    await (connection.form() if _get_media_type(connection.scope) in FORMS else connection.body())


def _get_media_type(scope: Scope) -> str:
    return (find_text(scope, b"content-type") or "").partition(";")[0].strip().lower()


async def _check_own_form(
    connection: ASGIConnection[Any, Any, Any, Any], principal: Principal, desk: Desk, media_type: str
) -> None:
    """Raise Refused(FORM_EXPIRED) for a write that a page of another site may have sent.

    A type of body that a foreign page cannot send, without a session, has nothing of the browser's in it.
    """
    headers = connection.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    # Our pages send no referrer, and a browser then names no origin with a form either: it says `null`.
    known = {None, desk.origin, _own(connection, desk)} | ({"null"} if site == "same-origin" else set())
    is_foreign = site not in (None, "same-origin", "none") or origin not in known
    if not is_foreign and principal.is_visitor and media_type not in _FORGEABLE:
        return
    session = connection.cookies.get(desk.cookies.session)
    token = headers.get(FORM_HEADER)
    if token is None and media_type in FORMS and isinstance(connection, Request) and not is_foreign:
        token = (await connection.form()).get(FORM_FIELD)
    if is_foreign or not isinstance(token, str) or not _is_token(token, connection, desk, session):
        await keep_written(connection, desk)
        raise Refused(
            Reason.FORM_EXPIRED, "this form is too old, or is not ours: open its page again", could_retry=True
        )


def _own(connection: ASGIConnection[Any, Any, Any, Any], desk: Desk) -> str:
    """The origin under which this request asked, which the edge has held against the list of hosts."""
    scheme = "https" if desk.settings.is_secure else "http"
    return f"{scheme}://{connection.headers.get('host', '')}"


def _is_token(token: str, connection: ASGIConnection[Any, Any, Any, Any], desk: Desk, session: str | None) -> bool:
    return is_form_token(token, connection.cookies.get(desk.cookies.form), session)


def _check_media_type(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler, given: str) -> None:
    takes: frozenset[str] = handler.opt["media_types"]
    if given in takes:
        return
    headers = connection.headers
    is_empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    if (is_empty and not takes) or "*/*" in takes:
        return
    if not takes:
        raise Refused(Reason.WRONG_MEDIA_TYPE, "this address takes no body", takes=[])
    if is_empty and not given:
        told = handler.opt["wants"] or f"send {' or '.join(sorted(takes))}"
        raise Refused(Reason.MISSING_FIELD, f"a body is missing: {told}")
    saying = f"send {' or '.join(sorted(takes))}, and say so in Content-Type"
    raise Refused(Reason.WRONG_MEDIA_TYPE, saying, takes=sorted(takes))


def _check_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A slip in the name of a filter must not look like a list without it."""
    known: dict[str, bool] = handler.opt["query"]
    numbers: frozenset[str] = handler.opt["numbers"]
    faults, seen = [], set()
    for name, value in connection.query_params.multi_items():
        if name in seen and not known[name]:
            faults.append(Fault(f"#{name}", Reason.DUPLICATE_KEY.value, "it stands twice: leave one of the two out"))
        elif name in known:
            seen.add(name)
        if name not in known:
            faults.append(Fault(f"#{name[:80]}", Reason.UNKNOWN_FIELD.value, "this parameter is not known here"))
        elif len(str(value)) > MAX_QUERY_VALUE:
            faults.append(Fault(f"#{name[:80]}", Reason.TEXT_TOO_LONG.value, f"at most {MAX_QUERY_VALUE} characters"))
        elif name in numbers and not _PLAIN_NUMBER.fullmatch(value):
            # `1e1`, ` 10` and `１０` are numbers to some readers only, such as the one behind this.
            faults.append(Fault(f"#{name}", Reason.WRONG_TYPE.value, "a number is written in plain digits, such as 10"))
    if faults:
        raise InvalidInput(tuple(faults))
