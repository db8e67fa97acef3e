"""Fields under salted digests: a reader may be shown some and still check them against what the author signed.

Knows names, salts and canonical values; refuses to know what a field means (that is `kinds`) or who may see it.
Spec: docs/spec/2-entries.md, clauses 2.1 and 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256, shake_256

from carnet.encoding import encode_trusted, lp, tag, u32

SECRET_BYTES = 32
SALT_BYTES = 16

_EXPAND = tag("expand")
_FIELD = tag("field")
_FIELDS = tag("fields")
_FIELD_HASH = sha256(_FIELD)


def expand_secret(secret: bytes, field_count: int) -> tuple[bytes, list[bytes]]:
    """The content key (32 bytes) and one 16-byte salt for each field, in ascending name order. Spec: 2.1."""
    stream = shake_256(_EXPAND + secret).digest(32 + SALT_BYTES * field_count)
    return stream[:32], [stream[at : at + SALT_BYTES] for at in range(32, len(stream), SALT_BYTES)]


def compute_field_digest(salt: bytes, name: str, value: object) -> bytes:
    """Digest of one field (32 bytes). Spec: 2.2."""
    return sha256(_FIELD + salt + lp(name.encode()) + encode_trusted(value)).digest()


def compute_fields_root(digests: Iterable[tuple[str, bytes]], count: int) -> bytes:
    """Root over (name, field digest) pairs, which stand in ascending name order. Spec: 2.2."""
    return sha256(_FIELDS + u32(count) + b"".join(lp(name.encode()) + digest for name, digest in digests)).digest()


@lru_cache(maxsize=256)
def _frame(names: tuple[str, ...]) -> tuple[bytes, tuple[bytes, ...], tuple[slice, ...]]:
    """What is the same for every statement of one kind: the header of its root, each name with its length, and where in
    the expanded secret its salt is."""
    salts = tuple(slice(32 + SALT_BYTES * at, 48 + SALT_BYTES * at) for at in range(len(names)))
    return _FIELDS + u32(len(names)), tuple(lp(name.encode()) for name in names), salts


def seal_values(names: tuple[str, ...], values: Sequence[bytes], secret: bytes) -> tuple[bytes, bytes]:
    """(content key, fields_root) of canonical values in ascending name order: the hot path of `prepare`, one hash
    call per field."""
    header, framed, salts = _frame(names)
    stream = shake_256(_EXPAND + secret).digest(32 + SALT_BYTES * len(names))
    parts: list[bytes] = [b""] * (2 * len(framed))
    parts[::2] = framed
    start = _FIELD_HASH.copy
    at = 1
    # A copy of a hash that has read the tag costs two thirds of a new one.
    for name, value, salt in zip(framed, values, salts, strict=True):
        digest = start()
        digest.update(stream[salt] + name + value)
        parts[at] = digest.digest()
        at += 2
    return stream[:32], sha256(header + b"".join(parts)).digest()
