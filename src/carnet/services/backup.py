"""Backing up and restoring: who seals and opens, which journal and which head are shown, and what a person must keep.

It refuses to say that a copy is the newest: only whoever names the newest head can.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from carnet.encoding import b64, unb64
from carnet.errors import Reason, Refused, Unverified
from carnet.node.backup.envelope import Opener, Passphrase, Recipient, Sealer, SecretKey
from carnet.node.backup.restore import About, Restored, Wish, apply_journals, read_about, restore_backup
from carnet.node.backup.take import Progress, Taken, read_moment, take_backup
from carnet.node.home import Home, check_private, write_private
from carnet.node.keyring import load_key_ring
from carnet.node.lock import WriterLock
from carnet.node.restored import MAX_HEAD_BYTES, Shown, check_is_not_behind, check_may_write, find_mark, show_head
from carnet.services import attachments
from carnet.services.founding import now_ms, open_writer_at
from carnet.tlog.checkpoint import parse_body
from carnet.tlog.note import parse_note
from carnet.vault.store import open_store

__all__ = ["About", "Passphrase", "Progress", "Recipient", "Restored", "SecretKey", "Shown", "Taken", "Wish"]

SECRET_PREFIX: Final = "carnet-backup-secret:"

Show = Callable[[Progress], None]


def back_up(
    home: Home,
    output: Path,
    sealer: Sealer,
    *,
    scratch: Path | None = None,
    is_replacing: bool = False,
    progress: Show = lambda _: None,
) -> Taken:
    """Write a backup with the machine's clock and randomness; raises as `take_backup` does."""
    return take_backup(
        home,
        output,
        sealer,
        now=now_ms(),
        random_bytes=os.urandom,
        scratch=scratch,
        is_replacing=is_replacing,
        progress=progress,
    )


def restore(
    file: Path,
    home: Home,
    opener: Callable[[About], Opener],
    *,
    wish: Wish,
    progress: Show = lambda _: None,
) -> Restored:
    """Restore a backup into a new home. `opener` is asked once it is known what opens it.

    Raises as `restore_backup` does; for a head that is plainly newer than the backup, before anything is opened.
    """
    about = read_about(file)
    if wish.head is not None:
        check_is_not_behind(wish.head, about.log_size)

    def finish(copy: Home) -> None:
        # What was erased since the backup is erased again; so are the files that only it named.
        attachments.sweep(copy, wish.ring_passphrase)

    restored = restore_backup(file, home, opener(about), now=now_ms(), wish=wish, progress=progress, finish=finish)
    if restored.shown is not None:
        _pay_census(home, wish.ring_passphrase)
    return restored


def show_newest_head(home: Home, head: bytes, passphrase: str | None) -> Shown:
    """Let a restored copy write, if it has all that the head stands for; raises as `node.restored.show_head` does."""
    check_founded(home)
    load_key_ring(home.keys, passphrase)
    lock = WriterLock(home.lock, "carnet restore")
    try:
        shown = show_head(home, head)
    finally:
        lock.release()
    _pay_census(home, passphrase)
    return shown


def apply_newer_journals(home: Home, journals: Sequence[Path], passphrase: str | None) -> tuple[int, bool]:
    """Erase in a restored copy what newer journals say; (how many erasures, whether nothing is left in its files).

    Raises Refused(NODE_EXISTS) for a home that is no restored copy: a writer applies its own journal.
    """
    check_founded(home)
    if find_mark(home) is None:
        saying = f"{home.path} is no restored copy: put the lines of that journal into its own, then write"
        raise Refused(Reason.NODE_EXISTS, saying, home=str(home.path))
    ring = load_key_ring(home.keys, passphrase)
    lock = WriterLock(home.lock, "carnet restore")
    try:
        applied = apply_journals(home, ring, journals)
    finally:
        lock.release()
    attachments.sweep(home, passphrase)
    return applied


def read_head(file: Path) -> bytes:
    """The bytes of a signed head, or of a proof that holds one. Raises OSError."""
    with file.open("rb") as opened:
        return opened.read(MAX_HEAD_BYTES)


def get_newest_head(home: Home) -> bytes:
    """The newest signed head that this node has stored. Raises Refused(NO_NODE, NOTHING_SEALED), and RESTORED_COPY for
    a copy: what it has signed itself is no head from outside."""
    check_founded(home)
    check_may_write(home)
    with open_store(home.address, is_read_only=True) as store:
        found = read_moment(store.connection).checkpoint
    if found is None:
        raise Refused(Reason.NOTHING_SEALED, "this node has signed no head of its log yet")
    return found[1]


def write_head(path: Path, head: bytes) -> None:
    """Write a signed head to a file, in the place of an older one. Raises OSError, and Refused(FILE_EXISTS) for a file
    that holds something else, a backup or a passphrase maybe."""
    if path.is_file() and (before := read_head(path)):
        try:
            parse_body(parse_note(before).text)
        except Unverified:
            saying = f"{path} is there already and is no head of a log: choose another name"
            raise Refused(Reason.FILE_EXISTS, saying, file=str(path)) from None
    write_private(path, head)


def make_key(path: Path) -> Recipient:
    """Make a backup key: the secret goes to `path` (mode 0600), the recipient is returned. Raises
    Refused(FILE_EXISTS)."""
    if path.exists():
        raise Refused(Reason.FILE_EXISTS, f"{path} exists already: a key is never overwritten", file=str(path))
    secret = SecretKey(os.urandom(32))
    write_private(path, f"{SECRET_PREFIX}{b64(secret.seed)}\n".encode())
    return secret.recipient


def read_key(path: Path) -> SecretKey:
    """The secret in a key file. Raises OSError, Refused(UNREADABLE_FILE), and NOT_PRIVATE if others may read it."""
    text = check_private(path).read_text(encoding="utf-8", errors="replace").strip()
    try:
        if not text.startswith(SECRET_PREFIX):
            raise Unverified("malformed")
        return SecretKey(unb64(text.removeprefix(SECRET_PREFIX), 32))
    except Unverified:
        saying = f"{path} is no backup key (`carnet backup --new-key FILE` makes one)"
        raise Refused(Reason.UNREADABLE_FILE, saying, file=str(path)) from None


def check_founded(home: Home) -> None:
    """Raise Refused(NO_NODE) unless there is a node."""
    home.finish_founding()
    home.check_founded()


def _pay_census(home: Home, passphrase: str | None) -> None:
    """A passport that was erased anew is still in the latest census: until the next one nothing could be proved."""
    with open_writer_at(home, passphrase, "restore (taking a census)") as writer:
        if writer.is_census_owed:
            writer.take_census()
