"""Checkpoints (C2SP tlog-checkpoint, without extension lines): the signed size and root of one log.

What is *in* the log, and whether enough witnesses cosigned, is judged elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec import Struct

from carnet.encoding import MAX_INTEGER, b64, unb64
from carnet.errors import Unverified
from carnet.signing import Signer, verify
from carnet.tlog.cosignature import find_cosigned_time
from carnet.tlog.note import TYPE_COSIGNATURE, TYPE_ED25519, Note, VerifierKey, parse_note, sign_note
from carnet.tlog.tree import EMPTY_ROOT, HASH_BYTES

# Extension lines are refused, so a body is exactly three lines; sixteen digits hold every integer up to 2^53-1.
_BODY = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,15})\n([^\n]+)\n")


class Checkpoint(Struct, frozen=True, gc=False):
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
    """The checkpoint signed by the log's `key`, with its cosignatures by `witnesses`. Spec: 5.4.1 and 5.4.2.

    Raises `Unverified`, in this order: "note_malformed", "checkpoint_malformed", "origin_mismatch" (the origin is not
    the key's name), "log_signature_missing", "log_signature_invalid", "cosignature_invalid" (a line of a known witness
    that does not verify). Every line of a known key is checked, also a second one by the same key; the others are
    ignored.
    """
    note = parse_note(data)
    checkpoint = parse_body(note.text)
    if checkpoint.origin != key.name:
        raise Unverified("origin_mismatch", f"a checkpoint of {checkpoint.origin!a}, where {key.name!a} is expected")
    by_log = [line for line in note.signatures if line.is_by(key)]
    if not by_log:
        raise Unverified("log_signature_missing", "the log itself has not signed this checkpoint")
    if not all(verify(key.public, note.text.encode(), line.signature) for line in by_log):
        raise Unverified("log_signature_invalid", "the log's signature is not valid")
    return OpenedCheckpoint(checkpoint, tuple(_take_cosignatures(note, witnesses)))


def _take_cosignatures(note: Note, witnesses: Iterable[VerifierKey]) -> Iterator[Cosignature]:
    known = {(witness.name, witness.key_id): witness for witness in witnesses if witness.type == TYPE_COSIGNATURE}
    for line in note.signatures:
        witness = known.get((line.name, line.key_id))
        if witness is None:
            continue
        time_s = find_cosigned_time(note.text.encode(), witness.public, line.signature)
        if time_s is None:
            raise Unverified("cosignature_invalid", f"the cosignature of {witness.name!a} is not valid")
        yield Cosignature(witness, time_s)


def _malformed(message: str) -> Unverified:
    return Unverified("checkpoint_malformed", message)
