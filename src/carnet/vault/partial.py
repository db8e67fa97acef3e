"""A file on its way: under another name until it is whole, and locked for as long as a process writes it.

What had the name before stays until then, and whoever is killed, or loses the power, leaves no half of a file under it.
What a kill leaves is under the one other name, where no lock is held: the next to write the same file writes over it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from carnet.errors import Reason, Refused

PART: Final = ".carnet-part"
"""The end of that other name, which no download has: a browser may still go on with one."""

OPEN_TO_ALL: Final = 0o666
"""The mode of a new file, less what the process's mask takes away."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file: all of it, or nothing is changed. Raises as `writing_whole`."""
    with writing_whole(path) as file:
        file.write(data)


@contextmanager
def writing_whole(path: Path, *, may_be_empty: bool = True) -> Iterator[IO[bytes]]:
    """The file while it is written; it gets its name at the end, and not where the block raises, or where it is empty
    and may not be. A link stays a link; what is no file (a pipe) is written as it is.

    Raises Refused(WRITER_BUSY) before anything is written where another is writing the same file, and OSError.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    place = path.resolve()
    part = place.with_name(f".{place.name}{PART}")
    with open_part(part, place) as file:
        yield file
        file.flush()
        if may_be_empty or os.fstat(file.fileno()).st_size:
            # Without it a power cut might leave the name, and nothing under it.
            os.fsync(file.fileno())
            part.replace(place)


@contextmanager
def open_part(part: Path, output: Path, mode: int = OPEN_TO_ALL) -> Iterator[IO[bytes]]:
    """The file `part`, empty, and ours alone; gone afterwards unless it has another name by then. `output` is what it
    will be called. What a kill left of it is written over. Raises Refused(WRITER_BUSY) and OSError."""
    descriptor = _hold(part, output, mode)
    with os.fdopen(descriptor, "wb") as file:
        try:
            os.ftruncate(descriptor, 0)
            yield file
        finally:
            # One that is there after ours was renamed is another's.
            if _is_named(descriptor, part):
                part.unlink()


def _hold(part: Path, output: Path, mode: int) -> int:
    """The descriptor of the file, which only this holds now."""
    while True:
        # A link there is nobody's that works with Carnet: it would be followed to a file that is none of ours.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            saying = f"another process is writing {output} just now"
            raise Refused(Reason.WRITER_BUSY, saying, could_retry=True, is_output=True, file=str(output)) from None
        # Between opening and locking, the other one may have finished: this would be the good file that it made.
        if _is_named(descriptor, part):
            return descriptor
        os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
