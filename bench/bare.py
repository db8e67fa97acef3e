"""The peer: a bare Litestar handler that returns the same bytes, served as a worker serves ours.

`python -m bench.bare FOLDER` answers GET and POST on `/bare/NAME` with the file of that name, and prints its port.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath


def make_app(folder: Path) -> Litestar:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}

    @get("/bare/{name:str}", sync_to_thread=False)
    def get_bare(name: FromPath[str]) -> Response[bytes]:
        return Response(files[name], media_type="application/json")

    @post("/bare/{name:str}")
    async def post_bare(name: FromPath[str], request: Request) -> Response[bytes]:  # type: ignore[type-arg]
        await request.body()
        return Response(files[name], media_type="application/json", status_code=201)

    return Litestar([get_bare, post_bare], openapi_config=None, logging_config=None)


def main() -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    config = uvicorn.Config(make_app(Path(sys.argv[1])), http="httptools", access_log=False, log_config=None)
    print(listening.getsockname()[1], flush=True)
    uvloop.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    asyncio.set_event_loop_policy(None)
    main()
