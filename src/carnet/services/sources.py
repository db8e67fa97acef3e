"""Opening what is to be imported: a file, a gzip file, or standard input, as a stream of chunks.

Whether it is packed is told by its first bytes, not by its name. A packed file that breaks off gives all that was in it
before the break. It refuses to know what the bytes mean.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

CHUNK_BYTES = 256 * 1024
_GZIP = b"\x1f\x8b"


class Source:
    """An open source. `byte_count` is the file's size where it is known; `position` how much of it has been read."""

    def __init__(self, path: Path | None) -> None:
        """Open a file, or standard input for None. Raises OSError."""
        self._raw = _open_standard_input() if path is None else path.open("rb")
        self.byte_count = _find_size(self._raw) if path is not None else None
        self.position = 0

    def chunks(self) -> Iterator[bytes]:
        """The bytes, unpacked. EOFError, OSError and zlib.error come through at the place where the source breaks."""
        head = self._raw.read(len(_GZIP))
        counted = _Counted(self, head)
        if head != _GZIP:
            while chunk := counted.read(CHUNK_BYTES):
                yield chunk
            return
        unpacked = gzip.GzipFile(fileobj=counted, mode="rb")
        # One piece at a time: a longer read would throw away what it had when the archive breaks off.
        while chunk := unpacked.read1(CHUNK_BYTES):
            yield chunk

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._raw.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def take(self, size: int) -> bytes:
        """The next bytes of the file as it lies there; counts them."""
        # What has arrived, not all that will: whoever feeds a pipe slowly is sealed as far as it has come.
        data = self._raw.read1(size)
        self.position += len(data)
        return data


def _open_standard_input() -> io.BufferedReader:
    # A second object over the same descriptor: closing it leaves standard input itself open.
    return open(sys.stdin.fileno(), "rb", closefd=False)


class _Counted(io.RawIOBase):
    """The source as a file object, its first bytes put back in front."""

    def __init__(self, source: Source, head: bytes) -> None:
        self._source, self._head = source, head

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            self._source.position += len(head)
            return head
        return self._source.take(CHUNK_BYTES if size < 0 else size)


def _find_size(file: IO[bytes]) -> int | None:
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None
