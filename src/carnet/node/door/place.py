"""Where the door is: `HOME/node.sock`, for its owner alone.

The system takes at most 107 bytes for the name of a socket. The door of a home with a longer path stands in a private
runtime folder (`$XDG_RUNTIME_DIR`, else a folder of this user's own beside other temporary files), under a name made of
the home's path; both sides compute the same.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

from carnet.errors import Reason, Refused
from carnet.node.home import Home

MAX_NAME_BYTES: Final = 103
"""What the narrowest system takes (macOS); Linux takes 107."""


def find_place(home: Home) -> Path:
    """The socket of a home. Makes nothing."""
    path = home.path.resolve() / "node.sock"
    if len(os.fsencode(path)) <= MAX_NAME_BYTES:
        return path
    name = f"carnet-{sha256(os.fsencode(path)).hexdigest()[:24]}.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and len(os.fsencode(runtime)) + 1 + len(name) <= MAX_NAME_BYTES:
        return Path(runtime) / name
    return Path(tempfile.gettempdir()) / f"carnet-{os.getuid()}" / name


def listen_at(place: Path) -> socket.socket:
    """A listening socket of mode 0600, instead of one that a dead writer has left. Whoever calls holds the writer's
    lock. Raises Refused(NOT_PRIVATE) if the folder is not this user's alone."""
    if place.name != "node.sock":
        place.parent.mkdir(mode=0o700, exist_ok=True)
    check_own(place.parent)
    place.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # The mode is there before the name is: nobody gets in between.
    before = os.umask(0o177)
    try:
        listening.bind(str(place))
        listening.listen(512)
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(before)
    listening.setblocking(False)
    return listening


def check_own(folder: Path) -> None:
    """Raise Refused(NOT_PRIVATE) for a folder of somebody else, or that others may write to."""
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise Refused(
            Reason.NOT_PRIVATE,
            f"{folder} is not this user's alone, and the writer would listen there",
            file=str(folder),
        )


def is_same_user(connection: socket.socket) -> bool:
    """Whether the other side is a process of this user, as the kernel says. Where it does not say: the file's mode
    does."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return bool(user == os.getuid())
