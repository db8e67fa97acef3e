"""For whom this thread, or this task of an event loop, asks the database: what the policies of `vault.guarding` compare
rows with.

Whoever serves a request says it once, at its door; a thread that goes on with the request is given it too
(`contextvars`). Nothing said means nobody, and nobody sees nothing. It refuses to know how somebody signed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final


class Office(StrEnum):
    """What somebody asks as. NODE is the node itself, in its own chores and where it prepares what is to be sealed: it
    sees all."""

    NOBODY = ""
    NODE = "node"
    HOLDER = "holder"
    MEMBER = "member"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: 16 bytes of an account, 16 of a member, or neither."""

    office: Office
    account: bytes = b""
    member: bytes = b""


NOBODY: Final = Asker(Office.NOBODY)
NODE: Final = Asker(Office.NODE)

_asker: ContextVar[Asker] = ContextVar("asker", default=NOBODY)


def get_asker() -> Asker:
    """For whom is asked now; NOBODY where it was not said."""
    return _asker.get()


@contextmanager
def asking_for(asker: Asker) -> Iterator[None]:
    """Within the block the database is asked for them."""
    before = _asker.set(asker)
    try:
        yield
    finally:
        _asker.reset(before)


def asking_as_node() -> AbstractContextManager[None]:
    """Within the block the node itself asks, whoever the request is from: for what is not shown to them. A test lists
    the places that say so."""
    return asking_for(NODE)


@lru_cache(4096)
def write_settings(asker: Asker, scope: str) -> str:
    """The statements that say it to a server; `scope` is LOCAL (until the transaction ends) or SESSION. Nothing but
    letters and hexadecimal digits goes into them."""
    said = {"office": asker.office.value, "account": asker.account.hex(), "member": asker.member.hex()}
    return "; ".join(f"SET {scope} carnet.{name} = '{value}'" for name, value in said.items())
