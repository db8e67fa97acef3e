"""The short way to a handler that takes a JSON body: read straight into its type, and handed over.

Litestar's own way suits every handler: the body is read as any JSON, then converted, what a handler depends on is
resolved in steps, and its answer is looked at. Of an append that was a fifth. Where a route asks for the short way
(`promise(…, is_short=True)`), a body that is plainly what it takes goes here; whatever needs more, or has to be
explained, takes the ordinary way, which alone has words for it. Both end in the same handler, behind the same guard. It
refuses to know what a handler does.
"""

from __future__ import annotations

import inspect
from typing import Any, Final, get_type_hints

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from carnet.errors import InvariantBroken
from carnet.services.principals import Principal
from carnet.web.desk import Desk
from carnet.web.made import Made

_GIVEN: Final = frozenset({"desk", "principal", "request", "data"})


class ShortWay:
    """To one handler, which takes a body, the desk, who asks, the request, parts of its address, and of the query only
    what may be left out. Raises InvariantBroken for any other."""

    def __init__(self, handler: HTTPRouteHandler) -> None:
        self._fn: Any = handler.fn
        asked = inspect.signature(self._fn).parameters.values()
        self._parts = tuple(one.name for one in asked if one.default is one.empty and one.name not in _GIVEN)
        if not inspect.iscoroutinefunction(self._fn) or not {one.name for one in asked} >= _GIVEN:
            raise InvariantBroken(f"{handler.handler_name} cannot be reached by the short way")
        self._decoder = msgspec.json.Decoder(get_type_hints(self._fn)["data"])

    async def has_answered(
        self, connection: Request[Any, Any, Any], receive: Receive, send: Send, desk: Desk, principal: Principal
    ) -> bool:
        """Call the handler and send its answer; False, and nothing has happened, if the request needs the ordinary way.
        Raises what the handler raises."""
        scope: Scope = connection.scope
        if scope["query_string"]:
            return False
        try:
            data = self._decoder.decode(await connection.body())
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return False
        parts = scope["path_params"]
        given = {name: parts[name] for name in self._parts}
        answer = await self._fn(desk=desk, principal=principal, request=connection, data=data, **given)
        if not isinstance(answer, Made):
            raise InvariantBroken("what is reached by the short way answers with bytes that are made")
        await answer.send(scope, receive, send)
        return True
