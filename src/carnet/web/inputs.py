"""The shape of what is sent to us: records that refuse every field which they do not name. Design: security 10."""

from __future__ import annotations

import msgspec


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of each request body."""
