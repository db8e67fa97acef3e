"""Checkpoints (C2SP tlog-checkpoint, without extension lines): the signed size and root of one log.

What is *in* the log, and whether enough witnesses cosigned, is judged elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from carnet.encoding import MAX_INTEGER, b64, unb64
from carnet.errors import Unverified
from carnet.signing import Signer
from carnet.tlog.note import TYPE_COSIGNATURE, TYPE_ED25519, VerifierKey, open_note, sign_note
from carnet.tlog.tree import EMPTY_ROOT, HASH_BYTES

# Extension lines are refused, so a body is exactly three lines; sixteen digits hold every integer up to 2^53-1.
_BODY = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,15})\n([^\n]+)\n")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` had `size` leaves under `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_INTEGER or len(self.root) != HASH_BYTES:
            raise _malformed("a size beyond 2^53-1, or a root that does not have 32 bytes")
        if not self.origin or "\n" in self.origin:
            raise _malformed("an origin is one line, not empty")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise _malformed("an empty log with the root of another")


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: `key` had seen this checkpoint, and no larger one, at `time_s` (seconds since 1970)."""

    key: VerifierKey
    time_s: int


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint whose log signature holds, with the cosignatures by known witnesses, in the order of their lines."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...]


def format_body(checkpoint: Checkpoint) -> str:
    """The signed text of a checkpoint: origin, size in decimal, root in Base64, each on its line."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{b64(checkpoint.root)}\n"


def parse_body(text: str) -> Checkpoint:
    """Read what `format_body` writes and nothing else; raises `Unverified("checkpoint_malformed")`."""
    found = _BODY.fullmatch(text)
    if not found:
        raise _malformed("a checkpoint is three lines: origin, size without leading zeros, root")
    origin, size, root = found.groups()
    try:
        return Checkpoint(origin, int(size), unb64(root, HASH_BYTES))
    except Unverified as error:
        raise _malformed(str(error)) from None


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The signed note of a checkpoint, type 0x01, its origin the key name. The caller has stored it *before*."""
    return sign_note(format_body(checkpoint), checkpoint.origin, signer)


def log_key(origin: str, public: bytes) -> VerifierKey:
    """The key under which a log signs its checkpoints."""
    return VerifierKey(origin, TYPE_ED25519, public)


def open_checkpoint(data: bytes, key: VerifierKey, witnesses: Iterable[VerifierKey] = ()) -> OpenedCheckpoint:
    """The checkpoint signed by the log's `key`, with its cosignatures by `witnesses`.

    Raises `Unverified`: those of `open_note`; "note_unsigned" also when only witnesses signed; "checkpoint_malformed";
    "checkpoint_origin_mismatch" when the log's key has another name than the origin line.
    """
    if key.type != TYPE_ED25519:
        raise Unverified("key_type_unknown", "a log signs its checkpoints with a key of type 0x01")
    known = [key, *witnesses]
    note, verified = open_note(data, known)
    if not any(signature.key == key for signature in verified):
        raise Unverified("note_unsigned", "the log itself has not signed this checkpoint")
    checkpoint = parse_body(note.text)
    if checkpoint.origin != key.name:
        raise Unverified("checkpoint_origin_mismatch", f"a checkpoint of {checkpoint.origin!a}, signed as {key.name!a}")
    return OpenedCheckpoint(
        checkpoint,
        tuple(
            Cosignature(signature.key, signature.time_s)
            for signature in verified
            if signature.key.type == TYPE_COSIGNATURE and signature.time_s is not None
        ),
    )


def _malformed(message: str) -> Unverified:
    return Unverified("checkpoint_malformed", message)
