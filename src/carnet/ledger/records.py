"""Log records: the leaves that the ledger writes after all checks, and the references they carry. Spec: 3.7.

Knows the shapes and their bytes. A refused command leaves no record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from carnet.encoding import b64, encode, tag
from carnet.errors import Reason, Refused
from carnet.ledger.census import Census
from carnet.ledger.network import Genesis

MAX_RECORD_BYTES = 60_000

_RECORD = tag("record")

Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Ref:
    """A rules or members record by log index, with the root and count it holds."""

    index: int
    root: bytes
    count: int

    def to_document(self) -> dict[str, object]:
        """The `ref` object of clause 3.7."""
        return {"count": self.count, "index": self.index, "root": b64(self.root)}


@dataclass(frozen=True, slots=True)
class Endorsement:
    """Another node's signature on a batch or census: member id 16, key digest 32, signature 64 bytes."""

    member: bytes
    key: bytes
    sig: bytes

    def to_document(self) -> dict[str, object]:
        """The endorsement object of clause 3.6."""
        return {"key": b64(self.key), "member": b64(self.member), "sig": b64(self.sig)}


def compute_record_leaf(record: object) -> bytes:
    """The leaf bytes of a record; raises Refused(RECORD_TOO_LARGE) beyond 60,000 bytes."""
    leaf = _RECORD + encode(record)
    if len(leaf) > MAX_RECORD_BYTES:
        raise Refused(
            Reason.RECORD_TOO_LARGE, f"a record of {len(leaf):,} bytes", size=len(leaf), limit=MAX_RECORD_BYTES
        )
    return leaf


def frame_record(encoded: bytes) -> bytes:
    """The leaf bytes of a record from its `cj`, for readers that check its shape themselves."""
    return _RECORD + encoded


def genesis_record(at: int, height: int, genesis: Genesis) -> Record:
    """Record 0."""
    return {"at": at, "genesis": genesis.to_document(), "height": height, "type": "genesis"}


def rules_record(at: int, height: int, root: bytes, count: int) -> Record:
    """The rules in force from now on."""
    return {"at": at, "count": count, "height": height, "root": b64(root), "type": "rules"}


def members_record(at: int, height: int, root: bytes, count: int) -> Record:
    """The members from now on."""
    return {"at": at, "count": count, "height": height, "root": b64(root), "type": "members"}


def seal_record(
    at: int, height: int, batch: bytes, sig: bytes, endorsements: Iterable[Endorsement], members: Ref, rules: Ref
) -> Record:
    """The ledger's acceptance of a batch (`bh`, 148 bytes, as its home signed it)."""
    return {
        "at": at,
        "batch": b64(batch),
        "endorsements": [endorsement.to_document() for endorsement in endorsements],
        "height": height,
        "members": members.to_document(),
        "rules": rules.to_document(),
        "sig": b64(sig),
        "type": "seal",
    }


def census_record(
    at: int,
    height: int,
    census: Census,
    key: bytes,
    sig: bytes,
    endorsements: Iterable[Endorsement],
    members: Ref,
    rules: Ref,
) -> Record:
    """The ledger's acceptance of a census."""
    return {
        "at": at,
        "census": census.to_document(),
        "endorsements": [endorsement.to_document() for endorsement in endorsements],
        "height": height,
        "key": b64(key),
        "members": members.to_document(),
        "rules": rules.to_document(),
        "sig": b64(sig),
        "type": "census",
    }
