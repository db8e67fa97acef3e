"""Counts of the present minute that all workers of a service share, without asking a disk or waiting for each other.

Each worker writes its own counts into a small file that is mapped into memory, and adds up what the others' say. It
refuses to be exact to the last request: two that come at the same instant may both be the last one.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from carnet.types import MemberId

SLOTS: Final = 1_000
"""Members with a limit of their own that one worker counts in a minute; more are counted by themselves."""

JUST_NOW_NS: Final = 100_000_000
"""A folder that changed within this time is looked at again: its time of change is told in coarse steps, so that one
that came right after the last look may have left no mark."""

_HEAD: Final = struct.Struct("<Q")
_COUNT: Final = struct.Struct("<I")
_SLOT: Final = 16 + _COUNT.size
_BYTES: Final = _HEAD.size + SLOTS * _SLOT
_NAME: Final = "quota-"


class SharedCounts:
    """For one worker; the caller sees to it that one thread at a time is in it. `folder` is the workers' own, `name`
    this worker's in it (None: its process id)."""

    def __init__(self, folder: Path, name: str | None = None) -> None:
        self._folder = folder
        self._own = folder / f"{_NAME}{name or os.getpid()}"
        # Whole before it can be found: whoever finds it does not come back to it.
        made = folder / f".{self._own.name}"
        made.write_bytes(bytes(_BYTES))
        made.replace(self._own)
        self._mine = _map(self._own, mmap.ACCESS_WRITE)
        self._places: dict[MemberId, int] = {}
        self._others: dict[Path, mmap.mmap] = {}
        self._looked_ns = -1

    def add(self, member: MemberId, minute: int) -> int:
        """Count one request of a member; how many all workers have counted in this minute."""
        mine = self._mine
        if _HEAD.unpack_from(mine)[0] != minute:
            mine[:] = _HEAD.pack(minute) + bytes(_BYTES - _HEAD.size)
            self._places.clear()
        place = self._places.get(member)
        if place is None:
            if len(self._places) >= SLOTS:
                return 0
            place = self._places[member] = _HEAD.size + len(self._places) * _SLOT
            mine[place : place + 16] = member
        count: int = _COUNT.unpack_from(mine, place + 16)[0] + 1
        _COUNT.pack_into(mine, place + 16, count)
        return count + sum(_find(other, member, minute) for other in self._list_others())

    def close(self) -> None:
        """Let go of the files; idempotent."""
        self._mine.close()
        for other in self._others.values():
            other.close()
        self._others = {}
        self._own.unlink(missing_ok=True)

    def _list_others(self) -> list[mmap.mmap]:
        changed_ns = self._folder.stat().st_mtime_ns
        if changed_ns != self._looked_ns or time.time_ns() - changed_ns < JUST_NOW_NS:
            self._looked_ns = changed_ns
            there = {path for path in self._folder.glob(f"{_NAME}*") if path != self._own}
            for gone in self._others.keys() - there:
                self._others.pop(gone).close()
            for new in there - self._others.keys():
                # One that goes at this moment has nothing more to say.
                with suppress(OSError, ValueError):
                    self._others[new] = _map(new, mmap.ACCESS_READ)
        return list(self._others.values())


def _map(path: Path, access: int) -> mmap.mmap:
    with path.open("r+b" if access == mmap.ACCESS_WRITE else "rb") as file:
        return mmap.mmap(file.fileno(), _BYTES, access=access)


def _find(other: mmap.mmap, member: MemberId, minute: int) -> int:
    if _HEAD.unpack_from(other)[0] != minute:
        return 0
    at = other.find(member, _HEAD.size)
    while at >= 0 and (at - _HEAD.size) % _SLOT:
        at = other.find(member, at + 1)
    return 0 if at < 0 else int(_COUNT.unpack_from(other, at + 16)[0])
