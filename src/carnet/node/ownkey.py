"""The file of an own key (`passport.ownkey`): of mode 0600, replaced in one step.

It refuses to be read by others, and to be overwritten by the way.
"""

from __future__ import annotations

from pathlib import Path

from carnet.errors import Refused
from carnet.node.home import check_private, write_private
from carnet.node.keyring import RandomBytes
from carnet.passport.ownkey import OwnKey, read_own_key, write_own_key

__all__ = ["OwnKey", "load_own_key", "needs_passphrase", "save_own_key"]


def save_own_key(key: OwnKey, path: Path, passphrase: str | None, random_bytes: RandomBytes) -> None:
    """Write the file, durably and in one step."""
    write_private(path, write_own_key(key, passphrase, random_bytes))


def load_own_key(path: Path, passphrase: str | None = None) -> OwnKey:
    """Read the file. Raises OSError, and Refused NOT_PRIVATE, WRONG_PASSPHRASE, UNREADABLE_FILE for no own key."""
    try:
        return read_own_key(check_private(path).read_bytes(), passphrase)
    except Refused as refused:
        if refused.facts:
            raise
        refused.message = refused.message.replace("this is no key", f"{path} is no key")
        refused.facts["file"] = str(path)
        raise


def needs_passphrase(path: Path) -> bool:
    """Whether the file is an own key under a passphrase."""
    return path.is_file() and b'"sealed":' in path.read_bytes()
