"""The *Vehicle Life Cycle API*, `/v1`: one module for each feature, named as its service.

Whoever adds a module adds its handlers to `ROUTES`; nothing else registers them.
"""

from __future__ import annotations

from typing import Any

from litestar import Router

from carnet.web.api import (
    appearance,
    claims,
    console,
    customers,
    entries,
    files,
    network,
    openapi,
    passports,
    readings,
    sandbox,
    tokens,
    webhooks,
)

ROUTES: list[Any] = [
    Router(
        "/v1",
        route_handlers=[
            *passports.ROUTES,
            *entries.ROUTES,
            *claims.ROUTES,
            *console.ROUTES,
            *customers.ROUTES,
            *files.ROUTES,
            *readings.ROUTES,
            *tokens.ROUTES,
            *appearance.ROUTES,
            *network.ROUTES,
            *sandbox.ROUTES,
            *webhooks.ROUTES,
            *openapi.ROUTES,
        ],
    ),
]
"""Litestar handlers and routers; each names its policy (`web.policy`)."""
