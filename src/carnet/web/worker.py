"""A web worker: `python -m carnet.web.worker`, started by `carnet serve` and by nobody else.

It is told what to do in one line on its standard input, and ends when that ends: so it never outlives the process that
writes. It holds the two storage keys, with which it reads, and no key with which it could sign.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import uvicorn
import uvloop

from carnet.encoding import unb64
from carnet.node.home import Home
from carnet.node.keyring import KeyRing
from carnet.node.pool import look_for_cycles_rarely
from carnet.services.logs import get_log, start_logs
from carnet.services.settings import Settings, from_document
from carnet.vault.gate import limit_places
from carnet.web.app import make_app
from carnet.web.opening import open_desk
from carnet.web.warming import warm_up
from carnet.web.wire import LimitedProtocol

THREADS: Final = 64
"""Requests that ask the store, or wait for the writer, at the same time in one worker."""

SWITCH_S: Final = 0.001
"""How long a thread keeps the interpreter while another waits: most have little to do."""

GRACE_S: Final = 2.0
MOST_FILES: Final = 65_536


def main() -> int:
    """Serve until standard input ends."""
    # Its end is its parent's to tell; a terminal's Ctrl-C goes to the parent alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(sys.stdin.buffer.readline())
    settings = from_document(order["settings"])
    start_logs(settings.log_level, "worker")
    sys.setswitchinterval(SWITCH_S)
    allow_many_connections()
    limit_places(settings.database_requests)
    ring = KeyRing(b"", b"", unb64(order["kek"], 32), unb64(order["index"], 32))
    home, is_guarded = Home(Path(order["home"])), order["is_guarded"]
    opened = open_desk(home, ring, settings, is_demo=order["is_demo"], is_guarded=is_guarded)
    try:
        server = make_server(make_app(opened.desk), settings)
        warm_up(opened.desk)
        # What the app is made of lives as long as the worker, and a request leaves hardly a cycle.
        look_for_cycles_rarely()
        threading.Thread(target=_end_with_parent, args=(server, settings), daemon=True).start()
        listening = socket.socket(fileno=order["fd"])
        uvloop.run(_serve(server, listening))
    finally:
        opened.close()
    return 0


def make_server(app: Any, settings: Settings, protocol: type[LimitedProtocol] = LimitedProtocol) -> uvicorn.Server:
    """The HTTP server; not yet running."""
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=settings.behind_proxy,
        # Said here, since the library would otherwise ask the environment: only a proxy on this machine is believed.
        forwarded_allow_ips=["127.0.0.1", "::1"],
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, settings.shutdown_ms // 1000),
        backlog=2048,
    )
    return uvicorn.Server(config)


def allow_many_connections() -> None:
    """As many open files as the system allows this process: each client is one, be it slow or idle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MOST_FILES), hard))


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    with ThreadPoolExecutor(THREADS, thread_name_prefix="carnet") as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        await server.serve(sockets=[listening])


def _end_with_parent(server: uvicorn.Server, settings: Settings) -> None:
    """Standard input ends with the parent, or when it says stop: finish what is at work, then go."""
    while sys.stdin.buffer.read(4096):
        pass
    server.should_exit = True
    threading.Event().wait(settings.shutdown_ms / 1000 + GRACE_S)
    get_log("carnet.worker").error("requests did not finish in time")
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
