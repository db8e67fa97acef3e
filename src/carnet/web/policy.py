"""Who may call a route: each route says it in `opt={"policy": …}`, and an app with one that does not never starts.

The same list is what the matrix test is generated from (`list_routes`). It decides by office, role and scope alone; it
refuses to know whose a passport is, which is `services.access`' business. Design: security 7, 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import HTTPRoute

from carnet.errors import InvariantBroken, Reason, Refused
from carnet.services.principals import Principal, Role, Scope, Standing
from carnet.types import Millis

FRESH_MS = 5 * 60_000
"""How long a passkey's proof of presence is good for dangerous acts."""

EVERYONE = frozenset(Standing)
PEOPLE = frozenset({Standing.HOLDER, Standing.STAFF, Standing.OPERATOR})


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may call a route: these standings; of staff these roles; of machines those with `scope`.

    `fresh` asks for a passkey that was used within `FRESH_MS`, which a machine cannot do. `is_harmless` marks an open
    route that is asked with a POST and changes nothing, so that it needs no token against forged forms.
    """

    standings: frozenset[Standing]
    roles: frozenset[Role] = frozenset(Role)
    scope: Scope | None = None
    fresh: bool = False
    is_harmless: bool = False

    def __or__(self, other: Policy) -> Policy:
        """Whom either lets in. Raises InvariantBroken for two that differ in scope, roles or freshness."""
        scopes = {self.scope, other.scope} - {None}
        if len(scopes) > 1 or (self.fresh, self.is_harmless) != (other.fresh, other.is_harmless):
            raise InvariantBroken("these two policies cannot be joined")
        mine, theirs = (Standing.STAFF in one.standings for one in (self, other))
        roles = self.roles | other.roles if mine and theirs else self.roles if mine else other.roles
        return replace(self, standings=self.standings | other.standings, roles=roles, scope=self.scope or other.scope)

    def is_let_in(self, principal: Principal) -> bool:
        """Whether office, role and scope reach."""
        standing = principal.standing
        if standing not in self.standings:
            return False
        if standing is Standing.STAFF:
            return principal.role in self.roles
        return standing is not Standing.MACHINE or self.scope is None or self.scope in principal.scopes

    def check(self, principal: Principal, now: Millis) -> None:
        """Raise Refused NOT_SIGNED_IN (a visitor), NOT_PERMITTED (anyone else who may not), CONFIRMATION_NEEDED."""
        if not self.is_let_in(principal):
            if principal.is_visitor:
                raise Refused(Reason.NOT_SIGNED_IN, "sign in first, or send a key: `Authorization: Bearer KEY`")
            if principal.standing is Standing.MACHINE and self.scope is not None:
                raise Refused(
                    Reason.NOT_PERMITTED, f"this key lacks the scope {self.scope.value}", scope=self.scope.value
                )
            raise Refused(Reason.NOT_PERMITTED, f"this is {self.describe()}", wanted=self.describe())
        if self.fresh and (principal.confirmed_at is None or now - principal.confirmed_at > FRESH_MS):
            raise Refused(
                Reason.CONFIRMATION_NEEDED, "confirm with your passkey first, then do this again", could_retry=True
            )

    def describe(self) -> str:
        """In words: "for holders, staff (admin, clerk), machines with files"."""
        if self.standings == EVERYONE:
            return "open to everyone"
        words = []
        for standing in Standing:
            if standing in self.standings:
                words.append(_WORDS[standing])
                if standing is Standing.STAFF and self.roles != frozenset(Role):
                    words[-1] += f" ({', '.join(role.value for role in Role if role in self.roles)})"
                if standing is Standing.MACHINE and self.scope is not None:
                    words[-1] += f" with {self.scope.value}"
        return f"for {', '.join(words)}" + (", freshly confirmed" if self.fresh else "")


_WORDS = {
    Standing.VISITOR: "visitors",
    Standing.HOLDER: "holders",
    Standing.STAFF: "staff",
    Standing.MACHINE: "machines",
    Standing.OPERATOR: "operators",
}

OPEN = Policy(EVERYONE)
"""Anybody, signed in or not."""

HARMLESS = Policy(EVERYONE, is_harmless=True)
"""Anybody, with a POST that changes nothing (such as having a proof checked)."""


def signed_in(*, fresh: bool = False) -> Policy:
    """Any person with an account; no machine."""
    return Policy(PEOPLE, fresh=fresh)


def holder(*, fresh: bool = False) -> Policy:
    """Holders of vehicles."""
    return Policy(frozenset({Standing.HOLDER}), fresh=fresh)


def staff(*roles: Role, fresh: bool = False) -> Policy:
    """A member's staff with one of these roles; with any, if none is named."""
    return Policy(frozenset({Standing.STAFF}), frozenset(roles or Role), fresh=fresh)


def machine(scope: Scope, *roles: Role) -> Policy:
    """A machine client with this scope, or its member's staff with one of these roles (any, if none is named)."""
    return Policy(frozenset({Standing.MACHINE, Standing.STAFF}), frozenset(roles or Role), scope)


def operator(*, fresh: bool = False) -> Policy:
    """Those who run the node."""
    return Policy(frozenset({Standing.OPERATOR}), fresh=fresh)


class RouteLine(NamedTuple):
    """One verb of one address, and who may use it. `handler` is the name of its function, with its module."""

    method: str
    path: str
    policy: Policy
    handler: str


def list_routes(app: Litestar) -> list[RouteLine]:
    """Every route of the app, in the order of addresses. HEAD and OPTIONS, which only ask about others, are left
    out."""
    lines = [
        RouteLine(str(method), path, get_policy(handler), _name(handler))
        for path, handler in _walk(app)
        for method in handler.http_methods
        if method not in ("HEAD", "OPTIONS")
    ]
    return sorted(lines, key=lambda line: (line.path, line.method))


def get_policy(handler: BaseRouteHandler) -> Policy:
    """The policy of a route; raises InvariantBroken if it has none."""
    policy = handler.opt.get("policy")
    if not isinstance(policy, Policy):
        raise InvariantBroken(f"the route {sorted(handler.paths)} says no policy (web.policy)")
    return policy


def check_policies(app: Litestar) -> None:
    """Raise InvariantBroken for a route without a policy, or one that lets a GET in as harmless writing."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            raise InvariantBroken(f"{route.path} is no plain HTTP route, so no policy is asked there")
    for _, handler in _walk(app):
        policy = get_policy(handler)
        if policy.fresh and Standing.MACHINE in policy.standings:
            raise InvariantBroken(f"{sorted(handler.paths)}: a machine cannot confirm with a passkey")


def _walk(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if not is_answering_options(handler):
                    yield route.path, handler


def _name(handler: HTTPRouteHandler) -> str:
    # One that runs in a thread is wrapped, once for each router above it, and the wrapper keeps the function itself.
    function: Any = handler.fn
    while hasattr(function, "func"):
        function = function.func
    return f"{function.__module__}.{function.__qualname__}"


def is_answering_options(handler: BaseRouteHandler) -> bool:
    """Whether it is the handler that Litestar itself adds to tell which methods an address has."""
    return isinstance(handler, HTTPRouteHandler) and set(handler.http_methods) == {"OPTIONS"}
