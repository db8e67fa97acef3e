"""Where the entries of one submission stand in the store, in a few bytes: runs of neighbours in a chain.

With them an author's entries are found without an index on all entries, which would cost each of them more than all
else that is noted of it. It refuses to know what an entry is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from carnet.vault.store import Connection

_encode = msgspec.msgpack.encode
_decode_numbers = msgspec.msgpack.Decoder(list[int]).decode
_decode_counts = msgspec.msgpack.Decoder(dict[int, int]).decode


class Run(NamedTuple):
    """`length` entries of a chain (its number in the store), from `first` (a seq) on."""

    chain: int
    first: int
    length: int


def encode_places(runs: Iterable[Run | tuple[int, int, int]]) -> bytes:
    """Runs, none of which meet, as `submission.places`: (chain, less the one before; first; count) for each."""
    numbers, before = list[int](), 0
    for chain, first, count in sorted(runs):
        numbers += (chain - before, first, count)
        before = chain
    return _encode(numbers)


def decode_places(blob: bytes) -> list[Run]:
    """The same read again, in ascending order. Raises ValueError for other bytes."""
    numbers = iter(_decode_numbers(blob))
    runs, chain = list[Run](), 0
    for delta, first, count in zip(numbers, numbers, numbers, strict=True):
        chain += delta
        runs.append(Run(chain, first, count))
    return runs


def encode_kinds(counts: Mapping[int, int]) -> bytes:
    """How many entries of each kind (its number in the store), as `submission.kinds`."""
    return _encode(dict(sorted(counts.items())))


def decode_kinds(blob: bytes) -> dict[int, int]:
    """The same read again. Raises ValueError for other bytes."""
    return _decode_counts(blob)


def drop_chain(connection: Connection, chain: int, gone: Mapping[int, Mapping[int, int]]) -> None:
    """Forget a chain whose entries are erased: `gone` says of each submission how many of each kind it had there. A
    submission of which nothing else is left goes too."""
    for number, kinds in gone.items():
        row = connection.execute("SELECT places, kinds FROM submission WHERE id = ?", (number,)).fetchone()
        left = [run for run in decode_places(row[0]) if run.chain != chain]
        if not left:
            connection.execute("DELETE FROM submission WHERE id = ?", (number,))
            continue
        counts = decode_kinds(row[1])
        rest = {kind: count - kinds.get(kind, 0) for kind, count in counts.items() if count > kinds.get(kind, 0)}
        values = (encode_places(left), encode_kinds(rest), number)
        connection.execute("UPDATE submission SET places = ?, kinds = ? WHERE id = ?", values)
