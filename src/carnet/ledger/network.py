"""Which network this is: the genesis document and the identity that follows from it.

Knows raw public keys and a name; refuses to know whether anybody trusts them (that is a reader's policy). Spec: 1.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carnet.encoding import b64, encode, sha256, tag, unb64

NETWORK_NAME = re.compile(r"[a-z0-9.-]{1,63}", re.ASCII)
ORIGIN_PATTERN = r"[a-z0-9.-]{1,63}/[0-9a-f]{64}"

_GENESIS = tag("genesis")


@dataclass(frozen=True, slots=True)
class Founder:
    """A founding node: its member id (16 bytes) and its node key (32 bytes, Ed25519)."""

    member: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Fork:
    """The log that a network goes on from, as its founder says: its origin, and size and root (32 bytes) of its last
    signed head that the founder has."""

    origin: str
    size: int
    root: bytes

    def to_document(self) -> dict[str, object]:
        """The member `forked_from` of clause 1.9."""
        return {"origin": self.origin, "root": b64(self.root), "size": self.size}


@dataclass(frozen=True, slots=True)
class Genesis:
    """The birth certificate of a network: everything that tells it from any other."""

    name: str
    nonce: bytes
    log_key: bytes
    founders: tuple[Founder, ...]
    rules_root: bytes
    forked_from: Fork | None = None

    def to_document(self) -> dict[str, object]:
        """The genesis object of clause 1.9."""
        cited = {} if self.forked_from is None else {"forked_from": self.forked_from.to_document()}
        return cited | {
            "founders": [{"key": b64(f.key), "member": b64(f.member)} for f in self.founders],
            "log_key": b64(self.log_key),
            "name": self.name,
            "nonce": b64(self.nonce),
            "rules_root": b64(self.rules_root),
        }

    @property
    def net(self) -> bytes:
        """The network's id, 32 bytes."""
        return compute_net(self.to_document())

    @property
    def origin(self) -> str:
        """The log's origin line."""
        return f"{self.name}/{self.net.hex()}"


def parse_fork(document: Mapping[str, Any]) -> Fork | None:
    """`forked_from` of a genesis object. Raises Unverified, KeyError or TypeError for what is none."""
    if "forked_from" not in document:
        return None
    cited = document["forked_from"]
    return Fork(cited["origin"], cited["size"], unb64(cited["root"], 32))


def compute_net(document: dict[str, object]) -> bytes:
    """`net` of a genesis object. Spec: 1.9."""
    return sha256(frame_genesis(encode(document)))


def frame_genesis(encoded: bytes) -> bytes:
    """What `net` is the hash of, from a genesis in `cj`, as a bundle carries it."""
    return _GENESIS + encoded
