"""A folder that is needed for as long as one process is at work, and known by a lock for as long as it is.

A process that is killed removes nothing: the next one that makes such a folder finds what is left by the lock that
nobody holds. It refuses to touch a folder that is another user's, or at work.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

COPIES: Final = ".carnet-copy-"
"""In which a copy of a store has a name: for a moment, of a server's store until it is whole. It has the keys, too."""

DRILLS: Final = "carnet-drill-"
"""In which backups are tried: all that a node keeps is in one."""

FIGURES: Final = "carnet-figures-"
"""In which the workers of a service count."""

_LOCK: Final = "at-work"


@contextmanager
def make_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder in `parent` (None: the system's for temporary files), gone at the end of the block; what others of
    this prefix were killed over is removed first. Raises OSError."""
    remove_left(prefix, parent)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as made, (Path(made) / "new").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # It has its name once it is held.
        (Path(made) / "new").rename(Path(made) / _LOCK)
        yield Path(made)


def remove_left(prefix: str, parent: Path | None = None) -> None:
    """Remove the folders of this prefix, and of this user, at which no process is at work any more."""
    for folder in find_left(prefix, parent):
        # Whatever keeps one from being removed keeps nobody from working: the doctor says that it is there.
        with suppress(OSError), (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)


def find_left(prefix: str, parent: Path | None = None) -> list[Path]:
    """The folders of this prefix, and of this user, at which no process is at work any more."""
    found = sorted(Path(parent or tempfile.gettempdir()).glob(f"{prefix}*"))
    return [folder for folder in found if _is_left(folder)]


def _is_left(folder: Path) -> bool:
    with suppress(OSError):
        if folder.lstat().st_uid == os.getuid():
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
    return False
