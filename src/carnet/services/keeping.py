"""Keeping keys: the passphrase over the key ring, set, changed or removed.

It refuses to do so while a writer runs, which may be adding a key.
"""

from __future__ import annotations

import os

from carnet.errors import Reason, Refused
from carnet.node.home import Home
from carnet.node.keyring import load_key_ring, save_key_ring
from carnet.node.lock import WriterLock
from carnet.vault.disk import explained_disk_errors


def change_passphrase(home: Home, old: str | None, new: str | None) -> None:
    """Put the keys under another passphrase, or under none. Raises Refused(NO_NODE, WRONG_PASSPHRASE, WRITER_BUSY)."""
    if not home.is_founded():
        raise Refused(Reason.NO_NODE, f"there is no node in {home.path}", home=str(home.path))
    lock = WriterLock(home.lock, "carnet keys passphrase")
    try:
        ring = load_key_ring(home.keys, old)
        with explained_disk_errors(home.path):
            save_key_ring(ring, home.keys, new, os.urandom)
    finally:
        lock.release()
