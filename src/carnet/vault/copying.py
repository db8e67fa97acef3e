"""A copy of the store as it is at one moment, while others write: SQLite's own online backup, within one read
transaction; of a store in PostgreSQL, a SQLite file with the same rows.

The copy has no name on the disk, so that a process that is killed leaves nothing of it. It refuses to know what the
copy is for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from pysqlite3 import dbapi2 as sqlite

from carnet.vault.scratch import COPIES, make_folder
from carnet.vault.store import Connection, DriverConnection, create_store
from carnet.vault.transfer import copy_rows

STEP_PAGES: Final = 1024
"""Copied at a time; between two steps others get at the disk and at this process."""


def copy_store(
    connection: DriverConnection, scratch: Path, progress: Callable[[int, int], None] | None = None
) -> IO[bytes]:
    """The store as `connection` sees it, in a nameless file in the folder `scratch`, at its beginning.

    The connection is in a read transaction, so all steps see one moment, and no write makes it start again. It needs
    as much room in `scratch` as the store has. `progress` is told (pages copied, pages), of a server rows. Raises
    OSError.
    """
    if not connection.is_file:
        return _copy_from_server(connection, scratch, progress)
    # In a folder of its own: whoever searches the files of a home would stumble over a name that goes at once.
    with make_folder(COPIES, scratch) as folder:
        path = folder / "copy.db"
        copy = os.fdopen(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600), "rb")
        # No locks: nobody else knows the file. No journal, no flushing: it does not outlive this process.
        target = sqlite.connect(f"file:{quote(str(path))}?nolock=1", uri=True, isolation_level=None)
    try:
        try:
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            connection.backup(target, pages=STEP_PAGES, progress=_tell(progress), sleep=0)
        finally:
            target.close()
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def _copy_from_server(connection: Connection, scratch: Path, progress: Callable[[int, int], None] | None) -> IO[bytes]:
    with make_folder(COPIES, scratch) as folder:
        path = folder / "copy.db"
        with create_store(path) as target:
            target.connection.begin_write()
            copy_rows(connection, target.connection, progress)
            target.connection.commit()
            target.connection.settle()
        return path.open("rb")


def _tell(progress: Callable[[int, int], None] | None) -> Callable[[int, int, int], None] | None:
    if progress is None:
        return None
    return lambda _status, remaining, total: progress(total - remaining, total)
