"""`/metrics`, for Prometheus: how many requests, how quick, and how the writer fares. No figure is about a person, a
vehicle or an address.

Only this machine may read them, or whoever has the token that the settings name; to everyone else there is nothing.
Every worker adds what the others counted too, which they keep in small shared files.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from carnet.errors import Reason, Refused
from carnet.node.door import RemoteWriter
from carnet.services.settings import Settings
from carnet.web.desk import Desk, TheDesk
from carnet.web.observing import REGISTRY
from carnet.web.policy import OPEN

LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
TEXT: Final = "text/plain; version=0.0.4"


@get(
    "/metrics",
    opt={"policy": OPEN, "reads_bearer_itself": True},
    sync_to_thread=True,
    include_in_schema=False,
)
def get_metrics(request: Request[Any, Any, Any], desk: TheDesk) -> Response[bytes]:
    """The figures of all workers and of the writer."""
    if not may_read(request, desk.settings):
        raise Refused(Reason.NOT_FOUND, "there is nothing at this address, or nothing that you may see")
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    writers = CollectorRegistry()
    writers.register(_WriterFigures(desk))
    return Response(generate_latest(registry) + generate_latest(writers), media_type=TEXT)


def may_read(request: Request[Any, Any, Any], settings: Settings) -> bool:
    """Whether a request comes with the token; or, where no proxy stands before us, from this machine."""
    if settings.metrics_token_file:
        token = Path(settings.metrics_token_file).read_text(encoding="utf-8").strip()
        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return bool(token) and hmac.compare_digest(token.encode(), given.encode("utf-8", "replace"))
    is_forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for"))
    is_here = request.client is not None and request.client.host in LOOPBACK
    return is_here and not is_forwarded and not settings.behind_proxy


class _WriterFigures:
    """What the writer says of itself, asked at each look."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        """The figures; `carnet_writer_up` alone if it does not answer."""
        door = self._desk.door
        health = None
        try:
            health = door.get_health() if isinstance(door, RemoteWriter) else None
        except Refused:
            health = None
        is_up = health is not None and health.failure is None
        yield GaugeMetricFamily("carnet_writer_up", "Whether the writer answers and writes.", int(is_up))
        if health is None:
            return
        yield GaugeMetricFamily("carnet_log_size", "Records in the log.", health.log_size)
        yield CounterMetricFamily("carnet_commits", "Transactions of the writer.", health.commits)
        yield CounterMetricFamily("carnet_submissions", "Submissions that were committed.", health.submissions)
        yield CounterMetricFamily("carnet_entries", "Entries that were sealed.", health.entries)
        yield CounterMetricFamily("carnet_commit_seconds", "Seconds that commits took.", health.commit_seconds)
        yield GaugeMetricFamily("carnet_commit_largest", "Submissions in the largest commit.", health.largest_group)
        yield GaugeMetricFamily("carnet_waiting", "Requests that wait for the writer.", health.waiting)
