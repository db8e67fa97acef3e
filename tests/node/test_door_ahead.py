"""Handing in ahead: what one side of the door may send before the other reads any of it."""

from __future__ import annotations

import socket
from contextlib import closing

from carnet.node.door.ahead import Ahead, Handed
from carnet.node.door.wire import Answer
from carnet.node.placing import Outcome


def measure_room() -> int:
    """Bytes that a socket of this system takes while nobody reads."""
    mine, others = socket.socketpair()
    with mine, others:
        mine.setblocking(False)
        count = 0
        while True:
            try:
                count += mine.send(bytes(1 << 20))
            except BlockingIOError:
                return count


def read(handed: Handed, answer: Answer) -> Outcome:
    raise AssertionError(f"nobody answers: {handed}, {answer}")


def find_out(handed: Handed) -> Outcome:
    raise AssertionError(f"nothing was lost: {handed}")


def test_hand_in__more_than_a_socket_takes_goes_while_the_writer_is_busy() -> None:
    """It need not be read for the next one to be sent: whoever reads the file would have to have the interpreter again
    for the rest."""
    mine, others = socket.socketpair()
    with mine, others, closing(Ahead(lambda: mine, read, find_out)) as ahead:
        handed = ahead.hand_in(bytes(measure_room() + 4_096), [])
        assert handed.sending is not None
        handed.sending.result(10)
