"""The desk: all that the handlers of one web worker have at hand.

A handler declares what it needs of it as a parameter (`desk`, `principal`), and gets nothing from anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from litestar.di import NamedDependency

from carnet.node.home import Home
from carnet.node.keyring import RandomBytes
from carnet.node.reader import Reader
from carnet.node.readers import Readers
from carnet.node.writing import Writing
from carnet.services.principals import Principal
from carnet.services.settings import Settings
from carnet.types import Millis
from carnet.web.cookies import Cookies
from carnet.web.principal import Callers, VisitorsOnly


@dataclass(frozen=True, slots=True)
class Desk:
    """What handlers need. `clock` gives ms since 1970; `door` is the writer, usually behind the node's socket; `shelf`
    is where features keep what they open once for each worker, by their own name."""

    home: Home
    readers: Readers
    door: Writing
    clock: Callable[[], Millis]
    random_bytes: RandomBytes
    settings: Settings = field(default_factory=Settings)
    callers: Callers = field(default_factory=VisitorsOnly)
    is_demo: bool = False
    shelf: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The address of this service as people see it, without a slash at its end."""
        return self.settings.public_address

    @property
    def cookies(self) -> Cookies:
        """How cookies are named and set."""
        # Asked for several times at each request.
        found: Cookies | None = self.shelf.get("cookies")
        if found is None:
            found = self.shelf["cookies"] = Cookies(self.settings.is_secure)
        return found

    def reading(self) -> AbstractContextManager[Reader]:
        """A reader of the store as it is now: what was acknowledged is seen. For a short while, and for one thread."""
        return self.readers.reading()


TheDesk = NamedDependency[Desk]
"""How a handler asks for the desk: `desk: TheDesk`."""

ThePrincipal = NamedDependency[Principal]
"""How a handler asks who asks: `principal: ThePrincipal`."""
