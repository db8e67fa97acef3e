"""Moving a file's write-ahead log into the store beside whoever writes to it.

SQLite lets another connection move the log while it grows. It begins anew only when all of it has been moved, so what
was written meanwhile is moved too, ever less of it, and the last of it by the writer itself. Nothing that is
acknowledged rests on this: with the log a commit is on the disk. It refuses to know what is in the pages.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from carnet.vault.store import (
    MAX_LOG_PAGES,
    Address,
    Connection,
    Store,
    limit_cache,
    make_engine,
    measure_log,
    move_log,
    open_engine,
)

_LAST: Final = 8
"""The writer itself moves what is left once it is no more than this part of a long log, so that it begins anew."""

_MOST: Final = 3
"""How many times as long as a long one the log becomes before the writer waits until it has been moved."""

_CACHE_KB: Final = 256
"""What the other connection keeps in memory: it copies pages, and looks at none again."""


class LogMover:
    """Moves the log of the store at `address`, to which `connection` writes, when it has `max_pages`; of a server there
    is nothing to move. May be used from one thread at a time."""

    def __init__(self, address: Address, connection: Connection, *, max_pages: int = MAX_LOG_PAGES) -> None:
        self._path = address if isinstance(address, Path) else None
        self._max_pages = max_pages
        self._connection = connection
        self._thread: ThreadPoolExecutor | None = None
        self._store: Store | None = None
        self._moving: Future[None] | None = None

    def move_long(self) -> None:
        """Between two transactions: have a log that has become long moved, and go on with one that is on its way.
        Raises the driver's Error if the disk failed, be it now or since the last time."""
        if self._path is None:
            return
        moving = self._moving
        is_over = moving is not None and moving.done()
        pages, left = measure_log(self._connection)
        is_too_long = pages >= _MOST * self._max_pages
        if moving is None:
            if left >= self._max_pages:
                self._begin(self._path)
            return
        if not is_over and not is_too_long:
            return
        self.wait()
        if left > self._max_pages // _LAST and not is_too_long:
            self._begin(self._path)
        else:
            move_log(self._connection)

    def wait(self) -> None:
        """Until nothing of the log is on its way; raises the driver's Error if the disk failed."""
        moving, self._moving = self._moving, None
        if moving is not None:
            moving.result()

    def close(self) -> None:
        """End the other thread and its connection, whatever came of it; idempotent."""
        if self._moving is not None:
            wait((self._moving,))
            self._moving = None
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
        if self._store is not None:
            self._store.close()
            self._store = None

    def _begin(self, path: Path) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "carnet-log")
        self._moving = self._thread.submit(self._move, path)

    def _move(self, path: Path) -> None:
        if self._store is None:
            self._store = open_engine(make_engine(path, "rw"), path)
            limit_cache(self._store.connection, _CACHE_KB)
        move_log(self._store.connection)
