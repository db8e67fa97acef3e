"""From a caller to what a database compares its rows with: for whom it is asked.

It refuses to know which rows those are (`vault.guarding`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final

from carnet.errors import Reason
from carnet.services.accounts.office import read_id
from carnet.services.principals import Principal, Standing
from carnet.vault.asker import NOBODY, Asker, Office, asking_for

_OFFICES: Final = {
    Standing.HOLDER: Office.HOLDER,
    Standing.STAFF: Office.MEMBER,
    Standing.MACHINE: Office.MEMBER,
    Standing.OPERATOR: Office.OPERATOR,
}


def make_asker(principal: Principal) -> Asker:
    """The caller as the database knows it; NOBODY for a visitor. Raises Refused(UNKNOWN_ACCOUNT) for a name that is no
    account's."""
    office = _OFFICES.get(principal.standing)
    if office is None:
        return NOBODY
    account = b"" if principal.account is None else read_id("acc", principal.account, Reason.UNKNOWN_ACCOUNT)
    return Asker(office, account, principal.member or b"")


def asking_as(principal: Principal) -> AbstractContextManager[None]:
    """Within the block the database is asked for this caller."""
    return asking_for(make_asker(principal))
