"""Cosignatures (C2SP tlog-cosignature, type 0x04): "at this time, I had seen no larger checkpoint of this log".

Only the signed bytes and their blob are here; names, key ids and lines belong to the note. A key that cosigns does
nothing else.
"""

from __future__ import annotations

from typing import Final

from carnet.encoding import MAX_INTEGER, u64
from carnet.signing import SIGNATURE_BYTES, Signer, verify

COSIGNATURE_BYTES: Final = 8 + SIGNATURE_BYTES


def compute_cosigned_message(body: bytes, time_s: int) -> bytes:
    """The message that a cosigner signs: two header lines, then the whole checkpoint body with its final newline."""
    return b"cosignature/v1\ntime %d\n" % time_s + body


def sign_cosignature(body: bytes, time_s: int, signer: Signer) -> bytes:
    """The 72-byte cosignature (u64 time in seconds since 1970, then the signature) of a checkpoint body."""
    return u64(time_s) + signer.sign(compute_cosigned_message(body, time_s))


def find_cosigned_time(body: bytes, public: bytes, cosignature: bytes) -> int | None:
    """The time in seconds at which `public` cosigned `body`, or `None` if this is not its cosignature.

    A time beyond 2^53-1 is refused: not every reader keeps it exactly, and it lies 285 million years ahead.
    """
    if len(cosignature) != COSIGNATURE_BYTES:
        return None
    time_s = int.from_bytes(cosignature[:8], "big")
    if time_s > MAX_INTEGER:
        return None
    if not verify(public, compute_cosigned_message(body, time_s), cosignature[8:]):
        return None
    return time_s
