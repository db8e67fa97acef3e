"""The writer in a process of its own, beside the one that reads a large file: to read it, look its passports up and
make jobs of it takes about as long as to link, seal and store what comes of it.

    this process ──prepared──▶ door ─▶ Writer, in its own process
                 ◀──receipts──

It is asked as the writer of a running node is, through the home's door, by whoever else comes meanwhile too. It ends
with this process, however that ends. It refuses to know what is handed in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from carnet.errors import Reason, Refused
from carnet.node.children import signals_held_back
from carnet.node.door import Door, RemoteWriter, connect
from carnet.node.door.wire import Said, say
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.pool import PRELOADED, end_with_parent, look_for_cycles_rarely
from carnet.node.writer import open_writer
from carnet.services.founding import now_ms, reach_running_writer

PATIENCE_S: Final = 3600.0
"""How long an answer of our own writer may take: a census of many millions of passports takes minutes, and a writer
that has ended is noticed at once."""

LOOK_S: Final = 1.0
GRACE_S: Final = 10.0
"""How long the writer may take to finish what it is at, once it is to end."""

_READY: Final = "ready"
_ENDED: Final = "ended"


@contextmanager
def open_writer_apart(home: Home, passphrase: str | None, command: str) -> Iterator[RemoteWriter]:
    """The writer of this home, opened in another process, which has let go of the home when the block ends. Raises as
    `open_writer` does, and Refused(WRITER_AWAY) if that process has died."""
    server = get_context("forkserver")
    # Loaded once for the writer and those that prepare.
    server.set_forkserver_preload([*PRELOADED, __name__])
    ours, theirs = server.Pipe()
    process = server.Process(
        target=_write, args=(home.path, passphrase, command, os.getpid(), theirs), name="carnet-writer", daemon=True
    )
    with signals_held_back():
        process.start()
    theirs.close()
    try:
        _wait_for(ours, _READY)
        ring = load_key_ring(home.keys, passphrase)
        with connect(home, ring, clock=now_ms, random_bytes=os.urandom, patience_s=PATIENCE_S) as writer:
            yield writer
        ours.send(_ENDED)
        _wait_for(ours, _ENDED)
    except BaseException as error:
        # Whatever went wrong, the writer may finish what it is at, unless that takes long.
        has_died = not _ask_to_end(ours)
        process.kill()
        if has_died and isinstance(error, Refused) and error.reason is Reason.WRITER_AWAY:
            # Whoever asked found nobody at the door, and would be sent to start a service.
            raise _make_died() from error
        raise
    finally:
        ours.close()
        process.join()
        process.close()


@contextmanager
def reach_writer_apart(home: Home, passphrase: str | None, command: str) -> Iterator[RemoteWriter]:
    """The same, or where a node is running its own writer, as `founding.reach_writer_at` finds it."""
    with ExitStack() as stack:
        try:
            writer = stack.enter_context(open_writer_apart(home, passphrase, command))
        except Refused as busy:
            if busy.reason is not Reason.WRITER_BUSY:
                raise
            writer = stack.enter_context(reach_running_writer(home, passphrase, busy))
        yield writer


def _make_died() -> Refused:
    saying = "the writer's process has ended; what was acknowledged is on the disk: run it again"
    return Refused(Reason.WRITER_AWAY, saying, could_retry=True, is_ours=True)


def _ask_to_end(pipe: Connection) -> bool:
    """Whether somebody is there to hear it. The death of who held its other end closes the pipe at once; who started
    a process tells a moment later whether it is alive."""
    with suppress(OSError, EOFError):
        pipe.send(_ENDED)
        if pipe.poll(GRACE_S):
            pipe.recv()
        return True
    return False


def _wait_for(pipe: Connection, expected: str) -> None:
    try:
        said = pipe.recv()
    except (EOFError, ConnectionError):
        raise _make_died() from None
    if isinstance(said, Said):
        raise said.to_error()
    if isinstance(said, BaseException):
        raise said
    if said != expected:
        raise RuntimeError(f"the writer's process said {said!r} instead of {expected!r}")


def _write(path: Path, passphrase: str | None, command: str, pid: int, pipe: Connection) -> None:
    """What the other process does: open the writer, and serve it until the pipe has something to say, or has ended."""
    end_with_parent()
    home, wishes = Home(path), list[bool]()
    try:
        with open_writer(
            path, clock=now_ms, random_bytes=os.urandom, passphrase=passphrase, command=command, pid=pid
        ) as writer:
            look_for_cycles_rarely()
            door = Door(home, writer)
            try:
                door.watch(pipe.fileno(), lambda: wishes.append(True))
                pipe.send(_READY)
                while not wishes:
                    door.serve_once(LOOK_S)
            finally:
                door.close()
        said: object = _ENDED
    except Refused as refused:
        said = say(refused)
    except Exception as error:
        said = error
    # Nobody listens any more, or the error cannot be told as it is: that this process has ended says enough.
    with suppress(OSError, TypeError, AttributeError):
        pipe.send(said)
