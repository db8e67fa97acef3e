"""The folder in which a home is restored, and the one step by which it becomes one.

Whatever ends a restore before that step leaves a folder without `keys.json`, which no verb takes for a node. It refuses
to remove what it did not make.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from carnet.errors import Reason, Refused
from carnet.node.backup.contents import PEOPLE
from carnet.node.home import Home
from carnet.node.lock import WriterLock
from carnet.vault.disk import sync_directory

RESTORING: Final = ".restoring"
"""How the folder's name ends in which a home is made."""


@contextmanager
def stage(home: Home) -> Iterator[Home]:
    """A folder beside `home` in which it is made; it gets its name at the end of the block, in one step.

    What a kill left there is removed by the next that takes it. Raises Refused(NODE_EXISTS, WRITER_BUSY).
    """
    staging = Home(home.path.absolute().with_name(home.path.name + RESTORING))
    if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
        saying = f"{home.path} is not empty: restore into a new folder"
        raise Refused(Reason.NODE_EXISTS, saying, home=str(home.path))
    _check_ours(staging)
    staging.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = WriterLock(staging.lock, "carnet restore")
    try:
        _empty(staging)
        staging.make()
        yield staging
        for folder in (staging.trust, staging.path):
            sync_directory(folder)
        staging.path.rename(home.path)
        sync_directory(home.path.absolute().parent)
    except BaseException:
        if staging.path.is_dir():
            _empty(staging)
            staging.lock.unlink(missing_ok=True)
            staging.path.rmdir()
        raise
    finally:
        lock.release()


def _check_ours(staging: Home) -> None:
    """What a killed restore has left may go; a folder that is something else may not."""
    if not staging.path.exists():
        return
    ours = {file.name for file in (staging.store, staging.keys, staging.erasures, staging.lock, staging.trust)}
    ours |= {staging.restored.name, staging.building.name, staging.keys_waiting.name, PEOPLE}
    ours |= {name + suffix for name in ours for suffix in ("-wal", "-shm", ".new")}
    names = {entry.name for entry in staging.path.iterdir()}
    if not names <= ours or (names and staging.lock.name not in names):
        raise Refused(
            Reason.NODE_EXISTS,
            f"{staging.path} is in the way: a restore builds there, and it holds something else",
            home=str(staging.path),
        )


def _empty(staging: Home) -> None:
    """Remove what a restore can have left; the lock stays, it is held."""
    for entry in staging.path.iterdir():
        if entry == staging.lock:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
