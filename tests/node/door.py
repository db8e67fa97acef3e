"""A node whose writer stands behind its door, served by a thread of the test as `carnet serve` would."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from carnet.node.door import Door, RemoteWriter, connect
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring
from carnet.node.writer import Writer
from tests.node.home import TestNode


class ServedDoor:
    """The door, its writer, and how to end its thread: politely, or as a process that dies between two requests."""

    def __init__(self, node: TestNode) -> None:
        self.node = node
        self.writer: Writer = node.open()
        self.door = Door(Home(node.path), self.writer)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_stopping:
            self.door.serve_once(0.02)
        self.door.close()

    def stop(self) -> None:
        self._is_stopping = True
        self._thread.join()
        self.writer.close()

    def reach(self, patience_s: float = 20.0) -> RemoteWriter:
        ring = load_key_ring(Home(self.node.path).keys)
        return connect(
            Home(self.node.path), ring, clock=self.node.clock, random_bytes=os.urandom, patience_s=patience_s
        )


@contextmanager
def open_door(node: TestNode) -> Iterator[ServedDoor]:
    served = ServedDoor(node)
    try:
        yield served
    finally:
        served.stop()
