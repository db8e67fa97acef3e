"""The passport in a frame of a member's own app: the address of the frame, and of the page for a link.

What the frame shows is between its reader and the service: whoever makes the address learns nothing by it.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode


def make_frame_address(
    service: str,
    member: str,
    passport: str,
    app: str,
    *,
    theme: Literal["light", "dark"] | None = None,
    lang: Literal["fr", "en"] | None = None,
) -> str:
    """The `src` of the frame: at a service, of a member (`mem_…`) and a passport (`pas_…`), in pages of `app`, which is
    one of the member's registered origins. Without `theme` and `lang` it follows the reader's browser."""
    asked = {"app": app, "theme": theme, "lang": lang}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    return f"{service.rstrip('/')}/embed/{member}/vehicles/{passport}?{query}"


def make_page_address(service: str, member: str, passport: str | None = None) -> str:
    """The page for a link in a mail or an app: a vehicle's passport under the member's name, or where its customers
    come in."""
    return f"{service.rstrip('/')}/with/{member}" + ("" if passport is None else f"/vehicles/{passport}")
