"""The pages that people meet: one module for each feature, named as its service.

Whoever adds a module adds its handlers to `ROUTES`; nothing else registers them.
"""

from __future__ import annotations

from typing import Any

from carnet.web.pages import (
    account,
    adding,
    entries,
    front,
    operating,
    operator,
    organisation,
    signing_in,
    vehicle,
    vehicles,
    verifying,
)

ROUTES: list[Any] = [
    *front.ROUTES,
    *signing_in.ROUTES,
    *account.ROUTES,
    *organisation.ROUTES,
    *vehicles.ROUTES,
    *vehicle.ROUTES,
    *entries.ROUTES,
    *adding.ROUTES,
    *verifying.ROUTES,
    *operator.ROUTES,
    *operating.ROUTES,
]
"""Litestar handlers and routers; each names its policy (`web.policy`)."""
