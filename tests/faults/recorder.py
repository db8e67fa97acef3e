"""Power loss without a block device: a run is recorded call by call, with its data, and played back up to any moment.

What a disk then holds: everything that was flushed, and of the rest what chance leaves. A write that was not flushed is
there, absent, or torn at the 512 bytes of a sector; a name that was made, changed or removed in a directory that was
not flushed is the new one or the old one. Nothing is made durable by accident: flushing a file does not flush its name.
A flush that failed is played in both ways: it was done after all, or what it should have flushed is lost for good, as
Linux forgets dirty pages whose writing has failed; what reads them before the power goes still sees them.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.run import make_env
from tests.shared import ROOT

SECTOR, PAGE = 512, 4096

_LINE = re.compile(r"^(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))$", re.DOTALL)
_RESULT = re.compile(r"^(.*)\) += (-?\d+|\?)(.*)$", re.DOTALL)
_BYTE = re.compile(r"\\x([0-9a-f]{2})")
_FD = re.compile(r"^(?:\d+|AT_FDCWD)(?:<((?:[^<>]|<[^>]*>)*)>)?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
CALLS = "openat,pwrite64,write,ftruncate,fsync,fdatasync,rename,unlink,mkdir"


@dataclass(frozen=True, slots=True)
class Event:
    """One call that succeeded, or a flush that failed: `data` at `offset` of a file, -1 for its end."""

    call: str
    path: str
    data: bytes = b""
    offset: int = -1
    target: str = ""
    is_failed: bool = False


def record(command: Sequence[str], out: Path, trace: Path, *, inject: Sequence[str] = ()) -> tuple[list[Event], int]:
    """Run a command with its output in a file, and return what it did to files, and its exit code."""
    strace = ["strace", "-f", "-y", "-xx", "-s", "1048576", "-o", str(trace), "-e", f"trace={CALLS}"]
    if not any("signal=" in word for word in inject):
        # The quick way, in which strace 6.1 sends no signal.
        strace.append("--seccomp-bpf")
    with out.open("ab") as opened:
        ran = subprocess.run(
            [*strace, *inject, *command],
            cwd=ROOT,
            env=make_env(PYTHONPATH=str(ROOT)),
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=subprocess.PIPE,
            timeout=120,
        )
    assert b"Traceback" not in ran.stderr, ran.stderr.decode()
    return list(parse_events(trace)), ran.returncode


def python(module: str, *arguments: str | Path) -> list[str]:
    """The command that runs a module."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def parse_events(trace: Path) -> Iterator[Event]:
    """The calls of a trace, in the order in which they ended."""
    begun: dict[str, str] = {}
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            match = _LINE.match(line.rstrip("\n"))
            if match is None:
                continue
            pid, call, rest, resumed, more = match.groups()
            if call is None:
                call, rest = resumed, begun.pop(pid) + more
            elif rest.endswith("<unfinished ...>"):
                begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
                continue
            event = _parse(call, rest)
            if event is not None:
                yield event


def _unhex(text: str) -> bytes:
    return bytes.fromhex("".join(_BYTE.findall(text)))


def _parse(call: str, rest: str) -> Event | None:
    match = _RESULT.match(rest)
    if match is None or match[2] == "?":
        return None
    arguments, result = match[1], int(match[2])
    is_failed = result < 0
    if is_failed and call not in ("fsync", "fdatasync"):
        return None
    texts = [_unhex(text) for text in _TEXT.findall(arguments)]
    if call == "openat":
        is_new = "O_CREAT" in arguments or "O_TRUNC" in arguments
        return Event("truncate" if "O_TRUNC" in arguments else "create", os.fsdecode(texts[0])) if is_new else None
    if call in ("rename", "unlink", "mkdir"):
        return Event(call, os.fsdecode(texts[0]), target=os.fsdecode(texts[1]) if len(texts) > 1 else "")
    opened = _FD.match(arguments)
    path = os.fsdecode(_decode_path(opened[1] or "")) if opened else ""
    if call in ("fsync", "fdatasync"):
        return Event("fsync", path, is_failed=is_failed)
    if call == "ftruncate":
        return Event("size", path, offset=int(arguments.rpartition(",")[2]))
    offset = int(arguments.rpartition(",")[2]) if call == "pwrite64" else -1
    # A short write has done what it says, and no more.
    return Event("write", path, data=texts[0][:result], offset=offset)


def _decode_path(text: str) -> bytes:
    return _unhex(text) if text.startswith("\\x") else text.encode()


# ---- playing it back


@dataclass
class File:
    """What the system holds of a file, what is on the disk, and the writes in between."""

    cached: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """(offset, data), or (size, None) for a file that was cut or extended."""

    def write(self, offset: int, data: bytes) -> None:
        offset = len(self.cached) if offset < 0 else offset
        put(self.cached, offset, data)
        self.pending.append((offset, data))

    def resize(self, size: int) -> None:
        resize(self.cached, size)
        self.pending.append((size, None))

    def flush(self) -> None:
        """Every page that was touched goes to the disk as it is now."""
        for offset, data in self.pending:
            if data is None:
                resize(self.durable, min(offset, len(self.cached)))
                continue
            first, last = offset - offset % PAGE, offset + len(data)
            put(self.durable, first, bytes(self.cached[first : last + -last % PAGE]))
        resize(self.durable, len(self.cached))
        self.pending.clear()

    def lose(self) -> None:
        """A flush failed: the system takes the pages for clean, and will never write them of itself."""
        self.pending.clear()

    def crash(self, chance: random.Random) -> bytes:
        """What is on the disk when the power has gone."""
        found = bytearray(self.durable)
        style = chance.choice(("none", "all", "some", "torn", "prefix"))
        until = chance.randrange(len(self.pending) + 1)
        for at, (offset, data) in enumerate(self.pending):
            if style == "none" or (style == "prefix" and at >= until):
                break
            if style in ("some", "torn") and chance.random() < 0.4:
                continue
            if data is None:
                resize(found, offset)
            elif style == "torn":
                tear(found, offset, data, chance)
            else:
                put(found, offset, data)
        return bytes(found)


def put(file: bytearray, offset: int, data: bytes) -> None:
    if offset > len(file):
        file.extend(bytes(offset - len(file)))
    file[offset : offset + len(data)] = data


def resize(file: bytearray, size: int) -> None:
    if size < len(file):
        del file[size:]
    else:
        file.extend(bytes(size - len(file)))


def tear(file: bytearray, offset: int, data: bytes, chance: random.Random) -> None:
    """Some sectors of a write: neither their order nor their number is promised; bytes beside it are never touched."""
    size = chance.choice((SECTOR, PAGE))
    at = 0
    while at < len(data):
        end = min(len(data), at + size - (offset + at) % size)
        if chance.random() < 0.5:
            put(file, offset + at, data[at:end])
        at = end


@dataclass
class Disk:
    """One home on a disk, as a recorded run leaves it behind."""

    home: str
    chance: random.Random
    is_failure_total: bool
    """Whether a flush that fails loses what it should have flushed, or has done it."""
    names: dict[str, File] = field(default_factory=dict)
    durable_names: dict[str, File] = field(default_factory=dict)
    changes: list[tuple[str, str, File | None]] = field(default_factory=list)
    """(old name, new name, file) since the directory was flushed; an empty old name is a new file, an empty new name
    a removed one."""
    folders: set[str] = field(default_factory=set)
    """Folders whose own name is not on the disk yet."""

    @classmethod
    def of(cls, home: Path, chance: random.Random, *, is_failure_total: bool) -> Disk:
        """A disk on which the files of a home are, all durable; an absent home is an empty disk."""
        disk = cls(str(home), chance, is_failure_total)
        for file in home.iterdir() if home.is_dir() else ():
            if file.is_file():
                data = file.read_bytes()
                disk.names[file.name] = File(bytearray(data), bytearray(data))
        disk.durable_names = dict(disk.names)
        return disk

    def play(self, event: Event) -> None:
        """What one call does."""
        folder, _, name = event.path.rpartition("/")
        if event.call == "mkdir":
            self.folders |= {event.path} if f"{self.home}/".startswith(f"{event.path}/") else set()
        elif event.call == "fsync" and event.path == self.home:
            self._flush_names(event)
        elif event.call == "fsync" and not event.is_failed:
            self.folders = {one for one in self.folders if one.rpartition("/")[0] != event.path}
        if folder != self.home:
            return
        if event.call == "fsync":
            self._flush_file(event, name)
        elif event.call in ("create", "truncate"):
            self._create(name, is_empty=event.call == "truncate")
        elif event.call == "rename":
            target = event.target.rpartition("/")[2]
            self.changes.append((name, target, self.names[name]))
            self.names[target] = self.names.pop(name)
        elif event.call == "unlink":
            self.changes.append((name, "", self.names.pop(name)))
        elif name in self.names and event.call == "write":
            self.names[name].write(event.offset, event.data)
        elif name in self.names and event.call == "size":
            self.names[name].resize(event.offset)

    def _create(self, name: str, *, is_empty: bool) -> None:
        if name not in self.names:
            self.names[name] = File()
            self.changes.append(("", name, self.names[name]))
        elif is_empty:
            self.names[name].resize(0)

    def _flush_file(self, event: Event, name: str) -> None:
        file = self.names.get(name)
        if file is None:
            return
        if event.is_failed and self.is_failure_total:
            file.lose()
        else:
            file.flush()

    def _flush_names(self, event: Event) -> None:
        # A directory is the file system's own: one that loses its changes has stopped, and writes nothing any more.
        if not event.is_failed:
            self.durable_names = dict(self.names)
            self.changes.clear()

    def crash_into(self, place: Path) -> None:
        """Cut the power, and write what is left of the home into an empty folder; nothing if its own name is gone."""
        chance = self.chance
        if self.folders and chance.random() < 0.5:
            return
        names = dict(self.durable_names)
        until = chance.randrange(len(self.changes) + 1)
        is_prefix = chance.random() < 0.5
        for at, (old, new, file) in enumerate(self.changes):
            if at >= until if is_prefix else chance.random() < 0.5:
                continue
            if old and names.get(old) is file:
                del names[old]
            if new and file is not None:
                names[new] = file
        place.mkdir(mode=0o700)
        for name, file in names.items():
            # The index of the write-ahead log is memory that has a name: after a loss it is whatever was in it.
            data = chance.randbytes(32_768) if name.endswith("-shm") else file.crash(chance)
            (place / name).write_bytes(data)
            (place / name).chmod(0o600)
