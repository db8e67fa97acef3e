"""The parts of a bundle as the checks take them: parsed, each hashed document with the hash of its leaf. Spec: 4.x.

Knows what stands where; refuses to know whether anything in them is true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, UnsetType

from carnet.ledger.batch import Batch
from carnet.passport.statement import Statement
from carnet.proof import wire


class LoggedPart(Struct, frozen=True, gc=False):
    """A log record of type seal or census. Spec: 4.2."""

    index: int
    at: int
    height: int
    endorsements: Sequence[wire.EndorsementWire]
    members: wire.RefWire
    rules: wire.RefWire
    sig: bytes


class SealPart(LoggedPart, frozen=True, gc=False):
    """A seal: its batch header, parsed and as bytes."""

    batch: Batch
    batch_bytes: bytes


class CensusPart(LoggedPart, frozen=True, gc=False):
    """A census record. `census` is the census object as it stands, in `cj`."""

    census: bytes
    home: bytes
    covers: int
    root: bytes
    key: bytes


Line = wire.KindLineWire | wire.ClassLineWire | wire.WriterLineWire
WRITER: tuple[object, ...] = ("writer",)
"""The subject of every writer line; those of others are ("kind", kind) and ("class", class)."""


class GroupPart(Struct, frozen=True, gc=False):
    """Leaves of one members tree by their ids, with their places and hashes, in order, and their joint path. Where one
    member stands twice, there are more of the latter. Spec: 4.3."""

    leaves: Mapping[bytes, wire.MemberWire]
    indices: Sequence[int]
    hashes: Sequence[bytes]
    path: bytes


class SectionPart(Struct, frozen=True, gc=False):
    """Lines of one rules document by their subjects, whether a subject stands twice, their places and the hashes of
    their leaves, in order, and their joint path. Spec: 4.4."""

    lines: Mapping[tuple[object, ...], Line]
    is_twice: bool
    indices: Sequence[int]
    hashes: Sequence[bytes]
    path: bytes


class EntryPart(Struct, frozen=True, gc=False):
    """A shown entry (`fields` maps names to a digest, or to (salt, value), and `root` is their root) or a judged one
    (`fields` None). `leaf` is the hash of the statement's leaf; `kind` is None where it is not shown; `seal` is the log
    index that the entry names."""

    fields: dict[str, bytes | tuple[bytes, Any]] | None
    root: bytes
    statement: Statement
    leaf: bytes
    submission: wire.SubmissionWire
    number: int
    index: int
    seal: int
    kind: Any

    @property
    def is_shown(self) -> bool:
        """Whether the entry's fields stand in the bundle."""
        return self.fields is not None

    def get_shown(self, name: str) -> object:
        """The value of a shown field; None if it is absent or withheld."""
        found = None if self.fields is None else self.fields.get(name)
        return found[1] if isinstance(found, tuple) else None


class Item(Struct, frozen=True, gc=False):
    """One link of the chain. Spec: 4.5.

    Hidden items have `entry` None; a hidden tip has a placement all the same. `signed` is None where it follows from
    the entry.
    """

    sid: bytes
    signed: bytes | None
    mark: int
    target: bytes
    placement: wire.PlacementWire | None
    entry: EntryPart | None


class Ground(Struct, frozen=True, gc=False):
    """What many bundles of one network have in common: the parts that no passport is named in. `groups` and `sections`
    are keyed by log index, `indices` and `hashes` are those of the records; `framed` is the genesis as it is hashed."""

    checkpoint: bytes
    framed: bytes
    genesis: wire.GenesisWire
    groups: dict[int, GroupPart]
    records: Sequence[SealPart | CensusPart]
    indices: Sequence[int]
    hashes: Sequence[bytes]
    records_path: bytes
    sections: dict[int, SectionPart]
    seal_count: int

    @property
    def log_key(self) -> bytes:
        """The log's public key."""
        return self.genesis.log_key

    @property
    def forked_from(self) -> wire.ForkWire | None:
        """The network that this one goes on from."""
        cited = self.genesis.forked_from
        return None if isinstance(cited, UnsetType) else cited


class Bundle(Struct, frozen=True, gc=False):
    """All parts of a bundle. `batches` holds one joint path for each seal of the ground, in their order."""

    batches: Sequence[bytes]
    census_path: bytes
    census_record: int
    ground: Ground
    items: Sequence[Item]
    since: wire.SinceWire | None
    submissions: Sequence[wire.SubmissionWire]
