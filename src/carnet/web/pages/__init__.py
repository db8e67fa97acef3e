"""The pages that people meet: one module for each feature, named as its service.

Whoever adds a module adds its handlers to `ROUTES`; nothing else registers them.
"""

from __future__ import annotations

from typing import Any

from carnet.web.pages import (
    account,
    adding,
    appearance,
    codes,
    console,
    customers,
    developers,
    embedding,
    entries,
    filing,
    filing_mappings,
    front,
    mending,
    operating,
    operator,
    organisation,
    own,
    own_keys,
    own_signing,
    signing_in,
    trail,
    using,
    vehicle,
    vehicles,
    verifying,
    webhooks,
    with_member,
    writing,
)

ROUTES: list[Any] = [
    *front.ROUTES,
    *signing_in.ROUTES,
    *account.ROUTES,
    *organisation.ROUTES,
    *appearance.ROUTES,
    *webhooks.ROUTES,
    *vehicles.ROUTES,
    *vehicle.ROUTES,
    *entries.ROUTES,
    *adding.ROUTES,
    *with_member.ROUTES,
    *filing_mappings.ROUTES,
    *filing.ROUTES,
    *embedding.ROUTES,
    *verifying.ROUTES,
    *developers.ROUTES,
    *operator.ROUTES,
    *operating.ROUTES,
    *console.ROUTES,
    *writing.ROUTES,
    *own_signing.ROUTES,
    *own.ROUTES,
    *mending.ROUTES,
    *own_keys.ROUTES,
    *trail.ROUTES,
    *codes.ROUTES,
    *using.ROUTES,
    *customers.ROUTES,
]
"""Litestar handlers and routers; each names its policy (`web.policy`)."""
