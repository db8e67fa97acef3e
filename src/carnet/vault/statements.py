"""One statement sealed, from the canonical bytes of its fields: its id, its leaf, and its contents as they are kept;
and opened again from these.

The hot paths of `prepare` and of a proof: one call for an entry. It refuses to know who signs it, and where it stands.
Spec: docs/spec/2-entries.md, clauses 2.1 to 2.6; the contents are those of `vault.sealing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import starmap
from typing import Final, TypeAlias, cast

import msgspec

from carnet.encoding import b64, lp, sha256
from carnet.kernel import kernel
from carnet.passport.fields import get_sealer, split_stream
from carnet.vault.sealing import Packing, pack_values, unpack_encoded

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_join = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder().decode


Sealed: TypeAlias = tuple[list[bytes], list[bytes], bytes, list[bytes], list[bytes | None]]
"""Of each statement the content key, the sid, the leaf hash (32 bytes each, in one piece), the contents, and the `cj`
of its subject where that is not the passport's own. Keys and contents are secret."""

Stated: TypeAlias = tuple[bytes, bytes, bytes]
"""A statement; the `cj` of its fields as a bundle shows them (4.5), as secret as they are; the `cj` of its subject."""

Seal: TypeAlias = Callable[
    [
        bytes,
        bytes,
        Sequence[tuple[bytes, ...]],
        Sequence[bytes],
        Sequence[bytes],
        Sequence[bytes],
        Sequence[bytes],
        Sequence[bytes],
        Sequence[bytes],
    ],
    Sealed,
]


def frame_names(names: Sequence[str]) -> tuple[bytes, ...]:
    """A kind's names, each behind its length, as `seal_statements` takes them."""
    return tuple([lp(name.encode()) for name in names])


def _seal_statement(
    names: tuple[bytes, ...], fields: bytes, secret: bytes, head: bytes, target: bytes, subject: bytes
) -> tuple[bytes, bytes, bytes, bytes, bytes | None]:
    plain, packing = _read_names(names)
    values = [bytes(value) for value in _take_apart(fields, plain).values()]
    content_key, root = get_sealer(plain).seal(values, secret)
    statement = head + target + root
    found = values[packing.subject_at]
    is_own = found == subject
    occurred = _take_apart(values[packing.occurred_at], ("at", "precision", "zone"))
    content = pack_values(values, packing, occurred, is_own)
    return content_key, sha256(statement), sha256(b"\x00" + statement), content, None if is_own else found


def _seal_statements(
    front: bytes,
    middle: bytes,
    names: Sequence[tuple[bytes, ...]],
    fields: Sequence[bytes],
    secrets: Sequence[bytes],
    chains: Sequence[bytes],
    tails: Sequence[bytes],
    targets: Sequence[bytes],
    subjects: Sequence[bytes],
) -> Sealed:
    heads = [front + chain + middle + tail for chain, tail in zip(chains, tails, strict=True)]
    parts = zip(names, fields, secrets, heads, targets, subjects, strict=True)
    sealed = list(starmap(_seal_statement, parts))
    keys, sids, leaves, contents, others = zip(*sealed, strict=True) if sealed else ((),) * 5
    return list(keys), list(sids), b"".join(leaves), list(contents), list(others)


seal_statements: Final[Seal] = _seal_statements if kernel is None else kernel.seal_statements
"""Seal statements of one author and basis (`frame_statements`): of each, in lists or tuples, its names, its fields (the
`cj` of all of them), its secret (32 bytes), its chain (16 bytes), its class and mark (a byte each), its target (32
bytes) and the `cj` of its passport's own subject. Those of a kind that follow each other take less time together.

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
    """The statement of these names and contents, behind its head (the 118 bytes up to its mark) and its target.
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
    values = unpack_encoded(contents, packing, cast("str", _read(kind)), subject)[1]
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
