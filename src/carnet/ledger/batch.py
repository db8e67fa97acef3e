"""A batch: links placed together under one root, and the header its home signs. Spec: 3.5, 3.6.

Knows roots and counts, never what the links are about.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from carnet.encoding import MAX_INTEGER, sha256, tag, u32, u64
from carnet.errors import Unverified

BATCH_BYTES = 148

_BATCH = tag("batch")
_ENDORSE = tag("endorse")
_RECEIPT = tag("receipt")
_split = struct.Struct(f">{len(_BATCH)}x32s16s32sBI32sQQ").unpack


class Batch(Struct, frozen=True, gc=False):
    """A batch header: net 32, home 16, key_digest 32 bytes, u8 class, u32 count, links root 32 bytes, u64 rules, u64
    expires."""

    net: bytes
    home: bytes
    key_digest: bytes
    class_: int
    count: int
    root: bytes
    rules: int
    expires: int

    def to_bytes(self) -> bytes:
        """`bh`, 148 bytes, which the home node signs. Spec: 3.5."""
        return b"".join(
            (
                _BATCH,
                self.net,
                self.home,
                self.key_digest,
                bytes((self.class_,)),
                u32(self.count),
                self.root,
                u64(self.rules),
                u64(self.expires),
            )
        )


def parse_batch(data: bytes) -> Batch:
    """Split `bh`; raises Unverified("malformed") unless size, tag and integer ranges hold."""
    if len(data) != BATCH_BYTES or not data.startswith(_BATCH):
        raise Unverified("malformed", "a batch has 148 bytes and begins with its tag")
    batch = Batch(*_split(data))
    if batch.rules > MAX_INTEGER or batch.expires > MAX_INTEGER:
        raise Unverified("malformed", "an integer of the batch is over 2^53-1")
    return batch


def compute_endorsement(message: bytes) -> bytes:
    """What another node signs to endorse a batch header, or a census message. Spec: 3.6."""
    return _ENDORSE + sha256(message)


def compute_receipt(net: bytes, key_digest: bytes, signed: bytes, accepted_ms: int, deadline_ms: int) -> bytes:
    """What a node signs when it acknowledges a statement. Spec: 3.11."""
    return _RECEIPT + net + key_digest + signed + u64(accepted_ms) + u64(deadline_ms)
