"""The node's door: the one writer's process listens on a socket of the home, and other processes of the same person
hand it what is to be sealed.

    RemoteWriter ──prepared submissions──▶ Door ─▶ Writer        many requests, one transaction, one fsync
                 ◀──────receipts─────────

What only reads is read by each process itself. Signing keys never leave the writer: a submission in the name of a
member whose key the node keeps crosses unsigned, and is signed there. ADR 11.
"""

from __future__ import annotations

from carnet.node.door.listening import Door
from carnet.node.door.remote import RemoteWriter, connect

__all__ = ["Door", "RemoteWriter", "connect"]
