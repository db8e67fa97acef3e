"""What an author signs: a statement about one passport, and the submission that carries one or many of them.

Knows bytes and their sizes; refuses to know whether the author may say it (`ledger.rules`) or where it will stand
(`link`).
Spec: docs/spec/2-entries.md, clauses 2.5, 2.6 and 2.10.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from carnet.encoding import sha256, tag, u32, u64
from carnet.errors import Unverified
from carnet.kernel import kernel

NO_CHAIN = bytes(16)
NO_TARGET = bytes(32)
STATEMENT_BYTES = 182

_STATEMENT = tag("statement")
_SUBMISSION = tag("submission")
_SIGNED = tag("signed")
_MEMBER_AT = len(_STATEMENT) + 48
_pack_numbers = struct.Struct(">QI").pack
_split = struct.Struct(f"{len(_STATEMENT)}x32s16s16s32sBBB32s32s").unpack


class Statement(Struct, frozen=True, gc=False):
    """The parts of a statement: net 32, chain 16, member 16, key_digest 32, three u8, target 32, fields_root 32
    bytes."""

    net: bytes
    chain: bytes
    member: bytes
    key_digest: bytes
    basis: int
    class_: int
    mark: int
    target: bytes
    fields_root: bytes

    def to_bytes(self) -> bytes:
        """`st`, 182 bytes. Spec: 2.5."""
        return b"".join(
            (
                _STATEMENT,
                self.net,
                self.chain,
                self.member,
                self.key_digest,
                bytes((self.basis, self.class_, self.mark)),
                self.target,
                self.fields_root,
            )
        )


def compute_statement_prefix(net: bytes, chain: bytes, member: bytes, key_digest: bytes) -> bytes:
    """The first 115 bytes of a statement, the same for every statement of one author in one chain."""
    return _STATEMENT + net + chain + member + key_digest


def frame_statements(net: bytes, member: bytes, key_digest: bytes, basis: int) -> tuple[bytes, bytes]:
    """What stands before and behind the chain in every statement of one author and basis, up to its class: 51 and 49
    bytes (for `prepare`)."""
    return _STATEMENT + net, member + key_digest + bytes((basis,))


def parse_statement(data: bytes) -> Statement:
    """Split `st`; raises Unverified("malformed") unless it has 182 bytes and the tag."""
    if len(data) != STATEMENT_BYTES or not data.startswith(_STATEMENT):
        raise Unverified("malformed", "a statement has 182 bytes and begins with its tag")
    return Statement(*_split(data))


def read_statement(data: bytes) -> tuple[Statement, bytes, bytes]:
    """A statement with its sid and the hash of its leaf in a submission's tree; raises as `parse_statement`."""
    found = None if kernel is None else kernel.split_statement(data)
    if found is None:
        return _read_statement(data)
    parts, sid, leaf = found
    return Statement(*parts), sid, leaf


def _read_statement(data: bytes) -> tuple[Statement, bytes, bytes]:
    return parse_statement(data), sha256(data), sha256(b"\x00" + data)


def get_author(data: bytes) -> bytes:
    """The member that signs `st`, 16 bytes, of bytes that are known to be a statement."""
    return data[_MEMBER_AT : _MEMBER_AT + 16]


def compute_sid(statement: bytes) -> bytes:
    """`sid`: the statement's id, 32 bytes, of its bytes as they were signed."""
    return sha256(statement)


def compute_submission(net: bytes, key_digest: bytes, created_ms: int, count: int, root: bytes) -> bytes:
    """`sub`: what the author signs over the Merkle root of `count` statements. Spec: 2.10."""
    return _SUBMISSION + net + key_digest + u64(created_ms) + u32(count) + root


def frame_submission(net: bytes, key_digest: bytes, created_ms: int, count: int, root: bytes) -> bytes:
    """As `compute_submission`, for a verifier that has looked at every range."""
    return b"".join((_SUBMISSION, net, key_digest, _pack_numbers(created_ms, count), root))


def compute_signed(sid: bytes, submission: bytes, signature: bytes) -> bytes:
    """The digest that binds a link to the author's signature. Spec: 2.11."""
    return sha256(_SIGNED + sid + submission + signature)


def _hash_each(before: bytes, digests: Sequence[bytes], after: bytes) -> bytes:
    return b"".join([sha256(before + digest + after) for digest in digests])


hash_each: Final[Callable[[bytes, Sequence[bytes], bytes], bytes]] = _hash_each if kernel is None else kernel.hash_each
"""The hash of each digest (32 bytes) between two texts, in one piece."""


def compute_all_signed(sids: Sequence[bytes], submission: bytes, signature: bytes) -> bytes:
    """`compute_signed` of each statement of a submission, in one piece of 32 bytes each."""
    return hash_each(_SIGNED, sids, submission + signature)
