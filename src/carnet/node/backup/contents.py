"""What is in a backup: the files of a home, one behind the other, in one stream.

    (u16 n ‖ name (n bytes) ‖ u64 size ‖ bytes)… ‖ u16 0

The small files come first, then the store of people (in older backups there is none), and the store last. Only the
names that are listed here are read or written: a backup can put nothing anywhere else. It refuses to
know what is in the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from carnet.encoding import u64
from carnet.errors import Reason, Refused
from carnet.node.home import Home

KEYS: Final = "keys.json"
ERASURES: Final = "erasures.journal"
PEOPLE: Final = "people.sqlite"
STORE: Final = "node.db"
PIECE_BYTES: Final = 1024 * 1024

_TRUST = re.compile(r"trust/[A-Za-z0-9._-]{1,200}\.policy")
_MAX_SMALL_BYTES: Final = {KEYS: 16 * 1024 * 1024, ERASURES: 1 << 40, PEOPLE: 1 << 48, STORE: 1 << 48}
_MAX_POLICY_BYTES: Final = 1024 * 1024

Write = Callable[[bytes], object]


class Part(NamedTuple):
    """One file of the stream: its name, its size, and its bytes, which must be read before the next part is asked
    for."""

    name: str
    size: int
    pieces: Iterator[bytes]


def is_known(name: str) -> bool:
    """Whether a file of this name belongs in a backup."""
    return name in (KEYS, ERASURES, PEOPLE, STORE) or _TRUST.fullmatch(name) is not None


def list_small_files(home: Home) -> list[tuple[str, Path]]:
    """The files of a home beside its store that go into a backup: key ring, journal of erasures, trust policies."""
    files = [(KEYS, home.keys), (ERASURES, home.erasures)]
    if home.trust.is_dir():
        files += [(f"trust/{file.name}", file) for file in sorted(home.trust.iterdir())]
    return [(name, file) for name, file in files if is_known(name) and file.is_file()]


def write_part(write: Write, name: str, size: int, file: IO[bytes]) -> None:
    """Write one file, exactly so many of its bytes."""
    data = name.encode()
    write(len(data).to_bytes(2, "big") + data + u64(size))
    while size:
        piece = file.read(min(size, PIECE_BYTES))
        if not piece:
            raise Refused(Reason.UNREADABLE_FILE, f"{name} became shorter while it was read: try again")
        write(piece)
        size -= len(piece)


def write_end(write: Write) -> None:
    """Write that nothing more comes."""
    write(bytes(2))


def read_parts(chunks: Iterable[bytes]) -> Iterator[Part]:
    """The files of a stream, in its order; raises Refused(BACKUP_ALTERED) for what this program would not write.

    The iteration ends only when the stream has ended too, so that its last chunk is checked.
    """
    source = _Source(chunks)
    seen: set[str] = set()
    while length := int.from_bytes(source.take(2), "big"):
        name = source.take(length).decode("utf-8", "replace")
        size = int.from_bytes(source.take(8), "big")
        if not is_known(name) or name in seen or size > _MAX_SMALL_BYTES.get(name, _MAX_POLICY_BYTES):
            raise _unknown(f"it holds {name[:60]!a} of {size} bytes")
        seen.add(name)
        yield Part(name, size, source.take_pieces(size))
        source.check_taken(name)
    source.check_end()
    if not {KEYS, STORE} <= seen:
        raise _unknown("the store or the keys are not in it")


class _Source:
    """Chunks of any size, taken in other sizes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._waiting, self._owed = iter(chunks), b"", 0

    def take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            taken += self._take_some(count - len(taken))
        return taken

    def take_pieces(self, count: int) -> Iterator[bytes]:
        self._owed = count
        while self._owed:
            piece = self._take_some(self._owed)
            self._owed -= len(piece)
            yield piece

    def check_taken(self, name: str) -> None:
        if self._owed:
            raise RuntimeError(f"{name} was not read to its end")

    def check_end(self) -> None:
        if self._waiting or any(self._chunks):
            raise _unknown("something stands behind its last file")

    def _take_some(self, most: int) -> bytes:
        while not self._waiting:
            following = next(self._chunks, None)
            if following is None:
                raise _unknown("its contents end too early")
            self._waiting = following
        piece, self._waiting = self._waiting[:most], self._waiting[most:]
        return piece


def _unknown(why: str) -> Refused:
    return Refused(Reason.BACKUP_ALTERED, f"this backup is not what this version writes: {why}", what=why)
