"""The specification's own notation in a few lines of the standard library: what the tests compute bytes with when they
must not ask the product."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Sequence


def h(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def t(name: str) -> bytes:
    return f"carnet/1/{name}\n".encode("ascii")


def u(size: int, number: int) -> bytes:
    return struct.pack({1: ">B", 4: ">I", 8: ">Q"}[size], number)


def lp(data: bytes) -> bytes:
    return u(4, len(data)) + data


def cj(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def to64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def mth(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162 §2.1.1, as it is written there."""
    if not leaves:
        return h(b"")
    if len(leaves) == 1:
        return h(b"\0" + leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return h(b"\1" + mth(leaves[:split]) + mth(leaves[split:]))


def sparse(leaves: Sequence[tuple[bytes, bytes]], depth: int = 0) -> bytes:
    """Clause 3.9, as it is written there."""
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return h(b"\0" + leaves[0][1])
    sides: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = ([], [])
    for slot, leaf in leaves:
        sides[slot[depth // 8] >> (7 - depth % 8) & 1].append((slot, leaf))
    return h(b"\1" + sparse(sides[0], depth + 1) + sparse(sides[1], depth + 1))
