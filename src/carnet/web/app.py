"""Putting the service together: one Litestar app from the desk and the lists of routes.

It refuses to start with a route that says no policy, and knows no feature by name.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from litestar import Litestar, Request
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.utils.sync import AsyncCallable

from carnet.services.principals import VISITOR, Principal
from carnet.web import api, fixed, metrics, pages, static_files
from carnet.web.api.quota import check_quota, tell_quota
from carnet.web.desk import Desk, TheDesk
from carnet.web.edge import Edge
from carnet.web.guard import Guard, prepare_guard
from carnet.web.pages import demo
from carnet.web.policy import check_policies
from carnet.web.problems import HANDLERS
from carnet.web.turns import Turns

MAX_FORM_PARTS: Final = 100


def make_app(desk: Desk, more: Sequence[Any] = ()) -> Litestar:
    """The app of one worker; `more` are routes beside the registered ones, for tests. Raises InvariantBroken for a
    route without a policy."""
    return Composed(is_demo=desk.is_demo, max_body_bytes=desk.settings.max_body_bytes, more=more).seat(desk)


class Composed:
    """An app that has no desk yet. Putting its routes together takes a third of a second; it may have one desk after
    another, and never two."""

    _desk: Desk

    def __init__(self, *, is_demo: bool, max_body_bytes: int, more: Sequence[Any] = ()) -> None:
        """Raises InvariantBroken for a route without a policy."""

        def give_desk() -> Desk:
            return self._desk

        self._app = Litestar(
            route_handlers=[
                *fixed.ROUTES,
                metrics.get_metrics,
                static_files.get_static,
                *api.ROUTES,
                *pages.ROUTES,
                # Only a demonstration has sign-in links: elsewhere there is no such address.
                *(demo.ROUTES if is_demo else ()),
                *more,
            ],
            middleware=[DefineMiddleware(Guard, count=check_quota)],
            dependencies={
                "desk": Provide(give_desk, sync_to_thread=False),
                "principal": Provide(give_principal, sync_to_thread=False),
            },
            exception_handlers=HANDLERS,
            before_send=[tell_quota],
            request_max_body_size=max_body_bytes,
            multipart_form_part_limit=MAX_FORM_PARTS,
            openapi_config=None,
            logging_config=None,
            debug=False,
            signature_types=[Desk, Principal],
        )
        _unwrap_twice_wrapped(self._app)
        check_policies(self._app)
        prepare_guard(self._app)
        self._routed = self._app.asgi_handler

    def seat(self, desk: Desk) -> Litestar:
        """The app with this desk."""
        app = self._app
        self._desk = app.state.desk = desk
        app.state.turns = Turns(time.monotonic)
        app.on_shutdown = [desk.door.leave_loop]
        app.asgi_handler = Edge(self._routed, desk.settings)
        return app


def _unwrap_twice_wrapped(app: Litestar) -> None:
    """Litestar sends a handler to a thread once more each time another method joins its address, and then answers with
    what nobody awaits: once is enough."""
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            while isinstance(handler.fn, AsyncCallable) and isinstance(handler.fn.func, AsyncCallable):
                handler._fn = handler.fn.func


def give_principal(request: Request[Any, Any, Any], desk: TheDesk) -> Principal:
    """Who asks, as the guard found out. After the desk, since two that could be given at once get a task each."""
    found = request.scope["state"].get("principal", VISITOR)
    return found if isinstance(found, Principal) else VISITOR
