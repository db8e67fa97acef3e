"""Telling the service manager that started us how we are: systemd's protocol, one datagram to the socket that it names.

Where nothing has started us so, nothing is told. It refuses to know what is served.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

SOCKET: Final = "NOTIFY_SOCKET"
READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


def tell_manager(environment: Mapping[str, str], saying: str) -> None:
    """Send one word (`READY`, `STOPPING`) to the manager, as sd_notify(3) says. A manager that does not listen is no
    reason to stop: nothing is raised."""
    address = environment.get(SOCKET, "")
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
        # A name that begins with @ is no file: the kernel's own list has it, where the first byte is zero.
        sending.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
        sending.send(saying.encode())
