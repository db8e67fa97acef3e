"""What the disk answered when it did not do as it was told: full, or failed; and the directory brought to the disk.

Knows errors of the operating system and of SQLite; refuses to guess what is on the disk afterwards.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from carnet.errors import Reason, Refused

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FAILED: Final = frozenset({errno.EIO, errno.EROFS})
# SQLite's primary result codes; the higher bits of an extended code say which call it was.
_SQLITE_READONLY: Final = 8
_SQLITE_IOERR: Final = 10
_SQLITE_FULL: Final = 13
_SQLITE_CANTOPEN: Final = 14
_LITTLE_ROOM: Final = 256 * 1024


def explain_disk_error(error: BaseException, folder: Path | None = None) -> Refused | None:
    """Refused(DISK_FULL) or Refused(DISK_FAILED) for an error that comes from the disk, of SQLite or of the system;
    None for any other. `folder` is where it happened: SQLite calls some errors of a full disk by another name."""
    if isinstance(error, OSError):
        number, saying = error.errno, error.strerror or str(error)
        is_full, is_failed = number in _FULL, number in _FAILED
    else:
        error = getattr(error, "orig", None) or error
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        saying = str(error).splitlines()[0] if str(error) else type(error).__name__
        is_full = code == _SQLITE_FULL
        is_failed = code == _SQLITE_IOERR
        if code in (_SQLITE_IOERR, _SQLITE_CANTOPEN, _SQLITE_READONLY):
            is_full = folder is not None and _is_full(folder)
    if is_full:
        return Refused(
            Reason.DISK_FULL,
            f"there is no room left on the disk ({saying}). Nothing stands half written, and what was acknowledged is"
            " there",
            could_retry=True,
            what=saying,
        )
    if is_failed:
        return Refused(
            Reason.DISK_FAILED,
            f"the disk did not do what it was told ({saying}). Nothing was acknowledged after that; what was"
            " acknowledged before is there",
            what=saying,
        )
    return None


def explain_closed(error: BaseException, file: Path) -> Refused | None:
    """Refused(STORE_UNREACHABLE) where a file of SQLite cannot be opened because it, or the folder that its log would
    stand in, is another user's or may not be written; None for any other error."""
    error = getattr(error, "orig", None) or error
    if (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF not in (_SQLITE_CANTOPEN, _SQLITE_READONLY):
        return None
    if is_read_only(file.parent):
        saying = f"{file} cannot be opened: its disk may only be read, and this needs to write beside it"
        return Refused(Reason.STORE_UNREACHABLE, saying, is_frozen=True)
    for path, wanted in ((file, os.R_OK | os.W_OK), (file.parent, os.R_OK | os.W_OK | os.X_OK)):
        if not os.access(path, wanted):
            found = path.stat()
            saying = f"{path} is of user {found.st_uid}, mode {found.st_mode & 0o777:04o}; this is user {os.geteuid()}"
            return Refused(Reason.STORE_UNREACHABLE, f"{file.name} cannot be opened: {saying}", is_closed=True)
    return None


def is_read_only(folder: Path) -> bool:
    """Whether the file system of a folder takes no writes from anybody."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def is_frozen(file: Path) -> bool:
    """Whether nobody can write a file of SQLite, and it is whole without its log: it is read without locks then, which
    could not be made."""
    try:
        log = file.with_name(file.name + "-wal")
        is_whole = not log.exists() or log.stat().st_size == 0
        return is_whole and (is_read_only(file.parent) or not (file.parent.stat().st_mode & 0o222 or log.exists()))
    except OSError:
        return False


def is_frozen_here(file: Path) -> bool:
    """Whether this user cannot write a file of SQLite that nobody else does either: it can only be read."""
    return is_frozen(file) and not os.access(file.parent, os.W_OK)


def is_disk_refusal(error: BaseException) -> bool:
    """Whether an error says that the disk is full or failed: whoever wrote must stop."""
    return isinstance(error, Refused) and error.reason in (Reason.DISK_FULL, Reason.DISK_FAILED)


@contextmanager
def explained_disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk does to the work inside into a refusal that says what to do; other errors pass as they are."""
    try:
        yield
    except Exception as error:
        refused = None if isinstance(error, Refused) else explain_disk_error(error, folder)
        if refused is None:
            raise
        raise refused from error


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk: a new, renamed or removed file is durable only then."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_full(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _LITTLE_ROOM
