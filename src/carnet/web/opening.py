"""Opening the desk of a worker: readers of the store, the way to the writer, and the services that keep something of
their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

from carnet.node.door import RemoteWriter
from carnet.node.home import Home
from carnet.node.keyring import KeyRing
from carnet.node.people import compute_people_key, get_people_address
from carnet.node.reader import Reader
from carnet.node.readers import Readers
from carnet.services.accounts.office import Office
from carnet.services.calls import Calls
from carnet.services.filing.records import Files
from carnet.services.filing.watching import Watcher
from carnet.services.founding import now_ms
from carnet.services.settings import Settings
from carnet.services.webhooks.watching import HookWatcher
from carnet.vault.people.store import open_people_store
from carnet.web.desk import Desk
from carnet.web.people import OfficeCallers, make_shelf


class OpenedDesk(NamedTuple):
    """A desk, and how to close what is behind it."""

    desk: Desk
    close: Callable[[], None]


def open_desk(home: Home, ring: KeyRing, settings: Settings, *, is_demo: bool, is_guarded: bool) -> OpenedDesk:
    """The desk of a worker of this home. The writer may come later: until then it is said to be away. `is_guarded`: a
    database opens no passport that a caller may not see.

    Raises Refused NO_NODE, NODE_DAMAGED, STORE_UNREACHABLE.
    """
    with ExitStack() as stack:
        readers = Readers(lambda: Reader(home, ring, is_one_of_many=True, is_guarded=is_guarded))
        stack.callback(readers.close)
        door = RemoteWriter(home, ring, clock=now_ms, random_bytes=os.urandom)
        stack.callback(door.close)
        people = open_people_store(get_people_address(home), is_guarded=is_guarded)
        stack.callback(people.close)
        with readers.reading() as reader:
            network = reader.state.genesis.name
        office = Office(people, compute_people_key(ring), network, is_open=settings.open_sign_up, is_demo=is_demo)
        desk = Desk(
            home,
            readers,
            door,
            now_ms,
            os.urandom,
            settings,
            callers=OfficeCallers(office),
            is_demo=is_demo,
            shelf=make_shelf(office),
        )
        calls = desk.shelf["calls"] = Calls(people, now_ms)
        stack.callback(calls.flush)
        files = desk.shelf["files"] = Files(home, now_ms, os.urandom)
        stack.callback(Watcher(home.path, ring, files).start().close)
        stack.callback(HookWatcher(home.path, ring, office, settings).start().close)
        return OpenedDesk(desk, stack.pop_all().close)
