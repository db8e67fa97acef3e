"""A restore drill: the newest backup is restored into a folder that is removed again, checked whole, and held against
the log as it is now. A backup is good when it was restored.

What came of the last one stands in the home. It refuses to leave a copy behind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from carnet.encoding import b64, decode, encode
from carnet.errors import CarnetError, Reason, Refused, Unverified
from carnet.node.backup.envelope import Opener
from carnet.node.backup.restore import About, Wish, read_about
from carnet.node.backup.take import Progress, read_last_backup
from carnet.node.home import Home, spell, write_private
from carnet.node.logbook import read_node
from carnet.services.backup import check_founded, restore
from carnet.services.founding import now_ms
from carnet.tlog.tree import root_from
from carnet.types import Millis
from carnet.vault.ledger import read_log_size
from carnet.vault.scratch import DRILLS, make_folder
from carnet.vault.store import open_store

_NOTE: Final = "drill-note/1"


class Drill(NamedTuple):
    """A drill: when it ended (ms) and how long it took; of which file, and when that was made (ms); the log in it, size
    and root; how many records the node has more by now; `problem` is the code of what was wrong, None if nothing
    was."""

    at: Millis
    took_ms: int
    file: str
    backup_at: Millis
    log_size: int
    root: str
    behind: int
    problem: str | None

    def to_document(self) -> dict[str, Any]:
        """The object of `drill --json`."""
        return self._asdict()


def drill(
    home: Home,
    file: Path | None,
    opener: Callable[[About], Opener],
    *,
    scratch: Path | None = None,
    ring_passphrase: str | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Drill:
    """Try a backup (None: the last one of this home) in a folder under `scratch` (None: the system's for temporary
    files), and note what came of it.

    Raises Refused NO_NODE, UNREADABLE_FILE where there is no backup to try, WRONG_PASSPHRASE, OSError: then nothing
    was tried. What is wrong with the backup itself is the drill's problem.
    """
    check_founded(home)
    file = file or get_last_file(home)
    started = time.monotonic_ns()
    about = read_about(file)
    problem, behind = _hold_against(home, about)
    if problem is None:
        with make_folder(DRILLS, scratch) as folder:
            problem = _try(file, Home(folder / "home"), opener, ring_passphrase, progress)
    took_ms = (time.monotonic_ns() - started) // 1_000_000
    done = Drill(now_ms(), took_ms, spell(file), about.at, about.log_size, b64(about.root), behind, problem)
    write_private(home.last_drill, encode({"carnet": _NOTE, **done.to_document()}) + b"\n")
    return done


def get_last_file(home: Home) -> Path:
    """The file of the last backup. Raises Refused(UNREADABLE_FILE) if there is none, or it is not to be had now."""
    last = read_last_backup(home)
    if last is None:
        raise Refused(Reason.UNREADABLE_FILE, "no backup was made from here: name a file, or make one first")
    if not Path(last.file).exists():
        saying = f"{last.file} is not there now: name the file where it is"
        raise Refused(Reason.UNREADABLE_FILE, saying, file=last.file)
    return Path(last.file)


def read_last_drill(home: Home) -> Drill | None:
    """The home's note about its last drill; None if there was none, or the note cannot be read."""
    try:
        document = cast("dict[str, Any]", decode(home.last_drill.read_bytes().removesuffix(b"\n")))
        if document.pop("carnet") != _NOTE:
            return None
        return Drill(**document)
    except (OSError, Unverified, KeyError, TypeError):
        return None


def _hold_against(home: Home, about: About) -> tuple[str | None, int]:
    """What is wrong with the log that the backup names, against the one that is here; how many records that has
    more."""
    with open_store(home.address, is_read_only=True) as store:
        connection = store.connection
        connection.begin_read()
        size = read_log_size(connection)
        if about.log_size > size:
            return Reason.STALE_COPY.value, 0
        root = root_from(lambda level, index: read_node(connection, level, index), about.log_size)
    return (None if root == about.root else Reason.OTHER_HISTORY.value), size - about.log_size


def _try(
    file: Path,
    home: Home,
    opener: Callable[[About], Opener],
    ring_passphrase: str | None,
    progress: Callable[[Progress], None],
) -> str | None:
    """The code of what is wrong with a backup, None if all that is in it is what was signed."""
    try:
        restore(file, home, opener, wish=Wish(ring_passphrase, is_checked=True), progress=progress)
    except Refused as refused:
        if refused.reason in (Reason.WRONG_PASSPHRASE, Reason.NO_ROOM, Reason.DISK_FULL):
            raise
        return refused.reason.value
    except CarnetError as error:
        return str(getattr(error, "code", "unverified"))
    return None
