"""A home directory: where one node keeps its store, its keys, its lock and the policies it trusts.

Knows names and permissions. Of the files it reads one: the address of a store that is a database elsewhere.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from carnet.errors import Reason, Refused
from carnet.vault.disk import sync_directory


@dataclass(frozen=True, slots=True)
class Home:
    """The files of one node. Only their owner may read them: the directory is 0700, the keys 0600."""

    path: Path

    @property
    def store(self) -> Path:
        """The SQLite file."""
        return self.path / "node.db"

    @property
    def store_url(self) -> Path:
        """The file with the URL of the PostgreSQL database that is this node's store; absent for a SQLite file."""
        return self.path / "store.url"

    @property
    def address(self) -> Path | str:
        """Where the store is: the URL in `store.url`, or else the SQLite file."""
        try:
            return self.store_url.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return self.store

    @property
    def keys(self) -> Path:
        """The key ring."""
        return self.path / "keys.json"

    @property
    def keys_waiting(self) -> Path:
        """The key ring of a copy that is being restored, until all of it is there."""
        return self.path / "keys.json.restoring"

    @property
    def erasures(self) -> Path:
        """The journal of what was erased on purpose; it belongs to every copy of the store."""
        return self.path / "erasures.journal"

    @property
    def lock(self) -> Path:
        """What the one writer holds; says its pid and command."""
        return self.path / "writer.lock"

    @property
    def trust(self) -> Path:
        """Trust policies that the person keeps (for `carnet trust`)."""
        return self.path / "trust"

    @property
    def restored(self) -> Path:
        """There in a copy that was restored from a backup and may not write yet; says from which."""
        return self.path / "restored.json"

    @property
    def signed_head(self) -> Path:
        """The newest signed head of the log, of a store that is a database: it knows whether that was put back."""
        return self.path / "signed-head.note"

    @property
    def last_backup(self) -> Path:
        """When and where the last backup was made."""
        return self.path / "last-backup.json"

    @property
    def last_drill(self) -> Path:
        """What came of the last restore drill."""
        return self.path / "last-drill.json"

    @property
    def demo(self) -> Path:
        """There in a home that `carnet demo` made: only such a one has links that sign in."""
        return self.path / "demo"

    @property
    def building(self) -> Path:
        """The store of a node that is being founded. It is whole before the keys are written."""
        return self.path / "node.db.new"

    @property
    def moving(self) -> Path:
        """A copy of the store that a move makes here."""
        return self.path / "node.db.moving"

    @property
    def building_url(self) -> Path:
        """The address of a database in which a node is being founded."""
        return self.path / "store.url.founding"

    def is_founded(self) -> bool:
        """Whether a node lives here, be it one whose founding was killed at the very last step."""
        places = (self.store, self.store_url, self.building, self.building_url)
        return self.keys.exists() and any(place.exists() for place in places)

    def finish_founding(self) -> None:
        """Give the store its name if a kill came between the keys and it: then nothing else is missing."""
        if self.keys.exists() and not self.store.exists() and not self.store_url.exists():
            # Absent: there is nothing to finish, or another process has just done it.
            with suppress(FileNotFoundError):
                self.building_url.replace(self.store_url)
                return
            with suppress(FileNotFoundError):
                self.building.replace(self.store)

    def check_founded(self) -> None:
        """Raise Refused(NO_NODE) where there is no node, and Refused(NODE_DAMAGED) where a part of one is missing: who
        is told that there is none might make another over it."""
        if self.is_founded():
            return
        if self.keys.exists():
            raise Refused(
                Reason.NODE_DAMAGED,
                f"{self.keys.name} is in {self.path}, and no store: what it opens is missing",
                home=str(self.path),
                is_without_store=True,
            )
        if (self.store.exists() or self.store_url.exists()) and not self.keys_waiting.exists():
            raise Refused(
                Reason.NODE_DAMAGED,
                f"a store is in {self.path}, and no {self.keys.name}: without its keys nothing can be read or signed",
                home=str(self.path),
                is_without_keys=True,
            )
        raise Refused(Reason.NO_NODE, f"there is no node in {self.path}", home=str(self.path))

    def check_empty(self) -> None:
        """Raise Refused(NODE_EXISTS) if there is a node, or a part of one: nothing is ever overwritten."""
        for file in (self.store, self.store_url, self.keys):
            if file.exists():
                raise Refused(
                    Reason.NODE_EXISTS, f"{self.path} already holds a node ({file.name})", home=str(self.path)
                )

    def make(self) -> None:
        """Make the directories, readable by their owner alone, and durably: a file is no safer than its folder."""
        new = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self.trust.mkdir(mode=0o700, exist_ok=True)
        for folder in new:
            sync_directory(folder.parent)


OWN_FILES: Final = frozenset(
    {
        "demo",
        "erasures.journal",
        "keys.json",
        "last-backup.json",
        "last-drill.json",
        "node.db",
        "node.sock",
        "people.sqlite",
        "restored.json",
        "signed-head.note",
        "store.url",
        "writer.lock",
    }
)


def is_own_file(path: Path) -> bool:
    """Whether a path is, or would be, a file that a node, whichever, needs for itself: what a person writes goes
    elsewhere, and what they name as a secret of their own is none of these."""
    real = path.resolve()
    name = real.name.removesuffix(".new").removesuffix("-wal").removesuffix("-shm")
    return name in OWN_FILES and Home(real.parent).is_founded()


def spell(path: Path) -> str:
    """The whole path as text for a note: a byte of a name that is no text in UTF-8 is spelled, `\\xe9`."""
    return os.fsencode(path.absolute()).decode("utf-8", "backslashreplace")


def check_private(path: Path) -> Path:
    """The path of a file that only its owner may read. Raises OSError, and Refused(NOT_PRIVATE) for any other."""
    mode = path.stat().st_mode
    if mode & 0o077:
        raise Refused(
            Reason.NOT_PRIVATE,
            f"others may read {path} (mode {mode & 0o777:04o}), and it holds a secret: chmod 600 {path}",
            file=str(path),
        )
    return path


def write_private(path: Path, data: bytes) -> None:
    """Replace a file of mode 0600 in one step: after a crash it is the old one or the new one, durably."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
