"""What is measured and logged of each request: the route's template, never the address as it was sent, no query, no
body, no name. A failure is logged by its place in our code, without its words, which may hold somebody's data.

Design: security 25.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from prometheus_client import REGISTRY, Counter, Histogram

from carnet.services.logs import find_places, get_log

UNKNOWN_ROUTE: Final = "(none)"

_LOG: Final[Any] = get_log("carnet.web")
REQUESTS: Final = Counter("carnet_http_requests_total", "Requests answered.", ("method", "route", "status"))
DURATIONS: Final = Histogram(
    "carnet_http_request_seconds",
    "How long an answer took.",
    ("method", "route"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
FAILURES: Final = Counter("carnet_http_failures_total", "Requests that failed through us.", ("route", "kind"))
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

__all__ = ["REGISTRY", "note_failure", "note_request"]


def note_request(scope: Any, status: int, seconds: float) -> None:
    """Count a request that was answered, and log it."""
    method = scope["method"] if scope["method"] in METHODS else "OTHER"
    route = scope.get("path_template") or UNKNOWN_ROUTE
    count, durations = _find_figures(method, route, status)
    count.inc()
    durations.observe(seconds)
    state = scope.get("state", {})
    principal = state.get("principal")
    _LOG.info(
        "request",
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 2),
        request_id=state.get("carnet_request_id"),
        standing=None if principal is None else principal.standing.value,
    )


@cache
def _find_figures(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """There are as many as routes and statuses; to look one up by its labels takes longer than to count."""
    return REQUESTS.labels(method, route, status), DURATIONS.labels(method, route)


def note_failure(scope: Any, error: BaseException) -> None:
    """Log where in the code something failed, by the id under which its sender was told."""
    route = scope.get("path_template") or UNKNOWN_ROUTE
    FAILURES.labels(route, type(error).__name__).inc()
    _LOG.error(
        "failure",
        route=route,
        kind=type(error).__name__,
        reason=getattr(getattr(error, "reason", None), "value", None),
        at=find_places(error),
        request_id=scope.get("state", {}).get("carnet_request_id"),
    )
