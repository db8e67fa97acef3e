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
from typing import Final

from carnet.kernel import STATE
from carnet.node.backup.staging import RESTORING
from carnet.node.home import Home
from carnet.node.lock import find_holder
from carnet.node.people import MOVING
from carnet.node.restored import Mark
from carnet.node.writer import MAX_CLOCK_STEP_MS, format_moment
from carnet.services.findings import Found, find
from carnet.vault.disk import is_read_only
from carnet.vault.scratch import COPIES, DRILLS, FIGURES, find_left
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


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Found:
    """The Python that runs this."""
    said = ".".join(map(str, version))
    return find("python.ok", version=said) if version >= MINIMUM_PYTHON else find("python.old", "problem", version=said)


def check_kernel(state: str = STATE) -> Found:
    """Whether the kernel in C is used (`carnet.kernel`)."""
    match state:
        case "used":
            return find("kernel.used")
        case "unloadable":
            return find("kernel.unloadable", "warning")
        case "stale":
            return find("kernel.stale", "warning")
        case "wrong":
            return find("kernel.wrong", "warning")
        case _:
            return find("kernel.absent", "warning")


def check_sqlite(version: tuple[int, ...]) -> Found:
    """The SQLite that is linked."""
    said = ".".join(map(str, version))
    if version >= MINIMUM_SQLITE:
        return find("sqlite.ok", version=said)
    return find("sqlite.old", "problem", version=said, wanted=".".join(map(str, MINIMUM_SQLITE)))


def check_founding(home: Home) -> Found:
    """Whether a node is there, whole."""
    has_store = home.store.exists() or home.store_url.exists()
    has_new = home.building.exists() or home.building_url.exists()
    if home.keys.exists() and has_store:
        return find("node.ok", home=str(home.path))
    if home.keys.exists() and has_new:
        return find("node.unnamed", "warning")
    if home.keys.exists():
        return find("node.no_store", "problem", keys=home.keys.name)
    if has_store:
        return find("node.no_keys", "problem", keys=home.keys.name)
    if has_new:
        return find("node.unfinished", "problem")
    return find("node.absent", "problem", home=str(home.path))


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
        yield find("modes.ok")
    for path, mode in wrong:
        facts = {"path": str(path), "mode": f"{mode:04o}", "wanted": "600" if path.is_file() else "700"}
        if path in (home.keys, home.store_url):
            yield find("modes.secret", "problem", **facts)
        else:
            yield find("modes.open", "problem" if mode & 0o022 else "warning", **facts)


def check_owner(home: Home, user: int | None = None) -> Found:
    """Whether the files are those of the user who runs this."""
    user = os.geteuid() if user is None else user
    may_look = os.access(home.path, os.R_OK)
    files = [home.path, *(entry for entry in (home.path.iterdir() if may_look else ()) if not entry.is_symlink())]
    others = [file for file in files if file.lstat().st_uid != user]
    if not others:
        return find("owner.ok")
    owner = str(others[0].lstat().st_uid)
    return find("owner.other", "warning", path=str(others[0]), owner=owner, user=str(user), home=str(home.path))


def check_disk(home: Home) -> Iterator[Found]:
    """Room for the store to grow, to be written anew and to be copied; and for new files."""
    free = shutil.disk_usage(home.path).free
    size = home.store.stat().st_size if home.store.exists() else 0
    yield judge_room(free, size)
    found = os.statvfs(home.path)
    # Some file systems make them as they are needed, and say 0 of 0.
    if found.f_files and found.f_favail < FEW_INODES:
        yield find("inodes.few", "problem", count=found.f_favail)
    side = home.store.with_name(home.store.name + "-wal")
    if side.exists() and side.stat().st_size > LONG_LOG_BYTES:
        yield find("log_file.long", "warning", size=side.stat().st_size)


def judge_room(free: int, store: int) -> Found:
    """Free bytes of the disk beside a store of so many."""
    if free < LITTLE_ROOM:
        return find("disk.full", "problem", free=free, store=store)
    if free < store:
        return find("disk.little", "warning", free=free, store=store)
    return find("disk.ok", free=free, store=store)


def check_file_system(home: Home) -> Found:
    """The kind of file system the home is on, where the system tells; or that it takes no writes."""
    if is_read_only(home.path):
        return find("files.frozen", "warning")
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return find("files.untold", system=platform.system())
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
    if kind is None:
        return find("files.unknown")
    if kind in NETWORK_KINDS:
        return find("files.network", "problem", kind=kind)
    if kind in PASSING_KINDS:
        return find("files.passing", "warning", kind=kind)
    return find("files.ok", kind=kind)


def check_clock(home: Home, now: int, last_at: int | None) -> Found:
    """The clock beside the log's last record, and beside the times that the file system has given (ms)."""
    if last_at is not None and now < last_at - MAX_CLOCK_STEP_MS:
        clock, last = (format_moment(at) for at in (now, last_at))
        return find("clock.behind", "problem", clock=clock, last=last, seconds=round((last_at - now) / 1000))
    files = [file for file in (home.store, home.keys, home.lock) if file.exists()]
    newest = max((file.stat().st_mtime_ns // 1_000_000 for file in files), default=now)
    if now < newest - MAX_CLOCK_STEP_MS:
        return find("clock.set_back", "warning", seconds=round((newest - now) / 1000))
    return find("clock.ok")


def check_lock(home: Home) -> Found:
    """Who writes, and whether that process lives."""
    holder = find_holder(home.lock)
    if holder is None:
        return find("lock.ok")
    pid = str(holder.pid)
    if is_alive(holder.pid):
        return find("lock.held", pid=pid, command=holder.command)
    return find("lock.orphaned", "problem", pid=pid, command=holder.command, lock=str(home.lock))


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


def check_left(home: Home) -> Iterator[Found]:
    """What processes that were killed have left behind, and whoever does the same next removes; and the stores before a
    move, which nobody removes by himself."""
    left = [*find_left(COPIES, home.path), *find_left(FIGURES), *find_left(DRILLS)]
    if find_holder(home.lock) is None:
        left += [path for path in (home.moving, home.path / MOVING) if path.exists()]
    staging = Home(home.path.absolute().with_name(home.path.name + RESTORING))
    if staging.lock.exists() and find_holder(staging.lock) is None:
        left.append(staging.path)
    moved = sorted(home.path.glob("*.moved-*"))
    if left:
        yield find("left.there", "warning", paths=", ".join(map(str, left)))
    if moved:
        megabytes = -(-sum(path.stat().st_size for path in moved) // 1_000_000)
        yield find("left.moved", "warning", megabytes=megabytes, paths=", ".join(map(str, moved)))
    if not left and not moved:
        yield find("left.ok")


def judge_mark(mark: Mark | None) -> Found:
    """Whether this is a restored copy."""
    return find("copy.ok") if mark is None else find("copy.restored", "warning")
