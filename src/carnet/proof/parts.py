"""The parts of a bundle as the checks take them: parsed, each hashed document with the hash of its leaf. Spec: 4.x.

Knows what stands where; refuses to know whether anything in them is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from carnet.ledger.batch import Batch
from carnet.passport.statement import Statement
from carnet.proof import wire


class LoggedPart(Struct, frozen=True, gc=False):
    """A log record of type seal or census; `leaf` is the hash of its log leaf. Spec: 4.2."""

    index: int
    leaf: bytes
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


class KeyPart(Struct, frozen=True, gc=False):
    """One key of a member leaf, with its digest. Spec: 3.3, 1.7."""

    alg: int
    custody: int
    digest: bytes
    disputed_since: int | None
    key: bytes
    revoked: int | None
    role: int
    sig: bytes


class LeafPart(Struct, frozen=True, gc=False):
    """A member leaf; `leaf` is its hash. Spec: 4.3."""

    index: int
    leaf: bytes
    id: bytes
    kind: str
    name: str
    accreditations: Sequence[tuple[str, int, int]]
    keys: Sequence[KeyPart]
    retired: int | None


class LinePart(Struct, frozen=True, gc=False):
    """A rules line; `leaf` is its hash, `subject` is ("kind", kind), ("class", class) or ("writer",). Spec: 4.4."""

    index: int
    leaf: bytes
    line: wire.KindLineWire | wire.ClassLineWire | wire.WriterLineWire
    subject: tuple[object, ...]


class GroupPart(Struct, frozen=True, gc=False):
    """Leaves of one members tree, with their joint path. Spec: 4.3."""

    leaves: Sequence[LeafPart]
    path: bytes


class SectionPart(Struct, frozen=True, gc=False):
    """Lines of one rules document, with their joint path. Spec: 4.4."""

    lines: Sequence[LinePart]
    path: bytes


class EntryPart(Struct, frozen=True, gc=False):
    """A shown entry (`fields` maps names to a digest, or to (salt, value), and `root` is their root) or a judged one
    (`fields` None). `kind` is None where it is not shown; `seal` is the log index that the entry names."""

    fields: dict[str, bytes | tuple[bytes, Any]] | None
    root: bytes
    statement: Statement
    statement_bytes: bytes
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

    Hidden items have `entry` None; a hidden tip has a placement all the same.
    """

    sid: bytes | None
    signed: bytes | None
    mark: int
    target: bytes
    placement: wire.PlacementWire | None
    entry: EntryPart | None


class Ground(Struct, frozen=True, gc=False):
    """What many bundles of one network have in common: the parts that no passport is named in. `groups` and `sections`
    are keyed by log index; `genesis` is framed for hashing."""

    checkpoint: bytes
    genesis: bytes
    name: str
    log_key: bytes
    forked_from: wire.ForkWire | None
    groups: dict[int, GroupPart]
    records: Sequence[SealPart | CensusPart]
    records_path: bytes
    sections: dict[int, SectionPart]
    seal_count: int


class Bundle(Struct, frozen=True, gc=False):
    """All parts of a bundle. `batches` holds one joint path for each seal of the ground, in their order."""

    batches: Sequence[bytes]
    census_path: bytes
    census_record: int
    ground: Ground
    items: Sequence[Item]
    since: wire.SinceWire | None
    submissions: Sequence[wire.SubmissionWire]
