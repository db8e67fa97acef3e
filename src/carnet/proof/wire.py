"""How a bundle is spelled: its documents as typed records, each member in its place in the alphabet.

Knows names, types, sizes and ranges (clauses 4.x and 5.3.4); what is counted, ordered or parsed further is `bundle`'s.
Bytes stand in base64, which the reader of JSON takes from the text, and a canonical document gives back as it was.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from carnet.encoding import MAX_INTEGER, SafeInteger
from carnet.ledger.network import ORIGIN_PATTERN

U8 = Annotated[int, Meta(ge=0, le=255)]
U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
U64 = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Count = Annotated[int, Meta(ge=1, le=2**32 - 1)]
Size = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
Bytes16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
Bytes64 = Annotated[bytes, Meta(min_length=64, max_length=64)]
FieldValue = SafeInteger | str | bool | list[Any] | dict[str, Any] | None
ConsistencyPath = Annotated[bytes, Meta(max_length=32 * 128)]
Origin = Annotated[str, Meta(pattern=rf"\A{ORIGIN_PATTERN}\Z")]
Name = Annotated[str, Meta(pattern=r"\A[a-z0-9.-]{1,63}\Z")]


class Wire(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Exactly the members listed, none absent."""


class FounderWire(Wire, frozen=True, gc=False):
    """Spec: 1.9."""

    key: Bytes32
    member: Bytes16


class ForkWire(Wire, frozen=True, gc=False):
    """Spec: 1.9."""

    origin: Origin
    root: Bytes32
    size: Size


class GenesisWire(Wire, frozen=True, gc=False, kw_only=True):
    """Spec: 1.9. A network that goes on from none leaves `forked_from` out."""

    forked_from: ForkWire | UnsetType = UNSET
    founders: Annotated[list[FounderWire], Meta(min_length=1)]
    log_key: Bytes32
    name: Name
    nonce: Bytes32
    rules_root: Bytes32


class RefWire(Wire, frozen=True, gc=False):
    """A members or rules record by log index. Spec: 3.7."""

    count: Count
    index: U64
    root: Bytes32


class EndorsementWire(Wire, frozen=True, gc=False):
    """Spec: 3.6."""

    key: Bytes32
    member: Bytes16
    sig: Bytes64


class SealWire(Wire, frozen=True, gc=False, tag_field="type", tag="seal"):
    """Spec: 3.7."""

    at: U64
    batch: bytes
    endorsements: list[EndorsementWire]
    height: U64
    members: RefWire
    rules: RefWire
    sig: Bytes64


class CensusWire(Wire, frozen=True, gc=False):
    """Spec: 3.8."""

    count: U64
    covers: U64
    erased: U64
    home: Bytes16
    previous: U64 | None
    root: Bytes32


class CensusRecordWire(Wire, frozen=True, gc=False, tag_field="type", tag="census"):
    """Spec: 3.7."""

    at: U64
    census: CensusWire
    endorsements: list[EndorsementWire]
    height: U64
    key: Bytes32
    members: RefWire
    rules: RefWire
    sig: Bytes64


class KeyWire(Wire, frozen=True, gc=False):
    """Spec: 3.3."""

    alg: U8
    custody: U8
    disputed_since: U64 | None
    key: bytes
    revoked: U64 | None
    role: U8
    sig: bytes


class MemberWire(Wire, frozen=True, gc=False):
    """Spec: 3.3. A data service has half a hundred accreditations, of which a proof needs two: they are left as they
    stand, in `cj`, and `bundle` sees that they ascend."""

    accreditations: Raw
    host: Bytes16
    id: Bytes16
    keys: list[KeyWire]
    kind: str
    name: str
    retired: U64 | None


class KindLineWire(Wire, frozen=True, gc=False, tag_field="line", tag="kind"):
    """Spec: 3.1."""

    chain: Literal["history", "journal"]
    class_: U8 = field(name="class")
    kind: str
    location: Literal["vault", "source"]
    schema: Bytes32


class ClassLineWire(Wire, frozen=True, gc=False, tag_field="line", tag="class"):
    """Spec: 3.1."""

    class_: U8 = field(name="class")
    endorsements: U8


class WriterLineWire(Wire, frozen=True, gc=False, tag_field="line", tag="writer"):
    """Spec: 3.1."""

    bases: list[U8]
    kind: str
    member: str


class LoggedWire(Wire, frozen=True, gc=False):
    """Spec: 4.2."""

    index: U64
    record: SealWire | CensusRecordWire


class RecordsWire(Wire, frozen=True, gc=False):
    """Spec: 4.2."""

    logged: Annotated[list[LoggedWire], Meta(min_length=1)]
    path: bytes


class PlacedLeafWire(Wire, frozen=True, gc=False):
    """Spec: 4.3."""

    index: U32
    leaf: MemberWire


class GroupWire(Wire, frozen=True, gc=False):
    """Spec: 4.3."""

    index: U64
    leaves: Annotated[list[PlacedLeafWire], Meta(min_length=1)]
    path: bytes


class PlacedLineWire(Wire, frozen=True, gc=False):
    """Spec: 4.4."""

    index: U32
    line: KindLineWire | ClassLineWire | WriterLineWire


class SectionWire(Wire, frozen=True, gc=False):
    """Spec: 4.4."""

    index: U64
    lines: Annotated[list[PlacedLineWire], Meta(min_length=1)]
    path: bytes


class PlacementWire(Wire, frozen=True, gc=False):
    """Where a link stands: its place in the batch of the seal at this log index. Spec: 4.5."""

    index: U32
    record: U64


class SubmittedWire(Wire, frozen=True, gc=False):
    """A statement's place in the submission with this number. Spec: 4.5."""

    index: U32
    number: U32


class EntryWire(Wire, frozen=True, gc=False):
    """Spec: 4.5. That a digest has 32 bytes is checked by `bundle`: msgspec 0.22 crashes where a union holds both bytes
    of a given length and a tuple."""

    fields: dict[str, bytes | tuple[Bytes16, FieldValue]] | None
    placement: PlacementWire
    statement: bytes
    submission: SubmittedWire


class SubmissionWire(Wire, frozen=True, gc=False):
    """What one key signed at once. `at` is `created_ms`. Spec: 4.11."""

    at: U64
    count: Count
    path: bytes
    signature: Bytes64


class CensusPathWire(Wire, frozen=True, gc=False):
    """Spec: 4.7."""

    path: bytes
    record: U64


class SinceWire(Wire, frozen=True, gc=False):
    """Spec: 4.8."""

    path: ConsistencyPath
    root: Bytes32
    size: Size


Genesis = TypeVar("Genesis")
Members = TypeVar("Members")
Records = TypeVar("Records")
Rules = TypeVar("Rules")


class BundleWire(Wire, Generic[Genesis, Members, Records, Rules], frozen=True, gc=False):
    """Spec: 4.1. The parts of its ground are read with it, or left as they stand for whoever may know them again."""

    batches: list[bytes]
    carnet: Literal["proof/1"]
    census: CensusPathWire
    checkpoint: bytes
    genesis: Genesis
    links: Annotated[list[bytes | EntryWire], Meta(min_length=1)]
    members: Members
    records: Records
    rules: Rules
    since: SinceWire | None
    submissions: Annotated[list[SubmissionWire], Meta(min_length=1)]
    tip: PlacementWire | None


class OwnWire(Wire, frozen=True, gc=False):
    """What of a bundle is not its ground. Spec: 4.1."""

    batches: list[bytes]
    carnet: Literal["proof/1"]
    census: CensusPathWire
    links: Annotated[list[bytes | EntryWire], Meta(min_length=1)]
    since: SinceWire | None
    submissions: Annotated[list[SubmissionWire], Meta(min_length=1)]
    tip: PlacementWire | None


WholeWire = BundleWire[GenesisWire, list[GroupWire], RecordsWire, list[SectionWire]]
RawWire = BundleWire[Raw, Raw, Raw, Raw]
