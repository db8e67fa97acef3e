"""What the doctor asks of the machine: files and who may read them, disk, file system, clock, versions, the lock.

Each check gives a finding and changes nothing. It refuses to look into the store (`services.doctor`).
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from carnet.node.home import Home
from carnet.node.lock import find_holder
from carnet.node.restored import Mark
from carnet.node.writer import MAX_CLOCK_STEP_MS
from carnet.vault.store import MINIMUM_SQLITE

MINIMUM_PYTHON: Final = (3, 11)
LITTLE_ROOM: Final = 64 * 1024 * 1024
FEW_INODES: Final = 1_000
LONG_LOG_BYTES: Final = 256 * 1024 * 1024
WEEK_MS: Final = 7 * 86_400_000

_NETWORK_KINDS = "nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre ocfs2 gfs2 fuse.sshfs fuse.glusterfs fuse.s3fs"

NETWORK_KINDS: Final = frozenset(_NETWORK_KINDS.split())
"""File systems that other machines may write to at the same time: SQLite's write-ahead log needs memory that all
processes share, which two machines do not (SQLite: "Write-Ahead Logging", Disadvantages)."""

PASSING_KINDS: Final = frozenset({"tmpfs", "ramfs"})


class Found(NamedTuple):
    """One check: its name, "ok", "warning" or "problem", what was found, why that matters and what to do ("" if ok)."""

    check: str
    level: str
    said: str
    why: str = ""
    todo: str = ""


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Found:
    """The Python that runs this."""
    said = f"Python {'.'.join(map(str, version))}"
    if version >= MINIMUM_PYTHON:
        return Found("python", "ok", said)
    return Found("python", "problem", said, "Carnet is written and tested for 3.11 and newer", "install a newer Python")


def check_sqlite(version: tuple[int, ...]) -> Found:
    """The SQLite that is linked."""
    said = f"SQLite {'.'.join(map(str, version))}"
    if version >= MINIMUM_SQLITE:
        return Found("sqlite", "ok", said)
    wanted = ".".join(map(str, MINIMUM_SQLITE))
    why = f"before {wanted} it can lose committed data when its write-ahead log is reset"
    return Found("sqlite", "problem", said, why, "pip install 'pysqlite3>=0.6.1' (see CONTRIBUTING.md, SQLite)")


def check_founding(home: Home) -> Found:
    """Whether a node is there, whole."""
    has_store = home.store.exists() or home.store_url.exists()
    has_new = home.building.exists() or home.building_url.exists()
    if home.keys.exists() and has_store:
        return Found("node", "ok", f"there is a node in {home.path}")
    if home.keys.exists() and has_new:
        why = "a founding was ended at its very last step; nothing is missing"
        return Found(
            "node", "warning", "its store has not got its name yet", why, "run any verb, such as `carnet list`"
        )
    if home.keys.exists():
        why = "keys without a store sign nothing and open nothing"
        return Found("node", "problem", f"{home.keys.name} is there, and no store", why, "restore a backup elsewhere")
    if has_store:
        why = "without its keys nothing can be read or signed any more"
        return Found("node", "problem", f"the store is there, and no {home.keys.name}", why, "put keys.json back")
    if has_new:
        why = "a founding was ended before the keys were written: there is no node, and nothing was lost"
        return Found("node", "problem", "a founding was not finished", why, "run `carnet init` again")
    why = "there is nothing to look at"
    return Found("node", "problem", f"there is no node in {home.path}", why, "`carnet init`, or name it with --home")


def check_modes(home: Home) -> Iterator[Found]:
    """Who may read and write the files."""
    wrong = []
    for path in (home.path, home.keys, home.store, home.store_url, home.trust, home.erasures):
        if not path.exists():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        # The store may be readable by itself: nobody gets at it, while the folder is closed.
        allowed = 0o755 if path in (home.store, home.erasures, home.trust) else 0o700
        if mode & ~allowed:
            wrong.append((path, mode))
    if not wrong:
        yield Found("modes", "ok", "only their owner may read the home and the keys")
    for path, mode in wrong:
        is_secret = path in (home.keys, home.store_url)
        why = (
            "whoever reads it can sign in the node's name and read everything"
            if is_secret
            else "others on this machine can look into the node's folder, or change it"
        )
        todo = f"chmod {'600' if path.is_file() else '700'} {path}"
        level = "problem" if is_secret or mode & 0o022 else "warning"
        yield Found("modes", level, f"{path} has mode {mode:04o}", why, todo)


def check_owner(home: Home, user: int | None = None) -> Found:
    """Whether the files are those of the user who runs this."""
    user = os.geteuid() if user is None else user
    files = [home.path, *(entry for entry in home.path.iterdir() if not entry.is_symlink())]
    others = [file for file in files if file.lstat().st_uid != user]
    if not others:
        return Found("owner", "ok", "all files belong to the user who runs this")
    said = f"{others[0]} belongs to user {others[0].lstat().st_uid}, and this runs as {user}"
    why = "a file that another user made cannot be replaced or locked, so the node stops half way"
    return Found("owner", "warning", said, why, f"run as that user, or: chown -R {user} {home.path}")


def check_disk(home: Home) -> Iterator[Found]:
    """Room for the store to grow, to be written anew and to be copied; and for new files."""
    free = shutil.disk_usage(home.path).free
    size = home.store.stat().st_size if home.store.exists() else 0
    yield judge_room(free, size)
    found = os.statvfs(home.path)
    # Some file systems make them as they are needed, and say 0 of 0.
    if found.f_files and found.f_favail < FEW_INODES:
        why = "a new file is needed for each key that is added and each write-ahead log"
        yield Found("inodes", "problem", f"{found.f_favail:,} new files are possible", why, "remove files on that disk")
    side = home.store.with_name(home.store.name + "-wal")
    if side.exists() and side.stat().st_size > LONG_LOG_BYTES:
        why = "a process that reads an old moment keeps it from being moved into the store, and it grows"
        said = f"the write-ahead log has {side.stat().st_size:,} bytes"
        yield Found("log file", "warning", said, why, "end readers that stay open, then let any verb write")


def judge_room(free: int, store: int) -> Found:
    """Free bytes of the disk beside a store of so many."""
    said = f"{free:,} bytes free, the store has {store:,}"
    if free < LITTLE_ROOM:
        return Found("disk", "problem", said, "a full disk stops the writer", "make room, or move the node")
    if free < store:
        why = "erasing may write the store anew, and a backup copies it: both need as much room again"
        return Found("disk", "warning", said, why, "make room; a backup can use another disk with --scratch DIR")
    return Found("disk", "ok", said)


def check_file_system(home: Home) -> Found:
    """The kind of file system the home is on, where the system tells."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Found(
            "files", "ok", f"{platform.system()} does not tell the kind of file system: a local disk is needed"
        )
    return judge_file_system(find_mount(mounts, home.path.resolve()))


def find_mount(mounts: str, path: Path) -> str | None:
    """The kind of file system that a path is on, from `/proc/self/mountinfo`."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        if (point == path or point in path.parents) and (found is None or len(str(point)) >= found[0]):
            found = len(str(point)), after.split(" ")[0]
    return None if found is None else found[1]


def judge_file_system(kind: str | None) -> Found:
    """Whether a store may live there."""
    if kind in NETWORK_KINDS:
        why = "SQLite's write-ahead log does not work over a network: the store can be damaged"
        return Found("files", "problem", f"the home is on {kind}", why, "move the node to a local disk")
    if kind in PASSING_KINDS:
        why = "it is gone when the machine stops"
        return Found(
            "files", "warning", f"the home is on {kind}", why, "move the node to a disk, unless this is a test"
        )
    return Found("files", "ok", f"the home is on {kind or 'an unknown file system'}")


def check_clock(home: Home, now: int, last_at: int | None) -> Found:
    """The clock beside the log's last record, and beside the times that the file system has given (ms)."""
    todo = "set the clock (a time service does it by itself), then try again"
    if last_at is not None and now < last_at - MAX_CLOCK_STEP_MS:
        said = f"the clock is {(last_at - now) / 1000:,.0f} s behind the log's last record"
        return Found(
            "clock", "problem", said, "nothing is sealed before it has caught up: time in a log never goes back", todo
        )
    files = [file for file in (home.store, home.keys, home.lock) if file.exists()]
    newest = max((file.stat().st_mtime_ns // 1_000_000 for file in files), default=now)
    if now < newest - MAX_CLOCK_STEP_MS:
        said = f"a file of the home was written {(newest - now) / 1000:,.0f} s in the future"
        why = "the clock was set back, or another machine with another clock writes here"
        return Found("clock", "warning", said, why, todo)
    return Found("clock", "ok", "it is not behind the log or the files")


def check_lock(home: Home) -> Found:
    """Who writes, and whether that process lives."""
    holder = find_holder(home.lock)
    if holder is None:
        return Found("lock", "ok", "nobody writes now")
    said = f"held by process {holder.pid} ({holder.command})"
    if is_alive(holder.pid):
        return Found("lock", "ok", f"{said}, which is alive")
    why = "that process has ended, and one that it has started still holds the lock: nobody else can write"
    todo = f"find it with `fuser {home.lock}`, and end it"
    return Found("lock", "problem", f"{said}, which is not", why, todo)


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


def judge_mark(mark: Mark | None) -> Found:
    """Whether this is a restored copy."""
    if mark is None:
        return Found("copy", "ok", "this home may write")
    why = "it cannot know whether it is the newest; if it wrote on an old end, the log would have two"
    todo = "`carnet restore --checkpoint FILE` with the newest head or proof that anybody has"
    return Found("copy", "warning", "this home was restored from a backup, and only reads", why, todo)
