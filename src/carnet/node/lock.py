"""The writer's lock: one process at a time may write to a home, and the others are told which one does.

It is the kernel's lock on a file, so it ends with its process, however that ends. The text in the file is only for
people.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from carnet.errors import Reason, Refused
from carnet.vault.disk import explained_disk_errors


class WriterLock:
    """Held from construction until `release`. A second holder, in this process or another, is refused."""

    def __init__(self, path: Path, command: str) -> None:
        """Take the lock, or raise Refused(WRITER_BUSY) with the holder's `pid` and `command`."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 400, 0).decode("utf-8", "replace")
            os.close(self._descriptor)
            self._descriptor = -1
            pid, _, holding = holder.strip().partition(" ")
            raise Refused(
                Reason.WRITER_BUSY,
                f"process {pid or '?'} ({holding or 'unknown'}) is writing to this home; wait for it, or stop it",
                could_retry=True,
                pid=int(pid) if pid.isdigit() else None,
                command=holding,
            ) from None
        text = f"{os.getpid()} {' '.join(command.split())[:200]}\n".encode()
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
            os.close(self._descriptor)
            self._descriptor = -1
