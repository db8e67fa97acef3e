"""The *Vehicle Life Cycle API*, `/v1`: one module for each feature, named as its service.

Whoever adds a module adds its handlers to `ROUTES`; nothing else registers them.
"""

from __future__ import annotations

from typing import Any

ROUTES: list[Any] = []
"""Litestar handlers and routers; each names its policy (`web.policy`)."""
