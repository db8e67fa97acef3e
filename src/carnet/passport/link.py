"""The position of a statement in a passport's chain: number, epoch, what stands before it.

Knows neither kind, author, date nor subject: what peers keep of a passport tells nothing about a person.
Spec: docs/spec/2-entries.md, clauses 2.7, 2.11 to 2.13.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from carnet.encoding import sha256, tag, u32, u64
from carnet.errors import Unverified
from carnet.kernel import kernel
from carnet.passport.statement import NO_TARGET, compute_signed
from carnet.types import Mark

NO_PREV = bytes(32)
LINK_BYTES = 171

_LINK = tag("link")
_pack = struct.Struct(f">{len(_LINK)}s16sQI32s32sB32s32s").pack
_CHAIN = tag("chain")

ComputeNextId = Callable[[bytes, int, int, bytes, bytes, int, bytes | None, bytes], bytes]


class Link(NamedTuple):
    """The parts of a link: chain 16, seq, epoch, prev 32, sid 32, mark, target 32, signed 32 bytes."""

    chain: bytes
    seq: int
    epoch: int
    prev: bytes
    sid: bytes
    mark: int
    target: bytes
    signed: bytes

    def to_bytes(self) -> bytes:
        """The link as it stands in a batch, 171 bytes. Spec: 2.11."""
        return b"".join(
            (
                _LINK,
                self.chain,
                u64(self.seq),
                u32(self.epoch),
                self.prev,
                self.sid,
                bytes((self.mark,)),
                self.target,
                self.signed,
            )
        )


class Head(NamedTuple):
    """The newest link of a chain: its seq, epoch and id. What a home, a peer and a census remember of a chain."""

    seq: int
    epoch: int
    id: bytes


Placed = tuple[int, bytes, int, bytes, bytes, bytes | None]
"""What a link adds to the one before it: epoch, sid, mark, target, and what its author signed, with the signature; or
`signed` itself, and None."""


def hash_links(chain: bytes, links: list[Placed]) -> tuple[list[bytes], list[bytes]]:
    """The ids of all links of a chain, from its opening on, and the hashes of their leaves in a batch. Spec: 2.11."""
    return _hash_links(chain, links) if kernel is None else kernel.hash_links(chain, links)


def _hash_links(chain: bytes, links: list[Placed]) -> tuple[list[bytes], list[bytes]]:
    ids, leaves, prev = list[bytes](), list[bytes](), NO_PREV
    for seq, (epoch, sid, mark, target, message, signature) in enumerate(links):
        signed = message if signature is None else compute_signed(sid, message, signature)
        link = _pack(_LINK, chain, seq, epoch, prev, sid, mark, target, signed)
        prev = sha256(link)
        ids.append(prev)
        leaves.append(sha256(b"\x00" + link))
    return ids, leaves


def compute_link_id(link: bytes) -> bytes:
    """`id` of a link, 32 bytes."""
    return sha256(link)


def _compute_next_id(
    chain: bytes, seq: int, epoch: int, prev: bytes, sid: bytes, mark: int, target: bytes | None, signature: bytes
) -> bytes:
    signed = compute_signed(sid, signature, b"")
    return sha256(_pack(_LINK, chain, seq, epoch, prev, sid, mark, NO_TARGET if target is None else target, signed))


compute_next_id: Final[ComputeNextId] = _compute_next_id if kernel is None else kernel.compute_next_id
"""`id` of a link, of its parts in order, of which a target may be None; of `signed`, what the author signed, followed
by the signature. Spec: 2.11."""


def compute_chain_id(home: bytes, sid: bytes) -> bytes:
    """`chain16` of the chain that `sid` opens at this home. Spec: 2.12."""
    return sha256(_CHAIN + home + sid)[:16]


def compute_next_epoch(epoch: int, mark: int) -> int:
    """The epoch of a link that follows one of `epoch`: each transfer raises it. Spec: 2.11."""
    return epoch + 1 if mark == Mark.TRANSFER else epoch


def check_mark(seq: int, mark: int, target: bytes, seq_of_target: int | None) -> None:
    """Raise Unverified unless mark and target are possible at this place. Spec: 5.4.10.

    `seq_of_target` is the seq of the earlier link whose sid is the target, None if there is none.
    """
    if mark > Mark.MOVE:
        raise Unverified("mark_unknown")
    if seq == 0 and mark != Mark.NONE:
        raise Unverified("mark_on_opening")
    if mark in (Mark.NONE, Mark.TRANSFER) and target != NO_TARGET:
        raise Unverified("target_malformed")
    if mark == Mark.MOVE and target[16:] != bytes(16):
        raise Unverified("target_malformed")
    if mark in (Mark.SUPERSEDES, Mark.CONTESTS):
        if seq_of_target == 0:
            raise Unverified("target_is_opening")
        if seq_of_target is None:
            raise Unverified("target_unknown")


def append_link(
    head: Head | None, chain: bytes, sid: bytes, mark: int, target: bytes, signed: bytes
) -> tuple[bytes, Head]:
    """(link bytes, the new head) of the statement placed after `head`; a chain without a head is opened by it."""
    if head is None:
        link = Link(chain, 0, 0, NO_PREV, sid, mark, target, signed)
    else:
        link = Link(chain, head.seq + 1, compute_next_epoch(head.epoch, mark), head.id, sid, mark, target, signed)
    data = link.to_bytes()
    return data, Head(link.seq, link.epoch, sha256(data))
