"""The other peer of an append: a route of our own that does everything but the append. The guard asks who it is and
whether they may, the body is read into the same type, the quota counts it, the answer wears the same headers; then it
gives the same bytes, always.

`python -m bench.idle_route HOME FILE` answers POST on `/v1/idle` with the bytes of the file, and prints its port.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from litestar import Response, post
from litestar.params import JSONBody

from carnet.node.door.remote import without_signing_keys
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.pool import look_for_cycles_rarely
from carnet.services.logs import start_logs
from carnet.services.settings import Settings
from carnet.web.api.answers import AnyRequest, answer_once_soon
from carnet.web.api.contract import Contract, promise
from carnet.web.api.entries import APPENDERS, SealedWithProof
from carnet.web.api.inputs import VehicleEntryIn
from carnet.web.app import make_app
from carnet.web.desk import TheDesk, ThePrincipal
from carnet.web.opening import open_desk
from carnet.web.warming import warm_up
from carnet.web.worker import make_server


def make_route(receipt: bytes) -> Any:
    """The route; `receipt` is what it answers."""
    told = msgspec.Raw(receipt)
    contract = Contract("Bench", answer=SealedWithProof, body=VehicleEntryIn, status=201, is_idempotent=True)

    @post("/v1/idle", opt=promise(APPENDERS, contract, is_short=True))
    async def idle(
        desk: TheDesk, principal: ThePrincipal, request: AnyRequest, data: JSONBody[VehicleEntryIn]
    ) -> Response[bytes]:
        async def work(seed: bytes | None, now: int) -> object:
            return told

        return await answer_once_soon(desk, principal, request, [data], work)

    return idle


def main() -> None:
    home, receipt = Home(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes()
    start_logs("warning", "worker")
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    port = listening.getsockname()[1]
    settings = Settings(port=port)
    ring = without_signing_keys(load_key_ring(home.keys))
    opened = open_desk(home, ring, settings, is_demo=False, is_guarded=False)
    server = make_server(make_app(opened.desk, [make_route(receipt)]), settings)
    warm_up(opened.desk)
    look_for_cycles_rarely()
    print(port, flush=True)
    try:
        uvloop.run(server.serve(sockets=[listening]))
    finally:
        opened.close()


if __name__ == "__main__":
    main()
