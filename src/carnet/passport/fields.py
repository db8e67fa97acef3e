"""Fields under salted digests: a reader may be shown some and still check them against what the author signed.

Knows names, salts and canonical values; refuses to know what a field means (that is `kinds`) or who may see it.
Spec: docs/spec/2-entries.md, clauses 2.1 and 2.2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import shake_256
from typing import Any

from carnet.encoding import check_keys, encode_trusted, lp, sha256, tag, u32
from carnet.kernel import kernel

SECRET_BYTES = 32
SALT_BYTES = 16
DIGEST_BYTES = 32

_EXPAND = tag("expand")
_FIELD = tag("field")
_FIELDS = tag("fields")


def expand_secret(secret: bytes, field_count: int) -> tuple[bytes, list[bytes]]:
    """The content key (32 bytes) and one 16-byte salt for each field, in ascending name order. Spec: 2.1."""
    return split_stream(expand_stream(secret, field_count), field_count)


def expand_stream(secret: bytes, field_count: int) -> bytes:
    """The same in one piece, as it comes out of the secret."""
    size = SECRET_BYTES + SALT_BYTES * field_count
    if kernel is not None:
        return kernel.shake256(_EXPAND + secret, size)  # type: ignore[no-any-return]
    return shake_256(_EXPAND + secret).digest(size)


def split_stream(stream: bytes, field_count: int) -> tuple[bytes, list[bytes]]:
    """Content key and salts of what `expand_stream` gave."""
    content_key, *salts = _get_splitter(field_count)[0](stream)
    return content_key, salts


@lru_cache(maxsize=256)
def _get_splitter(field_count: int) -> tuple[Callable[[bytes], tuple[bytes, ...]], int]:
    """What cuts a content key and so many salts out of one stream, and its size in bytes."""
    stream = struct.Struct("32s" + f"{SALT_BYTES}s" * field_count)
    return stream.unpack, stream.size


def compute_field_digest(salt: bytes, name: str, value: object) -> bytes:
    """Digest of one field (32 bytes). Spec: 2.2."""
    return _hash_field(salt, _frame_name(name), encode_trusted(value))


def _hash_field(salt: bytes, framed_name: bytes, encoded: bytes) -> bytes:
    return sha256(_FIELD + salt + framed_name + encoded)


def compute_fields_root(digests: Iterable[tuple[str, bytes]], count: int) -> bytes:
    """Root over (name, field digest) pairs, which stand in ascending name order. Spec: 2.2."""
    framed = [part for name, digest in digests for part in (_frame_name(name), digest)]
    return sha256(_FIELDS + u32(count) + b"".join(framed))


def hash_shown(fields: Mapping[str, bytes | tuple[bytes, Any]], depth: int) -> tuple[bytes, list[Any]]:
    """The root of fields in ascending name order, of which each is a digest, or (salt, value); and those objects and
    lists among the values that are still to be looked into, for they stand so deep. Raises ValueError for a digest or a
    salt of another size, and as `check_keys` for a name. Spec: 2.2."""
    return _get_checked_sealer(tuple(fields)).hash_shown(fields.values(), depth)


@lru_cache(maxsize=1024)
def _frame_name(name: str) -> bytes:
    return lp(name.encode())


class ValueSealer:
    """Seals the values of statements that have these names: the hot path of `prepare`, one hash for each field.

    What is the same for each of them is made once: each name with its length, where its salt is.
    """

    __slots__ = ("_framed", "_size", "_split")

    def __init__(self, names: Sequence[str]) -> None:
        self._framed = tuple([lp(name.encode()) for name in names])
        self._split, self._size = _get_splitter(len(names))

    def seal(self, values: Sequence[bytes], secret: bytes) -> tuple[bytes, bytes]:
        """(content key, fields_root) of canonical values in ascending name order."""
        if kernel is not None:
            return kernel.seal_fields(self._framed, values, secret)  # type: ignore[no-any-return]
        content_key, *salts = self._split(shake_256(_EXPAND + secret).digest(self._size))
        return content_key, self.compute_root(values, salts)

    def hash_shown(self, fields: Iterable[bytes | tuple[bytes, Any]], depth: int) -> tuple[bytes, list[Any]]:
        """As the function of this name, of the values alone."""
        if kernel is not None:
            return kernel.hash_shown(self._framed, fields, encode_trusted, depth)  # type: ignore[no-any-return]
        return self._hash_shown(fields)

    def _hash_shown(self, fields: Iterable[bytes | tuple[bytes, Any]]) -> tuple[bytes, list[Any]]:
        shown: list[bytes | tuple[bytes, bytes]] = []
        inside: list[Any] = []
        for one in fields:
            if not isinstance(one, tuple):
                is_sized = len(one) == DIGEST_BYTES
                shown.append(one)
            else:
                is_sized = len(one[0]) == SALT_BYTES
                shown.append((one[0], encode_trusted(one[1])))
                if isinstance(one[1], dict | list):
                    inside.append(one[1])
            if not is_sized:
                raise ValueError("a digest or a salt of another size")
        return self._compute_root(shown), inside

    def compute_root(self, values: Sequence[bytes], salts: Sequence[bytes]) -> bytes:
        """fields_root of canonical values and their salts, in ascending name order."""
        return self._compute_root(list(zip(salts, values, strict=True)))

    def _compute_root(self, shown: Sequence[bytes | tuple[bytes, bytes]]) -> bytes:
        """fields_root of digests, and of salts with canonical values."""
        if kernel is not None:
            return kernel.hash_fields(self._framed, shown)  # type: ignore[no-any-return]
        parts = [_FIELDS, u32(len(self._framed))]
        for name, one in zip(self._framed, shown, strict=True):
            parts += [name, sha256(b"".join((_FIELD, one[0], name, one[1]))) if isinstance(one, tuple) else one]
        return sha256(b"".join(parts))


@lru_cache(maxsize=256)
def get_sealer(names: tuple[str, ...]) -> ValueSealer:
    """The sealer of a kind's names, made once."""
    return ValueSealer(names)


@lru_cache(maxsize=256)
def _get_checked_sealer(names: tuple[str, ...]) -> ValueSealer:
    """The same of names that a stranger chose."""
    check_keys(names)
    return ValueSealer(names)


def seal_values(names: tuple[str, ...], values: Sequence[bytes], secret: bytes) -> tuple[bytes, bytes]:
    """(content key, fields_root) of canonical values in ascending name order."""
    return get_sealer(names).seal(values, secret)
