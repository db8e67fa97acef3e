"""The writer's lock: one process at a time may write to a home, and the others are told which one does.

It is the kernel's lock on a file, so it ends with its process, however that ends. The text in the file is only for
people.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final, NamedTuple

from carnet.errors import Reason, Refused
from carnet.vault.disk import explained_disk_errors

WAIT_FOR_ORPHANS_S: Final = 2.0


class Holder(NamedTuple):
    """Who holds a lock: its process and command, as it has written them, and since when (ms)."""

    pid: int
    command: str
    since: int


class WriterLock:
    """Held from construction until `release`. A second holder, in this process or another, is refused."""

    def __init__(self, path: Path, command: str, pid: int | None = None) -> None:
        """Take the lock, or raise Refused(WRITER_BUSY) with the holder's `pid` and `command`. `pid` is the process that
        others are to wait for or stop, where that is not this one."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _take(self._descriptor):
            holder, holding = _read_text(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            raise Refused(
                Reason.WRITER_BUSY,
                f"process {holder or '?'} ({holding or 'unknown'}) is writing to this home; wait for it, or stop it",
                could_retry=True,
                pid=int(holder) if holder.isdigit() else None,
                command=holding,
            )
        text = f"{pid or os.getpid()} {' '.join(command.split())[:200]}\n".encode()
        try:
            with explained_disk_errors(path.parent):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, text, 0)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let the next writer in; idempotent. The file stays: removing it would let two hold "the" lock."""
        if self._descriptor >= 0:
            # Said, since a child that was begun a moment ago may have the file open too, and would keep the lock.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1


def find_holder(path: Path) -> Holder | None:
    """Who holds the lock in this file; None if nobody does.

    It is looked up where the kernel lists its locks, so that no writer is refused because it was looked at. Where there
    is no such list, the lock is taken, shared, for a moment.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        pid, command = _read_text(descriptor)
        if not _is_held(descriptor):
            return None
        since = os.fstat(descriptor).st_mtime_ns // 1_000_000
        return Holder(int(pid) if pid.isdigit() else 0, command, since)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    """Whether the lock is ours now. One whose holder was killed may be kept for a moment by a child that it had just
    begun: until that is another program, or has noticed."""
    deadline = time.monotonic() + WAIT_FOR_ORPHANS_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not _has_ended(_read_text(descriptor)[0]) or time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _has_ended(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _is_held(descriptor: int) -> bool:
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return _is_refused(descriptor)
    inode = str(os.fstat(descriptor).st_ino)
    locks = [line.split() for line in lines]
    # "1: FLOCK ADVISORY WRITE pid major:minor:inode 0 EOF"; some file systems list another device than they say.
    return any(lock[1] == "FLOCK" and lock[3] == "WRITE" and lock[5].split(":")[2] == inode for lock in locks)


def _is_refused(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _read_text(descriptor: int) -> tuple[str, str]:
    """(pid, command) as the last holder has written them."""
    pid, _, command = os.pread(descriptor, 400, 0).decode("utf-8", "replace").strip().partition(" ")
    return pid, command
