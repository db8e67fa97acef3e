"""A form's own number: sent twice, by a double click, by the page loaded again or by *back* and the same button, it is
done once, and shows again what it showed the first time.

The number is no secret: what is made of it needs the node's key. It refuses to know what a form does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from carnet.services.accounts.office import name_caller
from carnet.services.principals import Principal
from carnet.web.desk import Desk
from carnet.web.people import get_office


def make_once(desk: Desk) -> str:
    """A number for one showing of a page with forms."""
    return desk.random_bytes(16).hex()


def read_once(desk: Desk, data: Mapping[str, Any]) -> str:
    """The number that a form has brought; a new one for a form without."""
    once = str(data.get("once", ""))
    return once if re.fullmatch(r"[0-9a-f]{32}", once) else make_once(desk)


def compute_seed(desk: Desk, principal: Principal, what: str, data: Mapping[str, Any]) -> bytes:
    """32 secret bytes, the same each time that the caller sends this showing of the form `what`. The form's number is
    kept nowhere: of what was sealed with such a seed and erased since, nobody can make it again."""
    parts = (name_caller(principal), what, read_once(desk, data))
    return get_office(desk).digest("form", *(part.encode() for part in parts))
