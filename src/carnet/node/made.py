"""A prepared submission as it crosses from one process to another: MessagePack of known shapes.

It refuses to know which processes these are.
"""

from __future__ import annotations

import msgspec

from carnet.node.jobs import Prepared, PreparedGroup, Refusal, Row


# The bytes that go to the store come back as what the store takes (`vault.store.Blob`), which they would have to be
# copied into otherwise.
class MadeRow(Row):
    """A row that was prepared elsewhere."""

    __slots__ = ()
    secret: bytearray  # type: ignore[assignment]
    content: bytearray | None  # type: ignore[assignment]


class MadeGroup(PreparedGroup):
    """Rows of one chain that were."""

    __slots__ = ()
    rows: list[MadeRow]  # type: ignore[assignment]


class Made(Prepared):
    """A submission that was."""

    __slots__ = ()
    groups: list[MadeGroup]  # type: ignore[assignment]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Made).decode


def encode_prepared(prepared: Prepared) -> tuple[bytes, list[Refusal]]:
    """A submission for another process; its refusals apart. They are few, and their facts may be anything; the rest is
    thousands of rows of known types."""
    return _encode(prepared._replace(refusals=[])), prepared.refusals


def read_prepared(data: bytes, refusals: list[Refusal]) -> Prepared:
    """The submission that was encoded. Raises msgspec.DecodeError or ValidationError for what is none."""
    prepared: Prepared = _decode(data)
    return prepared._replace(refusals=refusals)
