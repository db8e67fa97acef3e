"""A code for one paper: a form that is sent twice makes one, and whoever asks for another, while one for the same
vehicle is still unused, is told so first.

A code is kept as its digest alone and shown once, so the one that was made before cannot be shown again. A form's own
number makes it anew. It refuses to know pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum

from carnet.errors import Refused
from carnet.node.reader import Reader
from carnet.services.accounts.office import Office, name_id
from carnet.services.claims import (
    CodeLine,
    IssuedCode,
    compute_code_id,
    compute_code_seed,
    find_printed,
    issue_code,
    list_unused,
    revoke_code,
)
from carnet.services.principals import Principal
from carnet.types import ChainId


class Earlier(StrEnum):
    """What becomes of the codes that were made for the vehicle before, and are unused."""

    TELL = "tell"
    WITHDRAW = "withdraw"
    KEEP = "keep"


def print_code(
    office: Office, reader: Reader, principal: Principal, passport: ChainId, *, once: str, earlier: Earlier
) -> IssuedCode | Sequence[CodeLine]:
    """The code of the form `once` (its own number), the same each time that it is sent; or, with `Earlier.TELL`, the
    unused codes that there are already, and none is made. Raises as `claims.issue_code`."""
    seed = compute_code_seed(office, principal, passport, once)
    own = name_id("cod", compute_code_id(seed))
    # Sent twice at the same moment, the first may have made it while the second looks.
    others = [one for one in list_unused(office, reader, principal, passport) if one.id != own]
    is_new = find_printed(office, principal, own) is None
    if is_new and others and earlier is Earlier.TELL:
        return others
    issued = issue_code(office, reader, principal, passport, seed=seed)
    if is_new and earlier is Earlier.WITHDRAW:
        for one in others:
            # Used at this very moment, it has done what it was made for.
            with suppress(Refused):
                revoke_code(office, principal, one.id)
    return issued
