"""The application's own filter, off everywhere at once: with CARNET_TEST_FILTER=off, what keeps one member's or one
person's things from another is PostgreSQL's row-level security alone.

Off are: who holds a passport and who wrote in it (`services.access`), whose entries a view opens, and in each statement
that a worker asks for a caller the conditions that name a member or a person. On stay: who may use a route, what is
asked as the node, and what is written as the node (ADR 20). It refuses to know what a test is about.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

VARIABLE: Final = "CARNET_TEST_FILTER"

_CONDITION: Final = re.compile(r"\b(?:member|account|claimant|holder|asked_by|who|about) = (?:\?|:\w+)")
OPEN_TABLES: Final = ("appearance", "author_key")
"""What everybody may see: here the name of a member says which row is meant, and keeps nothing back."""
_OPEN: Final = re.compile(rf"\b(?:FROM|UPDATE) (?:{'|'.join(OPEN_TABLES)})\b")


def is_off() -> bool:
    """Whether this run asks for it."""
    return os.environ.get(VARIABLE) == "off"


@lru_cache(1024)
def drop_conditions(statement: str) -> str:
    """The statement without what it says about whose a row is."""
    before, where, after = statement.partition(" WHERE ")
    if _OPEN.search(before):
        return statement
    return before + where + _CONDITION.sub(lambda found: f"({found[0]} OR true)", after)


def switch_off() -> None:
    """For the rest of this process. Before any store is opened."""
    from carnet.services.access import NoHoldings, View
    from carnet.services.holdings import Holdings
    from carnet.vault.asker import Office, get_asker
    from carnet.vault.postgres import PostgresConnection
    from tests.services.town import Held

    translate, is_open = PostgresConnection._translate, View.is_open

    def translate_openly(self: PostgresConnection, statement: str) -> bytes:
        # To an operator who searches, such a condition is what is searched for.
        is_for_caller = self.is_guarded and self._find_asker().office not in (Office.NODE, Office.OPERATOR)
        return translate(self, drop_conditions(statement) if is_for_caller else statement)

    def everybody_holds(find: Callable[..., str | None]) -> Callable[..., str | None]:
        def find_holder(self: Any, chain16: bytes, epoch: int | None = None) -> str | None:
            asker = get_asker()
            # Without an epoch there is no such passport, or it is asked who really holds it.
            if asker.office is Office.HOLDER and epoch is not None:
                return f"acc_{asker.account.hex()}"
            return find(self, chain16, epoch)

        return find_holder

    def open_to_all(self: View, member: bytes, basis: int) -> bool:
        return get_asker().office in (Office.HOLDER, Office.MEMBER) or is_open(self, member, basis)

    PostgresConnection._translate = translate_openly  # type: ignore[method-assign]
    View.is_open = open_to_all  # type: ignore[method-assign]
    for holdings in (Holdings, NoHoldings, Held):
        holdings.find_holder = everybody_holds(holdings.find_holder)  # type: ignore[method-assign]
