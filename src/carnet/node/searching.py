"""Bytes searched in files, by a process of its own.

SQLite keeps other processes out with POSIX locks, and the system drops all that a process has on a file as soon as that
process closes any descriptor of it. A process that has a store open must therefore never open its files by itself: its
next neighbour would take the write-ahead log for abandoned and remove it, with what is written there afterwards. This
file is also the program that searches; it refuses to know what the bytes are, and imports nothing of ours.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 16 * 1024 * 1024


def find_files_with(files: Iterable[Path], traces: Sequence[bytes]) -> set[Path]:
    """Those of the files in which any of the traces stands; one that has gone meanwhile has none. Raises OSError for
    one that cannot be read."""
    asked = [str(file) for file in files], [trace.hex() for trace in traces]
    # Neither its packages nor its settings: it needs none, and begins in a hundredth of a second.
    ran = subprocess.run(
        [sys.executable, "-I", "-S", __file__], input=json.dumps(asked).encode(), stdout=subprocess.PIPE, check=True
    )
    found, number, name = json.loads(ran.stdout)
    if number:
        raise OSError(number, os.strerror(number), name)
    return {Path(one) for one in found}


def _find(file: str, traces: Sequence[bytes]) -> bool:
    with open(file, "rb") as opened:
        if not os.fstat(opened.fileno()).st_size:
            return False
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            # Piece by piece, so that a file larger than the memory is read once and not once for each trace.
            for start in range(0, len(data), _PIECE_BYTES):
                end = start + _PIECE_BYTES
                if any(data.find(trace, start, end + len(trace) - 1) >= 0 for trace in traces):
                    return True
    return False


def _answer() -> None:
    files, traces = json.load(sys.stdin)
    wanted = [bytes.fromhex(trace) for trace in traces]
    found: list[str] = []
    number, name = 0, ""
    for file in files:
        try:
            if _find(file, wanted):
                found.append(file)
        except FileNotFoundError:
            continue
        except OSError as error:
            number, name = error.errno or errno.EIO, file
    json.dump((found, number, name), sys.stdout)


if __name__ == "__main__":
    _answer()
