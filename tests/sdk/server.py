"""A town's service on a socket of this machine, for clients that know nothing but its address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from carnet.services.founding import now_ms
from tests.web.town import WebTown, serving_town


@dataclass
class Served:
    town: WebTown
    address: str


@contextmanager
def serving_on_socket(path: Path, network: str = "example.org") -> Iterator[Served]:
    """Its keys are the names of `tests.web.town`: `Client(served.address, "garage")`."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        with serving_town(path, origin=f"http://127.0.0.1:{port}", port=port, network=network) as town:
            # Clients sign by the machine's clock, and nothing is taken that was signed a day ahead.
            town.service.node.clock.now = max(town.service.node.clock.now, now_ms())
            config = uvicorn.Config(town.service.app, log_config=None, access_log=False, lifespan="off")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            deadline = time.monotonic() + 20
            while not server.started:
                assert time.monotonic() < deadline, "the service did not start"
                time.sleep(0.01)
            try:
                yield Served(town, f"http://127.0.0.1:{port}")
            finally:
                server.should_exit = True
                thread.join(20)
