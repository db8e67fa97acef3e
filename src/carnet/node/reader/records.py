"""The records that a reader gives.

They refuse to know who may see them.
"""

from __future__ import annotations

from typing import NamedTuple

from carnet.node.jobs import ChainRef
from carnet.proof.source import SignedTogether


class Passport(NamedTuple):
    """One line of a list: id, subject in its signed form (None when it was erased), number of entries, whether it is
    closed."""

    chain16: bytes
    subject: dict[str, object] | None
    entry_count: int
    is_closed: bool


class ShownEntry(NamedTuple):
    """An entry for people: place, who (16-byte member id), ground, what. `fields` is None when the contents are not
    here; `is_erased` that they are nowhere any more; `seal` is the log index of its seal."""

    seq: int
    kind: str
    member: bytes
    basis: int
    mark: int
    target: bytes
    sid: bytes
    sealed_at: int
    created_ms: int
    fields: dict[str, object] | None
    is_erased: bool = False
    key_digest: bytes = b""
    seal: int = 0


class Fingerprint(NamedTuple):
    """All that an answer about one passport can depend on: its last entry; the log indexes of rules, members and the
    census that proofs are made against; the latest of all erasures. The same fingerprint, the same answer."""

    epoch: int
    seq: int
    rules: int
    members: int
    census: int
    erasure: int


class EntryRow(NamedTuple):
    """An entry as it is stored, but for its place in the chain."""

    kind: int
    basis: int
    class_: int
    mark: int
    target: bytes | None
    sid: bytes
    submission: int
    sub_index: int
    seal: int
    position: int
    secret: bytes | None
    content: bytes | None


class History(NamedTuple):
    """A chain, the `cj` of its subject, and all its entries from seq 0."""

    ref: ChainRef
    subject: bytes
    rows: list[EntryRow]


class Submission(NamedTuple):
    """What an entry's author signed: member, key digest, created, the signed bytes, the signature; all of it again
    with the statements' tree, for proofs."""

    member: bytes
    key_digest: bytes
    created_ms: int
    sub: bytes
    sig: bytes
    signed: SignedTogether
