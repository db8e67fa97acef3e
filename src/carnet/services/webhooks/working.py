"""The process that makes and delivers the messages of a home: `python -m carnet.services.webhooks.working`, started by
`watching` and by nobody else.

It is told what to do in one line on its standard input, and ends when that ends. Beside the pages it would make them
wait: here it has a processor's share of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from carnet.encoding import unb64
from carnet.errors import Refused
from carnet.node.home import Home
from carnet.node.keyring import KeyRing
from carnet.node.people import compute_people_key, get_people_address
from carnet.node.reader import Reader
from carnet.node.readers import Readers
from carnet.outbound.addresses import Reach, parse_networks
from carnet.outbound.posting import Poster
from carnet.services.accounts.office import Office
from carnet.services.filing.records import Files
from carnet.services.founding import now_ms
from carnet.services.logs import find_places, get_log, start_logs
from carnet.services.webhooks.following import Follower, Pace
from carnet.services.webhooks.sending import Sender
from carnet.vault.people.store import open_people_store

FOLLOWS_EVERY_S: Final = 1.0
LOOKS_EVERY_S: Final = 0.25
GRACE_S: Final = 3.0


def main() -> int:
    """Work until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.buffer.readline())
    start_logs(order["log_level"], "webhooks")
    stop = threading.Event()
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()
    with ExitStack() as stack:
        work(order, stop, stack)
    return 0


def work(order: dict[str, Any], stop: threading.Event, stack: ExitStack) -> None:
    """Follow and send until `stop`; what is opened is closed with `stack`."""
    home = Home(Path(order["home"]))
    ring = KeyRing(b"", b"", unb64(order["kek"], 32), unb64(order["index"], 32))
    readers = Readers(lambda: Reader(home, ring, is_one_of_many=True))
    stack.callback(readers.close)
    people = open_people_store(get_people_address(home))
    stack.callback(people.close)
    with readers.reading() as reader:
        network = reader.state.genesis.name
    office = Office(people, compute_people_key(ring), network)
    sender = Sender(office, readers.reading, Poster(Reach(parse_networks(order["networks"]), order["is_local"])))
    stack.callback(sender.close)
    follower = Follower(office, Files(home, now_ms, os.urandom), Pace(time.monotonic))
    log, next_look = get_log("carnet.webhooks"), 0.0
    while not stop.wait(LOOKS_EVERY_S):
        try:
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + FOLLOWS_EVERY_S
                with readers.reading() as reader:
                    follower.follow(reader)
            sender.start_due()
        except Refused as refused:
            log.warning("webhooks wait", reason=refused.reason.value)
        except Exception as error:
            log.error("webhooks failed", kind=type(error).__name__, at=find_places(error))


def _end_with_parent(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    stop.set()
    # A delivery that hangs on is tried again by the next process: it was not noted.
    time.sleep(GRACE_S)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
