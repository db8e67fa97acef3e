"""One statement sealed, from the canonical bytes of its fields: its id, its leaf, and its contents as they are kept;
and opened again from these.

The hot paths of `prepare` and of a proof: one call for an entry. It refuses to know who signs it, and where it stands.
Spec: docs/spec/2-entries.md, clauses 2.1 to 2.6; the contents are those of `vault.sealing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias, cast

import msgspec

from carnet.encoding import b64, lp, sha256
from carnet.kernel import kernel
from carnet.passport.fields import get_sealer, split_stream
from carnet.vault.sealing import Packing, pack_values, unpack_encoded

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_join = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder().decode


Sealed: TypeAlias = tuple[bytes, bytes, bytes, bytes, bytes | None]
"""Content key, sid, leaf hash, contents, and the `cj` of its subject where that is not the passport's own. The first
and the contents are secret."""

Stated: TypeAlias = tuple[bytes, bytes, bytes]
"""A statement; the `cj` of its fields as a bundle shows them (4.5), as secret as they are; the `cj` of its subject."""

Seal: TypeAlias = Callable[[tuple[bytes, ...], bytes, bytes, bytes, bytes, bytes], Sealed]


def frame_names(names: Sequence[str]) -> tuple[bytes, ...]:
    """A kind's names, each behind its length, as `seal_statement` takes them."""
    return tuple([lp(name.encode()) for name in names])


def _seal_statement(
    names: tuple[bytes, ...], fields: bytes, secret: bytes, head: bytes, target: bytes, subject: bytes
) -> Sealed:
    plain, packing = _read_names(names)
    values = [bytes(value) for value in _take_apart(fields, plain).values()]
    content_key, root = get_sealer(plain).seal(values, secret)
    statement = head + target + root
    found = values[packing.subject_at]
    is_own = found == subject
    occurred = _take_apart(values[packing.occurred_at], ("at", "precision", "zone"))
    content = pack_values(values, packing, occurred, is_own)
    return content_key, sha256(statement), sha256(b"\x00" + statement), content, None if is_own else found


seal_statement: Final[Seal] = _seal_statement if kernel is None else kernel.seal_statement
"""Seal a statement of these names and fields (the `cj` of all of them) with a secret (32 bytes), behind its head (the
118 bytes up to its mark) and its target (32 bytes). `subject` is the `cj` of the passport's own.

Raises ValueError for the fields of another kind, which is a fault of ours.
"""


def open_statement(
    names: tuple[bytes, ...],
    contents: bytes,
    stream: bytes,
    head: bytes,
    target: bytes,
    kind: bytes,
    subject: bytes,
    sid: bytes,
) -> Stated:
    """The statement of these names and contents, behind its head and its target as `seal_statement` takes them.
    `stream` is what its secret expands to; `kind` and `subject` are `cj`, the latter of the passport's own.

    Raises Unverified("content_malformed") for contents of another kind. Of contents that belong to another statement
    than the one of this id, it makes that other one: whoever checks the proof is told.
    """
    # With the right id, each value is the one that was signed, and was canonical when it was sealed: none is read.
    found = None if kernel is None else kernel.open_statement(names, contents, stream, head, target, kind, subject, sid)
    return _open_statement(names, contents, stream, head, target, kind, subject) if found is None else found


def _open_statement(
    names: tuple[bytes, ...], contents: bytes, stream: bytes, head: bytes, target: bytes, kind: bytes, subject: bytes
) -> Stated:
    plain, packing = _read_names(names)
    values = unpack_encoded(contents, packing, cast("str", _read(kind)), _read(subject))[1]
    _, salts = split_stream(stream, len(plain))
    root = get_sealer(plain).compute_root(values, salts)
    parts = [
        f'"{name}":["{b64(salt)}",'.encode() + value + b"]"
        for name, salt, value in zip(plain, salts, values, strict=True)
    ]
    return head + target + root, b"{" + b",".join(parts) + b"}", values[packing.subject_at]


@lru_cache(maxsize=256)
def _read_names(names: tuple[bytes, ...]) -> tuple[tuple[str, ...], Packing]:
    plain = tuple([name[4:].decode() for name in names])
    return plain, Packing.of(plain)


def _take_apart(fields: bytes, names: tuple[str, ...]) -> dict[str, msgspec.Raw]:
    """The canonical values of an object that has these names."""
    try:
        found = _split(fields)
    except (msgspec.DecodeError, UnicodeError):
        found = {}
    if tuple(found) != names or _join(found) != fields:
        raise ValueError("these fields are not those of their kind, in canonical JSON")
    return found
