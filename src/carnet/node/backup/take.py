"""Taking a backup: a home as it is at one moment of its store, sealed into one file, while others write.

The store's moment comes first, then the keys and the journal are read: every key that this moment lists is in the ring
by then, and every erasure that it knows is in the journal. It asks for no passphrase of the node's keys, and refuses to
write into the home itself.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

from carnet.encoding import b64, decode, encode
from carnet.errors import Reason, Refused, Unverified
from carnet.node.backup.contents import PEOPLE, STORE, list_small_files, write_end, write_part
from carnet.node.backup.envelope import MAGIC, Sealer, SealingWriter
from carnet.node.erasing import ErasureJournal
from carnet.node.home import Home, spell, write_private
from carnet.node.keyring import RandomBytes, load_key_ring
from carnet.node.logbook import read_node
from carnet.node.people import copy_people
from carnet.tlog.tree import root_from
from carnet.vault.copying import copy_store
from carnet.vault.disk import explained_disk_errors, sync_directory
from carnet.vault.erasing import has_uncleared
from carnet.vault.ledger import parse_genesis, parse_record, read_leaf, read_log_size
from carnet.vault.partial import PART, open_part
from carnet.vault.store import Connection, open_store

ROOM: Final = 1.1
"""How much more than the store's size must be free where the copy is made."""

CACHE_KIB: Final = 8 * 1024

LEFT_S: Final = 3600
"""How old one is that nobody writes, and that was left by a kill."""

_LAST: Final = "backup-note/1"


class Progress(NamedTuple):
    """What is being done ("copying" or "sealing"), how far, of how much, in bytes."""

    doing: str
    done: int
    total: int


class Moment(NamedTuple):
    """Of which log a store is, at which moment: origin, network, public key (32 bytes), size and root; the newest
    signed head that it keeps (None before the first); whether bytes of an erasure may still be in its pages."""

    origin: str
    net: bytes
    log_key: bytes
    log_size: int
    root: bytes
    checkpoint: tuple[int, bytes] | None
    has_uncleared: bool


class LastBackup(NamedTuple):
    """The home's own note about its last backup: when (ms), the file as it was named, its size in bytes, and the size
    of the log."""

    at: int
    file: str
    byte_count: int
    log_size: int


class Taken(NamedTuple):
    """A backup that is on the disk. `journal` is the copy of the journal of erasures beside it; `is_noted` whether the
    home could note it."""

    file: Path
    byte_count: int
    at: int
    moment: Moment
    journal: Path
    erasure_count: int
    is_noted: bool


def take_backup(
    home: Home,
    output: Path,
    sealer: Sealer,
    *,
    now: int,
    random_bytes: RandomBytes,
    scratch: Path | None = None,
    is_replacing: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Taken:
    """Write a backup of `home` at `now` (ms) to `output`; when this returns, it is whole and on the disk.

    The store is first copied into the folder `scratch` (None: the home), in a file without a name. Raises Refused
    NO_NODE, NODE_DAMAGED, FILE_EXISTS, VALUE_OUT_OF_RANGE (inside the home), NO_ROOM, WRITER_BUSY (another backup
    to the same file), and OSError; then there is no new file of that name.
    """
    home.finish_founding()
    home.check_founded()
    _check_output(home, output, is_replacing=is_replacing)
    scratch = scratch or home.path
    _remove_left_parts(output)
    _check_room(home, scratch, output)
    with ExitStack() as stack:
        with explained_disk_errors(home.path):
            # Even to read asks for a little room beside the store.
            moment, copy, size = _copy(home, scratch, progress)
        stack.enter_context(copy)
        _check_ring(home, moment)
        small = [(name, stack.enter_context(file.open("rb"))) for name, file in list_small_files(home)]
        part = output.with_name(output.name + PART)
        file = stack.enter_context(open_part(part, output, 0o600))
        os.fchmod(file.fileno(), 0o600)
        about = {
            "at": now,
            "log_size": moment.log_size,
            "net": b64(moment.net),
            "origin": moment.origin,
            "root": b64(moment.root),
            "store_bytes": size,
        }
        with explained_disk_errors(home.path):
            people = copy_people(home, scratch)
        if people is not None:
            stack.enter_context(people)
        sealed = SealingWriter(file, about, sealer, random_bytes)
        for name, opened in small:
            write_part(sealed.write, name, os.fstat(opened.fileno()).st_size, opened)
        if people is not None:
            write_part(sealed.write, PEOPLE, os.fstat(people.fileno()).st_size, people)
        write_part(_counting(sealed.write, size, progress), STORE, size, copy)
        write_end(sealed.write)
        sealed.finish()
        byte_count = _flush(file)
        # The journal first: a backup that is whole has it beside it.
        journal, erasure_count = keep_journal_beside(home, output, moment.net)
        part.replace(output)
        sync_directory(output.parent)
    is_noted = _note(home, LastBackup(now, spell(output), byte_count, moment.log_size))
    return Taken(output, byte_count, now, moment, journal, erasure_count, is_noted)


def read_moment(connection: Connection) -> Moment:
    """What the store's own log says of it."""
    size = read_log_size(connection)
    genesis = parse_genesis(parse_record(read_leaf(connection, 0))["genesis"])
    root = root_from(lambda level, index: read_node(connection, level, index), size)
    row = connection.execute("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    checkpoint = None if row is None else (row[0], row[1])
    return Moment(genesis.origin, genesis.net, genesis.log_key, size, root, checkpoint, has_uncleared(connection))


def get_journal_beside(file: Path, net: bytes) -> Path:
    """Where the journal of a network's erasures is kept, in the folder of its backups."""
    return file.parent / f"erasures-{net.hex()[:16]}.journal"


def keep_journal_beside(home: Home, file: Path, net: bytes) -> tuple[Path, int]:
    """Copy what the journal of a home has and the one beside its backups lacks; (where, how many erasures it has now).

    Nothing is ever taken out of it. Raises Refused(NODE_DAMAGED) if one of both cannot be read.
    """
    path = get_journal_beside(file, net)
    kept, journal = ErasureJournal(path), ErasureJournal(home.erasures)
    there = kept.read()
    known = {one.document for one in there}
    new = [one for one in journal.read() if one.document not in known]
    kept.append(new)
    return path, len(there) + len(new)


def keep_journal_with_backups(home: Home) -> Path | None:
    """Bring the journal beside the last backup up to date; where it is, or None if there was no backup or its folder
    is not to be had now."""
    last = read_last_backup(home)
    if last is None or not Path(last.file).parent.is_dir():
        return None
    with open_store(home.address, is_read_only=True) as store:
        net = read_moment(store.connection).net
    try:
        return keep_journal_beside(home, Path(last.file), net)[0]
    except (OSError, Refused):
        return None


def read_last_backup(home: Home) -> LastBackup | None:
    """The home's note about its last backup; None if there was none, or the note cannot be read."""
    try:
        document = cast("dict[str, Any]", decode(home.last_backup.read_bytes().removesuffix(b"\n")))
        if document["carnet"] != _LAST:
            return None
        return LastBackup(document["at"], document["file"], document["bytes"], document["log_size"])
    except (OSError, Unverified, KeyError, TypeError):
        return None


def _note(home: Home, last: LastBackup) -> bool:
    document = {
        "at": last.at,
        "bytes": last.byte_count,
        "carnet": _LAST,
        "file": last.file,
        "log_size": last.log_size,
    }
    try:
        write_private(home.last_backup, encode(document) + b"\n")
    except (OSError, Refused):
        # A home on a read-only disk, or a name with a control in it: the backup is good all the same.
        return False
    return True


def _check_output(home: Home, output: Path, *, is_replacing: bool) -> None:
    folder, inside = output.parent.resolve(), home.path.resolve()
    if folder == inside or inside in folder.parents:
        raise Refused(
            Reason.VALUE_OUT_OF_RANGE,
            f"{output} is inside the node's own folder: what is lost with it is no backup",
            file=str(output),
        )
    if output.exists() and not is_replacing:
        raise Refused(Reason.FILE_EXISTS, f"{output} exists already; choose another name, or say --force")


def _check_ring(home: Home, moment: Moment) -> None:
    """With the keys of another node, or none, nothing of the backup could be read. Whether keys under a passphrase are
    this node's is seen where they are opened: by a drill, a restore."""
    try:
        load_key_ring(home.keys).check_is_of(moment.log_key)
    except Refused as refused:
        if refused.reason is not Reason.WRONG_PASSPHRASE:
            raise


def _check_room(home: Home, scratch: Path, output: Path) -> None:
    """Refuse before anything is written: a full disk would stop the writer that this must not disturb."""
    size = _measure(home)
    if not os.access(scratch, os.W_OK):
        raise Refused(
            Reason.NO_ROOM,
            f"a copy of the store has to stand in {scratch} for a moment, and nothing may be written there",
            folder=str(scratch),
        )
    is_same = os.stat(scratch).st_dev == os.stat(output.parent).st_dev
    wanted = {scratch: 2 * size} if is_same else {scratch: size, output.parent: size}
    for folder, count in wanted.items():
        free = shutil.disk_usage(folder).free
        if free < count * ROOM:
            raise Refused(
                Reason.NO_ROOM,
                f"the backup needs {int(count * ROOM):,} bytes in {folder}, and {free:,} are free",
                could_retry=True,
                folder=str(folder),
                free=free,
                needed=int(count * ROOM),
            )


def _measure(home: Home) -> int:
    address = home.address
    if isinstance(address, str):
        with open_store(address, is_read_only=True) as store:
            return store.connection.measure_bytes()
    side = address.with_name(address.name + "-wal")
    return address.stat().st_size + (side.stat().st_size if side.exists() else 0)


def _copy(home: Home, scratch: Path, progress: Callable[[Progress], None]) -> tuple[Moment, IO[bytes], int]:
    with open_store(home.address, is_read_only=True) as store:
        connection = store.connection
        if connection.is_file:
            # Each page is read once: keeping them would only take memory.
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.begin_read()
        moment = read_moment(connection)
        size = connection.measure_bytes()
        copy = copy_store(
            connection,
            scratch,
            lambda done, total: progress(Progress("copying", size * done // max(total, 1), size)),
        )
        connection.commit()
    return moment, copy, os.fstat(copy.fileno()).st_size


def _counting(
    write: Callable[[bytes], object], size: int, progress: Callable[[Progress], None]
) -> Callable[[bytes], object]:
    done = 0

    def counting(data: bytes) -> None:
        nonlocal done
        write(data)
        done += len(data)
        progress(Progress("sealing", min(done, size), size))

    return counting


def _remove_left_parts(output: Path) -> None:
    """Remove what backups that were killed left in this folder, whatever they were called: each takes a store's
    room."""
    for part in output.parent.glob(f"*{PART}"):
        # One that cannot be removed keeps nobody from backing up.
        with suppress(OSError), part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(file.fileno())
            is_old = time.time() - found.st_mtime > LEFT_S
            if is_old and found.st_uid == os.getuid() and file.read(len(MAGIC)) == MAGIC:
                part.unlink()


def _flush(file: IO[bytes]) -> int:
    file.flush()
    os.fsync(file.fileno())
    return os.fstat(file.fileno()).st_size
