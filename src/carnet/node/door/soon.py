"""The door as an event loop asks it: many requests under way on one connection, and no thread that waits for any.

What is asked in one turn of the loop goes out together, and so comes to the writer as one group; of many, some go out
before the others are made ready, so that the writer need not wait for the last. It refuses to know what is asked, and
what to do about a lost answer.
"""

from __future__ import annotations

import asyncio
import socket
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from carnet.errors import Reason, Refused
from carnet.node.door.wire import Answer, Ask, Frames, Request, frame, read_reply

READ_BYTES: Final = 1 << 18
MOST_TOGETHER: Final = 16
"""So many requests go out at once: a commit costs the writer as much as a few of them."""


class LostReplyError(ConnectionError):
    """The connection ended before the answer: nobody knows yet whether the request was carried out."""


class _Line:
    """One connection. It has the socket in its own hand: a transport of the loop would keep back what is sent until all
    that is ready in the loop has had its turn."""

    def __init__(self, connected: socket.socket, patience_s: float) -> None:
        self._socket, self._patience_s = connected, patience_s
        self._loop = asyncio.get_running_loop()
        self._frames, self._numbers = Frames(), count(1)
        self._waiting: dict[int, tuple[asyncio.Future[Answer], asyncio.TimerHandle]] = {}
        self._gathered: list[bytes] = []
        self._unsent = bytearray()
        self.is_open = True
        self._loop.add_reader(connected, self._receive)

    def call(self, ask: Ask) -> asyncio.Future[Answer]:
        """Ask; the future has the answer, or LostReplyError, or Refused(WRITER_AWAY) if none comes in time: then the
        request may still be carried out."""
        number, answered = next(self._numbers), self._loop.create_future()
        self._waiting[number] = answered, self._loop.call_later(self._patience_s, self._give_up, number)
        if not self._gathered:
            self._loop.call_soon(self._send)
        self._gathered.append(frame(Request(number, ask)))
        if len(self._gathered) >= MOST_TOGETHER:
            self._send()
        return answered

    def _send(self) -> None:
        if not self.is_open or not self._gathered:
            return
        is_behind = bool(self._unsent)
        self._unsent += b"".join(self._gathered)
        self._gathered.clear()
        if not is_behind:
            self._flush()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._socket, self._flush)
        else:
            self._loop.remove_writer(self._socket)

    def _receive(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES)
            replies = [read_reply(one) for one in self._frames.feed(data)]
        except BlockingIOError:
            return
        except (OSError, ValueError, msgspec.MsgspecError):
            data, replies = b"", []
        for reply in replies:
            # One that nobody waits for any more came too late.
            answered, timer = self._waiting.pop(reply.number, (None, None))
            if answered is not None and timer is not None:
                timer.cancel()
                if not answered.done():
                    answered.set_result(reply.answer)
        if not data:
            self.close()

    def _give_up(self, number: int) -> None:
        answered, _ = self._waiting.pop(number)
        saying = "the writer does not answer in time; hand it in again later"
        if not answered.done():
            answered.set_exception(Refused(Reason.WRITER_AWAY, saying, could_retry=True))

    def close(self) -> None:
        """Hang up; whoever waits for an answer is told that it is lost. Idempotent."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        waiting, self._waiting = self._waiting, {}
        for answered, timer in waiting.values():
            timer.cancel()
            if not answered.done():
                answered.set_exception(LostReplyError("the writer closed the connection"))


class Soon:
    """The line of one event loop, opened when it is first needed and again after it ended."""

    def __init__(self, place: Path, patience_s: float) -> None:
        self._place, self._patience_s = place, patience_s
        self._line: _Line | None = None
        self._opening: asyncio.Task[_Line] | None = None

    async def call(self, ask: Ask) -> Answer:
        """The answer. Raises LostReplyError, Refused(WRITER_AWAY)."""
        line = self._line
        if line is None or not line.is_open:
            line = await self._open()
        return await line.call(ask)

    def close(self) -> None:
        """Hang up; before the loop ends, since another loop needs another line."""
        line, self._line, self._opening = self._line, None, None
        if line is not None:
            line.close()

    async def _open(self) -> _Line:
        """The new line; of those who want one at once all get the same."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._connect())
        self._line = await asyncio.shield(self._opening)
        return self._line

    async def _connect(self) -> _Line:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connected, str(self._place))
        except OSError:
            connected.close()
            raise away() from None
        except BaseException:
            connected.close()
            raise
        return _Line(connected, self._patience_s)


def away() -> Refused:
    """Nobody is there to be asked."""
    return Refused(Reason.WRITER_AWAY, "nobody listens at this home's door: `carnet serve` does", could_retry=True)
